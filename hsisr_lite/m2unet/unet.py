r"""The networks of stage 3: the Dual U-Net as it is wired in the published code, and one U-Net.

Nothing trains them but the one pair that they are fitted to; what they can draw easily, and what
only with effort, is the prior.
"""

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from hsisr_lite.m2unet.iie import SLOPE, kaiming

_SKIPPED = 2  # channels that a skip connection carries


class CAG(nn.Module):
    r"""One module of the Dual U-Net: both paths go on, and the auxiliary one gates the other.

    .. math:: z' = g(z), \qquad x' = \sigma\bigl( W_2 [ W_1 \operatorname{mean}(z') + b_1 ]_0
              + b_2 \bigr) \cdot f(x)

    where the bracket cuts at 0. f and g are 5 x 5 convolutions with batch normalisation and
    LeakyReLU. The gate has one number per channel and none per pixel: the mean goes over the whole
    image. The paper draws an attention map, its code computes this [m2unet2024]_.

    Parameters
    ----------
    x_channels, z_channels, features : int

    Examples
    --------
    >>> x, z = CAG(54, 8, 10)(torch.rand(1, 54, 4, 4), torch.rand(1, 8, 4, 4))
    >>> x.shape == z.shape
    True
    """

    def __init__(self, x_channels, z_channels, features):
        super().__init__()
        self.x = block(x_channels, features)
        self.z = block(z_channels, features)
        narrow = max(1, features // 5)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(features, narrow, 1),
            nn.ReLU(),
            nn.Conv2d(narrow, features, 1),
            nn.Sigmoid(),
        )

    def forward(self, x, z):
        """x' and z', both (1, features, rows, cols)."""
        z = self.z(z)
        return self.gate(z) * self.x(x), z


class DualUNet(nn.Module):
    r"""The main U-Net, on the first image, and the auxiliary one, on the HrMSI, as published.

    Five CAG modules at full, half, quarter, half and full size; averages go down, bilinear
    enlargement comes up, and four skip connections carry 2 channels each [m2unet2024]_. Batch
    normalisation always uses the statistics of the one image. The auxiliary path reaches the main
    one through the gates alone.

    Parameters
    ----------
    bands, msi_bands, features : int
        Of the image, of the HrMSI, and P, the channels of every module.

    Examples
    --------
    >>> sum(p.numel() for p in DualUNet(54, 8, 16).parameters())
    81325
    """

    def __init__(self, bands, msi_bands, features):
        super().__init__()
        p = features
        inputs = [(bands, msi_bands), (p, p), (p, p), (p + _SKIPPED,) * 2, (p + _SKIPPED,) * 2]
        self.cag = nn.ModuleList(CAG(*channels, p) for channels in inputs)
        self.skip_x = nn.ModuleList(block(p, _SKIPPED, 1) for _ in range(2))  # from full, from half
        self.skip_z = nn.ModuleList(block(p, _SKIPPED, 1) for _ in range(2))
        self.head = nn.Conv2d(p, bands, 1)
        self.apply(kaiming).apply(_spread)

    def forward(self, x, z):
        """What the sigmoid is taken of, (1, bands, rows, cols), for the first image and the HrMSI.

        Parameters
        ----------
        x, z : (1, bands, rows, cols) and (1, msi_bands, rows, cols) tensors
        """
        full, half, quarter = sizes(x)
        x1, z1 = self.cag[0](x, z)
        x3, z3 = self.cag[1](adaptive_avg_pool2d(x1, half), adaptive_avg_pool2d(z1, half))
        x5, z5 = self.cag[2](adaptive_avg_pool2d(x3, quarter), adaptive_avg_pool2d(z3, quarter))
        x7, z7 = self.cag[3](
            _joined(self.skip_x[1](x3), x5, half), _joined(self.skip_z[1](z3), z5, half)
        )
        x9, _ = self.cag[4](
            _joined(self.skip_x[0](x1), x7, full), _joined(self.skip_z[0](z1), z7, full)
        )
        return self.head(x9)


