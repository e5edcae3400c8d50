"""Each metric against a case that can be worked out by hand."""

import warnings

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
    for peak in (0, -1, np.nan, np.inf):
        with pytest.raises(InputError, match="a positive number is needed"):
            metrics.psnr(x, p, peak=peak)
    with pytest.raises(InputError, match="'band', 'global' or a number"):
        metrics.psnr(x, p, peak="loudest")


def test_psnr_leaves_out_bands_without_a_peak():
    x = np.zeros((4, 4, 2))
    x[..., 0] = 1
    assert metrics.psnr(x, x + 0.1) == pytest.approx(20)
    with pytest.raises(InputError, match="largest value of the reference is 0"):
        metrics.psnr(0 * x, x)


def test_one_perfect_band_does_not_make_the_mean_infinite(cube):
    """A band that is constant in both images would hide every error in the others."""
    p = cube + 0.1
    p[..., 2] = cube[..., 2]
    others = [0, 1, 3, 4]
    assert metrics.psnr(cube, p) == pytest.approx(metrics.psnr(cube[..., others], p[..., others]))


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
def test_a_constant_reference_has_no_correlation_and_a_constant_estimate_none_to_show(cube, level):
    """0.1 is not exact in binary: its mean leaves rounding, which is no structure."""
    half = np.dstack([np.full(cube.shape[:2], level), cube[..., 0]])
    assert metrics.cc(half, half) == pytest.approx(1)
    assert metrics.cc(half, np.full_like(half, level)) == 0
    assert metrics.cc(cube[..., :2], half) < 0.6  # one band of two says nothing
    with pytest.raises(InputError, match="every band of the reference is constant"):
        metrics.cc(half[..., :1], cube[..., :1])


def test_snr_and_rmse_of_a_known_gain(cube):
    assert metrics.snr(cube, 1.1 * cube) == pytest.approx(20)
    assert metrics.rmse(cube, cube + 0.3) == pytest.approx(0.3)


def test_mrae_floor_keeps_dark_pixels_from_deciding():
    x = np.ones((2, 2, 1))
    x[0, 0] = 0
    assert metrics.mrae(x, x + 0.001, floor=1e-3) == pytest.approx((1 + 3 * 0.001) / 4)


def test_mrae_is_the_mean_of_its_map(cube):
    p = cube * np.linspace(0.5, 2, 5)
    by_hand = np.abs(cube - p) / np.maximum(cube, 0.3)
    assert metrics.mrae_map(cube, p, floor=0.3) == pytest.approx(by_hand.mean(axis=2))
    assert metrics.mrae(cube, p, floor=0.3) == pytest.approx(by_hand.mean())
    for floor in (0, -1, np.nan):
        with pytest.raises(InputError, match="floor is"):
            metrics.mrae(cube, p, floor=floor)


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


def test_a_constant_patch_in_a_lively_band_is_no_structure(cube):
    """Running sums leave rounding in the patch; taken for structure, it would be any number."""
    x = np.pad(cube, ((0, 20), (0, 0), (0, 0)), constant_values=0.3)
    p = x + 0.1 * np.pad(cube[::-1], ((0, 20), (0, 0), (0, 0)))
    whole = metrics.uiqi(x, p)
    # Windows 20 to 32 lie in the patch, where both are equal and count 1.
    above, share = metrics.uiqi(x[:27], p[:27]), 13 / 33
    assert whole == pytest.approx(share + (1 - share) * above, rel=1e-9)


def test_every_score_is_finite_on_an_ordinary_image(cube):
    scores = metrics.score(cube, cube + 0.01, 4)
    assert list(scores) == ["psnr", "sam", "ergas", "cc", "rmse", "uiqi", "ssim"]
    assert np.isfinite(list(scores.values())).all()


def test_score_crops_as_simulate_does(cube):
    small = cube[:16, :20]
    assert metrics.score(cube, small, 8)["rmse"] == 0
    with pytest.raises(InputError, match="has shape"):
        metrics.score(cube, cube[:12, :24], 8)


