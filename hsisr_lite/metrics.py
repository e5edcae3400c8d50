"""How good is a fused image? Each metric from its formula, in float64.

``x`` is the reference, ``p`` the estimate, both (rows, cols, bands). Where the field uses several
definitions under one name, the choice is an argument, never a silent default.
"""

import numpy as np
from scipy.ndimage import uniform_filter
from skimage.metrics import structural_similarity

from hsisr_lite.arrays import InputError, as_image, as_ratio
from hsisr_lite.waiting import waiting

_WINDOW = 8  # pixels: the window of the universal image quality index [wang2002]_


def _pair(reference, estimate):
    """Both images in float64, of one shape, or a sentence that says what differs."""
    reference, estimate = as_image(reference, "the reference"), as_image(estimate, "the estimate")
    if reference.shape != estimate.shape:
        raise InputError(
            f"the estimate has shape {estimate.shape}: {reference.shape} is needed, that of the "
            "reference; crop or reorder one of them."
        )
    return reference.astype(np.float64), estimate.astype(np.float64)


def rmse(reference, estimate):
    r"""Root mean square error over every pixel and band; 0 is perfect.

    .. math:: \sqrt{\operatorname{mean}\,(x - p)^2}

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> rmse(x, x + 0.5)
    0.5
    """
    x, p = _pair(reference, estimate)
    return float(np.sqrt(np.mean((x - p) ** 2)))


def psnr(reference, estimate, peak="band"):
    r"""Peak signal-to-noise ratio in decibels, the mean over bands; infinite is perfect.

    .. math:: \operatorname{mean}_b\; 10 \log_{10} \frac{\text{peak}_b^2}{\operatorname{MSE}_b}

    Parameters
    ----------
    peak : {"band", "global"} or float
        The maximum of that band of the reference (the field's usual choice), the maximum of the
        whole reference, or a number such as 1.0. A band whose peak is not positive has no PSNR
        and is left out; when none is left the result is NaN.

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> round(psnr(x, x + 0.1), 6)
    20.0
    """
    x, p = _pair(reference, estimate)
    mse = ((x - p) ** 2).mean(axis=(0, 1))
    if isinstance(peak, str) and peak not in ("band", "global"):
        raise InputError(f"peak is '{peak}': 'band', 'global' or a number is needed; try 'band'.")
    if peak == "band":
        peaks = x.max(axis=(0, 1))
    else:
        peaks = np.full(x.shape[-1], x.max() if peak == "global" else float(peak))
    usable = peaks > 0
    if not usable.any():
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(np.mean(10 * np.log10(peaks[usable] ** 2 / mse[usable])))


def sam_map(reference, estimate):
    r"""Angle between the two spectra of every pixel, in degrees [kruse1993]_.

    .. math:: \arccos \frac{\langle x, p \rangle}{\lVert x \rVert \lVert p \rVert}

    Computed as 2 atan2(|u - v|, |u + v|) of the unit spectra, which stays exact for small angles
    where the arc cosine loses half its digits. A pixel that is zero in either image has no angle:
    NaN.

    Examples
    --------
    >>> sam_map([[[1.0, 0.0]]], [[[1.0, 1.0]]]).round(6)
    array([[45.]])
    """
    x, p = _pair(reference, estimate)
    length_x = np.linalg.norm(x, axis=-1, keepdims=True)
    length_p = np.linalg.norm(p, axis=-1, keepdims=True)
    zero = (length_x == 0) | (length_p == 0)
    u, v = x / np.where(zero, 1, length_x), p / np.where(zero, 1, length_p)
    half = np.arctan2(np.linalg.norm(u - v, axis=-1), np.linalg.norm(u + v, axis=-1))
    return np.where(zero[..., 0], np.nan, np.rad2deg(2 * half))


def sam(reference, estimate):
    """Spectral angle in degrees, the mean over pixels that have one; 0 is perfect.

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> round(sam(x, 3 * x), 6)
    0.0
    """
    angles = sam_map(reference, estimate)
    return float(np.nanmean(angles)) if np.isfinite(angles).any() else float("nan")


