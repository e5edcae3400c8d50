"""Checks for the exercises of chapter 05, fusion before deep learning."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from


def most_probable_value(value):
    """Check exercise 1: 0.30 +- 0.10 and 0.40 +- 0.05 together.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> most_probable_value(0.38)
    'Four fifths of the way: the weights are 100 and 400.'
    """
    if not isinstance(answered(value), int | float | np.number):
        raise WrongAnswer("one number, please.")
    reveals = {
        0.35: "That is the plain mean: it ignores that one of the two is twice as certain.",
        0.32: "Your weights are the variances; the more uncertain value must count less.",
        1 / 3: "Your weights are the standard deviations; the more uncertain must count less.",
        11 / 30: "You weighed by 1 / sd. The exponent of a Gaussian holds 1 / sd squared.",
        0.4: "The measurement is better, not perfect: the prior still pulls.",
        0.3: "That is the prior alone; the measurement is the better of the two.",
    }
    if np.isclose(value, 0.38, atol=5e-4):
        return Right("Four fifths of the way: the weights are 100 and 400.")
    for wrong, sentence in reveals.items():
        if np.isclose(value, wrong, atol=2e-3):
            raise WrongAnswer(sentence)
    if not 0.3 < value < 0.4:
        raise WrongAnswer("The most probable value lies between what the two of them say.")
    raise WrongAnswer("Minimise (x - 0.30)^2 / 0.10^2 + (x - 0.40)^2 / 0.05^2 over x.")


def multiplicative_update(update):
    """Check exercise 2: one update of E for |Y - A E|^2.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    A, E = rng.random((40, 3)) + 0.1, rng.random((3, 7)) + 0.1
    Y = A @ (E * rng.uniform(0.5, 1.5, E.shape))
    found = array_from(update, Y.copy(), A.copy(), E.copy())
    if found.shape == A.shape:
        raise WrongAnswer("That is the update of the abundances; here A stays and E moves.")
    if found.shape != E.shape:
        raise WrongAnswer(f"E keeps its shape, {E.shape}; yours has {found.shape}.")
    up, down = A.T @ Y, A.T @ A @ E
    if np.allclose(found, E * up / down, rtol=1e-6):
        before, after = (np.sum((Y - A @ e) ** 2) for e in (E, found))
        return Right(f"The cost falls from {before:.2f} to {after:.2f}, and E stays positive.")
    step = 1 / np.linalg.norm(A.T @ A, 2)
    wrong_turns = {
        "The fraction is upside down: where the model is too small the entry must grow.": (
            E * down / up
        ),
        "That is the factor alone: multiply it with E, entry by entry.": up / down,
        "That is a gradient step: it subtracts, and nothing keeps E from going negative.": (
            E + step * (up - down)
        ),
        "That solves for E at once; right where it is positive, but nothing keeps it so.": (
            np.linalg.lstsq(A, Y, rcond=None)[0]
        ),
        "You left E out of the denominator: it must be what the model says now, A* A E.": (
            E * up / (A.T @ A).sum(axis=1, keepdims=True)
        ),
    }
    for reveals, answer in wrong_turns.items():
        if np.allclose(found, answer, rtol=1e-6):
            raise WrongAnswer(reveals)
    raise WrongAnswer("E times a fraction: above, A* Y; below, the same with A E instead of Y.")


def determined_cores(letters):
    """Check exercise 3: which ranks leave no entry of SCOTT's core open.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> determined_cores({"a", "c"})
    'One camera must see each entry: S all spectra, or P all patterns.'
    """
    try:
        letters = {str(letter).strip().lower() for letter in answered(letters)}
    except TypeError:
        raise WrongAnswer("write a set of letters, such as {'a', 'd'}.") from None
    if not letters <= set("abcd"):
        raise WrongAnswer("the answers are called a, b, c and d.")
    if "b" in letters:
        raise WrongAnswer(
            "b: 12 spectra through 8 bands leave 4 that S does not see, and P lets at most 24 of "
            "the 96 patterns through."
        )
    if "d" in letters:
        raise WrongAnswer(
            "d: 20 column patterns survive P, but 40 row patterns do not: 16 of their alpha are 0."
        )
    if "a" not in letters:
        raise WrongAnswer("a: with no more spectra than bands, every gamma can be positive.")
    if "c" not in letters:
        raise WrongAnswer("c: 20 patterns each way fit into 24 x 24 pixels, so P sees them all.")
    return Right("One camera must see each entry: S all spectra, or P all patterns.")


def kernel_from_windows(kernel):
    """Check exercise 4 on two bands, with a kernel that no symmetry protects.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(1)
    true = np.array([0.1, 0.15, 0.05, 0.2, 0.25, 0.05, 0.0, 0.12, 0.08])
    windows = 0.2 + rng.random((2, 6, 9))  # one band alone has fewer pixels than weights
    mixed = windows @ true + 1e-4 * rng.standard_normal((2, 6))
    found = array_from(kernel, windows.copy(), mixed.copy())
    if found.shape not in ((9,), (3, 3)):
        raise WrongAnswer(f"The kernel has 9 weights here; yours has the shape {found.shape}.")
    found = found.ravel()
    if np.allclose(found, 1 / 9):
        raise WrongAnswer("All weights are alike: did the right side, Y s_m, enter at all?")
    if found.min() < -1e-9:
        raise WrongAnswer("Some weights are negative: no lens takes light away.")
    if not np.isclose(found.sum(), 1, rtol=0, atol=1e-6):
        raise WrongAnswer(
            f"Divide by the sum: your weights add up to {found.sum():.7f}, and light must be "
            "neither lost nor made."
        )
    if np.linalg.norm(found - true) > 0.05 * np.linalg.norm(true):
        raise WrongAnswer(
            "The kernel is not the one that was used. All MSI bands share one kernel: put their "
            "equations below each other, in the same order on both sides."
        )
    return Right("Both bands agree on one kernel, and what was zero has stayed zero.")
