"""M2U-Net as two fusion methods: three stages in a row, kept on the way."""

from dataclasses import astuple

import numpy as np

from hsisr_lite.fitting import seeded
from hsisr_lite.m2unet.convex import solve_sensors
from hsisr_lite.m2unet.dig import draw
from hsisr_lite.m2unet.dil import learn_sensors
from hsisr_lite.m2unet.iie import affine_start, learn_spectra
from hsisr_lite.m2unet.presets import (
    PRESETS,
    PUBLISHED,
    PUBLISHED_PRESETS,
    Form,
    as_preset,
)
from hsisr_lite.m2unet.stages import Kept
from hsisr_lite.results import FusionResult
from hsisr_lite.waiting import waiting


def m2unet(pair, run, *, sensors="convex", start="affine", output="residual", gates="learned",
           prior=True, stop=True, channels_last=True, bf16=None, fused=True, features=None,
           steps=None, folder=None):  # fmt: skip
    r"""M2U-Net in our form: the same three stages, each change of it named and switchable.

    .. math:: \hat X = \sigma\bigl( \sigma^{-1}(X_{\text{input}}) + q \odot
              f_\theta(X_{\text{input}}) \bigr)

    Stage 1 (:func:`~hsisr_lite.m2unet.convex.solve_sensors`) finds PSF and SRF, stage 2 a first
    image :math:`X_{\text{input}}`, stage 3 (:func:`~hsisr_lite.m2unet.dig.draw`) fits an untrained
    network f to the pair [m2unet2024]_; q says how much of each band is still to be found. By
    default the first image is an affine regression
    (:func:`~hsisr_lite.m2unet.iie.affine_start`); ``start="sml"`` is M2U-Net's own.

    Parameters
    ----------
    pair : ObservedPair
        Blind or not: a known PSF or SRF is used as it is.
    run : Run
    sensors, start, output, gates, prior, stop, channels_last, bf16, fused
        See :class:`~hsisr_lite.m2unet.presets.Form`. ``bf16=None``: where the device has it.
    features : int, optional
        P, channels of stage 3; default 40 (``lite``) or 260 (``paper``).
    steps : int or three ints, optional
        Of all stages or of each, where they take steps; default 1000, 3000, 350 (``lite``) or
        6000, 4000, 14,000 (``paper``).
    folder : str or Path, optional
        Where each stage keeps its result, and an interrupted one its state. A stage whose result is
        found there does not run again.

    Returns
    -------
    result : FusionResult
        ``history["dil"]``, ``["iie"]`` and ``["dig"]`` are dictionaries with ``start`` and
        ``end``, what the stage began and ended with (PSF and SRF, or an image), ``loss`` at each
        step, and ``seconds``, since the last interruption if there was one. What is solved for at
        once has no start of its own: flat sensors stand there, and the mean spectrum.

    Raises
    ------
    InputError
        An unknown setting, or a folder that holds another run.
    """
    form = Form(
        sensors=sensors, start=start, output=output, gates=gates, prior=prior,
        stop=stop, channels_last=channels_last, bf16=bf16, fused=fused,
    )  # fmt: skip
    return run_stages(pair, run, form, as_preset(PRESETS[run.budget], steps, features), folder)


def m2unet_published(pair, run, *, features=None, steps=None, folder=None):
    """M2U-Net as published [m2unet2024]_, but for its looks at the truth.

    The released code keeps, in stages 2 and 3, the images that score best against the truth; here
    the last step is the result.

    Further differences: every stage starts from the seed, and no random image is drawn and left
    unused; images that exceed 1 are divided by their largest value; pixels without data do not
    count; sizes in the U-Net are at least two pixels.

    Parameters
    ----------
    pair : ObservedPair
        Blind or not: a known PSF or SRF is used as it is.
    run : Run
    features : int, optional
        P; default 32 (``lite``) or 260 (``paper``).
    steps : int or three ints, optional
        Of each stage; default 1000, 600, 600 (``lite``) or 6000, 4000, 14,000 (``paper``).
    folder : str or Path, optional
        See :func:`m2unet`.

    Returns
    -------
    result : FusionResult
        As of :func:`m2unet`.
    """
    preset = as_preset(PUBLISHED_PRESETS[run.budget], steps, features)
    return run_stages(pair, run, PUBLISHED, preset, folder)


def run_stages(pair, run, form, preset, folder=None):
    """All three stages of a form, one after the other.

    Parameters
    ----------
    pair : ObservedPair
    run : Run
    form : Form
    preset : Preset
    folder : str or Path, optional

    Returns
    -------
    result : FusionResult
    """
    kept, pixels = Kept(folder, pair, run.seed), pair.hr_msi[..., 0].size
    of_dil, of_iie, of_dig = preset.steps

    def first_stage(checkpoint):
        if form.sensors == "convex":
            with waiting("DIL: solving for PSF and SRF", progress=run.progress):
                return solve_sensors(pair)
        return learn_sensors(pair, run, of_dil, checkpoint=checkpoint)

    def second_stage(checkpoint):
        if form.start == "affine":
            return affine_start(pair, dil, run)
        return learn_spectra(pair, dil, run, of_iie, fused=form.fused, checkpoint=checkpoint)

    def third_stage(checkpoint):
        return draw(
            pair, dil, iie.image, run, of_dig,
            features=preset.features, form=form, checkpoint=checkpoint,
        )  # fmt: skip

    # Each stage from the same seed: one that is found in the folder draws no random numbers.
    settings = (form.sensors,) if form.sensors == "convex" else (form.sensors, of_dil)
    with seeded(run, numbers=pixels):
        dil, seconds_dil = kept.stage("dil", settings, first_stage)
    settings += (form.start,) if form.start == "affine" else (form.start, of_iie, form.fused)
    with seeded(run, numbers=pixels):
        iie, seconds_iie = kept.stage("iie", settings, second_stage)
    settings += (*astuple(form), preset.features, of_dig)
    with seeded(run, numbers=25 * preset.features * pixels):  # windows of 5 x 5
        dig, seconds_dig = kept.stage("dig", settings, third_stage)
    return FusionResult.of(
        pair,
        dig.image,
        psf=dil.psf,
        srf=dil.srf,
        history={
            "dil": {
                "start": _flat(pair), "end": {"psf": dil.psf, "srf": dil.srf},
                "loss": dil.loss, "seconds": seconds_dil,
            },
            "iie": {
                "start": iie.before, "end": iie.image, "loss": iie.loss, "seconds": seconds_iie,
            },
            "dig": {
                "start": iie.image, "end": dig.image, "loss": dig.loss, "seconds": seconds_dig,
            },
        },
        parameters=dil.learned + iie.learned + dig.learned,
        notes=[*dil.notes, *iie.notes, *dig.notes],
    )  # fmt: skip


def _flat(pair):
    """What stage 1 begins with: what the pair knows, else equal weights."""
    bands, msi_bands = pair.lr_hsi.shape[2], pair.hr_msi.shape[2]
    return {
        "psf": np.full((pair.ratio,) * 2, pair.ratio**-2.0) if pair.psf is None else pair.psf,
        "srf": np.full((msi_bands, bands), 1 / bands) if pair.srf is None else pair.srf,
    }
