"""The cheap methods: exact where theory says so, honest under noise, deaf to the truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import upsample
from hsisr_lite.baselines.regression import (
    _RIDGES,
    _feature_variance,
    _learn,
    _products,
    _ridge_one_level_down,
    _with_residual,
)
from hsisr_lite.degradation.estimate import srf_of
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.pair import ObservedPair
from hsisr_lite.degradation.psf import gaussian_psf
from hsisr_lite.degradation.simulate import simulate
from hsisr_lite.methods import fuse, methods
from hsisr_lite.metrics import psnr
from hsisr_lite.scenes.synthetic import synthetic_scene

REGRESSIONS = [name for name in methods() if "regression" in name]
NETWORKS = ("daem", "m2unet", "uafl")


def few_steps(method):
    """Networks have tests of their quality elsewhere; here they only have to answer."""
    return {"steps": 20} if method.startswith(NETWORKS) else {}


@pytest.fixture(scope="module")
def scene():
    return synthetic_scene()


def affine_cube(rng, rows=24, cols=32, bands=12, msi_bands=3):
    """A cube whose spectra are an affine function of three numbers per pixel, and an SRF."""
    latent = rng.random((rows, cols, msi_bands))
    cube = 0.2 + latent @ rng.random((msi_bands, bands))
    srf = rng.random((msi_bands, bands))
    return cube, srf / srf.sum(axis=1, keepdims=True)


def observed(cube, srf, ratio=4, psf=None, **known):
    psf = gaussian_psf(ratio) if psf is None else psf
    lr_hsi, hr_msi = SpatialOperator(psf, ratio).A(cube), SpectralOperator(srf).A(cube)
    return ObservedPair(
        lr_hsi, hr_msi, ratio, 400 + 10.0 * np.arange(cube.shape[-1]), psf=psf, srf=srf, **known
    )


@pytest.mark.parametrize("method", REGRESSIONS)
def test_spectra_that_are_affine_in_the_msi_are_recovered(method):
    cube, srf = affine_cube(np.random.default_rng(0))
    # The pair is float32: about 1e-7 of rounding, amplified by the condition of the map.
    assert psnr(cube, fuse(observed(cube, srf), method).hr_hsi) > 90


def test_the_quadratic_map_follows_a_bend_that_the_affine_one_cannot():
    rng = np.random.default_rng(1)
    latent = gaussian_filter(rng.random((96, 96, 2)), (6, 6, 0))
    latent = (latent - latent.min()) / np.ptp(latent)
    bent = np.stack([latent[..., 0], latent[..., 1], latent[..., 0] * latent[..., 1]], axis=-1)
    pair = observed(0.1 + bent, np.array([[1.0, 0, 0], [0, 1.0, 0]]), ratio=2)
    errors = {
        method: np.abs(fuse(pair, method).hr_hsi - 0.1 - bent)[..., 2].mean()
        for method in ("regression_residual", "regression_quadratic")
    }
    assert errors["regression_quadratic"] < 0.3 * errors["regression_residual"]


def test_the_residual_makes_the_result_agree_with_the_lr_hsi(scene):
    pair = simulate(scene, 4, blind=False)
    operator = SpatialOperator(pair.psf, 4)
    misfit = {
        name: np.mean((operator.A(fuse(pair, name).hr_hsi) - pair.lr_hsi) ** 2)
        for name in ("regression", "regression_residual")
    }
    assert misfit["regression_residual"] < 0.2 * misfit["regression"]


@pytest.mark.parametrize("snr_db", [20, 30, 40])
def test_the_residual_does_not_add_noise(scene, snr_db):
    for seed in range(2):
        pair = simulate(scene, 4, snr_db=snr_db, seed=seed)
        plain, residual = (
            psnr(scene.cube, fuse(pair, m).hr_hsi) for m in ("regression", "regression_residual")
        )
        assert residual > plain - 0.1


def test_srf_regression_does_not_mind_a_shifted_msi(scene):
    """A shift by whole pixels shifts the answer and nothing else; a paired method loses its map."""
    pair = simulate(scene, 4, blind=False)
    moved = {
        key: getattr(pair, key) for key in ("lr_hsi", "ratio", "wavelengths", "psf", "srf", "noise")
    }
    shifted = ObservedPair(hr_msi=np.roll(pair.hr_msi, 3, axis=1), **moved)
    straight = fuse(pair, "srf_regression").hr_hsi
    np.testing.assert_allclose(
        fuse(shifted, "srf_regression").hr_hsi, np.roll(straight, 3, axis=1), atol=1e-6
    )
    truth = np.roll(scene.cube, 3, axis=1)
    gap = psnr(truth, fuse(shifted, "srf_regression").hr_hsi) - psnr(
        truth, fuse(shifted, "regression").hr_hsi
    )
    assert gap > 6


def test_a_blind_srf_is_found_where_the_pair_determines_it():
    """Independent spectra, more pixels than bands, the right PSF: least squares is exact."""
    rng = np.random.default_rng(3)
    cube = 0.1 + rng.random((48, 48, 9))
    srf = rng.random((4, 9))
    srf /= srf.sum(axis=1, keepdims=True)
    pair = observed(cube, srf)
    blind = ObservedPair(pair.lr_hsi, pair.hr_msi, 4, pair.wavelengths, psf=pair.psf)
    found, notes = srf_of(blind, pair.psf)
    # float32 images, and means over blocks that differ by 0.08: a condition of about a hundred.
    np.testing.assert_allclose(found, srf, atol=1e-4)
    assert "non-negative least squares" in notes[-1]


@pytest.mark.parametrize("snr_db", [None, 30])
def test_a_blind_srf_explains_the_msi_at_least_as_well_as_the_true_one(scene, snr_db):
    """Also where bands are alike and few pixels are left: the true rows were allowed, too."""
    pair = simulate(scene, 12, snr_db=snr_db, blind=False)
    found, _ = srf_of(replace(pair, srf=None), pair.psf)
    low_msi, lr_hsi = pair.low_msi().astype(float), pair.lr_hsi.astype(float)
    misfits = [np.linalg.norm(low_msi - lr_hsi @ srf.T) for srf in (found, pair.srf)]
    # The heavy row holds the sum to one to a millionth, and images are float32.
    assert misfits[0] <= misfits[1] + 2e-6 * np.linalg.norm(low_msi)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)


def test_the_embedded_scene_leaves_something_to_win(scene):
    """The issue's figure: at least 6 dB less on metamer pixels than elsewhere, every seed."""
    for seed in range(3):
        truth = synthetic_scene(seed)
        fused = fuse(simulate(truth, 4), "regression_residual").hr_hsi
        twins = truth.meta["metamer_mask"]
        inside, outside = (
            psnr(truth.cube[mask][:, None], fused[mask][:, None]) for mask in (twins, ~twins)
        )
        assert outside - inside > 6


