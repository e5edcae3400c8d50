"""D_lambda, D_s and QNR: closed forms, and what must not change them."""

import numpy as np
import pytest

import hsisr_lite as hl
from hsisr_lite import metrics
from hsisr_lite.arrays import InputError


@pytest.fixture(scope="module")
def truth():
    return hl.load_scene("synthetic").cube[:, :, ::9].astype(np.float64)


@pytest.fixture(scope="module")
def pair(truth):
    centres = hl.load_scene("synthetic").wavelengths[::9]
    low = hl.SpatialOperator(hl.gaussian_psf(4), 4).A(truth)
    return hl.ObservedPair(low, truth[..., [1, 3, 6]], 4, centres)


def blown_up(image, ratio):
    return np.kron(image, np.ones((ratio, ratio, 1)))


@pytest.mark.parametrize("ratio", [1, 2, 3, 5, 8, 12, 16, 40])
def test_a_picture_in_larger_pixels_has_no_distortion(truth, ratio):
    """Repeating every pixel changes no mean, variance or covariance, whatever the blocks are."""
    low, msi = truth[:11, :23], truth[:11, :23, 2:4]
    p, z = blown_up(low, ratio), blown_up(msi, ratio)
    # Only the rounding of sums of different length may separate the scales.
    assert metrics.d_lambda(p, low) < 1e-10
    assert metrics.d_s(p, low, z) < 1e-10
    assert metrics.qnr(p, low, z) == pytest.approx(1, abs=1e-9)


def test_d_lambda_closed_form():
    """Two equal bands have Q = 1; with one of them doubled Q = (2 * 2 / (1 + 4))^2 = 0.64."""
    y = np.random.default_rng(0).random((8, 8, 1)).repeat(2, axis=2)
    assert metrics.d_lambda(blown_up(y * [1, 2], 4), y) == pytest.approx(1 - 0.64)


def test_d_s_closed_form():
    """Q(p, z) = 0.64 for p = 2 z, but Q(y, low z) = 1: only band 0 of two disagrees."""
    low = np.random.default_rng(0).random((8, 8, 1))
    y, z = low.repeat(2, axis=2), blown_up(low, 4)
    p = blown_up(y * [2, 1], 4)
    assert metrics.d_s(p, y, z) == pytest.approx((1 - 0.64) / 2)


def test_qnr_is_the_weighted_product(truth, pair):
    p = truth + 0.02 * np.random.default_rng(1).standard_normal(truth.shape)
    seen = (p, pair.lr_hsi, pair.hr_msi)
    spectral, spatial = 1 - metrics.d_lambda(*seen[:2]), 1 - metrics.d_s(*seen)
    assert metrics.qnr(*seen) == pytest.approx(spectral * spatial)
    assert metrics.qnr(*seen, alpha=2, beta=0.5) == pytest.approx(spectral**2 * spatial**0.5)
    assert metrics.qnr(*seen, alpha=0, beta=0) == 1
    with pytest.raises(InputError, match="weights of at least 0"):
        metrics.qnr(*seen, alpha=-1)


def test_a_distortion_above_one_counts_as_one():
    """Opposite bands that became equal: |Q - Q'| is 2, and a root of 1 - 2 would be no number."""
    y = np.random.default_rng(0).random((8, 8, 1))
    y = np.dstack([y, y.max() + y.min() - y])
    p = blown_up(y[..., :1].repeat(2, axis=2), 4)
    assert metrics.d_lambda(p, y) > 1
    assert metrics.qnr(p, y, p[..., :1], alpha=0.5) == 0


def test_the_more_distorted_estimate_scores_worse(truth, pair):
    """Noise of its own in every band breaks the bands' relations, the more the stronger."""
    noise = np.random.default_rng(2).standard_normal(truth.shape)
    found = [metrics.qnr(truth + s * noise, pair.lr_hsi, pair.hr_msi) for s in (0.02, 0.05, 0.1)]
    assert found == sorted(found, reverse=True) and found[0] - found[2] > 0.1


def test_the_truth_itself_is_not_perfect(truth, pair):
    """Blurring changes relations between bands, so nothing of the truth earns QNR = 1."""
    assert 0.001 < metrics.d_lambda(truth, pair.lr_hsi) < 0.2


def test_without_a_blurred_msi_the_psf_is_the_block_centred_gaussian(truth, pair):
    """The same default as the pair's, which goes through float32: 1e-6."""
    seen = (truth, pair.lr_hsi, pair.hr_msi)
    assert metrics.d_s(*seen) == pytest.approx(metrics.d_s(*seen, pair.low_msi()), rel=1e-6)
    wide = hl.gaussian_psf(4, fwhm=8, size=16)
    assert metrics.d_s(*seen, pair.low_msi(wide)) != pytest.approx(metrics.d_s(*seen), rel=1e-3)


def test_constant_and_zero_blocks_follow_uiqi():
    """Equal constants are perfect, different ones unrelated, and blurring changes neither."""
    y = np.tile([0.0, 0.0, 0.3, 0.3, 0.7], (8, 8, 1))
    assert metrics.d_lambda(blown_up(y, 4), y) == 0
    brighter = blown_up(y + np.array([0.1, 0, 0, 0, 0]), 4)
    # Only the pair (0, 1), counted both ways of 20, was equal and is no more.
    assert metrics.d_lambda(brighter, y) == pytest.approx(2 / 20)


