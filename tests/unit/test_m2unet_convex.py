"""Stage 1 by least squares: exact where a pair is, modest where it is not."""

from dataclasses import replace

import numpy as np
import pytest

import hsisr_lite as hl
from hsisr_lite.budget import Run
from hsisr_lite.degradation.blind_psf import estimate_psf
from hsisr_lite.degradation.estimate import srf_of
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.m2unet import convex
from hsisr_lite.m2unet.convex import joint_solution, solve_sensors
from hsisr_lite.m2unet.dil import learn_sensors
from tests.unit.test_classical_methods import awkward_pairs, made_pair, pairs_with_a_hole

AWKWARD = awkward_pairs()


@pytest.fixture(scope="module")
def scene():
    return hl.load_scene("synthetic")


def error(found, true):
    return np.linalg.norm(found - true) / np.linalg.norm(true)


def kernels(ratio):
    rng = np.random.default_rng(ratio)
    motion = np.zeros((ratio, ratio))  # a path of uneven speed: no symmetry at all
    motion[np.arange(ratio), rng.permutation(ratio)] = 1 + np.arange(ratio)
    return {
        "gaussian": hl.gaussian_psf(ratio),
        "off centre": hl.gaussian_psf(ratio, phase="pixel"),
        "tilted": hl.gaussian_psf(ratio, elongation=2.2, angle=35),
        "box": np.full((ratio, ratio), ratio**-2.0),
        "motion": motion / motion.sum(),
        "wide": hl.gaussian_psf(ratio, fwhm=1.2 * ratio, size=2 * ratio),
        "wide and tilted": hl.gaussian_psf(ratio, elongation=2, angle=-20, size=2 * ratio),
    }


def random_srf(msi_bands, bands, seed):
    """Responses that overlap and have holes, as no camera has them."""
    rng = np.random.default_rng(seed)
    srf = rng.random((msi_bands, bands)) * (rng.random((msi_bands, bands)) < 0.4)
    return srf / srf.sum(axis=1, keepdims=True)


def exact_pair(ratio, kernel, seed=0, msi_bands=3, bands=12, **known):
    """Spectra of as many dimensions as bands, so that one answer alone fits."""
    cube = np.random.default_rng(seed).uniform(0.05, 0.95, (12 * ratio, 14 * ratio, bands))
    pair = made_pair(cube, ratio, kernels(ratio)[kernel], random_srf(msi_bands, bands, seed))
    return replace(pair, **known), pair.psf, pair.srf


@pytest.mark.parametrize("known", [None, "psf", "srf"], ids=["blind", "known PSF", "known SRF"])
@pytest.mark.parametrize("ratio", [2, 3, 4])
@pytest.mark.parametrize("kernel", list(kernels(2)))
def test_both_sensors_of_an_exact_pair_are_found(kernel, ratio, known):
    """1e-3 is asked; float32 images, 1e-7, and spectra of full rank: below 1e-6 is seen."""
    pair, psf, srf = exact_pair(ratio, kernel)
    blind = replace(pair, **{name: None for name in ("psf", "srf") if name != known})
    sensors = solve_sensors(blind)
    assert sensors.psf.shape == psf.shape
    assert error(sensors.psf, psf) < 1e-4 and error(sensors.srf, srf) < 1e-4
    if known:
        assert getattr(sensors, known) is getattr(blind, known)
    learned = {"psf": psf.size, "srf": srf.size}
    assert sensors.learned == sum(n for name, n in learned.items() if name != known)
    if known == "psf":
        assert [note[:11] for note in sensors.notes] == ["SRF unknown"]
    else:
        (note,) = sensors.notes
        assert note.startswith(f"PSF unknown: {len(psf)} x {len(psf)} pixels solved for")


def test_the_note_names_the_srf_only_where_it_was_solved_for():
    pair, _, _ = exact_pair(4, "gaussian")
    for srf in (None, pair.srf):
        (note,) = solve_sensors(replace(pair, psf=None, srf=srf)).notes
        assert ("together with the SRF" in note) == (srf is None)


