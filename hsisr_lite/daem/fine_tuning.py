r"""Partial fine-tuning: a network trained on other scenes, of which only the decoder learns on.

The encoder stays, so the abundances of the low-resolution pixels are computed once. There are
``ratio`` squared times fewer of them than pixels in the fused image, and a step of the decoder
costs that much less [daem2023]_.
"""

import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run
from hsisr_lite.daem.losses import phi_loss
from hsisr_lite.daem.phi import build, learn_phi
from hsisr_lite.daem.theta import learn_theta
from hsisr_lite.fitting import fit, load_tensors, save_tensors, seeded, torch_device


def train_on_scenes(pairs, path, *, form="free", channels=None, steps=4000, budget=None, seed=0,
                    device="auto", progress=True):  # fmt: skip
    """Train one autoencoder on the low-resolution pixels of several scenes, and keep its weights.

    Parameters
    ----------
    pairs : sequence of ObservedPair
        Of the same two sensors. What one does not know of PSF and SRF is learned first.
    path : str or Path
        The file that is written; ``hl.fuse(pair, "daem", weights=path)`` starts from it.
    form, channels
        See :func:`~hsisr_lite.daem.phi.build`.
    steps : int
    budget, seed, device, progress
        See :func:`~hsisr_lite.methods.fuse`.

    Returns
    -------
    history : (steps,) array
        The loss.

    Raises
    ------
    InputError
        No pairs, or pairs with different numbers of bands.

    Examples
    --------
    >>> import hsisr_lite as hl, tempfile
    >>> pairs = [hl.simulate(hl.load_scene("synthetic"), blind=False)]
    >>> path = tempfile.mkdtemp() + "/weights.pt"
    >>> history = train_on_scenes(pairs, path, steps=20, progress=False)
    >>> hl.fuse(pairs[0], "daem", weights=path, steps=20, progress=False).hr_hsi.shape[:2]
    (96, 96)
    """
    pairs = list(pairs)
    shapes = sorted({(pair.hr_msi.shape[2], pair.lr_hsi.shape[2]) for pair in pairs})
    if len(shapes) != 1:
        raise InputError(
            f"the pairs have {shapes} MSI and HSI bands: one and the same two numbers are needed; "
            "give at least one pair, all of the same sensors."
        )
    run = Run.resolve(budget=budget, seed=seed, device=device, progress=progress)
    place = torch_device(run)
    with seeded(run):
        learned = [low_pixels(pair, learn_theta(pair, run).psf, place) for pair in pairs]
        msi, hsi = (torch.cat(parts) for parts in zip(*learned, strict=True))
        network = build(msi, hsi, form=form, channels=channels, seed=run.seed)
        history = learn_phi(network, msi, hsi, steps, run=run)
    weights = {name: value.cpu() for name, value in network.state_dict().items()}
    channels = network.encoder.layers[-1].out_features
    save_tensors({"form": form, "channels": channels, "weights": weights}, path)
    return history


def load_network(path, msi_bands, bands):
    """The autoencoder that :func:`train_on_scenes` wrote.

    Raises
    ------
    InputError
        A file of something else, or of a network for other sensors.
    """
    content = load_tensors(path)
    try:
        weights = content["weights"]
        found = tuple(int(weights[f"{name}_units"].shape[1]) for name in ("msi", "hsi"))
        network = build(
            torch.rand(4, found[0]), torch.rand(4, found[1]),
            form=content["form"], channels=content["channels"],
        )  # fmt: skip
        network.load_state_dict(weights)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, InputError) as error:
        raise InputError(
            f"{path} holds no DAEM network ({type(error).__name__}): a file written by "
            "train_on_scenes is needed; make one."
        ) from error
    if found != (msi_bands, bands):
        raise InputError(
            f"{path} is for {found[0]} MSI and {found[1]} HSI bands: {msi_bands} and {bands} are "
            "needed by this pair; train on scenes of the same sensors."
        )
    return network


def fine_tune_decoder(network, msi, hsi, steps, *, run, rate=1e-3):
    r"""Train the decoder alone, on the abundances of the low-resolution pixels.

    .. math:: \min_{\varphi_e} \tfrac12 \lVert D_{\varphi_e}(A) - Y \rVert_1, \qquad
              A = E_{\varphi_a}(P Z) \ \text{fixed}

    [daem2023]_.

    Parameters
    ----------
    network : Autoencoder
        Its decoder is trained in place.
    msi, hsi : (pixels, msi_bands) and (pixels, bands) tensors
        P Z and Y.
    steps : int
    run : Run
    rate : float
        Adam's first rate.

    Returns
    -------
    history : (steps,) array
    """
    with torch.no_grad():
        abundances = network.abundances(msi)
    scale = network.hsi_units[1]
    loss = lambda: phi_loss(network.spectra(abundances, sample=True) / scale, hsi / scale)  # noqa: E731
    groups = [{"params": network.decoder.parameters(), "lr": rate}]
    return fit(loss, groups, steps, run=run, text="fine-tuning the decoder")


def low_pixels(pair, psf, device):
    """The low-resolution pixels that both images hold: P Z and Y as tensors of rows."""
    inside = pair.learnable(psf)
    images = pair.low_msi(psf), pair.lr_hsi
    return [torch.from_numpy(image[inside]).float().to(device) for image in images]
