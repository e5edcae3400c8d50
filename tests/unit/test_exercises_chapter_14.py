"""The checks of chapter 14 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from hsisr_lite.exercises import chapter_14 as check
from hsisr_lite.exercises.feedback import WrongAnswer
from hsisr_lite.uafl.scmf import SCMF
from hsisr_lite.uafl.window_attention import WindowAttention, from_windows, to_windows

WEIGHTS = sum(p.numel() for p in SCMF(16).parameters())
PIXELS = 96 * 64


@pytest.mark.parametrize(
    ("count", "reveals"),
    [
        (..., "no answer yet"),
        ("many", "one number"),
        ([1, 2], "one number"),
        (PIXELS**2, "all with all"),
        (PIXELS * 63, "asks itself"),
        (PIXELS * 32, "count a pair once"),
        (PIXELS * 8, "64 pixels, not 8"),
        (PIXELS // 64, "number of windows"),
        (PIXELS, "number of pixels"),
        (64**2, "one window"),
        (96**2, "pairs of windows"),
        (2 * PIXELS * 64, "another layer"),
        (7, "How many pixels"),
    ],
)
def test_wrong_numbers_of_pairs_are_recognised(count, reveals):
    maps = WindowAttention(2, 0).maps(torch.zeros(1, 2, 96, 64))
    assert check.pairs_compared(maps[0, :, 0].numel())  # what the package compares in one head
    with pytest.raises(WrongAnswer, match=reveals):
        check.pairs_compared(count)


def window_means(image):
    rows, cols = image.shape
    means = image.reshape(rows // 8, 8, cols // 8, 8).mean(axis=(1, 3))
    return means.repeat(8, axis=0).repeat(8, axis=1)


def attention_without_queries(image):
    """Shares of 1 / 64 through the package's own windows."""
    values = torch.from_numpy(np.stack([image, image])[None])
    windows = to_windows(values)
    even = torch.full((64, 64), 1 / 64, dtype=values.dtype)
    return from_windows(even @ windows, values.shape)[0, 0].numpy()


def test_the_right_answer_is_what_attention_does():
    assert check.even_attention(window_means)
    assert check.even_attention(attention_without_queries)


def small(image):
    return window_means(image)[::8, ::8]


@pytest.mark.parametrize(
    ("function", "reveals"),
    [
        (lambda image: None, "returns nothing"),
        (lambda image, window: image, "does not take 1 arguments"),
        (small, "one mean per window"),
        (lambda image: image.T[:, :3], "same shape"),
        (lambda image: image, "the image itself"),
        (lambda image: np.full_like(image, image.mean()), "whole image"),
        (lambda image: uniform_filter(image, 8), "around each pixel"),
        (lambda image: np.tile(small(image), (8, 8)), "np.repeat"),
        (lambda image: 64 * window_means(image), "That is the sum"),
        (
            lambda image: image.reshape(-1, 8, image.shape[1]).mean(1).repeat(8, axis=0),
            "down the rows",
        ),
        (
            lambda image: image.reshape(len(image), -1, 8).mean(2).repeat(8, axis=1),
            "along the columns",
        ),
        (
            lambda image: image.reshape(-1, 64).mean(1).repeat(64).reshape(image.shape),
            "in memory",
        ),
        (lambda image: 0 * image, "Split both axes"),
    ],
)
def test_wrong_averages_are_recognised(function, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.even_attention(function)


@pytest.mark.parametrize(
    ("count", "reveals"),
    [
        (..., "no answer yet"),
        ("few", "one number"),
        (WEIGHTS - 16, "has a bias"),
        (WEIGHTS + 32, "Only W3"),
        (WEIGHTS - 288, "two kinds"),
        (WEIGHTS + 288 * 31, "by itself"),
        (WEIGHTS + 288 * 15, "one map"),
        (2 * 144 + 3 * 256 + 16, "holds both"),
        (288 + 2 * 512, "gates learn"),
        (288 + 512 + 16, "paths learn"),
        (WEIGHTS - 512, "three mixes"),
        (2 * WEIGHTS, "two of them"),
        (5, "z has 32"),
    ],
)
def test_wrong_weights_are_recognised(count, reveals):
    assert check.weights_of_scmf(WEIGHTS)  # the package's own module is the right answer
    with pytest.raises(WrongAnswer, match=reveals):
        check.weights_of_scmf(count)
