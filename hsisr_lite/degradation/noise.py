r"""Noise: added to a simulated pair at a wanted level, and estimated from an observed one.

The signal-to-noise ratio is that of the whole image, in decibels:

.. math:: \mathrm{SNR} = 10 \log_{10} \frac{\operatorname{mean}(x^2)}{\sigma^2}
"""

from typing import NamedTuple

import numpy as np

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
    if isinstance(snr_db, str) or not np.isfinite(snr_db):
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


class PairNoise(NamedTuple):
    """Standard deviations of the noise of a pair, band by band.

    ``hsi`` (bands,) and ``msi`` (msi_bands,) are those of the two images; ``misfit`` (msi_bands,)
    is that of everything in the blurred MSI that the LrHSI does not explain: noise of both, and a
    PSF that does not fit.
    """

    hsi: np.ndarray
    msi: np.ndarray
    misfit: np.ndarray


def estimate_noise(pair, psf):
    r"""Noise of both images, from what the pair itself says.

    The blurred MSI must be a non-negative mix of the LrHSI's bands, :math:`P Z = Y S^\top`. What no
    such mix predicts, on pixels that it was not fitted to, is

    .. math:: \operatorname{var}(P Z - Y S^\top)_m
              = \sigma_{Z,m}^2 \sum_{ab} h_{ab}^2 + \sum_b S_{mb}^2 \sigma_{Y,b}^2

    and the error of the PSF. Where it vanishes there is no noise. Otherwise the LrHSI's is what a
    band keeps when its neighbours are regressed out [bioucas2008]_. The HrMSI's lies between the
    left side less the LrHSI's share and the whole of it; the middle is taken, unless the finest
    grain of the image [immerkaer1996]_ allows less.

    Parameters
    ----------
    pair : ObservedPair
        Levels in ``pair.noise`` are taken as they are.
    psf : (k, k) array
        The known PSF or the one assumed.

    Returns
    -------
    noise : PairNoise
    """
    bands, msi_bands = pair.lr_hsi.shape[2], pair.hr_msi.shape[2]
    shrinkage = np.sum(np.square(psf))  # of the MSI's noise variance, by the blur
    known = None
    if pair.noise is not None:
        known = np.full(bands, pair.noise[0]), np.full(msi_bands, pair.noise[1])
        if pair.psf is not None:
            return PairNoise(*known, misfit=np.sqrt(shrinkage) * known[1])
    low_msi = SpatialOperator(psf, pair.ratio).A(pair.hr_msi.astype(np.float64))
    inside = pair.learnable(psf)
    hsi, msi = _sample(pair.lr_hsi[inside]), _sample(low_msi[inside])
    if known is None and pair.srf is not None and _exact(hsi @ pair.srf.T, msi).all():
        return PairNoise(np.zeros(bands), np.zeros(msi_bands), np.zeros(msi_bands))
    from scipy.optimize import nnls  # slow to import: a clean pair is not to wait for it

    mixes = np.array([nnls(hsi, band)[0] for band in msi.T])  # (msi_bands, bands)
    unexplained = _prediction_variance(hsi, msi, mixes)
    if known is not None:
        return PairNoise(*known, misfit=np.sqrt(unexplained))
    var_hsi = _own_variance(hsi) * unexplained.any()
    least = np.maximum(unexplained - mixes**2 @ var_hsi, 0)
    var_msi = np.minimum((least + unexplained) / 2 / shrinkage, grain_variance(pair))
    return PairNoise(np.sqrt(var_hsi), np.sqrt(var_msi), np.sqrt(unexplained))


def grain_variance(pair):
    """Variance of the HrMSI's finest grain [immerkaer1996]_, per band: its noise has no more.

    Second differences leave of an image what no neighbour tells; of that, each band keeps what the
    other bands do not share.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.ObservedPair(np.ones((2, 2, 3)), np.ones((8, 8, 2)), 4, [500, 600, 700])
    >>> grain_variance(pair)
    array([0., 0.])
    """
    from scipy.ndimage import binary_erosion, correlate  # slow to import

    grain = correlate(pair.hr_msi.astype(np.float64), _LAPLACIAN, mode="nearest")
    if pair.hr_valid is not None:  # second differences reach one pixel far
        grain = grain[binary_erosion(pair.hr_valid, np.ones((3, 3)), border_value=1)]
    return _own_variance(_sample(grain.reshape(-1, grain.shape[-1])))  # of (pixels, msi_bands)


def _sample(pixels):
    """At most some 4000 pixels, evenly spread: enough for a variance, quick on any image."""
    return pixels[:: max(1, len(pixels) // 4000)].astype(np.float64)


def _prediction_variance(hsi, msi, mixes):
    """Per MSI band, the variance that mixes leave on pixels they were not fitted to."""
    from scipy.optimize import nnls

    rest = np.mean((msi - hsi @ mixes.T) ** 2, axis=0)
    exact = _exact(hsi @ mixes.T, msi)
    even = np.arange(len(msi)) % 2 == 0
    for band in np.flatnonzero(~exact):
        squares = 0.0
        for learn, test in ((even, ~even), (~even, even)):
            weights, _ = nnls(hsi[learn], msi[learn, band])
            squares += np.sum((msi[test, band] - hsi[test] @ weights) ** 2)
        rest[band] = squares / len(msi)
    return np.where(exact, 0, rest)


def _exact(mixed, msi):
    """Per band, whether both agree: float32 images do to 1e-7, and ten times that is no noise."""
    return np.mean((msi - mixed) ** 2, axis=0) <= 1e-12 * np.mean(msi**2, axis=0)


def _own_variance(spectra):
    """Per band, the variance that it does not share with its neighbours."""
    centred = spectra - spectra.mean(axis=0)
    pixels, bands = centred.shape
    reach = max(1, min(8, (pixels - 2) // 6, (bands - 1) // 2))  # neighbours on each side
    variances = np.zeros(bands)
    for band in range(bands):
        near = [b for b in range(band - reach, band + reach + 1) if 0 <= b < bands and b != band]
        if near and pixels > len(near) + 1:
            weights, *_ = np.linalg.lstsq(centred[:, near], centred[:, band], rcond=None)
            rest = centred[:, band] - centred[:, near] @ weights
            variances[band] = rest @ rest / (pixels - 1 - len(near))
    return variances
