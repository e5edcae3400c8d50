"""How a check speaks: praise that displays as text, and a wrong answer without a traceback."""


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

    An exercise that is still open, and a function without ``return``, each get their own sentence.

    Examples
    --------
    >>> call(len, [1, 2])
    2
    """
    if not callable(answered(function)):
        raise WrongAnswer("this is a value: pass the function itself, without brackets.")
    try:
        result = function(*arguments)
    except NotImplementedError:
        raise WrongAnswer("the function is still open: write its body.") from None
    if result is None or result is ...:
        raise WrongAnswer("your function returns nothing: end it with a return.")
    return result
