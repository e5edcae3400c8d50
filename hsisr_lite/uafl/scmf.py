r"""SCMF: a decoder's features and the encoder's, merged pixel by pixel and channel by channel."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import leaky_relu


class Gates(NamedTuple):
    """Numbers from 0 to 1: ``where`` (batch, 1, rows, cols), ``which`` (batch, width, 1, 1)."""

    where: torch.Tensor
    which: torch.Tensor


class SCMF(nn.Module):
    r"""Spatial-channel merging of what comes up and what was skipped [uafl2026]_.

    Two ways through both at once, z = [decoder, encoder], each with a gate of its own:

    .. math:: V_1 &= \ell(W_1 \, \ell(w * z)), \qquad M_1 = \sigma(w_1 * z) \\
              V_2 &= W_2 \, z, \qquad M_2 = \sigma(W_3 \operatorname{mean} z + b) \\
              \text{out} &= V_1 \odot M_1 + V_2 \odot M_2 + \text{decoder}

    :math:`\ell` is LeakyReLU of slope 0.01, a star a 3 x 3 convolution (w of each channel by
    itself), and W a mix of channels, pixel by pixel. :math:`M_1` has one number per pixel for all
    channels, :math:`M_2` one per channel for all pixels.

    Parameters
    ----------
    width : int
        Channels of the decoder's features, and as many of the encoder's.

    Examples
    --------
    >>> sum(p.numel() for width in (64, 128) for p in SCMF(width).parameters())
    129984
    >>> SCMF(8)(torch.rand(2, 8, 4, 6), torch.rand(2, 8, 4, 6)).shape
    torch.Size([2, 8, 4, 6])
    """

    def __init__(self, width):
        super().__init__()
        both = 2 * width
        self.spread = nn.Conv2d(both, both, 3, padding=1, groups=both, bias=False)
        self.spatial = nn.Conv2d(both, width, 1, bias=False)
        self.spectral = nn.Conv2d(both, width, 1, bias=False)
        self.where = nn.Conv2d(both, 1, 3, padding=1, bias=False)
        self.which = nn.Conv2d(both, width, 1)

    def gates(self, decoder, encoder):
        """M1 and M2 alone."""
        return self._gates(torch.cat([decoder, encoder], dim=1))

    def _gates(self, z):
        # M1 = sigmoid(w1 * z), M2 = sigmoid(W3 mean z + b)
        mean = z.mean((2, 3), keepdim=True)
        return Gates(torch.sigmoid(self.where(z)), torch.sigmoid(self.which(mean)))

    def forward(self, decoder, encoder):
        """(batch, width, rows, cols) of two of the same shape."""
        z = torch.cat([decoder, encoder], dim=1)  # (batch, 2 width, rows, cols)
        gates = self._gates(z)
        # V1 = l(W1 l(w * z)), V2 = W2 z
        spatial = leaky_relu(self.spatial(leaky_relu(self.spread(z))))
        spectral = self.spectral(z)
        # out = V1 M1 + V2 M2 + decoder
        return spatial * gates.where + spectral * gates.which + decoder


class Concat(nn.Module):
    r"""Both, mixed pixel by pixel, in the place of :class:`SCMF`: :math:`W z`.

    Parameters
    ----------
    width : int

    Examples
    --------
    >>> Concat(8)(torch.rand(1, 8, 4, 4), torch.rand(1, 8, 4, 4)).shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(self, width):
        super().__init__()
        self.mix = nn.Conv2d(2 * width, width, 1, bias=False)

    def forward(self, decoder, encoder):
        """(batch, width, rows, cols) of two of the same shape."""
        return self.mix(torch.cat([decoder, encoder], dim=1))