@pytest.mark.parametrize("ratio", [2, 3, 4, 8])
def test_enlarging_puts_every_block_where_it_was(ratio):
    """The cubic's ripple on a ramp cancels over a block; what would be left is a shift."""
    ramp = np.add.outer(2.0 * np.arange(12), 0.5 * np.arange(14))[..., None]
    fine = upsample(ramp, ratio)[..., 0]
    means = fine.reshape(12, ratio, 14, ratio).mean(axis=(1, 3))  # (rows, cols)
    np.testing.assert_allclose(means[2:-2, 2:-2], ramp[2:-2, 2:-2, 0], rtol=1e-12)


def test_enlarging_is_torch_bicubic_when_the_phase_is_the_blocks():
    import torch

    image = np.random.default_rng(0).random((5, 7, 3))
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(np.moveaxis(image, -1, 0)[None].copy()),
        scale_factor=4,
        mode="bicubic",
        align_corners=False,
    )[0]
    np.testing.assert_allclose(upsample(image, 4), np.moveaxis(theirs.numpy(), 0, -1), atol=1e-12)


@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_a_psf_off_centre_does_not_shift_the_bicubic_image(ratio):
    """The mean error on a ramp, over its slope, is the shift: 0.5 pixels for the wrong phase.

    Blind, only the MSI could tell the phase, and bicubic does not look at it: the other methods do.
    """
    rows = np.arange(12 * ratio, dtype=float)
    ramp = (rows[:, None] + 2 * rows[None, :])[..., None] / 100
    psf = gaussian_psf(ratio, phase="pixel", fwhm=ratio / 3)
    lr_hsi = SpatialOperator(psf, ratio).A(ramp)
    inside = (slice(3 * ratio, -3 * ratio),) * 2
    shift = {
        known: abs(np.mean((fuse(pair, "bicubic").hr_hsi - ramp)[inside])) / 0.03
        for known, pair in (
            ("known", ObservedPair(lr_hsi, ramp, ratio, [500.0], psf=psf)),
            ("wrong", ObservedPair(lr_hsi, ramp, ratio, [500.0], psf=gaussian_psf(ratio))),
            ("blind", ObservedPair(lr_hsi, ramp, ratio, [500.0])),
        )
    }
    assert shift["known"] < 0.01 and shift["wrong"] > 0.3 and shift["blind"] == shift["wrong"]


