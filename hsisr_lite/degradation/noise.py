r"""Noise: added to a simulated pair at a wanted level, and estimated from an observed one.

The signal-to-noise ratio is that of the whole image, in decibels:

.. math:: \mathrm{SNR} = 10 \log_{10} \frac{\operatorname{mean}(x^2)}{\sigma^2}
"""

import numpy as np
from scipy.ndimage import correlate
from scipy.optimize import nnls

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.operators import SpatialOperator

# Second differences along both axes; the weights keep the variance of white noise [immerkaer1996]_.
_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])[..., None] / 6


def noise_sd(image, snr_db):
    """Standard deviation of white noise that gives an image this SNR in decibels.

    Examples
    --------
    >>> noise_sd(np.full((2, 2, 1), 3.0), snr_db=20)
    0.3
    """
    if not np.isfinite(snr_db):
        raise InputError(
            f"snr_db is {snr_db}: a finite number of decibels is needed; use None for no noise."
        )
    return float(np.sqrt(np.mean(np.square(image, dtype=np.float64)) / 10 ** (snr_db / 10)))


def add_noise(image, sd, rng):
    """Add white Gaussian noise; nothing is clipped, so values below zero may appear.

    Examples
    --------
    >>> add_noise(np.zeros((1, 1, 1)), 0.0, np.random.default_rng(0))
    array([[[0.]]])
    """
    return (image + sd * rng.standard_normal(image.shape)).astype(image.dtype)


def estimate_noise(pair, psf):
    r"""Noise of both images, from what the pair itself says.

    The blurred MSI must be a non-negative mix of the LrHSI's bands, :math:`P Z = Y S^\top`. What no
    such mix explains is noise of both images,

    .. math:: \operatorname{var}(P Z - Y S^\top)
              = \sigma_Z^2 \sum_{ab} h_{ab}^2 + \sigma_Y^2 \sum_b S_{mb}^2,

    which bounds either level from above: with no noise the left side vanishes, and both estimates
    with it. A second bound is what an image does not share with itself: for the LrHSI, what a band
    keeps when its neighbours are regressed out [bioucas2008]_; for the HrMSI, the same of its
    finest
    grain. The smaller bound is the estimate, so neither a wrong PSF nor fine texture passes for
    noise unless both do.

    Parameters
    ----------
    pair : ObservedPair
    psf : (k, k) array
        The known PSF or the one assumed.

    Returns
    -------
    noise : (float, float)
        Standard deviations for the LrHSI and the HrMSI; ``pair.noise`` itself where it is known.
    """
    if pair.noise is not None:
        return pair.noise
    low_msi = SpatialOperator(psf, pair.ratio).A(pair.hr_msi.astype(np.float64))
    inside = np.ones(low_msi.shape[:2], bool) if pair.lr_valid is None else pair.lr_valid
    hsi = _sample(pair.lr_hsi[inside])  # (pixels, bands)
    msi = _sample(low_msi[inside])  # (pixels, msi_bands)
    mixes = [nnls(hsi, band) for band in msi.T]
    unexplained = np.mean([rest**2 for _, rest in mixes]) / len(hsi)
    gain_hsi = np.mean([weights @ weights for weights, _ in mixes])
    gain_msi = np.sum(np.square(psf))
    var_hsi = _own_variance(hsi)
    if gain_hsi > 0:
        var_hsi = min(var_hsi, unexplained / gain_hsi)
    grain = correlate(pair.hr_msi.astype(np.float64), _LAPLACIAN, mode="nearest")
    sharp = np.ones(grain.shape[:2], bool) if pair.hr_valid is None else pair.hr_valid
    var_msi = min(unexplained / gain_msi, _own_variance(_sample(grain[sharp])))
    return float(np.sqrt(var_hsi)), float(np.sqrt(var_msi))


def _sample(pixels):
    """At most some 4000 pixels, evenly spread: enough for a variance, quick on any image."""
    return pixels[:: max(1, len(pixels) // 4000)].astype(np.float64)


def _own_variance(spectra):
    """Mean over bands of the variance that a band does not share with its neighbours."""
    centred = spectra - spectra.mean(axis=0)
    pixels, bands = centred.shape
    reach = max(1, min(8, (pixels - 2) // 4, (bands - 1) // 2))  # neighbours on each side
    variances = []
    for band in range(bands):
        near = [b for b in range(band - reach, band + reach + 1) if 0 <= b < bands and b != band]
        if not near:
            return 0.0
        weights, *_ = np.linalg.lstsq(centred[:, near], centred[:, band], rcond=None)
        rest = centred[:, band] - centred[:, near] @ weights
        variances.append(rest @ rest / max(pixels - 1 - len(near), 1))
    return float(np.median(variances))
