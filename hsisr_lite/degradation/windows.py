"""The pixels that a PSF touches: one row of them per low-resolution pixel, linear in the kernel."""

import numpy as np

from hsisr_lite.degradation.psf import window_start


def windows(hr_msi, size, ratio, pixels=None):
    """The pixels under each placement of a PSF, borders mirrored.

    Parameters
    ----------
    hr_msi : (rows, cols, msi_bands) array
    size, ratio : int
    pixels : (n,) array of int, optional
        Flat indices of the low-resolution pixels that are wanted; default all.

    Returns
    -------
    windows : (rows / ratio, cols / ratio, msi_bands, size * size) array
        Or (n, msi_bands, size * size).

    Examples
    --------
    >>> windows(np.arange(4.0).reshape(2, 2, 1), 2, 2)
    array([[[[0., 1., 2., 3.]]]])
    """
    start = window_start(ratio, size)  # above 0 for a kernel smaller than the ratio
    border = (max(-start, 0), max(start + size - ratio, 0))
    padded = np.pad(hr_msi, (border, border, (0, 0)), mode="symmetric")
    first = slice(max(start, 0), None, ratio)
    every = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    kept = every[first, first]  # a view: nothing is copied yet
    if pixels is not None:
        kept = kept[np.unravel_index(pixels, kept.shape[:2])]
    kept = np.ascontiguousarray(kept)
    return kept.reshape(*kept.shape[:-2], size * size)  # (..., msi_bands, k k)
