"""Simulated pairs: what they hold, what they withhold, and what noise does to them."""

from dataclasses import replace

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.noise import add_noise, estimate_noise, noise_sd
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.pair import ObservedPair
from hsisr_lite.degradation.psf import gaussian_psf
from hsisr_lite.degradation.simulate import simulate
from hsisr_lite.scenes.scene import Scene
from hsisr_lite.scenes.synthetic import synthetic_scene


@pytest.fixture(scope="module")
def scene():
    return synthetic_scene()


def test_the_pair_is_the_model(scene):
    pair = simulate(scene, 4, blind=False)
    cube = scene.cube.astype(np.float64)
    # The pair is float32: 16 or 99 products of 1e-7 relative rounding each.
    np.testing.assert_allclose(pair.lr_hsi, SpatialOperator(pair.psf, 4).A(cube), rtol=1e-5)
    np.testing.assert_allclose(pair.hr_msi, SpectralOperator(pair.srf).A(cube), rtol=1e-5)
    np.testing.assert_allclose(pair.psf, gaussian_psf(4), rtol=1e-12)
    assert pair.noise == (0.0, 0.0)


def test_both_sensors_agree_where_both_can_see(scene):
    """S(P X) = P(S X): float32 images of values near 0.5 agree to a few units in the last place."""
    pair = simulate(scene, 8, "landsat8", blind=False)
    one = SpectralOperator(pair.srf).A(pair.lr_hsi)
    other = SpatialOperator(pair.psf, 8).A(pair.hr_msi)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_blind_pair_holds_no_secret(scene):
    pair = simulate(scene, 4, snr_db=30)
    assert pair.psf is pair.srf is pair.noise is None
    truth = {scene.cube.shape, scene.endmembers.shape, scene.abundances.shape, (4, 4), (8, 99)}
    held = [v for v in [*vars(pair).values(), *pair.meta.values()] if isinstance(v, np.ndarray)]
    assert not truth & {v.shape for v in held}


def test_noise_has_the_wanted_level_and_the_wanted_seed(scene):
    clean, noisy = simulate(scene, 4), simulate(scene, 4, snr_db=30, seed=5, blind=False)
    # 9216 x 8 values: the sample's standard deviation is within 1 % (four sigma) of the true one.
    wanted = np.sqrt(np.mean(clean.hr_msi.astype(float) ** 2) / 1000)
    assert np.std(noisy.hr_msi - clean.hr_msi) == pytest.approx(wanted, rel=0.01)
    assert noisy.noise[1] == pytest.approx(wanted, rel=1e-6)
    again = simulate(scene, 4, snr_db=30, seed=5)
    np.testing.assert_array_equal(noisy.lr_hsi, again.lr_hsi)
    assert not np.array_equal(noisy.lr_hsi, simulate(scene, 4, snr_db=30, seed=6).lr_hsi)


def test_the_remainder_is_cropped_at_the_bottom_and_right(scene):
    pair = simulate(scene, 7)
    assert pair.hr_msi.shape[:2] == (91, 91)
    assert "cropped from 96 x 96 to 91 x 91" in " ".join(pair.meta["notes"])
    np.testing.assert_allclose(pair.hr_msi[0, 0], simulate(scene, 4).hr_msi[0, 0], rtol=1e-6)
    with pytest.raises(InputError, match="Crop to 91 rows"):
        simulate(scene, 7, crop=False)


def test_a_ratio_larger_than_the_scene_is_refused(scene):
    with pytest.raises(InputError, match="at most 96"):
        simulate(scene, 97)


def test_no_data_under_the_psf_makes_a_low_pixel_invalid(scene):
    valid = np.ones((96, 96), bool)
    valid[0:2, 9] = False
    masked = Scene("masked", scene.cube, scene.wavelengths, valid=valid)
    pair = simulate(masked, 4)
    wanted = np.ones((24, 24), bool)
    wanted[0, 2] = False
    np.testing.assert_array_equal(pair.lr_valid, wanted)
    np.testing.assert_array_equal(pair.hr_valid, valid)
    wide = simulate(masked, 4, psf=gaussian_psf(4, size=8))
    assert (~wide.lr_valid).sum() > 1


def test_scale_and_place_travel_with_the_pair(scene):
    far = Scene("far", scene.cube, scene.wavelengths, meta={"scale": 5000.0, "dtype": "uint16"})
    assert simulate(far, 4).meta["scale"] == 5000
    assert simulate(far, 4).meta["dtype"] == "uint16"


