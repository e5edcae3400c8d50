"""The checks of chapter 04 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest

from hsisr_lite.exercises import chapter_04 as check
from hsisr_lite.exercises.feedback import WrongAnswer
from hsisr_lite.unmixing import fcls, nnls_abundances

GRASS_AND_SOIL = np.array([[0.2, 0.6], [0.6, 0.2]])
SHADED = np.array([[0.15, 0.25]])


def test_the_answers_by_hand_are_those_of_the_package():
    assert check.shaded_pixel(
        nnls_abundances(SHADED, GRASS_AND_SOIL)[0], fcls(SHADED, GRASS_AND_SOIL)[0]
    )


@pytest.mark.parametrize(
    ("free", "constrained", "reveals"),
    [
        (..., (0.625, 0.375), "no answer yet"),
        (0.375, (0.625, 0.375), "two numbers"),
        ("ab", (0.625, 0.375), "two numbers"),
        ((0.375, 0.125), ..., "no answer yet"),
        ((0.125, 0.375), (0.625, 0.375), "Grass comes first, and"),
        ((0.75, 0.25), (0.625, 0.375), "leave them as they come"),
        ((0.625, 0.375), (0.625, 0.375), "first leave it free"),
        ((0.3, 0.1), (0.625, 0.375), "Two bands, two unknowns"),
        ((0.375, 0.125), (0.375, 0.125), "not to one"),
        ((0.375, 0.125), (0.75, 0.25), "does not know"),
        ((0.375, 0.125), (0.375, 0.625), "b = 1 - a and"),
        ((0.375, 0.125), (0.5, 0.5), "in least squares over a"),
    ],
)
def test_wrong_amounts_by_hand_are_recognised(free, constrained, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.shaded_pixel(free, constrained)


def line(pixels, ends):
    step = ends[0] - ends[1]
    return (pixels - ends[1]) @ step / (step @ step)


def right_shares(pixels, ends):
    first = np.clip(line(pixels, ends), 0, 1)
    return np.stack([first, 1 - first], axis=1)


def free(pixels, ends):
    return np.clip(pixels @ np.linalg.pinv(ends), 0, None)


@pytest.mark.parametrize(
    ("shares", "reveals"),
    [
        (lambda x, e: None, "returns nothing"),
        (lambda x, e: line(x, e), "One share per pixel"),
        (lambda x, e: x, "shares are needed"),
        (lambda x, e: right_shares(x, e)[:, ::-1], "turned round"),
        (lambda x, e: np.stack([line(x, e), 1 - line(x, e)], 1), "stop at the ends"),
        (lambda x, e: np.clip(np.stack([line(x, e), line(x, e)], 1), 0, 1), "what it leaves"),
        (
            lambda x, e: np.stack([np.clip((x - e[1]) @ (e[0] - e[1]), 0, 1)] * 2, 1),
            "squared length",
        ),
        (free, "clipped afterwards"),
        (lambda x, e: free(x, e) / free(x, e).sum(1, keepdims=True), "clipped afterwards"),
        (lambda x, e: right_shares(x, e) * 0.9, "do not sum to one"),
        (lambda x, e: np.full((len(x), 2), 0.5), "differ from the nearest"),
    ],
)
def test_wrong_shares_of_two_are_recognised(shares, reveals):
    assert check.two_materials(right_shares)
    assert check.two_materials(fcls)
    with pytest.raises(WrongAnswer, match=reveals):
        check.two_materials(shares)


def away_from(corners, direction):
    return direction - corners @ (np.linalg.pinv(corners) @ direction)


def right_corner(points, found, direction):
    return int(np.argmax(np.abs(points @ away_from(points[found].T, direction))))


def away_from_the_last(points, found, direction):
    return right_corner(points, found[-1:], direction)


def away_from_nothing_found(points, found, direction):
    distance = np.abs(points @ direction)
    distance[found] = 0
    return distance.argmax()


@pytest.mark.parametrize(
    ("corner", "reveals"),
    [
        (lambda p, f, d: None, "returns nothing"),
        (lambda p, f, d: p @ d, "one whole number"),
        (lambda p, f, d: np.argmax(np.abs(p @ d)), "as it came"),
        (lambda p, f, d: np.argmax(p @ away_from(p[f].T, d)), "other way"),
        (lambda p, f, d: np.argmin(p @ away_from(p[f].T, d)), "looked for the smallest"),
        (lambda p, f, d: np.nan, "one whole number"),
        (lambda p, f, d: np.inf, "one whole number"),
        (lambda p, f, d: 1j, "one whole number"),
        (lambda p, f, d: "corner", "one whole number"),
        (lambda p, f, d: 2.5, "one whole number"),
        (away_from_nothing_found, "left out the pixels found"),
        (away_from_the_last, "last corner only"),
        (lambda p, f, d: np.argmax(np.abs(p @ (d - away_from(p[f].T, d)))), "kept what lies along"),
        (lambda p, f, d: np.argmin(np.abs(p @ away_from(p[f].T, d))), "the nearest"),
        (lambda p, f, d: 20, "not the furthest"),
    ],
)
def test_wrong_corners_are_recognised(corner, reveals):
    assert check.next_corner(right_corner)
    with pytest.raises(WrongAnswer, match=reveals):
        check.next_corner(corner)
