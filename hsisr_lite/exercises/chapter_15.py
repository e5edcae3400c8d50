"""Checks for the exercises of chapter 15, training UAFL."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from


def share_of_large(share):
    """Check exercise 1: the share of leaves above 8 pixels, of leaves of 2 pixels and more.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> share_of_large(1 / 16)
    'Four times as large, sixteen times as rare: so every size covers as much ground.'
    """
    try:
        found = float(answered(share))
    except (TypeError, ValueError):
        raise WrongAnswer("write one number, such as 0.5.") from None
    # 0.0625, or rounded to two or three decimals; halves go either way
    if np.isclose(found, [1 / 16, 0.06, 0.062, 0.063], rtol=0, atol=1e-4).any():
        return Right(
            "Four times as large, sixteen times as rare: so every size covers as much ground."
        )
    reveals = {
        1 / 4: "That is 2 / 8; the law has the power -2.",
        15 / 16: "That is the share of those that are smaller.",
        1 / 8: "Divide the two powers, not the two radii halved once more.",
        1 / 64: "That is 8 to the power -2; divide by what the smallest radius gives.",
        16: "Upside down: a share is at most 1.",
        1 / 2: "That falls with the square root; the law falls with the square.",
    }
    # The largest radius of the chapter, forgotten to be removed
    reveals[(8.0**-2 - 24.0**-2) / (2.0**-2 - 24.0**-2)] = (
        "That is with a largest leaf of 24 pixels; here there is none."
    )
    for answer, sentence in reveals.items():
        if np.isclose(found, answer, atol=1e-3):
            raise WrongAnswer(sentence)
    raise WrongAnswer("Put r = 8, s = 2 and 1 / L = 0 into the law.")


def divided_loss(function):
    """Check exercise 2 on random batches whose examples are of very different size.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    for shape in ((3, 4, 5, 6), (1, 2, 3, 3), (4, 1, 2, 5)):
        size = 10.0 ** np.arange(shape[0])[:, None, None, None]
        missing = size * rng.standard_normal(shape)
        added = missing + 0.3 * size * rng.standard_normal(shape)
        found = array_from(function, added.copy(), missing.copy())
        if found.shape != ():
            raise WrongAnswer(f"one number is to come out; yours has the shape {found.shape}.")
        _reveal(float(found), added, missing)
    return Right("Each example counts by the share of its own error that is left.")


def _reveal(found, added, missing):
    """Raise what a wrong number tells, if it is wrong."""

    def each(values):
        return np.abs(values).sum(axis=(1, 2, 3))

    gap = added - missing
    right = np.mean(each(gap) / each(missing))
    if np.isclose(found, right, rtol=1e-6):
        return
    few = len(added)
    wrong = {
        "You divided the sums of the whole batch: the example with the largest error then makes "
        "the loss alone.": each(gap).sum() / each(missing).sum(),
        "Nothing is divided yet: a hard example counts for more than an easy one.": np.mean(
            np.abs(gap)
        ),
        "You divided by what was added; divide by what is missing.": np.mean(
            each(gap) / each(added)
        ),
        "You divided pixel by pixel: where little is missing, that explodes. Sum first.": np.mean(
            np.abs(gap) / np.abs(missing)
        ),
        "Squares, not absolute values: the loss is of L1.": np.mean(
            (gap**2).sum((1, 2, 3)) / (missing**2).sum((1, 2, 3))
        ),
        "The signs cancel: take absolute values before the sum.": np.mean(
            gap.sum((1, 2, 3)) / missing.sum((1, 2, 3))
        ),
        "Upside down: the loss is to fall as the gap falls.": np.mean(each(missing) / each(gap)),
        "The sum over the examples grows with the batch; take their mean.": few * right,
        "You compare what was added with nothing; subtract what is missing.": np.mean(
            each(added) / each(missing)
        ),
    }
    for sentence, value in wrong.items():
        if np.isclose(found, value, rtol=1e-6) or np.isclose(found, abs(value), rtol=1e-6):
            raise WrongAnswer(sentence)
    raise WrongAnswer(
        "Sum |added - missing| over bands, rows and columns of each example, divide by the same "
        "sum of |missing|, and take the mean over the batch."
    )


def peeked(letters):
    """Check exercise 3: which choices let the test scene's truth in.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> peeked({"b", "d", "f"})
    'A truth comes in by choosing, and by what only a simulation knows; looking alone is harmless.'
    """
    try:
        letters = {str(letter).strip().lower() for letter in answered(letters)}
    except TypeError:
        raise WrongAnswer("write a set of letters, such as {'a', 'b'}.") from None
    if not letters <= set("abcdefg"):
        raise WrongAnswer("the choices are called a to g.")
    for letter, sentence in {
        "a": "a: a number of steps that was set before knows nothing of this scene.",
        "c": "c: another scene's truth is not this scene's; such a choice may be poor, but fair.",
        "e": "e: what is printed and chooses nothing changes no image.",
        "g": "g: the LrHSI is observed; it is no truth.",
    }.items():
        if letter in letters:
            raise WrongAnswer(sentence)
    for letter, sentence in {
        "b": "b: the epoch is chosen by the scores that are then reported.",
        "d": "d: the score of this scene has chosen K, and is then reported.",
        "f": "f: the true flow is known to the simulation only; no camera tells it.",
    }.items():
        if letter not in letters:
            raise WrongAnswer(sentence)
    return Right(
        "A truth comes in by choosing, and by what only a simulation knows; looking alone is "
        "harmless."
    )
