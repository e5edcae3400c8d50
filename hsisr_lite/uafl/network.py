r"""UAFL's network: abundances in, better ones out, with a reference that need not line up.

The two letters are those of the equations: f for features of the abundances, g for features of the
reference.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import leaky_relu, pad

from hsisr_lite.arrays import InputError
from hsisr_lite.uafl import unmixing_head
from hsisr_lite.uafl.cfda import CFDA, DCNv2, Unaligned
from hsisr_lite.uafl.correlation import CorrelationCFDA
from hsisr_lite.uafl.scaca import Group
from hsisr_lite.uafl.scmf import SCMF, Concat
from hsisr_lite.uafl.window_attention import WINDOW

# What may stand in each place; a module that finds a flow is a kind of CFDA.
ALIGNMENTS = {
    "cfda": CFDA, "correlation": CorrelationCFDA, "dcnv2": DCNv2, "none": Unaligned,
}  # fmt: skip
ATTENTIONS = ("scaca", "concat", "concat_each")
MERGINGS = {"scmf": SCMF, "concat": Concat}


class Level(NamedTuple):
    """What the modules of one level were given and what they made, all (batch, c, rows, cols).

    ``features`` and ``reference`` came from above; ``aligned`` is the reference as the blocks see
    it, ``encoded`` what they make; ``enlarged`` came from below and ``decoded`` goes up. The
    deepest level has no ``enlarged``, and its ``decoded`` is what it encoded.
    """

    features: torch.Tensor
    reference: torch.Tensor
    aligned: torch.Tensor
    encoded: torch.Tensor
    enlarged: torch.Tensor | None
    decoded: torch.Tensor


class UAFL(nn.Module):
    r"""Unmixing-based abundance fusion learning; without arguments the paper's model [uafl2026]_.

    .. math:: E_K = \operatorname{SVD}_K(x), \qquad A = x E_K^\top, \qquad
              \hat X = x + \hat A E_K, \qquad \hat A = \operatorname{net}(A, r)

    x is the enlarged LrHSI, r the reference. The net is a U of levels, each half the size and twice
    the width of the one above. Going down, a level aligns the reference's features to the
    abundances' and fuses both by attention; coming up, it merges what comes from below with what it
    had, and fuses again. Images of any size go in: both are padded by their edges, at the bottom
    and right, to multiples of 8 times a power of two, and the result is cut. Windows leave
    the padding out; the mean over all pixels in SCMF and the norms in CACA count it.

    Parameters
    ----------
    msi_bands : int
        Bands of the reference.
    endmembers : int
        K.
    width : int
        Channels of the first level, a multiple of 8.
    blocks : sequence of int
        Blocks of each level, the deepest last, going down and again coming up.
    alignment : {"cfda", "correlation", "dcnv2", "none"}
        What aligns the reference on each level but the deepest; ``correlation`` is an extension of
        ours, the others are rows of the paper's ablation.
    attention : {"scaca", "concat", "concat_each"}
        SCACA; or features and reference mixed pixel by pixel before each group of blocks, which
        are then not modulated by it; or before each block, without the gate as well. The paper's
        numbers of parameters do not tell the last two apart.
    merging : {"scmf", "concat"}
        What merges the two on the way up.
    bands : int, optional
        Bands of the LrHSI where nothing is unmixed and the net works on x itself.
    swapped_flow : bool
        See :class:`~hsisr_lite.uafl.cfda.CFDA`: a fault of the released code.
    shift_mask : bool
        See :class:`~hsisr_lite.uafl.window_attention.WindowAttention`; False is as released.

    Raises
    ------
    InputError
        An argument out of its range.

    Examples
    --------
    >>> sum(p.numel() for p in UAFL().parameters())
    5948450
    >>> network = UAFL(msi_bands=4, endmembers=5, width=8, blocks=(1, 1))
    >>> network(torch.rand(2, 30, 21, 13), torch.rand(2, 4, 21, 13)).shape
    torch.Size([2, 30, 21, 13])
    """

    def __init__(self, msi_bands=3, endmembers=3, width=64, blocks=(2, 1, 1), *, alignment="cfda",
                 attention="scaca", merging="scmf", bands=None, swapped_flow=False,
                 shift_mask=True):  # fmt: skip
        super().__init__()
        self.arguments = {
            "msi_bands": as_whole(msi_bands, "msi_bands"),
            "endmembers": as_whole(endmembers, "endmembers"),
            "width": as_whole(width, "width", multiple=8),
            "blocks": as_blocks(blocks),
            "alignment": as_one_of(alignment, "alignment", ALIGNMENTS),
            "attention": as_one_of(attention, "attention", ATTENTIONS),
            "merging": as_one_of(merging, "merging", MERGINGS),
            "bands": None if bands is None else as_whole(bands, "bands"),
            "swapped_flow": bool(swapped_flow),
            "shift_mask": bool(shift_mask),
        }
        *above, deepest = self.arguments["blocks"]
        self.step = WINDOW * 2 ** len(above)  # what the sides are padded to multiples of
        channels = endmembers if bands is None else bands
        widths = [width * 2**level for level in range(len(above))]
        flow = _flow_options(swapped_flow, alignment)

        def groups():
            return nn.ModuleList(
                Group(c, width, count, attention, shift_mask)
                for c, count in zip(widths, above, strict=True)
            )

        def halvings():
            return nn.ModuleList(
                nn.Conv2d(c, 2 * c, 4, stride=2, padding=1, bias=False) for c in widths
            )

        self.embed = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.embed_reference = nn.Conv2d(msi_bands, width, 3, padding=1, bias=False)
        self.align = nn.ModuleList(ALIGNMENTS[alignment](c, **flow) for c in widths)
        self.encode, self.down, self.down_reference = groups(), halvings(), halvings()
        self.deepest = Group(2 ** len(above) * width, width, deepest, attention, shift_mask)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in widths)
        self.merge = nn.ModuleList(MERGINGS[merging](c) for c in widths)
        self.decode = groups()
        self.head = nn.Conv2d(width, channels, 3, padding=1, bias=False)

    def forward(self, enlarged, reference):
        """The fused images.

        Parameters
        ----------
        enlarged : (batch, bands, rows, cols) tensor
            The LrHSI, enlarged to the size of the reference; any number of bands where the network
            unmixes.
        reference : (batch, msi_bands, rows, cols) tensor

        Returns
        -------
        fused : (batch, bands, rows, cols) tensor

        Raises
        ------
        InputError
            Other shapes, or more endmembers than bands or pixels.
        """
        if self.arguments["bands"] is not None:
            return enlarged + self.refine(enlarged, reference)
        # E_K and A of x
        e = unmixing_head.endmembers(enlarged, self.arguments["endmembers"])
        change = self.refine(unmixing_head.abundances(enlarged, e), reference)
        # X = x + A_net E_K
        return enlarged + unmixing_head.reconstruct(change, e)

    def refine(self, abundances, reference):
        """What the network adds: to the abundances, or to x itself where it does not unmix.

        Parameters
        ----------
        abundances : (batch, endmembers or bands, rows, cols) tensor
        reference : (batch, msi_bands, rows, cols) tensor

        Returns
        -------
        change : (batch, endmembers or bands, rows, cols) tensor
        """
        rows, cols = abundances.shape[2:]
        return self.head(self.levels(abundances, reference)[0].decoded)[..., :rows, :cols]

    def embedded(self, abundances, reference):
        """f and g of the first level, each (batch, width, rows, cols), padded."""
        f = leaky_relu(self.embed(padded(abundances, self.step)), 0.1)
        return f, leaky_relu(self.embed_reference(padded(reference, self.step)), 0.1)

    def levels(self, abundances, reference):
        """What every module is given and makes, from which each can be asked for its maps.

        Parameters
        ----------
        abundances, reference : tensors
            As for :meth:`refine`.

        Returns
        -------
        levels : list of Level
            The first level first, the deepest last; padded.

        Examples
        --------
        >>> network = UAFL(width=8, blocks=(1, 1))
        >>> level, deepest = network.levels(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16))
        >>> network.align[0].alignment(level.reference, level.features).mask.shape
        torch.Size([1, 72, 16, 16])
        >>> network.encode[0].blocks[0].attention.saca.plain.maps(level.features).shape
        torch.Size([1, 4, 2, 64, 64])
        >>> network.merge[0].gates(level.enlarged, level.encoded).where.shape
        torch.Size([1, 1, 16, 16])
        """
        self._check(abundances, reference)
        inside = tuple(abundances.shape[2:])
        f, g = self.embedded(abundances, reference)
        ways = [(f, g)]
        encoded, sizes = [], [inside]
        for align, encode, down, down_reference in zip(
            self.align, self.encode, self.down, self.down_reference, strict=True
        ):
            aligned = align(g, f)
            encoded.append((aligned, encode(f, aligned, sizes[-1])))
            f, g = down(encoded[-1][1]), down_reference(aligned)
            ways.append((f, g))
            sizes.append(tuple(-(-size // 2) for size in sizes[-1]))
        deepest = self.deepest(f, g, sizes[-1])
        levels = [Level(f, g, g, deepest, None, deepest)]
        for i in reversed(range(len(encoded))):
            aligned, kept = encoded[i]
            enlarged = self.up[i](levels[0].decoded)
            decoded = self.decode[i](self.merge[i](enlarged, kept), aligned, sizes[i])
            levels.insert(0, Level(*ways[i], aligned, kept, enlarged, decoded))
        return levels

    def _check(self, abundances, reference):
        channels, msi_bands = self.head.out_channels, self.arguments["msi_bands"]
        if abundances.ndim != 4 or abundances.shape[1] != channels:
            raise InputError(
                f"the network was given an image of shape {tuple(abundances.shape)}: (batch, "
                f"{channels}, rows, cols) is needed; make it, or a network for this one."
            )
        wanted = (len(abundances), msi_bands, *abundances.shape[2:])
        if tuple(reference.shape) != wanted:
            raise InputError(
                f"the reference has shape {tuple(reference.shape)}: {wanted} is needed, that of "
                "the other image with the network's msi_bands; resize it, or make another network."
            )


def padded(values, step):
    """(batch, channels, rows, cols) with its last row and column repeated to multiples of a step.

    Examples
    --------
    >>> padded(torch.zeros(1, 1, 9, 16), 8).shape
    torch.Size([1, 1, 16, 16])
    """
    rows, cols = values.shape[2:]
    return pad(values, (0, -cols % step, 0, -rows % step), mode="replicate")


def as_whole(value, name, multiple=1):
    """A positive whole number, and a multiple of another, checked.

    Examples
    --------
    >>> as_whole(16, "width", multiple=8)
    16
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 1 or value % multiple:
        kind = "whole number of at least 1" if multiple == 1 else f"positive multiple of {multiple}"
        raise InputError(f"{name} is {value!r}: a {kind} is needed; correct it.")
    return int(value)


