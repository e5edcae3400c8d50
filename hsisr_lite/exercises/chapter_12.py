"""Checks for the exercises of chapter 12, when images do not line up."""

import numpy as np

from hsisr_lite.degradation.flows import elastic_flow, warp
from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from


def corner_moves(distance):
    """Check exercise 1: the corner of 201 x 201 pixels under half a degree about the centre.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> corner_moves(1.23)
    'Half a degree sounds like nothing, and is more than a pixel in the corners.'
    """
    distance = _number(distance)
    reach, angle = np.hypot(100, 100), np.deg2rad(0.5)
    if _rounds(distance, reach * angle, decimals=1):
        return Right("Half a degree sounds like nothing, and is more than a pixel in the corners.")
    wrong_turns = {
        reach * 0.5: "Half a degree is not half a radian: times pi / 180.",
        100 * angle: "That is the middle of an edge; the corner is the root of 2 farther away.",
        2 * reach * angle: (
            "Twice too far: half the diagonal is the radius, and half a degree the angle."
        ),
        201 * angle: "The radius runs from the centre to the corner; 201 is a whole side.",
        2 * angle * reach / 2 * np.pi: "An arc is radius times angle; the angle holds pi already.",
        reach: "That is how far away the corner is; times the angle in radians, it moves.",
        reach * np.cos(angle): "That is where it stands after the turn, not how far it moved.",
    }
    for answer, reveals in wrong_turns.items():
        if _close(distance, answer):
            raise WrongAnswer(reveals)
    if abs(distance - reach * angle) < 0.1 * reach * angle:
        raise WrongAnswer("That is near: round only at the end, and give two decimals.")
    raise WrongAnswer(
        "The distance from the centre to the corner, in pixels, times the angle, in radians, is "
        "the way of the corner."
    )


def composed_flow(both):
    """Check exercise 2: the one flow that does what f and then g do.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rows, cols = 40, 36
    f = 3 * elastic_flow(rows, cols, rms=1.0, length=9, seed=1)
    g = 2 * elastic_flow(rows, cols, rms=1.0, length=9, seed=2)
    found = array_from(both, f.copy(), g.copy())
    if found.shape != f.shape:
        raise WrongAnswer(
            f"A flow of shape {f.shape} is needed, down and right for each pixel; yours has "
            f"{found.shape}."
        )
    then = lambda one, other: np.stack([warp(part, other) for part in one])  # noqa: E731
    if _near(found, g + then(f, g)):
        return Right("However many warps you compose, the image is interpolated once.")
    wrong_turns = {
        "The sum takes f where you start; f has to be read where g leads to.": f + g,
        "That is g, then f. What comes out first was seen through f, so g looks there first.": (
            f + then(g, f)
        ),
        "That is f where g leads to; the way that g itself went is missing.": then(f, g),
        "f has to be read at p + g(p); you went to p - g(p).": g + then(f, -g),
        "You took f off; it has to be added.": g - then(f, g),
        "That is g alone: add f, read at p + g(p).": g,
        "That is f alone: g comes into it, too.": f,
        "Down and right have changed places where you read f: the first component goes down.": (
            g + then(f, g[::-1])
        ),
        "You return places p + f(p); a flow is the way there, so take p off.": (
            g + then(f, g) + np.mgrid[:rows, :cols]
        ),
    }
    for reveals, answer in wrong_turns.items():
        if _near(found, answer):
            raise WrongAnswer(reveals)
    raise WrongAnswer(
        "Pixel p of the second image shows the first at q = p + g(p), and that shows the image at "
        "q + f(q). The flow is the way from p to there."
    )


def furrow_snr(decibels):
    """Check exercise 3: a sine of period 8 pixels, half a pixel off.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> furrow_snr(8.2)
    'At twice the period it would be 6 dB more: fine detail pays first.'
    """
    decibels = _number(decibels)
    larger = 2 * np.sin(np.pi * 0.5 / 8)
    right = -20 * np.log10(larger)
    if _rounds(decibels, right, decimals=0):
        return Right("At twice the period it would be 6 dB more: fine detail pays first.")
    wrong_turns = {
        -right: "The sign: the furrows are larger than the error, so the ratio is above 0 dB.",
        right / 2: "Amplitudes become decibels by 20 log10, mean squares by 10 log10.",
        right + 20 * np.log10(2): "The factor 2 before the sine is missing: take 2 sin(pi d / T).",
        right - 10 * np.log10(2): (
            "Signal and error are both sine waves: the root of 2 of one cancels that of the other."
        ),
        right + 10 * np.log10(2): (
            "Signal and error are both sine waves: the root of 2 of one cancels that of the other."
        ),
        -20 * np.log10(2 * np.sin(2 * np.pi * 0.5 / 8)): "The sine is of pi d / T, not of 2 pi.",
        -20 * np.log10(2 * np.sin(np.pi / 8)): "That is a whole pixel off; here it is half of one.",
        -20 * np.log10(2 * np.sin(np.pi * 0.5 / 4)): "That is a period of 4 pixels; here it is 8.",
        -20 * np.log(larger): "Decibels go by powers of 10, not of e.",
        larger: "That is the error's amplitude over the signal's; now in decibels.",
    }
    for answer, reveals in wrong_turns.items():
        if abs(decibels - answer) < 0.06:
            raise WrongAnswer(reveals)
    if abs(decibels - right) < 0.5:
        raise WrongAnswer("That is near: round only at the end, and take the sine as it is.")
    raise WrongAnswer(
        "The error's amplitude is 2 sin(pi d / T) times the signal's, with d = 0.5 and T = 8; the "
        "ratio of mean squares is that, squared and turned over."
    )


def _number(answer):
    try:
        return float(np.asarray(answered(answer), dtype=np.float64))
    except (TypeError, ValueError):
        raise WrongAnswer("write one number.") from None


def _rounds(value, right, decimals):
    """Whether the value is right, rounded to so many decimals or to more of them."""
    rounded = [round(right, more) for more in range(decimals, 7)]
    return bool(np.isclose(value, [right, *rounded], rtol=0, atol=1e-6).any())


def _close(value, wanted):
    """A mistake, to two digits: readers round."""
    return abs(value - wanted) < 0.012 * wanted


def _near(found, wanted):
    """Away from borders, whatever the order of the spline; wrong turns differ by more than 0.3."""
    inner = (slice(None), slice(6, -6), slice(6, -6))
    return np.sqrt(np.mean((found - wanted)[inner] ** 2)) < 0.08
