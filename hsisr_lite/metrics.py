"""How good is a fused image? Each metric from its formula, in float64.

``x`` is the reference, ``p`` the estimate, both (rows, cols, bands). Where the field uses several
definitions under one name, the choice is an argument, never a silent default.
"""

import numpy as np

from hsisr_lite.arrays import InputError, as_image_pair, as_ratio
from hsisr_lite.waiting import waiting
from hsisr_lite.window_metrics import ssim, uiqi

__all__ = [
    "cc", "ergas", "mrae", "psnr", "rmse", "sam", "sam_map", "score", "snr", "ssim", "uiqi",
]  # fmt: skip


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
        whole reference, or a number such as 1.0. A band whose peak is not positive has no PSNR
        and is left out; when none is left the result is NaN. One band without error makes the
        mean infinite.

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
    if not isinstance(peak, str) and not peak > 0:
        raise InputError(f"peak is {peak}: a positive number is needed; 1.0 suits reflectance.")
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
    x, p = as_image_pair(reference, estimate)
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
    x, p = as_image_pair(reference, estimate)
    level = np.sqrt((x**2).sum(axis=(0, 1)) * (p**2).sum(axis=(0, 1)))
    x, p = x - x.mean(axis=(0, 1)), p - p.mean(axis=(0, 1))
    spread = np.sqrt((x**2).sum(axis=(0, 1)) * (p**2).sum(axis=(0, 1)))
    usable = spread > 1e-14 * level  # a constant band keeps rounding, about 1e-16 of its level
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
    x, p = as_image_pair(reference, estimate)
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
    x, p = as_image_pair(reference, estimate)
    return float(np.mean(np.abs(x - p) / np.maximum(x, floor)))


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
        Pixels to count; UIQI and SSIM count the windows that hold no others, and are NaN where
        there is none.

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
    x, p = as_image_pair(reference, estimate)
    counted, guess = x, p
    if valid is not None:
        valid = np.asarray(valid, dtype=bool)
        if valid.shape != x.shape[:2] or not valid.any():
            raise InputError(
                f"valid has shape {valid.shape} and {valid.sum()} true pixels: {x.shape[:2]} with "
                "at least one is needed; pass the mask of the scene."
            )
        counted, guess = x[valid][:, None], p[valid][:, None]  # (pixels, 1, bands)
    with waiting("scoring"):
        return {
            "psnr": psnr(counted, guess),
            "sam": sam(counted, guess),
            "ergas": ergas(counted, guess, ratio),
            "cc": cc(counted, guess),
            "rmse": rmse(counted, guess),
            "uiqi": uiqi(x, p, valid=valid),
            "ssim": ssim(x, p, valid=valid),
        }
