"""Checks of chapter 01, A cube of light: each knows what typical wrong answers reveal."""

import re
from numbers import Real

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from

_ROWS, _COLS, _BANDS, _RATIO, _MSI_BANDS = 120, 160, 200, 4, 8  # as the exercise states them
_X = _ROWS * _COLS * _BANDS
_Y = _X // _RATIO**2
_Z = _ROWS * _COLS * _MSI_BANDS

_RIGHT_COUNTS = {"X": _X, "Y": _Y, "Z": _Z, "bytes": 4 * _X, "unknowns": _X / (_Y + _Z)}
_WRONG_COUNTS = {
    "X": {
        _ROWS * _COLS: "that is one band: each pixel holds one number for every band.",
        _ROWS * _COLS * 3: "that is a photograph: X has all bands, not three.",
    },
    "Y": {
        _X // _RATIO: "you divided by r once: the ratio counts along rows and along columns, so "
        "there are r * r times fewer pixels.",
        _X: "Y is coarse: one of its pixels covers r * r pixels of X.",
        _X * _RATIO**2: "Y is coarse: it has fewer pixels than X, not more.",
        _Z // _RATIO**2: "Y keeps all bands; the few bands belong to Z.",
        _Y // _BANDS: "those are the pixels of Y: each holds one number for every band.",
    },
    "Z": {
        _Y: "that is Y: Z is the sharp image, with few bands.",
        _Z // _RATIO**2: "Z is sharp: it has as many pixels as X, so the ratio plays no part.",
        _X: "Z is sharp, but it has few bands.",
        _ROWS * _COLS * _BANDS * _MSI_BANDS: "the MSI's bands replace those of X: do not multiply "
        "by both.",
    },
    "bytes": {
        _X: "that counts numbers: a float32 takes 4 bytes.",
        8 * _X: "that is double precision: a float32 takes 4 bytes, not 8.",
        32 * _X: "those are bits: 8 bits are one byte.",
    },
    "unknowns": {
        (_Y + _Z) / _X: "that is the inverse: divide the unknowns by the measured numbers.",
        _X / _Y: "you left out Z: both images are measured.",
        _X / _Z: "you left out Y: both images are measured.",
        _X / _Y + _X / _Z: "you added two quotients: add the measured numbers first, then divide.",
    },
}


def check_counts(counts):
    """Exercise 1: numbers and bytes of a scene and of its pair.

    Parameters
    ----------
    counts : dict
        Under ``"X"``, ``"Y"``, ``"Z"``, ``"bytes"`` and ``"unknowns"``, one number each.

    Returns
    -------
    sentence : Right

    Raises
    ------
    WrongAnswer
        An answer is missing or wrong; the sentence says what it reveals.
    """
    if not isinstance(answered(counts), dict):
        raise WrongAnswer(
            f"counts has the type {type(counts).__name__}: keep it a dict, one number for each "
            "name."
        )
    for name, right in _RIGHT_COUNTS.items():
        value = answered(counts.get(name))
        if not isinstance(value, Real):
            raise WrongAnswer(
                f"{name} has the type {type(value).__name__}: write one number, without quotes or "
                "brackets."
            )
        value = float(value)
        if np.isclose(value, right, rtol=1e-2 if name == "unknowns" else 1e-9):
            continue
        for wrong, reason in _WRONG_COUNTS[name].items():
            if np.isclose(value, wrong, rtol=1e-3):
                raise WrongAnswer(f"{name} = {value:g}: {reason}")
        raise WrongAnswer(
            f"{name} = {value:g}: go back to the shapes, rows times columns times bands, and count "
            "again."
        )
    return Right(
        f"There are {_X / (_Y + _Z):.1f} unknowns for each measured number: the pair alone does "
        "not determine X. That spectra need few numbers has to help."
    )


