"""What holds of all eight classical methods, whatever the pair."""

from dataclasses import replace

import numpy as np
import pytest

import hsisr_lite as hl
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.metrics import psnr

CLASSICAL = ["cnmf", "fuse", "hysure", "csu", "scott", "stereo", "gsomp", "cstf"]


def made_pair(cube, ratio, psf, srf, noise_sd=0.0, **known):
    """Observe a cube with given degradations; equal noise on both images."""
    rng = np.random.default_rng(0)
    images = (SpatialOperator(psf, ratio).A(cube), SpectralOperator(srf).A(cube))
    images = [image + noise_sd * rng.standard_normal(image.shape) for image in images]
    wavelengths = np.linspace(450, 900, cube.shape[2])
    return hl.ObservedPair(*images, ratio, wavelengths, psf=psf, srf=srf, **known)


def textured(rows, cols, bands, materials=4, seed=0):
    """A smooth mixture of smooth spectra: the kind of cube that all models claim to describe."""
    rng = np.random.default_rng(seed)
    at = np.linspace(0, 1, bands)
    centres, widths = rng.random((materials, 1)), 0.15 + 0.3 * rng.random((materials, 1))
    endmembers = 0.1 + 0.6 * np.exp(-(((at - centres) / widths) ** 2))
    y, x = np.mgrid[0:rows, 0:cols]
    waves = rng.uniform(0.1, 0.6, (materials, 2))
    abundances = np.stack([1.2 + np.sin(a * y + 3 * b) + np.cos(b * x) for a, b in waves], -1)
    abundances = abundances / abundances.sum(-1, keepdims=True)
    return abundances @ endmembers


def boxes(msi_bands, bands):
    """An SRF of equal boxes side by side."""
    srf = np.zeros((msi_bands, bands))
    for row, part in zip(srf, np.array_split(np.arange(bands), msi_bands), strict=True):
        row[part] = 1 / len(part)
    return srf


@pytest.mark.parametrize("method", CLASSICAL)
def test_every_method_is_far_better_than_bicubic_on_the_embedded_scene(method):
    """5 dB is what sharpness alone is worth there; 15 of it is seen with the MSI's help."""
    scene = hl.load_scene("synthetic")
    pair = hl.simulate(scene, ratio=4, blind=False)
    floor = psnr(scene.cube, hl.fuse(pair, "bicubic").hr_hsi)
    assert psnr(scene.cube, hl.fuse(pair, method, progress=False).hr_hsi) > floor + 5


@pytest.mark.parametrize("msi_bands", [3, 6])
@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("method", CLASSICAL)
def test_a_wide_tilted_psf_is_taken_into_account(method, noise, msi_bands):
    """Twice the block, elongated, at 30 degrees: nobody's favourite, and all must stay useful."""
    cube = textured(48, 64, 40)
    psf = hl.gaussian_psf(4, fwhm=5, elongation=1.6, angle=30, size=8)
    pair = made_pair(cube, 4, psf, boxes(msi_bands, 40), noise)
    floor = psnr(cube, hl.fuse(pair, "bicubic").hr_hsi)
    assert psnr(cube, hl.fuse(pair, method, progress=False).hr_hsi) > floor


@pytest.mark.parametrize("method", CLASSICAL)
def test_a_cleaner_msi_never_costs_much(method):
    """Weights follow the noise. 2 dB: STEREO keeps more and fainter cubes, whose spectra it gets
    from an LrHSI that is no cleaner than before; without weights it lost ten on another scene.
    """
    scene = hl.load_scene("synthetic")
    clean = hl.simulate(scene, ratio=4, blind=False)
    rng = np.random.default_rng(2)
    grain_y, grain_z = (rng.standard_normal(image.shape) for image in (clean.lr_hsi, clean.hr_msi))
    found = []
    for sd_z in (0.01, 0.001):
        noisy = replace(
            clean,
            lr_hsi=clean.lr_hsi + 0.02 * grain_y,
            hr_msi=clean.hr_msi + sd_z * grain_z,
            noise=(0.02, sd_z),
        )
        found.append(psnr(scene.cube, hl.fuse(noisy, method, progress=False).hr_hsi))
    assert found[1] > found[0] - 2


@pytest.mark.parametrize("method", CLASSICAL)
def test_rows_and_columns_have_the_same_rights(method):
    """A long scene and the same on its side: half a decibel for what is random."""
    cube = textured(24, 96, 20, materials=8)
    psf, srf = hl.gaussian_psf(4), boxes(5, 20)
    found = []
    for turned in (cube, cube.transpose(1, 0, 2)):
        image = hl.fuse(made_pair(turned, 4, psf, srf), method, progress=False).hr_hsi
        found.append(psnr(turned, image))
    assert abs(found[0] - found[1]) < 0.5


