"""From stored values to an image the package works with.

The order matters: bad bands go first, so that what they hold (no data, NaN) harms no pixel; then
the bands are sorted; then pixels without data are masked and filled; only then are values scaled.
"""

from dataclasses import replace

import numpy as np
from scipy.ndimage import distance_transform_edt

from hsisr_lite.arrays import InputError, as_wavelengths
from hsisr_lite.scenes.scene import Scene


def prepare(image, *, sort=True):
    """Drop bad bands, sort the others by wavelength, and mask and fill pixels without data.

    Parameters
    ----------
    image : Image
        As a reader returns it; it is not changed.
    sort : bool
        Sort by wavelength and demand wavelengths; False keeps the file's order, as for an MSI.

    Returns
    -------
    image : Image
        The cube still in stored values and type; ``valid`` and ``kept`` are filled in.

    Raises
    ------
    InputError
        No band or no pixel left, NaN that is not declared no-data, wavelengths that are missing,
        repeated or not in nanometres.

    Examples
    --------
    >>> from hsisr_lite.scenes.image import Image
    >>> image = prepare(Image("a", np.arange(4).reshape(1, 2, 2), [600, 500]))  # (1, 2, 2)
    >>> image.wavelengths.tolist(), image.cube[0, 0].tolist()
    ([500.0, 600.0], [1, 0])
    """
    image = _without_bad_bands(image)
    if sort:
        image = _sorted(image)
    return _with_mask(image)


def scene_from(image, *, meta=None):
    """Make a :class:`Scene` of an image: prepared, then divided by its scale.

    The scale is the one the file declares or the caller gave, else the largest valid value.

    Parameters
    ----------
    image : Image
        As a reader returns it.
    meta : dict, optional
        What else is known: licence, citation, pixel size.

    Returns
    -------
    scene : Scene

    Raises
    ------
    InputError
        As :func:`prepare` and :class:`Scene`; an image without a positive value.

    Examples
    --------
    >>> from hsisr_lite.scenes.image import Image
    >>> scene = scene_from(Image("a", np.full((2, 2, 2), 50, np.uint8), [500, 600], scale=100))
    >>> float(scene.cube[0, 0, 0]), scene.meta["dtype"]
    (0.5, 'uint8')
    """
    image = prepare(image)
    scale = image.scale
    if scale is None:
        scale = largest_valid(image)
        image.notes.append(f"no scale is declared: values were divided by their maximum, {scale:g}")
    return Scene(
        name=image.name,
        cube=scaled(image.cube, scale),
        wavelengths=image.wavelengths,
        endmembers=_scaled_endmembers(image, scale),
        abundances=image.abundances,
        meta={**meta_of(image, scale), **(meta or {})},
        valid=image.valid,
    )


def scaled(cube, scale):
    """Return ``cube / scale`` as float32, divided in float64 unless the cube is float32 already."""
    if cube.dtype == np.float32:
        return cube / np.float32(scale)
    return (cube / float(scale)).astype(np.float32)


def largest_valid(image):
    """Largest value of a prepared image: what it is divided by when nothing is declared.

    Raises
    ------
    InputError
        No value above zero.
    """
    largest = float(image.cube.max())  # filled pixels repeat valid ones, so none is too many
    if largest <= 0:
        raise InputError(
            f"{_called(image)} has no value above zero (the largest is {largest:g}): reflectance "
            "or counts are needed; check which variable or file was read."
        )
    return largest


def meta_of(image, scale):
    """The ``meta`` of a scene or pair made of a prepared image."""
    meta = {
        "scale": float(scale),
        "dtype": image.dtype,
        "source": image.source,
        "notes": list(image.notes),
    }
    for key in ("nodata", "fwhm", "materials", "georeference"):
        if getattr(image, key) is not None:
            meta[key] = getattr(image, key)
    return meta


def _called(image):
    return image.source or f"image '{image.name}'"


