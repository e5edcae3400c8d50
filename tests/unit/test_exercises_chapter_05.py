"""The checks of chapter 05 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest
from scipy.optimize import nnls

from hsisr_lite.exercises import chapter_05 as check
from hsisr_lite.exercises.feedback import WrongAnswer


@pytest.mark.parametrize(
    ("value", "reveals"),
    [
        (..., "no answer yet"),
        ("0.38", "one number"),
        ((0.30 + 0.40) / 2, "plain mean"),
        ((0.01 * 0.30 + 0.0025 * 0.40) / 0.0125, "variances"),
        ((0.1 * 0.30 + 0.05 * 0.40) / 0.15, "standard deviations"),
        ((10 * 0.30 + 20 * 0.40) / 30, "1 / sd"),
        (0.4, "not perfect"),
        (0.3, "prior alone"),
        (0.5, "lies between"),
        (0.39, "Minimise"),
    ],
)
def test_wrong_values_are_recognised(value, reveals):
    assert check.most_probable_value(np.float64(0.38))
    with pytest.raises(WrongAnswer, match=reveals):
        check.most_probable_value(value)


@pytest.mark.parametrize(
    ("update", "reveals"),
    [
        (lambda Y, A, E: None, "returns nothing"),
        (lambda Y, A, E: A * (Y @ E.T) / (A @ E @ E.T), "update of the abundances"),
        (lambda Y, A, E: E.T, "keeps its shape"),
        (lambda Y, A, E: E * (A.T @ A @ E) / (A.T @ Y), "upside down"),
        (lambda Y, A, E: (A.T @ Y) / (A.T @ A @ E), "factor alone"),
        (
            lambda Y, A, E: E + A.T @ (Y - A @ E) / np.linalg.norm(A.T @ A, 2),
            "gradient step",
        ),
        (lambda Y, A, E: np.linalg.lstsq(A, Y, rcond=None)[0], "solves for E at once"),
        (
            lambda Y, A, E: E * (A.T @ Y) / (A.T @ A).sum(axis=1, keepdims=True),
            "left E out",
        ),
        (lambda Y, A, E: E * 1.1, "times a fraction"),
    ],
)
def test_wrong_updates_are_recognised(update, reveals):
    assert check.multiplicative_update(lambda Y, A, E: E * (A.T @ Y) / (A.T @ (A @ E)))
    with pytest.raises(WrongAnswer, match=reveals):
        check.multiplicative_update(update)


@pytest.mark.parametrize(
    ("letters", "reveals"),
    [
        (..., "no answer yet"),
        (3, "set of letters"),
        ({"e"}, "are called a, b, c and d"),
        ({"a", "b", "c"}, "12 spectra"),
        ("acd", "16 of their alpha"),
        ({"c"}, "every gamma"),
        (["A"], "fit into 24 x 24"),
    ],
)
def test_wrong_cores_are_recognised(letters, reveals):
    assert check.determined_cores(["A", "c"])
    with pytest.raises(WrongAnswer, match=reveals):
        check.determined_cores(letters)


def stacked(windows, mixed):
    return windows.reshape(-1, windows.shape[-1]), mixed.ravel()


def plain(windows, mixed):
    return np.linalg.lstsq(*stacked(windows, mixed), rcond=None)[0]


def first_band(windows, mixed):
    found = nnls(windows[0], mixed[0])[0]
    return found / found.sum()


def shuffled(windows, mixed):
    found = nnls(stacked(windows, mixed)[0], mixed.T.ravel())[0]
    return found / found.sum()


@pytest.mark.parametrize(
    ("kernel", "reveals"),
    [
        (lambda n, t: None, "returns nothing"),
        (lambda n, t: n, "9 weights"),
        (lambda n, t: np.full(9, 1 / 9), "alike"),
        (plain, "negative"),
        (lambda n, t: nnls(*stacked(n, t))[0], r"Divide by the sum.*(1\.0000[1-9]|0\.9999)"),
        (first_band, "share one kernel"),
        (shuffled, "share one kernel"),
    ],
)
def test_wrong_kernels_are_recognised(kernel, reveals):
    def right(windows, mixed):
        found = nnls(*stacked(windows, mixed))[0]
        return found / found.sum()

    assert check.kernel_from_windows(right)
    assert check.kernel_from_windows(lambda n, t: right(n, t).reshape(3, 3))
    with pytest.raises(WrongAnswer, match=reveals):
        check.kernel_from_windows(kernel)
