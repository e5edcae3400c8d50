"""The checks of chapter 10 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest

from hsisr_lite.exercises import chapter_10 as check
from hsisr_lite.exercises.feedback import WrongAnswer
from hsisr_lite.m2unet.unet import CAG

WEIGHTS = sum(p.numel() for p in CAG(10, 4, 10).parameters())
SIGMA = np.sqrt(0.09 / 1000)


@pytest.mark.parametrize(
    ("count", "reveals"),
    [
        (..., "no answer yet"),
        ("many", "one number"),
        ([1, 2], "one number"),
        (2530 + 1030, "gate is missing"),
        (2530 + 52, "block g"),
        (1030 + 52, "block f"),
        (WEIGHTS - 40, "normalisation learns as well"),
        (WEIGHTS - 20, "two numbers per channel"),
        (WEIGHTS - 32, "bias per output"),
        (WEIGHTS - 12, "gate have biases"),
        (WEIGHTS - 72, "windows alone"),
        (2 * 2530 + 52, "f twice"),
        (25 * 14 * 10 + 30 + 52, "all 14 channels"),
        (5 * WEIGHTS, "five modules"),
        (7, "Add up"),
    ],
)
def test_wrong_counts_are_recognised(count, reveals):
    assert check.weights_of_cag(WEIGHTS)  # the package's own module is the right answer
    with pytest.raises(WrongAnswer, match=reveals):
        check.weights_of_cag(count)


def logit(share):
    return np.log(share / (1 - share))


def right_start(image, low, high):
    return logit((image - low) / (high - low))


@pytest.mark.parametrize(
    ("start", "reveals"),
    [
        (lambda image, low, high: None, "returns nothing"),
        (lambda image: image, "does not take 3 arguments"),
        (lambda image, low, high: right_start(image, low, high)[0], "in its shape"),
        (lambda image, low, high: -right_start(image, low, high), "sign"),
        (lambda image, low, high: (image - low) / (high - low), "Take the logit"),
        (lambda image, low, high: logit(image), "forgot low and high"),
        (lambda image, low, high: logit(image - low), "do not divide"),
        (lambda image, low, high: logit((image - low) / high), "length high - low"),
        (lambda image, low, high: np.log((image - low) / (high - low)), "left out"),
        (
            lambda image, low, high: 1 / (1 + np.exp(-(image - low) / (high - low))),
            "That is the sigmoid",
        ),
        (lambda image, low, high: right_start(image, low, high) / np.log(10), "base 10"),
        (lambda image, low, high: 0 * image, "Solve image"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in log:RuntimeWarning")
def test_wrong_starts_are_recognised(start, reveals):
    assert check.start_at_image(right_start)
    with pytest.raises(WrongAnswer, match=reveals):
        check.start_at_image(start)


def test_the_right_start_gives_the_image_back():
    """The check's formula, against the sigmoid itself; float64 rounding alone may differ."""
    image = np.linspace(-0.05, 1.3, 12).reshape(3, 2, 2)
    again = -0.1 + 1.5 / (1 + np.exp(-right_start(image, -0.1, 1.4)))
    np.testing.assert_allclose(again, image, atol=1e-12)


@pytest.mark.parametrize(
    ("level", "reveals"),
    [
        (..., "no answer yet"),
        ("low", "one number"),
        (SIGMA, "standard deviation"),
        (SIGMA**2, "That is the variance"),
        (np.sqrt(2 / np.pi) * SIGMA**2, "took the variance"),
        (np.sqrt(2 / np.pi) * 0.09 / 10**1.5, "mean square"),
        (np.sqrt(2 / np.pi * 0.09 / 10**1.5), "not of 10"),
        (np.sqrt(2 / np.pi) * 0.3 / 1000, "for squares"),
        (2 / np.pi * SIGMA, "root of 2"),
        (np.sqrt(np.pi / 2) * SIGMA, "divide by the factor"),
        (np.sqrt(2 / np.pi * 0.09 / np.exp(3)), "powers of 10"),
        (1.0, "First sigma"),
    ],
)
def test_wrong_levels_are_recognised(level, reveals):
    noise = np.random.default_rng(0).normal(0, SIGMA, 10**6)
    assert check.stop_level(np.abs(noise).mean())  # a million draws: right to a tenth of a percent
    with pytest.raises(WrongAnswer, match=reveals):
        check.stop_level(level)
