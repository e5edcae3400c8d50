"""Endmembers among the pixels: the corners of the cloud that the spectra of an image form.

Both algorithms need a pixel of each pure material. They look for corners in few coordinates, and
there are two ways to get these [nascimento2005]_. *Affine*: centre the spectra and keep their
principal components; right where the abundances sum to one. *Perspective*: divide each spectrum by
its brightness; right where brightness varies, but then the darkest pixels carry the most noise.
"""

from typing import NamedTuple

import numpy as np

from hsisr_lite.arrays import InputError, as_seed
from hsisr_lite.unmixing.abundances import nnls_abundances
from hsisr_lite.unmixing.subspace import as_count, as_pixels, svd_subspace

# A direction with less than this share of the largest singular value holds rounding: float32
# images carry seven digits.
_NOTHING = 2e-7
_JUDGED = 500  # pixels that decide between candidates: enough for a mean


class Extracted(NamedTuple):
    """Spectra ``endmembers`` (materials, bands) of the ``pixels`` (materials,), flat indices."""

    endmembers: np.ndarray
    pixels: np.ndarray


def vca(image, materials, *, seed=0, tries=5, projection=None):
    r"""Vertex component analysis: the pixels furthest out, one direction after the other.

    A random direction is made orthogonal to the corners :math:`C` found so far, and the pixel that
    lies furthest along it, either way, is the next corner [nascimento2005]_:

    .. math:: f = (I - C C^+) \eta, \qquad k = \arg\max_i \, \lvert f^\top u_i \rvert

    where :math:`u_i` are the few coordinates of pixel :math:`i` and :math:`\eta` is Gaussian.
    Without noise, and with a pure pixel of each material, it finds one of each. On measured scenes
    the answer depends on the directions and on the projection; so several runs are made, and the
    one whose endmembers leave the least of the image unexplained (non-negative least squares on
    some 500 pixels) is returned. One run, ``tries=1`` and one projection, is the published method.

    Parameters
    ----------
    image : (rows, cols, bands) or (pixels, bands) array
    materials : int
        Endmembers to find; at most the number of pixels, and of corners that the spectra span.
    seed : int
        Of the random directions; the same seed finds the same pixels.
    tries : int
        Runs for each projection.
    projection : {"perspective", "affine"}, optional
        Default both, as far as the image allows them.

    Returns
    -------
    extracted : Extracted
        The spectra of the pixels found, as they are in the image.

    Raises
    ------
    InputError
        More materials than pixels or than corners, or a projection that is none.

    Examples
    --------
    >>> pure = np.array([[1.0, 0.0, 0.2], [0.0, 1.0, 0.4]])
    >>> shares = np.array([[0.5, 0.5], [1, 0], [0.3, 0.7], [0, 1]])
    >>> np.sort(vca(shares @ pure, 2).pixels)
    array([1, 3])
    """
    return _best(image, materials, seed, tries, projection, lambda points, found: found)


def nfindr(image, materials, *, seed=0, tries=5, projection=None):
    r"""N-FINDR: the pixels that span the largest simplex [winter1999]_.

    .. math:: \max_{k_1 \dots k_M} \; \lvert \det (u_{k_1}, \dots, u_{k_M}) \rvert

    One corner at a time is moved to the pixel that enlarges the simplex most, until none does; the
    start is a run of :func:`vca`. Parameters, returns and errors are those of :func:`vca`.

    Examples
    --------
    >>> pure = np.array([[1.0, 0.0, 0.2], [0.0, 1.0, 0.4]])
    >>> shares = np.array([[0.5, 0.5], [1, 0], [0.3, 0.7], [0, 1]])
    >>> np.sort(nfindr(shares @ pure, 2).pixels)
    array([1, 3])
    """
    return _best(image, materials, seed, tries, projection, _grow)


