r"""DAEM's loop as it was published: network, PSF and SRF change together, step by step."""

import torch
from torch import nn

from hsisr_lite.arrays import InputError
from hsisr_lite.daem.autoencoder import (
    CHANNELS,
    SIX_LAYERS,
    TWO_LAYERS,
    AbundanceEncoder,
    Autoencoder,
    SpectralDecoder,
)
from hsisr_lite.daem.degradations import GAUSSIANS, KnownPSF, KnownSRF, LearnedPSF, LearnedSRF
from hsisr_lite.daem.losses import blur, phi_loss, theta_loss
from hsisr_lite.fitting import fit

RATE = 1e-3
_ROOT = 5.0  # T = 5 I: a PSF of a single pixel
_HIDDEN = {6: SIX_LAYERS, 2: TWO_LAYERS}


class PublishedModel(nn.Module):
    """Everything that the published system learns, as it starts [daem2023]_.

    The PSF is a single pixel at ``ratio // 2``; the SRF's centres and widths are uniform between 0
    and 1, so that all bands of the MSI begin at the first band of the LrHSI.

    Parameters
    ----------
    msi_bands, bands, ratio : int
    layers : {6, 2}
        Linear layers of the mean decoder: 6 in the published code, 2 in its earlier form.
    top : float
        What the images are divided by, so that the network sees values up to 1.
    psf, srf : arrays, optional
        Known degradations; they are not learned then.

    Raises
    ------
    InputError
        Another number of layers.

    Examples
    --------
    >>> sum(p.numel() for p in PublishedModel(3, 31, 32).parameters())
    6558
    """

    def __init__(self, msi_bands, bands, ratio, *, layers=6, top=1.0, psf=None, srf=None):
        super().__init__()
        if not (isinstance(layers, int) and layers in _HIDDEN):
            raise InputError(
                f"layers is {layers!r}: 6 or 2 is needed, the two published forms of the mean "
                "decoder; leave it out for 6."
            )
        units = torch.tensor([[0.0], [float(top)]])
        self.network = Autoencoder(
            AbundanceEncoder(msi_bands),
            SpectralDecoder(CHANNELS, bands, _HIDDEN[layers]),
            units.repeat(1, msi_bands),
            units.repeat(1, bands),
        )
        if psf is None:
            self.psf = LearnedPSF(ratio, root=_ROOT, centre=ratio // 2, learn_centre=False)
        else:
            self.psf = KnownPSF(psf)
        start = torch.rand(msi_bands, GAUSSIANS, 2)
        self.srf = LearnedSRF(start, bands) if srf is None else KnownSRF(srf)


def step_loss(model, lr_hsi, hr_msi_blocks, *, third):
    """Both losses of one step: their sum, for each keeps its gradient to its own group.

    Phi's asks how well the network explains the LrHSI under the current PSF, theta's how well PSF
    and SRF explain both images by the network's current answer. The poster recovers the image,
    then updates theta, then phi; published, both gradients are taken at the same point and one
    optimiser makes both steps.

    Parameters
    ----------
    model : PublishedModel
    lr_hsi : (low pixels, bands) tensor
    hr_msi_blocks : (low pixels, k k, msi_bands) tensor
        The MSI pixels under the kernel of each low-resolution pixel.
    third : {"regenerated", "cross"}
        See :func:`~hsisr_lite.daem.losses.theta_loss`.

    Returns
    -------
    loss : scalar tensor
    """
    network, top = model.network, model.network.hsi_units[1, 0]
    kernel, srf = model.psf.kernel().reshape(-1), model.srf.matrix()
    # theta: PSF and SRF explain what was observed by the image of the moment, data to them
    with torch.no_grad():
        fused = network(hr_msi_blocks, sample=True)
    theta = theta_loss(lr_hsi / top, hr_msi_blocks / top, fused / top, kernel, srf, third=third)
    # phi: the network explains the LrHSI by the blurred MSI, data to it
    lr_msi = blur(hr_msi_blocks, kernel.detach())
    phi = phi_loss(network(lr_msi, sample=True) / top, lr_hsi / top)
    return phi + theta


def learn_published(model, lr_hsi, hr_msi_blocks, steps, *, run, pixels, third="regenerated",
                    watch=None, checkpoint=None):  # fmt: skip
    """The published alternation, on random low-resolution pixels where an image has many.

    Parameters
    ----------
    model : PublishedModel
        Trained in place, by one Adam of rate 1e-3 that stays as it is.
    lr_hsi, hr_msi_blocks, third
        See :func:`step_loss`.
    steps : int
    run : Run
    pixels : int
        High-resolution pixels per step, at most.
    watch, checkpoint
        See :func:`~hsisr_lite.fitting.fit`.

    Returns
    -------
    history : (steps,) array
    """
    at_once = max(1, pixels // hr_msi_blocks.shape[1])
    device = model.network.msi_units.device

    def loss():
        y, blocks = lr_hsi, hr_msi_blocks
        if len(lr_hsi) > at_once:
            chosen = torch.randint(len(lr_hsi), (at_once,))
            y, blocks = lr_hsi[chosen], hr_msi_blocks[chosen]
        # The blocks of a large image may not fit on a GPU: they come step by step.
        return step_loss(model, y.to(device), blocks.to(device), third=third)

    groups = [{"params": model.parameters(), "lr": RATE, "constant": True}]
    return fit(
        loss, groups, steps, run=run, text="learning by turns", watch=watch, checkpoint=checkpoint
    )
