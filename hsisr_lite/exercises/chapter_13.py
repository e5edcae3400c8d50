"""Checks for the exercises of chapter 13, bending the reference."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from

_REACH = 3


def between_pixels(value):
    """Check exercise 1: rows (1, 3) and (5, 11), read at row 0.25 and column 0.5.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> between_pixels(3.5)
    'Rows first or columns first, the shares are the same products.'
    """
    value = _number(value)
    if np.isclose(value, 3.5):
        return Right("Rows first or columns first, the shares are the same products.")
    wrong_turns = {
        4.0: "You took row 0.5 and column 0.25; a place is row, then column.",
        6.5: "The nearer row counts more: at row 0.25 the first has the share 0.75.",
        5.0: "That is the mean of all four; at row 0.25 the first row counts more.",
        2.0: "That is the first row alone; a quarter of the second belongs to it.",
        8.0: "That is the second row alone; the first one is nearer.",
        2.125: "That leaves out the fourth pixel; its share is an eighth.",
        1.0: "That is the nearest pixel; the others have shares, too.",
        3.0: "That is one pixel, or a plane through three; the fourth has a share, too.",
        14.0: "The shares must sum to one; yours sum to four.",
        7.0: "The shares must sum to one; yours sum to two.",
    }
    for wrong, reveals in wrong_turns.items():
        if np.isclose(value, wrong):
            raise WrongAnswer(reveals)
    raise WrongAnswer("Read both rows at column 0.5, then go a quarter of the way between them.")


def best_step(function):
    """Check exercise 2: the whole step (down, right) at which b fits a best.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    for down, right in ((2, -1), (-3, 3), (0, 2), (0, 0), (3, 0)):
        a = rng.random((20, 24))
        a = a + np.linspace(0, 3, 24)  # brighter to the right, which a mere product falls for
        # b(p + d) = a(p), round the edges too
        b = np.roll(a, (down, right), axis=(0, 1))
        given = a, b + 0.01 * rng.standard_normal(b.shape)
        found = array_from(function, *(image.copy() for image in given))
        if found.shape != (2,):
            raise WrongAnswer(
                f"Two numbers are needed, (down, right); yours has the shape {found.shape}."
            )
        if np.array_equal(found, (down, right)):
            continue
        wrong_turns = {
            "That is the step from b to a; what belongs at p is read at p + d.": (-down, -right),
            "The order is (down, right); yours is (right, down).": (right, down),
            "The order is (down, right), and the sign that of p + d; yours are both turned.": (
                -right,
                -down,
            ),
            "Steps go from -3 to 3; yours look like places in a table from 0 to 6.": (
                down + _REACH,
                right + _REACH,
            ),
        }
        for reveals, wrong in wrong_turns.items():
            if np.array_equal(found, wrong):
                raise WrongAnswer(reveals)
        if np.abs(found).max() > _REACH:
            raise WrongAnswer("Steps go from -3 to 3, both ends included.")
        product = _largest_product(*given)
        if np.array_equal(found, product):
            raise WrongAnswer(
                "You look for the largest product, which likes whatever is bright; the mean "
                "square of the difference is asked for."
            )
        if not found.any():
            raise WrongAnswer("You say (0, 0) where the image has moved: compare all 49 steps.")
        raise WrongAnswer(
            f"For an image moved by {(down, right)} yours is {tuple(found.tolist())}: try all 49 "
            "steps, up to 3 at both ends, and keep the one of the smallest cost."
        )
    return Right("That is a correlation volume whose window is the whole image.")


def costs_of_volume(count):
    """Check exercise 3: costs of the volume for images of 96 x 64 pixels.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> costs_of_volume(185856)
    'Without halving, and with the same reach in full pixels, it would be 15 times as many.'
    """
    count, pixels = _number(count), 48 * 32
    if count == pixels * 121:
        return Right(
            "Without halving, and with the same reach in full pixels, it would be 15 times as many."
        )
    wrong_turns = {
        96 * 64 * 121: "The volume is made on the halved image, half as many rows and columns.",
        48 * 64 * 121: "Both sides are halved, so a quarter of the pixels is left.",
        pixels * 100: "From -5 to 5 there are eleven steps, not ten: zero is one of them.",
        pixels * 25: "Steps go 5 both ways, up and down, left and right.",
        pixels * 36: "Steps go both ways, from -5 to 5.",
        pixels * 22: "Steps down and steps right are combined: eleven times eleven.",
        pixels * 11: "Steps down and steps right are combined: eleven times eleven.",
        pixels * 441: "5 pixels of the halved image are asked for, not 10.",
        pixels * 120: "No step is a step, too: zero counts.",
        121: "That is for one pixel; every pixel of the halved image has so many.",
        pixels: "That is the number of pixels; each has a cost for every step.",
        pixels * 121 * 16: "A cost is one number: the channels of a and b are averaged.",
    }
    if count in wrong_turns:
        raise WrongAnswer(wrong_turns[count])
    raise WrongAnswer("How many pixels has the halved image, and how many steps does each try?")


def _largest_product(a, b):
    steps = [(i, j) for i in range(-_REACH, _REACH + 1) for j in range(-_REACH, _REACH + 1)]

    def product(step):
        tall, wide = (size - abs(s) for size, s in zip(a.shape, step, strict=True))
        i, j = (max(0, -s) for s in step)
        here = a[i : i + tall, j : j + wide]
        there = b[i + step[0] :, j + step[1] :][:tall, :wide]
        return np.mean(here * there)

    return max(steps, key=product)


def _number(answer):
    try:
        return float(np.asarray(answered(answer), dtype=np.float64))
    except (TypeError, ValueError):
        raise WrongAnswer("write one number.") from None
