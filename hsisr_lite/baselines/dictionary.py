"""A dictionary of spectra: non-negative atoms whose mixtures are the pixels of a scene."""

import numpy as np


def learn_dictionary(pixels, atoms):
    r"""Non-negative atoms of unit norm, each the direction of the pixels nearest to it.

    .. math:: \min_{\Phi \ge 0,\, A \ge 0} \lVert Y - A \Phi \rVert^2
              \quad\text{with one atom per pixel}, \qquad \lVert \phi_j \rVert = 1

    The sparsest of dictionaries [aharon2006]_. It starts from the pixels that differ most in
    direction; five times, each pixel goes to its nearest atom and each atom turns to its pixels.

    Examples
    --------
    >>> learn_dictionary(np.array([[3.0, 4.0], [2.0, 0.0], [6.0, 8.0]]), 2)
    array([[0.6, 0.8],
           [1. , 0. ]])
    """
    pixels = np.maximum(pixels, 0)
    pixels = pixels[pixels.any(axis=1)][:: max(1, len(pixels) // 4000)]  # enough, on any scene
    if not len(pixels):
        return unit(np.ones((1, pixels.shape[1])))
    directions = unit(pixels)
    chosen = [int(pixels.sum(axis=1).argmax())]
    nearest = directions @ directions[chosen[0]]  # cosine to the nearest atom so far
    while len(chosen) < min(atoms, len(pixels)):
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, directions @ directions[chosen[-1]])
    dictionary = directions[chosen]
    for _ in range(5):
        amounts = pixels @ dictionary.T
        amounts[amounts < amounts.max(axis=1, keepdims=True)] = 0
        # phi_j <- A_j^T Y / |.|, the least-squares atom for its pixels
        dictionary = unit(amounts.T @ pixels)
    return dictionary[dictionary.any(axis=1)]


def widen(dictionary, centre, reach):
    r"""Draw the atoms apart: pixels of the HrMSI are purer than those the atoms are learned from.

    .. math:: \phi_j \leftarrow \frac{(c + \rho\,(\phi_j - c))_+}{\lVert\cdot\rVert}

    with the mean spectrum c, of unit norm, and the reach :math:`\rho`.

    Examples
    --------
    >>> widen(np.array([[0.8, 0.6]]), np.array([0.6, 0.8]), 4.0)
    array([[1., 0.]])
    """
    wider = np.maximum(unit(centre) + reach * (dictionary - unit(centre)), 0)
    return np.where(wider.any(axis=1, keepdims=True), unit(wider), dictionary)


def unit(spectra):
    """Spectra of unit norm; one that is zero stays zero.

    Examples
    --------
    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    lengths = np.linalg.norm(spectra, axis=-1, keepdims=True)
    return spectra / np.where(lengths > 0, lengths, 1)
