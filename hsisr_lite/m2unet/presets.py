"""M2U-Net's settings: what is done as published and what is not, and for how long."""

from dataclasses import dataclass, field, fields

import numpy as np
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.fitting import as_steps


def has_bf16(device):
    """Whether a device multiplies bfloat16 numbers in hardware.

    Examples
    --------
    >>> has_bf16(torch.device("cpu")) in (True, False)
    True
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


@dataclass(frozen=True)
class Form:
    """Each change that we made, by its name; the defaults are ours; PUBLISHED is the paper's.

    ``sensors``: stage 1 by a ``convex`` solve, or by ``adam``. ``start``: the first image by an
    ``affine`` map, or by ``sml``, SML-Net. ``output`` of stage 3: ``residual`` starts at the first
    image, at half the published rate, ``sigmoid`` at random weights. ``gates``: ``learned``
    vectors, or the ``auxiliary`` U-Net. ``prior``: the residual form changes each band in
    proportion to what the first image leaves of it, and no more than it must. ``stop`` at the noise
    level. The others are for time: ``channels_last`` memory and a ``fused`` optimiser change the
    last digits, ``bf16`` convolutions (None: where the device has them) keep only three digits of
    what a layer adds.

    Raises
    ------
    InputError
        A value that is none of these.

    Examples
    --------
    >>> Form(gates="auxiliary").output
    'residual'
    """

    sensors: str = field(default="convex", metadata={"of": ("convex", "adam")})
    start: str = field(default="affine", metadata={"of": ("affine", "sml")})
    output: str = field(default="residual", metadata={"of": ("residual", "sigmoid")})
    gates: str = field(default="learned", metadata={"of": ("learned", "auxiliary")})
    prior: bool = True
    stop: bool = True
    channels_last: bool = True
    bf16: bool | None = field(default=None, metadata={"of": (True, False, None)})
    fused: bool = True

    def __post_init__(self):
        for own in fields(self):
            value, of = getattr(self, own.name), own.metadata.get("of", (True, False))
            if not any(type(value) is type(choice) and value == choice for choice in of):
                raise InputError(
                    f"{own.name} is {value!r}: one of {', '.join(map(str, of))} is needed; leave "
                    "it out for the default."
                )


OURS = Form()
PUBLISHED = Form(
    sensors="adam", start="sml", output="sigmoid", gates="auxiliary", prior=False,
    stop=False, channels_last=False, bf16=False, fused=False,
)  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """Steps of DIL, IIE and DIG, and P, the channels of every module of DIG."""

    steps: tuple[int, int, int]
    features: int


# [m2unet2024]_: 3000 + 3000, 2000 + 2000 and 7000 + 7000 steps, the second half of each at falling
# rates, and 260 channels
_PAPER = Preset((6000, 4000, 14000), 260)
PRESETS = {"lite": Preset((1000, 3000, 350), 40), "paper": _PAPER}
PUBLISHED_PRESETS = {"lite": Preset((1000, 600, 600), 32), "paper": _PAPER}


def as_preset(preset, steps, features):
    """A budget's preset, with what was asked for in its place.

    Parameters
    ----------
    preset : Preset
    steps : int or three ints, optional
        Of every stage, or of each.
    features : int, optional

    Returns
    -------
    preset : Preset

    Raises
    ------
    InputError
        Steps or features that are no whole numbers of at least 1, or not one or three of them.

    Examples
    --------
    >>> as_preset(PRESETS["lite"], 20, None)
    Preset(steps=(20, 20, 20), features=40)
    """
    if steps is None:
        steps = preset.steps
    elif not isinstance(steps, tuple | list):
        steps = (steps,) * 3
    if len(steps) != 3:
        raise InputError(
            f"steps is {steps!r}: one whole number, or three, of DIL, IIE and DIG, are needed; "
            "leave it out for the default."
        )
    features = preset.features if features is None else features
    if isinstance(features, bool) or not (isinstance(features, int | np.integer) and features >= 1):
        raise InputError(
            f"features is {features!r}: a whole number of at least 1 is needed, such as 32; leave "
            "it out for the default."
        )
    return Preset(tuple(as_steps(count) for count in steps), int(features))