def test_estimated_noise_is_near_the_true_one_and_zero_without(scene):
    for snr_db in (20, 30, 40):
        pair = simulate(scene, 4, snr_db=snr_db, seed=1, blind=False)
        blind = ObservedPair(pair.lr_hsi, pair.hr_msi, 4, pair.wavelengths)
        noise = estimate_noise(blind, pair.psf)
        for found, true in zip((noise.hsi, noise.msi), pair.noise, strict=True):
            # It steers a ridge and a shrinkage; test_baselines shows that a factor of 1.5 costs
            # them at most 0.6 dB.
            assert true / 1.5 < np.median(found) < 1.5 * true, snr_db
    clean = estimate_noise(simulate(scene, 4), gaussian_psf(4))
    assert not (clean.hsi.any() or clean.msi.any() or clean.misfit.any())


def test_noise_that_differs_from_band_to_band_is_estimated_band_by_band(scene):
    rng = np.random.default_rng(2)
    pair = simulate(scene, 4, blind=False)
    sd = 0.003 * np.exp(rng.normal(0, 1, 99))
    noisy = pair.lr_hsi + sd * rng.standard_normal(pair.lr_hsi.shape)
    found = estimate_noise(replace(pair, lr_hsi=noisy, noise=None), pair.psf).hsi
    # 576 pixels give 3 % of sampling error; noisy neighbours leave a clean band some of theirs.
    ratio = found / sd
    assert 0.9 < np.median(ratio) < 1.2 and np.corrcoef(np.log(found), np.log(sd))[0, 1] > 0.95


def test_a_wrong_psf_shows_in_the_misfit(scene):
    pair = replace(simulate(scene, 4, blind=False), noise=None)
    right = estimate_noise(pair, pair.psf)
    wrong = estimate_noise(pair, gaussian_psf(4, fwhm=1.5))
    assert not right.misfit.any()
    assert np.median(wrong.misfit) > 3 * np.median(wrong.msi) * np.sqrt(np.sum(pair.psf**2))


def test_noise_helpers():
    image = np.full((50, 50, 4), 2.0)
    assert noise_sd(image, 20) == pytest.approx(0.2)
    added = add_noise(image, 0.2, np.random.default_rng(0)) - image
    assert added.std() == pytest.approx(0.2, rel=0.05)  # 10 000 draws: 0.7 % is one sigma
    with pytest.raises(InputError, match="finite"):
        noise_sd(image, np.inf)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ratio": 3}, "times the LrHSI"),
        ({"wavelengths": [500, 600]}, "5 bands but 2 wavelengths"),
        ({"srf": np.ones((3, 5)) / 5}, "3 rows but the HrMSI 2 bands"),
        ({"srf": np.ones((5, 2)) / 2}, "transpose"),
        ({"psf": np.ones((2, 2))}, "sums to 4"),
        ({"noise": (0.1,)}, "two standard deviations"),
        ({"msi_wavelengths": [500]}, "2 bands but 1 wavelengths"),
        ({"lr_valid": np.ones((3, 3))}, "lr_valid has shape"),
        ({"hr_msi": np.full((8, 12, 2), np.nan)}, "the HrMSI holds"),
    ],
)
def test_a_pair_whose_parts_do_not_fit_is_refused(change, words):
    good = {
        "lr_hsi": np.ones((2, 3, 5)),
        "hr_msi": np.ones((8, 12, 2)),
        "ratio": 4,
        "wavelengths": [450, 500, 550, 600, 650],
    }
    ObservedPair(**good)
    with pytest.raises(InputError, match=words):
        ObservedPair(**{**good, **change})


def test_a_ratio_far_too_large_fails_before_its_psf_is_made(scene):
    with pytest.raises(InputError, match="ratio 1000000 is larger than"):
        simulate(scene, 1_000_000)


@pytest.mark.parametrize("given", ["jasper_ridge", np.ones((8, 8, 3)), None])
def test_only_a_scene_is_degraded(given):
    with pytest.raises(InputError, match="a Scene is needed; make one with load_scene"):
        simulate(given)


@pytest.mark.parametrize("sensor", [None, 5, ["worldview2"]])
def test_a_sensor_that_is_no_name_is_one_sentence(scene, sensor):
    with pytest.raises(InputError, match="is not known"):
        simulate(scene, sensor=sensor)


@pytest.mark.parametrize("noise", [3, (np.nan, 0.1), (0.1, np.inf), (-0.1, 0.1), (0.1,)])
def test_noise_is_two_finite_levels(noise):
    with pytest.raises(InputError, match="two standard deviations"):
        ObservedPair(np.ones((2, 2, 2)), np.ones((4, 4, 1)), 2, [500, 600], noise=noise)
