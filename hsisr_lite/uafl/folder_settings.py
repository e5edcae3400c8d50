"""What a training on a folder can be told, checked before a scene is read."""

import inspect
import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path

import numpy as np
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.uafl.correlation import CorrelationCFDA
from hsisr_lite.uafl.folder_training import AMP
from hsisr_lite.uafl.network import ALIGNMENTS, UAFL

# A correlation volume learns from a loss of its own, which this training does not have
TRAINABLE = tuple(
    name for name, kind in ALIGNMENTS.items() if not issubclass(kind, CorrelationCFDA)
)


def default_of(name):
    """The default of an argument of the published network.

    Examples
    --------
    >>> default_of("width")
    64
    """
    return inspect.signature(UAFL).parameters[name].default


def as_network(network):
    """Settings of a network that this training can teach, checked but for their values.

    Raises
    ------
    InputError
        Something else than settings by name, an unknown name, an alignment that would not learn.

    Examples
    --------
    >>> as_network({"width": 16})
    {'width': 16}
    """
    # The reference's bands are the sensor's
    known = [name for name in inspect.signature(UAFL).parameters if name != "msi_bands"]
    if not isinstance(network or {}, Mapping):
        raise InputError(
            f"network is of type {type(network).__name__}: a dictionary of settings is needed, "
            "such as {'width': 16, 'blocks': (1, 1)}; make one."
        )
    network = dict(network or {})
    for name in network:
        if name not in known:
            raise InputError(
                f"network has a setting {name!r}: one of {', '.join(known)} is needed; correct it "
                "or leave it out."
            )
    alignment = network.get("alignment", default_of("alignment"))
    if alignment in tuple(ALIGNMENTS) and alignment not in TRAINABLE:
        raise InputError(
            f"alignment is {alignment!r}, whose matching would not learn from this training's "
            f"loss: one of {', '.join(TRAINABLE)} is needed; choose one, or train it on one scene "
            f'by hl.fuse(pair, "uafl", alignment="{alignment}").'
        )
    return network


def check_replaces_nothing(out, checkpoint, files):
    """Raise :class:`InputError` where the weights would replace a scene, or the kept state.

    An ENVI scene is two files of one stem, so no file of a scene's stem may be written beside it.

    Examples
    --------
    >>> check_replaces_nothing("weights.pt", "run.pt", ["scenes/a.hdr"])
    """
    scenes = {Path(file).resolve().with_suffix("") for file in files}
    for name, path in (("out", out), ("checkpoint", checkpoint)):
        if path is not None and Path(path).resolve().with_suffix("") in scenes:
            raise InputError(
                f"{name} is {str(path)!r}, which has the name of a scene: another one is needed, "
                "or the scene may be lost; choose one outside of the folder."
            )
    if checkpoint is not None and Path(checkpoint).resolve() == Path(out).resolve():
        raise InputError(
            f"checkpoint is {str(checkpoint)!r}, and so is out: two files are needed, or the "
            "weights would replace the state; name another."
        )


def as_count(value, name, least, why=""):
    """A whole number that is large enough, as a plain int.

    Examples
    --------
    >>> as_count(np.int64(2), "batch", 1)
    2
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(
            f"{name} is {value!r}: a whole number of at least {least} is needed{why}; correct it."
        )
    return int(value)


def as_rate(rate):
    """A learning rate, as a plain float.

    Examples
    --------
    >>> as_rate(np.float64(1e-5))
    1e-05
    """
    number = isinstance(rate, Real) and not isinstance(rate, bool)
    if not (number and math.isfinite(rate) and rate > 0):
        raise InputError(
            f"rate is {rate!r}: a finite number above 0 is needed; 1e-5 is the published one."
        )
    return float(rate)


def as_amp(amp, device):
    """A kind of mixed precision that a device knows.

    Examples
    --------
    >>> as_amp("bf16", torch.device("cpu"))
    'bf16'
    """
    if amp not in tuple(AMP):
        raise InputError(f"amp is {amp!r}: one of {', '.join(AMP)} is needed; 'none' is float32.")
    if amp == "fp16" and device.type != "cuda":
        raise InputError("amp is 'fp16' on a CPU: a GPU is needed for it; take 'bf16' or 'none'.")
    if amp == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError("amp is 'bf16' but this GPU knows no bfloat16; take 'fp16' or 'none'.")
    return str(amp)
