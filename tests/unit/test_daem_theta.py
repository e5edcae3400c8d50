"""Theta first: PSF and SRF from the cross-consistency of a pair, without a network."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run
from hsisr_lite.daem.theta import learn_theta, nnls_start, nominal_start
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator

RUN = Run()
BANDS, MSI_BANDS = 30, 4
CENTRES = np.linspace(0, BANDS - 1, MSI_BANDS + 2)[1:-1]


def textured(rows=48, cols=48, materials=12, seed=0):
    """Smooth peaks in the spectrum, speckled in space: it tells both PSF and SRF."""
    rng = np.random.default_rng(seed)
    peaks = np.linspace(0, 1, materials)[:, None]
    spectra = 0.1 + 0.6 * np.exp(-(((np.linspace(0, 1, BANDS) - peaks) / 0.09) ** 2))
    shares = rng.dirichlet(np.full(materials, 0.3), (rows, cols))
    cube = gaussian_filter(shares, (0.7, 0.7, 0)) @ spectra
    return cube + 0.002 * rng.standard_normal(cube.shape)  # of full rank, as real scenes are


def peaks(width=2.5):
    srf = np.exp(-0.5 * ((np.arange(BANDS) - CENTRES[:, None]) / width) ** 2)
    return srf / srf.sum(axis=1, keepdims=True)


def pair_of(true, ratio=4, cube=None, **known):
    cube = textured() if cube is None else cube
    images = SpatialOperator(true, ratio).A(cube), SpectralOperator(peaks()).A(cube)
    return hl.ObservedPair(*images, ratio, np.linspace(450, 900, BANDS), **known)


def error(found, true):
    return np.linalg.norm(found - true) / np.linalg.norm(true)


TILTED = hl.gaussian_psf(4, fwhm=4, elongation=2.2, angle=35, phase="pixel")
WIDE = hl.gaussian_psf(4, fwhm=5, elongation=1.5, angle=-40, size=8)
NARROW = hl.gaussian_psf(4, fwhm=1.0)
SINGLE = hl.gaussian_psf(4, fwhm=0.01, phase="pixel")


@pytest.mark.parametrize(
    "psf", [TILTED, WIDE, NARROW, SINGLE], ids=["tilted, off centre", "wide", "narrow", "single"]
)
def test_a_blind_pair_tells_its_psf_srf_and_size(psf):
    """The kernel is as wide as it must be: 2 r for the wide one, r where both explain alike."""
    theta = learn_theta(pair_of(psf), RUN)
    assert theta.psf.shape == psf.shape
    assert error(theta.psf, psf) <= 0.01
    assert error(theta.srf, peaks()) <= 0.2
    assert theta.learned == 4 + 2 + 8 * MSI_BANDS
    assert theta.psf.dtype == theta.srf.dtype == np.float64
    assert theta.psf.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(theta.srf.sum(axis=1), 1, atol=1e-12)
    assert len(theta.history) == 1000 and theta.loss < 0.1 * theta.history[0]
    assert any("PSF" in note for note in theta.notes) and any("SRF" in n for n in theta.notes)


def test_the_sensors_band_centres_are_a_start_too():
    """Nominal centres, 15 nm off: they are where learning starts, not what it must find."""
    wavelengths = np.linspace(450, 900, BANDS)
    nominal = np.interp(CENTRES, np.arange(BANDS), wavelengths) + 15
    pair = pair_of(TILTED, msi_wavelengths=nominal)
    theta = learn_theta(pair, RUN, size=4)
    assert error(theta.psf, TILTED) <= 0.01 and error(theta.srf, peaks()) <= 0.2


def test_the_loss_is_that_of_the_degradations_returned():
    """|Y S^T - P Z|, by the package's operators; float32 against float64: 1e-6 of values near 1."""
    pair = pair_of(TILTED)
    theta = learn_theta(pair, RUN, size=8, steps=30)
    left = SpatialOperator(theta.psf, 4).A(pair.hr_msi) - pair.lr_hsi @ theta.srf.T
    assert theta.loss == pytest.approx(np.abs(left).mean(), abs=1e-6)
    assert len(theta.history) == 30 and theta.psf.shape == (8, 8)


