"""The checks of chapter 15 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest

from hsisr_lite.exercises import chapter_15 as check
from hsisr_lite.exercises.feedback import WrongAnswer


@pytest.mark.parametrize(
    ("answer", "reveals"),
    [
        (..., "no answer yet"),
        ("few", "one number"),
        ((1, 2), "one number"),
        (0.25, "power -2"),
        (0.9375, "smaller"),
        (1 / 8, "two powers"),
        (1 / 64, "smallest radius"),
        (16, "Upside down"),
        (0.5, "square root"),
        (0.05594, "24 pixels"),
        (0.3, "Put r = 8"),
    ],
)
def test_wrong_shares_are_recognised(answer, reveals):
    assert all(map(check.share_of_large, (0.0625, 0.063, 0.062, 0.06)))
    with pytest.raises(WrongAnswer, match=reveals):
        check.share_of_large(answer)


def each(values):
    return np.abs(values).sum(axis=(1, 2, 3))


def right(added, missing):
    return np.mean(each(added - missing) / each(missing))


@pytest.mark.parametrize(
    ("function", "reveals"),
    [
        (..., "no answer yet"),
        (lambda a: a, "does not take 2 arguments"),
        (lambda a, m: None, "returns nothing"),
        (lambda a, m: each(a - m) / each(m), "one number"),
        (lambda a, m: each(a - m).sum() / each(m).sum(), "whole batch"),
        (lambda a, m: np.abs(a - m).mean() / np.abs(m).mean(), "whole batch"),
        (lambda a, m: np.abs(a - m).mean(), "Nothing is divided"),
        (lambda a, m: np.mean(each(a - m) / each(a)), "by what was added"),
        (lambda a, m: np.mean(np.abs(a - m) / np.abs(m)), "pixel by pixel"),
        (lambda a, m: np.mean(each((a - m) ** 2) / each(m**2)), "Squares"),
        (lambda a, m: np.mean((a - m).sum((1, 2, 3)) / m.sum((1, 2, 3))), "signs cancel"),
        (lambda a, m: np.mean(each(m) / each(a - m)), "Upside down"),
        (lambda a, m: np.sum(each(a - m) / each(m)), "grows with the batch"),
        (lambda a, m: np.mean(each(a) / each(m)), "subtract what is missing"),
        (lambda a, m: 0.0, "take the mean over the batch"),
    ],
)
def test_wrong_losses_are_recognised(function, reveals):
    assert check.divided_loss(right)
    with pytest.raises(WrongAnswer, match=reveals):
        check.divided_loss(function)


@pytest.mark.parametrize(
    ("letters", "reveals"),
    [
        (..., "no answer yet"),
        (3, "set of letters"),
        ({"h"}, "called a to g"),
        ("abdf", "a: a number"),
        ("bcdf", "c: another"),
        ("bdef", "e: what is printed"),
        ("bdfg", "g: the LrHSI"),
        ("df", "b: the epoch"),
        ({"b", "f"}, "d: the score"),
        (["B", "D"], "f: the true flow"),
    ],
)
def test_wrong_choices_are_recognised(letters, reveals):
    assert check.peeked(["B", "d", "f"])
    with pytest.raises(WrongAnswer, match=reveals):
        check.peeked(letters)
