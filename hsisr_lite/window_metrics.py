"""Metrics of small windows: UIQI and SSIM, each an average over every window that fits.

``x`` is the reference, ``p`` the estimate, both (rows, cols, bands), computed in float64.
"""

import numpy as np
from scipy.ndimage import minimum_filter, uniform_filter

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
        Only windows without invalid pixels count.

    Raises
    ------
    InputError
        An image smaller than the window, or no window of valid pixels only.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((12, 12, 2))
    >>> uiqi(x, x)
    1.0
    """
    return _average(_local_uiqi, reference, estimate, valid, size=8)


def _local_uiqi(x, p):
    """UIQI of every full 8 x 8 window of one band."""
    mean_x, mean_p, var_x, var_p, covariance = _moments(x, p, size=8)
    # Running sums leave rounding of the band's variance in windows that are constant.
    varies_x, varies_p = var_x > 1e-12 * np.ptp(x) ** 2, var_p > 1e-12 * np.ptp(p) ** 2
    covariance = covariance * varies_x * varies_p
    return quality_index(mean_x, mean_p, var_x * varies_x, var_p * varies_p, covariance)


def quality_index(mean_x, mean_p, var_x, var_p, covariance):
    """UIQI from the moments of one or many windows, in [-1, 1]; arrays that broadcast.

    Where the denominator vanishes, up to rounding, both images are constant or neither has a mean:
    1 when they are equal and 0 otherwise.

    Examples
    --------
    >>> round(float(quality_index(1.0, 2.0, 1.0, 4.0, 2.0)), 9)
    0.64
    """
    spread, level = var_x + var_p, mean_x**2 + mean_p**2
    constant, without_mean = spread <= 1e-24 * level, level <= 1e-24 * spread
    equal = np.where(
        constant,
        np.isclose(mean_x, mean_p, rtol=1e-9, atol=0),
        np.isclose(2 * covariance, spread, rtol=1e-9, atol=0),
    )
    flat = constant | without_mean
    # 4 s_xp x p / ((s_x^2 + s_p^2)(x^2 + p^2)), one fraction at a time: nothing underflows
    quality = 2 * covariance / np.where(flat, 1, spread)
    quality = quality * (2 * mean_x * mean_p / np.where(flat, 1, level))
    return np.where(flat, equal, np.clip(quality, -1, 1))


def ssim(reference, estimate, data_range=1.0, *, valid=None):
    r"""Structural similarity [wang2004]_, 7 x 7 uniform window, the mean over bands; 1 is perfect.

    .. math:: \frac{(2 \bar x \bar p + \varepsilon_1)(2 \sigma_{xp} + \varepsilon_2)}
                   {(\bar x^2 + \bar p^2 + \varepsilon_1)(\sigma_x^2 + \sigma_p^2 + \varepsilon_2)},
              \qquad \varepsilon_1 = (0.01\, L)^2, \quad \varepsilon_2 = (0.03\, L)^2

    with the unbiased variances of the 49 values.

    Parameters
    ----------
    data_range : float
        L, the span of values; it sets the two constants, so a figure means nothing without it.
    valid : (rows, cols) bool, optional
        Only windows without invalid pixels count.

    Raises
    ------
    InputError
        An image smaller than the window, no window of valid pixels only, or a range that is not
        positive.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((12, 12, 2))
    >>> ssim(x, x)
    1.0
    """
    if not 0 < data_range < np.inf:
        raise InputError(
            f"data_range is {data_range}: a positive number is needed; 1.0 suits reflectance."
        )
    eps1, eps2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2

    def local_ssim(x, p):
        mean_x, mean_p, var_x, var_p, covariance = _moments(x, p, size=7)
        unbiased = 49 / 48
        above = (2 * mean_x * mean_p + eps1) * (2 * unbiased * covariance + eps2)
        below = (mean_x**2 + mean_p**2 + eps1) * (unbiased * (var_x + var_p) + eps2)
        return above / below

    return _average(local_ssim, reference, estimate, valid, size=7)


def _moments(x, p, size):
    """Means, variances and covariance of every full window of one band."""
    level_x, level_p = x.mean(), p.mean()
    # Centred first: windows of nearly constant bands would otherwise lose their digits.
    x, p = x - level_x, p - level_p
    mean_x, mean_p = _window_mean(x, size), _window_mean(p, size)
    var_x = _window_mean(x**2, size) - mean_x**2
    var_p = _window_mean(p**2, size) - mean_p**2
    covariance = _window_mean(x * p, size) - mean_x * mean_p
    return mean_x + level_x, mean_p + level_p, var_x, var_p, covariance


def _average(local, reference, estimate, valid, size):
    """Mean over bands of what ``local`` gives in the windows that count."""
    x, p = as_image_pair(reference, estimate)
    inside = _windows(x.shape, valid, size)
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
    inside = _full(minimum_filter(np.asarray(valid, np.uint8), size), size).astype(bool)
    if not inside.any():
        raise InputError(
            f"no window of {size} x {size} pixels is wholly valid: at least one is needed; score a "
            "larger area."
        )
    return inside


def _window_mean(band, size):
    return _full(uniform_filter(band, size), size)


def _full(filtered, size):
    """Keep the windows that lie in the image; scipy centres an even one right of the middle."""
    rows, cols = filtered.shape
    first = size // 2
    return filtered[first : first + rows - size + 1, first : first + cols - size + 1]