AWKWARD = {
    "ordinary": lambda x, p: (x, p),
    "identical": lambda x, p: (x, x),
    "a constant band in the reference": lambda x, p: (x * [0, 1, 1] + [0.1, 0, 0], p),
    "a constant band in the estimate": lambda x, p: (x, p * [0, 1, 1] + [0.1, 0, 0]),
    "a constant band in both": lambda x, p: (x * [0, 1, 1] + [0.1, 0, 0],) * 2,
    "a zero band": lambda x, p: (x * [0, 1, 1], p),
    "every band constant": lambda x, p: (0 * x + [0.1, 0.2, 0.3], p),
    "an estimate of constants": lambda x, p: (x, 0 * x + 0.5),
    "zero pixels": lambda x, p: (x * (x[..., :1] > 0.4), p * (x[..., :1] > 0.3)),
    "a reference of zeros": lambda x, p: (0 * x, p),
    "an estimate of zeros": lambda x, p: (x, 0 * x),
    "only zeros": lambda x, p: (0 * x, 0 * x),
    "negative values": lambda x, p: (x - 0.5, p - 0.5),
    "only negative values": lambda x, p: (-x, -p),
    "a mean of zero": lambda x, p: (x - x.mean(axis=(0, 1)), p),
    "one band": lambda x, p: (x[..., :1], p[..., :1]),
    "smaller than a window": lambda x, p: (x[:4, :4], p[:4, :4]),
    "one pixel": lambda x, p: (x[:1, :1], p[:1, :1]),
    "tiny values": lambda x, p: (1e-30 * x, 1e-30 * p),
    "digital numbers": lambda x, p: (1e4 * x, 1e4 * p),
    "integers": lambda x, p: ((100 * x).astype(np.int16), (100 * p).astype(np.int16)),
    "NaN": lambda x, p: (np.where(x > 0.9, np.nan, x), p),
    "infinity": lambda x, p: (x, np.where(x > 0.9, np.inf, p)),
}
EVERY = {
    "cc": metrics.cc,
    "ergas": lambda x, p: metrics.ergas(x, p, 4),
    "mrae": metrics.mrae,
    "mrae_map": metrics.mrae_map,
    "psnr": metrics.psnr,
    "psnr, global": lambda x, p: metrics.psnr(x, p, peak="global"),
    "psnr, 1": lambda x, p: metrics.psnr(x, p, peak=1.0),
    "rmse": metrics.rmse,
    "sam": metrics.sam,
    "snr": metrics.snr,
    "ssim": metrics.ssim,
    "uiqi": metrics.uiqi,
    "d_lambda": lambda x, p: metrics.d_lambda(p, x[::2, ::2]),
    "d_s": lambda x, p: metrics.d_s(p, x[::2, ::2], x[..., :1]),
    "qnr": lambda x, p: metrics.qnr(p, x[::2, ::2], x[..., :1]),
}


@pytest.mark.parametrize("kind", AWKWARD)
@pytest.mark.parametrize("name", EVERY)
def test_a_metric_is_a_number_or_one_sentence(name, kind):
    """Infinite only for PSNR and SNR of an estimate without error; never NaN; no numpy warning."""
    rng = np.random.default_rng(7)
    x, p = AWKWARD[kind](rng.random((16, 16, 3)), rng.random((16, 16, 3)))
    try:
        value = EVERY[name](x, p)
    except InputError as error:
        assert "needed" in str(error) and str(error).count("\n") == 0
        assert kind not in ("ordinary", "identical", "digital numbers", "integers")
    else:
        perfect = np.array_equal(x, p) and name.startswith(("psnr", "snr"))
        assert np.all(np.isposinf(value) if perfect else np.isfinite(value))
        assert kind not in ("NaN", "infinity")


@pytest.mark.parametrize("kind", sorted(AWKWARD.keys() - {"NaN", "infinity"}))
def test_score_leaves_out_what_does_not_exist_and_says_so(kind):
    rng = np.random.default_rng(7)
    x, p = AWKWARD[kind](rng.random((16, 16, 3)), rng.random((16, 16, 3)))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        scores = metrics.score(x, p, 4)
    missing = {"psnr", "sam", "ergas", "cc", "rmse", "uiqi", "ssim"} - scores.keys()
    assert {str(word.message).split()[0] for word in heard} == missing
    assert not any("is left out" not in str(word.message) for word in heard)
    assert not np.isnan(list(scores.values())).any()
    assert "rmse" in scores and (not missing or kind not in ("ordinary", "identical", "one band"))


def test_what_stands_in_invalid_pixels_has_no_influence_even_nan(cube):
    valid = np.ones(cube.shape[:2], bool)
    valid[5:8, 3:9] = False
    p, broken = cube + 0.05, cube.copy()
    broken[~valid] = np.nan
    wanted = metrics.score(cube, p, 4, valid=valid)
    for x, guess in ((broken, p), (cube, np.where(valid[..., None], p, np.inf))):
        assert metrics.score(x, guess, 4, valid=valid) == wanted


def test_score_counts_valid_pixels_only(cube):
    valid = np.ones(cube.shape[:2], bool)
    valid[:3] = False
    broken = cube + 0.01
    spoiled = np.where(valid[..., None], broken, 99.0)
    one, other = (metrics.score(cube, p, 4, valid=valid) for p in (broken, spoiled))
    assert one == other
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
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert metrics.score(x, p, 4, valid=valid).keys() == {"psnr", "sam", "ergas", "rmse"}
    said = [str(word.message) for word in heard]
    assert [word.split(" is")[0] for word in said] == ["cc", "uiqi", "ssim"]
    assert "no window of 8 x 8" in said[1] and "no window of 7 x 7" in said[2]


@pytest.mark.parametrize("metric", [metrics.uiqi, metrics.ssim])
def test_window_metrics_refuse_images_smaller_than_their_window(metric):
    tiny = np.ones((5, 5, 1))
    with pytest.raises(InputError, match="are needed for one window"):
        metric(tiny, tiny)


def test_ssim_needs_a_range():
    flat = np.ones((8, 8, 1))
    for data_range in (0, -1, np.nan):
        with pytest.raises(InputError, match="data_range is"):
            metrics.ssim(flat, flat, data_range)


def test_nan_is_an_error(cube):
    spoiled = cube.copy()
    spoiled[2, 3, 1] = np.nan
    with pytest.raises(InputError, match="row 2, column 3, band 1"):
        metrics.score(cube, spoiled, 4)
