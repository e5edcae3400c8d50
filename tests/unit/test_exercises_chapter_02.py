"""The checks of chapter 02 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest

from hsisr_lite.degradation.noise import noise_sd
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.exercises import chapter_02 as check
from hsisr_lite.exercises.feedback import WrongAnswer


@pytest.mark.parametrize(
    ("coarse_pixel", "psf_entry", "reveals"),
    [
        (..., (5, 6), "no answer yet"),
        (2, 5, "two numbers"),
        ("20", "56", "two numbers"),
        ((0, 2), (6, 5), "Rows come first"),
        ((3, 1), (5, 6), "rounded up"),
        ((21, 6), (5, 6), "Which block"),
        ((2, 0), (21, 6), "place in the image"),
        ((2, 0), (2, 1), "flipped"),
        ((2, 0), (4, 4), "how far on"),
    ],
)
def test_wrong_photons_are_recognised(coarse_pixel, psf_entry, reveals):
    assert check.follow_one_photon([2, 0], np.array([5, 6]))
    with pytest.raises(WrongAnswer, match=reveals):
        check.follow_one_photon(coarse_pixel, psf_entry)


@pytest.mark.parametrize(
    ("spread", "reveals"),
    [
        (lambda y, h, r: None, "returns nothing"),
        (lambda y, h, r: y, "goes back to the fine grid"),
        (lambda y, h, r: np.kron(y, np.ones((r, r, 1))), "a copy"),
        (lambda y, h, r: np.kron(y, np.ones((r, r, 1))) / r**2, "divided by the area"),
        (lambda y, h, r: np.kron(y, h[..., None]) / np.sum(h**2), "inverse of sorts"),
        (lambda y, h, r: np.kron(y, h.T[..., None]), "transposed"),
        (lambda y, h, r: np.kron(y, h[::-1, ::-1, None]), "flipped"),
        (lambda y, h, r: np.kron(y, h[..., None]) * 1.01, "must be equal"),
    ],
)
def test_wrong_adjoints_are_recognised(spread, reveals):
    assert check.adjoint(lambda y, h, r: np.kron(y, h[..., None]))
    assert check.adjoint(lambda y, h, r: SpatialOperator(h, r).A_adjoint(y))
    with pytest.raises(WrongAnswer, match=reveals):
        check.adjoint(spread)


@pytest.mark.parametrize(
    ("sd", "reveals"),
    [
        (lambda x, db: None, "returns nothing"),
        (lambda x, db: np.mean(x**2) / 10 ** (db / 10), "variance; the question"),
        (lambda x, db: np.sqrt(np.mean(x**2) / 10 ** (db / 20)), "divided decibels by 20"),
        (lambda x, db: x.std() / 10 ** (db / 20), "brightness included"),
        (lambda x, db: x.mean() / 10 ** (db / 20), "mean of x;"),
        (lambda x, db: x.max() / 10 ** (db / 20), "peak SNR"),
        (lambda x, db: np.sqrt(np.mean(x**2)) * 10 ** (db / 20), "sign of the decibels"),
        (lambda x, db: np.sqrt(np.mean(x**2, axis=(0, 1))), "One number"),
        (lambda x, db: 0.1, "not 0.1"),
        (lambda x, db: noise_sd(x, 25), "at 40 dB"),
    ],
)
def test_wrong_noise_levels_are_recognised(sd, reveals):
    assert check.noise_level(noise_sd)
    with pytest.raises(WrongAnswer, match=reveals):
        check.noise_level(sd)


@pytest.mark.parametrize(
    ("displacement", "reveals"),
    [(..., "no answer yet"),
     ([1], "one signed number"), ("1", "one signed number"),
     (-1, "size is right"), (0.5, "trap"), (0, "Where do the windows"),
     (2, "Compare centres"), (3, "start of the window"), (7, "centre of a window")],
)  # fmt: skip
def test_wrong_displacements_are_recognised(displacement, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.displaced(displacement)