def awkward_pairs():
    rng = np.random.default_rng(5)
    ordinary, many_bands = textured(24, 24, 20), textured(24, 16, 250)
    psf, srf = hl.gaussian_psf(4), boxes(4, 20)
    flat, dark, loud = ordinary.copy(), ordinary.copy(), ordinary.copy()
    flat[..., 7] = 0.25
    dark[4:12, 4:12] = 0
    loud += 0.05 * rng.standard_normal(loud.shape) - 0.1
    return {
        "a constant band": made_pair(flat, 4, psf, srf),
        "a dark square": made_pair(dark, 4, psf, srf),
        "negative values": made_pair(loud, 4, psf, srf),
        "values of 3000": made_pair(3000 * ordinary, 4, psf, srf),
        "one constant": made_pair(np.full((16, 16, 9), 0.4), 4, psf, boxes(3, 9)),
        "two coarse pixels": made_pair(textured(4, 8, 20), 4, psf, srf),
        "bands of both alike": made_pair(textured(24, 24, 6), 4, psf, np.eye(6)),
        "one MSI band": made_pair(ordinary, 4, psf, boxes(1, 20)),
        "ratio 1": made_pair(ordinary, 1, np.ones((1, 1)), srf),
        "more bands than pixels": made_pair(many_bands, 8, hl.gaussian_psf(8), boxes(5, 250)),
        "noise that is known": made_pair(ordinary, 4, psf, srf, 0.01, noise=(0.01, 0.01)),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*are negative")
@pytest.mark.parametrize("case", list(awkward_pairs()))
@pytest.mark.parametrize("method", CLASSICAL)
def test_an_awkward_pair_gives_a_finite_image_of_its_own_size(method, case):
    pair = awkward_pairs()[case]
    image = hl.fuse(pair, method, progress=False).hr_hsi
    assert image.shape == (*pair.hr_msi.shape[:2], pair.lr_hsi.shape[2])
    assert np.isfinite(image).all()
    largest = max(np.abs(pair.lr_hsi).max(), np.abs(pair.hr_msi).max())
    assert np.abs(image).max() < 10 * largest  # nothing has exploded


def pairs_with_a_hole():
    """A cube, where it holds data, and two pairs of it that differ only in what holds none."""
    cube = textured(32, 32, 20)
    holes = np.ones((32, 32), bool)
    holes[8:16, 12:20] = False
    low_holes = holes[::4, ::4]
    pairs = []
    for rubbish in (0.0, 0.9):
        pair = made_pair(cube, 4, hl.gaussian_psf(4), boxes(4, 20))
        lr_hsi, hr_msi = pair.lr_hsi.copy(), pair.hr_msi.copy()
        lr_hsi[~low_holes], hr_msi[~holes] = rubbish, rubbish
        masks = {"lr_valid": low_holes, "hr_valid": holes}
        pairs.append(replace(pair, lr_hsi=lr_hsi, hr_msi=hr_msi, **masks))
    return cube, holes, pairs


@pytest.mark.parametrize("method", CLASSICAL)
def test_a_hole_without_data_does_not_reach_the_rest(method):
    """What stands under the mask is unknown to the method: the result elsewhere is the same."""
    cube, holes, pairs = pairs_with_a_hole()
    results = [hl.fuse(pair, method, progress=False) for pair in pairs]
    assert np.array_equal(results[0].valid, holes)
    np.testing.assert_array_equal(results[0].hr_hsi, results[1].hr_hsi)
    assert psnr(cube[holes][:, None], results[0].hr_hsi[holes][:, None]) > 20


@pytest.mark.parametrize("method", CLASSICAL)
def test_the_seed_decides_and_the_pair_is_left_alone(method):
    pair = made_pair(textured(24, 24, 20), 4, hl.gaussian_psf(4), boxes(4, 20))
    before = pair.lr_hsi.copy(), pair.hr_msi.copy()
    first, again = (hl.fuse(pair, method, seed=3, progress=False).hr_hsi for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert all(
        np.array_equal(a, b) for a, b in zip(before, (pair.lr_hsi, pair.hr_msi), strict=True)
    )


def test_pixels_without_data_take_their_nearest_neighbours_spectrum():
    cube = textured(16, 16, 8)
    valid = np.ones((16, 16), bool)
    valid[:, :3] = False
    pair = made_pair(cube, 4, hl.gaussian_psf(4), boxes(2, 8), hr_valid=valid)
    filled = prepare(pair).hr_msi
    np.testing.assert_array_equal(filled[:, 0], pair.hr_msi[:, 3])
    np.testing.assert_array_equal(filled[valid], pair.hr_msi[valid])
