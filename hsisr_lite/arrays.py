"""Shapes, types and the checks that every room shares.

Images are numpy ``float32`` arrays of shape (rows, cols, bands); networks see ``(batch, bands,
rows, cols)``. A check either returns the array in the type the package works with, or raises one
:class:`InputError` whose sentence names the thing, what was seen, what was wanted and the remedy.
"""

import warnings

import numpy as np


class InputError(ValueError):
    """An input that cannot be used; the message is one sentence with the remedy."""


def as_numbers(values, name):
    """Return ``values`` as a float64 array, or say that they are not real numbers.

    Raises
    ------
    InputError
        Text, objects, complex numbers or rows of unequal length.

    Examples
    --------
    >>> as_numbers([1, 2], "the list")
    array([1., 2.])
    """
    try:
        values = np.asarray(values)
        if values.dtype.kind == "c":
            raise TypeError("complex")
        return values.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} holds something that is not a real number, or rows of unequal length: plain "
            "numbers are needed; correct it."
        ) from None


def as_image(image, name="image"):
    """Return a ``(rows, cols, bands)`` float32 image, or say what is wrong with it.

    Parameters
    ----------
    image : array_like
        Three axes: rows, columns, bands.
    name : str
        What to call it in a message.

    Returns
    -------
    image : (rows, cols, bands) array, float32; float64 input stays float64.

    Raises
    ------
    InputError
        Not three axes, an empty axis, not real numbers, or values that are NaN or infinite.

    Examples
    --------
    >>> as_image([[[1, 2]]]).shape
    (1, 1, 2)
    """
    try:
        image = np.asarray(image)
    except ValueError:  # numpy's word for rows of unequal length
        image = as_numbers(image, name)
    if image.ndim != 3 or 0 in image.shape:
        raise InputError(
            f"{name} has shape {image.shape}: three non-empty axes (rows, cols, bands) are "
            "needed; add or drop an axis."
        )
    if image.dtype.kind not in "fiu":
        raise InputError(
            f"{name} holds values of type {image.dtype}: real numbers are needed; convert it first."
        )
    if image.dtype != np.float64:
        image = image.astype(np.float32, copy=False)
    bad = ~np.isfinite(image)
    if bad.any():
        row, col, band = np.argwhere(bad)[0]
        raise InputError(
            f"{name} holds {bad.sum()} values that are NaN or infinite, the first at row {row}, "
            f"column {col}, band {band}: finite values are needed; declare them as no-data or "
            "replace them."
        )
    return image


def as_image_pair(reference, estimate):
    """Return both images in float64, of one shape, or say what differs.

    Raises
    ------
    InputError
        As :func:`as_image`, and for two shapes.

    Examples
    --------
    >>> as_image_pair([[[1]]], [[[2]]])[1].dtype
    dtype('float64')
    """
    reference, estimate = as_image(reference, "the reference"), as_image(estimate, "the estimate")
    if reference.shape != estimate.shape:
        raise InputError(
            f"the estimate has shape {estimate.shape}: {reference.shape} is needed, that of the "
            "reference; crop or reorder one of them."
        )
    return reference.astype(np.float64), estimate.astype(np.float64)


def as_wavelengths(wavelengths, bands=None, name="the image"):
    """Return band centres as float64 nanometres, strictly ascending.

    Raises
    ------
    InputError
        Missing, not one per band, not finite, repeated, not ascending, or not in nanometres
        (a centre outside 100 to 20 000).

    Examples
    --------
    >>> as_wavelengths([450, 550.0])
    array([450., 550.])
    """
    if wavelengths is None:
        raise InputError(
            f"{name} has no wavelengths: band centres in nanometres are needed; add them to the "
            "header or pass wavelengths=[...]."
        )
    wavelengths = as_numbers(wavelengths, f"the list of wavelengths of {name}").ravel()
    bands = max(1, wavelengths.size) if bands is None else bands
    if wavelengths.size != bands:
        raise InputError(
            f"{name} has {bands} bands but {wavelengths.size} wavelengths: one band centre per "
            "band is needed; correct the list."
        )
    if not np.isfinite(wavelengths).all():
        raise InputError(
            f"{name} has a wavelength that is NaN or infinite: finite nanometres are needed; "
            "correct the list."
        )
    if wavelengths.min() < 100 or wavelengths.max() > 20_000:
        raise InputError(
            f"{name} has wavelengths from {wavelengths.min():g} to {wavelengths.max():g}: "
            "nanometres between 100 and 20000 are needed; multiply micrometres by 1000."
        )
    steps = np.diff(wavelengths)
    if (steps == 0).any():
        again = wavelengths[1:][steps == 0][0]
        raise InputError(
            f"{name} has the wavelength {again:g} nm more than once: each band needs its own "
            "centre; drop or correct the repeated band."
        )
    if (steps < 0).any():
        first = int(np.argmax(steps < 0)) + 1
        raise InputError(
            f"{name} has wavelengths that fall at band {first} ({wavelengths[first]:g} nm): "
            "ascending order is needed; sort the bands, as the readers do."
        )
    return wavelengths


