"""Each metric against a case that can be worked out by hand."""

import numpy as np
import pytest

from hsisr_lite import metrics
from hsisr_lite.arrays import InputError


@pytest.fixture
def cube():
    return 0.1 + np.random.default_rng(1).random((20, 24, 5))


def test_psnr_names_three_peaks():
    # Bands of maximum 1 and 0.5, error 0.1 everywhere: 20 dB and 13.98 dB.
    x = np.zeros((10, 10, 2))
    x[0, 0] = 1, 0.5
    p = x + 0.1
    quiet = 20 * np.log10(5)
    assert metrics.psnr(x, p) == pytest.approx((20 + quiet) / 2)
    assert metrics.psnr(x, p, peak="global") == pytest.approx(20)
    assert metrics.psnr(x, p, peak=2.0) == pytest.approx(20 * np.log10(20))
    assert metrics.psnr(x, x) == np.inf
    for peak in (0, -1, np.nan):
        with pytest.raises(InputError, match="a positive number is needed"):
            metrics.psnr(x, p, peak=peak)
    with pytest.raises(InputError, match="'band', 'global' or a number"):
        metrics.psnr(x, p, peak="loudest")


def test_psnr_leaves_out_bands_without_a_peak():
    x = np.zeros((4, 4, 2))
    x[..., 0] = 1
    assert metrics.psnr(x, x + 0.1) == pytest.approx(20)
    assert np.isnan(metrics.psnr(0 * x, x))


@pytest.mark.parametrize("angle", [1e-7, 1e-3, 30.0, 90.0, 180.0])
def test_sam_is_the_angle_between_spectra_even_when_tiny(angle):
    # 1e-7 degrees is far below what an arc cosine of float64 resolves (about 1e-6 degrees).
    x = np.tile([2.0, 0.0], (3, 3, 1))
    turn = np.deg2rad(angle)
    p = 5 * np.tile([np.cos(turn), np.sin(turn)], (3, 3, 1))
    assert metrics.sam(x, p) == pytest.approx(angle, rel=1e-6)


def test_sam_of_an_image_with_itself_is_zero_and_ignores_brightness(cube):
    assert metrics.sam(cube, cube) == 0
    assert metrics.sam(cube, 3 * cube) < 1e-6


def test_sam_passes_over_zero_references_and_counts_zero_estimates(cube):
    dark = cube.copy()
    dark[0, 0] = 0
    assert np.isnan(metrics.sam_map(dark, cube)[0, 0])
    assert metrics.sam(dark, cube) == 0
    assert metrics.sam_map(cube, dark)[0, 0] == pytest.approx(90)


def test_ergas_halves_when_the_ratio_doubles(cube):
    assert metrics.ergas(cube, cube + 0.1, 4) == pytest.approx(
        2 * metrics.ergas(cube, cube + 0.1, 8)
    )


def test_ergas_closed_form():
    # Means 1 and 2, errors 0.1 and 0.4: relative errors 0.1 and 0.2.
    x = np.tile([1.0, 2.0], (5, 5, 1))
    p = x + np.array([0.1, 0.4])
    assert metrics.ergas(x, p, 5) == pytest.approx(20 * np.sqrt((0.01 + 0.04) / 2))


def test_correlation_ignores_gain_and_offset(cube):
    assert metrics.cc(cube, 2 * cube + 1) == pytest.approx(1)
    assert metrics.cc(cube, 1 - cube) == pytest.approx(-1)


@pytest.mark.parametrize("level", [1.0, 0.1, 0.3, 0.7])
def test_a_constant_band_has_no_correlation(cube, level):
    """0.1 is not exact in binary: its mean leaves rounding, which is no structure."""
    half = np.dstack([np.full(cube.shape[:2], level), cube[..., 0]])
    assert metrics.cc(half, half) == pytest.approx(1)
    assert np.isnan(metrics.cc(half[..., :1], cube[..., :1]))


def test_snr_and_rmse_of_a_known_gain(cube):
    assert metrics.snr(cube, 1.1 * cube) == pytest.approx(20)
    assert metrics.rmse(cube, cube + 0.3) == pytest.approx(0.3)


