"""The checks of chapter 11 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest

from hsisr_lite.exercises import chapter_11 as check
from hsisr_lite.exercises.feedback import WrongAnswer


@pytest.mark.parametrize(
    ("answer", "reveals"),
    [
        (..., "no answer yet"),
        ("a w", "two numbers"),
        (0.5, "Two numbers, please"),
        ((0.5, -1), "shift stands inside"),
        ((2, -0.25), "scale stands inside"),
        ((2, -1), "without the gate"),
        ((8, -4), "divided"),
        ((2.25, -0.75), "added"),
        ((0.5, 0.25), "sign"),
        ((0.1, -0.05), "slope"),
        ((-0.25, 0.5), "Scale first"),
        ((1, 1), "read off"),
    ],
)
def test_wrong_folds_by_hand_are_recognised(answer, reveals):
    assert check.folded_by_hand([0.5, -0.25])
    with pytest.raises(WrongAnswer, match=reveals):
        check.folded_by_hand(answer)


def right_fold(gates, weight, bias):
    return weight * gates[None, :, None, None], bias


def in_place(gates, weight, bias):
    weight *= gates[None, :, None, None]
    return weight, bias


@pytest.mark.parametrize(
    ("fold_forward", "reveals"),
    [
        (..., "no answer yet"),
        (lambda gates: gates, "does not take 3 arguments"),
        (lambda a, w, b: None, "returns nothing"),
        (lambda a, w, b: w, "two arrays"),
        (in_place, "changes what it was given"),
        (lambda a, w, b: (w.sum(axis=1), b), "shapes must stay"),
        (lambda a, w, b: (w.swapaxes(1, 3) * np.append(a, 1), b), "shapes do not fit"),
        (lambda a, w, b: (w / a[:, None, None], b), "divided"),
        (lambda a, w, b: (w, b), "Nothing was folded"),
        (lambda a, w, b: (w * abs(a)[:, None, None], b), "below zero"),
        (lambda a, w, b: (w * a[:, None, None, None], b), "scaled the outputs"),
        (lambda a, w, b: (w * a[:, None, None], b * a.mean()), "bias is added after"),
        (lambda a, w, b: (w + a[:, None, None], b), "sum over channels"),
    ],
)
def test_wrong_forward_folds_are_recognised(fold_forward, reveals):
    assert check.folded_forward(right_fold)
    with pytest.raises(WrongAnswer, match=reveals):
        check.folded_forward(fold_forward)


@pytest.mark.parametrize(
    ("letters", "reveals"),
    [
        (..., "no answer yet"),
        (3, "set of letters"),
        ({"g"}, "are called"),
        ("abde", "wider path"),
        ({"b", "c"}, "maximum"),
        ({"b", "f"}, "deeper gate"),
        ({"d", "e"}, "b: a map"),
        ({"b", "e"}, "d: beside"),
        (["B", "D"], "e: what is added"),
    ],
)
def test_wrong_paths_are_recognised(letters, reveals):
    assert check.carries_detail(["B", "d", "e"])
    with pytest.raises(WrongAnswer, match=reveals):
        check.carries_detail(letters)
