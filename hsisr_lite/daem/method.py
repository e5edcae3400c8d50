"""DAEM as two fusion methods: our recipe, and the published one."""

import numpy as np
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.inputs import filled
from hsisr_lite.daem.degradations import as_arrays
from hsisr_lite.daem.fine_tuning import (
    check_units,
    fine_tune_decoder,
    load_network,
    low_pixels,
)
from hsisr_lite.daem.phi import BATCH, apply, as_channels, build, channel_spectra, learn_phi
from hsisr_lite.daem.presets import PRESETS
from hsisr_lite.daem.published import PublishedModel, learn_published
from hsisr_lite.daem.theta import learn_theta
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.degradation.windows import windows
from hsisr_lite.fitting import as_steps, seeded, torch_device
from hsisr_lite.results import FusionResult

_FEW = 16  # low-resolution pixels: fewer than channels teach a network nothing that lasts
_DECODER_STEPS = 190  # after the published alternation, on the decoder alone


def daem(pair, run, *, form="free", channels=None, steps=None, size=None, centre="learned",
         weights=None, checkpoint=None):  # fmt: skip
    r"""DAEM: theta first, from the cross-consistency of the pair; then phi, the autoencoder.

    .. math:: \hat\theta = \arg\min_\theta \lVert Y S_\theta^\top - P_\theta Z \rVert_1, \qquad
              \hat\varphi = \arg\min_\varphi \lVert f_\varphi(P_{\hat\theta} Z) - Y \rVert_1, \qquad
              \hat X = f_{\hat\varphi}(Z)

    The parts are those of [daem2023]_; their order, and what :func:`learn_theta` and
    :func:`learn_phi` say of themselves, is ours. No regression is in it.

    Parameters
    ----------
    pair : ObservedPair
        Blind or not: a known PSF or SRF is used as it is.
    run : Run
    form : {"free", "interpretable"}
        A free decoder fits best; the interpretable form has shares that sum to one and
        non-negative spectra.
    channels : int, optional
        K; default 16, in the interpretable form 6. There, the materials that you expect and two
        more.
    steps : int, optional
        Of the autoencoder; default 4000 (``lite``) or 10,000 (``paper``). With ``weights``, of
        the decoder; default 500.
    size : int, optional
        Side of the learned PSF; default the ratio or twice the ratio, whichever the pair asks for.
    centre : {"learned", "fixed"}
        ``fixed``: pixel ``size // 2``, as published.
    weights : str or Path, optional
        A file of :func:`~hsisr_lite.daem.fine_tuning.train_on_scenes`: its network is taken, and
        only the decoder learns on. ``form`` and ``channels`` are then the file's.
    checkpoint : str or Path, optional
        Where an interrupted training of the network is kept, and found again.

    Returns
    -------
    result : FusionResult
        ``abundances`` (rows, cols, K) and ``endmembers`` (K, bands), the spectrum of each channel
        alone; ``psf`` and ``srf``; ``history["theta"]`` and ``history["phi"]``. ``parameters``
        counts what is stored, as published: 4 numbers of T, of which 3 act.
    """
    device = torch_device(run)
    preset = PRESETS[run.budget]
    channels_asked = channels is not None
    channels = as_channels(form, channels)  # a wrong setting is said before any work is done
    if steps is None:
        steps = preset.steps if weights is None else preset.fine_tuning
    steps = as_steps(steps)
    if weights is not None and (form != "free" or channels_asked):
        raise InputError(
            "form or channels was given along with weights: the network of the file has its own; "
            "leave them out."
        )
    with seeded(run, numbers=min(BATCH * pair.lr_hsi.shape[2], pair.lr_hsi.size)):
        if weights is not None:
            network = load_network(weights, pair).to(device)
        theta = learn_theta(pair, run, size=size, centre=centre)
        msi, hsi = low_pixels(pair, theta.psf, device)
        if weights is not None:
            check_units(msi, network.msi_units, weights)
            phi = fine_tune_decoder(network, msi, hsi, steps, run=run, checkpoint=checkpoint)
        else:
            network = build(msi, hsi, form=form, channels=channels, seed=run.seed)
            noise = _missing_noise(pair, theta.psf, device)
            phi = learn_phi(network, msi, hsi, steps, run=run, noise=noise, checkpoint=checkpoint)
        image, abundances = apply(network, filled(pair.hr_msi, pair.hr_valid), device)
    return FusionResult.of(
        pair,
        image,
        psf=theta.psf,
        srf=theta.srf,
        abundances=abundances,
        endmembers=channel_spectra(network, abundances),
        history={"theta": theta.history, "phi": phi},
        parameters=theta.learned + sum(p.numel() for p in network.parameters()),
        notes=[*theta.notes, *_cautions(hsi, network.encoder.shares)],
    )