def corner_coordinates(image, materials, projection):
    """As many coordinates per pixel as materials, in which the pure pixels are corners.

    Parameters
    ----------
    projection : {"perspective", "affine"}

    Returns
    -------
    points : (pixels, materials) array, or None where the image has too few dimensions for it.

    Examples
    --------
    >>> points = corner_coordinates(np.array([[1.0, 2], [3, 6], [2, 1]]), 2, "perspective")
    >>> np.allclose(points[0], points[1])
    True
    """
    pixels = as_pixels(image)
    mean = pixels.mean(axis=0)
    if projection == "perspective":
        basis, strengths = svd_subspace(pixels)
        if np.sum(strengths > _NOTHING * strengths[0]) < materials:
            return None
        points = pixels @ basis[:materials].T
        brightness = pixels @ mean
        seen = brightness > _NOTHING * brightness.max()
        # u = x / <x, mean>: all multiples of a spectrum become one point
        points = np.where(seen[:, None], points / np.where(seen, brightness, 1)[:, None], 0)
        # What has no brightness to divide by is gone, and may have been a dimension of its own.
        return points if np.linalg.matrix_rank(points) == materials else None
    basis, strengths = svd_subspace(pixels - mean)
    if np.sum(strengths > _NOTHING * np.linalg.norm(pixels)) < materials - 1:
        return None
    points = (pixels - mean) @ basis[: materials - 1].T
    # The same last coordinate for all: a corner is then never a mix of the other corners.
    height = np.linalg.norm(points, axis=1).max() or 1.0
    return np.column_stack([points, np.full(len(points), height)])


def _best(image, materials, seed, tries, projection, improve):
    """Of several runs, the endmembers that leave the least unexplained."""
    pixels = as_pixels(image)
    materials = as_count(materials, "materials", len(pixels), f"the image has {len(pixels)} pixels")
    tries = as_count(tries, "tries", 1000, "every try takes its time")
    names = ("perspective", "affine")
    if projection not in (None, *names):
        raise InputError(
            f"projection is {projection!r}: 'perspective', 'affine' or None for both is needed; "
            "correct the word."
        )
    rng = np.random.default_rng(as_seed(seed))
    candidates = []
    for name in names if projection is None else [projection]:
        points = corner_coordinates(pixels, materials, name)
        if points is not None:
            candidates += [improve(points, _walk(points, rng)) for _ in range(tries)]
    if not candidates:
        raise InputError(
            f"materials is {materials}, but the spectra of the image span fewer dimensions, so "
            "that no simplex has so many corners: fewer materials are needed; lower the number."
        )
    if len(candidates) == 1:
        return Extracted(pixels[candidates[0]], candidates[0])
    # The candidates themselves are judged too: a corner that one run missed counts against it.
    judged = np.r_[0 : len(pixels) : -(-len(pixels) // _JUDGED), np.unique(candidates)]
    judged = pixels[judged]
    left = [
        np.sum((judged - nnls_abundances(judged, pixels[found]) @ pixels[found]) ** 2)
        for found in candidates
    ]
    # The first of those that are equal up to the rounding of float32.
    equal = left <= np.min(left) + 1e-13 * np.sum(judged**2)
    found = candidates[int(np.argmax(equal))]
    return Extracted(pixels[found], found)


def _walk(points, rng):
    """One run of VCA on given coordinates: flat indices of as many pixels as coordinates."""
    found = []
    for _ in range(points.shape[1]):
        # f = (I - C C^+) eta, with an orthonormal basis of the corners for C C^+
        corners, _ = np.linalg.qr(points[found].T)
        direction = rng.standard_normal(points.shape[1])
        direction -= corners @ (corners.T @ direction)
        found.append(int(np.argmax(np.abs(points @ direction))))
    return np.array(found)


def _grow(points, found):
    """Move one corner at a time to where the simplex is largest, until it cannot grow."""
    found, moved = found.copy(), True
    while moved:
        moved = False
        for corner in range(len(found)):
            # Exchanged for pixel i, the volume grows by the factor |u_i^T (C^-1)_corner|.
            growth = np.abs(points @ np.linalg.inv(points[found])[:, corner])
            if growth.max() > 1 + 1e-9:
                found[corner], moved = growth.argmax(), True
    return found
