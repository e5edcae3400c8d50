r"""Modulated deformable convolution [zhu2019]_ in plain torch: a window whose taps may wander."""

import torch
from torch import nn
from torch.nn.functional import grid_sample

TAPS = 9  # of a 3 x 3 window, row by row


def deformable_convolution(image, offsets, mask, weight, bias):
    r"""3 x 3 convolution that reads each tap beside its place and weighs what it finds.

    .. math:: y_o(p) = b_o + \sum_c \sum_{t=1}^{9} w_{oct} \, m_{g(c)t}(p) \,
              x_c\bigl( p + p_t + \Delta_{g(c)t}(p) \bigr)

    The channels form groups, g(c), whose taps wander together; :math:`p_t` is the place of tap t in
    the window. Between pixels the image is read bilinearly, and beyond its border it is zero.

    Parameters
    ----------
    image : (batch, channels, rows, cols) tensor
    offsets : (batch, groups * 9 * 2, rows, cols) tensor
        Pixels, per group and tap first down, then right.
    mask : (batch, groups * 9, rows, cols) tensor
        A weight per group and tap; their number says how many groups there are.
    weight : (outputs, channels, 3, 3) tensor
    bias : (outputs,) tensor

    Returns
    -------
    out : (batch, outputs, rows, cols) tensor

    Examples
    --------
    Without offsets, and with a mask of one, it is an ordinary convolution:

    >>> image, weight = torch.rand(1, 4, 5, 6), torch.rand(3, 4, 3, 3)
    >>> offsets, mask, bias = torch.zeros(1, 36, 5, 6), torch.ones(1, 18, 5, 6), torch.zeros(3)
    >>> out = deformable_convolution(image, offsets, mask, weight, bias)
    >>> torch.allclose(out, torch.nn.functional.conv2d(image, weight, padding=1), atol=1e-5)
    True
    """
    batch, channels, rows, cols = image.shape
    groups = mask.shape[1] // TAPS
    down, right = pixels_of(offsets)
    tap = torch.arange(TAPS, dtype=down.dtype, device=down.device)
    tap = tap.reshape(TAPS, 1, 1)  # (taps, 1, 1)
    offsets = offsets.reshape(batch * groups, TAPS, 2, rows, cols)  # (images, taps, 2, rows, cols)
    # p + p_t + Delta
    at_row = down + (tap // 3 - 1) + offsets[:, :, 0]  # (images, taps, rows, cols)
    at_col = right + (tap % 3 - 1) + offsets[:, :, 1]
    sampled = sample(
        image.reshape(batch * groups, channels // groups, rows, cols),  # one image per group
        at_row.reshape(batch * groups, TAPS * rows, cols),  # taps below one another
        at_col.reshape(batch * groups, TAPS * rows, cols),  # (images, taps * rows, cols)
    )
    sampled = sampled.reshape(batch, groups, -1, TAPS, rows, cols)  # (..., channels / groups, ...)
    # m x
    sampled = sampled * mask.reshape(batch, groups, 1, TAPS, rows, cols)  # as sampled
    sampled = sampled.reshape(batch, channels, TAPS, rows, cols)  # (batch, channels, taps, ...)
    out = torch.einsum("bctij,oct->boij", sampled, weight.flatten(2))
    return out + bias.reshape(1, -1, 1, 1)  # (1, outputs, 1, 1)


def pixels_of(values):
    """Row and column of every pixel of (batch, channels, rows, cols), both (rows, cols).

    In float32 at least: half precision has no halves of a pixel beyond column 256.

    Examples
    --------
    >>> pixels_of(torch.zeros(1, 1, 2, 3))[1]
    tensor([[0., 1., 2.],
            [0., 1., 2.]])
    """
    dtype = torch.promote_types(values.dtype, torch.float32)
    axes = (torch.arange(size, dtype=dtype, device=values.device) for size in values.shape[2:])
    return torch.meshgrid(*axes, indexing="ij")


def sample(image, at_row, at_col):
    """Read an image bilinearly between its pixels; beyond its border it is zero.

    Parameters
    ----------
    image : (batch, channels, rows, cols) tensor
    at_row, at_col : (batch, any, any) tensors
        Places in pixels, from 0 at the centre of the first.

    Returns
    -------
    values : (batch, channels, any, any) tensor, in the type of the places.

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, 4.0]]]])
    >>> sample(image, torch.zeros(1, 1, 3), torch.tensor([[[0.25, 1.0, 1.5]]])).tolist()
    [[[[1.0, 4.0, 2.0]]]]
    """
    rows, cols = image.shape[2:]
    # grid_sample counts from -1 to 1 between the outer edges, and columns before rows
    grid = torch.stack([(2 * at_col + 1) / cols - 1, (2 * at_row + 1) / rows - 1], dim=-1)
    return grid_sample(
        image.to(grid.dtype), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


class DeformableConvolution(nn.Module):
    """:func:`deformable_convolution` with weights to learn, as many channels out as in.

    Weights start evenly between plus and minus one over the root of a window's numbers, the bias
    at zero.

    Parameters
    ----------
    channels : int

    Examples
    --------
    >>> layer = DeformableConvolution(16)
    >>> layer(torch.rand(2, 16, 4, 4), torch.zeros(2, 144, 4, 4), torch.ones(2, 72, 4, 4)).shape
    torch.Size([2, 16, 4, 4])
    """

    def __init__(self, channels):
        super().__init__()
        bound = (TAPS * channels) ** -0.5
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, image, offsets, mask):
        """(batch, channels, rows, cols), for offsets and a mask as the function wants them."""
        return deformable_convolution(image, offsets, mask, self.weight, self.bias)
