"""The subspace that the spectra of an image span, and how many dimensions rise above its noise."""

from typing import NamedTuple

import numpy as np

from hsisr_lite.arrays import InputError, as_image


class Subspace(NamedTuple):
    """Orthonormal rows ``basis`` (rank, bands) and their ``singular_values`` (rank,)."""

    basis: np.ndarray
    singular_values: np.ndarray


def as_pixels(image, name="the image"):
    """Return ``(rows, cols, bands)`` or ``(pixels, bands)`` as float64 ``(pixels, bands)``.

    Examples
    --------
    >>> as_pixels(np.ones((2, 3, 4))).shape
    (6, 4)
    """
    image = np.asarray(image)
    image = as_image(image[None] if image.ndim == 2 else image, name)
    return image.reshape(-1, image.shape[-1]).astype(np.float64)  # (pixels, bands)


def as_count(value, name, largest, why):
    """Return a whole number from 1 to ``largest`` as an int, or say why it cannot be.

    Examples
    --------
    >>> as_count(3, "rank", 4, "the image has 4 bands")
    3
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not 1 <= value <= largest:
        raise InputError(
            f"{name} is {value!r}: a whole number from 1 to {largest} is needed, because {why}; "
            "choose one in that range."
        )
    return int(value)


def svd_subspace(image, rank=None):
    r"""Directions along which the spectra of an image are largest, strongest first.

    The spectra are not centred, so that the basis spans them and not their differences:

    .. math:: X = U D E, \qquad E E^\top = I

    where a row of :math:`X` is a pixel and :math:`D` holds the singular values. The best
    rank-:math:`K` copy of the image is :math:`X E^\top E` with the first :math:`K` rows.

    Parameters
    ----------
    image : (rows, cols, bands) or (pixels, bands) array
    rank : int, optional
        Directions to keep; default all, ``min(pixels, bands)``.

    Returns
    -------
    subspace : Subspace
        Each row of ``basis`` has its largest entry positive.

    Raises
    ------
    InputError
        A rank below 1 or above ``min(pixels, bands)``, or an image that is none.

    Examples
    --------
    >>> svd_subspace(np.array([[3.0, 0.0], [0.0, -4.0]])).basis
    array([[0., 1.],
           [1., 0.]])
    """
    pixels = as_pixels(image)
    most = min(pixels.shape)
    rank = most if rank is None else rank
    shape = f"the image has {pixels.shape[0]} pixels and {pixels.shape[1]} bands"
    rank = as_count(rank, "rank", most, shape)
    if pixels.shape[0] > pixels.shape[1]:  # the triangle of QR has the same right vectors
        pixels = np.linalg.qr(pixels, mode="r")
    # X = U D E
    _, singular_values, basis = np.linalg.svd(pixels, full_matrices=False)
    basis, singular_values = basis[:rank], singular_values[:rank]
    largest = np.take_along_axis(basis, np.abs(basis).argmax(axis=1)[:, None], axis=1)
    return Subspace(basis * np.where(largest < 0, -1, 1) + 0.0, singular_values)


def signal_rank(image):
    r"""Dimensions of the spectra that rise above the noise, by minimum error (HySime).

    The noise of a band is what remains of it once all other bands are regressed out
    [bioucas2008]_. A direction :math:`e` of the signal is worth keeping where leaving it out
    costs more than the noise that comes with it:

    .. math:: e^\top R_x \, e > 2 \, e^\top R_n \, e

    :math:`R_x` and :math:`R_n` are the mean of :math:`x x^\top` over the pixels and the same of
    the noise. The number counts dimensions, not materials: a material that varies takes several.

    Parameters
    ----------
    image : (rows, cols, bands) or (pixels, bands) array
        More pixels than bands.

    Returns
    -------
    rank : int, at least 1.

    Raises
    ------
    InputError
        As many bands as pixels or more: each band is then a mix of the others, noise or not.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> image = rng.random((500, 3)) @ rng.random((3, 40))
    >>> signal_rank(image + 0.001 * rng.standard_normal(image.shape))
    3
    """
    pixels = as_pixels(image)
    count, bands = pixels.shape
    if count <= bands:
        raise InputError(
            f"the image has {count} pixels and {bands} bands: more pixels than bands are needed "
            "to tell noise from signal; take a larger image or fewer bands."
        )
    correlation = pixels.T @ pixels / count  # R_x
    # What is left of band b is (X R_x^-1)_b / (R_x^-1)_bb: one inverse for all the regressions. The
    # ridge keeps it finite where there is no noise, and stands below the rounding of float32.
    ridge = 1e-14 * np.trace(correlation) + 1e-300
    inverse = np.linalg.inv(correlation + ridge * np.eye(bands))
    noise = pixels @ inverse / np.diag(inverse)
    variance = np.sum(noise**2, axis=0) / (count - bands + 1) + ridge
    signal = pixels - noise
    _, directions = np.linalg.eigh(signal.T @ signal)
    power = np.sum(directions * (correlation @ directions), axis=0)
    # R_n is diagonal: the noise of one band says nothing of another's.
    return max(1, int(np.sum(power > 2 * variance @ directions**2)))
