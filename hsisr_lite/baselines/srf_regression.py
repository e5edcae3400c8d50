"""Regression from the SRF alone: no MSI pixel is used in learning, so no misalignment can hurt."""

import numpy as np

from hsisr_lite.baselines.regression import ridge
from hsisr_lite.degradation.estimate import psf_of, srf_of
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.results import FusionResult


def srf_regression(pair, run):
    r"""Affine map learned from the pairs :math:`(S y_i,\; y_i)` of the LrHSI, applied to the MSI.

    .. math:: \min_{W, b} \lVert Y S^\top W + b - Y \rVert^2
              + n \textstyle\sum_m \sigma_{Z,m}^2 \lVert W_m \rVert^2,
              \qquad \hat X = Z W + b

    PSF and registration play no part when the SRF is known; an unknown SRF is estimated from the
    pair, which needs both.
    """
    psf, notes_psf = psf_of(pair)
    srf, notes_srf = srf_of(pair, psf)
    notes = [*notes_psf, *notes_srf]
    lr_hsi = pair.lr_hsi.astype(np.float64)
    y = lr_hsi[pair.learnable(psf)]  # (pixels, bands)
    x = y @ srf.T  # (pixels, msi_bands)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    noise = estimate_noise(pair, psf)
    weights = ridge(x - mean_x, y - mean_y, len(x) * noise.msi**2)
    # X = Z W + b
    image = (pair.hr_msi.astype(np.float64) - mean_x) @ weights + mean_y
    return FusionResult.of(pair, image, parameters=weights.size + mean_y.size, notes=notes)
