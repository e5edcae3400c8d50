"""Checks for the exercises of chapter 07, the positive loop."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from


def precision_of_root(precision):
    """Check exercise 1: the precision of the root ((2, 0), (1, 1)).

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> precision_of_root([[5, 1], [1, 1]])
    'It is symmetric, and its determinant, 4, is that of T squared: no T can make it negative.'
    """
    try:
        found = np.asarray(answered(precision), dtype=np.float64)
    except (TypeError, ValueError):
        raise WrongAnswer("write two rows of two numbers, such as [[1, 2], [3, 4]].") from None
    if found.shape != (2, 2):
        raise WrongAnswer("A precision of a plane has two rows of two numbers.")
    root = np.array([[2.0, 0.0], [1.0, 1.0]])
    if np.allclose(found, root.T @ root):
        return Right(
            "It is symmetric, and its determinant, 4, is that of T squared: no T can make it "
            "negative."
        )
    wrong_turns = {
        "You multiplied T by its transpose from the right: |T d|^2 is d' T' T d.": root @ root.T,
        "That is T itself; |T d|^2 holds T twice.": root,
        "That is T T. One of the two must be turned over: d' T' T d.": root @ root,
        "You squared entry by entry; a product of matrices adds up rows times columns.": root**2,
        "That is the covariance; the precision is its inverse.": np.linalg.inv(root.T @ root),
    }
    for reveals, answer in wrong_turns.items():
        if np.allclose(found, answer):
            raise WrongAnswer(reveals)
    if not np.isclose(found[0, 1], found[1, 0]):
        raise WrongAnswer("A precision is symmetric: d' T' T d counts row and column alike.")
    raise WrongAnswer("Write out |T d|^2 for d = (a, b): (2 a)^2 + (a + b)^2, then sort by terms.")


def shift_of_kernel(shift):
    """Check exercise 2 on kernels of several sizes, lopsided and with two peaks.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    found, right, wrong = [], [], []
    for ratio, size in ((4, 4), (4, 8), (3, 3), (4, 7)):
        psf = rng.random((size, size)) ** 4 * np.linspace(0.1, 1, size)[:, None]
        psf /= psf.sum()
        found.append(array_from(shift, psf.copy(), ratio))
        if found[-1].shape != (2,):
            raise WrongAnswer(
                f"Two numbers, rows and columns; yours has the shape {found[-1].shape}."
            )
        at = np.arange(size)
        mass = np.array([psf.sum(axis=1) @ at, psf.sum(axis=0) @ at])
        peak = np.array(np.unravel_index(psf.argmax(), psf.shape))
        start, middle = -((size - ratio) // 2), (ratio - 1) / 2
        right.append(mass + start - middle)
        wrong.append(
            {
                "Rows come first: you return (columns, rows).": right[-1][::-1],
                "The sign is turned: a kernel below the middle has a positive shift.": -right[-1],
                "That is the place of the largest weight; a centre of mass counts every weight.": (
                    peak + start - middle
                ),
                "You measure from pixel k // 2, which for an even k is not the middle.": (
                    mass - size // 2
                ),
                "You left out the window's start: a wide kernel begins before its block.": (
                    mass - middle
                ),
                "That is the place in the window; subtract where the block's middle is.": mass,
                "You measure from the middle of the window. Where k - r is odd, that is half a "
                "pixel off the middle of the block.": mass - (size - 1) / 2,
                "The block's middle is at (r - 1) / 2, not at r / 2: pixels count from 0.": (
                    mass + start - ratio / 2
                ),
            }
        )
    if np.allclose(found, right):
        return Right(
            "Odd sizes, even sizes, wide windows: all measured from the middle of the block."
        )
    for reveals in wrong[0]:  # two mistakes may agree on one kernel, not on all of them
        if np.allclose(found, [answers[reveals] for answers in wrong]):
            raise WrongAnswer(reveals)
    raise WrongAnswer(
        "Weigh each row by the sum of its weights, each column likewise, count from the block's "
        "first pixel, and subtract (r - 1) / 2."
    )


def third_term(letters):
    """Check exercise 3: which cameras keep P and S from commuting.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> third_term({"a", "c", "d"})
    'One lens for all bands, one filter for all pixels, both linear: break one, and it wakes up.'
    """
    try:
        letters = {str(letter).strip().lower() for letter in answered(letters)}
    except TypeError:
        raise WrongAnswer("write a set of letters, such as {'a', 'b'}.") from None
    if not letters <= set("abcde"):
        raise WrongAnswer("the cameras are called a, b, c, d and e.")
    if "b" in letters:
        raise WrongAnswer("b: P may be as wide as it likes, as long as it treats all bands alike.")
    if "e" in letters:
        raise WrongAnswer(
            "e: the same image, noise and all, stands on both sides; what you know of no image "
            "can matter."
        )
    if "a" not in letters:
        raise WrongAnswer("a: blurred first, red and blue are mixed after different blurs.")
    if "c" not in letters:
        raise WrongAnswer("c: mixed first, neighbours are mixed in different ways, then averaged.")
    if "d" not in letters:
        raise WrongAnswer("d: the root of a mean is not the mean of the roots.")
    return Right(
        "One lens for all bands, one filter for all pixels, both linear: break one, and it wakes "
        "up."
    )
