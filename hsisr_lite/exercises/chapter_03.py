"""Checks for the exercises of chapter 03, scoring a fusion."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from
from hsisr_lite.pixel_metrics import psnr as psnr_of_package
from hsisr_lite.window_metrics import quality_index


def twice_too_bright(angle, correlation, decibels, quality):
    """Check exercise 1: SAM, CC, SNR and UIQI of an estimate that is twice the truth.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> twice_too_bright(0, 1, 0, 0.64)
    'SAM and CC see nothing; SNR calls it hopeless; UIQI is in between.'
    """
    asked = {"SAM": angle, "CC": correlation, "SNR": decibels, "UIQI": quality}
    wanted = {"SAM": 0, "CC": 1, "SNR": 0, "UIQI": 16 / 25}
    reveals = {
        ("SAM", 1): "The cosine is 1, so the angle is 0.",
        ("SAM", 2): "An angle is no ratio of lengths: do 2x and x point the same way?",
        ("CC", 2): "A correlation never exceeds 1: it divides by the spread of both images.",
        ("CC", 0.5): "The gain divides out: both spreads stand in the denominator.",
        ("CC", 0): "Does p rise where x rises? Then the correlation is not 0.",
        ("SNR", 1): "That is the ratio of the powers; in decibels it is ten times its logarithm.",
        ("SNR", -6.02): "That compares x with p. What is the error, p - x?",
        ("SNR", 6.02): "That compares p with x. What is the error, p - x?",
        ("SNR", 3.01): "A ratio of powers of 2 would be 3 dB. What is the error, p - x?",
        ("SNR", -3.01): "A ratio of powers of 1/2 would be -3 dB. What is the error, p - x?",
        ("UIQI", 1): "The pattern is the same, but Q compares means and contrasts too.",
        ("UIQI", 0.8): "Means agree to 0.8 and so do contrasts; Q is the product of the two.",
        ("UIQI", 0.32): "The covariance of x and 2x is twice the variance of x.",
        ("UIQI", 0.5): "Put covariance 2v, variances v and 4v, means m and 2m into the formula.",
        ("UIQI", 0): "An index of 0 would mean no common pattern at all.",
    }
    for name, answer in asked.items():
        if not isinstance(answered(answer), int | float | np.number) or isinstance(answer, bool):
            raise WrongAnswer(f"one number for {name}, please.")
        if np.isclose(answer, wanted[name], atol=1e-3):
            continue
        for (score, value), sentence in reveals.items():
            if score == name and np.isclose(answer, value, atol=0.02):
                raise WrongAnswer(sentence)
        raise WrongAnswer(f"{name} is not {answer:g}: put p = 2x into its formula.")
    return Right("SAM and CC see nothing; SNR calls it hopeless; UIQI is in between.")


def psnr(function):
    """Check exercise 2 on bands of very different peaks and errors.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    x = rng.random((9, 7, 4)) * [0.2, 0.5, 0.9, 1.6]
    p = x + rng.standard_normal(x.shape) * [0.01, 0.05, 0.02, 0.2] + 0.01
    found, wanted = array_from(function, x.copy(), p.copy()), psnr_of_package(x, p)
    mse, peak = ((x - p) ** 2).mean(axis=(0, 1)), x.max(axis=(0, 1))
    if found.ndim:
        raise WrongAnswer(f"One number, please: yours has shape {found.shape}; take the mean.")
    if np.isclose(found, wanted, rtol=1e-6):
        return Right("Bands first, logarithm second, mean last.")
    in_db = lambda power: np.mean(10 * np.log10(power))  # noqa: E731 (one formula, many variants)
    wrong_turns = {
        "You took one peak for the whole image; each band has its own.": in_db(x.max() ** 2 / mse),
        "You took 1 as the peak; here it is the largest value of each band.": in_db(1 / mse),
        "The peak is that of the truth, not of the estimate.": in_db(p.max(axis=(0, 1)) ** 2 / mse),
        "You averaged before the logarithm: the mean is over decibels.": in_db(
            np.mean(peak**2 / mse)
        ),
        "You averaged the errors of all bands before the logarithm.": in_db(peak**2 / mse.mean()),
        "That is the PSNR of the image as a whole, with one peak and one error.": in_db(
            x.max() ** 2 / mse.mean()
        ),
        "20 belongs to a ratio of amplitudes; peak^2 / MSE is one of powers: 10.": 2 * wanted,
        "The peak is not squared, but the error is.": in_db(peak / mse),
        "The sign is turned: the error belongs below.": -wanted,
        "That is a natural logarithm; decibels use log10.": wanted * np.log(10),
        "You left out the factor 10.": wanted / 10,
    }
    for reveals, answer in wrong_turns.items():
        if np.isclose(found, answer, rtol=1e-6):
            raise WrongAnswer(reveals)
    raise WrongAnswer(f"These images have {wanted:.2f} dB, not {found:.2f}.")


def mended_uqi(function):
    """Check exercise 3 on one window of 64 values, bright and with little contrast.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(1)
    x = 0.5 + 0.05 * rng.standard_normal(64)
    p = 0.4 + 0.5 * (x - 0.5) + 0.03 * rng.standard_normal(64)
    found = array_from(function, x.copy(), p.copy())
    if found.ndim:
        raise WrongAnswer(f"One number for the window, please: yours has shape {found.shape}.")
    means, squares, count = (x.mean(), p.mean()), (np.mean(x * x), np.mean(p * p)), x.size
    covariance, variances = np.mean(x * p) - means[0] * means[1], x.var() + p.var()
    wanted = float(quality_index(*means, x.var(), p.var(), covariance))
    if np.isclose(found, wanted, rtol=1e-6):
        return Right("Every n cancels, and the index falls to where it belongs.")
    product, level = means[0] * means[1], means[0] ** 2 + means[1] ** 2
    kept = count * sum(squares) - level  # n times a mean of squares, less squares of means
    above = 4 * (count * np.mean(x * p) - product) * product
    wrong_turns = {
        "That is the misread formula of the audit: n times a mean is a sum only where the others "
        "are sums too.": above / (kept * level),
        "n is gone from one half of the fraction only.": above / (variances * level),
        "n is gone from the numerator only.": 4 * covariance * product / (kept * level),
        "That is the correlation; Q also compares means and contrasts.": covariance
        / np.sqrt(x.var() * p.var()),
        "You left out the factor that compares the means.": 2 * covariance / variances,
        "The 4 is missing.": wanted / 4,
        "The 4 stands for two factors of 2, one for each pair of brackets.": wanted / 2,
        "Subtract the product of the means: that makes a covariance of a mean product.": 4
        * np.mean(x * p)
        * product
        / (sum(squares) * level),
    }
    for reveals, answer in wrong_turns.items():
        if np.isclose(found, answer, rtol=1e-6):
            raise WrongAnswer(reveals)
    raise WrongAnswer(f"This window has Q = {wanted:.4f}, not {found:.4f}.")