class SingleUNet(nn.Module):
    r"""The main U-Net alone, with five learned vectors of gates in the auxiliary one's place.

    .. math:: x' = \sigma(v) \cdot f(x)

    On one pair a gate of :class:`CAG` is a constant, so this network draws every image that the
    Dual U-Net can draw, and no other.

    Parameters
    ----------
    bands, features : int

    Examples
    --------
    >>> SingleUNet(54, 10)(torch.rand(1, 54, 4, 4)).shape
    torch.Size([1, 54, 4, 4])
    """

    def __init__(self, bands, features):
        super().__init__()
        p = features
        inputs = [bands, p, p, p + _SKIPPED, p + _SKIPPED]
        self.x = nn.ModuleList(block(channels, p) for channels in inputs)
        self.gate = nn.ParameterList(torch.zeros(1, p, 1, 1) for _ in inputs)
        self.skip_x = nn.ModuleList(block(p, _SKIPPED, 1) for _ in range(2))
        self.head = nn.Conv2d(p, bands, 1)
        self.apply(kaiming).apply(_spread)

    def forward(self, x, z=None):
        """What the sigmoid is taken of; the HrMSI is not looked at."""
        full, half, quarter = sizes(x)
        x1 = self._gated(0, x)
        x3 = self._gated(1, adaptive_avg_pool2d(x1, half))
        x5 = self._gated(2, adaptive_avg_pool2d(x3, quarter))
        x7 = self._gated(3, _joined(self.skip_x[1](x3), x5, half))
        x9 = self._gated(4, _joined(self.skip_x[0](x1), x7, full))
        return self.head(x9)

    def _gated(self, module, x):
        return torch.sigmoid(self.gate[module]) * self.x[module](x)


@torch.no_grad()
def fold(dual, x, z):
    r"""One U-Net without any gate that gives what a Dual U-Net gives on one pair.

    .. math:: a\, \operatorname{LeakyReLU}(w \hat x + b)
              = \operatorname{LeakyReLU}(a w\, \hat x + a b), \qquad a > 0

    On one pair the gates a are constants, and positive: they go into the affine part of the batch
    normalisation before them. The auxiliary U-Net is then deleted.

    Parameters
    ----------
    dual : DualUNet
    x, z : (1, bands, rows, cols) and (1, msi_bands, rows, cols) tensors
        The pair's first image and HrMSI; for others the folded network is not the same.

    Returns
    -------
    single : SingleUNet
        Its gates are fixed at one.

    Examples
    --------
    >>> dual, x, z = DualUNet(6, 2, 10), torch.rand(1, 6, 8, 8), torch.rand(1, 2, 8, 8)
    >>> single = fold(dual, x, z)
    >>> with torch.no_grad():
    ...     bool((single(x) - dual(x, z)).abs().max() < 1e-4)
    True
    """
    gates = []
    watching = [
        cag.gate.register_forward_hook(lambda module, seen, gate: gates.append(gate))
        for cag in dual.cag
    ]
    dual(x, z)
    for hook in watching:
        hook.remove()
    single = SingleUNet(dual.head.out_channels, dual.head.in_channels).to(dual.head.weight)
    for own, cag, gate in zip(single.x, dual.cag, gates, strict=True):
        own.load_state_dict(cag.x.state_dict())
        own[1].weight *= gate.flatten()
        own[1].bias *= gate.flatten()
    single.skip_x.load_state_dict(dual.skip_x.state_dict())
    single.head.load_state_dict(dual.head.state_dict())
    for vector in single.gate:
        vector.fill_(torch.inf)  # the sigmoid of infinity is one
        vector.requires_grad_(False)
    return single


def block(inputs, outputs, size=5):
    """A convolution, batch normalisation by the image's own statistics, and LeakyReLU.

    Examples
    --------
    >>> block(3, 4)(torch.rand(1, 3, 8, 8)).shape
    torch.Size([1, 4, 8, 8])
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2),
        nn.BatchNorm2d(outputs, track_running_stats=False),
        nn.LeakyReLU(SLOPE),
    )


def sizes(image):
    """Full, half and quarter (rows, cols); two pixels at least, for one has no spread.

    Examples
    --------
    >>> sizes(torch.zeros(1, 1, 10, 4))
    ((10, 4), (5, 2), (2, 2))
    """
    rows, cols = image.shape[2:]
    smaller = lambda by: (max(2, rows // by), max(2, cols // by))  # noqa: E731
    return (rows, cols), smaller(2), smaller(4)


def _joined(skipped, below, size):
    """The skipped channels first, then what comes up, enlarged."""
    above = interpolate(below, size=size, mode="bilinear", align_corners=False)
    return torch.cat([skipped, above], dim=1)


def _spread(module):
    """Start batch normalisation as published: scales near one, shifts zero."""
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)
        nn.init.zeros_(module.bias)
