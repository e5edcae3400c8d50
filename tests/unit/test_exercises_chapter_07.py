"""The checks of chapter 07 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest

from hsisr_lite.exercises import chapter_07 as check
from hsisr_lite.exercises.feedback import WrongAnswer

T = np.array([[2, 0], [1, 1]])


@pytest.mark.parametrize(
    ("precision", "reveals"),
    [
        (..., "no answer yet"),
        ("T' T", "two rows"),
        ([5, 1, 1, 1], "two rows of two"),
        (T @ T.T, "from the right"),
        (T, "T itself"),
        (T @ T, "turned over"),
        (T**2, "entry by entry"),
        (np.linalg.inv(T.T @ T), "covariance"),
        ([[5, 1], [2, 1]], "symmetric"),
        ([[5, 2], [2, 1]], "Write out"),
    ],
)
def test_wrong_precisions_are_recognised(precision, reveals):
    assert check.precision_of_root(T.T @ T)
    assert check.precision_of_root(((5.0, 1.0), (1.0, 1.0)))
    with pytest.raises(WrongAnswer, match=reveals):
        check.precision_of_root(precision)


def mass(psf):
    at = np.arange(len(psf))
    return np.array([psf.sum(axis=1) @ at, psf.sum(axis=0) @ at])


def right_shift(psf, ratio):
    return mass(psf) - (len(psf) - ratio) // 2 - (ratio - 1) / 2


def of_the_peak(psf, ratio):
    peak = np.array(np.unravel_index(psf.argmax(), psf.shape))
    return peak - (len(psf) - ratio) // 2 - (ratio - 1) / 2


@pytest.mark.parametrize(
    ("shift", "reveals"),
    [
        (lambda psf, ratio: None, "returns nothing"),
        (lambda psf: 0, "does not take 2 arguments"),
        (lambda psf, ratio: psf, "Two numbers"),
        (lambda psf, ratio: right_shift(psf, ratio)[::-1], "Rows come first"),
        (lambda psf, ratio: -right_shift(psf, ratio), "sign"),
        (of_the_peak, "largest weight"),
        (lambda psf, ratio: mass(psf) - len(psf) // 2, "k // 2"),
        (lambda psf, ratio: mass(psf) - (ratio - 1) / 2, "window's start"),
        (lambda psf, ratio: mass(psf), "in the window"),
        (lambda psf, ratio: mass(psf) - (len(psf) - 1) / 2, "k - r is odd"),
        (lambda psf, ratio: mass(psf) - (len(psf) - ratio) // 2 - ratio / 2, "count from 0"),
        (lambda psf, ratio: np.zeros(2), "Weigh each row"),
    ],
)
def test_wrong_shifts_are_recognised(shift, reveals):
    assert check.shift_of_kernel(right_shift)
    assert check.shift_of_kernel(lambda psf, ratio: tuple(right_shift(psf, ratio)))
    with pytest.raises(WrongAnswer, match=reveals):
        check.shift_of_kernel(shift)


@pytest.mark.parametrize(
    ("letters", "reveals"),
    [
        (..., "no answer yet"),
        (3, "set of letters"),
        ({"f"}, "are called"),
        ("abcd", "as wide as it likes"),
        ({"a", "c", "d", "e"}, "both sides"),
        ({"c", "d"}, "red and blue"),
        ({"a", "d"}, "neighbours"),
        (["A", "C"], "root of a mean"),
    ],
)
def test_wrong_cameras_are_recognised(letters, reveals):
    assert check.third_term(["A", "c", "d"])
    with pytest.raises(WrongAnswer, match=reveals):
        check.third_term(letters)
