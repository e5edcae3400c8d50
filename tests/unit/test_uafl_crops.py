"""Synthetic crops: what a network is given of them must be what it would be given of the pair."""

import numpy as np
import pytest

import hsisr_lite as hl
from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.degradation.flows import inverse_flow, warp
from hsisr_lite.degradation.misregistration import Misregistration
from hsisr_lite.uafl.crops import Crops
from hsisr_lite.uafl.start import affine_start, bicubic_start
from hsisr_lite.unmixing.subspace import svd_subspace

STILL = Misregistration(0.0, 0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def pair():
    """Clean, with known sensors."""
    return hl.simulate(hl.load_scene("synthetic"), ratio=4, blind=False)


def crops_of(pair, make, misregistration=STILL, noise=(0.0, 0.0), size=32):
    """The crops of a pair, with noise of one level in all bands."""
    levels = tuple(
        np.full(image.shape[2], level)
        for image, level in zip((pair.lr_hsi, pair.hr_msi), noise, strict=True)
    )
    spectra = pair.lr_hsi.reshape(-1, pair.lr_hsi.shape[2])
    basis = svd_subspace(pair.lr_hsi, 4).basis
    start = make(pair, pair.psf)
    return Crops(spectra, pair.srf, basis, start, misregistration, levels, size, pair.hr_msi)


@pytest.mark.parametrize("make", [bicubic_start, affine_start])
@pytest.mark.parametrize("draw", ["draw", "draw_scene"])
def test_first_image_and_what_it_misses_add_up_to_the_truth(pair, make, draw):
    """Seen through the SRF, x + missing is the reference, where nothing has moved.

    With 40 bands each crop shows them all, and with K = 40 the abundances hold the whole of x.
    """
    few = hl.ObservedPair(
        pair.lr_hsi[..., :40], pair.hr_msi[..., :2], 4, pair.wavelengths[:40],
        psf=pair.psf, srf=pair.srf[:2, :40] / pair.srf[:2, :40].sum(axis=1, keepdims=True),
    )  # fmt: skip
    spectra = few.lr_hsi.reshape(-1, 40)
    basis = svd_subspace(few.lr_hsi, 40).basis  # all directions: abundances are the whole image
    quiet = (np.zeros(40), np.zeros(2))
    crops = Crops(spectra, few.srf, basis, make(few, few.psf), STILL, quiet, 32, few.hr_msi)
    crop = getattr(crops, draw)(np.random.default_rng(0))
    first = crop.abundances.astype(float) @ crop.endmembers
    truth = first + crop.missing
    # float32 sums of 40 bands
    assert np.abs(truth @ few.srf.T - crop.reference).max() < 2e-5


@pytest.mark.parametrize("make", [bicubic_start, affine_start])
def test_a_crop_is_degraded_as_the_pair_is(pair, make):
    """Its first image is what Start makes of the crop's own coarse image, away from the border."""
    crops = crops_of(pair, make, size=48)
    rng = np.random.default_rng(2)
    crop = crops.draw(rng)
    # The same leaves again, with all bands, through the public operators
    from hsisr_lite.degradation.operators import SpatialOperator
    from hsisr_lite.uafl.leaves import dead_leaves

    rng = np.random.default_rng(2)
    crops._few(rng)
    whole = dead_leaves(len(crops.inner), crops.spectra, rng)
    coarse = SpatialOperator(pair.psf, 4).A(whole)
    image = make(pair, pair.psf).image(whole @ pair.srf.T, coarse)
    inner = image[crops.margin : -crops.margin, crops.margin : -crops.margin]
    assert np.abs(inner @ crops.endmembers.T - crop.abundances).max() < 1e-4  # float32 inside


@pytest.mark.parametrize("ratio", [2, 3, 4])
@pytest.mark.parametrize("side", [1, 3, 5])
def test_a_crop_is_enlarged_as_bicubic_enlarges(ratio, side):
    """The matrix of a crop's inner pixels against upsample; a lopsided PSF moves both centres."""
    rng = np.random.default_rng(side)
    psf = rng.random((side, side))
    few = hl.ObservedPair(
        rng.random((4, 4, 5)), rng.random((4 * ratio, 4 * ratio, 2)), ratio,
        np.arange(500, 1000, 100), psf=psf / psf.sum(),
        srf=np.array([[0.5, 0.5, 0, 0, 0], [0, 0, 0, 0.5, 0.5]]),
    )  # fmt: skip
    crops = crops_of(few, bicubic_start, size=12)
    low = len(crops.inner) // ratio
    image = rng.random((low, low, 3))
    wanted = upsample(image, ratio, psf_centre(few.psf, ratio))[crops.inner]
    made = crops.enlarge @ image.reshape(low**2, 3)  # (inner pixels, 3)
    assert np.abs(made - wanted).max() < 1e-6  # 16 weights in float32


def test_the_reference_is_seen_through_the_stated_flow(pair):
    """Undone by the inverse of its flow, the reference is the sharp one: up to interpolation."""
    moving = crops_of(pair, bicubic_start, "realistic").draw_scene(np.random.default_rng(4))
    still = crops_of(pair, bicubic_start).draw_scene(np.random.default_rng(4))
    back = warp(moving.reference, inverse_flow(moving.flow))
    inner = (slice(6, -6),) * 2
    before = np.abs(moving.reference - still.reference)[inner].mean()
    after = np.abs(back - still.reference)[inner].mean()
    assert np.hypot(*moving.flow).mean() > 0.5
    assert after < before / 4  # two cubic interpolations of sharp edges are not exact


def test_noise_reaches_both_images(pair):
    """The same crop with and without: the differences have the stated deviations."""
    clean = crops_of(pair, bicubic_start).draw(np.random.default_rng(7))
    noisy = crops_of(pair, bicubic_start, noise=(0.0, 0.02)).draw(np.random.default_rng(7))
    assert (noisy.reference - clean.reference).std() == pytest.approx(0.02, rel=0.05)  # 8192 values
    noisy = crops_of(pair, bicubic_start, noise=(0.02, 0.0)).draw(np.random.default_rng(7))
    assert np.array_equal(noisy.reference, clean.reference)
    # A cubic enlargement keeps between a half and all of the variance of independent pixels
    assert 0.01 < (noisy.abundances - clean.abundances).std() < 0.02


def test_a_scene_smaller_than_a_crop_is_mirrored():
    """8 x 12 pixels, and crops of 16 beside margins of 8."""
    rng = np.random.default_rng(0)
    pair = hl.ObservedPair(
        rng.random((2, 3, 5)), rng.random((8, 12, 2)), 4, np.arange(500, 1000, 100),
        psf=np.full((4, 4), 1 / 16), srf=np.array([[0.5, 0.5, 0, 0, 0], [0, 0, 0, 0.5, 0.5]]),
    )  # fmt: skip
    crop = crops_of(pair, bicubic_start, size=16).draw_scene(rng)
    assert crop.reference.shape == (16, 16, 2)
    assert np.isfinite(crop.abundances).all()
