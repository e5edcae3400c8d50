"""Which endmember found is which material: by the angle between their spectra."""

from typing import NamedTuple

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.unmixing.subspace import as_pixels


class Match(NamedTuple):
    """Per reference: the row of its endmember in ``order``, and their angle in ``angles``.

    With fewer endmembers than references some go without: -1, and NaN.
    """

    order: np.ndarray
    angles: np.ndarray


def match(endmembers, reference):
    r"""Pair endmembers with reference spectra, each at most once, with the least sum of angles.

    .. math:: \min_{o} \sum_k \theta(e_{o(k)}, e^\text{ref}_k)

    over all one-to-one orders :math:`o`, solved exactly. Angles do not see brightness.

    Parameters
    ----------
    endmembers : (materials, bands) array
        What an algorithm found; more or fewer than the reference.
    reference : (references, bands) array

    Returns
    -------
    match : Match
        ``endmembers[match.order]`` are in the order of the reference; angles in degrees.

    Raises
    ------
    InputError
        Other bands than the reference.

    Examples
    --------
    >>> match([[0.0, 2.0], [1.0, 1.0], [5.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]])
    Match(order=array([2, 0]), angles=array([0., 0.]))
    """
    endmembers, reference = as_pixels(endmembers, "endmembers"), as_pixels(reference, "reference")
    if endmembers.shape[1] != reference.shape[1]:
        raise InputError(
            f"endmembers have {endmembers.shape[1]} bands: {reference.shape[1]} are needed, those "
            "of the reference; resample or transpose them."
        )
    from scipy.optimize import linear_sum_assignment  # slow to import; fusion never gets here

    angles = angles_between(reference, endmembers)
    references, partners = linear_sum_assignment(angles)
    order, found = np.full(len(reference), -1), np.full(len(reference), np.nan)
    order[references], found[references] = partners, angles[references, partners]
    return Match(order, found)


def angles_between(spectra, others):
    """Angles in degrees between all rows of both, (spectra, others); 90 with a row of zeros.

    Examples
    --------
    >>> angles_between([[1.0, 0.0]], [[3.0, 3.0], [0.0, 0.0]]).round(6)
    array([[45., 90.]])
    """
    units = []
    for rows in (spectra, others):
        rows = np.asarray(rows, dtype=np.float64)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        units.append(rows / np.where(length > 0, length, 1))
    # 2 atan2(|u - v|, |u + v|) stays exact for small angles, where the arc cosine does not.
    u, v = units[0][:, None], units[1][None]
    half = np.arctan2(np.linalg.norm(u - v, axis=2), np.linalg.norm(u + v, axis=2))
    return np.rad2deg(2 * half)
