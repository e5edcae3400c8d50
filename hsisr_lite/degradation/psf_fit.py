"""Kernels of a PSF fitted to quadratic forms: a Gaussian, and one with free values.

A root R stands for a form, |R h|^2; ``view`` brings the window's ``ratio`` and the root ``spread``
of the variance of the blurred MSI.
"""

import numpy as np

from hsisr_lite.degradation.psf import FWHM_TO_SIGMA, window_start

_EXACT = 1e-12  # of a variance: float32 images agree to 1e-7, and up to ten times that is none


def nearest_gaussian(view, root, window):
    """The Gaussian that leaves the least share of the variance unexplained, by simplex search."""
    from scipy.optimize import minimize  # slow to import; a pair that tells nothing needs it not

    side = int(np.sqrt(window.sum()))
    middle = (view.ratio - 1) / 2 - window_start(view.ratio, side)
    row, col = (np.mgrid[:side, :side] - middle) / view.ratio
    root, spread = root[:, window], view.spread[:, window]

    def gaussian(numbers):
        down, right, narrow_down, lean, narrow_right = numbers
        # exp(-1/2 |L (d - c)|^2) with a triangular L, its diagonal exp(.) to be positive
        along = np.exp(narrow_down) * (row - down) + lean * (col - right)
        exponent = -0.5 * (along**2 + (np.exp(narrow_right) * (col - right)) ** 2)
        kernel = np.exp(exponent - exponent.max()).ravel()
        return kernel / kernel.sum()

    def share(numbers):
        kernel = gaussian(numbers)
        left, total = np.sum((root @ kernel) ** 2), np.sum((spread @ kernel) ** 2)
        return np.log(max(left, _EXACT**2) / max(total, _EXACT**2))

    start = np.array([0, 0, np.log(FWHM_TO_SIGMA), 0, np.log(FWHM_TO_SIGMA)])
    corners = start + np.vstack([np.zeros(5), np.diag([0.1, 0.1, 0.3, 0.3, 0.3])])
    options = {"initial_simplex": corners, "maxfev": 400, "xatol": 1e-3, "fatol": 1e-4}
    found = minimize(share, start, method="Nelder-Mead", options=options)
    kernel = np.zeros(len(window))
    kernel[window] = gaussian(found.x)
    return kernel


def free_kernel(view, root, window, prior, strength):
    """min |root h|^2 + lambda |h - prior|^2 over h >= 0, sum h = 1, on the window's pixels."""
    scale = strength * np.mean(view.spread**2) * len(view.spread)
    kernel, used = prior, window
    for _ in range(5):  # pixels that come out negative are left out of the next solve
        squares = root[:, used].T @ root[:, used] + scale * np.eye(used.sum())
        # The sum of one by its multiplier: h = free + multiplier * answer
        free, answer = np.linalg.solve(
            squares, np.column_stack([scale * prior[used], np.ones(used.sum())])
        ).T
        kernel = np.zeros(len(window))
        kernel[used] = free + (1 - free.sum()) / answer.sum() * answer
        if kernel.min() >= 0:
            break
        kernel = np.maximum(kernel, 0)
        used = kernel > 0
    return kernel / kernel.sum()


def compact(values):
    """(msi_bands, pixels, n) values as at most n rows R with the same |R h| for every h."""
    rows = values.reshape(-1, values.shape[-1])  # (msi_bands * pixels, n)
    return np.linalg.qr(rows, mode="r") if len(rows) > rows.shape[1] else rows


def without(root, noise):
    """R with |R h|^2 less noise |h|^2, or none where that would be less than none."""
    if noise == 0:
        return root
    _, singular, right = np.linalg.svd(root, full_matrices=False)
    return np.sqrt(np.maximum(singular**2 - noise, 0))[:, None] * right