def check_band_at(band_at):
    """Exercise 2: the image of the band nearest to a wavelength.

    Parameters
    ----------
    band_at : callable
        ``band_at(cube, wavelengths, nm)``, to return a (rows, cols) image.

    Returns
    -------
    sentence : Right

    Raises
    ------
    WrongAnswer
        Wrong axis, wavelength used as an index, the band above instead of the nearest, even steps
        taken for granted, and so on.
    """
    # The steps are so uneven, and every axis has its own size, that no two mistakes look alike.
    wavelengths = np.array([400.0, 420, 440, 530, 640, 700])
    cube = np.arange(8 * 7 * 6, dtype=float).reshape(8, 7, 6)  # (rows, cols, bands)
    # In turn: nearer below, nearer above, hit exactly, before the first band, after the last.
    for nm, right in ((480, 2), (600, 4), (420, 1), (300, 0), (900, 5)):
        try:
            image = array_from(band_at, cube, wavelengths, nm)
        except IndexError:
            raise WrongAnswer(
                f"{nm} is a wavelength, not an index: first find which band lies nearest to it."
            ) from None
        if image.ndim == 0:
            raise WrongAnswer("you return one number: return the image, cube[:, :, index].")
        if image.shape in ((7, 6), (8, 6)):
            raise WrongAnswer(
                f"the result has shape {image.shape}: you cut along rows or columns; bands are the "
                "last axis, cube[:, :, index]."
            )
        if image.shape == (8, 7, 1):
            raise WrongAnswer(
                "the result still has a band axis, (8, 7, 1): index with a number, not with a "
                "slice or a list."
            )
        if image.shape != (8, 7):
            raise WrongAnswer(f"the result has shape {image.shape}: (rows, cols) is wanted.")
        found = int(np.nan_to_num(image[0, 0], nan=-1.0))  # the first pixel names the band
        if not 0 <= found < 6 or not np.array_equal(image, cube[:, :, found]):
            raise WrongAnswer("the result is no band of the cube: return it as it is.")
        if found == right:
            continue
        if found == int(np.argmin(wavelengths - nm)):
            raise WrongAnswer(
                "you always get the first band: the smallest difference is the most negative one; "
                "take its absolute value before argmin."
            )
        if found == int(np.argmax(np.abs(wavelengths - nm))):
            raise WrongAnswer("you get the farthest band: argmin, not argmax.")
        above = int(np.searchsorted(wavelengths, nm))
        if found not in (above - 1, above) and found in _as_if_even(wavelengths, nm):
            raise WrongAnswer(
                "you count in even steps: the centres of the bands need not be evenly spaced, and "
                "these are not; compare nm with each of them."
            )
        side = {above: ", the next above", above - 1: ", the next below"}.get(found, "")
        raise WrongAnswer(
            f"for {nm} nm you return the band at {wavelengths[found]:g} nm{side}: "
            f"{wavelengths[right]:g} nm is nearer."
        )
    return Right(
        "Bands are the last axis, and the nearest one need not be the next above. A "
        "wavelength outside the range gives the band at the end: check that this is what you want."
    )


def _as_if_even(wavelengths, nm):
    """The indices found by dividing by one step, the mean, the first or the median one."""
    steps = np.diff(wavelengths)
    quotients = (nm - wavelengths[0]) / np.array([steps.mean(), steps[0], np.median(steps)])
    found = np.concatenate([np.round(quotients), np.floor(quotients)])
    return set(np.clip(found, 0, len(steps)).astype(int).tolist())


def check_project(project):
    """Exercise 3: the best approximation of spectra by the mean and K components.

    Parameters
    ----------
    project : callable
        ``project(pixels, K)``, to return an array of the same shape.

    Returns
    -------
    sentence : Right

    Raises
    ------
    WrongAnswer
        Not centred, mean not put back, mean over the wrong axis, coordinates instead of spectra,
        another number of components than K.
    """
    rng = np.random.default_rng(1)
    # A mean that is large and far from every component: forgetting it cannot go unnoticed.
    spread = np.array([5.0, 4, 3, 2, 1])[:, None] * rng.standard_normal((5, 12))
    pixels = 10 + 3 * np.arange(12) + rng.standard_normal((40, 5)) @ spread  # (pixels, bands)
    for kept in (2, 4):  # two values: a number written in place of K passes one of them
        _check_projection(array_from(project, pixels.copy(), kept), pixels, kept)
    return Right(
        "The mean costs one spectrum for the whole scene; without it, the first component "
        "would be spent on it."
    )


