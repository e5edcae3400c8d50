"""The checks of chapter 13 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from hsisr_lite.exercises import chapter_13 as check
from hsisr_lite.exercises.feedback import WrongAnswer
from hsisr_lite.uafl.correlation import CorrelationCFDA
from hsisr_lite.uafl.deformable import sample

SQUARE = np.array([[1.0, 3.0], [5.0, 11.0]])
STEPS = [(i, j) for i in range(-3, 4) for j in range(-3, 4)]
PIXELS = 48 * 32


def read(row, col):
    return map_coordinates(SQUARE, [[row], [col]], order=1)[0]


@pytest.mark.parametrize(
    ("value", "reveals"),
    [
        (..., "no answer yet"),
        ("between", "one number"),
        ([1, 2], "one number"),
        (read(0.5, 0.25), "row, then column"),
        (read(0.75, 0.5), "nearer row counts more"),
        (SQUARE.mean(), "mean of all four"),
        (SQUARE[0].mean(), "first row alone"),
        (SQUARE[1].mean(), "second row alone"),
        (1 + 0.5 * (3 - 1) + 0.25 * (5 - 1), "plane through three"),
        (7.5, "Read both rows"),
        (read(0.25, 0.5) - 11 / 8, "leaves out the fourth"),
        (1, "nearest pixel"),
        (4 * read(0.25, 0.5), "sum to four"),
        (2 * read(0.25, 0.5), "sum to two"),
    ],
)
def test_wrong_values_between_pixels_are_recognised(value, reveals):
    place = torch.tensor([[[0.25]]]), torch.tensor([[[0.5]]])
    package = sample(torch.tensor(SQUARE, dtype=torch.float32)[None, None], *place)
    assert check.between_pixels(package.item())
    with pytest.raises(WrongAnswer, match=reveals):
        check.between_pixels(value)


def cropped(a, b, step, score):
    """The score of the pixels p for which p + d lies inside."""
    tall, wide = a.shape[0] - abs(step[0]), a.shape[1] - abs(step[1])
    i, j = max(0, -step[0]), max(0, -step[1])
    here = a[i : i + tall, j : j + wide]
    there = b[i + step[0] : i + step[0] + tall, j + step[1] : j + step[1] + wide]
    return score(here, there).mean()


def by_cropping(a, b, score=lambda here, there: (here - there) ** 2):
    return min(STEPS, key=lambda step: cropped(a, b, step, score))


def by_rolling(a, b):
    def cost(step):
        return np.mean((a - np.roll(b, (-step[0], -step[1]), axis=(0, 1))) ** 2)

    return min(STEPS, key=cost)


def test_both_ways_at_the_border_are_right():
    assert check.best_step(by_cropping)
    assert check.best_step(by_rolling)


@pytest.mark.parametrize(
    ("function", "reveals"),
    [
        (lambda a, b: None, "returns nothing"),
        (lambda a: (0, 0), "does not take 2 arguments"),
        (lambda a, b: 3, "Two numbers"),
        (lambda a, b: a, "Two numbers"),
        (lambda a, b: by_rolling(b, a), "from b to a"),
        (lambda a, b: by_rolling(a, b)[::-1], "yours is .right, down"),
        (lambda a, b: by_rolling(b, a)[::-1], "both turned"),
        (lambda a, b: np.add(by_rolling(a, b), 3), "from 0 to 6"),
        (lambda a, b: (7, 7), "both ends included"),
        (
            lambda a, b: by_cropping(a, b, lambda here, there: -here * there),
            "largest product",
        ),
        (lambda a, b: (0, 0), "compare all 49"),
        (lambda a, b: (1, 1), "smallest cost"),
        (lambda a, b: np.minimum(by_rolling(a, b), 2), "up to 3"),
    ],
)
def test_wrong_steps_are_recognised(function, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.best_step(function)


@pytest.mark.parametrize(
    ("count", "reveals"),
    [
        (..., "no answer yet"),
        ("many", "one number"),
        (96 * 64 * 121, "halved image"),
        (48 * 64 * 121, "Both sides"),
        (PIXELS * 100, "eleven steps, not ten"),
        (PIXELS * 25, "5 both ways"),
        (PIXELS * 36, "both ways"),
        (PIXELS * 22, "eleven times eleven"),
        (PIXELS * 11, "eleven times eleven"),
        (PIXELS * 21**2, "not 10"),
        (PIXELS * 120, "zero counts"),
        (121, "for one pixel"),
        (PIXELS, "number of pixels"),
        (PIXELS * 121 * 16, "one number"),
        (7, "How many pixels"),
    ],
)
def test_wrong_numbers_of_costs_are_recognised(count, reveals):
    # What the package holds for images of this size is the right answer
    with torch.no_grad():
        volume = CorrelationCFDA(8).log_probabilities(*torch.rand(2, 1, 8, 96, 64))
    assert check.costs_of_volume(volume.numel())
    with pytest.raises(WrongAnswer, match=reveals):
        check.costs_of_volume(count)