def _take(image, index, note):
    """The image with the bands ``index`` only, in that order, everything per band included."""
    kept = np.arange(image.bands) if image.kept is None else image.kept
    pick = lambda values: None if values is None else np.asarray(values)[..., index]  # noqa: E731
    return replace(
        image,
        cube=image.cube[..., index],
        wavelengths=pick(image.wavelengths),
        fwhm=pick(image.fwhm),
        good_bands=pick(image.good_bands),
        endmembers=pick(image.endmembers),
        kept=kept[index],
        notes=[*image.notes, note],
    )


def _missing(cube, nodata):
    """True where a stored value is the declared no-data value."""
    if nodata is None:
        return np.zeros(cube.shape, bool)
    if np.isnan(nodata):
        return np.isnan(cube)
    if cube.dtype.kind in "iu":
        limits = np.iinfo(cube.dtype)
        if not (limits.min <= nodata <= limits.max and nodata == int(nodata)):
            return np.zeros(cube.shape, bool)
        return cube == int(nodata)
    # A header's -3.4e38 and its float32 differ in the last digits: compare in the cube's type.
    with np.errstate(over="ignore"):
        return cube == cube.dtype.type(nodata)


def _without_bad_bands(image):
    bands = image.bands
    good = np.ones(bands, bool) if image.good_bands is None else np.asarray(image.good_bands, bool)
    if good.size != bands:
        raise InputError(
            f"{_called(image)} has {bands} bands but {good.size} entries in its bad band list: one "
            "per band is needed; correct the list."
        )
    empty = good & _missing(image.cube, image.nodata).all(axis=(0, 1))
    usable = good & ~empty
    if not usable.any():
        raise InputError(
            f"none of the {bands} bands of {_called(image)} is usable: {(~good).sum()} are marked "
            f"bad and {empty.sum()} hold no data only; correct its bad band list or no-data value."
        )
    if usable.all():
        return replace(image, notes=list(image.notes))
    parts = [f"{(~good).sum()} marked bad"] if not good.all() else []
    parts += [f"{empty.sum()} without any data"] if empty.any() else []
    note = f"{(~usable).sum()} of {bands} bands were dropped: {', '.join(parts)}"
    return _take(image, np.flatnonzero(usable), note)


def _sorted(image):
    if image.wavelengths is None:
        as_wavelengths(None, name=_called(image))  # raises, with the remedy
    order = np.argsort(image.wavelengths, kind="stable")
    if (np.diff(order) != 1).any():
        image = _take(image, order, "bands were sorted by wavelength")
    image.wavelengths = as_wavelengths(image.wavelengths, image.bands, _called(image))
    return image


def _with_mask(image):
    missing = _missing(image.cube, image.nodata)
    if image.valid is not None:
        missing |= ~image.valid[:, :, None]
    if image.cube.dtype.kind == "f":
        bad = ~np.isfinite(image.cube) & ~missing
        if bad.any():
            row, col, band = np.argwhere(bad)[0]
            place = band if image.kept is None else image.kept[band]
            raise InputError(
                f"{_called(image)} holds {bad.sum()} values that are NaN or infinite, the first at "
                f"row {row}, column {col}, band {place}: finite values are needed; declare them as "
                "no-data, mark their bands bad, or replace them."
            )
    valid = ~missing.any(axis=2)
    if valid.all():
        return replace(image, valid=None)
    if not valid.any():
        raise InputError(
            f"every pixel of {_called(image)} is without data in some band (no-data value "
            f"{image.nodata}): a complete pixel is needed; mark the incomplete bands bad."
        )
    rows, cols = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    note = (
        f"{(~valid).sum()} of {valid.size} pixels hold no data: they carry the spectrum of their "
        "nearest valid pixel and are left out of scores"
    )
    return replace(image, cube=image.cube[rows, cols], valid=valid, notes=[*image.notes, note])


def _scaled_endmembers(image, scale):
    """Endmembers in the units of the scaled cube.

    Files keep them either in stored units or as reflectance already; next to a cube of large
    numbers the two cannot be confused.
    """
    if image.endmembers is None:
        return None
    already = scale > 10 and np.nanmax(image.endmembers) <= 2
    return scaled(np.asarray(image.endmembers), 1.0 if already else scale)