def ergas(reference, estimate, ratio):
    r"""Relative dimensionless global error in synthesis [wald1997]_; 0 is perfect.

    .. math:: \frac{100}{r} \sqrt{\operatorname{mean}_b \frac{\operatorname{MSE}_b}{\mu_b^2}}

    ``ratio`` is high-resolution pixels per low-resolution pixel (4, 8, ...), at least 1. Bands
    whose mean is zero have no relative error and are left out; when none is left the result is NaN.

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> round(ergas(x, x + 0.1, ratio=4), 6)
    2.5
    """
    x, p = _pair(reference, estimate)
    mean, mse = x.mean(axis=(0, 1)), ((x - p) ** 2).mean(axis=(0, 1))
    usable = mean != 0
    if not usable.any():
        return float("nan")
    return float(100 / as_ratio(ratio) * np.sqrt(np.mean(mse[usable] / mean[usable] ** 2)))


def cc(reference, estimate):
    """Pearson's correlation coefficient, the mean over bands; 1 is perfect.

    A band that is constant in either image has none and is left out; when none is left, NaN.

    Examples
    --------
    >>> x = np.arange(16.0).reshape(4, 4, 1)
    >>> round(cc(x, 5 - 2 * x), 6)
    -1.0
    """
    x, p = _pair(reference, estimate)
    x, p = x - x.mean(axis=(0, 1)), p - p.mean(axis=(0, 1))
    spread = np.sqrt((x**2).sum(axis=(0, 1)) * (p**2).sum(axis=(0, 1)))
    usable = spread > 0
    if not usable.any():
        return float("nan")
    return float(np.mean((x * p).sum(axis=(0, 1))[usable] / spread[usable]))


def snr(reference, estimate):
    r"""Signal-to-noise ratio of the whole image in decibels; infinite is perfect.

    .. math:: 10 \log_{10} \frac{\sum x^2}{\sum (x - p)^2}

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> round(snr(x, 1.1 * x), 6)
    20.0
    """
    x, p = _pair(reference, estimate)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(10 * np.log10(np.sum(x**2) / np.sum((x - p) ** 2)))


def mrae(reference, estimate, floor=1e-3):
    r"""Mean relative absolute error; 0 is perfect.

    .. math:: \operatorname{mean} \frac{|x - p|}{\max(x, \text{floor})}

    Without the floor one dark pixel decides the mean; always say which floor was used.

    Examples
    --------
    >>> x = np.ones((4, 4, 2))
    >>> round(mrae(x, 1.25 * x), 6)
    0.25
    """
    x, p = _pair(reference, estimate)
    return float(np.mean(np.abs(x - p) / np.maximum(x, floor)))


def uiqi(reference, estimate):
    r"""Universal image quality index of Wang and Bovik [wang2002]_; 1 is perfect.

    .. math:: Q = \frac{4\, \sigma_{xp}\, \bar x\, \bar p}
                       {(\sigma_x^2 + \sigma_p^2)(\bar x^2 + \bar p^2)}

    in every 8 x 8 window that fits, then the mean over windows and bands. A window where the
    denominator vanishes counts 1 when both are equal there and 0 otherwise.

    Raises
    ------
    InputError
        An image smaller than the window.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((12, 12, 2))
    >>> uiqi(x, x)
    1.0
    """
    x, p = _pair(reference, estimate)
    if min(x.shape[:2]) < _WINDOW:
        raise InputError(
            f"the image has {x.shape[0]} x {x.shape[1]} pixels: at least {_WINDOW} x {_WINDOW} "
            "are needed for one window of UIQI; score a larger area."
        )
    total = 0.0
    for x_band, p_band in zip(np.moveaxis(x, -1, 0), np.moveaxis(p, -1, 0), strict=True):
        mean_x, mean_p = _window_mean(x_band), _window_mean(p_band)
        # Centred first: windows of nearly constant bands would otherwise lose their digits.
        shift_x, shift_p = x_band - x_band.mean(), p_band - p_band.mean()
        local_x, local_p = _window_mean(shift_x), _window_mean(shift_p)
        var_x = np.maximum(_window_mean(shift_x**2) - local_x**2, 0)
        var_p = np.maximum(_window_mean(shift_p**2) - local_p**2, 0)
        covariance = _window_mean(shift_x * shift_p) - local_x * local_p
        below = (var_x + var_p) * (mean_x**2 + mean_p**2)
        flat = below <= 1e-24 * max(np.abs(x_band).max(), np.abs(p_band).max(), 1e-300) ** 4
        quality = 4 * covariance * mean_x * mean_p / np.where(flat, 1, below)
        same = np.isclose(mean_x, mean_p, rtol=1e-9, atol=0)
        total += np.where(flat, same, quality).mean()
    return float(total / x.shape[-1])


