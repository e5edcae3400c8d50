"""Endmembers and abundances at once: non-negative matrix factorisation."""

import warnings
from typing import NamedTuple

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.unmixing.abundances import nnls_abundances
from hsisr_lite.unmixing.endmembers import vca
from hsisr_lite.unmixing.subspace import as_count, as_pixels


class Factors(NamedTuple):
    """Spectra ``endmembers`` (materials, bands) and ``abundances`` (..., materials)."""

    endmembers: np.ndarray
    abundances: np.ndarray


def nmf(image, materials, *, seed=0, rounds=200):
    r"""Non-negative factors of an image, from a start that :func:`vca` finds [lee2001]_.

    .. math:: \min_{A \ge 0,\; E \ge 0} \; \lVert X - A E \rVert^2

    No pixel needs to be pure. The price: many factors explain an image equally well, so that the
    result stays near its start. The misfit never grows from one round to the next.

    Parameters
    ----------
    image : (rows, cols, bands) or (pixels, bands) array
        Values below zero are taken as zero.
    materials : int
    seed : int
        Of :func:`vca`.
    rounds : int
        Updates of all abundances and endmembers, at most.

    Returns
    -------
    factors : Factors
        Each endmember is scaled such that its largest abundance is 1; a material that nothing
        needs has zeros.

    Raises
    ------
    InputError
        As :func:`vca`, and for an image without a value above zero.

    Examples
    --------
    >>> pure = np.array([[1.0, 0.0, 0.2], [0.0, 1.0, 0.4]])
    >>> shares = np.array([[0.5, 0.5], [0.9, 0.1], [0.3, 0.7], [0.1, 0.9]])
    >>> factors = nmf(shares @ pure, 2)
    >>> np.allclose(factors.abundances @ factors.endmembers, shares @ pure, atol=1e-3)
    True
    """
    from sklearn.decomposition import non_negative_factorization  # here: it takes a second to load
    from sklearn.exceptions import ConvergenceWarning

    pixels = np.maximum(as_pixels(image), 0)
    if not pixels.any():
        raise InputError(
            "the image has no value above zero: non-negative factors need some; check its offset "
            "and its no-data value."
        )
    rounds = as_count(rounds, "rounds", 100_000, "every round takes its time")
    endmembers = vca(pixels, materials, seed=seed).endmembers
    abundances = nnls_abundances(pixels, endmembers)
    with warnings.catch_warnings():  # the rounds given are what was asked for
        warnings.simplefilter("ignore", ConvergenceWarning)
        abundances, endmembers, _ = non_negative_factorization(
            pixels, abundances, endmembers, materials, init="custom", max_iter=rounds
        )
    largest = abundances.max(axis=0)
    scale = np.where(largest > 0, largest, 1)
    abundances = (abundances / scale).reshape(*np.shape(image)[:-1], materials)
    return Factors(endmembers * scale[:, None], abundances)
