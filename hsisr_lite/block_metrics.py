"""Metrics that need no truth: D_lambda, D_s and QNR [alparone2008]_, by blocks of pixels.

Their idea: what two bands have in common, measured by UIQI, should not depend on the pixel size,
so compare it at both scales. Blocks do not overlap: one covariance matrix per block serves all
pairs of bands, where sliding windows would need a filter for each of the bands x bands pairs.
"""

from itertools import pairwise

import numpy as np

from hsisr_lite.arrays import InputError, as_image
from hsisr_lite.window_metrics import quality_index

_BLOCK = 32  # high-resolution pixels along one side, the usual choice
_SHORTEST = 4  # low-resolution pixels along one side of a block: 16 values per covariance
_FEWEST = 4  # valid low-resolution pixels without which a block, or a tiny image, says nothing


def d_lambda(estimate, lr_hsi, *, valid=None):
    r"""Spectral distortion: how much the relations between bands changed; 0 is perfect.

    .. math:: D_\lambda = \operatorname{mean}_{b \ne c}
                          \lvert Q(p_b, p_c) - Q(y_b, y_c) \rvert

    after [alparone2008]_, with Q the mean over blocks of :func:`hsisr_lite.metrics.uiqi`'s index.
    A block has about 32 high-resolution pixels along one side, and at least 4 low-resolution ones;
    the image is cut into equal blocks of whole low-resolution pixels, so that both scales see the
    same ground. An image smaller than a block is one block.

    Parameters
    ----------
    estimate : (rows, cols, bands) array
        The fused image p.
    lr_hsi : (rows / ratio, cols / ratio, bands) array
        The observed image y.
    valid : (rows, cols) bool, optional
        Low-resolution pixels count where all their high-resolution pixels are valid.

    Returns
    -------
    d_lambda : float

    Raises
    ------
    InputError
        A single band, sizes that do not fit, or fewer than 4 low-resolution pixels that count.

    Examples
    --------
    >>> y = np.random.default_rng(0).random((8, 8, 3))
    >>> d_lambda(np.kron(y, np.ones((4, 4, 1))), y) < 1e-12
    True
    """
    p, y, blocks = _at_both_scales(estimate, lr_hsi, valid)
    bands = p.shape[-1]
    if bands < 2:
        raise InputError(
            "the images have 1 band: at least 2 are needed for D_lambda, which compares pairs of "
            "bands; use d_s."
        )
    ratio = len(p) // len(y)
    change = np.abs(_quality(p, p, blocks, ratio) - _quality(y, y, blocks, 1))  # (bands, bands)
    return float(change[~np.eye(bands, dtype=bool)].mean())


def d_s(estimate, lr_hsi, hr_msi, low_msi=None, *, valid=None):
    r"""Spatial distortion: how much the relation to the sharp image changed; 0 is perfect.

    .. math:: D_s = \operatorname{mean}_{b, m} \lvert Q(p_b, z_m) - Q(y_b, (P z)_m) \rvert

    after [alparone2008]_, over every pair of an HSI and an MSI band; blocks as in :func:`d_lambda`.

    Parameters
    ----------
    estimate, lr_hsi, valid
        As in :func:`d_lambda`.
    hr_msi : (rows, cols, msi_bands) array
        The observed image z.
    low_msi : (rows / ratio, cols / ratio, msi_bands) array, optional
        The same through the PSF, ``pair.low_msi()``; default through the block-centred Gaussian of
        FWHM ``ratio``.

    Returns
    -------
    d_s : float

    Raises
    ------
    InputError
        Sizes that do not fit, or fewer than 4 low-resolution pixels that count.

    Examples
    --------
    >>> z = np.random.default_rng(0).random((8, 8, 2)).repeat(4, axis=0).repeat(4, axis=1)
    >>> d_s(z, z[::4, ::4], z) < 1e-12
    True
    """
    p, y, blocks = _at_both_scales(estimate, lr_hsi, valid)
    ratio, z = len(p) // len(y), as_image(hr_msi, "the HrMSI").astype(np.float64)
    _check_size("the HrMSI", z, p)
    low = _blurred(z, ratio) if low_msi is None else as_image(low_msi, "the blurred HrMSI")
    _check_size("the blurred HrMSI", low, y)
    change = np.abs(_quality(p, z, blocks, ratio) - _quality(y, low, blocks, 1))
    return float(change.mean())  # of (bands, msi_bands) values