def _window_mean(band):
    """Mean of every full 8 x 8 window, (rows - 7, cols - 7)."""
    half = _WINDOW // 2
    rows, cols = band.shape
    return uniform_filter(band, _WINDOW)[half : rows - half + 1, half : cols - half + 1]


def ssim(reference, estimate, data_range=1.0):
    """Structural similarity [wang2004]_, 7 x 7 uniform window, the mean over bands; 1 is perfect.

    Parameters
    ----------
    data_range : float
        The span of values; it sets the two constants, so a figure means nothing without it.

    Raises
    ------
    InputError
        An image smaller than the 7 x 7 window.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((12, 12, 2))
    >>> ssim(x, x)
    1.0
    """
    x, p = _pair(reference, estimate)
    if min(x.shape[:2]) < 7:
        raise InputError(
            f"the image has {x.shape[0]} x {x.shape[1]} pixels: at least 7 x 7 are needed for one "
            "window of SSIM; score a larger area."
        )
    return float(structural_similarity(x, p, data_range=data_range, channel_axis=-1))


def score(reference, estimate, ratio, *, valid=None):
    """Score an estimate against the truth: a separate step that no method can reach.

    Parameters
    ----------
    reference, estimate : (rows, cols, bands) arrays
        A reference up to ``ratio - 1`` rows and columns larger is cropped at the bottom and right,
        as :func:`hsisr_lite.simulate` crops.
    ratio : int
        High-resolution pixels per low-resolution pixel; ERGAS needs it.
    valid : (rows, cols) bool, optional
        Pixels to count. Invalid ones are set to the reference in both images, so that they add
        no error to window metrics, and are left out of all others.

    Returns
    -------
    scores : dict
        ``psnr`` (peak="band", dB), ``sam`` (degrees), ``ergas``, ``cc``, ``rmse``, ``uiqi`` and
        ``ssim`` (range 1).

    Raises
    ------
    InputError
        Shapes that differ, NaN, or an image too small for the 8 x 8 window.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((12, 12, 2))
    >>> score(x, x, ratio=4)["rmse"]
    0.0
    """
    ratio = as_ratio(ratio)
    reference, estimate = np.asarray(reference), np.asarray(estimate)
    if reference.ndim == estimate.ndim == 3:
        rows, cols = estimate.shape[:2]
        spare = (reference.shape[0] - rows, reference.shape[1] - cols)
        if 0 <= min(spare) and max(spare) < ratio:
            reference = reference[:rows, :cols]
            valid = None if valid is None else np.asarray(valid)[:rows, :cols]
    x, p = _pair(reference, estimate)
    counted, guess = x, p
    if valid is not None:
        valid = np.asarray(valid, dtype=bool)
        if valid.shape != x.shape[:2] or not valid.any():
            raise InputError(
                f"valid has shape {valid.shape} and {valid.sum()} true pixels: {x.shape[:2]} with "
                "at least one is needed; pass the mask of the scene."
            )
        p = np.where(valid[..., None], p, x)
        counted, guess = x[valid][:, None], p[valid][:, None]  # (pixels, 1, bands)
    with waiting("scoring"):
        return {
            "psnr": psnr(counted, guess),
            "sam": sam(counted, guess),
            "ergas": ergas(counted, guess, ratio),
            "cc": cc(counted, guess),
            "rmse": rmse(counted, guess),
            "uiqi": uiqi(x, p),
            "ssim": ssim(x, p),
        }
