"""Metrics that look at each pixel or band by itself: RMSE, PSNR, SAM, ERGAS, CC, SNR, MRAE.

``x`` is the reference, ``p`` the estimate, both (rows, cols, bands), computed in float64. What
happens to bands and pixels without a value is said in :mod:`hsisr_lite.metrics`.
"""

import numpy as np

from hsisr_lite.arrays import InputError, as_image_pair, as_ratio

_ROUNDING = 1e-12  # of a band's largest value: below it, a mean or a spread is rounding


def rmse(reference, estimate):
    r"""Root mean square error over every pixel and band; 0 is perfect.

    .. math:: \sqrt{\operatorname{mean}\bigl((x - p)^2\bigr)}

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> rmse(x, x + 0.5)
    0.5
    """
    x, p = as_image_pair(reference, estimate)
    return float(np.sqrt(np.mean((x - p) ** 2)))


def psnr(reference, estimate, peak="band"):
    r"""Peak signal-to-noise ratio in decibels, the mean over bands; infinite is perfect.

    .. math:: \operatorname{mean}_b\; 10 \log_{10} \frac{\text{peak}_b^2}{\operatorname{MSE}_b}

    Parameters
    ----------
    peak : {"band", "global"} or float
        The maximum of that band of the reference (the field's usual choice), the maximum of the
        whole reference, or a number such as 1.0. A band whose peak is not positive has no PSNR.

    Returns
    -------
    psnr : float
        A band without any error would make the mean infinite, whatever the others are: it is left
        out, unless no band has an error. Only then is the result infinite.

    Raises
    ------
    InputError
        An unknown peak, or a reference without a positive value.

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> round(psnr(x, x + 0.1), 6)
    20.0
    """
    x, p = as_image_pair(reference, estimate)
    mse = ((x - p) ** 2).mean(axis=(0, 1))
    if isinstance(peak, str) and peak not in ("band", "global"):
        raise InputError(f"peak is '{peak}': 'band', 'global' or a number is needed; try 'band'.")
    if not isinstance(peak, str) and not 0 < peak < np.inf:
        raise InputError(f"peak is {peak}: a positive number is needed; 1.0 suits reflectance.")
    if peak == "band":
        peaks = x.max(axis=(0, 1))
    else:
        peaks = np.full(x.shape[-1], x.max() if peak == "global" else float(peak))
    if not (peaks > 0).any():
        raise InputError(
            f"the largest value of the reference is {x.max():g}: a positive one is needed as the "
            "peak of PSNR; pass peak=1.0 or choose another area."
        )
    usable = (peaks > 0) & (mse > 0)
    if not usable.any():
        return float("inf")
    return float(np.mean(10 * np.log10(peaks[usable] ** 2 / mse[usable])))


def sam_map(reference, estimate):
    r"""Angle between the two spectra of every pixel, in degrees [kruse1993]_.

    .. math:: \arccos \frac{\langle x, p \rangle}{\lVert x \rVert \lVert p \rVert}

    Computed as 2 atan2(|u - v|, |u + v|) of the unit spectra, which stays exact for small angles
    where the arc cosine loses half its digits. Where the reference is zero there is no angle: NaN.
    An estimate of zero counts 90 degrees: it says nothing of the spectrum.

    Examples
    --------
    >>> sam_map([[[1.0, 0.0]]], [[[1.0, 1.0]]]).round(6)
    array([[45.]])
    """
    x, p = as_image_pair(reference, estimate)
    length_x = np.linalg.norm(x, axis=-1, keepdims=True)
    length_p = np.linalg.norm(p, axis=-1, keepdims=True)
    u, v = x / np.where(length_x == 0, 1, length_x), p / np.where(length_p == 0, 1, length_p)
    half = np.arctan2(np.linalg.norm(u - v, axis=-1), np.linalg.norm(u + v, axis=-1))
    return np.where(length_x[..., 0] == 0, np.nan, np.rad2deg(2 * half))


def sam(reference, estimate):
    """Spectral angle in degrees, the mean over pixels that have one; 0 is perfect.

    Raises
    ------
    InputError
        A reference that is zero everywhere.

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> round(sam(x, 3 * x), 6)
    0.0
    """
    angles = sam_map(reference, estimate)
    if np.isnan(angles).all():
        raise InputError(
            "the reference is zero in every pixel: at least one spectrum that is not is needed for "
            "an angle; choose another area."
        )
    return float(np.nanmean(angles))


