r"""Stage 3, DIG: an untrained network draws the image, held by what both sensors saw of it."""

from typing import NamedTuple

import numpy as np
import torch

from hsisr_lite.baselines.inputs import filled
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.fitting import fit, flat_then_linear, torch_device
from hsisr_lite.m2unet.presets import OURS, has_bf16
from hsisr_lite.m2unet.tensors import as_image, as_tensor, unit_of
from hsisr_lite.m2unet.unet import DualUNet, SingleUNet

RATES = {"sigmoid": 4e-3, "residual": 2e-3}
_MARGIN = 0.05  # of the first image's range, beyond it: no pixel starts where the sigmoid is flat
_SMALL = 0.1  # weight of the mean square of what is added to a logit, beside two mean errors
_ROUNDING = 1e-6  # of the LrHSI's largest value: float32 images agree to a tenth of that
_MEAN_OF_SD = np.sqrt(2 / np.pi)  # mean absolute value of Gaussian noise over its deviation


class Drawn(NamedTuple):
    """What stage 3 hands on.

    ``image`` (rows, cols, bands) float32; ``loss`` before each step; ``learned`` counts the
    scalars; ``notes`` says whether noise stopped it.
    """

    image: np.ndarray
    loss: np.ndarray
    learned: int
    notes: list


class Misfit:
    r"""How far an image is from what both sensors saw, and from the LrHSI alone.

    .. math:: \operatorname{mean} \lvert Z - \hat X S^\top \rvert
              + \operatorname{mean} \lvert Y - P \hat X \rvert

    Eq. 16 of [m2unet2024]_ as it is meant: the SRF makes the MSI, the PSF makes the LrHSI. As
    printed, the two operators are exchanged.

    Parameters
    ----------
    pair : ObservedPair
        Pixels without data do not count.
    psf, srf : arrays
    device : torch.device, optional

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> scene = hl.load_scene("synthetic")
    >>> pair = hl.simulate(scene, ratio=4, blind=False)
    >>> bool(Misfit(pair, pair.psf, pair.srf)(as_tensor(scene.cube)) < 1e-5)
    True
    """

    def __init__(self, pair, psf, srf, device="cpu"):
        rows, cols = pair.hr_msi.shape[:2]
        inside = pair.learnable(psf).ravel()
        matrix = SpatialOperator(psf, pair.ratio).matrix(rows, cols, np.float32)[inside].tocoo()
        self.spatial = (
            torch.sparse_coo_tensor(
                np.stack([matrix.row, matrix.col]),
                matrix.data,
                matrix.shape,
                check_invariants=False,
            )
            .coalesce()
            .to(device)
        )
        self.spectral = torch.from_numpy(srf.T).float().to(device)  # (bands, msi_bands)
        flat = lambda image: torch.from_numpy(image.reshape(-1, image.shape[2])).to(device)  # noqa: E731
        self.lr_hsi = flat(pair.lr_hsi)[torch.from_numpy(inside)]  # (low pixels, bands)
        self.hr_msi = flat(pair.hr_msi)  # (pixels, msi_bands)
        self.valid = slice(None)
        if pair.hr_valid is not None:
            self.valid = torch.from_numpy(pair.hr_valid.ravel()).to(device)

    def terms(self, image):
        """Both means, of the HrMSI and of the LrHSI, of an image (1, bands, rows, cols)."""
        pixels = image[0].permute(1, 2, 0).reshape(-1, image.shape[1])  # (pixels, bands)
        # |Z - X S^T|
        spectral = (self.hr_msi - pixels @ self.spectral).abs()[self.valid]
        # |Y - P X|
        spatial = (self.lr_hsi - torch.sparse.mm(self.spatial, pixels)).abs()
        return spectral.mean(), spatial.mean()

    def __call__(self, image):
        """The sum of both."""
        return sum(self.terms(image))


def noise_level(pair, psf):
    r"""The mean of :math:`\lvert Y - P X \rvert` that noise alone leaves, for the true X.

    .. math:: \sqrt{2 / \pi} \, \operatorname{mean}_b \sigma_{Y,b}

    with the noise that the pair tells of, or the estimate from it
    (:func:`~hsisr_lite.degradation.noise.estimate_noise`). An image that comes closer follows the
    noise.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=4, blind=False)
    >>> noise_level(pair, pair.psf)
    0.0
    """
    return float(_MEAN_OF_SD * estimate_noise(pair, psf).hsi.mean())


def expected_change(pair, psf, first):
    r"""How much of each band is still to be found: what the LrHSI holds beyond the first image.

    .. math:: q_b \propto \sqrt{\Bigl[ \operatorname{mean}
              \bigl( Y_b - P X_{\text{input},b} \bigr)^2 - \sigma_{Y,b}^2 \Bigr]_0}

    over the low-resolution pixels with data, the largest 1; the noise is that of
    :func:`noise_level`, and rounding counts as noise. Where these explain all, every band has 1.

    Parameters
    ----------
    pair : ObservedPair
    psf : (k, k) array
    first : (rows, cols, bands) array

    Returns
    -------
    shares : (bands,) float64 array
        From 0 to 1.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> scene = hl.load_scene("synthetic")
    >>> pair = hl.simulate(scene, ratio=4, blind=False)
    >>> first = scene.cube.copy()
    >>> first[..., 3] += 0.2
    >>> first[..., 7] -= 0.1
    >>> expected_change(pair, pair.psf, first).round(2)[[3, 7, 9]]
    array([1. , 0.5, 0. ])
    """
    inside = pair.learnable(psf)
    lr_hsi = pair.lr_hsi[inside].astype(np.float64)  # (low pixels, bands)
    left = lr_hsi - SpatialOperator(psf, pair.ratio).A(first)[inside]
    rounding = _ROUNDING * np.abs(lr_hsi).max()
    # mean (Y - P X_input)^2 - sigma_Y^2
    beyond = np.mean(left**2, axis=0) - estimate_noise(pair, psf).hsi ** 2 - rounding**2
    size = np.sqrt(np.maximum(beyond, 0))
    return size / size.max() if size.max() > 0 else np.ones_like(size)


