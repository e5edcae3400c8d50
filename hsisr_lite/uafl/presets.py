"""UAFL's settings: what is done as published and what is not, and for how long."""

from dataclasses import dataclass, field, fields

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.misregistration import Misregistration
from hsisr_lite.uafl.network import ALIGNMENTS, ATTENTIONS, MERGINGS

# What registration leaves: a tenth of a pixel that bends, and hardly any shift
LEFT_OVER = Misregistration(translation=0.05, rotation=0.02, scale=0.0003, elastic=0.1)


@dataclass(frozen=True)
class Form:
    """Each change that we made, by its name; the defaults are ours; PUBLISHED is the paper's.

    ``registration``: the reference is brought into the LrHSI's frame by the degradation ``model``,
    by ``optical_flow``, or not (``none``). ``start``: the network improves an ``affine`` map of the
    reference, or the enlarged LrHSI, ``bicubic``. ``alignment``, ``attention`` and ``merging`` are
    those of :class:`~hsisr_lite.uafl.network.UAFL`. ``residual``: what the result misses of the
    LrHSI, beyond its noise, is enlarged and added. ``trial``: the network's change counts by the
    share that the pair bears out one scale down (:func:`~hsisr_lite.uafl.trial.borne_out`).
    ``swapped_flow``: the flow's two components are
    exchanged where it joins the offsets, as released. ``bf16``: the training multiplies in
    bfloat16 where torch's autocast does.

    Raises
    ------
    InputError
        A value that is none of these.

    Examples
    --------
    >>> Form(alignment="cfda").registration
    'model'
    """

    registration: str = field(default="model", metadata={"of": ("model", "optical_flow", "none")})
    start: str = field(default="affine", metadata={"of": ("affine", "bicubic")})
    alignment: str = field(default="none", metadata={"of": tuple(ALIGNMENTS)})
    attention: str = field(default="scaca", metadata={"of": ATTENTIONS})
    merging: str = field(default="scmf", metadata={"of": tuple(MERGINGS)})
    residual: bool = True
    trial: bool = True
    swapped_flow: bool = False
    bf16: bool = False

    def __post_init__(self):
        for own in fields(self):
            value, of = getattr(self, own.name), own.metadata.get("of", (True, False))
            if not any(type(value) is type(choice) and value == choice for choice in of):
                raise InputError(
                    f"{own.name} is {value!r}: one of {', '.join(map(str, of))} is needed; leave "
                    "it out for the default."
                )


PUBLISHED = Form(
    registration="none",
    start="bicubic",
    alignment="cfda",
    residual=False,
    trial=False,
)


@dataclass(frozen=True)
class Preset:
    """The network's size, steps, and the pixels along one side of a crop."""

    endmembers: int
    width: int
    blocks: tuple[int, ...]
    steps: int
    crop: int


# [uafl2026]_: 64 channels, two halvings, K = 3; steps and crop are ours
PUBLISHED_PRESETS = {
    "lite": Preset(3, 16, (1, 1), 600, 48),
    "paper": Preset(3, 64, (2, 1, 1), 10_000, 128),
}
PRESETS = {
    "lite": Preset(6, 16, (1, 1), 400, 48),
    "paper": Preset(6, 64, (2, 1, 1), 10_000, 128),
}