def test_mrae_floor_keeps_dark_pixels_from_deciding():
    x = np.ones((2, 2, 1))
    x[0, 0] = 0
    assert metrics.mrae(x, x + 0.001, floor=1e-3) == pytest.approx((1 + 3 * 0.001) / 4)


def test_uiqi_closed_forms(cube):
    # Only a gain: covariance g v, variances v and g^2 v, so Q = (2 g / (1 + g^2))^2.
    gain = 1.5
    wanted = (2 * gain / (1 + gain**2)) ** 2
    assert metrics.uiqi(cube, gain * cube) == pytest.approx(wanted, rel=1e-9)
    assert metrics.uiqi(cube, cube) == pytest.approx(1, abs=1e-12)


def test_uiqi_equals_wang_and_bovik_window_by_window(cube):
    p = cube + 0.2 * np.random.default_rng(2).standard_normal(cube.shape)
    values = []
    for row in range(20 - 7):
        for col in range(24 - 7):
            a = cube[row : row + 8, col : col + 8].reshape(64, 5)
            b = p[row : row + 8, col : col + 8].reshape(64, 5)
            cov = ((a - a.mean(0)) * (b - b.mean(0))).mean(0)
            values.append(
                4 * cov * a.mean(0) * b.mean(0)
                / ((a.var(0) + b.var(0)) * (a.mean(0) ** 2 + b.mean(0) ** 2))
            )  # fmt: skip
    assert metrics.uiqi(cube, p) == pytest.approx(np.mean(values), rel=1e-10)


def test_constant_bands_have_a_quality():
    flat = np.full((12, 12, 2), 0.3)
    assert metrics.uiqi(flat, flat) == 1
    assert metrics.uiqi(flat, 2 * flat) == 0
    assert metrics.ssim(flat, flat) == 1


def test_every_score_is_finite_on_an_ordinary_image(cube):
    scores = metrics.score(cube, cube + 0.01, 4)
    assert list(scores) == ["psnr", "sam", "ergas", "cc", "rmse", "uiqi", "ssim"]
    assert np.isfinite(list(scores.values())).all()


def test_score_crops_as_simulate_does(cube):
    small = cube[:16, :20]
    assert metrics.score(cube, small, 8)["rmse"] == 0
    with pytest.raises(InputError, match="has shape"):
        metrics.score(cube, cube[:12, :24], 8)


def test_score_counts_valid_pixels_only(cube):
    valid = np.ones(cube.shape[:2], bool)
    valid[:3] = False
    broken = cube + 0.01
    spoiled = np.where(valid[..., None], broken, 99.0)
    one, other = (metrics.score(cube, p, 4, valid=valid) for p in (broken, spoiled))
    # Running sums carry the rounding of the value 99 along a row: 1e-10 at most.
    assert one == pytest.approx(other, rel=1e-9)
    assert one["rmse"] == pytest.approx(0.01)


def test_windows_that_touch_invalid_pixels_do_not_count():
    """Two unrelated images are unrelated, however few pixels count; nothing counts as perfect."""
    rng = np.random.default_rng(4)
    x, p = rng.random((40, 40, 3)), rng.random((40, 40, 3))
    valid = np.zeros((40, 40), bool)
    valid[10:24, 5:25] = True
    scores = metrics.score(x, p, 4, valid=valid)
    cut = metrics.score(x[10:24, 5:25], p[10:24, 5:25], 4)
    assert scores == pytest.approx(cut, rel=1e-9)
    assert abs(scores["uiqi"]) < 0.1
    valid[:] = False
    valid[3, 3] = True  # no window of 8 x 8 fits into one pixel
    assert np.isnan(metrics.score(x, p, 4, valid=valid)["uiqi"])


@pytest.mark.parametrize("metric", [metrics.uiqi, metrics.ssim])
def test_window_metrics_refuse_images_smaller_than_their_window(metric):
    tiny = np.ones((5, 5, 1))
    with pytest.raises(InputError, match="are needed for one window"):
        metric(tiny, tiny)


def test_nan_is_an_error(cube):
    spoiled = cube.copy()
    spoiled[2, 3, 1] = np.nan
    with pytest.raises(InputError, match="row 2, column 3, band 1"):
        metrics.score(cube, spoiled, 4)
