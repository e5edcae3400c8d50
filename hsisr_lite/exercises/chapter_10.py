"""Checks for the exercises of chapter 10, an untrained network draws."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from


def weights_of_cag(count):
    """Check exercise 1: what a CAG module of 10 and 4 channels and 10 features learns.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> weights_of_cag(3612)
    'Most of it sits in the windows of 5 x 5; the gate is a trifle of 52.'
    """
    count = _number(count)
    f, g = 25 * 10 * 10 + 3 * 10, 25 * 4 * 10 + 3 * 10
    gate = (10 * 2 + 2) + (2 * 10 + 10)
    if count == f + g + gate:
        return Right("Most of it sits in the windows of 5 x 5; the gate is a trifle of 52.")
    wrong_turns = {
        f + g: "The gate is missing: two small matrices and their biases.",
        f + gate: "That is f and the gate; the block g of the HrMSI learns, too.",
        g + gate: "That is g and the gate; the block f of the image learns, too.",
        f + g + gate - 40: "A normalisation learns as well: a scale and a shift per channel.",
        f + g + gate - 20: "A normalisation learns two numbers per channel, a scale and a shift.",
        f + g + gate - 32: (
            "Each convolution has a bias per output, those of the gate included: 10 + 10 + 2 + 10."
        ),
        f + g + gate - 12: "The two small convolutions of the gate have biases, too: 2 and 10.",
        f + g + gate - 72: "These are the windows alone; biases, scales and shifts learn as well.",
        2 * f + gate: "You counted f twice; g has windows over 4 channels.",
        25 * 14 * 10 + 3 * 10 + gate: (
            "You let one block see all 14 channels; there are two, each with its own biases, "
            "scales and shifts."
        ),
        5 * (f + g + gate): "That is five modules; the question is about one.",
    }
    if count in wrong_turns:
        raise WrongAnswer(wrong_turns[count])
    raise WrongAnswer(
        "Add up f, g and the gate: 25 x inputs x 10 windows and 3 x 10 numbers per block, then "
        "10 to 2 and 2 to 10 with biases."
    )


def start_at_image(start_at):
    """Check exercise 2: the numbers whose sigmoid, stretched, is a given image.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    for low, high in ((0.0, 1.0), (-0.1, 1.4), (0.05, 0.6)):
        image = low + (high - low) * rng.uniform(0.05, 0.95, (3, 4, 5))
        with np.errstate(all="ignore"):  # what a wrong formula gives is told below
            found = array_from(start_at, image.copy(), low, high)
            share = (image - low) / (high - low)
            right = np.log(share / (1 - share))
            wrong_turns = {
                "The sign is turned: a bright pixel needs a large number.": -right,
                "That is the image's place between low and high; the sigmoid of it is another. "
                "Take the logit.": share,
                "You forgot low and high: bring the image to 0 ... 1 first.": np.log(
                    image / (1 - image)
                ),
                "You subtract low, but do not divide by high - low.": np.log(
                    (image - low) / (1 - (image - low))
                ),
                "You divide by high; the range from low to high has the length high - low.": (
                    np.log((image - low) / high / (1 - (image - low) / high))
                ),
                "The logit is log(p / (1 - p)); you left out 1 - p.": np.log(share),
                "That is the sigmoid; its inverse is needed.": 1 / (1 + np.exp(-share)),
                "That is the base 10; the sigmoid holds e, so take the natural logarithm.": (
                    right / np.log(10)
                ),
            }
        if found.shape != image.shape:
            raise WrongAnswer(
                f"As many numbers as the image has are needed, in its shape {image.shape}; yours "
                f"has {found.shape}."
            )
        if not np.allclose(found, right):
            for reveals, answer in wrong_turns.items():
                if np.allclose(found, answer, equal_nan=True):
                    raise WrongAnswer(reveals)
            raise WrongAnswer(
                "Solve image = low + (high - low) sigmoid(t) for t: first the share of the way "
                "from low to high, then its logit."
            )
    return Right("Any image inside the range comes out as it went in, also one that exceeds 1.")


def stop_level(level):
    """Check exercise 3: the mean of |Y - P X| that noise of 30 dB leaves where mean Y^2 is 0.09.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> stop_level(0.00757)
    'A step further, and the network would begin to explain noise.'
    """
    level = _number(level)
    sigma, mean = np.sqrt(0.09 / 1000), np.sqrt(2 / np.pi)
    if _close(level, mean * sigma):
        return Right("A step further, and the network would begin to explain noise.")
    wrong_turns = {
        sigma: "That is the standard deviation; the mean of absolute values is a little smaller.",
        sigma**2: "That is the variance of the noise; take the root, then its mean absolute value.",
        mean * sigma**2: "You took the variance for the standard deviation: draw the root first.",
        mean * 0.09 / 10**1.5: "0.09 is a mean square: take its root before you divide by 10^1.5.",
        mean * np.sqrt(0.09 / 10**1.5): "30 dB of squares are a factor of 10^3, not of 10^1.5.",
        mean * 0.3 / 1000: "30 dB are a factor of 1000 for squares, so of its root for values.",
        2 / np.pi * sigma: "The factor is the root of 2 / pi.",
        sigma / mean: "You divide by the factor: absolute values are below sigma on average.",
        mean * np.sqrt(0.09 / np.exp(3)): "Decibels go by powers of 10, not of e.",
    }
    for answer, reveals in wrong_turns.items():
        if _close(level, answer):
            raise WrongAnswer(reveals)
    raise WrongAnswer(
        "First sigma, from 0.09 / sigma^2 = 10^(30 / 10); then the mean absolute value, sigma "
        "times the root of 2 / pi."
    )


def _number(answer):
    try:
        return float(np.asarray(answered(answer), dtype=np.float64))
    except (TypeError, ValueError):
        raise WrongAnswer("write one number.") from None


def _close(value, wanted):
    """To two digits and a half: readers round."""
    return abs(value - wanted) < 0.008 * wanted
