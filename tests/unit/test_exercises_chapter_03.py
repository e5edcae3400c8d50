"""The checks of chapter 03 accept right answers and recognise the usual wrong ones."""

import numpy as np
import pytest

from hsisr_lite import metrics
from hsisr_lite.exercises import chapter_03 as check
from hsisr_lite.exercises.feedback import WrongAnswer


def test_the_right_answers_are_those_of_the_package():
    x = 0.1 + np.random.default_rng(0).random((9, 9, 3))
    found = [f(x, 2 * x) for f in (metrics.sam, metrics.cc, metrics.snr, metrics.uiqi)]
    assert check.twice_too_bright(*found)
    assert check.psnr(metrics.psnr)


@pytest.mark.parametrize(
    ("place", "answer", "reveals"),
    [
        (0, ..., "no answer yet"),
        (0, "0", "one number for SAM"),
        (3, [0.64], "one number for UIQI"),
        (0, 1, "cosine"),
        (0, 2, "no ratio of lengths"),
        (0, 45, "SAM is not 45"),
        (1, 2, "never exceeds"),
        (1, 0.5, "divides out"),
        (1, 0, "rise where x rises"),
        (2, 1, "ratio of the powers"),
        (2, -6.02, "x with p"),
        (2, 6.0206, "p with x"),
        (2, 3.0103, "would be 3 dB"),
        (2, -3.0, "would be -3 dB"),
        (3, 1, "means and contrasts"),
        (3, 0.8, "product of the two"),
        (3, 0.32, "twice the variance"),
        (3, 0.5, "covariance 2v"),
        (3, 0, "no common pattern"),
        (3, np.inf, "UIQI is not inf"),
    ],
)
def test_wrong_answers_for_a_doubled_image_are_recognised(place, answer, reveals):
    answers = [0, 1, 0, 0.64]
    answers[place] = answer
    with pytest.raises(WrongAnswer, match=reveals):
        check.twice_too_bright(*answers)


def mse(x, p):
    return ((x - p) ** 2).mean(axis=(0, 1))


def peak(x):
    return x.max(axis=(0, 1))


@pytest.mark.parametrize(
    ("psnr", "reveals"),
    [
        (lambda x, p: None, "returns nothing"),
        (lambda x: 1, "does not take 2"),
        (lambda x, p: 10 * np.log10(peak(x) ** 2 / mse(x, p)), "take the mean"),
        (lambda x, p: metrics.psnr(x, p, peak="global"), "one peak for the whole"),
        (lambda x, p: metrics.psnr(x, p, peak=1.0), "took 1 as the peak"),
        (lambda x, p: np.mean(10 * np.log10(peak(p) ** 2 / mse(x, p))), "not of the estimate"),
        (lambda x, p: 10 * np.log10(np.mean(peak(x) ** 2 / mse(x, p))), "before the logarithm:"),
        (lambda x, p: np.mean(10 * np.log10(peak(x) ** 2 / mse(x, p).mean())), "errors of all"),
        (lambda x, p: 20 * np.log10(x.max() / metrics.rmse(x, p)), "image as a whole"),
        (lambda x, p: np.mean(20 * np.log10(peak(x) ** 2 / mse(x, p))), "ratio of amplitudes"),
        (lambda x, p: np.mean(10 * np.log10(peak(x) / mse(x, p))), "not squared"),
        (lambda x, p: np.mean(10 * np.log10(mse(x, p) / peak(x) ** 2)), "sign is turned"),
        (lambda x, p: np.mean(10 * np.log(peak(x) ** 2 / mse(x, p))), "natural logarithm"),
        (lambda x, p: np.mean(np.log10(peak(x) ** 2 / mse(x, p))), "factor 10"),
        (lambda x, p: 30, "not 30.00"),
    ],
)
def test_wrong_psnrs_are_recognised(psnr, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.psnr(psnr)


def q_with(count_above, count_below):
    """Q with n in the brackets of the numerator and of the denominator, or with 1."""

    def q(x, p):
        m_x, m_p, m_xp = x.mean(), p.mean(), np.mean(x * p)
        squares = np.mean(x * x) + np.mean(p * p)
        above = 4 * (count_above * m_xp - m_x * m_p) * m_x * m_p
        below = (count_below * squares - m_x**2 - m_p**2) * (m_x**2 + m_p**2)
        return above / below

    return q


right = q_with(1, 1)


@pytest.mark.parametrize(
    ("q", "reveals"),
    [
        (lambda x, p: None, "returns nothing"),
        (lambda x, p: x, "One number"),
        (q_with(64, 64), "misread formula"),
        (q_with(64, 1), "one half"),
        (q_with(1, 64), "numerator only"),
        (lambda x, p: np.corrcoef(x, p)[0, 1], "That is the correlation"),
        (lambda x, p: 2 * np.cov(x, p, ddof=0)[0, 1] / (x.var() + p.var()), "compares the means"),
        (lambda x, p: right(x, p) / 4, "4 is missing"),
        (lambda x, p: right(x, p) / 2, "two factors of 2"),
        (lambda x, p: 4 * np.mean(x * p) * x.mean() * p.mean()
         / (np.mean(x * x + p * p) * (x.mean() ** 2 + p.mean() ** 2)), "Subtract the product"),
        (lambda x, p: 0.5, "not 0.5000"),
    ],
)  # fmt: skip
def test_wrong_indices_are_recognised(q, reveals):
    assert check.mended_uqi(right)
    with pytest.raises(WrongAnswer, match=reveals):
        check.mended_uqi(q)
