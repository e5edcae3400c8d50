"""Misregistration: the second camera looks through a flow, so the two images do not line up.

An affine flow and a smooth random one add up to what pairs of real cameras show.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.ndimage import distance_transform_edt

from hsisr_lite.arrays import InputError, as_seed
from hsisr_lite.degradation.flow_checks import FAR, LENGTHS, as_within
from hsisr_lite.degradation.flows import (
    affine_flow,
    as_flow,
    elastic_flow,
    end_point_error,
    inverse_affine_flow,
    inverse_flow,
    warp,
)
from hsisr_lite.degradation.pair import ObservedPair

__all__ = [
    "MISREGISTRATIONS",
    "Misregistration",
    "affine_flow",
    "as_misregistration",
    "elastic_flow",
    "end_point_error",
    "inverse_affine_flow",
    "inverse_flow",
    "misregister",
    "random_flow",
    "seen_through",
    "warp",
    "without_holes",
]


@dataclass(frozen=True)
class Misregistration:
    """How far two cameras may be out of step; lengths in pixels of the high-resolution grid.

    Attributes
    ----------
    translation : float
        Largest shift, along each axis.
    rotation : float
        Largest turn, in degrees.
    scale : float
        Largest difference of scale: 0.01 is one per cent.
    elastic : float
        RMS, per component, of what is not affine.
    length : float
        Its correlation length.

    Raises
    ------
    InputError
        Something else than a number, below 0, a length of 0, or a difference of scale above 0.99.

    Examples
    --------
    >>> Misregistration(translation=1, rotation=0, scale=0, elastic=0.5).length
    12.0
    """

    translation: float
    rotation: float
    scale: float
    elastic: float
    length: float = 12.0

    def __post_init__(self):
        bounds = {"rotation": (0, 360), "scale": (0, 0.99), "length": LENGTHS}
        for key in (field.name for field in fields(self)):
            name = f"{key} of the misregistration"
            as_within(getattr(self, key), name, bounds.get(key, (0, FAR)))


MISREGISTRATIONS = {
    "easy": Misregistration(translation=1.0, rotation=0.3, scale=0.003, elastic=0.4),
    "realistic": Misregistration(translation=3.0, rotation=1.0, scale=0.01, elastic=1.0),
}


def random_flow(rows, cols, preset="realistic", seed=0):
    """Draw a flow: affine, uniform within the preset's bounds, plus elastic.

    Parameters
    ----------
    rows, cols : int
    preset : {"easy", "realistic"} or Misregistration
        ``realistic`` is made after flows measured between the two views of real dual cameras, for
        images of about 100 pixels; ``easy`` is what a good alignment leaves.
    seed : int

    Returns
    -------
    flow : (2, rows, cols) float64 array

    Raises
    ------
    InputError
        A preset that is none, or a size that is no whole number.

    Examples
    --------
    >>> flow = random_flow(96, 96, "easy")
    >>> flow.shape, bool(np.hypot(*flow).mean() < 3)
    ((2, 96, 96), True)
    """
    bounds = as_misregistration(preset)
    rng = np.random.default_rng([as_seed(seed), 1])  # not the numbers that the elastic part draws
    affine = affine_flow(
        rows,
        cols,
        translation=bounds.translation * rng.uniform(-1, 1, 2),
        rotation=bounds.rotation * rng.uniform(-1, 1),
        scale=1 + bounds.scale * rng.uniform(-1, 1),
    )
    return affine + elastic_flow(rows, cols, rms=bounds.elastic, length=bounds.length, seed=seed)


def misregister(pair, misregistration="realistic", seed=0):
    """Turn the second camera away: the pair whose HrMSI is seen through a flow, and that flow.

    The LrHSI stays, and with it the frame in which a fusion is scored. An interpolated image is a
    little smoother than the one that it came from, noise included.

    Parameters
    ----------
    pair : ObservedPair
    misregistration : {"easy", "realistic"}, Misregistration or (2, rows, cols) array
        A preset to draw a flow from, or the flow itself.
    seed : int
        Of the draw.

    Returns
    -------
    pair : ObservedPair
        Its ``hr_msi`` and ``hr_valid`` are warped, everything else is kept.
    flow : (2, rows, cols) float64 array

    Raises
    ------
    InputError
        No pair, an unknown preset, or a flow that does not fit the HrMSI.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"))
    >>> seen, flow = hl.misregister(pair, "easy", seed=1)
    >>> seen.hr_msi.shape == pair.hr_msi.shape, seen.lr_hsi is pair.lr_hsi
    (True, True)
    """
    check_pair(pair, "misregister")
    rows, cols = pair.hr_msi.shape[:2]
    if isinstance(misregistration, str | Misregistration):
        flow = random_flow(rows, cols, misregistration, seed)
    else:
        flow = as_flow(misregistration, rows, cols)
    return seen_through(pair, flow), flow


def check_pair(pair, function):
    """Raise :class:`InputError` unless a function of the package was given a pair.

    Examples
    --------
    >>> check_pair(ObservedPair([[[1]]], [[[1]]], 1, [500]), "register")
    """
    if not isinstance(pair, ObservedPair):
        raise InputError(
            f"{function} was given a {type(pair).__name__}: an ObservedPair is needed; make one "
            "with hl.simulate(scene) or hl.load_pair(lr, hr)."
        )


def seen_through(pair, flow):
    """The pair with its HrMSI warped by a flow; a pixel that touches no-data holds none.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"))
    >>> still = seen_through(pair, np.zeros((2, 96, 96)))
    >>> bool(np.abs(still.hr_msi - pair.hr_msi).max() < 1e-6)
    True
    """
    valid = pair.hr_valid
    warped = warp(without_holes(pair.hr_msi, valid), flow)
    if valid is not None:
        # Two pixels to each side shape a cubic: more than a trace of a hole there is too much.
        valid = warp((~valid).astype(np.float64), flow, order=1) < 1e-6
    return replace(pair, hr_msi=warped, hr_valid=valid)


def without_holes(image, valid):
    """The image, pixels without data as their nearest neighbour that has some.

    Examples
    --------
    >>> without_holes(np.array([[3.0, 0.0]]), np.array([[True, False]]))
    array([[3., 3.]])
    """
    if valid is None or valid.all() or not valid.any():
        return image
    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return image[tuple(nearest)]


def as_misregistration(preset):
    """The bounds of a preset by its name, or those given, checked.

    Examples
    --------
    >>> as_misregistration("realistic").length
    12.0
    """
    if isinstance(preset, Misregistration):
        return preset
    if not isinstance(preset, str) or preset not in MISREGISTRATIONS:
        seen = repr(preset) if isinstance(preset, str) else f"of type {type(preset).__name__}"
        raise InputError(
            f"misregistration {seen} is not known: one of {', '.join(MISREGISTRATIONS)} is "
            "needed, or a Misregistration of your own."
        )
    return MISREGISTRATIONS[preset]