def _check_projection(result, pixels, kept):
    """Raise :class:`WrongAnswer` unless ``result`` is the best that ``kept`` numbers can do."""
    if result.shape == (len(pixels), kept):
        raise WrongAnswer(
            "you return the coordinates, K per pixel: multiply by the components again, and add "
            "the mean."
        )
    if result.shape != pixels.shape:
        raise WrongAnswer(f"the result has shape {result.shape}: {pixels.shape} is wanted.")
    mean = pixels.mean(axis=0)
    right = mean + _nearest_rank(pixels - mean, kept)
    if np.allclose(result, right, atol=1e-6):
        return
    pixel_mean = pixels.mean(axis=1, keepdims=True)
    centred = pixels - mean
    left_vectors, _, components = np.linalg.svd(centred, full_matrices=False)
    typical = (
        (right - mean, "the shape is right but the mean is missing: add it back."),
        (
            _nearest_rank(pixels, kept),
            "you did not subtract the mean first: the first component is spent on it.",
        ),
        (
            pixel_mean + _nearest_rank(pixels - pixel_mean, kept),
            "you took the mean of each pixel: the mean spectrum is over pixels, axis=0.",
        ),
        (
            mean + _nearest_rank(pixels, kept),
            "you added the mean but did not subtract it before: it is in there twice.",
        ),
        (
            mean + pixels @ components[:kept].T @ components[:kept],
            "you projected the pixels themselves: subtract the mean there too.",
        ),
        (
            mean + left_vectors[:, :kept] @ components[:kept],
            "the singular values are missing: U holds directions without their sizes.",
        ),
        (
            mean + centred @ components[:, :kept] @ components[:, :kept].T,
            "you took columns of Vt: numpy returns V transposed, so its rows are the components.",
        ),
        (
            mean + _nearest_rank(centred, kept - 1),
            "you kept one component too few: Vt[:K] holds the first K.",
        ),
        (
            mean + _nearest_rank(centred, kept + 1),
            "you kept one component too many: Vt[:K] holds the first K.",
        ),
        (pixels, "nothing was left out: keep the first K rows of Vt only."),
        *(
            (
                mean + _nearest_rank(centred, n),
                f"for K = {kept} you keep {n} components: use K, not a number of your own.",
            )
            for n in range(5)
        ),
    )
    for wrong, reason in typical:
        if np.allclose(result, wrong, atol=1e-6):
            raise WrongAnswer(reason)
    raise WrongAnswer(
        f"the error is {np.sqrt(np.mean((result - pixels) ** 2)):.2f}, the smallest possible is "
        f"{np.sqrt(np.mean((right - pixels) ** 2)):.2f}: subtract the mean spectrum, project on "
        "the first K rows of Vt, add the mean back."
    )


def _nearest_rank(matrix, rank):
    """The nearest matrix of that rank (Eckart and Young)."""
    left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    return (left[:, :rank] * sizes[:rank]) @ right[:rank]


_STATEMENTS = {
    "a": (True, "the block has r * r places, and its one coarse pixel names none of them."),
    "b": (False, "twins that agree all over the camera's range stay twins, however many bands "
          "divide it; one band where they differ would separate them."),
    "c": (True, "the LrHSI measures the bands where the twins differ, as a mean over the block."),
    "d": (False, "any map of one pixel, however curved, gives one answer for one input, and the "
          "twins are the same input."),
}  # fmt: skip


def check_statements(letters):
    """Exercise 4: which statements on metamers are true.

    Parameters
    ----------
    letters : set of str
        Among ``"a"`` to ``"d"``.

    Returns
    -------
    sentence : Right

    Raises
    ------
    WrongAnswer
        A false statement is marked or a true one is missing; the sentence says why.
    """
    if isinstance(answered(letters), str):
        letters = re.split(r"[\s,;]+", letters.strip())
    if not isinstance(letters, (set, frozenset, list, tuple)):
        raise WrongAnswer(
            f"{letters!r} is no set of letters: write them like {{'x', 'y'}}, with quotes."
        )
    letters = {str(letter).strip().lower() for letter in letters}
    if unknown := letters - set(_STATEMENTS):
        raise WrongAnswer(
            f"{', '.join(sorted(unknown))}: the statements are {', '.join(_STATEMENTS)}."
        )
    for letter, (true, reason) in _STATEMENTS.items():
        if true != (letter in letters):
            raise WrongAnswer(f"{letter} is {str(true).lower()}: {reason}")
    return Right(
        "The coarse image knows how much, the sharp image knows where, and for metamers the two do "
        "not meet inside one pixel."
    )
