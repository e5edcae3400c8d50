"""The checks of chapter 08 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest

from hsisr_lite.exercises import chapter_08 as check
from hsisr_lite.exercises.feedback import WrongAnswer

DIVIDED, NEAREST = [7 / 12, 5 / 12, 0], [0.6, 0.4, 0]


@pytest.mark.parametrize(
    ("divided", "nearest", "reveals"),
    [
        (..., NEAREST, "no answer yet"),
        (DIVIDED, ..., "no answer yet"),
        ("7/12", NEAREST, "write three numbers"),
        ([0.5, 0.5], NEAREST, "three numbers"),
        (NEAREST, DIVIDED, "wrong order"),
        ([0.7, 0.5, -0.2], NEAREST, "divided: the sum is right already"),
        (DIVIDED, [0.7, 0.5, -0.2], "nearest: the sum is right already"),
        ([0.7, 0.5, 0], NEAREST, "divided: after the cut"),
        (DIVIDED, [0.7, 0.5, 0], "nearest: after the cut"),
        (DIVIDED, [0.633, 0.433, -0.067], "nearest: a kernel has no negative"),
        (DIVIDED, [0.5, 0.4, 0], "nearest: the taps sum to 0.9"),
        ([0.5, 0.357, 0.143], NEAREST, "not turned over"),
        (NEAREST, NEAREST, "7 to 5"),
        ([0.5, 0.5, 0], NEAREST, "put zero"),
        (DIVIDED, DIVIDED, "divided again"),
        (DIVIDED, [0.5, 0.5, 0], "same amount"),
    ],
)
def test_wrong_ways_back_are_recognised(divided, nearest, reveals):
    assert check.two_ways_back(DIVIDED, NEAREST)
    assert check.two_ways_back((0.583, 0.417, 0), np.array(NEAREST))  # three digits by hand
    with pytest.raises(WrongAnswer, match=reveals):
        check.two_ways_back(divided, nearest)


@pytest.mark.parametrize(
    ("growth", "reveals"),
    [
        (..., "no answer yet"),
        ("more", "one number"),
        ([1, 2], "one number"),
        (1, "does not: its two"),
        (0.99, "upside down"),
        (1 / 0.9, "step down alone"),
        (1 / 1.1, "step up alone"),
        (1 / (1 - 1e-4), "not by 10"),
        (1 / (1 - 1e-6), "not by one rate"),
        (1 / 0.81, "down twice"),
        (0.0101, "one more"),
        (2, "flat plus e"),
    ],
)
def test_wrong_growths_are_recognised(growth, reveals):
    assert check.growth_of_contrast(1 / 0.99)
    assert check.growth_of_contrast(1.01)
    with pytest.raises(WrongAnswer, match=reveals):
        check.growth_of_contrast(growth)


def right_step(h, gradient, rate):
    grown = h * np.exp(-rate * gradient)
    return grown / grown.sum()


def published_step(h, gradient, rate):
    cut = np.maximum(h - rate * gradient, 0)
    return cut / cut.sum()


def in_place(h, gradient, rate):
    h *= np.exp(-rate * gradient)
    h /= h.sum()
    return h


def by_length(h, gradient, rate):
    grown = h * np.exp(-rate * gradient)
    return grown / np.linalg.norm(grown)


@pytest.mark.parametrize(
    ("step", "reveals"),
    [
        (..., "no answer yet"),
        (lambda h, gradient, rate: None, "returns nothing"),
        (lambda h: h, "does not take 3 arguments"),
        (lambda h, gradient, rate: right_step(h, gradient, rate).ravel()[:2], "keeps its shape"),
        (in_place, "make a new one"),
        (lambda h, gradient, rate: h * np.exp(-rate * gradient), "divide by it"),
        (lambda h, gradient, rate: right_step(h, -gradient, rate), "climbs"),
        (published_step, "multiply instead"),
        (lambda h, gradient, rate: right_step(1 + 0 * h, gradient, rate), "old kernel"),
        (lambda h, gradient, rate: (g := right_step(h, gradient, rate)) / g.max(), "largest tap"),
        (by_length, "length"),
        (lambda h, gradient, rate: right_step(h, gradient, 1), "rate is missing"),
        (lambda h, gradient, rate: h, "as it was"),
        (lambda h, gradient, rate: h + 1, "tap by tap"),
    ],
)
def test_wrong_steps_are_recognised(step, reveals):
    assert check.multiplied_step(right_step)
    with pytest.raises(WrongAnswer, match=reveals):
        check.multiplied_step(step)
