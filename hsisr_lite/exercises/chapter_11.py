"""Checks for the exercises of chapter 11, taking M2U-Net apart."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, call


def folded_by_hand(scale_and_shift):
    """Check exercise 1: the gate 1/4 folded into the scale 2 and the shift -1.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> folded_by_hand((0.5, -0.25))
    'Scale and shift alike: the kink stays where it was, at 1/2, and both slopes shrink to 1/4.'
    """
    try:
        found = np.asarray(answered(scale_and_shift), dtype=np.float64)
    except (TypeError, ValueError):
        raise WrongAnswer("write two numbers, such as (1, 2).") from None
    if found.shape != (2,):
        raise WrongAnswer("Two numbers, please: the new scale and the new shift.")
    reveals = {
        (0.5, -1.0): "The shift stands inside the LeakyReLU too: the gate multiplies it as well.",
        (2.0, -0.25): "The scale stands inside the LeakyReLU too: the gate multiplies it as well.",
        (2.0, -1.0): "That is the pair as it was, without the gate.",
        (8.0, -4.0): "You divided by the gate; it multiplies what comes out.",
        (2.25, -0.75): "You added the gate; it multiplies what comes out.",
        (0.5, 0.25): "The sign of the shift is lost: a positive gate keeps signs.",
        (0.1, -0.05): (
            "The slope 0.2 is the LeakyReLU's own: it acts below the kink, before and after."
        ),
        (-0.25, 0.5): "Scale first, then shift.",
    }
    if np.allclose(found, (0.5, -0.25)):
        return Right(
            "Scale and shift alike: the kink stays where it was, at 1/2, and both slopes shrink "
            "to 1/4."
        )
    for answer, sentence in reveals.items():
        if np.allclose(found, answer):
            raise WrongAnswer(sentence)
    raise WrongAnswer("Multiply 2 x - 1 by the gate under the LeakyReLU, and read off both.")


def folded_forward(fold_forward):
    """Check exercise 2 on random layers, gates of either sign among them.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    for outputs, channels, side in ((3, 3, 1), (4, 6, 3), (6, 4, 1)):
        gates = rng.uniform(-1, 1, channels)
        weight = rng.standard_normal((outputs, channels, side, side))
        bias = rng.standard_normal(outputs)
        told = gates.copy(), weight.copy(), bias.copy()
        try:
            pair = call(fold_forward, *told)
        except (ValueError, IndexError) as error:
            raise WrongAnswer(
                f"shapes do not fit: {error}. gates is (channels,), weight (outputs, channels, "
                "k, k)."
            ) from None
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise WrongAnswer("return two arrays: the weight, then the bias.")
        if not all(np.array_equal(a, b) for a, b in zip(told, (gates, weight, bias), strict=True)):
            raise WrongAnswer("your function changes what it was given; make new arrays.")
        found = np.asarray(pair[0], dtype=np.float64), np.asarray(pair[1], dtype=np.float64)
        if found[0].shape != weight.shape or found[1].shape != bias.shape:
            raise WrongAnswer(
                f"the shapes must stay {weight.shape} and {bias.shape}; yours are "
                f"{found[0].shape} and {found[1].shape}."
            )
        _reveal(found, gates, weight, bias)
    return Right(
        "Any sign will do on this side: no kink stands between the gate and the next weights."
    )


def _reveal(found, gates, weight, bias):
    """Raise what a wrong pair of arrays tells, if it is wrong."""
    right = weight * gates[:, None, None]
    with np.errstate(divide="ignore"):
        wrong = {
            "You divided by the gates; what comes in is gates times x.": (
                weight / gates[:, None, None]
            ),
            "Nothing was folded: the weight is as it was.": weight,
            "A gate below zero counts with its sign: there is no kink between.": (
                weight * np.abs(gates)[:, None, None]
            ),
        }
    if weight.shape[0] == weight.shape[1]:
        wrong["You scaled the outputs; gates belong to what comes in, the second axis."] = (
            weight * gates[:, None, None, None]
        )
    if np.allclose(found[0], right):
        if np.allclose(found[1], bias):
            return
        raise WrongAnswer("The bias is added after the gates have done their work: leave it.")
    for sentence, answer in wrong.items():
        if np.allclose(found[0], answer):
            raise WrongAnswer(sentence)
    raise WrongAnswer(
        "Write one output as a sum over channels of weight times gate times x, and collect what "
        "stands before x."
    )


def carries_detail(letters):
    """Check exercise 3: which auxiliary paths let a pixel of Z reach one place of the image.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> carries_detail({"b", "d", "e"})
    'What crosses must have rows and columns of its own: a map, not a mean.'
    """
    try:
        letters = {str(letter).strip().lower() for letter in answered(letters)}
    except TypeError:
        raise WrongAnswer("write a set of letters, such as {'a', 'b'}.") from None
    if not letters <= set("abcdef"):
        raise WrongAnswer("the paths are called a, b, c, d, e and f.")
    if "a" in letters:
        raise WrongAnswer("a: a wider path makes better gates, and still one number per channel.")
    if "c" in letters:
        raise WrongAnswer("c: a maximum is one number per channel, too; it does not say where.")
    if "f" in letters:
        raise WrongAnswer("f: a deeper gate is a function of the same means.")
    if "b" not in letters:
        raise WrongAnswer("b: a map has a value at each pixel, and multiplies there.")
    if "d" not in letters:
        raise WrongAnswer("d: beside the main path's channels, Z meets it pixel by pixel.")
    if "e" not in letters:
        raise WrongAnswer("e: what is added at a pixel arrives at that pixel.")
    return Right("What crosses must have rows and columns of its own: a map, not a mean.")
