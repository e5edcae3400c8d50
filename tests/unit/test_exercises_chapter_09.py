"""The checks of chapter 09 accept right answers and recognise the usual wrong ones."""

import math

import numpy as np
import pytest

from hsisr_lite.exercises import chapter_09 as check
from hsisr_lite.exercises.feedback import WrongAnswer
from hsisr_lite.m2unet import SMLNet


@pytest.mark.parametrize(
    ("average", "weight", "reveals"),
    [
        (..., 0.25, "no answer yet"),
        (3, ..., "no answer yet"),
        ("three", 0.25, "two numbers"),
        (4, 0.25, "average of the errors"),
        (0, 0.25, "w \\(1 - w\\), which is a quarter"),
        (2, 0.25, "not a half"),
        (5, 0.25, "taken off"),
        (7, 0.25, "its weight"),
        (6, 0.25, "Put w = 1/2"),
        (3, 0.75, "weight of stream 2"),
        (3, 0.5, "equally good"),
        (3, 3 / 8, "inverse to the errors"),
        (3, 0, "errs elsewhere"),
        (3, 0.9, "derivative"),
    ],
)
def test_wrong_averages_are_recognised(average, weight, reveals):
    assert check.average_of_streams(3.0, 1 / 4)
    with pytest.raises(WrongAnswer, match=reveals):
        check.average_of_streams(average, weight)


def test_the_average_of_two_images_with_these_errors_is_what_the_check_says():
    """Errors with mean squares 5 and 3, and 4 between them, built and averaged."""
    one = np.array([np.sqrt(5), 0])
    # <one, other> = (5 + 3 - 4) / 2 = 2, and |other|^2 = 3
    along = 2 / np.sqrt(5)
    other = np.array([along, np.sqrt(3 - along**2)])
    assert np.isclose(np.sum((one - other) ** 2), 4)
    # Two numbers of order one: rounding alone
    assert np.isclose(np.sum(((one + other) / 2) ** 2), 3)
    weights = np.linspace(0, 1, 1001)
    errors = [np.sum((w * one + (1 - w) * other) ** 2) for w in weights]
    assert np.isclose(weights[np.argmin(errors)], 0.25)
    assert np.isclose(min(errors), 2.75)


def right_count(bands, msi_bands):
    return sum(p.numel() for p in SMLNet(bands, msi_bands).parameters())


def counted(bands, c, streams=2, bias=1, last=1, groups=3, group=20, n=math.floor, least=0):
    total, width = 0, c
    for _ in range(max(least, n(math.log2(bands / c)))):
        total += (width + bias) * 60 + groups * (group + bias) * group + (60 + bias) * 2 * width
        width *= 2
    return streams * (total + last * (width + bias) * bands)


def not_doubling(bands, c):
    n = math.floor(math.log2(bands / c))
    module = (c + 1) * 60 + 3 * 21 * 20 + 61 * 2 * c
    return 2 * (n * module + (c + 1) * bands)


@pytest.mark.parametrize(
    ("numbers", "reveals"),
    [
        (lambda bands, msi_bands: None, "returns nothing"),
        (lambda bands: 0, "does not take 2 arguments"),
        (lambda b, c: [1, 2], "One number"),
        (lambda b, c: counted(b, c, streams=1), "one stream"),
        (lambda b, c: counted(b, c, bias=0), "biases"),
        (lambda b, c: counted(b, c, last=0), "last layer, from"),
        (lambda b, c: counted(b, c, groups=1), "counted one"),
        (lambda b, c: counted(b, c, groups=2), "counted two"),
        (lambda b, c: counted(b, c, group=60), "not 60 to 60"),
        (lambda b, c: counted(b, c, n=math.ceil), "a module more"),
        (lambda b, c: counted(b, c, n=round), "not to the nearest"),
        (lambda b, c: counted(b, c, least=1), "n is 0"),
        (not_doubling, "doubles what"),
        (lambda b, c: 17_580, "For 99 and 8 bands"),
    ],
)
def test_wrong_counts_are_recognised(numbers, reveals):
    assert check.parameters(right_count)
    assert check.parameters(counted)
    with pytest.raises(WrongAnswer, match=reveals):
        check.parameters(numbers)


@pytest.mark.parametrize(
    ("letters", "reveals"),
    [
        (..., "no answer yet"),
        (3, "set of letters"),
        ({"f"}, "are called"),
        ("abce", "without their answers"),
        ({"a", "b", "d", "e"}, "another question"),
        ({"b", "e"}, "turning"),
        ({"a", "e"}, "has no order"),
        (["A", "b"], "has no border"),
    ],
)
def test_wrong_changes_are_recognised(letters, reveals):
    assert check.harmless_changes(["A", "b", "e"])
    with pytest.raises(WrongAnswer, match=reveals):
        check.harmless_changes(letters)
