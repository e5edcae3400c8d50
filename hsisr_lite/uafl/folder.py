r"""Train UAFL on a folder of scenes, as published: in one process, or in several by ``torchrun``.

    python -m hsisr_lite.uafl.folder scenes/ --out weights.pt
    torchrun --nproc_per_node 2 -m hsisr_lite.uafl.folder scenes/ --out weights.pt --batch 2

Several processes share each batch and average their gradients, so they make the steps that one
would make alone.
"""

import argparse
import inspect
import os
import sys
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hsisr_lite.arrays import InputError, as_psf, as_ratio
from hsisr_lite.budget import DEVICES, Run
from hsisr_lite.degradation.misregistration import MISREGISTRATIONS
from hsisr_lite.fitting import seeded
from hsisr_lite.tensor_files import as_writable
from hsisr_lite.uafl.folder_settings import (
    TRAINABLE,
    as_amp,
    as_count,
    as_network,
    as_rate,
    check_replaces_nothing,
    default_of,
)
from hsisr_lite.uafl.folder_training import AMP, State, taking_part, train
from hsisr_lite.uafl.network import UAFL
from hsisr_lite.uafl.scene_folder import (
    Crops,
    check_scenes,
    hold_out,
    published_psf,
    scene_files,
    store_scenes,
    stored_scenes,
)
from hsisr_lite.uafl.weights import save_weights


class Trained(NamedTuple):
    """What a training did.

    ``losses`` (steps,) float64: of each step's batch, before the step. ``validation`` (epochs, 2)
    float64: after each epoch, the loss on the held-out scenes, and that of the enlarged LrHSI
    itself; NaN where none is held out. ``held_out``: their names.
    """

    losses: np.ndarray
    validation: np.ndarray
    held_out: list