def qnr(estimate, lr_hsi, hr_msi, low_msi=None, *, valid=None, alpha=1, beta=1):
    r"""Quality with no reference, between 0 and 1; higher is better.

    .. math:: \mathrm{QNR} = (1 - D_\lambda)^\alpha \, (1 - D_s)^\beta

    after [alparone2008]_. The true image does not reach 1: it has details that the coarse scale
    lacks, and they change the relations between bands. QNR ranks estimates; it does not measure
    their distance from the truth. A distortion above 1 counts as 1.

    Parameters
    ----------
    estimate, lr_hsi, hr_msi, low_msi, valid
        As in :func:`d_s`.
    alpha, beta : float
        Weights of the two distortions, not negative.

    Returns
    -------
    qnr : float

    Raises
    ------
    InputError
        As :func:`d_lambda` and :func:`d_s`, or a negative weight.

    Examples
    --------
    >>> z = np.random.default_rng(0).random((8, 8, 2)).repeat(4, axis=0).repeat(4, axis=1)
    >>> round(qnr(z, z[::4, ::4], z), 6)
    1.0
    """
    if not (0 <= alpha < np.inf and 0 <= beta < np.inf):
        raise InputError(
            f"alpha is {alpha} and beta {beta}: weights of at least 0 are needed; 1 is usual."
        )
    spectral = max(0.0, 1 - d_lambda(estimate, lr_hsi, valid=valid))
    spatial = max(0.0, 1 - d_s(estimate, lr_hsi, hr_msi, low_msi, valid=valid))
    return spectral**alpha * spatial**beta


def _at_both_scales(estimate, lr_hsi, valid):
    """Both images in float64, and the blocks: slices of low-resolution pixels, and which count."""
    p = as_image(estimate, "the estimate").astype(np.float64)
    y = as_image(lr_hsi, "the LrHSI").astype(np.float64)
    ratio = max(1, len(p) // len(y))
    wanted = (ratio * y.shape[0], ratio * y.shape[1], y.shape[2])
    if p.shape != wanted:
        raise InputError(
            f"the estimate has shape {p.shape} and the LrHSI {y.shape}: one whole ratio between "
            "them along rows and columns and the same bands are needed; crop one of them."
        )
    inside = np.ones(y.shape[:2], bool)
    if valid is not None:
        valid = np.asarray(valid, dtype=bool)
        _check_size("valid", valid, p)
        low_rows, low_cols = y.shape[:2]
        squares = valid.reshape(low_rows, ratio, low_cols, ratio)  # (i, a, j, b)
        inside = squares.all(axis=(1, 3))
    side = max(_SHORTEST, round(_BLOCK / ratio))
    blocks = [
        (rows, cols, inside[rows, cols])
        for rows in _cuts(y.shape[0], side)
        for cols in _cuts(y.shape[1], side)
        if inside[rows, cols].sum() >= _FEWEST
    ]
    if not blocks:
        raise InputError(
            f"{inside.sum()} low-resolution pixels count: at least {_FEWEST} in one block are "
            "needed for a covariance; choose a larger area."
        )
    return p, y, blocks


def _cuts(size, side):
    """Cut ``size`` pixels into equal stretches, each of ``side`` or a little more."""
    edges = np.linspace(0, size, max(1, size // side) + 1).round().astype(int)
    return [slice(*ends) for ends in pairwise(edges)]


def _quality(first, second, blocks, zoom):
    """Q of every band of ``first`` with every one of ``second``: the mean over blocks."""
    total = 0
    for rows, cols, inside in blocks:
        place = tuple(slice(zoom * cut.start, zoom * cut.stop) for cut in (rows, cols))
        chosen = np.kron(inside, np.ones((zoom, zoom), bool))
        a, b = first[place][chosen], second[place][chosen]  # (pixels, bands) each
        mean_a, mean_b = a.mean(axis=0)[:, None], b.mean(axis=0)
        a, b = a - mean_a.T, b - mean_b
        var_a, var_b = (a**2).mean(axis=0)[:, None], (b**2).mean(axis=0)
        total = total + quality_index(mean_a, mean_b, var_a, var_b, a.T @ b / len(a))
    return total / len(blocks)


def _blurred(msi, ratio):
    """The image through the block-centred Gaussian PSF of FWHM ``ratio``, cut to one block."""
    offset = (np.arange(ratio) - (ratio - 1) / 2) / ratio  # in widths of a block
    profile = np.exp(-4 * np.log(2) * offset**2)
    profile /= profile.sum()
    rows, cols, bands = msi.shape
    squares = msi.reshape(rows // ratio, ratio, cols // ratio, ratio, bands)  # (i, a, j, b, bands)
    return np.einsum("a,b,iajbm->ijm", profile, profile, squares, optimize=True)


def _check_size(name, image, other):
    if image.shape[:2] != other.shape[:2]:
        raise InputError(
            f"{name} has {image.shape[:2]} rows and columns: {other.shape[:2]} are needed to fit "
            "the other image of its scale; crop or resample it."
        )