@pytest.mark.parametrize("seed", range(4))
def test_any_responses_are_found_with_a_large_ratio(seed):
    pair, psf, srf = exact_pair(8, "motion", seed, msi_bands=4, bands=16)
    sensors = solve_sensors(replace(pair, psf=None, srf=None))
    assert error(sensors.psf, psf) < 1e-4 and error(sensors.srf, srf) < 1e-4


@pytest.mark.parametrize("kernel", list(kernels(2)))
@pytest.mark.parametrize("ratio", [4, 8])
def test_the_kernel_of_the_embedded_scene_is_found(scene, ratio, kernel):
    """Its spectra have fewer dimensions than bands: many responses fit, one kernel does."""
    psf = kernels(ratio)[kernel]
    pair = hl.simulate(scene, ratio, psf=psf)
    sensors = solve_sensors(pair)
    assert sensors.psf.shape == psf.shape and error(sensors.psf, psf) < 1e-3
    np.testing.assert_allclose(sensors.from_hsi, sensors.from_msi, atol=1e-5)


def test_what_is_handed_on_agrees_with_the_operators(scene):
    """K1 = Y S^T, K2 = P Z, and the sum of what separates them; float32 images: 1e-6."""
    pair = hl.simulate(scene, 4, psf=hl.gaussian_psf(4, fwhm=5, size=8), snr_db=40)
    sensors = solve_sensors(pair)
    from_hsi = SpectralOperator(sensors.srf).A(pair.lr_hsi)
    from_msi = SpatialOperator(sensors.psf, 4).A(pair.hr_msi)
    np.testing.assert_allclose(sensors.from_hsi, from_hsi, atol=1e-6)
    np.testing.assert_allclose(sensors.from_msi, from_msi, atol=1e-6)
    assert sensors.from_hsi.dtype == sensors.from_msi.dtype == np.float32
    assert sensors.loss.shape == (1,)
    assert sensors.loss[0] == pytest.approx(np.abs(from_hsi - from_msi).sum(), rel=1e-4)


def test_the_turned_system_has_the_squares_of_the_written_out_one():
    """min |N_m h - Y s_m|^2: a sum of squares is its Gram matrix; float64, 1e-10."""
    rng = np.random.default_rng(0)
    seen, hsi = rng.random((30, 3, 4)), rng.random((30, 6))
    rows = np.zeros((3 * 30, 4 + 3 * 6))
    for m in range(3):
        rows[30 * m : 30 * (m + 1), :4] = seen[:, m]
        rows[30 * m : 30 * (m + 1), 4 + 6 * m : 10 + 6 * m] = -hsi
    turned = convex._both_unknown(seen, hsi)
    assert len(turned) < len(rows)
    np.testing.assert_allclose(turned.T @ turned, rows.T @ rows, atol=1e-10)