def test_invalid_pixels_have_no_influence(truth, pair):
    valid = np.ones(truth.shape[:2], bool)
    valid[30:47, 10:33] = valid[0, 0] = False
    p = truth + 0.02 * np.random.default_rng(3).standard_normal(truth.shape)
    spoiled = np.where(valid[..., None], p, 99.0)
    low = np.where(valid.reshape(24, 4, 24, 4).all(axis=(1, 3))[..., None], pair.lr_hsi, 50.0)
    seen = pair.hr_msi, pair.low_msi()
    assert metrics.qnr(spoiled, low, *seen, valid=valid) == pytest.approx(
        metrics.qnr(p, pair.lr_hsi, *seen, valid=valid), rel=1e-12
    )
    assert metrics.d_lambda(p, pair.lr_hsi, valid=valid) != metrics.d_lambda(p, pair.lr_hsi)


def test_score_with_a_pair_adds_what_needs_no_truth(truth, pair):
    p = truth + 0.01
    both = metrics.score(truth, p, 4, pair=pair)
    alone = metrics.score(None, p, 4, pair=pair)
    assert alone.keys() == {"d_lambda", "d_s", "qnr"}
    assert both == metrics.score(truth, p, 4) | alone
    assert alone["qnr"] == pytest.approx((1 - alone["d_lambda"]) * (1 - alone["d_s"]))
    with pytest.raises(InputError, match="neither a reference nor a pair"):
        metrics.score(None, p, 4)
    with pytest.raises(InputError, match="that of the pair is 4"):
        metrics.score(None, p, 8, pair=pair)
    with pytest.raises(InputError, match="pair is of type tuple"):
        metrics.score(truth, p, 4, pair=(pair.lr_hsi, pair.hr_msi))


def test_what_is_wrong_with_an_estimate_is_an_error_not_a_score_left_out(truth, pair):
    for wrong in (truth[:92], truth[..., :3], truth[..., 0]):
        with pytest.raises(InputError, match="the estimate has shape"):
            metrics.score(None, wrong, 4, pair=pair)
    spoiled = truth.copy()
    spoiled[2, 3, 1] = np.nan
    with pytest.raises(InputError, match="row 2, column 3, band 1"):
        metrics.score(None, spoiled, 4, pair=pair)
    # With the mask that says so, nothing is wrong with it.
    valid = np.isfinite(spoiled).all(axis=2)
    assert 0.5 < metrics.score(None, spoiled, 4, pair=pair, valid=valid)["qnr"] < 1


def test_one_band_has_a_spatial_distortion_only(truth, pair):
    alone = hl.ObservedPair(pair.lr_hsi[..., :1], pair.hr_msi, 4, pair.wavelengths[:1])
    with pytest.warns(UserWarning, match="left out: the images have 1 band"):
        assert metrics.score(None, truth[..., :1], 4, pair=alone).keys() == {"d_s"}


@pytest.mark.filterwarnings("ignore:.*is left out")
def test_images_that_admit_no_score_are_refused(truth, pair):
    alone = hl.ObservedPair(pair.lr_hsi[:1, :2], pair.hr_msi[:4, :8], 4, pair.wavelengths)
    with pytest.raises(InputError, match="no score exists"):
        metrics.score(None, truth[:4, :8], 4, pair=alone)


def test_score_takes_the_masks_and_the_psf_of_the_pair(truth, pair):
    lr_valid, hr_valid = np.ones((24, 24), bool), np.ones((96, 96), bool)
    lr_valid[3], hr_valid[70:74, 70:74] = False, False
    psf = hl.gaussian_psf(4, fwhm=6, size=8)
    seen = (pair.lr_hsi, np.where(hr_valid[..., None], pair.hr_msi, 77), 4, pair.wavelengths)
    masked = hl.ObservedPair(*seen, psf=psf, lr_valid=lr_valid, hr_valid=hr_valid)
    valid = np.kron(lr_valid, np.ones((4, 4), bool)) & hr_valid
    wanted = metrics.qnr(truth, pair.lr_hsi, pair.hr_msi, masked.low_msi(), valid=valid)
    assert metrics.score(None, truth, 4, pair=masked)["qnr"] == pytest.approx(wanted, rel=1e-12)
    assert masked.low_msi().max() <= pair.hr_msi.max()  # no 77 leaks through the wide PSF


def test_the_blurred_msi_is_the_operator_on_it(pair):
    wide = hl.gaussian_psf(4, fwhm=6, size=9, angle=20, elongation=2)
    known = hl.ObservedPair(pair.lr_hsi, pair.hr_msi, 4, pair.wavelengths, psf=wide)
    wanted = hl.SpatialOperator(wide, 4).A(pair.hr_msi)
    assert np.array_equal(known.low_msi(), wanted)
    assert np.array_equal(pair.low_msi(wide), wanted)


def test_sizes_that_do_not_fit_are_refused(truth, pair):
    with pytest.raises(InputError, match="one whole ratio"):
        metrics.d_lambda(truth[:95], pair.lr_hsi)
    with pytest.raises(InputError, match="one whole ratio"):
        metrics.d_lambda(truth[..., :4], pair.lr_hsi)
    with pytest.raises(InputError, match="the blurred HrMSI has"):
        metrics.d_s(truth, pair.lr_hsi, pair.hr_msi, pair.hr_msi)
    with pytest.raises(InputError, match="the HrMSI has"):
        metrics.d_s(truth, pair.lr_hsi, pair.lr_hsi)
    with pytest.raises(InputError, match="valid has"):
        metrics.d_lambda(truth, pair.lr_hsi, valid=np.ones((3, 3), bool))
    with pytest.raises(InputError, match="1 band"):
        metrics.d_lambda(truth[..., :1], pair.lr_hsi[..., :1])
    with pytest.raises(InputError, match="1 low-resolution pixels count"):
        metrics.d_lambda(truth[:4, :4], pair.lr_hsi[:1, :1])