def test_bicubic_keeps_what_stands_in_for_no_data_to_itself(scene):
    pair = simulate(scene, 4, blind=False)
    valid = np.ones((24, 24), bool)
    valid[5:9, 6:9] = False
    marked = np.where(valid[..., None], pair.lr_hsi, np.float32(-9999))
    fused = fuse(replace(pair, lr_hsi=marked, lr_valid=valid), "bicubic")
    # Cubic weights overshoot by a quarter at most; the marks would give thousands.
    assert np.abs(fused.hr_hsi[fused.valid]).max() < 1.25 * pair.lr_hsi.max()


@pytest.mark.parametrize("method", list(methods()))
def test_every_method_answers_in_the_contract(scene, method):
    pair = simulate(scene, 6)
    result = fuse(pair, method, progress=False, **few_steps(method))
    assert result.hr_hsi.shape == (96, 96, 99) and result.hr_hsi.dtype == np.float32
    assert np.isfinite(result.hr_hsi).all()
    assert result.seconds > 0 and result.meta["scale"] == 1
    np.testing.assert_array_equal(result.wavelengths, scene.wavelengths)
    if method != "bicubic":
        assert result.parameters > 0
    if method.startswith(NETWORKS):  # these learn it
        assert any(note.startswith("PSF unknown: ") for note in result.notes)
    else:
        assert any(note.startswith("PSF unknown: assumed") for note in result.notes)


@pytest.mark.parametrize("method", list(methods()))
def test_no_data_pixels_teach_nothing(scene, method):
    """Whatever stands in invalid pixels, the answer elsewhere is the same."""
    valid = np.ones((96, 96), bool)
    valid[40:52, 20:40] = False
    answers = []
    for filler in (0.3, 0.9):
        cube = np.where(valid[..., None], scene.cube, filler)
        truth = type(scene)("holed", cube, scene.wavelengths, valid=valid)
        result = fuse(simulate(truth, 4, blind=False), method, **few_steps(method))
        answers.append(result.hr_hsi)
        assert not result.valid[45, 25] and result.valid[0, 0]
    if method == "bicubic":  # nothing but its neighbours tells what lies beside a hole
        valid[28:64, 8:52] = False
    np.testing.assert_allclose(answers[0][valid], answers[1][valid], atol=1e-5)  # float32


@pytest.mark.parametrize("method", REGRESSIONS)
def test_a_hole_in_the_msi_alone_spoils_nothing_else(scene, method):
    """As load_pair gives when only the HrMSI declares no data, filled with some other spectrum."""
    pair = simulate(scene, 4, blind=False)
    valid = np.ones((96, 96), bool)
    valid[20:50, 30:60] = False
    holed = np.where(valid[..., None], pair.hr_msi, pair.hr_msi[0, 0])
    whole = fuse(pair, method).hr_hsi
    fused = fuse(replace(pair, hr_msi=holed, hr_valid=valid, noise=None), method).hr_hsi
    loss = psnr(scene.cube[valid][:, None], whole[valid][:, None]) - psnr(
        scene.cube[valid][:, None], fused[valid][:, None]
    )
    assert loss < 1  # a tenth of the pixels, and the residual beside the hole, are missing


@pytest.mark.parametrize("ratio", [3, 4])
@pytest.mark.parametrize("width", [0.3, 1.0])
def test_the_ridge_is_the_one_that_serves_the_fine_image(ratio, width):
    """Told the true noise, the map errs less at full resolution than told half or twice as much.

    A narrow PSF hides little noise while learning (sum h^2 near 1), a wide one most of it; a
    penalty without the factor 1 - sum h^2, or of another size, would pass one width at most.
    """
    rng = np.random.default_rng(0)
    latent = gaussian_filter(rng.standard_normal((72, 72, 4)), (2, 2, 0))
    latent = 0.5 + 0.1 * latent / latent.std() * np.array([1, 0.5, 0.25, 0.1])
    cube = latent @ rng.random((4, 10))
    psf = gaussian_psf(ratio, fwhm=width * ratio)
    clean = observed(cube, np.eye(4, 10), ratio, psf)
    errors = {factor: 0.0 for factor in (0, 0.5, 2 / 3, 1, 1.5, 2)}
    for seed in range(12):
        noise = 0.01 * np.random.default_rng(seed).standard_normal(clean.hr_msi.shape)
        for factor in errors:
            told = replace(clean, hr_msi=clean.hr_msi + noise, noise=(0.0, 0.01 * factor))
            errors[factor] += np.mean((fuse(told, "regression").hr_hsi - cube) ** 2)
    assert errors[1] == min(errors.values())
    # And a level that is wrong by half is forgiven: 1.15 is 0.6 dB.
    assert max(errors[2 / 3], errors[1.5]) < 1.15 * errors[1]


