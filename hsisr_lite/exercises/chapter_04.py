"""Checks for the exercises of chapter 04, spectral unmixing."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from, call
from hsisr_lite.unmixing import fcls


def shaded_pixel(free, constrained):
    """Check exercise 1: pixel (0.15, 0.25) of grass (0.2, 0.6) and soil (0.6, 0.2).

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> shaded_pixel((0.375, 0.125), (0.625, 0.375))
    'Half the light: free amounts halve, while forced ones tell of more soil, which is not there.'
    """
    pairs = []
    for answer in (free, constrained):
        try:
            pair = np.asarray(answered(answer), dtype=np.float64)
        except (TypeError, ValueError):
            pair = np.zeros(0)
        if pair.shape != (2,):
            raise WrongAnswer("write each answer as two numbers, (grass, soil).")
        pairs.append(pair)
    free, constrained = pairs
    if np.allclose(free, (0.125, 0.375)):
        raise WrongAnswer("Grass comes first, and most of this light is grass.")
    if np.allclose(free, (0.75, 0.25)):
        raise WrongAnswer("You scaled the free amounts to a sum of one; leave them as they come.")
    if np.allclose(free, (0.625, 0.375)):
        raise WrongAnswer("That is the answer with the sum forced to one; first leave it free.")
    if not np.allclose(free, (0.375, 0.125), atol=1e-3):
        raise WrongAnswer("Two bands, two unknowns: solve 0.2 a + 0.6 b = 0.15, 0.6 a + 0.2 b = ?")
    if not np.isclose(constrained.sum(), 1, atol=1e-3):
        raise WrongAnswer(f"Your constrained amounts sum to {constrained.sum():g}, not to one.")
    if np.allclose(constrained, (0.75, 0.25), atol=1e-3):
        raise WrongAnswer(
            "Dividing by the sum would be right if the light were known to be dimmed; least "
            "squares does not know. Move on the line from soil to grass to the point nearest to x."
        )
    if np.allclose(constrained, (0.375, 0.625), atol=1e-3):
        raise WrongAnswer("Grass comes first; put b = 1 - a and minimise over a.")
    if not np.allclose(constrained, (0.625, 0.375), atol=1e-3):
        raise WrongAnswer("Put b = 1 - a: x - soil = a (grass - soil), in least squares over a.")
    return Right(
        "Half the light: free amounts halve, while forced ones tell of more soil, which is not "
        "there."
    )


def two_materials(shares_of_two):
    """Check exercise 2 on pixels inside and outside the mixtures of two spectra.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    endmembers = rng.random((2, 12)) * [[1.0], [0.5]]
    pixels = rng.uniform(-0.5, 1.5, (60, 1)) * (endmembers[0] - endmembers[1]) + endmembers[1]
    pixels += 0.05 * rng.standard_normal(pixels.shape)
    found = array_from(shares_of_two, pixels.copy(), endmembers.copy())
    if found.shape == (60,):
        raise WrongAnswer("One share per pixel: return both, of shape (pixels, 2).")
    if found.shape != (60, 2):
        raise WrongAnswer(f"(60, 2) shares are needed, (pixels, 2); yours have {found.shape}.")
    wanted = fcls(pixels, endmembers)
    if np.allclose(found, wanted, atol=1e-6):
        return Right("A projection onto a line, and the ends of the line where it goes beyond.")
    if np.allclose(found[:, ::-1], wanted, atol=1e-6):
        raise WrongAnswer("The order is turned round: the first column is the first endmember's.")
    step = endmembers[0] - endmembers[1]
    line = (pixels - endmembers[1]) @ step / (step @ step)
    if np.allclose(found, np.stack([line, 1 - line], axis=1), atol=1e-6):
        raise WrongAnswer("Shares below zero and above one: you did not stop at the ends.")
    if np.allclose(found[:, 0], np.clip(line, 0, 1), atol=1e-6):
        raise WrongAnswer("The first share is right; the second is what it leaves of one.")
    unscaled = np.clip((pixels - endmembers[1]) @ step, 0, 1)
    if np.allclose(found[:, 0], unscaled, atol=1e-6):
        raise WrongAnswer("Divide by the squared length of the step from one end to the other.")
    free = np.clip(pixels @ np.linalg.pinv(endmembers), 0, None)
    with np.errstate(invalid="ignore"):
        scaled = free / free.sum(axis=1, keepdims=True)
    if np.allclose(found, free, atol=1e-6) or np.allclose(found, scaled, atol=1e-6, equal_nan=True):
        raise WrongAnswer(
            "Free least squares, clipped afterwards: not the nearest point with a sum of one. "
            "Put the second share as one less the first, before minimising."
        )
    if not np.allclose(found.sum(axis=1), 1, atol=1e-6):
        raise WrongAnswer("Your shares do not sum to one.")
    gap = np.abs(found - wanted).max()
    raise WrongAnswer(f"Your shares sum to one but differ from the nearest by up to {gap:.3f}.")


def next_corner(corner):
    """Check exercise 3 on points whose furthest along the direction is a corner already found.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(4)
    answers, readings = [], []
    for _ in range(10):
        shares = np.vstack([rng.dirichlet(np.ones(4), 40), np.eye(4)])
        points = shares @ rng.standard_normal((4, 4))
        for found in ([40], [42, 40], [43, 41, 42]):
            direction = rng.standard_normal(4)
            answer = call(corner, points.copy(), list(found), direction.copy())
            answers.append(_index(answer))
            readings.append(_readings(points, found, direction))
    for reveals in readings[0]:  # the right reading comes first, and reveals nothing
        if answers == [int(each[reveals]) for each in readings]:
            if reveals:
                raise WrongAnswer(reveals)
            return Right("Orthogonal to all corners found, and as far as possible, either way.")
    raise WrongAnswer("The pixels are not the furthest along the orthogonal direction.")


def _index(answer):
    """The answer as an index, where it is one whole number."""
    try:
        index = int(answer)
        whole = np.ndim(answer) == 0 and index == answer
    except (TypeError, ValueError, OverflowError):  # an array or a text, NaN, infinity
        whole = False
    if not whole:
        raise WrongAnswer("Return one whole number: the index of a pixel.")
    return index


def _readings(points, found, direction):
    """The index that each way of understanding the exercise leads to."""
    corners = points[found].T
    along = corners @ (np.linalg.pinv(corners) @ direction)
    across, last = points @ (direction - along), points[found[-1]]
    others = np.abs(points @ direction)
    others[found] = -1
    once = points @ (direction - last * (last @ direction) / (last @ last))
    return {
        "": np.abs(across).argmax(),
        "A corner may lie the other way: take the absolute value.": across.argmax(),
        "You looked for the smallest; a corner is where the largest is.": across.argmin(),
        "That is the nearest, and it was found before: look for the largest.": (
            np.abs(across).argmin()
        ),
        "You used the direction as it came; take away what the corners span.": (
            np.abs(points @ direction).argmax()
        ),
        "You left out the pixels found, but not their neighbours: take away what the corners "
        "span, and no pixel need be left out.": others.argmax(),
        "Orthogonal to the last corner only; all those found count.": np.abs(once).argmax(),
        "You kept what lies along the corners; keep what is orthogonal to them.": (
            np.abs(points @ along).argmax()
        ),
    }
