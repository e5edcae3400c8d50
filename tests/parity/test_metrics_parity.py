"""Where definitions meet, our figures are those of torchmetrics and scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import (
    error_relative_global_dimensionless_synthesis,
    peak_signal_noise_ratio,
    spectral_angle_mapper,
)

from hsisr_lite import metrics


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
