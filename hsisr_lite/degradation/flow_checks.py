"""Checks of what a flow is made from: the size of its image, and single numbers."""

from numbers import Integral, Real

from hsisr_lite.arrays import InputError

FAR = 1e5  # pixels: wider than the images that this package can hold
LENGTHS = (1e-3, FAR)  # below it neighbours know nothing of each other
ANGLES = (-360.0, 360.0)
SCALES = (1e-3, 1e3)


def as_size(rows, cols):
    """Return the size of an image as two ints of at least 1.

    Raises
    ------
    InputError
        Something else than whole numbers of at least 1.

    Examples
    --------
    >>> as_size(3, 4)
    (3, 4)
    """
    for name, value in (("rows", rows), ("cols", cols)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise InputError(
                f"{name} is {value!r}: a whole number of at least 1 is needed; give the size of "
                "the image."
            )
    return int(rows), int(cols)


def as_within(value, name, bounds):
    """Return a single number as a float, or say that it is none, or out of bounds.

    Raises
    ------
    InputError
        Text, an array, complex, NaN, or a number outside of the bounds.

    Examples
    --------
    >>> as_within(2, "rms", (0, 10))
    2.0
    """
    least, most = bounds
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= value <= most:
        raise InputError(
            f"{name} is {value!r}: one number from {least:g} to {most:g} is needed; correct it."
        )
    return float(value)
