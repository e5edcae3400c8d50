"""How a check speaks: praise that displays as text, and a wrong answer without a traceback."""

import inspect

import numpy as np


class WrongAnswer(AssertionError):
    """What a typical wrong answer reveals, and what to look at next."""

    def _render_traceback_(self):
        """Jupyter shows the sentence alone; the traceback says nothing about the answer."""
        return [f"Not yet: {self}"]


class Right(str):
    """A sentence that Jupyter shows as text, without quotes and wrapped to the page."""

    def _repr_markdown_(self):
        return f"**Right.** {self}"


def answered(answer):
    """Return ``answer``, or raise :class:`WrongAnswer` where there is none yet.

    Examples
    --------
    >>> answered(3)
    3
    """
    if answer is ... or answer is None:
        raise WrongAnswer("there is no answer yet: replace the dots by yours.")
    return answer


def call(function, *arguments):
    """Return what the reader's function returns, or raise :class:`WrongAnswer`.

    An exercise that is still open, a function of other arguments and one without ``return`` each
    get their own sentence.

    Examples
    --------
    >>> call(len, [1, 2])
    2
    """
    if not callable(answered(function)):
        raise WrongAnswer("this is a value: pass the function itself, without brackets.")
    if not _takes(function, arguments):
        raise WrongAnswer(
            f"your function does not take {len(arguments)} arguments: keep the def line as it was "
            "given."
        )
    try:
        result = function(*arguments)
    except NotImplementedError:
        raise WrongAnswer("the function is still open: write its body.") from None
    if result is None or result is ...:
        raise WrongAnswer("your function returns nothing: end it with a return.")
    return result


def array_from(function, *arguments):
    """Return what the reader's function returns as a float array, or raise :class:`WrongAnswer`.

    Examples
    --------
    >>> array_from(abs, -2)
    array(2.)
    """
    result = call(function, *arguments)
    try:
        return np.asarray(result, dtype=np.float64)
    except (TypeError, ValueError):
        raise WrongAnswer(
            f"your function returns a {type(result).__name__} that is no array of numbers."
        ) from None


def _takes(function, arguments):
    """Whether the function can be called with so many arguments; unknown counts as yes."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C do not tell
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
