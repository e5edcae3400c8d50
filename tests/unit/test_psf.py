"""The Gaussian PSF: width, direction and, above all, phase."""

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import psf_centre
from hsisr_lite.degradation.psf import FWHM_TO_SIGMA, gaussian_psf


@pytest.mark.parametrize("ratio", range(1, 17))
@pytest.mark.parametrize("extra", [0, 1, 4, 7])
def test_block_phase_is_centred_on_the_block(ratio, extra):
    """An odd surplus gives the window a pixel more on one side: the centre must not follow it."""
    psf = gaussian_psf(ratio, size=ratio + extra, fwhm=0.3)  # narrow: nothing is cut off
    middle = (ratio - 1) / 2
    assert psf_centre(psf, ratio) == pytest.approx((middle, middle), abs=1e-6)


@pytest.mark.parametrize("ratio", [2, 4, 5, 8])
def test_pixel_phase_is_centred_on_pixel_half_the_size(ratio):
    psf = gaussian_psf(ratio, fwhm=0.3, phase="pixel")
    assert np.unravel_index(psf.argmax(), psf.shape) == (ratio // 2, ratio // 2)
    assert psf.max() > 0.99


def test_half_the_peak_lies_half_a_width_away():
    psf = gaussian_psf(1, fwhm=10, size=41)
    assert psf[20, 25] / psf[20, 20] == pytest.approx(0.5, rel=1e-4)  # FWHM_TO_SIGMA has 6 digits


def test_the_long_axis_turns_counter_clockwise_from_the_rows():
    for angle, row, col in ((0, 0, 5), (90, 5, 0), (45, -4, 4), (135, 4, 4)):
        psf = gaussian_psf(1, fwhm=8, elongation=2, angle=angle, size=21)
        assert psf[10 + row, 10 + col] > 3 * psf[10 + col, 10 - row], angle


def test_the_short_axis_is_shorter_by_the_elongation():
    psf = gaussian_psf(1, fwhm=6, elongation=3, size=41)
    index = np.arange(41) - 20
    sd = [np.sqrt((psf.sum(axis=axis) * index**2).sum()) for axis in (0, 1)]
    assert sd[0] == pytest.approx(6 / FWHM_TO_SIGMA, rel=1e-6)
    assert sd[0] / sd[1] == pytest.approx(3, rel=1e-3)  # the short sd is 0.85 pixel: sampling


def test_sums_are_one_even_for_kernels_far_narrower_than_a_pixel():
    for fwhm in (1e-3, 0.1, 4, 1e6):
        assert gaussian_psf(4, fwhm=fwhm).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    "wrong",
    [{"fwhm": 0}, {"fwhm": np.nan}, {"elongation": 0.5}, {"phase": "corner"}, {"size": 0},
     {"angle": np.nan}, {"angle": np.inf}],
)  # fmt: skip
def test_settings_that_make_no_kernel_are_refused(wrong):
    with pytest.raises(InputError, match="needed"):
        gaussian_psf(4, **wrong)


def test_the_published_anisotropic_kernel(reference_folder):
    """An independent file: sd 0.42 r and 0.19 r, pixel phase, 35 degrees from a column."""
    wanted = np.load(reference_folder / "daem_samson_wv2_r8.npz")["psf"]
    psf = gaussian_psf(
        8, fwhm=0.42 * 8 * FWHM_TO_SIGMA, elongation=0.42 / 0.19, angle=35 - 90, phase="pixel"
    )
    np.testing.assert_allclose(psf, wanted, atol=2e-7)  # the file was written from float32