def train_on_folder(folder, out, *, network=None, epochs=150, batch=1, crop=128, repeats=5,
                    ratio=4, sensor="rgb", psf=None, misregistration="realistic", validation=0.2,
                    rate=1e-5, amp="none", workers=0, checkpoint=None, variable=None,
                    wavelengths=None, seed=0, device="auto", progress=True):  # fmt: skip
    r"""Train UAFL on crops of scenes whose truth is known, and keep its weights.

    .. math:: \min_\theta \; \operatorname{mean} \, \ell\bigl( \mathrm{UAFL}_\theta(P X \!\uparrow,
              \; X S^\top \circ (\mathrm{id} + f)) - X \bigr), \qquad
              \ell(d) = \begin{cases} d^2 / 2 & |d| < 1 \\ |d| - 1/2 & \text{else} \end{cases}

    by AdamW [loshchilov2019]_ at a constant rate, with a weight decay of 5e-5, as published
    [uafl2026]_. Every crop has a flow f of its own. The weights are those after the last epoch:
    none is chosen, and the held-out scenes only show how the training does.

    Parameters
    ----------
    folder : str or Path
        Files that :func:`~hsisr_lite.scenes.readers.read_image` opens, all of as many bands.
    out : str or Path
        The file of weights. While training runs, the scenes lie beside it as plain float32 arrays,
        in ``OUT.scenes``.
    network : dict, optional
        Settings of :class:`~hsisr_lite.uafl.network.UAFL` but ``msi_bands``, which is the
        sensor's; default the published ones. ``alignment="correlation"`` would not learn here.
    epochs, batch, crop, repeats : int
        ``batch`` counts the crops of a step in all processes; ``crop`` is a side in pixels, at
        most that of the smallest scene; ``repeats`` how many crops of a scene an epoch has. An
        epoch's last, partial batch is left out.
    ratio : int
    sensor : str or ResponseTable
        Makes the reference; ``"rgb"``, a name of ``hl.sensors()`` or a ``.csv`` table.
    psf : (k, k) array, optional
        Default the published one, centred.
    misregistration : {"easy", "realistic"} or Misregistration
    validation : float
        Share of the scenes that is held out.
    rate : float
        Of the steps.
    amp : {"none", "bf16", "fp16"}
        Mixed precision; ``fp16`` needs a GPU. A CPU without bfloat16 instructions computes
        ``bf16``, but slowly.
    workers : int
        Processes that make crops ahead, beside each training one; the result is the same.
    checkpoint : str or Path, optional
        Where the state is kept, every minute and after each epoch. A training that finds its own
        state there goes on from it, also for more ``epochs`` than it was begun with.
    variable, wavelengths
        See :func:`~hsisr_lite.scenes.readers.read_image`.
    seed, device, progress
        See :func:`~hsisr_lite.methods.fuse`.

    Returns
    -------
    trained : Trained

    Raises
    ------
    InputError
        A scene that cannot be read or is too small, a setting that does not fit, a checkpoint of
        another training, a network or a loss that is no longer finite.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> cube = np.random.default_rng(0).random((24, 24, 40))
    >>> np.savez(place / "a.npz", cube=cube, wavelengths_nm=np.arange(400, 800, 10))
    >>> small = {"width": 8, "blocks": (1, 1)}
    >>> trained = train_on_folder(place, place / "weights.pt", network=small, epochs=2, crop=16,
    ...                           repeats=1, validation=0, device="cpu", progress=False)
    >>> trained.losses.shape
    (2,)
    """
    run = Run.resolve(seed=seed, device=device, progress=progress)
    network, ratio, rate = as_network(network), as_ratio(ratio), as_rate(rate)
    with seeded(run):
        blank = UAFL(**network)  # wrong settings are found before scenes are read
    epochs, batch = as_count(epochs, "epochs", 1), as_count(batch, "batch", 1)
    repeats, workers = as_count(repeats, "repeats", 1), as_count(workers, "workers", 0)
    crop = as_count(crop, "crop", blank.step, ", the pixels that the deepest windows see")
    if crop % ratio:
        raise InputError(
            f"crop is {crop}: a multiple of the ratio {ratio} is needed; take {crop - crop % ratio}"
            f" or {crop + -crop % ratio}."
        )
    psf = published_psf(ratio) if psf is None else as_psf(psf)
    files = scene_files(folder)
    split = hold_out(range(len(files)), validation, run.seed)
    largest = blank.arguments["width"] * crop**2  # numbers in one crop's largest array
    with taking_part(run) as part, seeded(run, numbers=largest * (batch // part.count)):
        with part.together():
            # Tried by one process: two would take each other's trial file away
            if part.rank == 0:
                as_writable(out)
                as_writable(out if checkpoint is None else checkpoint)
                check_replaces_nothing(out, checkpoint, files)
        out, checkpoint = Path(out), checkpoint and Path(checkpoint)
        amp = as_amp(amp, part.device)
        if batch % part.count:
            raise InputError(
                f"batch is {batch}: a multiple of the {part.count} processes is needed, for each "
                f"makes a part of it; take {batch + -batch % part.count}."
            )
        reading = {"sensor": sensor, "variable": variable, "wavelengths": wavelengths}
        with _stored(files, out, part, run, **reading) as scenes:
            bands = check_scenes(scenes, crop)
            make = lambda some: Crops(  # noqa: E731
                [scenes[i] for i in some], crop=crop, repeats=repeats, ratio=ratio, psf=psf,
                misregistration=misregistration, seed=run.seed,
            )  # fmt: skip
            learn, judge = map(make, split)
            if len(learn) < batch:
                raise InputError(
                    f"batch is {batch}: at most {len(learn)} is possible, for an epoch has "
                    f"{repeats} crops of each of {len(learn.scenes)} scenes; raise repeats."
                )
            model = UAFL(**{**network, "msi_bands": bands[1]}).to(part.device)
            training = {
                "seed": run.seed, "batch": batch, "crop": crop, "repeats": repeats, "rate": rate,
                "amp": amp, "ratio": ratio, "psf": psf.tolist(), "network": model.arguments,
                "misregistration": str(misregistration),
                "scenes": [_fingerprint(scene) for scene in learn.scenes],
                "held_out": [_fingerprint(scene) for scene in judge.scenes],
            }  # fmt: skip
            state = State(model, rate, amp, part.device, training)
            if checkpoint and checkpoint.exists():
                state.resume(checkpoint, epochs * (len(learn) // batch))
            train(state, learn, judge, part, run, epochs, batch, workers, checkpoint)
        if part.rank == 0:
            save_weights(model, out)
    held_out = [scene.name for scene in judge.scenes]
    return Trained(np.array(state.losses), np.array(state.validation), held_out)


@contextmanager
def _stored(files, out, part, run, **options):
    """The scenes as plain arrays beside ``out``, read by all processes; removed at the end."""
    place = out.with_name(out.name + ".scenes")
    place.mkdir(exist_ok=True)
    try:
        progress = run.progress and part.rank == 0
        with part.together():
            store_scenes(
                files, place, rank=part.rank, count=part.count, progress=progress, **options
            )
        yield stored_scenes(files, place)
    finally:
        if part.rank == 0:
            for scene in stored_scenes(files, place):
                for path in scene[1:]:
                    path.unlink(missing_ok=True)
            with suppress(OSError):  # something else lies there
                place.rmdir()


def _fingerprint(scene):
    """Tells scenes apart: name, size and mean, to what any machine computes alike."""
    return [scene.name, *scene.shape(), f"{np.load(scene.msi).mean(dtype=np.float64):.4g}"]


def main(argv=None):
    """Run the command and return its exit code: 0, 2 for a wrong input, 130 when interrupted."""
    args = vars(_parser().parse_args(argv))
    settings = ("width", "blocks", "endmembers", "alignment")
    network = {name: args.pop(name) for name in settings if name in args}
    progress = not args.pop("quiet")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest: _say(f"warning: {message}")
        try:
            trained = train_on_folder(**args, network=network, progress=progress)
        except (InputError, OSError) as error:
            _say(error)
            return 2
        except KeyboardInterrupt:
            _say("interrupted, no weights were written.")
            return 130
    if progress and os.environ.get("RANK", "0") == "0":
        print(_summary(args["out"], trained))
    return 0


def _say(sentence):
    print(f"hsisr_lite.uafl.folder: {sentence}", file=sys.stderr)


def _summary(out, trained):
    steps, epochs = len(trained.losses), len(trained.validation)
    text = f"{out}: {steps} steps in {epochs} epochs"
    if not trained.held_out:
        return text
    loss, enlarged = trained.validation[-1]
    return (
        f"{text}; on the held-out {', '.join(trained.held_out)} the loss is {loss:.3g}, "
        f"{loss / enlarged:.3f} of the enlarged LrHSI's"
    )


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m hsisr_lite.uafl.folder",
        description="Train UAFL on a folder of scenes; under torchrun, in several processes.",
        argument_default=argparse.SUPPRESS,  # what is not given keeps the function's default
    )
    own = inspect.signature(train_on_folder).parameters

    def add(option, text, **rule):
        name = option.removeprefix("--")
        default = own[name].default if name in own else default_of(name)
        if default is not None:
            words = " ".join(map(str, default)) if isinstance(default, tuple) else default
            text = f"{text}; default {words}"
        parser.add_argument(option, help=text, **rule)

    parser.add_argument("folder", help="of ENVI, MAT, NPZ or GeoTIFF files, all of as many bands")
    parser.add_argument("--out", required=True, metavar="FILE", help="the weights")
    add("--epochs", "how often all scenes are gone through", type=int, metavar="N")
    add("--batch", "crops of a step, in all processes together", type=int, metavar="N")
    side = "side of a crop in pixels, at most that of the smallest scene"
    add("--crop", side, type=int, metavar="N")
    add("--repeats", "crops of each scene in an epoch", type=int, metavar="N")
    add("--workers", "processes that make crops ahead", type=int, metavar="N")
    add("--amp", "mixed precision", choices=tuple(AMP))
    add("--checkpoint", "keep the state there, and go on from it", metavar="FILE")
    add("--ratio", "fine pixels per coarse pixel, along one side", type=int, metavar="N")
    curves = "of the reference: rgb, a sensor's name, or a .csv of response curves"
    add("--sensor", curves, metavar="NAME")
    add("--misregistration", "how far it is out of step", choices=tuple(MISREGISTRATIONS))
    add("--validation", "share of the scenes that is held out", type=float, metavar="SHARE")
    add("--rate", "learning rate of the steps", type=float, metavar="RATE")
    add("--width", "channels of the network's first level", type=int, metavar="N")
    add("--blocks", "of each level, the deepest last", type=int, nargs="+", metavar="N")
    add("--endmembers", "singular vectors that the network corrects", type=int, metavar="K")
    add("--alignment", "what aligns the reference", choices=TRAINABLE)
    add("--variable", "array of MAT or NPZ files", metavar="NAME")
    add("--wavelengths", "band centres in nm: .csv, .txt, .npy", metavar="FILE")
    add("--seed", "of all that is random", type=int, metavar="N")
    add("--device", "where it runs", choices=DEVICES)
    say = "print warnings and errors only"
    parser.add_argument("--quiet", action="store_true", default=False, help=say)
    return parser


if __name__ == "__main__":
    sys.exit(main())
