"""Metrics of small windows: UIQI and SSIM, each an average over every window that fits.

``x`` is the reference, ``p`` the estimate, both (rows, cols, bands), computed in float64.
"""

import numpy as np
from scipy.ndimage import minimum_filter, uniform_filter
from skimage.metrics import structural_similarity

from hsisr_lite.arrays import InputError, as_image_pair


def uiqi(reference, estimate, *, valid=None):
    r"""Universal image quality index of Wang and Bovik [wang2002]_; 1 is perfect.

    .. math:: Q = \frac{4\, \sigma_{xp}\, \bar x\, \bar p}
                       {(\sigma_x^2 + \sigma_p^2)(\bar x^2 + \bar p^2)}

    in every 8 x 8 window, then the mean over windows and bands. A window where the denominator
    vanishes counts 1 when both are equal there and 0 otherwise.

    Parameters
    ----------
    valid : (rows, cols) bool, optional
        Only windows without invalid pixels count; NaN when there is none.

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
    return _average(_local_uiqi, reference, estimate, valid, size=8)


def _local_uiqi(x, p):
    """UIQI of every full 8 x 8 window of one band."""
    mean_x, mean_p = _window_mean(x), _window_mean(p)
    # Centred first: windows of nearly constant bands would otherwise lose their digits.
    shift_x, shift_p = x - x.mean(), p - p.mean()
    local_x, local_p = _window_mean(shift_x), _window_mean(shift_p)
    var_x = np.maximum(_window_mean(shift_x**2) - local_x**2, 0)
    var_p = np.maximum(_window_mean(shift_p**2) - local_p**2, 0)
    covariance = _window_mean(shift_x * shift_p) - local_x * local_p
    below = (var_x + var_p) * (mean_x**2 + mean_p**2)
    flat = below <= 1e-24 * max(np.abs(x).max(), np.abs(p).max(), 1e-300) ** 4
    quality = 4 * covariance * mean_x * mean_p / np.where(flat, 1, below)
    return np.where(flat, np.isclose(mean_x, mean_p, rtol=1e-9, atol=0), quality)


def ssim(reference, estimate, data_range=1.0, *, valid=None):
    """Structural similarity [wang2004]_, 7 x 7 uniform window, the mean over bands; 1 is perfect.

    Parameters
    ----------
    data_range : float
        The span of values; it sets the two constants, so a figure means nothing without it.
    valid : (rows, cols) bool, optional
        Only windows without invalid pixels count; NaN when there is none.

    Raises
    ------
    InputError
        An image smaller than the window.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((12, 12, 2))
    >>> ssim(x, x)
    1.0
    """

    def local_ssim(x, p):
        return structural_similarity(x, p, data_range=data_range, full=True)[1][3:-3, 3:-3]

    return _average(local_ssim, reference, estimate, valid, size=7)


def _average(local, reference, estimate, valid, size):
    """Mean over bands of what ``local`` gives in the windows that count; NaN when none does."""
    x, p = as_image_pair(reference, estimate)
    inside = _windows(x.shape, valid, size)
    if not inside.any():
        return float("nan")
    return float(np.mean([local(x[..., b], p[..., b])[inside].mean() for b in range(x.shape[-1])]))


def _windows(shape, valid, size):
    """Which of the (rows - size + 1, cols - size + 1) windows hold valid pixels only."""
    rows, cols, _ = shape
    if min(rows, cols) < size:
        raise InputError(
            f"the image has {rows} x {cols} pixels: at least {size} x {size} are needed for one "
            "window; score a larger area."
        )
    if valid is None:
        return np.ones((rows - size + 1, cols - size + 1), bool)
    return _full(minimum_filter(np.asarray(valid, np.uint8), size), size).astype(bool)


def _window_mean(band, size=8):
    return _full(uniform_filter(band, size), size)


def _full(filtered, size):
    """Keep the windows that lie in the image; scipy centres an even one right of the middle."""
    rows, cols = filtered.shape
    first = size // 2
    return filtered[first : first + rows - size + 1, first : first + cols - size + 1]
