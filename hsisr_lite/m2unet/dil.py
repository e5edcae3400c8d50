r"""Stage 1, DIL: learn both sensors by asking that they agree about the low-resolution MSI.

Blurring the HrMSI and mixing the LrHSI's bands must give the same image, :math:`P Z = Y S^\top`
[m2unet2024]_. Nothing else is known of a blind pair, and nothing else is asked.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import conv2d

from hsisr_lite.baselines.inputs import filled
from hsisr_lite.fitting import fit, flat_then_linear, torch_device
from hsisr_lite.m2unet.tensors import as_image, as_tensor, unit_of

RATE = 1e-3
_SRF_MOST = 10.0  # published: before its rows are divided by their sums


class Sensors(NamedTuple):
    """What stage 1 hands on.

    ``psf`` (k, k) and ``srf`` (msi_bands, bands) float64; ``from_hsi`` and ``from_msi``
    (rows / ratio, cols / ratio, msi_bands) float32, the two views K1 and K2 of the low-resolution
    MSI; ``loss`` at each step; ``learned`` counts the scalars; ``notes`` says what was unknown.
    """

    psf: np.ndarray
    srf: np.ndarray
    from_hsi: np.ndarray
    from_msi: np.ndarray
    loss: np.ndarray
    learned: int
    notes: list


class DILNet(nn.Module):
    r"""Two layers without a bias: a response per MSI band, and one kernel that all bands share.

    .. math:: K_1 = \Bigl[ \frac{Y S^\top}{S \mathbf 1} \Bigr]_0^1, \qquad
              K_2 = \bigl[ P Z \bigr]_0^1

    where the brackets cut at 0 and 1 [m2unet2024]_. Both start flat: 1 / ratio² and 1 / bands.

    Parameters
    ----------
    bands, msi_bands, ratio : int

    Examples
    --------
    >>> net = DILNet(54, 8, 12)
    >>> sum(p.numel() for p in net.parameters())
    576
    """

    def __init__(self, bands, msi_bands, ratio):
        super().__init__()
        self.ratio = ratio
        self.psf = nn.Parameter(torch.full((1, 1, ratio, ratio), ratio**-2.0))
        self.srf = nn.Parameter(torch.full((msi_bands, bands, 1, 1), 1 / bands))

    def from_hsi(self, lr_hsi):
        """K1 (1, msi_bands, rows, cols) of the LrHSI (1, bands, rows, cols)."""
        # Y S^T / S 1: the published forward divides too, though each step has done so already
        mixed = conv2d(lr_hsi, self.srf) / self.srf.sum(1).reshape(1, -1, 1, 1)  # per MSI band
        return mixed.clamp(0, 1)

    def from_msi(self, hr_msi):
        """K2 (1, msi_bands, rows, cols) of the HrMSI (1, msi_bands, ratio rows, ratio cols)."""
        msi_bands = hr_msi.shape[1]
        kernel = self.psf.expand(msi_bands, -1, -1, -1)
        return conv2d(hr_msi, kernel, stride=self.ratio, groups=msi_bands).clamp(0, 1)

    def forward(self, lr_hsi, hr_msi):
        """Both views of the low-resolution MSI, K1 and K2."""
        return self.from_hsi(lr_hsi), self.from_msi(hr_msi)

    @torch.no_grad()
    def project(self):
        """Cut what is negative, then divide by the sums: not the nearest point of the simplex.

        Where everything is cut, as one step may do to a large flat kernel, it is flat again;
        published, it is 0 / 0.
        """
        _to_shares(self.psf.clamp_(0, 1), dims=(2, 3))
        _to_shares(self.srf.clamp_(0, _SRF_MOST), dims=(1,))


def _to_shares(values, dims):
    """Divide by the sums over ``dims``, in place; equal shares where the sum is zero."""
    total = values.sum(dims, keepdim=True)
    values.add_((total == 0).to(values))
    values.div_(values.sum(dims, keepdim=True))


def learn_sensors(pair, run, steps, *, watch=None, checkpoint=None):
    r"""Learn PSF and SRF as published, by Adam on the sum of all disagreements.

    .. math:: \min_{h, S} \sum \lvert K_1 - K_2 \rvert

    Parameters
    ----------
    pair : ObservedPair
        A PSF or an SRF that it knows is kept as it is. Pixels without data do not count.
    run : Run
    steps : int
        Published: 6000.
    watch : callable, optional
        Called with the number of steps made and the network, after each, and with 0 before.
    checkpoint : str or Path, optional
        See :func:`~hsisr_lite.fitting.fit`.

    Returns
    -------
    sensors : Sensors

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> from hsisr_lite.budget import Run
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=4)
    >>> sensors = learn_sensors(pair, Run(), steps=2)
    >>> sensors.psf.shape, sensors.learned == 4 * 4 + pair.hr_msi.shape[2] * pair.lr_hsi.shape[2]
    ((4, 4), True)
    """
    device, unit = torch_device(run), unit_of(pair)
    inside = torch.from_numpy(_valid(pair)).to(device)
    lr_hsi = as_tensor(pair.lr_hsi / unit, device)
    hr_msi = as_tensor(filled(pair.hr_msi, pair.hr_valid) / unit, device)
    net = DILNet(lr_hsi.shape[1], hr_msi.shape[1], pair.ratio).to(device)
    known_low = None
    if pair.srf is not None:
        net.srf.data = torch.from_numpy(pair.srf)[:, :, None, None].float().to(device)
    if pair.psf is not None:  # of any size: its view of the MSI does not change
        known_low = as_tensor(pair.low_msi() / unit, device).clamp(0, 1)
    learned = [net.psf] * (pair.psf is None) + [net.srf] * (pair.srf is None)
    views = []

    def loss():
        low = net.from_msi(hr_msi) if known_low is None else known_low
        views[:] = net.from_hsi(lr_hsi), low
        # sum |K1 - K2|
        return ((views[0] - views[1]).abs() * inside).sum()

    if learned:
        history = fit(
            loss, [{"params": learned, "lr": RATE}], steps,
            run=run, text="DIL: learning PSF and SRF", schedule=flat_then_linear,
            project=net.project,
            watch=watch and (lambda made: watch(made, net)), checkpoint=checkpoint,
        )  # fmt: skip
    else:
        history = np.array([loss().item()])  # of two known sensors
    psf, srf = (p.detach().double().cpu().numpy() for p in (net.psf[0, 0], net.srf[:, :, 0, 0]))
    return Sensors(
        psf / psf.sum() if pair.psf is None else pair.psf,
        srf / srf.sum(axis=1, keepdims=True) if pair.srf is None else pair.srf,
        *(unit * as_image(view) for view in views),
        unit * history,
        sum(p.numel() for p in learned),
        [
            f"{name} unknown: learned by DIL-Net from a flat start."
            for name, known in (("PSF", pair.psf), ("SRF", pair.srf))
            if known is None
        ],
    )


def _valid(pair):
    """The low-resolution pixels that both images tell of, under the pixel's own block."""
    block = np.full((pair.ratio, pair.ratio), pair.ratio**-2.0)
    return pair.learnable(block if pair.psf is None else pair.psf)
