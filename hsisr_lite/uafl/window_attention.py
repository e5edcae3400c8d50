r"""Attention among the pixels of 8 x 8 windows, plain and shifted [liu2021]_.

All images are (batch, width, rows, cols) tensors, of sides that 8 divides.
"""

import torch
from torch import nn

WINDOW = 8  # side of a window, in pixels
HEADS = 2  # on every level


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel.

    Examples
    --------
    >>> ChannelNorm(2)(torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)).flatten()
    tensor([-1.0000,  1.0000], grad_fn=...)
    """

    def forward(self, values):
        """As the values."""
        return super().forward(values.movedim(1, -1)).movedim(-1, 1)


class WindowAttention(nn.Module):
    r"""Attention among the 64 pixels of each window, the values modulated by the reference.

    .. math:: [q, k, v] = W \operatorname{LN}(f) + b, \qquad
              \alpha = \operatorname{softmax}\Bigl( \frac{q k^\top}{\sqrt{c / 2}} + B \Bigr), \qquad
              \text{out} = W' \alpha \bigl( v \odot \operatorname{LN}(m) \bigr) + b'

    in each of two heads of c / 2 channels. B holds one learned number per head and distance between
    two pixels, 15 x 15 distances. Shifted, the image first goes round by 4 pixels, up and to the
    left, and its windows lie across the borders of the others [liu2021]_.

    Parameters
    ----------
    width : int
        c, an even number.
    shift : {0, 4}
        By how much the image goes round.
    shift_mask : bool
        See :func:`may_attend`; without it, pixels from opposite edges attend to one another, as in
        the released code [uafl2026]_, and pixels of the image to those of its padding.

    Examples
    --------
    >>> attention = WindowAttention(4, shift=4)
    >>> values, modulation = torch.rand(2, 4, 16, 24), torch.rand(2, 4, 16, 24)
    >>> attention(values, modulation).shape
    torch.Size([2, 4, 16, 24])
    >>> attention.maps(values).shape  # batch, windows, heads, pixels that look, pixels seen
    torch.Size([2, 6, 2, 64, 64])
    """

    def __init__(self, width, shift, *, shift_mask=True):
        super().__init__()
        self.shift, self.shift_mask = shift, shift_mask
        self.norm = ChannelNorm(width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        self.bias = nn.Parameter(torch.empty((2 * WINDOW - 1) ** 2, HEADS))
        nn.init.trunc_normal_(self.bias, std=0.02)
        self.register_buffer("distance", distances(), persistent=False)

    def maps(self, values, inside=None):
        """Alpha: how much each pixel of a window takes from each.

        Parameters
        ----------
        values : (batch, width, rows, cols) tensor
            f.
        inside : (rows, cols), optional
            Size of the image without its padding, at the bottom and right; default all.

        Returns
        -------
        maps : (batch, windows, 2, 64, 64) tensor
            Windows and pixels row by row; the last axis sums to one.
        """
        q, k, _ = self._windows_of_qkv(values)
        return self._maps(q, k, values, inside)

    def forward(self, values, modulation=None, inside=None):
        """(batch, width, rows, cols) of f and m; v stays as it is without m."""
        q, k, v = self._windows_of_qkv(values)
        if modulation is not None:
            # The same LN, of m
            v = v * self._windows(self.norm(modulation))
        # alpha (v LN(m))
        mixed = from_windows(self._maps(q, k, values, inside) @ v, values.shape)
        return self.out(mixed.roll((self.shift, self.shift), dims=(2, 3)))

    def _windows_of_qkv(self, values):
        return (self._windows(part) for part in self.qkv(self.norm(values)).chunk(3, dim=1))

    def _windows(self, values):
        return to_windows(values.roll((-self.shift, -self.shift), dims=(2, 3)))

    def _maps(self, q, k, values, inside):
        # softmax(q k^T / sqrt(c / 2) + B)
        logits = q @ k.mT * q.shape[-1] ** -0.5  # (batch, windows, heads, 64, 64)
        logits = logits + self.bias[self.distance].movedim(-1, 0)
        if self.shift_mask:
            rows, cols = values.shape[2:]
            inside = (rows, cols) if inside is None else inside
            if self.shift or inside != (rows, cols):
                allowed = may_attend(rows, cols, inside, self.shift, logits.device)
                logits = logits.masked_fill(~allowed[:, None], -torch.inf)
        return torch.softmax(logits, dim=-1)


def distances():
    """Number of the step from each pixel of a window to each, out of 15 x 15: (64, 64).

    Examples
    --------
    >>> distances()[:2, :3]
    tensor([[112, 111, 110],
            [113, 112, 111]])
    """
    at = torch.cartesian_prod(torch.arange(WINDOW), torch.arange(WINDOW))  # (64, 2)
    apart = at[:, None] - at + WINDOW - 1  # (64, 64, 2), from 0 to 14
    return apart[..., 0] * (2 * WINDOW - 1) + apart[..., 1]


def may_attend(rows, cols, inside, shift, device=None):
    """Which pixels of a window are neighbours in the image, and not brought together otherwise.

    A shifted window at the border holds pixels of opposite edges, and a window at the end of a
    padded image holds pixels of image and padding. Neither kind attends to the other.

    Parameters
    ----------
    rows, cols : int
        Multiples of 8.
    inside : (rows, cols)
        Size of the image without its padding.
    shift : {0, 4}
    device : torch.device, optional
        Where to make them.

    Returns
    -------
    allowed : (windows, 64, 64) bool tensor

    Examples
    --------
    >>> may_attend(8, 8, (8, 8), 0).all().item()
    True
    >>> may_attend(8, 8, (8, 8), 4).float().mean().item()  # four quarters, each by itself
    0.25
    """
    row, col = torch.arange(rows, device=device)[:, None], torch.arange(cols, device=device)
    padding = (row >= inside[0]) | (col >= inside[1])
    # What goes round is what lies above or left of the shift
    region = 4 * padding + 2 * (row < shift) + (col < shift)
    region = region.roll((-shift, -shift), dims=(0, 1))
    region = region.reshape(rows // WINDOW, WINDOW, cols // WINDOW, WINDOW)  # (down, 8, right, 8)
    region = region.transpose(1, 2).reshape(-1, WINDOW**2)  # (windows, 64)
    return region[:, :, None] == region[:, None]


def to_windows(values):
    """(batch, width, rows, cols) to (batch, windows, heads, 64, width / heads).

    Examples
    --------
    >>> to_windows(torch.zeros(1, 6, 16, 24)).shape
    torch.Size([1, 6, 2, 64, 3])
    """
    batch, width, rows, cols = values.shape
    down, right = rows // WINDOW, cols // WINDOW
    x = values.reshape(batch, HEADS, -1, down, WINDOW, right, WINDOW)  # (b, h, c/h, d, 8, r, 8)
    x = x.permute(0, 3, 5, 1, 4, 6, 2)  # (batch, down, right, heads, 8, 8, c / heads)
    return x.reshape(batch, down * right, HEADS, WINDOW**2, width // HEADS)  # as above


def from_windows(windows, shape):
    """(batch, windows, heads, 64, width / heads) back to a shape (batch, width, rows, cols).

    Examples
    --------
    >>> values = torch.rand(2, 6, 16, 24)
    >>> torch.equal(from_windows(to_windows(values), values.shape), values)
    True
    """
    batch, _, rows, cols = shape
    down, right = rows // WINDOW, cols // WINDOW
    x = windows.reshape(batch, down, right, HEADS, WINDOW, WINDOW, -1)  # (b, d, r, h, 8, 8, c/h)
    x = x.permute(0, 3, 6, 1, 4, 2, 5)  # (batch, heads, c / heads, down, 8, right, 8)
    return x.reshape(shape)  # (batch, width, rows, cols)
