r"""CFDA: bend the reference's features towards the abundances', coarsely, then tap by tap.

Inside the networks a flow is a (batch, 2, rows, cols) tensor, channel 0 to the right and channel 1
down, in pixels of its level: what belongs at p is read at p + flow(p). The two letters are those
of the equations: f for features of the abundances, g for features of the reference.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from hsisr_lite.uafl.deformable import TAPS, DeformableConvolution, pixels_of, sample

GROUPS = 8  # of channels that wander together
_FREQUENCIES = 10000.0 ** (torch.arange(8, dtype=torch.float64) / 8)
_REACH = 10.0  # pixels that a tap may wander from the flow


class Alignment(NamedTuple):
    """What an aligning module sees, and tells its deformable convolution.

    ``flow`` (batch, 2, rows, cols), right and down, and ``similarity`` (batch, 1, rows, cols), both
    None where the module has none; ``offsets`` (batch, 8 * 9 * 2, rows, cols), down and right for
    each group and tap, the flow included; ``mask`` (batch, 8 * 9, rows, cols).
    """

    flow: torch.Tensor | None
    similarity: torch.Tensor | None
    offsets: torch.Tensor
    mask: torch.Tensor


def warp(image, flow):
    r"""Read an image where a flow points: :math:`w(p) = x(p + F(p))`.

    Parameters
    ----------
    image : (batch, channels, rows, cols) tensor
        Zero beyond its border, bilinear between its pixels.
    flow : (batch, 2, rows, cols) tensor
        Pixels, right and down.

    Examples
    --------
    >>> image = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    >>> warp(image, torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 1, 3))
    tensor([[[[2., 3., 0.]]]])
    """
    down, right = pixels_of(flow)
    return sample(image, down + flow[:, 1], right + flow[:, 0])


def encode_fraction(flow):
    r"""Sines and cosines of the flow's part between two whole pixels.

    .. math:: d = F - \lfloor F \rfloor, \qquad
              \sin \omega_i d, \; \cos \omega_i d, \qquad \omega_i = 10000^{i/8}, \; i = 0, \dots, 7

    Parameters
    ----------
    flow : (batch, 2, rows, cols) tensor

    Returns
    -------
    code : (batch, 32, rows, cols) tensor
        Of the step right 8 sines and 8 cosines, then the same of the step down.

    Examples
    --------
    >>> code = encode_fraction(torch.tensor([2.0, 0.5]).reshape(1, 2, 1, 1)).flatten()
    >>> code[[0, 8, 16, 24]]  # sin 0, cos 0, sin 0.5, cos 0.5
    tensor([0.0000, 1.0000, 0.4794, 0.8776])
    """
    # The fastest wave has 3162 radians a pixel: in half precision its phase is lost
    flow = flow.float() if flow.dtype in (torch.bfloat16, torch.float16) else flow
    # d = F - floor(F)
    fraction = flow - torch.floor(flow)
    frequencies = _FREQUENCIES.to(flow).reshape(1, 1, -1, 1, 1)  # (1, 1, 8, 1, 1)
    phase = frequencies * fraction[:, :, None]  # (batch, 2, 8, rows, cols)
    coded = torch.cat([torch.sin(phase), torch.cos(phase)], dim=2)
    return coded.flatten(1, 2)  # (batch, 32, rows, cols)


class CFDA(nn.Module):
    r"""Coarse-to-fine deformable alignment of the reference [uafl2026]_.

    A coarse flow from features of half the size, a finer one beside a similarity S, and from both
    the offsets and the mask of a deformable convolution of the reference as it was:

    .. math:: C &= {\uparrow}\, 2 c({\downarrow} g, {\downarrow} f), \qquad
              (R, s) = r(g(p + C), f), \qquad F = C + R, \qquad S = \sigma(s) \\
              (u, v) &= o(f, g(p + F), \operatorname{code}(F)), \qquad
              \Delta = F + 10 \tanh u, \qquad m = \sigma(S \odot v)

    c and r are single convolutions, o is two. Everything starts at F = 0, S = 1/2, m = 1/2: as a
    convolution in place, of half the weight.

    Parameters
    ----------
    width : int
        Channels of f and of g, a multiple of 8.
    swapped_flow : bool
        Add the flow to the offsets as the released code does: its step right to the tap's step
        down, and the other way round.

    Examples
    --------
    >>> sum(p.numel() for p in CFDA(64).parameters())
    259549
    >>> align = CFDA(8)
    >>> reference, features = torch.rand(2, 8, 16, 16), torch.rand(2, 8, 16, 16)
    >>> align(reference, features).shape
    torch.Size([2, 8, 16, 16])
    >>> align.alignment(reference, features).flow.abs().max().item()
    0.0
    """

    def __init__(self, width, *, swapped_flow=False):
        super().__init__()
        self.swapped_flow = swapped_flow
        self.coarse = at_zero(nn.Conv2d(2 * width, 2, 3, padding=1))
        self.finer = at_zero(nn.Conv2d(2 * width, 3, 3, padding=1))
        self.first = nn.Conv2d(2 * width + 32, width, 3, padding=1)
        self.last = at_zero(nn.Conv2d(width, 3 * GROUPS * TAPS, 3, padding=1))
        self.sampling = DeformableConvolution(width)

    def coarse_flow(self, reference, features):
        """C, (batch, 2, rows, cols): seen at half the size, in pixels of the full one."""
        low = torch.cat([avg_pool2d(reference, 2), avg_pool2d(features, 2)], dim=1)
        # C = up 2 c(down g, down f)
        return interpolate(
            2 * self.coarse(low), size=features.shape[2:], mode="bilinear", align_corners=False
        )

    def flow_and_similarity(self, reference, features):
        """F, (batch, 2, rows, cols), and S, (batch, 1, rows, cols)."""
        flow = self.coarse_flow(reference, features)
        finer = self.finer(torch.cat([warp(reference, flow), features], dim=1))
        # F = C + R, S = sigmoid(s)
        return flow + finer[:, :2], torch.sigmoid(finer[:, 2:])

    def alignment(self, reference, features):
        """Flow, similarity, offsets and mask, without reading the reference by them.

        Parameters
        ----------
        reference, features : (batch, width, rows, cols) tensors
            g and f; even rows and columns.

        Returns
        -------
        alignment : Alignment
        """
        flow, similarity = self.flow_and_similarity(reference, features)
        seen = torch.cat([features, warp(reference, flow), encode_fraction(flow)], dim=1)
        residual, logits = _parts(self.last(leaky_relu(self.first(seen), 0.1)))
        # A tap steps (down, right), the flow (right, down); the released code does not turn it
        prior = flow if self.swapped_flow else flow.flip(1)
        # Delta = F + 10 tanh u
        offsets = prior.repeat(1, GROUPS * TAPS, 1, 1) + _REACH * torch.tanh(residual)
        # m = sigmoid(S v)
        return Alignment(flow, similarity, offsets, torch.sigmoid(similarity * logits))

    def forward(self, reference, features):
        """The reference's features, aligned: (batch, width, rows, cols)."""
        seen = self.alignment(reference, features)
        return self.sampling(reference, seen.offsets, seen.mask)


