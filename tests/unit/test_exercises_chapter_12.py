"""The checks of chapter 12 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from hsisr_lite.degradation.flows import affine_flow, elastic_flow, warp
from hsisr_lite.exercises import chapter_12 as check
from hsisr_lite.exercises.feedback import WrongAnswer

REACH, ANGLE = np.hypot(100, 100), np.deg2rad(0.5)


@pytest.mark.parametrize(
    ("distance", "reveals"),
    [
        (..., "no answer yet"),
        ("far", "one number"),
        ([1, 2], "one number"),
        (REACH / 2, "not half a radian"),
        (100 * ANGLE, "middle of an edge"),
        (2 * REACH * ANGLE, "half the diagonal"),
        (201 * ANGLE, "whole side"),
        (REACH * ANGLE * np.pi, "holds pi already"),
        (REACH, "how far away"),
        (1.3, "round only at the end"),
        (1.0, "way of the corner"),
        (7.0, "way of the corner"),
    ],
)
def test_wrong_distances_are_recognised(distance, reveals):
    # The package's own flow, to two digits, is the right answer.
    assert check.corner_moves(np.hypot(*affine_flow(201, 201, rotation=0.5)[:, 0, 0]).round(2))
    with pytest.raises(WrongAnswer, match=reveals):
        check.corner_moves(distance)


@pytest.mark.parametrize("decimals", [1, 2, 3, 4])
def test_a_right_distance_may_be_rounded(decimals):
    assert check.corner_moves(round(REACH * ANGLE, decimals))


def read(f, g, order=1):
    at = np.mgrid[: f.shape[1], : f.shape[2]] + g
    return np.stack([map_coordinates(part, at, order=order, mode="nearest") for part in f])


@pytest.mark.parametrize(
    ("both", "reveals"),
    [
        (lambda f, g: None, "returns nothing"),
        (lambda f: f, "does not take 2 arguments"),
        (lambda f, g: f[0], "down and right for each"),
        (lambda f, g: f + g, "read where g leads"),
        (lambda f, g: f + read(g, f), "g, then f"),
        (lambda f, g: read(f, g), "g itself went is missing"),
        (lambda f, g: g + read(f, -g), "you went to p - g"),
        (lambda f, g: g - read(f, g), "has to be added"),
        (lambda f, g: g, "g alone"),
        (lambda f, g: f, "f alone"),
        (lambda f, g: g + read(f, g[::-1]), "changed places"),
        (lambda f, g: g + read(f, g) + np.mgrid[:40, :36], "take p off"),
        (lambda f, g: 0 * f, "Pixel p of the second"),
    ],
)
def test_wrong_compositions_are_recognised(both, reveals):
    for order in (1, 2, 3, 5):
        assert check.composed_flow(lambda f, g, order=order: g + read(f, g, order))
    with pytest.raises(WrongAnswer, match=reveals):
        check.composed_flow(both)


def test_the_right_composition_is_two_warps_in_one():
    """A wave of 20 pixels: two interpolations and one agree to some 1e-3 of it."""
    rows, cols = np.mgrid[:50, :60]
    image = np.sin(rows * np.pi / 10) + np.cos(cols * np.pi / 10)
    f, g = (elastic_flow(50, 60, rms=1.0, seed=k) for k in (3, 4))
    once, twice = warp(image, g + read(f, g, 3)), warp(warp(image, f), g)
    inner = slice(8, -8), slice(8, -8)
    assert np.abs(once - twice)[inner].max() < 5e-3
    assert np.abs(warp(image, f + g) - twice)[inner].max() > 0.05


RIGHT = -20 * np.log10(2 * np.sin(np.pi / 16))


@pytest.mark.parametrize(
    ("decibels", "reveals"),
    [
        (..., "no answer yet"),
        ("loud", "one number"),
        (-RIGHT, "The sign"),
        (RIGHT / 2, "20 log10"),
        (RIGHT + 6.02, "factor 2"),
        (RIGHT - 3.01, "root of 2"),
        (RIGHT + 3.01, "root of 2"),
        (-20 * np.log10(2 * np.sin(np.pi / 8)), "not of 2 pi|whole pixel|period of 4"),
        (-20 * np.log(2 * np.sin(np.pi / 16)), "powers of 10"),
        (2 * np.sin(np.pi / 16), "now in decibels"),
        (8.1, "round only at the end"),
        (40.0, "squared and turned over"),
    ],
)
def test_wrong_decibels_are_recognised(decibels, reveals):
    place = np.arange(8000) / 8
    wave, off = np.sin(2 * np.pi * place), np.sin(2 * np.pi * (place - 0.5 / 8))
    assert check.furrow_snr(10 * np.log10(np.mean(wave**2) / np.mean((wave - off) ** 2)))
    with pytest.raises(WrongAnswer, match=reveals):
        check.furrow_snr(decibels)


@pytest.mark.parametrize("decimals", [0, 1, 2, 3])
def test_right_decibels_may_be_rounded(decimals):
    assert check.furrow_snr(round(RIGHT, decimals))
