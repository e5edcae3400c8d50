"""Our figures are those of torchmetrics and scikit-image where definitions meet, and of slow
computations by hand; where published code departs from its formula, the departure is reproduced.
"""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import (
    error_relative_global_dimensionless_synthesis,
    peak_signal_noise_ratio,
    spectral_angle_mapper,
    universal_image_quality_index,
)

import hsisr_lite as hl
from hsisr_lite import metrics
from hsisr_lite.window_metrics import quality_index


@pytest.fixture(params=["noise", "gain", "both"])
def images(request):
    rng = np.random.default_rng(3)
    x = 0.05 + 0.8 * rng.random((32, 40, 9))
    p = x * (1.03 if request.param != "noise" else 1)
    return x, p + (0.02 * rng.standard_normal(x.shape) if request.param != "gain" else 0)


def as_batch(image):
    return torch.from_numpy(np.moveaxis(image, -1, 0)[None].copy())  # (1, bands, rows, cols)


def test_psnr_is_torchmetrics_on_bands_divided_by_their_peak(images):
    x, p = images
    peaks = x.max(axis=(0, 1))
    theirs = [
        peak_signal_noise_ratio(
            as_batch(p / peaks)[:, [b]], as_batch(x / peaks)[:, [b]], data_range=1.0
        )
        for b in range(x.shape[-1])
    ]
    # torchmetrics keeps its logarithm of ten in float32: 1e-7 relative.
    assert metrics.psnr(x, p) == pytest.approx(float(torch.stack(theirs).mean()), rel=2e-7)


def test_sam_is_torchmetrics_in_degrees(images):
    x, p = images
    theirs = np.rad2deg(float(spectral_angle_mapper(as_batch(p), as_batch(x))))
    # Their arc cosine loses digits near zero: 1e-7 degrees when only the gain differs.
    assert metrics.sam(x, p) == pytest.approx(theirs, abs=2e-5)


def test_ergas_is_torchmetrics(images):
    x, p = images
    theirs = error_relative_global_dimensionless_synthesis(as_batch(p), as_batch(x), ratio=4)
    assert metrics.ergas(x, p, 4) == pytest.approx(float(theirs), rel=1e-6)


def test_ssim_is_the_mean_of_scikit_image_over_bands(images):
    x, p = images
    theirs = [
        structural_similarity(x[..., b], p[..., b], data_range=1.0) for b in range(x.shape[-1])
    ]
    assert metrics.ssim(x, p) == pytest.approx(np.mean(theirs), rel=1e-12)


@pytest.mark.parametrize("constant", [False, True])
def test_d_lambda_and_d_s_block_by_block_and_pair_by_pair(constant):
    """numpy's covariance of one block and two bands at a time; sizes that no block divides."""
    rng = np.random.default_rng(5)
    ratio, y = 3, 0.1 + rng.random((13, 24, 4))
    p = np.kron(y, np.ones((3, 3, 1))) + 0.1 * rng.standard_normal((39, 72, 4))
    z, low = 0.1 + rng.random((39, 72, 2)), 0.1 + rng.random((13, 24, 2))
    if constant:
        p[..., 0], y[..., 0], p[..., 1] = 0.4, 0.4, 0.4

    def quality(a, b):
        covariance = np.cov(a.ravel(), b.ravel())
        mean, variance = np.array([a.mean(), b.mean()]), np.diag(covariance)
        if (variance < 1e-20).all():  # both constant, rounding aside
            return float(abs(mean[0] - mean[1]) < 1e-12)
        return 4 * covariance[0, 1] * mean.prod() / (variance.sum() * (mean**2).sum())

    # 32 / 3 is nearest to 11 pixels: one stretch of 13 rows, two of 12 columns.
    def averaged(a, b, zoom):
        halves = [slice(0, 12 * zoom), slice(12 * zoom, 24 * zoom)]
        return np.mean([quality(a[:, half], b[:, half]) for half in halves])

    def changes(firsts, seconds, pairs):
        (p, y), (z, low) = firsts, seconds
        return np.mean(
            [
                abs(averaged(p[..., i], z[..., j], ratio) - averaged(y[..., i], low[..., j], 1))
                for i, j in pairs
            ]
        )

    off_diagonal = [(i, j) for i in range(4) for j in range(4) if i != j]
    every = [(i, j) for i in range(4) for j in range(2)]
    # float64 on both sides: rounding only.
    assert metrics.d_lambda(p, y) == pytest.approx(changes((p, y), (p, y), off_diagonal), rel=1e-9)
    assert metrics.d_s(p, y, z, low) == pytest.approx(changes((p, y), (z, low), every), rel=1e-9)


