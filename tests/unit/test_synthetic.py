"""The embedded scene: exact, deterministic, and with twins that an MSI cannot tell apart."""

import numpy as np
import pytest

from hsisr_lite.degradation.srf import sensor_srf
from hsisr_lite.scenes.spectra import MATERIALS, METAMERS, endmembers
from hsisr_lite.scenes.synthetic import synthetic_scene


@pytest.fixture(scope="module")
def scene():
    return synthetic_scene()


def test_the_mixing_model_is_exact(scene):
    """Against the closed forms in float64: the scene's float32 leaves 1e-7 of values up to 0.6."""
    spectra = endmembers(scene.wavelengths)
    np.testing.assert_allclose(scene.endmembers, spectra, atol=1e-7)
    mixed = scene.abundances.astype(np.float64) @ spectra
    np.testing.assert_allclose(scene.cube, mixed, atol=3e-7)
    np.testing.assert_allclose(scene.abundances.sum(axis=-1), 1, atol=1e-6)  # float32 rounding
    assert scene.abundances.min() >= 0


def test_every_material_is_present_and_plausible(scene):
    assert scene.meta["materials"] == list(MATERIALS) and len(MATERIALS) >= 6
    assert (scene.abundances.max(axis=(0, 1)) > 0.25).all()
    assert scene.endmembers.min() > 0 and scene.endmembers.max() < 0.7
    # Smooth: even on the red edge, from one band to the next a spectrum moves by under 0.2.
    assert np.abs(np.diff(scene.endmembers, axis=1)).max() < 0.2


def test_shape_and_range(scene):
    assert scene.cube.shape == (96, 96, 99)
    assert scene.wavelengths[0] == 400 and scene.wavelengths[-1] > 2380
    for low, high in ((1350, 1430), (1800, 1950)):
        assert not ((scene.wavelengths > low) & (scene.wavelengths < high)).any()


def test_the_same_seed_gives_the_same_scene(scene):
    np.testing.assert_array_equal(scene.cube, synthetic_scene(0).cube)
    assert not np.array_equal(scene.cube, synthetic_scene(1).cube)


@pytest.mark.parametrize("twins", METAMERS, ids=" and ".join)
def test_metamers_look_alike_to_worldview2_only(scene, twins):
    one, other = (scene.endmembers[list(MATERIALS).index(name)] for name in twins)
    srf = sensor_srf("worldview2", scene.wavelengths).srf
    # Equal to the last bit below 1100 nm; WorldView-2's tail ends before.
    assert np.abs(srf @ (one - other)).max() < 1e-7
    assert np.abs(one - other).max() > 0.1
    with pytest.warns(UserWarning, match="B10"):
        short_wave = sensor_srf("sentinel2", scene.wavelengths).srf
    assert np.abs(short_wave @ (one - other)).max() > 0.05


def test_metamer_pixels_are_a_good_part_of_the_scene(scene):
    assert 0.1 < scene.meta["metamer_mask"].mean() < 0.5
