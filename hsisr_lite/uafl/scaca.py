r"""SCACA: attention over windows of pixels, then over channels, modulated by the reference.

The two letters are those of the equations: f for features of the abundances, g for those of the
reference, already aligned. All are (batch, width, rows, cols) tensors, of sides that 8 divides.
"""

import torch
from torch import nn
from torch.nn.functional import normalize

from hsisr_lite.uafl.window_attention import WINDOW, ChannelNorm, WindowAttention


class FeedForward(nn.Sequential):
    """Four times as many channels, a look at the 3 x 3 neighbours in each, and back; no biases.

    Examples
    --------
    >>> sum(p.numel() for p in FeedForward(16).parameters())
    2624
    """

    def __init__(self, width):
        wide = 4 * width
        super().__init__(
            nn.Conv2d(width, wide, 1, bias=False),
            nn.GELU(),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
            nn.GELU(),
            nn.Conv2d(wide, width, 1, bias=False),
        )


class SACA(nn.Module):
    r"""The part over pixels: windows, shifted windows, and the feed-forward layers.

    .. math:: f_1 = f + \operatorname{WA}(f, m), \qquad
              f_2 = f_1 + \operatorname{SWA}(f_1, m), \qquad
              f_3 = f_2 + \operatorname{FF}(\operatorname{LN} f_2)

    Parameters
    ----------
    width : int
    shift_mask : bool
        See :class:`WindowAttention`.

    Examples
    --------
    >>> SACA(4)(torch.rand(1, 4, 8, 8), torch.rand(1, 4, 8, 8)).shape
    torch.Size([1, 4, 8, 8])
    """

    def __init__(self, width, *, shift_mask=True):
        super().__init__()
        self.plain = WindowAttention(width, 0, shift_mask=shift_mask)
        self.shifted = WindowAttention(width, WINDOW // 2, shift_mask=shift_mask)
        self.norm, self.feed = ChannelNorm(width), FeedForward(width)

    def forward(self, values, modulation=None, inside=None):
        """f3, (batch, width, rows, cols)."""
        values = values + self.plain(values, modulation, inside)
        values = values + self.shifted(values, modulation, inside)
        return values + self.feed(self.norm(values))


class CACA(nn.Module):
    r"""The part over channels: each takes from each, by how alike their images are.

    .. math:: [q, k, v] = W f, \qquad
              T = \operatorname{softmax}\bigl( t \, \hat k \hat q^\top \bigr), \qquad
              \text{out} = W' \, T (v \odot m) + b' + \operatorname{pos}(v)

    q, k, v are (C, pixels) matrices, one of each per head of C channels; a hat stands for rows of
    length one. t is one learned number per head; pos is two 3 x 3 convolutions of each channel by
    itself, with a GELU between them.

    Parameters
    ----------
    width : int
        c, a multiple of ``head``.
    head : int
        C, channels of a head: the network's base width on every level.

    Examples
    --------
    >>> attention = CACA(32, 16)
    >>> attention(torch.rand(2, 32, 8, 8), torch.rand(2, 32, 8, 8)).shape
    torch.Size([2, 32, 8, 8])
    >>> attention.maps(torch.rand(2, 32, 8, 8)).shape  # batch, heads, channels, channels
    torch.Size([2, 2, 16, 16])
    """

    def __init__(self, width, head):
        super().__init__()
        self.head = head
        self.qkv = nn.Conv2d(width, 3 * width, 1, bias=False)
        self.scale = nn.Parameter(torch.ones(width // head, 1, 1))
        self.out = nn.Conv2d(width, width, 1)
        self.place = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        )

    def maps(self, values):
        """T, (batch, heads, C, C): row by row, what a channel takes from each; rows sum to one."""
        q, k, _ = self.qkv(values).chunk(3, dim=1)
        return self._maps(q, k)

    def forward(self, values, modulation=None):
        """(batch, width, rows, cols) of f and m; v stays as it is without m."""
        q, k, v = self.qkv(values).chunk(3, dim=1)
        modulated = v if modulation is None else v * modulation
        # T (v m)
        mixed = self._maps(q, k) @ self._heads(modulated)
        mixed = mixed.reshape(values.shape)  # (batch, width, rows, cols)
        return self.out(mixed) + self.place(v)

    def _maps(self, q, k):
        # T = softmax(t k q^T), both of rows of length one
        q, k = (normalize(self._heads(part), dim=-1) for part in (q, k))
        return torch.softmax(self.scale * (k @ q.mT), dim=-1)

    def _heads(self, values):
        return values.reshape(len(values), -1, self.head, values[0, 0].numel())  # (b, heads, C, n)


class SCACA(nn.Module):
    r"""Attention over pixels, a gate by the reference, attention over channels [uafl2026]_.

    .. math:: m = g + g \odot \sigma(w * g + b), \qquad f_4 = \operatorname{SACA}(f, m) \odot
              (g + w' * g), \qquad \text{out} = \operatorname{CACA}(f_4, m)

    w and w' are 5 x 5 convolutions of each channel by itself. The gate is in the released code, and
    not in the paper's equations.

    Parameters
    ----------
    width, head : int
        c and C.
    modulated, gated : bool
        Whether m and the gate are there at all.
    shift_mask : bool
        See :class:`WindowAttention`.

    Examples
    --------
    >>> SCACA(16, 16)(torch.rand(2, 16, 8, 8), torch.rand(2, 16, 8, 8)).shape
    torch.Size([2, 16, 8, 8])
    """

    def __init__(self, width, head, *, modulated=True, gated=True, shift_mask=True):
        super().__init__()
        self.modulate = self.open = None
        if modulated:
            self.modulate = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.saca = SACA(width, shift_mask=shift_mask)
        if gated:
            self.open = nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False)
        self.caca = CACA(width, head)

    def modulation(self, reference):
        """m, (batch, width, rows, cols), or None: each image of a batch has its own."""
        if self.modulate is None:
            return None
        # m = g + g sigmoid(w * g + b)
        return reference + reference * torch.sigmoid(self.modulate(reference))

    def gate(self, reference):
        """g + w' * g, (batch, width, rows, cols), or None: of any sign and size."""
        return None if self.open is None else reference + self.open(reference)

    def forward(self, features, reference, inside=None):
        """(batch, width, rows, cols) of f and g."""
        modulation, gate = self.modulation(reference), self.gate(reference)
        spatial = self.saca(features, modulation, inside)
        # f4 = SACA(f, m) (g + w' * g)
        spatial = spatial if gate is None else spatial * gate
        return self.caca(spatial, modulation)


class CAB(nn.Module):
    r"""One block: SCACA and the feed-forward layers, each added to what it is given.

    .. math:: f \leftarrow f + \operatorname{SCACA}(f, g), \qquad
              f \leftarrow f + \operatorname{FF}(\operatorname{LN} f)

    Parameters
    ----------
    width, head : int
        c and C.
    **options
        Of :class:`SCACA`.

    Examples
    --------
    >>> sum(p.numel() for p in CAB(64, 64).parameters())
    125701
    """

    def __init__(self, width, head, **options):
        super().__init__()
        self.attention = SCACA(width, head, **options)
        self.norm, self.feed = ChannelNorm(width), FeedForward(width)

    def forward(self, features, reference, inside=None):
        """(batch, width, rows, cols) of f and g."""
        features = features + self.attention(features, reference, inside)
        return features + self.feed(self.norm(features))


class Group(nn.Module):
    """Blocks one after the other, where wanted with the reference mixed into the features.

    Parameters
    ----------
    width, head : int
        c and C.
    count : int
        Of blocks.
    attention : {"scaca", "concat", "concat_each"}
        See :class:`~hsisr_lite.uafl.network.UAFL`.
    shift_mask : bool

    Examples
    --------
    >>> group = Group(8, 8, 2, "concat_each", True)
    >>> group(torch.rand(1, 8, 8, 8), torch.rand(1, 8, 8, 8), (8, 8)).shape
    torch.Size([1, 8, 8, 8])
    """

    def __init__(self, width, head, count, attention, shift_mask):
        super().__init__()
        options = {
            "modulated": attention == "scaca",
            "gated": attention != "concat_each",
            "shift_mask": shift_mask,
        }
        self.blocks = nn.ModuleList(CAB(width, head, **options) for _ in range(count))
        mixes = {"scaca": 0, "concat": 1, "concat_each": count}[attention]
        self.mix = nn.ModuleList(nn.Conv2d(2 * width, width, 1, bias=False) for _ in range(mixes))

    def forward(self, features, reference, inside):
        """(batch, width, rows, cols); ``inside`` is the (rows, cols) without padding."""
        for i, block in enumerate(self.blocks):
            if i < len(self.mix):
                features = self.mix[i](torch.cat([features, reference], dim=1))
            features = block(features, reference, inside)
        return features
