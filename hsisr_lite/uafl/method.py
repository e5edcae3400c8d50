"""UAFL as two fusion methods: trained on nothing but the pair, in our form and as published."""

from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.degradation.estimate import psf_of, srf_of
from hsisr_lite.degradation.misregistration import as_misregistration, without_holes
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.degradation.registration import register
from hsisr_lite.fitting import as_steps, seeded, torch_device
from hsisr_lite.results import FusionResult
from hsisr_lite.tensor_files import as_writable
from hsisr_lite.uafl.cfda import CFDA
from hsisr_lite.uafl.crops import Crops
from hsisr_lite.uafl.kept import belonging, find_kept, training_file
from hsisr_lite.uafl.network import UAFL, as_blocks, as_whole
from hsisr_lite.uafl.presets import LEFT_OVER, PRESETS, PUBLISHED, PUBLISHED_PRESETS, Form
from hsisr_lite.uafl.start import affine_start, bicubic_start
from hsisr_lite.uafl.training import SceneUAFL, learn, save_scene
from hsisr_lite.uafl.trial import borne_out
from hsisr_lite.unmixing.subspace import svd_subspace
from hsisr_lite.waiting import waiting


def uafl(pair, run, *, registration="model", start="affine", alignment="none", attention="scaca",
         merging="scmf", residual=True, trial=True, bf16=False, misregistration=None,
         endmembers=None, width=None, blocks=None, steps=None, weights=None):  # fmt: skip
    r"""UAFL in our form: register, map, and let the network correct the abundances.

    .. math:: X' = x + \beta \hat A E_K, \qquad
              \hat X = X' + {\uparrow} \bigl( (Y - P X') \operatorname{diag}(q) \bigr)

    The reference is first brought into the LrHSI's frame
    (:func:`~hsisr_lite.degradation.model_registration.register_by_model`); x is the affine map of
    it, with its enlarged residual; :math:`\hat A` is what a network of UAFL's modules [uafl2026]_
    adds to the abundances, trained on synthetic crops of the scene's own spectra
    (:class:`~hsisr_lite.uafl.crops.Crops`); :math:`\beta` is the share of it that the pair bears
    out one scale down (:func:`~hsisr_lite.uafl.trial.borne_out`), and q, band by band, the share of
    what is left that is no noise.

    Parameters
    ----------
    pair : ObservedPair
        Registered or not, blind or not: an unknown PSF or SRF is estimated from the registered
        pair.
    run : Run
    registration, start, alignment, attention, merging, residual, trial, bf16
        See :class:`~hsisr_lite.uafl.presets.Form`.
    misregistration : str or Misregistration, optional
        What the crops show; default what registration leaves, or ``realistic`` without it.
    endmembers : int, optional
        K; default 6, or as many as the pair has dimensions.
    width, blocks : int, sequence of int, optional
        Of the network; default 16 and (1, 1) (``lite``), 64 and (2, 1, 1) (``paper``).
    steps : int, optional
        Default 400 (``lite``) or 10,000 (``paper``).
    weights : str or Path, optional
        Where the trained network is kept, with what it was trained on; one that is found there is
        not trained again. An interrupted training keeps its state beside it, and the same call goes
        on from there. A network that :mod:`hsisr_lite.uafl.folder` trained on other scenes improves
        the enlarged LrHSI: it needs ``start="bicubic"``.

    Returns
    -------
    result : FusionResult
        In the LrHSI's frame. ``history`` has ``flow``, that the reference was registered by;
        ``network_flow``, that the network's first aligning module found in what was left (both
        (2, rows, cols), down and right; None where the module finds none); ``start``, the first
        image; ``share``, the :math:`\beta` above (1 where no trial could be made); and ``loss`` at
        each step.

    Raises
    ------
    InputError
        An unknown setting, or weights of another scene, of other settings, or of a network that
        does not fit.
    """
    form = Form(
        registration=registration, start=start, alignment=alignment, attention=attention,
        merging=merging, residual=residual, trial=trial, bf16=bf16,
    )  # fmt: skip
    preset = _preset(PRESETS[run.budget], pair, endmembers, width, blocks, steps)
    return _run(pair, run, form, preset, misregistration, weights)