class DCNv2(nn.Module):
    r"""Deformable alignment without CFDA's parts, the paper's comparison [uafl2026]_, [zhu2019]_.

    .. math:: (\Delta, v) = o(f, g), \qquad m = \sigma(v)

    o is two convolutions, the second of which starts at zero.

    Parameters
    ----------
    width : int

    Examples
    --------
    >>> DCNv2(8)(torch.rand(1, 8, 4, 4), torch.rand(1, 8, 4, 4)).shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(2 * width, width, 3, padding=1)
        self.last = at_zero(nn.Conv2d(width, 3 * GROUPS * TAPS, 3, padding=1))
        self.sampling = DeformableConvolution(width)

    def alignment(self, reference, features):
        """Offsets and mask; there is no flow and no similarity."""
        out = self.last(self.first(torch.cat([features, reference], dim=1)))
        offsets, logits = _parts(out)
        return Alignment(None, None, offsets, torch.sigmoid(logits))

    def forward(self, reference, features):
        """The reference's features, aligned: (batch, width, rows, cols)."""
        seen = self.alignment(reference, features)
        return self.sampling(reference, seen.offsets, seen.mask)


class Unaligned(nn.Module):
    """The reference as it is, in the place of a module that aligns it.

    Parameters
    ----------
    width : int
        Not looked at.

    Examples
    --------
    >>> Unaligned(8)(torch.ones(1), torch.zeros(1))
    tensor([1.])
    """

    def __init__(self, width):
        super().__init__()

    def forward(self, reference, features):
        """The reference."""
        return reference


def at_zero(layer):
    """The layer, its weights and bias set to zero.

    Examples
    --------
    >>> at_zero(nn.Conv2d(1, 1, 1))(torch.ones(1, 1, 1, 1)).item()
    0.0
    """
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _parts(out):
    """The 144 channels of offsets and the 72 of the mask."""
    return out.split([2 * GROUPS * TAPS, GROUPS * TAPS], dim=1)