def as_psf(psf):
    """Return a square PSF as float64, non-negative and summing to one.

    A sum within 1 % of one is scaled to one exactly; anything else is an error.

    Raises
    ------
    InputError
        Not square, not finite, negative, or a sum further than 1 % from one.

    Examples
    --------
    >>> float(as_psf([[0.25, 0.25], [0.25, 0.25]]).sum())
    1.0
    """
    psf = as_numbers(psf, "the PSF")
    if psf.ndim != 2 or psf.shape[0] != psf.shape[1] or psf.size == 0:
        raise InputError(
            f"the PSF has shape {psf.shape}: a square (k, k) array is needed; pad it with zeros."
        )
    if not np.isfinite(psf).all() or psf.min() < 0:
        raise InputError(
            "the PSF holds negative, NaN or infinite entries: non-negative weights are needed; "
            "set them to zero and divide by the sum."
        )
    if abs(psf.sum() - 1) > 0.01:
        raise InputError(
            f"the PSF sums to {psf.sum():g}: a sum of 1 is needed; divide it by its sum."
        )
    return psf / psf.sum()


def as_srf(srf, hsi_bands=None):
    """Return a ``(msi_bands, hsi_bands)`` SRF as float64, non-negative, rows summing to one.

    Row sums within 1 % of one are scaled to one exactly; anything else is an error.

    Raises
    ------
    InputError
        Not two axes, not one column per HSI band, negative or not finite entries, or a row sum
        further than 1 % from one.

    Examples
    --------
    >>> as_srf([[0.5, 0.5]], hsi_bands=2)
    array([[0.5, 0.5]])
    """
    srf = as_numbers(srf, "the SRF")
    if srf.ndim != 2 or srf.size == 0:
        raise InputError(
            f"the SRF has shape {srf.shape}: a (msi_bands, hsi_bands) matrix is needed; one row "
            "per MSI band."
        )
    if hsi_bands is not None and srf.shape[1] != hsi_bands:
        hint = "transpose it" if srf.shape[0] == hsi_bands else "give one column per HSI band"
        raise InputError(
            f"the SRF has shape {srf.shape}: (msi_bands, {hsi_bands}) is needed; {hint}."
        )
    if not np.isfinite(srf).all() or srf.min() < 0:
        raise InputError(
            "the SRF holds negative, NaN or infinite entries: non-negative weights are needed; "
            "set them to zero and divide each row by its sum."
        )
    sums = srf.sum(axis=1, keepdims=True)
    if (np.abs(sums - 1) > 0.01).any():
        row = int(np.argmax(np.abs(sums - 1)))
        raise InputError(
            f"row {row} of the SRF sums to {sums[row, 0]:g}: a sum of 1 is needed; divide each "
            "row by its sum."
        )
    return srf / sums


def as_ratio(ratio):
    """Return the ratio as an int of at least 1, or raise :class:`InputError`.

    Examples
    --------
    >>> as_ratio(4.0)
    4
    """
    whole = isinstance(ratio, (int, np.integer)) and not isinstance(ratio, bool)
    if isinstance(ratio, (float, np.floating)):
        whole = float(ratio).is_integer()
    if not whole or ratio < 1:
        raise InputError(
            f"ratio is {ratio!r}: a whole number of at least 1 is needed; give the "
            "high-resolution pixels per low-resolution pixel along one side."
        )
    return int(ratio)


def as_seed(seed):
    """Return the seed as an int of at least 0, or raise :class:`InputError`.

    Examples
    --------
    >>> as_seed(3)
    3
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(
            f"seed is {seed!r}: a whole number of at least 0 is needed; 0 is the default."
        )
    return int(seed)


def check_divisible(rows, cols, ratio):
    """Raise :class:`InputError` unless ``ratio`` divides both sides of the image.

    Examples
    --------
    >>> check_divisible(8, 12, 4)
    """
    for size, word in ((rows, "rows"), (cols, "columns")):
        if size % ratio:
            raise InputError(
                f"ratio {ratio} does not divide the image: {size} {word} ({size % ratio} left "
                f"over). Crop to {size - size % ratio} {word}, or pass crop=True."
            )


def warn_if_negative(image, name):
    """Warn when over 5 % of the values are below zero (noise makes a few, an offset many)."""
    share = float(np.mean(image < 0))
    if share > 0.05:
        warnings.warn(
            f"{share:.0%} of the values of {name} are negative: reflectance should not be; "
            "check its offset and its no-data value.",
            stacklevel=3,
        )


def to_tensor(image, device="cpu"):
    """Turn a ``(rows, cols, bands)`` image into a ``(1, bands, rows, cols)`` torch tensor.

    Examples
    --------
    >>> to_tensor(np.zeros((4, 5, 3), np.float32)).shape
    torch.Size([1, 3, 4, 5])
    """
    import torch  # here, so that the classical methods start without loading torch

    channels_first = np.ascontiguousarray(np.moveaxis(image, -1, 0))  # (bands, rows, cols)
    return torch.from_numpy(channels_first).unsqueeze(0).to(device)  # (1, bands, rows, cols)


def to_image(tensor):
    """Turn a ``(1, bands, rows, cols)`` tensor back into a ``(rows, cols, bands)`` array.

    Examples
    --------
    >>> to_image(to_tensor(np.ones((4, 5, 3), np.float32))).shape
    (4, 5, 3)
    """
    return np.moveaxis(tensor.detach().cpu().numpy()[0], 0, -1)  # (rows, cols, bands)
