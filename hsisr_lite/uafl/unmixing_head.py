r"""UAFL's unmixing: endmembers by SVD, abundances by projection, and the way back [uafl2026]_.

Nothing here learns: the endmembers are data, and no gradient reaches them.
"""

import torch

from hsisr_lite.unmixing.subspace import as_count


@torch.no_grad()
def endmembers(images, count):
    r"""The strongest spectral directions of each image of a batch, with fixed signs.

    .. math:: X = U D E, \qquad E E^\top = I

    :math:`E_K` is the first K rows of :math:`E`, of an image that is not centred, as in
    :func:`~hsisr_lite.unmixing.subspace.svd_subspace`. They need be no spectra of materials: from
    the second on they have negative entries. An SVD leaves the sign of each direction open; here
    its largest entry is positive, so that the result does not hang on the library that computed it.

    Parameters
    ----------
    images : (batch, bands, rows, cols) tensor
    count : int
        K.

    Returns
    -------
    e : (batch, K, bands) tensor
        Orthonormal rows; computed in float64.

    Raises
    ------
    InputError
        More endmembers than bands or pixels.

    Examples
    --------
    >>> image = torch.tensor([[3.0, 0.0], [0.0, -4.0]]).reshape(1, 2, 1, 2)
    >>> endmembers(image, 2)
    tensor([[[0., 1.],
             [1., 0.]]])
    """
    pixels = images.flatten(2).double().mT  # (batch, pixels, bands)
    shape = f"the images have {pixels.shape[2]} bands and {pixels.shape[1]} pixels"
    count = as_count(count, "endmembers", min(pixels.shape[1:]), shape)
    # The triangle of QR has the same directions, and no more rows than there are bands
    _, triangle = torch.linalg.qr(pixels, mode="r")
    # X = U D E
    _, _, e = torch.linalg.svd(triangle, full_matrices=False)
    e = e[:, :count]  # (batch, K, bands)
    largest = e.gather(2, e.abs().argmax(dim=2, keepdim=True))  # (batch, K, 1)
    return (e * torch.where(largest < 0, -1.0, 1.0) + 0.0).to(images.dtype)


def abundances(images, e):
    r"""How much of each endmember each pixel holds: :math:`A = X E_K^\top`.

    Parameters
    ----------
    images : (batch, bands, rows, cols) tensor
    e : (batch, K, bands) tensor

    Returns
    -------
    a : (batch, K, rows, cols) tensor

    Examples
    --------
    >>> abundances(torch.full((1, 2, 1, 1), 3.0), torch.tensor([[[0.6, 0.8]]])).item()
    4.2...
    """
    return torch.einsum("nkb,nbij->nkij", e, images)


def reconstruct(a, e):
    r"""The images that abundances stand for: :math:`X = A E_K`.

    Parameters
    ----------
    a : (batch, K, rows, cols) tensor
    e : (batch, K, bands) tensor

    Returns
    -------
    images : (batch, bands, rows, cols) tensor

    Examples
    --------
    >>> image = torch.rand(1, 5, 4, 4)
    >>> e = endmembers(image, 5)
    >>> torch.allclose(reconstruct(abundances(image, e), e), image, atol=1e-5)
    True
    """
    return torch.einsum("nkb,nkij->nbij", e, a)