def test_what_a_pair_knows_is_kept():
    psf_known = learn_theta(pair_of(WIDE, psf=WIDE), RUN, steps=300)
    np.testing.assert_allclose(psf_known.psf, WIDE, atol=1e-15)  # the pair's own, normalised
    assert psf_known.learned == 8 * MSI_BANDS and error(psf_known.srf, peaks()) <= 0.2
    assert len(psf_known.notes) == 1 and "SRF" in psf_known.notes[0]
    srf_known = learn_theta(pair_of(TILTED, srf=peaks()), RUN, steps=500)
    np.testing.assert_allclose(srf_known.srf, peaks(), atol=1e-15)
    assert srf_known.learned == 6 and error(srf_known.psf, TILTED) <= 0.01
    assert len(srf_known.notes) == 1 and "PSF" in srf_known.notes[0]
    known = pair_of(TILTED, psf=TILTED, srf=peaks())
    both = learn_theta(known, RUN)
    assert both.learned == 0 and both.notes == [] and len(both.history) == 0
    assert both.psf is known.psf and both.srf is known.srf


def test_a_fixed_centre_stays_where_the_published_one_is():
    """At pixel k // 2 = 2 a symmetric kernel weighs its neighbours 1 and 3 alike."""
    pair = pair_of(TILTED, srf=peaks())
    fixed = learn_theta(pair, RUN, size=4, centre="fixed", steps=500)
    assert fixed.learned == 4
    assert error(fixed.psf, TILTED) <= 0.01  # this one is centred there
    block = hl.gaussian_psf(4, elongation=2.2, angle=35)  # and this one is not
    pair = pair_of(block, srf=peaks())
    fixed = learn_theta(pair, RUN, size=4, centre="fixed", steps=300).psf
    assert error(fixed, block) > 0.05
    for one, other in (((2, 1), (2, 3)), ((1, 2), (3, 2)), ((1, 1), (3, 3)), ((1, 3), (3, 1))):
        assert fixed[one] == pytest.approx(fixed[other], rel=1e-4)  # float32
    free = learn_theta(pair, RUN, size=4, steps=500)
    assert error(free.psf, block) <= 0.01


def test_an_odd_ratio_and_a_size_between_are_learned_too():
    psf = hl.gaussian_psf(3, fwhm=3, elongation=1.4, angle=20, size=5)
    theta = learn_theta(pair_of(psf, 3, srf=peaks()), RUN, size=5, steps=600)
    assert theta.psf.shape == (5, 5) and error(theta.psf, psf) <= 0.01


def test_noise_does_not_make_the_kernel_wide():
    """40 dB: what is left is noise for both sizes, so the smaller stays."""
    rng = np.random.default_rng(0)
    pair = pair_of(TILTED, srf=peaks())
    noisy = [i + 0.01 * i.std() * rng.standard_normal(i.shape) for i in (pair.lr_hsi, pair.hr_msi)]
    theta = learn_theta(replace(pair, lr_hsi=noisy[0], hr_msi=noisy[1]), RUN, steps=400)
    assert theta.psf.shape == (4, 4) and error(theta.psf, TILTED) <= 0.05


def test_it_is_the_same_each_time_and_leaves_the_pair_alone():
    pair = pair_of(TILTED)
    before = pair.lr_hsi.copy(), pair.hr_msi.copy()
    first, again = (learn_theta(pair, RUN, size=4, steps=20) for _ in range(2))
    np.testing.assert_array_equal(first.psf, again.psf)
    np.testing.assert_array_equal(first.srf, again.srf)
    np.testing.assert_array_equal(before[0], pair.lr_hsi)
    np.testing.assert_array_equal(before[1], pair.hr_msi)


def test_pixels_without_data_teach_nothing():
    lr_valid, hr_valid = np.ones((12, 12), bool), np.ones((48, 48), bool)
    lr_valid[3:5, 3:6], hr_valid[30:34, 8:20] = False, False
    found = []
    for rubbish in (0.0, 0.9):
        pair = pair_of(TILTED)
        lr_hsi, hr_msi = pair.lr_hsi.copy(), pair.hr_msi.copy()
        lr_hsi[~lr_valid], hr_msi[~hr_valid] = rubbish, rubbish
        pair = replace(pair, lr_hsi=lr_hsi, hr_msi=hr_msi, lr_valid=lr_valid, hr_valid=hr_valid)
        found.append(learn_theta(pair, RUN, steps=20))
    np.testing.assert_array_equal(found[0].psf, found[1].psf)
    np.testing.assert_array_equal(found[0].srf, found[1].srf)


