"""Cubic interpolation of the LrHSI: what fusion has to beat, and how residuals travel upwards."""

import numpy as np
from scipy import sparse

from hsisr_lite.baselines.inputs import filled
from hsisr_lite.degradation.psf import window_start
from hsisr_lite.results import FusionResult

_SLOPE = -0.75  # as torch and OpenCV choose it; Keys derives -0.5 for smooth signals


def upsample(image, ratio, centre=None):
    r"""Enlarge an image by separable cubic convolution [keys1981]_.

    Low-resolution pixel i sits at high-resolution coordinate :math:`r\,i + c`; the value at u is

    .. math:: \sum_{t} k\left(\frac{u - c}{r} - t\right) y_t

    with the cubic k of torch and OpenCV (free slope -0.75) and borders that repeat the edge pixel.

    Parameters
    ----------
    image : (rows, cols, bands) array
    ratio : int
    centre : (float, float), optional
        Row and column, inside its block, where a low-resolution pixel was measured; default the
        middle, (ratio - 1) / 2. Get it wrong by half a pixel and the whole image shifts.

    Returns
    -------
    enlarged : (ratio * rows, ratio * cols, bands) array, same type.

    Examples
    --------
    >>> upsample(np.ones((2, 3, 1)), 4).shape
    (8, 12, 1)
    """
    image = np.asarray(image)
    image = image.astype(np.result_type(image, np.float32), copy=False)
    rows, cols, bands = image.shape
    centre = ((ratio - 1) / 2, (ratio - 1) / 2) if centre is None else centre
    down = _cubic_matrix(rows, ratio, centre[0]).astype(image.dtype)
    across = _cubic_matrix(cols, ratio, centre[1]).astype(image.dtype)
    tall = down @ image.reshape(rows, cols * bands)  # (ratio * rows, cols * bands)
    tall = tall.reshape(ratio * rows, cols, bands)  # (ratio * rows, cols, bands)
    turned = np.moveaxis(tall, 1, 0).reshape(cols, -1)  # (cols, ratio * rows * bands)
    wide = (across @ turned).reshape(ratio * cols, ratio * rows, bands)  # (cols, rows, bands)
    return np.ascontiguousarray(np.moveaxis(wide, 0, 1))


def psf_centre(psf, ratio):
    """Row and column, inside a block, of the PSF's centre of mass: where a pixel was measured.

    Examples
    --------
    >>> psf_centre(np.full((4, 4), 1 / 16), 4)
    (1.5, 1.5)
    """
    start, index = window_start(ratio, len(psf)), np.arange(len(psf))
    row, col = psf.sum(axis=1) @ index, psf.sum(axis=0) @ index
    return float(start + row), float(start + col)


def bicubic(pair, run):
    """Enlarge the LrHSI, centred with the phase of a known PSF; the MSI is not used.

    The phase of an unknown PSF could only be found from the MSI, so the middle of the block counts.
    """
    centre, notes = None, ["PSF unknown: assumed centred on its block."]
    if pair.psf is not None:
        centre, notes = psf_centre(pair.psf, pair.ratio), []
    lr_hsi = filled(pair.lr_hsi, pair.lr_valid)
    return FusionResult.of(pair, upsample(lr_hsi, pair.ratio, centre), notes=notes)


def _cubic_matrix(size, ratio, centre):
    """(ratio * size, size) sparse matrix of the cubic's weights along one axis."""
    at = (np.arange(ratio * size) - centre) / ratio  # in low-resolution pixels
    first = np.floor(at).astype(int) - 1
    taps = first[:, None] + np.arange(4)  # (ratio * size, 4)
    distance = np.abs(at[:, None] - taps)
    a = _SLOPE
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    weights = np.where(distance <= 1, near, np.where(distance < 2, far, 0))
    owner = np.repeat(np.arange(ratio * size), 4)
    return sparse.csr_matrix(
        (weights.ravel(), (owner, np.clip(taps, 0, size - 1).ravel())), shape=(ratio * size, size)
    )