def uafl_published(pair, run, *, swapped_flow=False, bf16=False, misregistration="realistic",
                   endmembers=None, width=None, blocks=None, steps=None, weights=None):  # fmt: skip
    """UAFL's published modules [uafl2026]_, trained on nothing but the pair.

    The published training needs scenes whose truth is known, and its crops and configuration are
    not released. Here the same network learns from synthetic crops of the scene's own spectra, and
    endmembers and statistics are those of the scene, not of each crop. The released code's faults
    are not repeated: the flow is added to the offsets in their order (unless ``swapped_flow``),
    each image of a batch is modulated by its own reference, shifted windows do not mix opposite
    edges, and the enlarged LrHSI lies where it was measured.

    Parameters
    ----------
    pair : ObservedPair
        Registered or not.
    run : Run
    swapped_flow : bool
        Add the flow to the offsets with its two components exchanged, as the released code does.
    bf16, misregistration, width, blocks, weights
        As of :func:`uafl`.
    endmembers : int, optional
        K; default 3.
    steps : int, optional
        Default 600 (``lite``) or 10,000 (``paper``).

    Returns
    -------
    result : FusionResult
        As of :func:`uafl`.
    """
    form = replace(PUBLISHED, swapped_flow=swapped_flow, bf16=bf16)
    preset = _preset(PUBLISHED_PRESETS[run.budget], pair, endmembers, width, blocks, steps)
    return _run(pair, run, form, preset, misregistration, weights)


def _preset(preset, pair, endmembers, width, blocks, steps):
    most = min(pair.lr_hsi.shape[2], pair.lr_hsi[..., 0].size)
    asked = {"endmembers": endmembers, "width": width, "blocks": blocks, "steps": steps}
    preset = replace(preset, endmembers=min(preset.endmembers, most))
    preset = replace(preset, **{name: value for name, value in asked.items() if value is not None})
    if as_whole(preset.endmembers, "endmembers") > most:
        raise InputError(
            f"endmembers is {preset.endmembers}: at most {most} are needed, as many as the LrHSI "
            "has dimensions; ask for fewer."
        )
    as_whole(preset.width, "width", multiple=8)
    return replace(preset, blocks=as_blocks(preset.blocks), steps=as_steps(preset.steps))


def _run(pair, run, form, preset, misregistration, weights):
    notes, flow = [], np.zeros((2, *pair.hr_msi.shape[:2]))
    if weights is not None:
        kept = isinstance(weights, str | PathLike) and Path(weights).is_file()
        weights = Path(weights) if kept else as_writable(weights)
    if misregistration is None:
        misregistration = "realistic" if form.registration == "none" else LEFT_OVER
    as_misregistration(misregistration)  # before the long work
    if form.registration != "none":
        with waiting("registering the HrMSI", progress=run.progress):
            pair, flow = register(pair, by=form.registration)
        distance = np.hypot(*flow).mean()
        notes.append(f"the HrMSI was registered: it moved by {distance:.2g} pixels on average.")
    psf, notes_psf = psf_of(pair)
    srf, notes_srf = srf_of(pair, psf)
    make = affine_start if form.start == "affine" else bicubic_start
    start = make(pair, psf)
    hr_msi = without_holes(pair.hr_msi, pair.hr_valid).astype(np.float64)
    lr_hsi = without_holes(pair.lr_hsi, pair.lr_valid).astype(np.float64)
    first = start.image(hr_msi, lr_hsi)
    noise = estimate_noise(pair, psf)

    belongs = belonging(lr_hsi, form, preset, misregistration)
    with seeded(run, numbers=preset.width * hr_msi[..., 0].size):
        if weights is not None and weights.exists():
            scene, loss = find_kept(weights, first, belongs), np.zeros(0)
            _check_fits(scene, pair, weights)
            notes.append(f"the network was read from {weights.name}, not trained.")
        else:
            scene = _untrained(lr_hsi, hr_msi, form, preset)
            spectra = pair.lr_hsi[pair.learnable(psf)]
            crops = Crops(
                spectra, srf, scene.endmembers[0].numpy(), start, misregistration,
                (noise.hsi, noise.msi), preset.crop, hr_msi,
            )  # fmt: skip
            state = None
            if weights is not None:
                observed = lr_hsi, hr_msi, psf, srf
                state = training_file(weights, belongs, run.seed, preset.steps, *observed)
            loss = learn(scene, crops, preset.steps, run, bf16=form.bf16, checkpoint=state)
            if weights is not None:
                save_scene(scene, weights, belongs)
        basis = scene.endmembers[0].cpu().double().numpy()
        change, network_flow = change_of(scene, first, hr_msi, run)
        share = 1.0
        if form.trial:
            found = borne_out(
                replace(pair, srf=srf), psf, lambda x, z: change_of(scene, x, z, run)[0], basis,
                form.start,
            )  # fmt: skip
            share = 1.0 if found is None else found
            said = "too few pixels for a trial" if found is None else "borne out one scale down"
            notes.append(f"of the network's change {share:.0%} was added: {said}.")
    image = first + share * change

    if form.residual:
        left = lr_hsi - SpatialOperator(psf, pair.ratio).A(image)
        # The share of what is left that is no noise
        trust = 1 - noise.hsi**2 / np.maximum(left.var(axis=(0, 1)), np.finfo(float).tiny)
        image += upsample(left * np.maximum(trust, 0), pair.ratio, psf_centre(psf, pair.ratio))
    return FusionResult.of(
        pair,
        image,
        psf=psf,
        srf=srf,
        abundances=(image @ basis.T).astype(np.float32),
        endmembers=basis,
        history={
            "flow": flow,
            "network_flow": network_flow,
            "start": first.astype(np.float32),
            "share": share,
            "loss": loss,
        },
        parameters=sum(values.numel() for values in scene.parameters()),
        notes=[*notes, *notes_psf, *notes_srf],
    )


