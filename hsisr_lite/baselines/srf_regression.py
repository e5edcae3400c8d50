"""Regression from the SRF alone: no MSI pixel is used in learning, so no misalignment can hurt."""

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.regression import ridge
from hsisr_lite.degradation.estimate import srf_of
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.degradation.psf import gaussian_psf
from hsisr_lite.results import FusionResult


def srf_regression(pair, run):
    r"""Affine map learned from the pairs :math:`(S y_i,\; y_i)` of the LrHSI, applied to the MSI.

    .. math:: \min_{W, b} \lVert Y S^\top W + b - Y \rVert^2 + n\,\sigma_Z^2 \lVert W \rVert^2,
              \qquad \hat X = Z W + b

    PSF and registration play no part when the SRF is known; an unknown SRF is estimated from the
    pair, which needs both.
    """
    srf, notes = srf_of(pair)
    lr_hsi = pair.lr_hsi.astype(np.float64)
    inside = np.ones(lr_hsi.shape[:2], bool) if pair.lr_valid is None else pair.lr_valid
    if inside.sum() < 2:
        raise InputError(
            f"{inside.sum()} low-resolution pixels hold data: at least 2 are needed to learn a "
            "map; choose a smaller ratio or a larger scene."
        )
    y = lr_hsi[inside]  # (pixels, bands)
    x = y @ srf.T  # (pixels, msi_bands)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    psf = gaussian_psf(pair.ratio) if pair.psf is None else pair.psf
    sd_msi = estimate_noise(pair, psf)[1]
    weights = ridge(x - mean_x, y - mean_y, np.full(len(srf), len(x) * sd_msi**2))
    # X = Z W + b
    image = (pair.hr_msi.astype(np.float64) - mean_x) @ weights + mean_y
    return FusionResult.of(pair, image, parameters=weights.size + mean_y.size, notes=notes)