def test_noise_of_products_is_that_of_a_thousand_draws():
    """First-order propagation against sampling: 1 % noise, so second order is 1e-4 relative."""
    rng = np.random.default_rng(5)
    pixels, sd = 0.3 + 0.5 * rng.random((40, 3)), np.array([0.003, 0.005, 0.002])
    draws = [
        _products(pixels + sd * rng.standard_normal(pixels.shape)) - _products(pixels)
        for _ in range(1000)
    ]
    # 40 000 values per feature: 0.7 % is one sigma of a variance.
    np.testing.assert_allclose(
        np.mean(np.square(draws), axis=(0, 1)), _feature_variance(pixels, sd, True), rtol=0.04
    )


@pytest.mark.parametrize(("bend", "strong"), [(0.0, True), (0.8, False)])
def test_the_ridge_on_products_follows_the_bend_of_the_scene(bend, strong):
    """A scene that is affine in its MSI needs no products; a bent one does."""
    rng = np.random.default_rng(6)
    latent = gaussian_filter(rng.standard_normal((24, 24, 2)), (2, 2, 0))
    low_msi = 0.5 + 0.15 * latent / latent.std()
    third = low_msi.sum(axis=-1, keepdims=True) + bend * low_msi[..., :1] * low_msi[..., 1:]
    lr_hsi = np.concatenate([low_msi, third], axis=-1) + 1e-3 * rng.standard_normal((24, 24, 3))
    inside = np.ones((24, 24), bool)
    ridge = _ridge_one_level_down(low_msi, lr_hsi, inside, np.zeros(5))
    assert not ridge[:2].any()  # the bands themselves pay nothing
    assert (ridge[2] / inside.sum() == _RIDGES[-1]) == strong


def test_noise_of_the_msi_alone_does_not_come_back_through_the_residual(scene):
    pair = simulate(scene, 4, blind=False)
    rng = np.random.default_rng(7)
    noisy = pair.hr_msi + 0.02 * rng.standard_normal(pair.hr_msi.shape)
    told = replace(pair, hr_msi=noisy, noise=(0.0, 0.02))
    deaf = _with_residual(told, _learn(replace(told, noise=(0.0, 0.0)), quadratic=False)).hr_hsi
    shrunk = fuse(told, "regression_residual").hr_hsi
    assert psnr(scene.cube, shrunk) > psnr(scene.cube, deaf) + 1


@pytest.mark.parametrize("wrong", [{"fwhm": 2}, {"phase": "pixel"}, {"fwhm": 6, "size": 8}])
def test_a_wrong_psf_costs_the_residual_nothing_and_is_noted(scene, wrong):
    """Seen through another PSF than told: the residual must not make the map's answer worse."""
    pair = replace(simulate(scene, 4, psf=gaussian_psf(4, **wrong)), psf=gaussian_psf(4))
    plain, residual = (fuse(pair, m) for m in ("regression", "regression_residual"))
    assert psnr(scene.cube, residual.hr_hsi) > psnr(scene.cube, plain.hr_hsi) - 0.2
    assert "the PSF or the alignment may be wrong" in plain.notes[-1]


def test_names_that_are_not_known_list_those_that_are(scene):
    pair = simulate(scene, 8)
    with pytest.raises(InputError, match="one of bicubic, regression"):
        fuse(pair, "magic")
    with pytest.raises(InputError, match="one of lite, paper"):
        fuse(pair, "bicubic", budget="huge")
    with pytest.raises(InputError, match="one of auto, cpu, cuda"):
        fuse(pair, "bicubic", device="tpu")


def test_a_scene_of_one_low_pixel_is_refused_by_what_learns(scene):
    pair = simulate(scene, 96)
    with pytest.raises(InputError, match="at least 2 are needed"):
        fuse(pair, "regression")
    assert fuse(pair, "bicubic").hr_hsi.shape == scene.cube.shape


@pytest.mark.parametrize("ratio", [2, 8, 16, 32, 48])
def test_small_samples_do_not_break_the_maps(scene, ratio):
    """At ratio 48 four low pixels teach eight weights: the least-norm map is still finite."""
    pair = simulate(scene, ratio)
    for method in REGRESSIONS:
        assert np.isfinite(fuse(pair, method).hr_hsi).all()
