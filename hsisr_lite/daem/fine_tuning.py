r"""Partial fine-tuning: a network trained on other scenes, of which only the decoder learns on.

The encoder stays, so the abundances of the low-resolution pixels are computed once. There are
``ratio`` squared times fewer of them than pixels in the fused image, and a step of the decoder
costs that much less [daem2023]_.
"""

import numpy as np
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run
from hsisr_lite.daem.losses import phi_loss
from hsisr_lite.daem.phi import BATCH, as_channels, build, learn_phi
from hsisr_lite.daem.presets import PRESETS
from hsisr_lite.daem.theta import learn_theta
from hsisr_lite.degradation.pair import ObservedPair
from hsisr_lite.fitting import as_steps, fit, seeded, torch_device
from hsisr_lite.tensor_files import as_writable, load_tensors, save_tensors

_RATE = 1e-3


def train_on_scenes(pairs, path, *, form="free", channels=None, steps=None, budget=None, seed=0,
                    device="auto", progress=True):  # fmt: skip
    """Train one autoencoder on the low-resolution pixels of several scenes, and keep its weights.

    Parameters
    ----------
    pairs : sequence of ObservedPair
        Of the same two sensors. What one does not know of PSF and SRF is learned first; noise is
        left as it is.
    path : str or Path
        The file that is written; ``hl.fuse(pair, "daem", weights=path)`` starts from it.
    form, channels
        See :func:`~hsisr_lite.daem.phi.build`.
    steps : int, optional
        Default the budget's, as in :func:`~hsisr_lite.daem.method.daem`.
    budget, seed, device, progress
        See :func:`~hsisr_lite.methods.fuse`.

    Returns
    -------
    history : (steps,) array
        The loss.

    Raises
    ------
    InputError
        No pairs, pairs of different bands, a wrong setting, or a path that cannot be written.

    Examples
    --------
    >>> import hsisr_lite as hl, tempfile
    >>> pairs = [hl.simulate(hl.load_scene("synthetic"), blind=False)]
    >>> path = tempfile.mkdtemp() + "/weights.pt"
    >>> history = train_on_scenes(pairs, path, steps=20, progress=False)
    >>> hl.fuse(pairs[0], "daem", weights=path, steps=20, progress=False).hr_hsi.shape[:2]
    (96, 96)
    """
    pairs = [pairs] if isinstance(pairs, ObservedPair) else list(pairs or [])
    for pair in pairs:
        if not isinstance(pair, ObservedPair):
            raise InputError(
                f"the pairs hold a {type(pair).__name__}: each must be an ObservedPair; make them "
                "with hl.simulate or hl.load_pair."
            )
    shapes = sorted({(pair.hr_msi.shape[2], pair.lr_hsi.shape[2]) for pair in pairs})
    if len(shapes) != 1:
        raise InputError(
            f"the pairs have {shapes} MSI and HSI bands: one and the same two numbers are needed; "
            "give at least one pair, all of the same sensors."
        )
    run = Run.resolve(budget=budget, seed=seed, device=device, progress=progress)
    path, channels = as_writable(path), as_channels(form, channels)
    steps = as_steps(PRESETS[run.budget].steps if steps is None else steps)
    place = torch_device(run)
    for pair in pairs[1:]:
        _check_wavelengths(pair.wavelengths, pairs[0], "a pair")
    with seeded(run, numbers=BATCH * shapes[0][1]):
        learned = [low_pixels(pair, learn_theta(pair, run).psf, place) for pair in pairs]
        msi, hsi = (torch.cat(parts) for parts in zip(*learned, strict=True))
        for one, _ in learned:
            check_units(one, msi.mean(0)[None], "the mean of all pairs")
        network = build(msi, hsi, form=form, channels=channels, seed=run.seed)
        history = learn_phi(network, msi, hsi, steps, run=run)
    weights = {name: value.cpu() for name, value in network.state_dict().items()}
    wavelengths = torch.from_numpy(pairs[0].wavelengths)
    content = {
        "form": str(form),
        "channels": channels,
        "wavelengths": wavelengths,
        "weights": weights,
    }
    save_tensors(content, path)
    return history


def load_network(path, pair):
    """The autoencoder that :func:`train_on_scenes` wrote, for the sensors of a pair.

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
        wavelengths = content["wavelengths"].numpy()
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, InputError) as error:
        raise InputError(
            f"{path} holds no DAEM network ({type(error).__name__}): a file written by "
            "train_on_scenes is needed; make one."
        ) from error
    wanted = pair.hr_msi.shape[2], pair.lr_hsi.shape[2]
    if found != wanted:
        raise InputError(
            f"{path} is for {found[0]} MSI and {found[1]} HSI bands: {wanted[0]} and {wanted[1]} "
            "are needed by this pair; train on scenes of the same sensors."
        )
    _check_wavelengths(wavelengths, pair, path)
    return network


def _check_wavelengths(wavelengths, pair, name):
    """Bands of the same number and other colours would be fused without a sound."""
    apart = np.median(np.diff(pair.wavelengths)) if len(pair.wavelengths) > 1 else np.inf
    if np.abs(wavelengths - pair.wavelengths).max() > apart / 2:
        raise InputError(
            f"{name} has bands from {wavelengths[0]:.0f} to {wavelengths[-1]:.0f} nm: "
            f"{pair.wavelengths[0]:.0f} to {pair.wavelengths[-1]:.0f} nm, each within half a band, "
            "are needed by this pair; train on scenes of the same sensors."
        )


def check_units(msi, units, name):
    """Images in other units, say a thousandfold, would be fused without a sound.

    Parameters
    ----------
    msi : (pixels, msi_bands) tensor
    units : (n, msi_bands) tensor
        The first row holds the means that the network was trained with.
    name : str or Path

    Raises
    ------
    InputError
        The mean of the MSI is more than ten times that mean, or less than a tenth of it.
    """
    here, there = msi.mean().item(), units[0].mean().item()
    if there > 0 and not 0.1 <= here / there <= 10:
        raise InputError(
            f"an MSI has the mean {here:.3g}, and {name} has {there:.3g}: the same units are "
            "needed, near 0 to 1; divide both images of each pair by the same number."
        )


def fine_tune_decoder(network, msi, hsi, steps, *, run, constant=False, checkpoint=None):
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
    constant : bool
        Keep Adam's rate at 1e-3, as published, instead of the cosine schedule.
    checkpoint : str or Path, optional
        See :func:`~hsisr_lite.fitting.fit`.

    Returns
    -------
    history : (steps,) array
    """
    with torch.no_grad():
        abundances = network.abundances(msi)
    scale = network.hsi_units[1]

    def loss():
        a, y = abundances, hsi
        if len(hsi) > BATCH:
            chosen = torch.randint(len(hsi), (BATCH,), device=hsi.device)
            a, y = abundances[chosen], hsi[chosen]
        return phi_loss(network.spectra(a, sample=True) / scale, y / scale)

    groups = [{"params": network.decoder.parameters(), "lr": _RATE, "constant": constant}]
    text = "fine-tuning the decoder"
    return fit(loss, groups, steps, run=run, text=text, checkpoint=checkpoint)


def low_pixels(pair, psf, device):
    """The low-resolution pixels that both images hold: P Z and Y as tensors of rows."""
    inside = pair.learnable(psf)
    images = pair.low_msi(psf), pair.lr_hsi
    return [torch.from_numpy(image[inside]).float().to(device) for image in images]
