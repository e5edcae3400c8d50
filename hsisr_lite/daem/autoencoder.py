r"""The two halves of DAEM's network: abundances from MSI values, spectra from abundances.

Every layer is a 1 x 1 convolution, that is, one linear map applied to each pixel by itself. So
pixels are passed as rows, (pixels, channels), and no neighbour is ever seen.
"""

from itertools import pairwise

import torch
from torch import nn

SLOPE = 0.2  # of every LeakyReLU
WIDTHS = (4, 8, 16, 24)  # of the encoder's layers before the last
CHANNELS = 16  # K, of the published network
TWO_LAYERS = (24,)  # of the mean decoder in its earlier form, and of every spread decoder
SIX_LAYERS = (18, 22, 26, 30, 32)  # hidden widths of the mean decoder of the published code


class AbundanceEncoder(nn.Module):
    r"""Five layers from an MSI pixel to K abundances; each but the first sees the MSI again.

    .. math:: g_1 = \operatorname{leaky}(W_1 z + b_1), \qquad
              g_i = \operatorname{leaky}(W_i\,[g_{i-1}, z] + b_i), \qquad
              a = \operatorname{relu}(W_5\,[g_4, z] + b_5)

    with LeakyReLU of slope 0.2 [daem2023]_. In the interpretable form the last is a softmax, and
    abundances are shares of a whole.

    Parameters
    ----------
    msi_bands : int
    channels : int
        K.
    shares : bool
        Softmax instead of ReLU: abundances sum to one.

    Examples
    --------
    >>> sum(p.numel() for p in AbundanceEncoder(3).parameters())
    1200
    """

    def __init__(self, msi_bands, channels=CHANNELS, *, shares=False):
        super().__init__()
        self.shares = shares
        inputs = [msi_bands, *(width + msi_bands for width in WIDTHS)]
        self.layers = nn.ModuleList(
            nn.Linear(i, o) for i, o in zip(inputs, [*WIDTHS, channels], strict=True)
        )

    def forward(self, msi):
        """Abundances (pixels, channels) of MSI pixels (pixels, msi_bands)."""
        features = nn.functional.leaky_relu(self.layers[0](msi), SLOPE)
        for layer in self.layers[1:-1]:
            # g_i = leaky(W_i [g_(i-1), z] + b_i)
            features = nn.functional.leaky_relu(layer(torch.cat([features, msi], -1)), SLOPE)
        last = self.layers[-1](torch.cat([features, msi], -1))
        return last.softmax(-1) if self.shares else last.relu()


class SpectralDecoder(nn.Module):
    r"""Spectra from abundances: a mean, and a spread that noise is drawn with.

    .. math:: \hat x = \mu(a) + \sigma(a) \circ \varepsilon, \qquad
              \varepsilon \sim \mathcal N(0, I)

    The reparameterisation of [kingma2014]_, but without its divergence term: the loss pulls
    :math:`\sigma` to zero [daem2023]_. Its sign has no meaning.

    Parameters
    ----------
    channels, bands : int
    hidden : tuple of int
        Widths between the abundances and the bands of the mean; the spread has one of 24.
    last_activation : bool
        A LeakyReLU after the last layer too, as published.

    Examples
    --------
    >>> sum(p.numel() for p in SpectralDecoder(16, 31, SIX_LAYERS).parameters())
    5330
    """

    def __init__(self, channels, bands, hidden=TWO_LAYERS, *, last_activation=True):
        super().__init__()
        self.mean = _layers(channels, hidden, bands, last_activation)
        self.spread = _layers(channels, TWO_LAYERS, bands, last_activation)

    def forward(self, abundances, *, sample):
        """Spectra (pixels, bands); the mean alone where ``sample`` is False."""
        mean = self.mean(abundances)
        # x = mu(a) + sigma(a) eps
        return mean + self.spread(abundances) * torch.randn_like(mean) if sample else mean


class LinearDecoder(nn.Module):
    r"""The linear mixing model as a decoder: one non-negative spectrum per channel, no bias.

    .. math:: \hat x = a E_+, \qquad E_+ = \max(E, 0)

    Parameters
    ----------
    endmembers : (channels, bands) tensor
        Where the spectra start.

    Examples
    --------
    >>> LinearDecoder(torch.tensor([[2.0, -1.0]]))(torch.tensor([[0.5]]), sample=True)
    tensor([[1., 0.]], grad_fn=<MmBackward0>)
    """

    def __init__(self, endmembers):
        super().__init__()
        self.endmembers = nn.Parameter(endmembers.clone())

    def forward(self, abundances, *, sample):
        """Spectra (pixels, bands); there is no spread to sample."""
        return abundances @ self.endmembers.relu()


class Autoencoder(nn.Module):
    r"""Encoder and decoder, with the units that they work in.

    .. math:: \hat x = m_Y + s_Y \circ D\bigl(E((z - m_Z) / s_Z)\bigr)

    Published, the network sees the images as they are (means 0, scales 1). Ours sees every band
    with mean 0 and standard deviation 1, so that no band is too faint to be learned in few steps.

    Parameters
    ----------
    encoder : AbundanceEncoder
    decoder : SpectralDecoder or LinearDecoder
    msi_units, hsi_units : (2, msi_bands) and (2, bands) tensors
        Mean and scale of each band.
    """

    def __init__(self, encoder, decoder, msi_units, hsi_units):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.register_buffer("msi_units", msi_units)
        self.register_buffer("hsi_units", hsi_units)

    def abundances(self, msi):
        """(pixels, channels) of MSI pixels (pixels, msi_bands)."""
        return self.encoder((msi - self.msi_units[0]) / self.msi_units[1])

    def spectra(self, abundances, *, sample=False):
        """(pixels, bands) of abundances (pixels, channels)."""
        return self.hsi_units[0] + self.hsi_units[1] * self.decoder(abundances, sample=sample)

    def forward(self, msi, *, sample=False):
        """Spectra (pixels, bands) of MSI pixels (pixels, msi_bands)."""
        return self.spectra(self.abundances(msi), sample=sample)


def _layers(inputs, hidden, outputs, last_activation):
    widths = [inputs, *hidden, outputs]
    layers = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers if last_activation else layers[:-1])
