r"""Dead leaves: pictures to learn from, made of nothing but the spectra of the observed LrHSI.

Natural images look like opaque objects of all sizes in front of one another. Discs and boxes whose
sides follow a power law, each with the spectrum of one observed pixel, give sharp images whose
truth is known, and no high-resolution hyperspectral image is needed.
"""

from itertools import count

import numpy as np
from scipy.ndimage import gaussian_filter

_SMALLEST, _LARGEST = 2.0, 24.0  # pixels from the middle of a leaf to its end
_POWER = 2.0  # the share of leaves larger than r falls as r to the minus this
_SHADING = 0.05  # standard deviation of the light within a leaf
_COVERED = 0.98  # of the pixels: what is still open then is one leaf, behind all others


def dead_leaves(size, spectra, rng):
    """One synthetic image.

    Parameters
    ----------
    size : int
        Pixels along one side.
    spectra : (pixels, bands) array
        What leaves may look like.
    rng : numpy Generator

    Returns
    -------
    image : (size, size, bands) float32

    Examples
    --------
    >>> spectra = np.array([[0.1, 0.2], [0.5, 0.4]])
    >>> dead_leaves(32, spectra, np.random.default_rng(0)).shape
    (32, 32, 2)
    """
    owner = leaf_of(size, rng)
    chosen = rng.integers(len(spectra), size=owner.max() + 1)  # the spectrum of each leaf
    light = gaussian_filter(rng.standard_normal((size, size)), rng.uniform(1, 6))
    light = 1 + _SHADING * light / light.std()
    return (spectra[chosen[owner]] * light[..., None]).astype(np.float32)


def leaf_of(size, rng):
    """Which leaf is seen at each pixel, (size, size) int: front ones are thrown first.

    Examples
    --------
    >>> int(leaf_of(16, np.random.default_rng(0)).min()) >= 0
    True
    """
    down, right = np.ogrid[:size, :size]
    owner = np.full((size, size), -1)
    for leaf in count(1):
        share = rng.random()
        # From P(radius > r) = (r^-p - L^-p) / (s^-p - L^-p)
        radius = (_LARGEST**-_POWER + share * (_SMALLEST**-_POWER - _LARGEST**-_POWER)) ** (
            -1 / _POWER
        )
        row, col = rng.uniform(-radius, size + radius, 2)
        turn, slim, round_ = rng.uniform(0, np.pi), rng.uniform(0.4, 1), rng.random() < 0.5
        # Only the box around the leaf is looked at
        rows = slice(max(0, int(row - 1.5 * radius)), max(0, int(row + 1.5 * radius) + 2))
        cols = slice(max(0, int(col - 1.5 * radius)), max(0, int(col + 1.5 * radius) + 2))
        below, beside = down[rows] - row, right[:, cols] - col
        along = (np.cos(turn) * beside + np.sin(turn) * below) / radius
        across = (np.cos(turn) * below - np.sin(turn) * beside) / (radius * slim)
        inside = along**2 + across**2 < 1 if round_ else np.maximum(abs(along), abs(across)) < 1
        window = owner[rows, cols]
        window[inside & (window < 0)] = leaf
        if leaf % 16 == 0 and np.mean(owner >= 0) >= _COVERED:
            return np.maximum(owner, 0)
