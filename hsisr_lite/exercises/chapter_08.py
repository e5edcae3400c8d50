"""Checks for the exercises of chapter 08, learning the sensors."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from

_LEFT_AT = np.array([0.7, 0.5, -0.2])  # exercise 1: where a step has left the kernel


def two_ways_back(divided, nearest):
    """Check exercise 1: where two rules put the kernel (0.7, 0.5, -0.2).

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> two_ways_back([7 / 12, 5 / 12, 0], [0.6, 0.4, 0])
    'The division favours the larger tap; the nearest point takes 0.1 from each that is left.'
    """
    divided, nearest = (_three(answer) for answer in (divided, nearest))
    cut = np.maximum(_LEFT_AT, 0)
    right_divided, right_nearest = cut / cut.sum(), np.array([0.6, 0.4, 0.0])

    def equal(found, other):
        return np.allclose(found, other, atol=2e-3)  # three digits are enough

    if equal(divided, right_divided) and equal(nearest, right_nearest):
        return Right(
            "The division favours the larger tap; the nearest point takes 0.1 from each that is "
            "left."
        )
    if equal(divided, right_nearest) and equal(nearest, right_divided):
        raise WrongAnswer("both are there, in the wrong order: divided comes first.")
    for name, found in (("divided", divided), ("nearest", nearest)):
        if equal(found, _LEFT_AT):
            raise WrongAnswer(f"{name}: the sum is right already, but a tap is negative.")
        if equal(found, cut):
            raise WrongAnswer(f"{name}: after the cut the taps sum to 1.2, not to 1.")
        if (found < 0).any():
            raise WrongAnswer(f"{name}: a kernel has no negative taps.")
        if not np.isclose(found.sum(), 1, atol=5e-3):
            raise WrongAnswer(f"{name}: the taps sum to {found.sum():.3g}, not to 1.")
    if not equal(divided, right_divided):
        if equal(divided, np.abs(_LEFT_AT) / np.abs(_LEFT_AT).sum()):
            raise WrongAnswer("divided: the negative tap is cut to zero, not turned over.")
        if equal(divided, right_nearest):
            raise WrongAnswer("divided: a division keeps the proportion of the taps, 7 to 5.")
        raise WrongAnswer("divided: put zero for the negative tap, then divide all by their sum.")
    if equal(nearest, right_divided):
        raise WrongAnswer(
            "nearest: you divided again. The nearest point takes the same from each tap that stays."
        )
    raise WrongAnswer(
        "nearest: two taps stay, 0.7 and 0.5; take the same amount from both, until they sum to 1."
    )


def _three(answer):
    try:
        found = np.asarray(answered(answer), dtype=np.float64)
    except (TypeError, ValueError):
        raise WrongAnswer("write three numbers, such as [0.2, 0.3, 0.5].") from None
    if found.shape != (3,):
        raise WrongAnswer("A kernel of three taps has three numbers.")
    return found


def growth_of_contrast(growth):
    """Check exercise 2: a step down and one up, ratio 10, rate 0.001.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> growth_of_contrast(1 / 0.99)
    'One per cent for each swing: seventy swings double the contrast.'
    """
    try:
        found = float(answered(growth))
    except (TypeError, ValueError):
        raise WrongAnswer("write one number, a factor.") from None
    if abs(found - 1 / 0.99) <= 1.5e-4:  # 1.01 is as good by hand
        return Right("One per cent for each swing: seventy swings double the contrast.")
    swing = 10**2 * 1e-3  # r^2 delta
    wrong_turns = {
        "The brightness comes back, the contrast does not: its two factors are 1 / (1 - 0.1) and "
        "1 / (1 + 0.1).": 1.0,
        "It grows: you have the factor upside down.": 1 - swing**2,
        "That is the step down alone; the step up takes part of it back.": 1 / (1 - swing),
        "That is the step up alone; the step down comes before it.": 1 / (1 + swing),
        "A kernel of ratio 10 has 100 taps: the sum changes by 100 rates, not by 10.": (
            1 / (1 - (10 * 1e-3) ** 2)
        ),
        "The sum changes by all taps' rates together, 0.1, not by one rate.": 1 / (1 - 1e-6),
        "That counts the step down twice; the second step goes up.": 1 / (1 - swing) ** 2,
        "That is by how much it has grown; the factor is one more.": 1 / 0.99 - 1,
    }
    # Several lie close together: the nearest, within three digits, is meant
    reveals = min(wrong_turns, key=lambda words: abs(found - wrong_turns[words]))
    if abs(found - wrong_turns[reveals]) < 1e-3:
        raise WrongAnswer(reveals)
    raise WrongAnswer(
        "Write h as flat plus e. After the step down e is divided by 1 - 100 rates, after the step "
        "up by 1 + 100 rates."
    )


def multiplied_step(step):
    """Check exercise 3 on kernels and gradients of several shapes.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    found, right, wrong = [], [], []
    for shape, rate in (((4, 4), 0.5), ((3, 3), 1.5), ((5,), 0.1)):
        h, gradient = rng.random(shape) + 0.1, rng.normal(size=shape)
        h /= h.sum()
        given = h.copy()
        found.append(array_from(step, given, gradient.copy(), rate))
        if not np.array_equal(given, h):
            raise WrongAnswer("your function changes the kernel that it is given: make a new one.")
        if found[-1].shape != shape:
            raise WrongAnswer(
                f"The kernel keeps its shape, {shape}; yours has the shape {found[-1].shape}."
            )
        grown, against = h * np.exp(-rate * gradient), h * np.exp(rate * gradient)
        cut = np.maximum(h - rate * gradient, 0)
        weights = np.exp(-rate * gradient)
        wrong.append(
            {
                "The sum is not one: divide by it.": grown,
                "That climbs: the gradient points to where the loss grows, so mind the minus.": (
                    against / against.sum()
                ),
                "That subtracts, cuts and divides, as published; multiply instead.": (
                    cut / cut.sum()
                ),
                "The old kernel is missing: each tap is multiplied by its factor.": (
                    weights / weights.sum()
                ),
                "You divide by the largest tap; the sum is to be one.": grown / grown.max(),
                "You divide by the length; the sum of the taps is to be one.": (
                    grown / np.linalg.norm(grown)
                ),
                "The rate is missing in the exponent.": (
                    h * np.exp(-gradient) / np.sum(h * np.exp(-gradient))
                ),
                "That is the kernel as it was.": h,
            }
        )
        right.append(grown / grown.sum())

    def agree(answers):
        return all(np.allclose(mine, other) for mine, other in zip(found, answers, strict=True))

    if agree(right):
        return Right(
            "Never negative, always of sum one, and blind to brightness: add 5 to the gradient, "
            "and nothing changes."
        )
    for reveals in wrong[0]:
        if agree([answers[reveals] for answers in wrong]):
            raise WrongAnswer(reveals)
    raise WrongAnswer("Multiply h by exp(-rate * gradient), tap by tap, then divide by the sum.")
