"""Checks for the exercises of chapter 14, attention and merging."""

import numpy as np
from scipy.ndimage import uniform_filter

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from

_WINDOW = 8


def pairs_compared(count):
    """Check exercise 1: ordered pairs that windows of 8 x 8 compare in an image of 96 x 64.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> pairs_compared(393216)
    'All with all would be 96 times as many, and 4 times that in an image of twice the area.'
    """
    count, pixels = _number(count), 96 * 64
    if count == pixels * 64:
        return Right(
            "All with all would be 96 times as many, and 4 times that in an image of twice the "
            "area."
        )
    wrong_turns = {
        pixels**2: "That is all with all; a pixel asks its own window only.",
        pixels * 63: "A pixel asks itself, too.",
        pixels * 64 // 2: "You count a pair once; who asks and who is asked makes two.",
        pixels * 8: "A window of 8 x 8 holds 64 pixels, not 8.",
        pixels // 64: "That is the number of windows.",
        pixels: "That is the number of pixels; each asks several.",
        64**2: "That is one window; how many are there?",
        (pixels // 64) ** 2: "Those are pairs of windows; pixels ask pixels.",
        2 * pixels * 64: "Shifted windows are another layer; the question is about one.",
    }
    if count in wrong_turns:
        raise WrongAnswer(wrong_turns[count])
    raise WrongAnswer("How many pixels are there, and how many does each of them ask?")


def even_attention(function):
    """Check exercise 2: the mean of its window at each pixel.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    for rows, cols in ((16, 24), (8, 8), (24, 16)):
        image = rng.random((rows, cols))
        found = array_from(function, image.copy())
        means = image.reshape(rows // 8, 8, cols // 8, 8).mean(axis=(1, 3))
        if found.shape == means.shape and found.shape != image.shape:
            raise WrongAnswer("That is one mean per window; each of its 64 pixels gets it.")
        if found.shape != image.shape:
            raise WrongAnswer(
                f"An image of the same shape {image.shape} is needed; yours has {found.shape}."
            )
        right = np.kron(means, np.ones((_WINDOW, _WINDOW)))
        wrong_turns = {
            "That is the image itself; an even share mixes all 64 pixels.": image,
            "That is the mean of the whole image; each window has its own.": image.mean()
            + 0 * image,
            "That is a window around each pixel; attention has fixed windows, one beside the "
            "other.": uniform_filter(image, _WINDOW),
            "You repeat each mean in turn over the image, as np.tile does: np.repeat keeps a "
            "window together.": np.tile(means, (_WINDOW, _WINDOW)),
            "That is the sum; the shares sum to one, so it is a mean.": 64 * right,
            "You average down the rows of a window only.": np.repeat(
                image.reshape(rows // 8, 8, cols).mean(axis=1), 8, axis=0
            ),
            "You average along the columns of a window only.": np.repeat(
                image.reshape(rows, cols // 8, 8).mean(axis=2), 8, axis=1
            ),
            "You average 64 neighbours in memory, a piece of a row: split rows and columns by 8 "
            "each.": np.repeat(image.reshape(-1, 64).mean(axis=1), 64).reshape(image.shape),
        }
        if not np.allclose(found, right):
            for reveals, answer in wrong_turns.items():
                if np.allclose(found, answer):
                    raise WrongAnswer(reveals)
            raise WrongAnswer(
                "Split both axes by 8, average inside the windows, and give every pixel its "
                "window's mean."
            )
    return Right("A blur whose borders show: that is what attention starts from.")


def weights_of_scmf(count):
    """Check exercise 3: what SCMF learns at a width of 16.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> weights_of_scmf(2128)
    'Three mixes of channels hold nearly three quarters of it; the gate over pixels is cheap.'
    """
    count, c = _number(count), 16
    z = 2 * c
    right = 9 * z + z * c + z * c + 9 * z + z * c + c
    if count == right:
        return Right(
            "Three mixes of channels hold nearly three quarters of it; the gate over pixels is "
            "cheap."
        )
    wrong_turns = {
        right - c: "W3 has a bias, one number per channel.",
        right + 2 * c: "Only W3 has a bias.",
        right - 9 * z: "There are two kinds of 3 x 3 windows: w of each channel, and w1.",
        right + 9 * z * (z - 1): "w sees each channel by itself: 9 numbers for each of them.",
        right + 9 * z * (c - 1): "w1 makes one map for all channels, so one window of 9 x 32.",
        9 * c + c * c + c * c + 9 * c + c * c + c: "z holds both, the decoder's and the encoder's.",
        9 * z + 2 * z * c: "Those are the paths; the gates learn, too.",
        9 * z + z * c + c: "Those are the gates; the paths learn, too.",
        right - z * c: "There are three mixes of channels: W1, W2 and W3.",
        2 * right: "That is two of them.",
    }
    if count in wrong_turns:
        raise WrongAnswer(wrong_turns[count])
    raise WrongAnswer(
        "z has 32 channels: w has 9 numbers for each, W1, W2 and W3 32 x 16 each, w1 9 x 32, and "
        "W3 a bias."
    )


def _number(answer):
    try:
        return float(np.asarray(answered(answer), dtype=np.float64))
    except (TypeError, ValueError):
        raise WrongAnswer("write one number.") from None
