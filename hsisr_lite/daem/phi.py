r"""Phi: the autoencoder, learned on low-resolution pixels and applied to high-resolution ones."""

import numpy as np
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.daem.autoencoder import (
    CHANNELS,
    AbundanceEncoder,
    Autoencoder,
    LinearDecoder,
    SpectralDecoder,
)
from hsisr_lite.daem.losses import phi_loss
from hsisr_lite.fitting import fit
from hsisr_lite.unmixing import vca

FORMS = ("free", "interpretable")
RATE = 1e-2
MIXING = 0.5
BATCH = 2048  # pixels per step, where there are more
_AT_ONCE = 65536  # pixels that are decoded together
_DARK = 1e-3  # of a band's scale: spectra start no lower; at 0 the ReLU would hold them there


def build(msi, hsi, *, form="free", channels=None, seed=0):
    """The autoencoder of one of our two forms, in units taken from the pixels it will learn.

    Parameters
    ----------
    msi, hsi : (pixels, msi_bands) and (pixels, bands) tensors
    form : {"free", "interpretable"}
        ``free``: ReLU abundances and the two-layer decoder, probably the paper's, without its
        last activation. ``interpretable``: abundances that sum to one, and one non-negative
        spectrum per channel. One starts dark: shares that sum to one need a shade, or they cannot
        say how bright a pixel is. The others start at corners of the cloud of spectra
        (:func:`vca`).
    channels : int, optional
        K; default 16, and 6 in the interpretable form: the materials to expect, and two more.
    seed : int
        Of the corners.

    Returns
    -------
    network : Autoencoder

    Raises
    ------
    InputError
        An unknown form, or ``channels`` that is no whole number of at least 2.

    Examples
    --------
    >>> network = build(torch.rand(50, 3), torch.rand(50, 31))
    >>> sum(p.numel() for p in network.parameters())
    3566
    """
    channels = as_channels(form, channels)
    msi_units, hsi_units = _units(msi), _units(hsi)
    encoder = AbundanceEncoder(msi.shape[1], channels, shares=form == "interpretable")
    if form == "free":
        decoder = SpectralDecoder(channels, hsi.shape[1], last_activation=False)
    else:
        hsi_units[0] = 0  # spectra must stay non-negative: no mean is taken off
        decoder = LinearDecoder(_start(hsi, hsi_units[1], channels, seed))
    return Autoencoder(encoder, decoder, msi_units, hsi_units).to(msi.device)


def as_channels(form, channels):
    """K of a form, checked: what was asked for, else the form's default.

    Examples
    --------
    >>> as_channels("free", None)
    16
    """
    if not (isinstance(form, str) and form in FORMS):
        raise InputError(f"form is {form!r}: one of {', '.join(FORMS)} is needed; correct it.")
    if channels is None:
        channels = CHANNELS if form == "free" else 6
    if isinstance(channels, bool) or not (isinstance(channels, int | np.integer) and channels >= 2):
        raise InputError(
            f"channels is {channels!r}: a whole number of at least 2 is needed, such as the "
            "materials that you expect and two more; leave it out for the default."
        )
    return int(channels)


def learn_phi(network, msi, hsi, steps, *, run, noise=None, mixing=MIXING, checkpoint=None):
    r"""Train the autoencoder on low-resolution pixels.

    .. math:: \min_\varphi \tfrac12 \lVert f_\varphi(\tilde z) - \tilde y \rVert_1, \qquad
              (\tilde z, \tilde y) = (z_i, y_i) + w\,\bigl((z_i, y_i) - (z_j, y_j)\bigr)
              + (n, 0)

    by Adam with a cosine schedule [daem2023]_; the tildes are ours. Both sensors are linear, so
    what they make of any weighted sum of two spectra is the same sum of two pairs. With w above
    zero it lies beyond the first pixel: at high resolution pixels are purer than any that the
    LrHSI shows. Only an affine map meets all such pairs exactly, so mixing pulls gently towards
    one, by the data alone; ``mixing=0`` leaves it out. The images that the network is applied to
    are noisier than the blurred MSI that it learns from; n makes up for that.

    Parameters
    ----------
    network : Autoencoder
        Trained in place.
    msi, hsi : (pixels, msi_bands) and (pixels, bands) tensors
        P Z and Y.
    steps : int
    run : Run
    noise : (msi_bands,) tensor, optional
        Standard deviation of n.
    mixing : float
        The largest w; 0 trains on the pixels as they are. Shares of a whole cannot leave their
        simplex, so the interpretable form does without.
    checkpoint : str or Path, optional
        See :func:`~hsisr_lite.fitting.fit`.

    Returns
    -------
    history : (steps,) array
        The loss, in units of each band's standard deviation.
    """
    scale = network.hsi_units[1]

    def loss():
        z, y = msi, hsi
        if len(msi) > BATCH:
            chosen = torch.randint(len(msi), (BATCH,), device=msi.device)
            z, y = msi[chosen], hsi[chosen]
        if mixing and not network.encoder.shares:
            other = torch.randperm(len(z), device=z.device)
            w = mixing * torch.rand(len(z), 1, device=z.device)
            # (z, y) + w ((z, y) - (z', y'))
            z, y = z + w * (z - z[other]), y + w * (y - y[other])
        if noise is not None:
            z = z + noise * torch.randn_like(z)
        return phi_loss(network(z, sample=True) / scale, y / scale)

    groups = [{"params": network.parameters(), "lr": RATE}]
    text = "learning the autoencoder"
    return fit(loss, groups, steps, run=run, text=text, checkpoint=checkpoint)