def test_brightness_does_not_matter():
    """4096 is a power of two: not even rounding differs."""
    pair = pair_of(TILTED)
    bright = replace(pair, lr_hsi=4096 * pair.lr_hsi, hr_msi=4096 * pair.hr_msi)
    one, other = (learn_theta(p, RUN, size=4, steps=20) for p in (pair, bright))
    np.testing.assert_allclose(one.psf, other.psf, rtol=1e-5)
    np.testing.assert_allclose(one.srf, other.srf, atol=1e-5)
    assert other.loss == pytest.approx(4096 * one.loss, rel=1e-4)


def test_a_cube_of_low_rank_stops_nobody():
    """Ten materials, thirty bands, no noise: least squares for the SRF has many answers."""
    rng = np.random.default_rng(0)
    at, top = np.linspace(0, 1, BANDS), np.linspace(0, 1, 12)[:, None]
    spectra = 0.1 + 0.6 * np.exp(-(((at - top) / 0.09) ** 2))
    shares = gaussian_filter(rng.dirichlet(np.full(12, 0.3), (48, 48)), (0.7, 0.7, 0))
    for psf in (hl.gaussian_psf(4), TILTED):
        theta = learn_theta(pair_of(psf, cube=shares @ spectra), RUN, size=4, steps=20)
        assert np.isfinite(theta.psf).all() and np.isfinite(theta.srf).all()


def test_a_known_psf_smaller_than_the_block_is_used_as_it_is():
    small = hl.gaussian_psf(4, size=3, fwhm=2)
    theta = learn_theta(pair_of(small, psf=small), RUN, steps=300)
    np.testing.assert_allclose(theta.psf, small, atol=1e-7)
    assert error(theta.srf, peaks()) <= 0.2


def test_starts_lie_where_the_bands_are():
    start = nominal_start(np.linspace(400, 1000, 31), [500, 800])
    assert start.shape == (2, 4, 2)
    np.testing.assert_allclose(start[:, :, 0].mean(axis=1), [5, 20])
    assert (start[..., 1] > 0).all() and (np.diff(start[..., 0], axis=1) > 0).all()
    found = nnls_start(pair_of(TILTED), TILTED)
    assert found.shape == (MSI_BANDS, 4, 2)
    # within the truth's own width of 2.5 bands
    np.testing.assert_allclose(found[:, :, 0].mean(axis=1), CENTRES, atol=2.5)


@pytest.mark.parametrize("centre", ["middle", None, 2])
def test_an_unknown_centre_is_an_error(centre):
    with pytest.raises(InputError, match="'learned' or 'fixed' is needed"):
        learn_theta(pair_of(TILTED), RUN, centre=centre)


@pytest.mark.parametrize("size", [3, 0, -4, 4.0, "8"])
def test_a_size_below_the_block_is_an_error(size):
    with pytest.raises(InputError, match="at least the ratio, 4"):
        learn_theta(pair_of(TILTED), RUN, size=size)


def test_pixels_of_a_large_scene_are_drawn_from_all_of_it():
    """A fixed stride over 40,000 pixels would keep one column in ten."""
    from hsisr_lite.daem.theta import _usable

    pair = hl.ObservedPair(np.ones((200, 200, 3)), np.ones((400, 400, 2)), 2, [500, 600, 700])
    sizes, pixels = _usable(pair, [2, 4], seed=0)
    assert sizes == [2, 4] and len(set(pixels)) == 2048
    rows, cols = np.unravel_index(pixels, (200, 200))
    assert len(set(rows)) == len(set(cols)) == 200


def test_holes_everywhere_leave_the_kernel_of_the_block():
    """Every block next to a hole has data under a kernel of its own size, not under a wider one."""
    cube_pair = pair_of(TILTED)
    valid = np.ones(cube_pair.hr_msi.shape[:2], bool)
    valid[::8, ::8] = False
    theta = learn_theta(replace(cube_pair, hr_valid=valid), RUN, steps=50)
    assert theta.psf.shape == (4, 4)
