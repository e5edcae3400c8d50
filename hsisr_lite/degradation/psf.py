"""Point spread functions: how a coarse sensor blurs what it sees.

A PSF is a (k, k) array, non-negative, summing to one, applied as a correlation to the
high-resolution pixels around the block that one low-resolution pixel covers [wald1997]_.
"""

import numpy as np

from hsisr_lite.arrays import InputError, as_ratio

FWHM_TO_SIGMA = 2.35482  # 2 sqrt(2 ln 2): full width at half maximum over standard deviation


def window_start(ratio, size):
    """First high-resolution pixel, relative to its block, that a PSF of ``size`` touches.

    The window of low-resolution pixel i starts at ``ratio * i - (size - ratio) // 2``.

    Examples
    --------
    >>> window_start(4, 4), window_start(4, 8), window_start(4, 5)
    (0, -2, 0)
    """
    return -((size - ratio) // 2)


def gaussian_psf(ratio, *, fwhm=None, elongation=1.0, angle=0.0, size=None, phase="block"):
    r"""Anisotropic Gaussian PSF sampled on the high-resolution grid.

    .. math:: h(d) \propto \exp\left(-\tfrac12\, d^\top \Sigma^{-1} d\right)

    Parameters
    ----------
    ratio : int
        High-resolution pixels per low-resolution pixel, along one side.
    fwhm : float, optional
        Full width at half maximum along the long axis, in high-resolution pixels; default
        ``ratio``.
    elongation : float
        Long axis over short axis, at least 1.
    angle : float
        Direction of the long axis in degrees: 0 lies along a row of the image, 90 along a column,
        turning counter-clockwise as the image is seen (row 0 on top).
    size : int, optional
        Side of the kernel; default ``ratio``: blocks do not overlap, and a Gaussian of that FWHM
        loses its tails beyond the block.
    phase : {"block", "pixel"}
        Centre of the kernel: the middle of the block, or pixel ``size // 2`` of the kernel. Where
        the two differ, by half a pixel for an even ratio and size, everything that is later
        upsampled is shifted.

    Returns
    -------
    psf : (size, size) float64 array, sums to 1.

    Raises
    ------
    InputError
        A width that is not positive, an elongation below 1, an angle that is not finite, a size
        below 1 or an unknown phase.

    Examples
    --------
    >>> gaussian_psf(4).shape, float(gaussian_psf(4).sum().round(12))
    ((4, 4), 1.0)
    """
    ratio = as_ratio(ratio)
    size = ratio if size is None else as_ratio(size)
    fwhm = float(ratio if fwhm is None else fwhm)
    if not fwhm > 0 or not np.isfinite(fwhm):
        raise InputError(f"fwhm is {fwhm:g}: a positive width in pixels is needed; try {ratio}.")
    if not elongation >= 1 or not np.isfinite(elongation):
        raise InputError(
            f"elongation is {elongation:g}: at least 1 is needed (long axis over short axis); "
            "turn the kernel by 90 degrees instead."
        )
    if not np.isfinite(angle):
        raise InputError(f"angle is {angle}: a finite number of degrees is needed; try 0.")
    if phase not in ("block", "pixel"):
        raise InputError(
            f"phase is '{phase}': 'block' or 'pixel' is needed; 'block' keeps images aligned."
        )
    centre = size // 2 if phase == "pixel" else (ratio - 1) / 2 - window_start(ratio, size)
    row, col = np.mgrid[:size, :size] - centre
    theta = np.deg2rad(angle)
    along = col * np.cos(theta) - row * np.sin(theta)  # rows point down, angles turn up
    across = col * np.sin(theta) + row * np.cos(theta)
    sigma = fwhm / FWHM_TO_SIGMA
    # h(d) = exp(-1/2 (along^2 / sigma^2 + across^2 / (sigma / elongation)^2))
    exponent = -0.5 * ((along / sigma) ** 2 + (across * elongation / sigma) ** 2)
    psf = np.exp(exponent - exponent.max())  # the shift keeps very narrow kernels from vanishing
    return psf / psf.sum()