def test_uiqi_is_torchmetrics_where_the_window_is_the_same():
    """Their window is a Gaussian; one so wide that it is flat over 7 pixels is SSIM's of 7 x 7."""
    rng = np.random.default_rng(6)
    x = 0.1 + rng.random((7, 7, 3))
    p = x + 0.2 * rng.standard_normal(x.shape)
    theirs = universal_image_quality_index(
        as_batch(p), as_batch(x), kernel_size=(7, 7), sigma=(1e4, 1e4), reduction="none"
    )
    mean_x, mean_p = x.mean(axis=(0, 1)), p.mean(axis=(0, 1))
    covariance = ((x - mean_x) * (p - mean_p)).mean(axis=(0, 1))
    ours = quality_index(mean_x, mean_p, x.var(axis=(0, 1)), p.var(axis=(0, 1)), covariance)
    # The centre of their map is the one window that lies in the image; float64 on both sides,
    # but the Gaussian is only flat to 1e-7.
    assert ours == pytest.approx(theirs[0, :, 0, 0].numpy(), rel=1e-6)


def departed_angle(x, p, *, added_to_product=0.0, added_to_norms=0.0, cap=1.0):
    """The mean spectral angle with the guards against division by zero that papers' code has."""
    norms = (np.linalg.norm(image, axis=2) + added_to_norms for image in (x, p))
    cosine = (x * p).sum(axis=2) / (np.prod(list(norms), axis=0) + added_to_product)
    return np.rad2deg(np.arccos(np.clip(cosine, -1, cap))).mean()


@pytest.mark.parametrize(
    ("guard", "floor", "growth"),
    [
        # cos = n^2 / (n^2 + e), so the angle is sqrt(2 e) / n: ten times at a tenth of the scale.
        ({"added_to_product": 1e-7}, lambda n: np.sqrt(2e-7) / n, 10),
        # cos = n^2 / (n + e)^2, so the angle is sqrt(4 e / n): sqrt(10) times.
        ({"added_to_norms": 1e-6}, lambda n: np.sqrt(4e-6 / n), np.sqrt(10)),
        ({"cap": 1 - 1e-9}, lambda n: np.sqrt(2e-9) + 0 * n, 1),
    ],
)
def test_the_guards_of_papers_code_keep_sam_from_zero(images, guard, floor, growth):
    """Identical images: closed forms from the cosine's series, good to 1e-4; ours is exact."""
    x, _ = images
    norms = np.linalg.norm(x, axis=2)
    found = departed_angle(x, x, **guard)
    assert found == pytest.approx(np.rad2deg(floor(norms)).mean(), rel=1e-4)
    assert departed_angle(0.1 * x, 0.1 * x, **guard) == pytest.approx(growth * found, rel=1e-4)
    assert metrics.sam(x, x) == metrics.sam(0.1 * x, 0.1 * x) == 0


def uqi_of_means(x, p):
    """The UQI that papers' code shares: the formula wants sums over 8 x 8, and gets means."""

    def mean(band):
        return uniform_filter(band, 8)[4:-3, 4:-3]

    values = []
    for x_b, p_b in zip(np.moveaxis(x, 2, 0), np.moveaxis(p, 2, 0), strict=True):
        # Q = 4 (N Sxp - Sx Sp) Sx Sp / ((N (Sxx + Spp) - Sx^2 - Sp^2) (Sx^2 + Sp^2)), S for sum
        s_x, s_p, count = mean(x_b), mean(p_b), 64
        covariance = count * mean(x_b * p_b) - s_x * s_p
        variances = count * (mean(x_b**2) + mean(p_b**2)) - s_x**2 - s_p**2
        values.append(4 * covariance * s_x * s_p / (variances * (s_x**2 + s_p**2)))
    return np.mean(values)


def test_why_our_uiqi_is_below_the_one_in_tables():
    """A texture 1.65 pixels wide, in [0, 0.8], blurred by 2 pixels.

    0.3 separate the formula from its misreading, so two digits settle it.
    """
    texture = gaussian_filter(
        np.random.default_rng(0).standard_normal((96, 96, 4)), (1.65, 1.65, 0)
    )
    x = (0.41 + 0.41 * texture / np.abs(texture).max()).repeat(10, axis=2) * np.linspace(1, 0.4, 40)
    p = gaussian_filter(x, (2, 2, 0))
    assert uqi_of_means(x, p) == pytest.approx(0.995, abs=0.002)
    assert metrics.uiqi(x, p) == pytest.approx(0.70, abs=0.02)


def test_the_uqi_of_means_hides_nine_tenths_of_the_damage():
    x = hl.load_scene("synthetic").cube[:, :, ::5].astype(np.float64)
    p = gaussian_filter(x, (2, 2, 0))
    assert 1 - uqi_of_means(x, p) < 0.1 * (1 - metrics.uiqi(x, p))
