r"""Zero-shot training: a UAFL for one scene, learned from synthetic crops of its own spectra.

The published network needs a collection of scenes whose high-resolution images are known. Here
nothing is known but the pair. What the unmixing needs is fixed once per scene, and not anew for
every crop: endmembers, and the mean and spread of abundances and reference.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.flows import inverse_flow
from hsisr_lite.fitting import fit, torch_device
from hsisr_lite.tensor_files import as_writable, load_tensors, save_tensors
from hsisr_lite.uafl.correlation import CorrelationCFDA
from hsisr_lite.uafl.network import UAFL, padded
from hsisr_lite.uafl.weights import load_weights
from hsisr_lite.unmixing.subspace import svd_subspace

_RATE, _MOMENTA = 4e-3, (0.9, 0.99)
_WARM = 50  # steps in which the rate rises


class SceneUAFL(nn.Module):
    r"""A UAFL and what it knows of its scene.

    .. math:: \hat X = x + \bigl( d \odot \operatorname{net}\bigl( (x E_K^\top - m) / d,\;
              (r - m_r) / d_r \bigr) \bigr) E_K

    with the mean m and the deviation d of the abundances of the LrHSI, and those of the reference.
    It begins by adding nothing.

    Parameters
    ----------
    network : UAFL
    endmembers : (K, bands) array
    abundances, reference : two arrays each
        Mean and deviation, (K,) and (msi_bands,).

    Examples
    --------
    >>> unit = np.zeros(3), np.ones(3)
    >>> scene = SceneUAFL(UAFL(width=8, blocks=(1, 1)), np.eye(3, 5), unit, unit)
    >>> image = torch.rand(1, 5, 16, 16)
    >>> torch.equal(scene(image, torch.rand(1, 3, 16, 16)), image)
    True
    """

    def __init__(self, network, endmembers, abundances, reference):
        super().__init__()
        self.network = network
        nn.init.zeros_(network.head.weight)
        of_channel = (1, -1, 1, 1)
        (mean, deviation), (reference_mean, reference_deviation) = abundances, reference
        for name, values, shape in (
            ("endmembers", endmembers, (1, *np.shape(endmembers))),
            ("mean", mean, of_channel),
            ("deviation", deviation, of_channel),
            ("reference_mean", reference_mean, of_channel),
            ("reference_deviation", reference_deviation, of_channel),
        ):
            tensor = torch.as_tensor(np.asarray(values), dtype=torch.float32)
            self.register_buffer(name, tensor.reshape(shape))  # (1, K, bands) or (1, c, 1, 1)

    def standard(self, abundances, reference):
        """Both as the network is given them: of mean 0 and deviation 1 over the scene."""
        return (
            (abundances - self.mean) / self.deviation,
            (reference - self.reference_mean) / self.reference_deviation,
        )

    def change(self, abundances, reference):
        """What is added to abundances (batch, K, rows, cols), given the reference."""
        return self.deviation * self.network.refine(*self.standard(abundances, reference))

    def forward(self, image, reference):
        """The fused images: (batch, bands, rows, cols) and (batch, msi_bands, rows, cols)."""
        e = self.endmembers[0]
        abundances = torch.einsum("kb,nbij->nkij", e, image)
        return image + torch.einsum("kb,nkij->nbij", e, self.change(abundances, reference))


def warm_cosine(step, steps):
    r"""The share of the learning rate that a step takes: a line up, then half a wave down to 0.

    .. math:: \eta_t = \eta_0 \min\bigl(1, \tfrac{t + 1}{50}\bigr)
              \, \tfrac12 \bigl( 1 + \cos(\pi t / T) \bigr)

    Examples
    --------
    >>> warm_cosine(0, 600), round(warm_cosine(300, 600), 12), round(warm_cosine(600, 600), 12)
    (0.02, 0.5, 0.0)
    """
    return min(1, (step + 1) / _WARM) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def learn(scene, crops, steps, run, *, bf16=False, checkpoint=None):
    r"""Train on a new synthetic crop in every step.

    .. math:: \mathcal L = \frac{\lVert \hat A E_K - (X - x) \rVert_1}{\lVert X - x \rVert_1}

    by Adam at a rate of 0.004 [kingma2015]_: dividing by the first image's own error makes easy and
    hard crops count alike. The published training decays the weights; here no crop is seen twice,
    so none is learned by heart. An alignment with a volume learns its flow beside that, from the
    crop's known one and from that of a crop of the scene itself
    (:meth:`~hsisr_lite.uafl.correlation.CorrelationCFDA.matching_loss`).

    Parameters
    ----------
    scene : SceneUAFL
        Learns in place.
    crops : Crops
    steps : int
    run : Run
    bf16 : bool
        Multiply in bfloat16 where torch's autocast does.
    checkpoint : str or Path, optional
        See :func:`~hsisr_lite.fitting.fit`.

    Returns
    -------
    loss : (steps,) array

    Raises
    ------
    InputError
        The network's numbers grew beyond all bounds.
    """
    device = torch_device(run)
    scene.to(device).train()
    matches = isinstance(scene.network.align[0], CorrelationCFDA)

    def tensor(image):
        return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].to(device)

    def image_loss(crop):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            change = scene.change(tensor(crop.abundances), tensor(crop.reference)).float()
        missing = tensor(crop.missing)
        e = torch.from_numpy(crop.endmembers).to(device)
        made = torch.einsum("kb,nkij->nbij", e, change)
        # |A E - (X - x)| / |X - x|
        return (made - missing).abs().mean() / missing.abs().mean().clamp(min=1e-12)

    def matching_loss(crop):
        network = scene.network
        inputs = scene.standard(tensor(crop.abundances), tensor(crop.reference))
        with torch.no_grad():
            levels = [network.embedded(*inputs)]
            if len(network.align) > 1:
                levels = [(level.features, level.reference) for level in network.levels(*inputs)]
        # Right and down, as networks have it
        flow = tensor(np.moveaxis(inverse_flow(crop.flow)[::-1], 0, 2).astype(np.float32))
        flow, total = padded(flow, network.step), 0
        for align, (f, g) in zip(network.align, levels, strict=False):  # the deepest aligns nothing
            total = total + align.matching_loss(g, f, flow)
            flow = avg_pool2d(flow, 2) / 2
        return total

    def loss():
        # From torch's generator, whose state the checkpoint keeps
        rng = np.random.default_rng(int(torch.randint(2**62, (1,))))
        crop = crops.draw(rng)
        total = image_loss(crop)
        if matches:
            total = total + matching_loss(crop) + matching_loss(crops.draw_scene(rng))
        return total

    groups = [{"params": scene.network.parameters(), "lr": _RATE, "betas": _MOMENTA}]
    history = fit(
        loss, groups, steps, run=run, text="UAFL", schedule=warm_cosine, checkpoint=checkpoint
    )
    if not (np.isfinite(history).all() and all(p.isfinite().all() for p in scene.parameters())):
        raise InputError(
            f"UAFL's training gave a loss of {history[-1]:.3g} and weights beyond all bounds: data "
            "of the order of 1 are needed; scale both images, or leave out what is no data."
        )
    scene.eval()
    return history


def save_scene(scene, path, belongs=None):
    """Write a trained network with what it knows of its scene.

    Parameters
    ----------
    scene : SceneUAFL
    path : str or Path
    belongs : dict of plain values, optional
        See :func:`~hsisr_lite.uafl.kept.belonging`.

    Examples
    --------
    >>> import tempfile
    >>> unit = np.zeros(3), np.ones(3)
    >>> path = tempfile.mkdtemp() + "/scene.pt"
    >>> save_scene(SceneUAFL(UAFL(width=8, blocks=(1, 1)), np.eye(3, 5), unit, unit), path)
    >>> load_scene_weights(path).endmembers.shape
    torch.Size([1, 3, 5])
    """
    weights = {name: values.cpu() for name, values in scene.state_dict().items()}
    content = {"arguments": scene.network.arguments, "scene": weights, "belongs": belongs}
    save_tensors(content, as_writable(path))


def load_scene_weights(path, image=None):
    """The network of a file, on the CPU, ready to fuse.

    Parameters
    ----------
    path : str or Path
        Written by :func:`save_scene`; or by :func:`~hsisr_lite.uafl.weights.save_weights`, after
        training on other scenes.
    image : (rows, cols, bands) array, optional
        The enlarged LrHSI, from which a network of other scenes takes what it needs: its range is
        mapped to 0 and 1, as in that training, and its endmembers are those of this image.

    Returns
    -------
    scene : SceneUAFL

    Raises
    ------
    InputError
        No such file, or one that holds something else; a network of other scenes without an image,
        or one that does not unmix.
    """
    content = load_tensors(path)
    if image is not None and isinstance(content, dict) and "weights" in content:
        return _of_other_scenes(load_weights(path), image, path)
    try:
        weights = content["scene"]
        known = ("mean", "deviation"), ("reference_mean", "reference_deviation")
        units = ([weights[name].flatten().numpy() for name in pair] for pair in known)
        scene = SceneUAFL(UAFL(**content["arguments"]), weights["endmembers"][0].numpy(), *units)
        scene.load_state_dict(weights)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} holds no network of one scene ({type(error).__name__}): a file that "
            "save_scene has written is needed; name another or train again."
        ) from error
    return scene.eval()


def _of_other_scenes(network, image, path):
    """x' = (x - low) / (high - low) is what such a network knows, of both images."""
    if network.arguments["bands"] is not None:
        raise InputError(
            f"{path} holds a network that does not unmix: one with endmembers is needed to fuse "
            "a pair; train with bands=None."
        )
    low, high = image.min(), image.max()
    span = (high - low) or 1.0
    basis = svd_subspace((image - low) / span, network.arguments["endmembers"]).basis
    # x' E = (x E - low 1 E) / span, and the same for the reference, whose SRF sums to one
    abundances = low * basis.sum(axis=1), np.full(len(basis), span)
    msi_bands = network.arguments["msi_bands"]
    weights = {name: values.clone() for name, values in network.state_dict().items()}
    scene = SceneUAFL(network, basis, abundances, (np.full(msi_bands, v) for v in (low, span)))
    network.load_state_dict(weights)
    return scene.eval()
