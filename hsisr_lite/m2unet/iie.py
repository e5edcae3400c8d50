r"""Stage 2, IIE: a first image, pixel by pixel, from the HrMSI alone.

At low resolution every pixel is known to both sensors; what is learned there, from a few bands to
many, is then applied to every high-resolution pixel. No pixel ever sees its neighbours.
"""

import math
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from hsisr_lite.baselines.inputs import filled
from hsisr_lite.baselines.regression import regression
from hsisr_lite.fitting import fit, flat_then_linear, torch_device
from hsisr_lite.m2unet.tensors import as_image, as_tensor, unit_of

RATE = 4e-3
SLOPE = 0.2  # of every LeakyReLU
_WIDTH, _GROUP = 60, 20  # channels in a CIE module, and in each of its three groups
_AT_ONCE = 65536  # pixels that are mapped together


class FirstImage(NamedTuple):
    """What stage 2 hands on.

    ``image`` (rows, cols, bands) float32, called X_input in the paper; ``before``, the streams'
    image before they learned anything, or the mean spectrum everywhere where a map is solved for;
    ``loss`` at each step; ``learned`` counts the scalars; ``notes`` says what it is.
    """

    image: np.ndarray
    before: np.ndarray
    loss: np.ndarray
    learned: int
    notes: list


class CIE(nn.Module):
    r"""Three groups of channels, each told what the one before it made [m2unet2024]_.

    .. math:: m_1 = f_1(a_1), \quad m_2 = f_2(a_2 + m_1), \quad m_3 = f_3(a_3 + m_2), \qquad
              \text{out} = f_4\bigl( a + [m_1, m_2, m_3] \bigr)

    where :math:`a = f_0(\text{in})` has 60 channels, and each f is a 1 x 1 convolution with a
    LeakyReLU of slope 0.2.

    Parameters
    ----------
    inputs, outputs : int

    Examples
    --------
    >>> CIE(8, 16)(torch.zeros(1, 8, 2, 3)).shape
    torch.Size([1, 16, 2, 3])
    """

    def __init__(self, inputs, outputs):
        super().__init__()
        self.f0 = _layer(inputs, _WIDTH)
        self.f1, self.f2, self.f3 = (_layer(_GROUP, _GROUP) for _ in range(3))
        self.f4 = _layer(_WIDTH, outputs)

    def forward(self, values):
        """(1, outputs, rows, cols) of (1, inputs, rows, cols)."""
        a = self.f0(values)
        a1, a2, a3 = a.split(_GROUP, dim=1)
        m1 = self.f1(a1)
        m2 = self.f2(a2 + m1)
        m3 = self.f3(a3 + m2)
        return self.f4(a + torch.cat([m1, m2, m3], dim=1))


class SMLNet(nn.Module):
    r"""Two streams of one architecture, one for each view of the low-resolution MSI.

    A stream has :math:`n = \lfloor \log_2(\text{bands} / \text{msi\_bands}) \rfloor` CIE modules,
    each of which doubles the channels, and a last 1 x 1 layer to all bands [m2unet2024]_.

    Parameters
    ----------
    bands, msi_bands : int

    Examples
    --------
    >>> sum(p.numel() for p in SMLNet(54, 8).parameters())
    17580
    """

    def __init__(self, bands, msi_bands):
        super().__init__()
        self.stream1, self.stream2 = (_stream(bands, msi_bands) for _ in range(2))

    def forward(self, from_hsi, from_msi):
        """What stream 1 makes of K1, and stream 2 of K2."""
        return self.stream1(from_hsi), self.stream2(from_msi)

    @torch.no_grad()
    def average(self, msi):
        """The mean of what both streams make of one MSI: (1, bands, rows, cols)."""
        return 0.5 * self.stream1(msi) + 0.5 * self.stream2(msi)