def daem_published(pair, run, *, layers=6, steps=None, third="regenerated", checkpoint=None):
    """DAEM as published: network, PSF and SRF from their published start, in turns.

    Its third loss term is identically zero as the code has it ([daem2023]_,
    :func:`~hsisr_lite.daem.losses.regenerated_loss`), so the SRF is hardly learned and the PSF
    may follow the network's errors. Published, many scenes train one network; here the pair trains
    its own, and then the decoder alone for 190 steps, as at test time. Noise is drawn from the
    spread decoder in the result too.

    Further differences: images are divided by their largest value, for the truth's range is not
    known; a step sees single low-resolution pixels with their blocks, not patches of them (each is
    computed by itself); an SRF's widths have a floor of 0.3 bands; a known PSF may be wider than
    its block.

    Parameters
    ----------
    pair : ObservedPair
    run : Run
    layers : {6, 2}
        Of the mean decoder.
    steps : int, optional
        Default 3000 (``lite``) or the published 7300 (``paper``).
    third : {"regenerated", "cross"}
        The third term as it is, or as it was meant.
    checkpoint : str or Path, optional
        Where an interrupted training is kept, and found again.

    Returns
    -------
    result : FusionResult
        As of :func:`daem`, with ``history["phi and theta"]`` and ``history["decoder"]``.
    """
    device = torch_device(run)
    preset = PRESETS[run.budget]
    steps = as_steps(preset.published if steps is None else steps)
    lr_hsi, hr_msi = pair.lr_hsi, filled(pair.hr_msi, pair.hr_valid)
    size = pair.ratio if pair.psf is None else len(pair.psf)
    inside = pair.learnable(np.full((size, size), size**-2.0))
    top = max(np.abs(lr_hsi[inside]).max(), np.abs(hr_msi).max(), 1e-30)
    with seeded(run, numbers=min(preset.pixels, hr_msi[..., 0].size) * lr_hsi.shape[2]):
        model = PublishedModel(
            hr_msi.shape[2], lr_hsi.shape[2], pair.ratio,
            layers=layers, top=top, psf=pair.psf, srf=pair.srf,
        ).to(device)  # fmt: skip
        pixels = np.flatnonzero(inside)
        blocks = windows(hr_msi, size, pair.ratio, pixels)  # (pixels, msi_bands, k k)
        blocks = torch.from_numpy(blocks).float().transpose(1, 2)  # (pixels, k k, msi_bands)
        hsi = torch.from_numpy(lr_hsi[inside])
        together = learn_published(
            model, hsi, blocks, steps,
            run=run, pixels=preset.pixels, third=third, checkpoint=checkpoint,
        )  # fmt: skip
        psf, srf = as_arrays(pair, model.psf, model.srf)
        low = low_pixels(pair, psf, device)
        decoder = fine_tune_decoder(model.network, *low, _DECODER_STEPS, run=run, constant=True)
        image, abundances = apply(model.network, hr_msi, device, sample=True)
    return FusionResult.of(
        pair,
        image,
        psf=psf,
        srf=srf,
        abundances=abundances,
        endmembers=channel_spectra(model.network, abundances),
        history={"phi and theta": together, "decoder": decoder},
        parameters=sum(p.numel() for p in model.parameters()),
        notes=[
            f"{name} unknown: learned from its published start."
            for name, known in (("PSF", pair.psf), ("SRF", pair.srf))
            if known is None
        ],
    )


def _cautions(hsi, shares):
    """What may spoil a result that looks like any other."""
    cautions = []
    if len(hsi) < _FEW:
        cautions.append(f"Only {len(hsi)} low-resolution pixels to learn from: a guess.")
    if shares and (hsi < 0).float().mean() > 0.05:
        cautions.append("Spectra below zero: the interpretable form cannot follow them there.")
    return cautions


def _missing_noise(pair, psf, device):
    """Noise that the HrMSI has and the blurred MSI has not; None where there is none."""
    noise = estimate_noise(pair, psf).msi * np.sqrt(1 - np.sum(psf**2))
    return torch.as_tensor(noise, dtype=torch.float32, device=device) if noise.any() else None