def _untrained(lr_hsi, hr_msi, form, preset):
    """The network with its scene's endmembers and statistics, and random weights."""
    basis = svd_subspace(lr_hsi, preset.endmembers).basis
    abundances = (lr_hsi @ basis.T).reshape(-1, len(basis))  # (coarse pixels, K)
    reference = hr_msi.reshape(-1, hr_msi.shape[2])  # (pixels, msi_bands)
    network = UAFL(
        hr_msi.shape[2], preset.endmembers, preset.width, preset.blocks,
        alignment=form.alignment, attention=form.attention, merging=form.merging,
        swapped_flow=form.swapped_flow,
    )  # fmt: skip

    def unit(values):
        # What varies by rounding alone does not vary
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        size = np.abs(values).max() or 1.0
        return mean, np.where(deviation <= 1e-6 * size, size, deviation)

    return SceneUAFL(network, basis, unit(abundances), unit(reference))


def change_of(scene, first, hr_msi, run):
    """What a network adds to a first image, and the flow that its first module found.

    Parameters
    ----------
    scene : SceneUAFL
    first : (rows, cols, bands) float64 array
    hr_msi : (rows, cols, msi_bands) array
    run : Run

    Returns
    -------
    change : (rows, cols, bands) float64 array
    flow : (2, rows, cols) float64 array or None
        Down and right.
    """
    device = torch_device(run)
    basis = scene.endmembers[0].cpu().double().numpy()

    def tensor(image):
        return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None].to(device)

    abundances, reference = tensor(first @ basis.T), tensor(hr_msi)
    align, flow = scene.network.align[0], None
    with torch.no_grad():
        change = scene.to(device).change(abundances, reference)
        if isinstance(align, CFDA):
            f, g = scene.network.embedded(*scene.standard(abundances, reference))
            right_down, _ = align.flow_and_similarity(g, f)
            rows, cols = first.shape[:2]
            flow = right_down[0].flip(0)[:, :rows, :cols].cpu().double().numpy()
    if not change.isfinite().all():
        raise InputError(
            "the network's change is not finite: weights and images of finite numbers of the order "
            "of 1 are needed; train it again, or scale both images."
        )
    return change[0].permute(1, 2, 0).cpu().double().numpy() @ basis, flow


def _check_fits(scene, pair, path):
    bands, msi_bands = scene.endmembers.shape[2], scene.reference_mean.numel()
    wanted = pair.lr_hsi.shape[2], pair.hr_msi.shape[2]
    if (bands, msi_bands) != wanted:
        raise InputError(
            f"{path} holds a network for {bands} and {msi_bands} bands: one for {wanted[0]} and "
            f"{wanted[1]} is needed; name another file, or one that does not exist to train."
        )