def draw(pair, sensors, first, run, steps, *, features, form=OURS, watch=None, checkpoint=None):
    r"""Fit a network to the pair until its output explains both images.

    .. math:: \min_\theta \; \operatorname{mean} \lvert Z - \hat X S^\top \rvert
              + \operatorname{mean} \lvert Y - P \hat X \rvert

    Published [m2unet2024]_, :math:`\hat X = \sigma(f_\theta(X_{\text{input}}, Z))`, so the first
    image has to be found again from random weights; as in the published code, an image of noise is
    drawn before them, and never used. Our residual form starts at the first image, for its last
    layer starts at zero:

    .. math:: \hat X = \sigma\bigl( \sigma^{-1}(X_{\text{input}}) + q \odot
              f_\theta(X_{\text{input}}) \bigr)

    in units that map the first image's range, from 0 or its least value to its largest, and 5 %
    more on either side, to 0 and 1; nothing outside can be drawn. It goes at half the published
    rate. Its prior: each band changes in proportion to what the first image leaves of it, q of
    :func:`expected_change` (without the prior 1), and no more than it must, for
    :math:`0.1 \operatorname{mean} (q \odot f_\theta)^2` joins the loss in these units. With noise
    in the pair the fit ends as soon as the LrHSI is explained to its noise level
    (:func:`noise_level`). The result is the image of the last forward pass; no other is looked at.

    Parameters
    ----------
    pair : ObservedPair
    sensors : Sensors
        Of stage 1.
    first : (rows, cols, bands) array
        X_input, of stage 2 or of anything else.
    run : Run
    steps : int
        Published: 14,000.
    features : int
        P, channels of every module; published 260.
    form : Form
        What is done as published and what is not.
    watch : callable, optional
        Called after each step with the number of steps made, from 1, and a function that returns
        the image of the last forward pass.
    checkpoint : str or Path, optional
        See :func:`~hsisr_lite.fitting.fit`.

    Returns
    -------
    drawn : Drawn
    """
    device = torch_device(run)
    low, high = _range(pair, first, form)
    scaled = lambda image: as_tensor((image - low) / (high - low), device)  # noqa: E731
    x, z = scaled(first), scaled(filled(pair.hr_msi, pair.hr_valid))
    bands, msi_bands = x.shape[1], z.shape[1]
    if form.output == "sigmoid":
        torch.rand(x.shape)  # published: drawn and never used, but other weights come after it
    auxiliary = form.gates == "auxiliary"
    net = DualUNet(bands, msi_bands, features) if auxiliary else SingleUNet(bands, features)
    logits, shares, small = 0.0, 1.0, 0.0
    if form.output == "residual":
        logits = torch.logit(x)
        torch.nn.init.zeros_(net.head.weight)
        if form.prior:
            small, shares = _SMALL, expected_change(pair, sensors.psf, first)
            shares = as_tensor(shares[None, None], device)  # (1, bands, 1, 1)
    net = net.to(device)
    if form.channels_last:
        net, x, z = (part.to(memory_format=torch.channels_last) for part in (net, x, z))
    misfit = Misfit(pair, sensors.psf, sensors.srf, device)
    level = noise_level(pair, sensors.psf) if form.stop else 0.0
    bf16 = has_bf16(device) if form.bf16 is None else form.bf16
    last = {}

    def loss():
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            change = shares * net(x, z).float()
        # X = sigma(logit(X_input) + q f(X_input)), in the units of the pair
        last["image"] = low + (high - low) * torch.sigmoid(logits + change)
        spectral, last["spatial"] = misfit.terms(last["image"])
        # mean |Z - X S^T| + mean |Y - P X| + 0.1 mean (q f)^2
        return (spectral + last["spatial"]) / (high - low) + small * change.square().mean()

    history = fit(
        loss, [{"params": net.parameters(), "lr": RATES[form.output]}], steps,
        run=run, text="DIG: drawing the image", schedule=flat_then_linear, fused=form.fused,
        stop=(lambda: last["spatial"].item() <= level) if level else None,
        watch=watch and (lambda made: made and watch(made, lambda: as_image(last["image"]))),
        checkpoint=checkpoint,
    )  # fmt: skip
    notes = []
    if level and last["spatial"].item() <= level:
        notes.append(
            f"DIG ended after {len(history) - 1} of {steps} steps: it explains the LrHSI to its "
            f"noise level, {level:.2g} on average."
        )
    learned = sum(p.numel() for p in net.parameters())
    return Drawn(as_image(last["image"]), (high - low) * history, learned, notes)


def _range(pair, first, form):
    """What becomes 0 and 1: as published 0 and the unit; else the first image's and a margin."""
    if form.output == "sigmoid":
        return 0.0, unit_of(pair)
    low, high = min(0.0, float(first.min())), float(first.max())
    # Of a constant image, wide enough to survive rounding
    margin = _MARGIN * max(high - low, 1e-3 * abs(low), 1e-30)
    return low - margin, high + margin
