"""An image as a sum of rank-one cubes: the canonical polyadic decomposition."""

import numpy as np
from tqdm import tqdm

from hsisr_lite.baselines.tensors import gram, leading, maps


def canonical(image, rank, *, ridge, sweeps, progress=False):
    r"""Rank-one cubes of an image by ridge-regularised alternating least squares.

    .. math:: \min_{A, B, C} \sum_{ijm} \Bigl(Z_{ijm} - \sum_f A_{if} B_{jf} C_{mf}\Bigr)^2
              + \mu \bigl(\lVert A \rVert^2 + \lVert B \rVert^2 + \lVert C \rVert^2\bigr)

    It starts from the strongest singular triples of the image's principal components, and after
    each sweep tries to go on in the same direction, which is kept where it lowers the objective.

    Parameters
    ----------
    image : (rows, cols, bands) array
    rank : int
        At most ``bands * min(rows, cols)``.
    ridge : float
        :math:`\mu`, above 0.
    sweeps : int

    Returns
    -------
    factors : list of (rows, rank), (cols, rank) and (bands, rank) arrays, of equal column norms

    Examples
    --------
    >>> factors = canonical(np.full((2, 3, 1), 8.0), 1, ridge=1e-12, sweeps=9)
    >>> (maps(*factors[:2]) @ factors[2].T)[..., 0].round(6)
    array([[8., 8., 8.],
           [8., 8., 8.]])
    """
    colours = leading(image, 2)  # (bands, bands)
    left, strength, right = np.linalg.svd(np.moveaxis(image @ colours, 2, 0), full_matrices=False)
    best = np.argsort(-strength, axis=None, kind="stable")[:rank]
    colour, k = np.unravel_index(best, strength.shape)
    third = np.cbrt(strength[colour, k])
    factors = [left[colour, :, k].T * third, right[colour, k].T * third, colours[:, colour] * third]
    least = np.inf
    for sweep in tqdm(range(sweeps), desc="HrMSI alone", disable=not progress, leave=False):
        before = factors
        rows, cols, spectra = factors
        rows = _solve(image, 0, cols, spectra, ridge)[0]
        cols = _solve(image, 1, rows, spectra, ridge)[0]
        spectra, least = _solve(image, 2, rows, cols, ridge)
        factors = balanced([rows, cols, spectra])
        reach = (sweep + 1) ** (1 / 3)  # how far such steps pay grows slowly
        ahead = [new + reach * (new - old) for new, old in zip(factors, before, strict=True)]
        spectra, cost = _solve(image, 2, *ahead[:2], ridge)
        if cost < least:
            factors, least = balanced([*ahead[:2], spectra]), cost
    return factors


def _solve(image, axis, first, second, ridge):
    """The factor along one axis that fits best, and the objective, less |Z|^2."""
    right = against(image, axis, first, second)
    inner = gram(first) * gram(second) + ridge * np.eye(len(right.T))
    factor = np.linalg.solve(inner, right.T).T
    return factor, ridge * (np.sum(first**2) + np.sum(second**2)) - np.sum(right * factor)


def balanced(factors):
    """The same cubes with factors of equal length, which a ridge likes best.

    Examples
    --------
    >>> np.array(balanced([np.array([[1.0]]), np.array([[2.0]]), np.array([[4.0]])])).ravel()
    array([2., 2., 2.])
    """
    lengths = np.array([np.linalg.norm(factor, axis=0) for factor in factors])  # (3, rank)
    equal = np.cbrt(lengths.prod(axis=0)) / np.maximum(lengths, np.finfo(float).tiny)
    return [factor * scale for factor, scale in zip(factors, equal, strict=True)]


def against(image, axis, first, second):
    """An image's unfolding along one axis, times the products of the other two factors.

    Examples
    --------
    >>> against(np.ones((2, 3, 4)), 0, np.ones((3, 1)), np.ones((4, 1)))
    array([[12.],
           [12.]])
    """
    unfolded = np.moveaxis(image, axis, 0).reshape(image.shape[axis], -1)  # (size, others)
    return unfolded @ maps(first, second).reshape(-1, first.shape[1])  # (size, rank)