def as_one_of(value, name, allowed):
    """A word that is among those allowed, checked.

    Examples
    --------
    >>> as_one_of("scmf", "merging", ("scmf", "concat"))
    'scmf'
    """
    if value not in tuple(allowed):
        words = ", ".join(map(repr, allowed))
        raise InputError(f"{name} is {value!r}: one of {words} is needed; choose one.")
    return str(value)  # of numpy's strings a file of weights would make no plain value


def as_blocks(blocks):
    """The number of blocks on each level, checked.

    Examples
    --------
    >>> as_blocks((2, 1, 1))
    [2, 1, 1]
    """
    try:
        counts = [as_whole(count, "a number of blocks") for count in blocks]
    except TypeError:
        counts = []
    if len(counts) < 2:
        raise InputError(
            f"blocks is {blocks!r}: two whole numbers or more are needed, one per level and one "
            "for the deepest; (1, 1) is the least."
        )
    return counts


def _flow_options(swapped_flow, alignment):
    """What the aligning modules are told; only one that finds a flow can swap it."""
    if swapped_flow and not issubclass(ALIGNMENTS[alignment], CFDA):
        raise InputError(
            f"swapped_flow is True with alignment {alignment!r}, which finds no flow: alignment "
            "'cfda' is needed; choose it, or leave swapped_flow out."
        )
    return {"swapped_flow": True} if swapped_flow else {}