def ergas(reference, estimate, ratio):
    r"""Relative dimensionless global error in synthesis [wald1997]_; 0 is perfect.

    .. math:: \frac{100}{r} \sqrt{\operatorname{mean}_b \frac{\operatorname{MSE}_b}{\mu_b^2}}

    ``ratio`` is high-resolution pixels per low-resolution pixel (4, 8, ...), at least 1. Bands
    whose mean is zero have no relative error.

    Raises
    ------
    InputError
        A reference whose every band has the mean zero.

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> round(ergas(x, x + 0.1, ratio=4), 6)
    2.5
    """
    x, p = as_image_pair(reference, estimate)
    mean, mse = x.mean(axis=(0, 1)), ((x - p) ** 2).mean(axis=(0, 1))
    usable = np.abs(mean) > _ROUNDING * np.abs(x).max(axis=(0, 1))
    if not usable.any():
        raise InputError(
            "every band of the reference has the mean zero: one that has not is needed for a "
            "relative error; choose another area."
        )
    return float(100 / as_ratio(ratio) * np.sqrt(np.mean(mse[usable] / mean[usable] ** 2)))


def cc(reference, estimate):
    r"""Pearson's correlation coefficient, the mean over bands; 1 is perfect.

    .. math:: \operatorname{mean}_b\;
              \frac{\sum (x - \bar x)(p - \bar p)}
                   {\sqrt{\sum (x - \bar x)^2 \, \sum (p - \bar p)^2}}

    A band that is constant in the reference has none. One that is constant in the estimate alone
    counts 0: it says nothing of the pattern.

    Raises
    ------
    InputError
        A reference whose every band is constant.

    Examples
    --------
    >>> x = np.arange(16.0).reshape(4, 4, 1)
    >>> round(cc(x, 5 - 2 * x), 6)
    -1.0
    """
    x, p = as_image_pair(reference, estimate)
    usable = _varies(x)
    if not usable.any():
        raise InputError(
            "every band of the reference is constant: one that varies is needed for a correlation; "
            "choose another area."
        )
    both = usable & _varies(p)
    x, p = x[..., both], p[..., both]
    x, p = x - x.mean(axis=(0, 1)), p - p.mean(axis=(0, 1))
    spread = np.sqrt((x**2).sum(axis=(0, 1)) * (p**2).sum(axis=(0, 1)))
    return float(np.sum((x * p).sum(axis=(0, 1)) / spread) / usable.sum())


def _varies(image):
    """Which bands are not constant, rounding aside."""
    return np.ptp(image, axis=(0, 1)) > _ROUNDING * np.abs(image).max(axis=(0, 1))


def snr(reference, estimate):
    r"""Signal-to-noise ratio of the whole image in decibels; infinite is perfect.

    .. math:: 10 \log_{10} \frac{\sum x^2}{\sum (x - p)^2}

    Raises
    ------
    InputError
        A reference that is zero everywhere.

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> round(snr(x, 1.1 * x), 6)
    20.0
    """
    x, p = as_image_pair(reference, estimate)
    signal, error = np.sum(x**2), np.sum((x - p) ** 2)
    if signal == 0:
        raise InputError(
            "the reference is zero everywhere: a signal is needed to compare the error with; "
            "choose another area."
        )
    return float(10 * np.log10(signal / error)) if error > 0 else float("inf")


def mrae_map(reference, estimate, floor=1e-3):
    r"""Relative absolute error of every pixel, the mean over its bands.

    .. math:: \operatorname{mean}_b \frac{|x - p|}{\max(x, \text{floor})}

    Parameters
    ----------
    floor : float
        Positive, in the units of the images. Without it one dark value decides the mean; always
        say which floor was used.

    Examples
    --------
    >>> mrae_map([[[1.0, 0.0]]], [[[1.5, 0.1]]], floor=0.2)
    array([[0.5]])
    """
    x, p = as_image_pair(reference, estimate)
    if not 0 < floor < np.inf:
        raise InputError(f"floor is {floor}: a positive number is needed; 1e-3 suits reflectance.")
    return np.mean(np.abs(x - p) / np.maximum(x, floor), axis=-1)


def mrae(reference, estimate, floor=1e-3):
    """Mean relative absolute error, the mean of :func:`mrae_map`; 0 is perfect.

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> round(mrae(x, 1.25 * x), 6)
    0.25
    """
    return float(mrae_map(reference, estimate, floor).mean())