def test_adam_is_far_behind(scene):
    """Its squares are least, so its sum of absolute values is far below Adam's after 300 steps."""
    pair = hl.simulate(scene, 4)
    assert solve_sensors(pair).loss[0] < 1e-3 * learn_sensors(pair, Run(), 300).loss[-1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fwhm", [0.9, 1.0, 1.15])
def test_under_noise_the_simpler_kernel_is_taken(scene, fwhm, seed):
    """At 35 dB 5 % is asked; five numbers of a Gaussian are found to 1 %, 16 free ones are not."""
    psf = hl.gaussian_psf(4, fwhm=4 * fwhm)
    pair = hl.simulate(scene, 4, psf=psf, snr_db=35, seed=seed)
    sensors = solve_sensors(pair)
    assert error(sensors.psf, psf) < 0.05
    for size in (4, 8):
        assert not joint_solution(pair, size)[2]
    fallback = estimate_psf(pair, assume=False)
    np.testing.assert_array_equal(sensors.psf, fallback.psf)
    srf, notes = srf_of(pair, fallback.psf)
    np.testing.assert_array_equal(sensors.srf, srf)
    assert sensors.notes == [fallback.note, *notes]


@pytest.mark.parametrize("snr_db", [20, 60, 90])
def test_the_least_noise_is_no_exact_agreement(scene, snr_db):
    """90 dB is 3e-5 of a value, a hundred times float32's last digit."""
    for size in (4, 8):
        psf, srf, exact = joint_solution(hl.simulate(scene, 4, snr_db=snr_db), size)
        assert not exact and psf.sum() == pytest.approx(1)
        np.testing.assert_allclose(srf.sum(axis=1), 1)


@pytest.mark.parametrize("snr_db", [20, 35])
def test_no_sensors_agree_better_than_the_joint_solution(scene, snr_db):
    """It is the least of all that sum to one, the true ones among them; rounding: 1e-6."""
    known = hl.simulate(scene, 4, snr_db=snr_db, blind=False)
    blind = replace(known, psf=None, srf=None)

    def disagreement(psf, srf):
        mixed = blind.lr_hsi.astype(np.float64) @ srf.T
        return np.sum((SpatialOperator(psf, 4).A(blind.hr_msi.astype(np.float64)) - mixed) ** 2)

    psf, srf, _ = joint_solution(blind, 4)
    least = disagreement(psf, srf)
    assert least < (1 + 1e-6) * disagreement(known.psf, known.srf)
    box = np.full((4, 4), 1 / 16)
    for share in (0.01, 0.1):  # nor do their neighbours
        for other in (known.psf, box):
            assert least < (1 + 1e-6) * disagreement((1 - share) * psf + share * other, srf)
        mixed = (1 - share) * srf + share * known.srf
        assert least < (1 + 1e-6) * disagreement(psf, mixed)


def test_agreement_that_more_numbers_than_equations_buy_is_not_called_exact():
    """2 x 3 pixels of 3 bands for 16 + 120 numbers: the images agree, and it proves nothing."""
    rng = np.random.default_rng(2)
    cube = rng.uniform(0.05, 0.95, (8, 12, 40))
    pair = made_pair(cube, 4, kernels(4)["gaussian"], random_srf(3, 40, 0))
    blind = replace(pair, psf=None, srf=None)
    psf, srf, exact = joint_solution(blind, 4)
    blurred = SpatialOperator(psf, 4).A(pair.hr_msi.astype(np.float64))
    agree = np.mean((blurred - pair.lr_hsi @ srf.T) ** 2) < 1e-12 * np.mean(blurred**2)
    assert agree and error(psf, pair.psf) > 0.01 and not exact
    assert not np.array_equal(solve_sensors(blind).psf, psf)


@pytest.mark.parametrize("known", [False, True], ids=["unknown SRF", "known SRF"])
def test_agreement_under_every_kernel_is_no_proof_of_one(known):
    """Blocks of one colour each: whatever the kernel of a block, the blurred MSI is the same."""
    cube = np.random.default_rng(0).uniform(0.1, 0.9, (12, 14, 12))
    cube = cube.repeat(4, axis=0).repeat(4, axis=1)
    pair = made_pair(cube, 4, kernels(4)["tilted"], random_srf(3, 12, 0))
    blind = replace(pair, psf=None, srf=pair.srf if known else None)
    psf, _, exact = joint_solution(blind, 4)
    np.testing.assert_allclose(SpatialOperator(psf, 4).A(pair.hr_msi), pair.low_msi(), atol=1e-6)
    assert not exact


def test_a_kernel_of_one_pixel_needs_no_proof():
    """ratio 1: it is 1, and the responses alone are found."""
    pair, _, srf = exact_pair(1, "box")
    sensors = solve_sensors(replace(pair, psf=None, srf=None))
    np.testing.assert_array_equal(sensors.psf, [[1.0]])
    assert error(sensors.srf, srf) < 1e-4


def test_too_many_unknowns_are_not_solved_for(scene, monkeypatch):
    pair = hl.simulate(scene, 4)
    unknowns = 16 + pair.lr_hsi.shape[2] * pair.hr_msi.shape[2]
    monkeypatch.setattr(convex, "_MOST_UNKNOWNS", unknowns)
    assert joint_solution(pair, 4)[2]
    monkeypatch.setattr(convex, "_MOST_UNKNOWNS", unknowns - 1)
    assert joint_solution(pair, 4) == (None, None, False)
    assert solve_sensors(pair).psf.sum() == pytest.approx(1)


def test_a_part_of_a_large_image_is_enough(monkeypatch):
    pair, psf, srf = exact_pair(3, "motion")
    monkeypatch.setattr(convex, "_MOST_PIXELS", 60)  # of 168
    looked, seen = [], convex.windows
    monkeypatch.setattr(convex, "windows", lambda *a: looked.append(len(a[3])) or seen(*a))
    sensors = solve_sensors(replace(pair, psf=None, srf=None))
    assert error(sensors.psf, psf) < 1e-4 and error(sensors.srf, srf) < 1e-4
    assert looked and max(looked) <= 60


@pytest.mark.parametrize("known", [None, "psf", "srf"])
def test_pixels_without_data_teach_nothing(known):
    """Whatever stands under the mask, the sensors are found from the rest."""
    pair, psf, srf = exact_pair(4, "motion")
    holes = np.ones(pair.hr_msi.shape[:2], bool)
    holes[9:15, 12:20] = False
    low_holes = holes.reshape(12, 4, 14, 4).all(axis=(1, 3))
    found = []
    for rubbish in (0.0, 0.9):
        lr_hsi, hr_msi = pair.lr_hsi.copy(), pair.hr_msi.copy()
        lr_hsi[~low_holes], hr_msi[~holes] = rubbish, rubbish
        holed = replace(pair, lr_hsi=lr_hsi, hr_msi=hr_msi, lr_valid=low_holes, hr_valid=holes)
        blind = replace(holed, **{name: None for name in ("psf", "srf") if name != known})
        found.append(solve_sensors(blind))
    for sensors in found:
        assert error(sensors.psf, psf) < 1e-4 and error(sensors.srf, srf) < 1e-4
        assert sensors.loss[0] < 1e-3  # nor do they count there
    np.testing.assert_array_equal(found[0].psf, found[1].psf)
    np.testing.assert_array_equal(found[0].srf, found[1].srf)


def test_a_wide_window_that_meets_holes_everywhere_is_left_out():
    """Two holes, and a kernel of 8 x 8 finds fewer than two whole windows."""
    _, _, pairs = pairs_with_a_hole()
    holes = np.ones((32, 32), bool)
    holes[3::8, 3::8] = False
    holed = replace(pairs[0], hr_valid=holes, lr_valid=None)
    assert joint_solution(holed, 8) == (None, None, False)


@pytest.mark.filterwarnings("ignore:.*are negative")
@pytest.mark.parametrize("case", list(AWKWARD))
def test_an_awkward_pair_gives_valid_sensors(case):
    pair = AWKWARD[case]
    for known in ({"psf": None, "srf": None}, {"psf": None}, {"srf": None}, {}):
        sensors = solve_sensors(replace(pair, **known))
        assert sensors.srf.shape == (pair.hr_msi.shape[2], pair.lr_hsi.shape[2])
        assert sensors.psf.min() >= 0 and sensors.srf.min() >= 0
        assert sensors.psf.sum() == pytest.approx(1)
        np.testing.assert_allclose(sensors.srf.sum(axis=1), 1)
        assert np.isfinite(sensors.loss).all() and np.isfinite(sensors.from_msi).all()
        assert ("psf" in known) + ("srf" in known) == 0 or sensors.notes


@pytest.mark.parametrize("scale", [3000.0, 1e-3])
def test_units_do_not_matter(scale):
    pair, psf, srf = exact_pair(4, "tilted")
    bright = replace(
        pair, lr_hsi=scale * pair.lr_hsi, hr_msi=scale * pair.hr_msi, psf=None, srf=None
    )
    sensors = solve_sensors(bright)
    assert error(sensors.psf, psf) < 1e-4 and error(sensors.srf, srf) < 1e-4
