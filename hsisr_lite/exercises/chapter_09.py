"""Checks for the exercises of chapter 09, a first image."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from

_M1, _M2, _D = 5.0, 3.0, 4.0  # mean square errors of two streams, and of their difference
_WIDTH, _GROUP = 60, 20  # channels in a CIE module, and in each of its groups


def average_of_streams(average, weight):
    """Check exercise 1: the mean square error of the average, and the best weight of stream 1.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> average_of_streams(3, 0.25)
    'No better than stream 2 alone, for stream 1 is much worse; at a quarter it would be 2.75.'
    """
    try:
        average, weight = float(answered(average)), float(answered(weight))
    except (TypeError, ValueError):
        raise WrongAnswer("write two numbers, such as 1.5 and 0.5.") from None
    right = (_M1 + _M2) / 2 - _D / 4
    if not np.isclose(average, right):
        wrong_turns = {
            "That is the average of the errors: the streams disagree, and that lowers it.": (
                (_M1 + _M2) / 2
            ),
            "The disagreement counts with w (1 - w), which is a quarter at one half.": (
                (_M1 + _M2) / 2 - _D
            ),
            "w (1 - w) at w = 1/2 is a quarter, not a half.": (_M1 + _M2) / 2 - _D / 2,
            "The last term is taken off, not added.": (_M1 + _M2) / 2 + _D / 4,
            "That would be so if the errors had nothing to do with each other; D says how much "
            "they have.": (_M1 + _M2) / 4,
            "Each error counts with its weight, one half.": _M1 + _M2 - _D / 4,
        }
        _reveal(average, wrong_turns)
        raise WrongAnswer("Put w = 1/2 into M(w) = w M1 + (1 - w) M2 - w (1 - w) D.")
    best = 0.5 + (_M2 - _M1) / (2 * _D)
    if not np.isclose(weight, best):
        wrong_turns = {
            "That is the weight of stream 2; stream 1 is the worse one.": 1 - best,
            "One half is best only where both streams are equally good.": 0.5,
            "Weights inverse to the errors are best where errors have nothing to do with each "
            "other; D says how much they have.": _M2 / (_M1 + _M2),
            "Even a worse stream helps, as long as it errs elsewhere. If you computed 0: the "
            "derivative of w (1 - w) D is (1 - 2 w) D, with a factor of two.": 0.0,
        }
        _reveal(weight, wrong_turns)
        raise WrongAnswer("The average is right. For the weight, set the derivative of M(w) to 0.")
    return Right(
        "No better than stream 2 alone, for stream 1 is much worse; at a quarter it would be 2.75."
    )


def parameters(numbers):
    """Check exercise 2 for cameras of several shapes, some without room for a module.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    cameras = ((54, 8), (99, 8), (64, 8), (96, 8), (31, 3), (12, 8), (5, 5), (200, 1))
    found = []
    for camera in cameras:
        found.append(array_from(numbers, *camera))
        if found[-1].shape != ():
            raise WrongAnswer(f"One number is wanted; yours has the shape {found[-1].shape}.")
    right = [_count(*camera) for camera in cameras]
    if np.allclose(found, right):
        return Right("One module for each doubling that fits, and the paper's 17,580 for 54 and 8.")
    wrong_turns = {
        "That is one stream; there are two, with weights of their own.": {"streams": 1},
        "You left out the biases: a layer from i to o channels has (i + 1) o numbers.": {"bias": 0},
        "You left out the last layer, from the doubled channels to all bands.": {"last": False},
        "f1, f2 and f3 are three layers of 20 to 20; you counted one.": {"groups": 1},
        "f1, f2 and f3 are three layers of 20 to 20; you counted two.": {"groups": 2},
        "The three small layers take 20 channels to 20, not 60 to 60.": {"group": _WIDTH},
        "n is rounded down: a module more would be wider than the LrHSI.": {"rounding": np.ceil},
        "n is rounded down, not to the nearest.": {"rounding": np.round},
        "Where the bands are less than doubled, n is 0: the last layer stands alone.": {"least": 1},
        "Each module doubles what the one before it gave; yours all have the same inputs.": {
            "doubling": False
        },
    }
    for reveals, turn in wrong_turns.items():
        if np.allclose(found, [_count(*camera, **turn) for camera in cameras]):
            raise WrongAnswer(reveals)
    missed = [camera for camera, a, b in zip(cameras, found, right, strict=True) if a != b]
    bands, msi_bands = missed[0]
    raise WrongAnswer(
        f"For {bands} and {msi_bands} bands: count a layer from i to o channels as (i + 1) o, a "
        "module as f0 to f4, and do not forget the last layer and the second stream."
    )


def harmless_changes(letters):
    """Check exercise 3: what leaves the first image as it was.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> harmless_changes({"a", "b", "e"})
    'Where a pixel stands is nothing to this network; what is in it and its answer is all.'
    """
    try:
        letters = {str(letter).strip().lower() for letter in answered(letters)}
    except TypeError:
        raise WrongAnswer("write a set of letters, such as {'a', 'b'}.") from None
    if not letters <= set("abcde"):
        raise WrongAnswer("the changes are called a, b, c, d and e.")
    if "c" in letters:
        raise WrongAnswer("c: questions shuffled without their answers teach something else.")
    if "d" in letters:
        raise WrongAnswer("d: a blurred pixel is another question, and gets another answer.")
    if "a" not in letters:
        raise WrongAnswer("a: turning moves pixels about, and each is mapped by itself.")
    if "b" not in letters:
        raise WrongAnswer("b: the loss is a mean over pixels, and a mean has no order.")
    if "e" not in letters:
        raise WrongAnswer("e: no pixel looks at its neighbours, so a tile has no border.")
    return Right(
        "Where a pixel stands is nothing to this network; what is in it and its answer is all."
    )


def _count(bands, msi_bands, *, streams=2, bias=1, last=True, groups=3, group=_GROUP,
           rounding=np.floor, least=0, doubling=True):  # fmt: skip
    """SML-Net's numbers, or what a wrong turn makes of them."""
    modules = max(least, int(rounding(np.log2(bands / msi_bands))))
    total, width = 0, msi_bands
    for _ in range(modules):
        inside = (width + bias) * _WIDTH + groups * (group + bias) * group
        total += inside + (_WIDTH + bias) * 2 * width
        width = 2 * width if doubling else width
    return streams * (total + last * (width + bias) * bands)


def _reveal(answer, wrong_turns):
    for reveals, wrong in wrong_turns.items():
        if np.isclose(answer, wrong):
            raise WrongAnswer(reveals)