def kaiming(module):
    """Start a convolution as published: normal of variance 2 / fan-in, biases zero.

    Examples
    --------
    >>> layer = nn.Conv2d(3, 4, 1).apply(kaiming)
    >>> layer.bias.abs().max().item()
    0.0
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(module.bias)


def learn_spectra(pair, sensors, run, steps, *, fused=False, watch=None, checkpoint=None):
    r"""The first image by SML-Net, trained on the low-resolution pixels.

    .. math:: \min \; \operatorname{mean} \lvert f_1(K_1) - Y \rvert
              + \operatorname{mean} \lvert f_2(K_2) - Y \rvert, \qquad
              X_{\text{input}} = \tfrac12 f_1(Z) + \tfrac12 f_2(Z)

    Published, the images with the best scores against the truth are kept on the way; here the last
    step's are taken [m2unet2024]_.

    Parameters
    ----------
    pair : ObservedPair
    sensors : Sensors
        Of stage 1.
    run : Run
    steps : int
        Published: 4000.
    fused : bool
        See :func:`~hsisr_lite.fitting.fit`.
    watch : callable, optional
        Called with the number of steps made and the network, after each, and with 0 before.
    checkpoint : str or Path, optional
        See :func:`~hsisr_lite.fitting.fit`.

    Returns
    -------
    first : FirstImage
        Slightly negative values are possible, as the last LeakyReLU lets them through.
    """
    device, unit = torch_device(run), unit_of(pair)
    inside = pair.learnable(sensors.psf)
    pixels = lambda image: as_tensor(image[inside][None] / unit, device)  # noqa: E731 (1, b, 1, n)
    k1, k2, y = pixels(sensors.from_hsi), pixels(sensors.from_msi), pixels(pair.lr_hsi)
    net = SMLNet(y.shape[1], k1.shape[1]).to(device)
    z = filled(pair.hr_msi, pair.hr_valid) / unit
    before = unit * _apply(net, z, device)

    def loss():
        y1, y2 = net(k1, k2)
        # mean |f1(K1) - Y| + mean |f2(K2) - Y|
        return (y1 - y).abs().mean() + (y2 - y).abs().mean()

    history = fit(
        loss, [{"params": net.parameters(), "lr": RATE}], steps,
        run=run, text="IIE: learning spectra", schedule=flat_then_linear, fused=fused,
        watch=watch and (lambda made: watch(made, net)), checkpoint=checkpoint,
    )  # fmt: skip
    learned = sum(p.numel() for p in net.parameters())
    note = "First image by SML-Net, the mean of its two streams."
    return FirstImage(unit * _apply(net, z, device), before, unit * history, learned, [note])


def affine_start(pair, sensors, run):
    """The first image by a least-squares affine map, in the place of SML-Net.

    The map is that of :func:`~hsisr_lite.baselines.regression.regression`: learned from the
    low-resolution pixels in closed form, with the ridge that the noise asks for.

    Parameters
    ----------
    pair : ObservedPair
    sensors : Sensors
    run : Run

    Returns
    -------
    first : FirstImage

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> from hsisr_lite.budget import Run
    >>> from hsisr_lite.m2unet.convex import solve_sensors
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=4)
    >>> affine_start(pair, solve_sensors(pair), Run()).notes
    ['First image by an affine regression, not by SML-Net.']
    """
    # What stands where no data were declared must not reach the network of stage 3.
    whole = filled(pair.hr_msi, pair.hr_valid)
    result = regression(replace(pair, psf=sensors.psf, hr_msi=whole), run)
    mean = pair.lr_hsi[pair.learnable(sensors.psf)].mean(axis=0)
    before = np.broadcast_to(mean, result.hr_hsi.shape)
    note = "First image by an affine regression, not by SML-Net."
    return FirstImage(result.hr_hsi, before, np.zeros(0), result.parameters, [note, *result.notes])


def _layer(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.LeakyReLU(SLOPE))


def _stream(bands, msi_bands):
    modules = max(0, math.floor(math.log2(bands / msi_bands)))
    widths = [msi_bands * 2**i for i in range(modules + 1)]
    cies = [CIE(*before_and_after) for before_and_after in pairwise(widths)]
    return nn.Sequential(*cies, _layer(widths[-1], bands)).apply(kaiming)


def _apply(net, hr_msi, device):
    """The network's image (rows, cols, bands), some pixels at a time."""
    rows, cols, msi_bands = hr_msi.shape
    parts = np.array_split(hr_msi.reshape(1, -1, msi_bands), -(-rows * cols // _AT_ONCE), axis=1)
    image = [as_image(net.average(as_tensor(part, device))) for part in parts]
    return np.concatenate(image, axis=1).reshape(rows, cols, -1)  # (rows, cols, bands)
