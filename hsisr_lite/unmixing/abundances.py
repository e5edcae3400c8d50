"""Abundances: how much of each endmember every pixel holds, by constrained least squares."""

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.unmixing.subspace import as_pixels

_ROUNDING = 1e-12  # of a gradient, relative to the lengths of what it multiplies
_PIXELS_AT_ONCE = 8192  # keeps the stacks of small matrices in tens of megabytes


def nnls_abundances(image, endmembers):
    r"""Non-negative abundances, by least squares [lawson1974]_.

    .. math:: a = \arg\min_{a \ge 0} \lVert x - a E \rVert^2

    for the spectrum :math:`x` of every pixel. The amounts need not sum to one, so that brightness
    is free: a pixel in half shade gets half the amounts.

    Parameters
    ----------
    image : (rows, cols, bands) or (pixels, bands) array
        Any real values, also negative ones.
    endmembers : (materials, bands) array
        May be collinear; then one of the equally good answers is returned.

    Returns
    -------
    abundances : (rows, cols, materials) or (pixels, materials) float64 array, none below 0.

    Raises
    ------
    InputError
        Other bands than the image has, or arrays that are no image.

    Examples
    --------
    >>> nnls_abundances(np.array([[1.0, -1.0], [0.0, 3.0]]), np.eye(2))
    array([[1., 0.],
           [0., 3.]])
    """
    return _abundances(image, endmembers, sum_to_one=False)


def fcls(image, endmembers):
    r"""Fully constrained abundances: non-negative, and one in sum [heinz2001]_.

    .. math:: a = \arg\min_{a \ge 0,\; \sum_k a_k = 1} \lVert x - a E \rVert^2

    Parameters, returns and errors are those of :func:`nnls_abundances`.

    Examples
    --------
    >>> fcls(np.array([[0.5, 0.5], [0.0, 3.0]]), np.eye(2))
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    return _abundances(image, endmembers, sum_to_one=True)


def _abundances(image, endmembers, sum_to_one):
    pixels, endmembers = as_pixels(image), as_pixels(endmembers, "endmembers")
    if pixels.shape[1] != endmembers.shape[1]:
        raise InputError(
            f"endmembers have {endmembers.shape[1]} bands: {pixels.shape[1]} are needed, those of "
            "the image; resample or transpose them."
        )
    # E^T = Q T: what a spectrum has outside the endmembers' span is the same for all abundances.
    span, mixing = np.linalg.qr(endmembers.T)  # (bands, dimensions), (dimensions, materials)
    targets = pixels @ span  # (pixels, dimensions)
    parts = [
        _active_set(targets[start : start + _PIXELS_AT_ONCE], mixing, sum_to_one)
        for start in range(0, len(targets), _PIXELS_AT_ONCE)
    ]
    return np.concatenate(parts).reshape(*np.shape(image)[:-1], len(endmembers))


def _active_set(targets, mixing, sum_to_one):
    """All pixels in step: let in the endmember that helps most, drop what would turn negative."""
    materials = mixing.shape[1]
    lengths = np.linalg.norm(mixing, axis=0)
    amounts, present = _start(targets, mixing, sum_to_one)
    barred = np.zeros_like(present)  # what only rounding let in
    todo = np.arange(len(targets))
    for _ in range(10 * materials):  # more rounds than were ever needed
        now = amounts[todo]
        # Half of how fast the misfit falls with more of an endmember: at the optimum, nowhere.
        gain = (targets[todo] - now @ mixing.T) @ mixing
        # Shares are right to rounding of one, so a mixture to rounding of the longest spectrum.
        mixture, reach = (now @ lengths)[:, None], lengths
        if sum_to_one:  # more of one is paid for with less of the others
            gain -= np.sum(gain * now, axis=1, keepdims=True)
            mixture, reach = lengths.max(), lengths + lengths.max()
        size = np.linalg.norm(targets[todo], axis=1, keepdims=True) + mixture
        helps = ~present[todo] & ~barred[todo] & (gain > _ROUNDING * size * reach)
        some = helps.any(axis=1)
        todo = todo[some]
        if not todo.size:
            break
        slope = np.where(helps, gain / np.where(reach > 0, reach, 1), 0)
        present[todo, slope[some].argmax(axis=1)] = True
        moving = todo
        while moving.size:
            moving = _move(moving, targets, mixing, sum_to_one, amounts, present, barred)
    return amounts


def _start(targets, mixing, sum_to_one):
    """Begin with all endmembers; drop together those that are negative, until none is."""
    present = np.ones((len(targets), mixing.shape[1]), bool)
    amounts = np.zeros(present.shape)
    todo = np.arange(len(targets))
    while todo.size:
        best = _on_the_set(targets[todo], mixing, present[todo], sum_to_one)
        present[todo] &= best > 0
        amounts[todo] = np.maximum(best, 0)
        todo = todo[(best < 0).any(axis=1)]
    return amounts, present


def _move(moving, targets, mixing, sum_to_one, amounts, present, barred):
    """Go to the best amounts on each set, or as far as none is negative; who stopped early."""
    now, inside = amounts[moving], present[moving]
    best = _on_the_set(targets[moving], mixing, inside, sum_to_one)
    falls = inside & (best <= 0)
    steps = np.where(falls, now / np.where(falls, now - best, 1).clip(1e-300), 1)
    step = steps.min(axis=1, keepdims=True)
    leaves = falls & (steps <= step)
    barred[moving] |= leaves & (now == 0)
    inside &= ~leaves
    amounts[moving] = np.where(inside, np.maximum(now + step * (best - now), 0), 0)
    present[moving] = inside
    return moving[falls.any(axis=1)]


def _on_the_set(targets, mixing, present, sum_to_one):
    """Least squares with the endmembers of each pixel's set alone; one inverse per set."""
    packed = np.packbits(present, axis=1)
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    sets = present[first].astype(np.float64)  # (sets, materials)
    centre, free = np.zeros_like(sets), sets[:, :, None] * np.eye(sets.shape[1])
    if sum_to_one:  # equal shares, and changes that sum to zero
        centre = sets / sets.sum(axis=1, keepdims=True)
        free -= centre[:, :, None] * sets[:, None, :]
    inverse = np.linalg.pinv(mixing @ free, rcond=1e-13)  # (sets, materials, dimensions)
    which = which.ravel()
    rest = targets - (centre @ mixing.T)[which]
    # a = c + (T N)^+ (t - T c)
    best = centre[which] + np.einsum("pmd,pd->pm", inverse[which], rest)
    return best * present