def apply(network, msi, device, *, sample=False):
    """Spectra and abundances of an image.

    Parameters
    ----------
    network : Autoencoder
    msi : (rows, cols, msi_bands) array
    device : torch.device
    sample : bool
        Draw from the spread too, as published.

    Returns
    -------
    image, abundances : (rows, cols, bands) and (rows, cols, channels) float32 arrays

    Raises
    ------
    InputError
        Values that are not finite: units far from any reflectance.
    """
    rows, cols, msi_bands = msi.shape
    pixels = torch.as_tensor(msi.reshape(-1, msi_bands), dtype=torch.float32)  # (pixels, msi_bands)
    spectra, abundances = [], []
    with torch.no_grad():
        for part in pixels.split(_AT_ONCE):
            a = network.abundances(part.to(device))
            abundances.append(a.cpu())
            spectra.append(network.spectra(a, sample=sample).cpu())
    if not all(torch.isfinite(part).all() for part in spectra):
        raise InputError(
            "the network's image holds values that are not finite: images and noise of ordinary "
            "size are needed; divide both images by one number, so that they lie near 0 to 1."
        )
    join = lambda parts: torch.cat(parts).reshape(rows, cols, -1).numpy()  # noqa: E731
    return join(spectra), join(abundances)  # (rows, cols, bands), (rows, cols, channels)


def channel_spectra(network, abundances):
    """The spectrum of each channel: what the decoder makes of it alone.

    A nonlinear decoder has no endmembers; its answer depends on how much there is of a channel.
    Each is given its mean abundance over the pixels where it is active.

    Parameters
    ----------
    network : Autoencoder
    abundances : (rows, cols, channels) array

    Returns
    -------
    spectra : (channels, bands) float32 array
    """
    device = network.msi_units.device
    flat = abundances.reshape(-1, abundances.shape[-1])  # (pixels, channels)
    active = (flat > 0).sum(axis=0)
    mean = flat.sum(axis=0, dtype=np.float64) / np.maximum(active, 1)
    amounts = np.ones_like(mean) if network.encoder.shares else mean
    alone = torch.as_tensor(np.diag(amounts), dtype=torch.float32, device=device)
    with torch.no_grad():
        return network.spectra(alone).cpu().numpy()


def _units(values):
    """Mean and standard deviation of each band; a band that hardly varies takes a small one."""
    mean, spread = values.mean(0), values.std(0)
    floor = max(1e-3 * spread.max().item(), 1e-6 * values.abs().max().item(), 1e-30)
    return torch.stack([mean, spread.clamp(min=floor)])


def _start(hsi, scale, channels, seed):
    """Corners of the cloud of spectra, or random pixels where it has too few, and a dark one."""
    try:
        pixels = hsi.double().cpu().numpy()
        corners = torch.as_tensor(vca(pixels, channels - 1, seed=seed).endmembers).to(hsi)
    except InputError:  # the spectra span fewer dimensions than that
        corners = hsi[torch.randint(len(hsi), (channels - 1,)).to(hsi.device)]
    corners = (corners / scale).clamp(min=_DARK)
    return torch.cat([corners, torch.full_like(corners[:1], _DARK)])
