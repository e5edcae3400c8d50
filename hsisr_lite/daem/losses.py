r"""DAEM's losses: what trains the network, and what trains the two degradations.

All are L1, the mean of absolute differences over every entry. Gradients are kept apart by what
goes in: phi's loss gets a blurred MSI that is detached from the PSF, theta's losses get an image
that is detached from the network. So no gradient of any loss reaches a frozen group.
"""

from hsisr_lite.arrays import InputError

THIRDS = ("regenerated", "cross")  # the third term as the code has it, and as it was meant


def l1(a, b):
    r"""Mean absolute difference, :math:`\frac1n \sum_i \lvert a_i - b_i \rvert`.

    Examples
    --------
    >>> import torch
    >>> l1(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).item()
    1.0
    """
    return (a - b).abs().mean()


def phi_loss(reconstructed, lr_hsi):
    r"""What trains encoder and decoder: the LrHSI, rebuilt from the blurred MSI.

    .. math:: \mathcal L_\varphi = \tfrac12 \lVert f_\varphi(P Z) - Y \rVert_1

    [daem2023]_. Both are (pixels, bands), in the units in which errors are to count.
    """
    return 0.5 * l1(reconstructed, lr_hsi)


def cross_loss(lr_hsi, lr_msi, srf):
    r"""What both sensors must agree on: the LrHSI through S, and the MSI through P.

    .. math:: \mathcal L_\times = \lVert Y S^\top - P Z \rVert_1

    No network is in it, so PSF and SRF can be learned before there is one. It is the third term
    that the names of the published code point to [daem2023]_; what the code computes is zero, see
    :func:`regenerated_loss`.

    Parameters
    ----------
    lr_hsi : (pixels, bands) tensor
    lr_msi : (pixels, msi_bands) tensor
        P Z, with the gradient of the kernel.
    srf : (msi_bands, bands) tensor
    """
    return l1(lr_hsi @ srf.T, lr_msi)


def regenerated_loss(blurred, mixed_blocks, kernel, srf):
    r"""The third term as the published code has it: S(P(X)) against P(S(X)).

    .. math:: \lVert (P \hat X) S^\top - P (\hat X S^\top) \rVert_1 \equiv 0

    A blur that treats all bands alike and a mix that treats all pixels alike commute, so this is
    zero whatever P, S and the image are, and so is its gradient, up to rounding [daem2023]_.

    Parameters
    ----------
    blurred : (low pixels, bands) tensor
        The fused image through P.
    mixed_blocks : (low pixels, k k, msi_bands) tensor
        The fused image through S, pixel by pixel of each block.
    kernel : (k k,) tensor
    srf : (msi_bands, bands) tensor
    """
    return l1(blurred @ srf.T, blur(mixed_blocks, kernel))


def theta_loss(lr_hsi, hr_msi_blocks, fused_blocks, kernel, srf, *, third):
    r"""What trains PSF and SRF in the published loop, from the fused image of the moment.

    .. math:: \mathcal L_\theta = \tfrac12 \lVert Y - P \hat X \rVert_1
              + \tfrac15 \lVert Z - \hat X S^\top \rVert_1 + \tfrac15 \mathcal L_3

    [daem2023]_.

    Parameters
    ----------
    lr_hsi : (low pixels, bands) tensor
    hr_msi_blocks : (low pixels, k k, msi_bands) tensor
        The MSI pixels in the block of each low-resolution pixel.
    fused_blocks : (low pixels, k k, bands) tensor
        The same of the fused image; detached here.
    kernel : (k k,) tensor
    srf : (msi_bands, bands) tensor
    third : {"regenerated", "cross"}
        As the code has it, or as it was meant.

    Raises
    ------
    InputError
        Another third term.
    """
    if not (isinstance(third, str) and third in THIRDS):
        raise InputError(f"third is {third!r}: one of {', '.join(THIRDS)} is needed; correct it.")
    fused_blocks = fused_blocks.detach()
    blurred, mixed = blur(fused_blocks, kernel), fused_blocks @ srf.T
    if third == "cross":
        last = cross_loss(lr_hsi, blur(hr_msi_blocks, kernel), srf)
    else:
        last = regenerated_loss(blurred, mixed, kernel, srf)
    # 1/2 |Y - P X| + 1/5 |Z - X S^T| + 1/5 L_3
    return 0.5 * l1(lr_hsi, blurred) + 0.2 * l1(hr_msi_blocks, mixed) + 0.2 * last


def blur(blocks, kernel):
    """P by blocks: (low pixels, k k, bands) and (k k,) to (low pixels, bands).

    Examples
    --------
    >>> import torch
    >>> blur(torch.tensor([[[1.0], [3.0]]]), torch.tensor([0.5, 0.5]))
    tensor([[2.]])
    """
    return kernel @ blocks
