"""A person's own pair of images: read, brought to one scale, and checked against each other."""

import warnings
from pathlib import Path

import numpy as np

from hsisr_lite.arrays import InputError, as_numbers, as_psf, as_ratio, as_srf
from hsisr_lite.degradation.pair import ObservedPair
from hsisr_lite.scenes.georeference import refined
from hsisr_lite.scenes.image import read_numbers
from hsisr_lite.scenes.prepare import largest_valid, meta_of, prepare, scaled
from hsisr_lite.scenes.readers import read_image


def load_pair(
    lr,
    hr,
    *,
    ratio=None,
    psf=None,
    srf=None,
    sensor=None,
    lr_variable=None,
    hr_variable=None,
    wavelengths=None,
    msi_wavelengths=None,
    progress=True,
):
    """Read a low-resolution hyperspectral and a high-resolution multispectral image of one place.

    Both are divided by the same number, so that they stay comparable: the scale factor that a
    header declares, else the larger of the two maxima. When the two declare different factors, each
    is divided by its own, which brings the MSI to the LrHSI's units.

    Parameters
    ----------
    lr, hr : str or Path
        ENVI, MAT, NPZ or GeoTIFF files, the hyperspectral one first.
    ratio : int, optional
        High-resolution pixels per low-resolution pixel; default from the sizes.
    psf : (k, k) array or path, optional
        A ``.npy``, ``.npz``, ``.csv`` or ``.txt`` file, or the array; default unknown.
    srf : (msi_bands, hsi_bands) array or path, optional
        Columns in the order of the LrHSI's file; default unknown.
    sensor : str or path, optional
        Instead of ``srf``: a name of ``sensors()``, or a ``.csv`` table of response curves.
    lr_variable, hr_variable : str, optional
        Which array of a MAT or NPZ file.
    wavelengths, msi_wavelengths : sequence of float or path, optional
        Band centres in nm, in the order of the files; those of the LrHSI are needed.
    progress : bool
        Show a bar while big files are read.

    Returns
    -------
    pair : ObservedPair
        ``meta`` holds what is needed to write a result in the LrHSI's units and type, on the
        HrMSI's grid.

    Raises
    ------
    InputError
        Files that cannot be used, sizes that do not fit the ratio, an MSI wholly outside the
        LrHSI's range, an SRF, PSF or sensor that does not fit.
    OSError
        A missing file.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pair.npz"
    >>> lr = np.arange(1, 25.0).reshape(2, 3, 4)  # (rows, cols, bands)
    >>> hr = np.full((8, 12, 2), 20.0)
    >>> np.savez(path, lr_hsi=lr, hr_msi=hr, wavelengths_nm=[450, 500, 550, 600])
    >>> pair = load_pair(path, path)
    >>> pair.ratio, pair.meta["scale"]
    (4, 24.0)
    """
    prefer = ("lr_hsi", "hsi"), ("hr_msi", "msi")
    hsi = read_image(
        lr, variable=lr_variable, wavelengths=wavelengths, prefer=prefer[0], progress=progress
    )
    msi = read_image(
        hr, variable=hr_variable, wavelengths=msi_wavelengths, prefer=prefer[1], progress=progress
    )
    ratio = _ratio(hsi.cube.shape, msi.cube.shape, ratio)
    hsi, msi = prepare(hsi), prepare(msi, sort=False)
    _check_range(hsi, msi)
    lr_scale, hr_scale, notes = _scales(hsi, msi)
    psf = None if psf is None else as_psf(_array(psf, "psf"))
    centres, index = msi.wavelengths, np.arange(msi.bands)
    if srf is not None:
        if sensor is not None:
            raise InputError("both an SRF and a sensor are given: one is needed; leave one out.")
        srf = _file_srf(_array(srf, "srf"), hsi, msi, notes)
    elif sensor is not None:
        srf, centres, index = _sensor_srf(sensor, hsi, msi, notes)
    lr_hsi, hr_msi = scaled(hsi.cube, lr_scale), scaled(msi.cube[..., index], hr_scale)
    _warn_if_unrelated(lr_hsi, hr_msi, ratio)
    meta = meta_of(hsi, lr_scale)
    meta["source"] = f"{hsi.source} and {msi.source}"
    meta["notes"] = (
        [f"LrHSI: {note}" for note in hsi.notes] + [f"HrMSI: {note}" for note in msi.notes] + notes
    )
    meta["georeference"] = msi.georeference or refined(hsi.georeference, ratio)
    return ObservedPair(
        lr_hsi=lr_hsi,
        hr_msi=hr_msi,
        ratio=ratio,
        wavelengths=hsi.wavelengths,
        psf=psf,
        srf=srf,
        msi_wavelengths=centres,
        meta=meta,
        lr_valid=hsi.valid,
        hr_valid=msi.valid,
    )


def _array(given, what):
    if isinstance(given, (str, Path)):
        return read_numbers(given, what)
    return as_numbers(given, f"the {what.upper()}")


def _ratio(lr_shape, hr_shape, ratio):
    """The ratio that the sizes give, or the given one once it fits them."""
    rows, cols, bands = lr_shape
    hr_rows, hr_cols, hr_bands = hr_shape
    sizes = (
        f"the LrHSI has {rows} x {cols} pixels and {bands} bands, the HrMSI {hr_rows} x {hr_cols} "
        f"and {hr_bands}"
    )
    if rows * cols > hr_rows * hr_cols and bands < hr_bands:
        raise InputError(f"{sizes}: they look exchanged; give the hyperspectral image first.")
    guess = max(1, min(hr_rows // rows, hr_cols // cols))
    wanted = guess if ratio is None else as_ratio(ratio)
    fits = (hr_rows, hr_cols) == (wanted * rows, wanted * cols)
    if fits and (wanted > 1 or ratio is not None):
        if hr_bands > bands:
            warnings.warn(f"{sizes}: an MSI has fewer bands as a rule.", stacklevel=3)
        return wanted
    if ratio is not None:
        raise InputError(
            f"{sizes}: ratio {wanted} needs an HrMSI of {wanted * rows} x {wanted * cols} pixels; "
            "crop the images to the same ground, or correct the ratio."
        )
    if fits:
        raise InputError(f"{sizes}: the HrMSI must have more pixels; degrade the LrHSI first.")
    raise InputError(
        f"{sizes}: the same whole multiple of both sides is needed, such as {guess * rows} x "
        f"{guess * cols} for ratio {guess}; crop the images to the same ground."
    )


def _check_range(hsi, msi):
    """Say so when no MSI band lies where the LrHSI looks."""
    if msi.wavelengths is None:
        return
    edge = np.diff(hsi.wavelengths).max(initial=10.0)
    low, high = hsi.wavelengths[0] - edge, hsi.wavelengths[-1] + edge
    outside = (msi.wavelengths < low) | (msi.wavelengths > high)
    sentence = (
        f"of the {msi.bands} bands of the HrMSI ({msi.wavelengths.min():g} to "
        f"{msi.wavelengths.max():g} nm) {outside.sum()} lie outside the LrHSI's range "
        f"({hsi.wavelengths[0]:g} to {hsi.wavelengths[-1]:g} nm)"
    )
    if outside.all():
        raise InputError(f"{sentence}: at least one inside is needed; check the wavelengths.")
    if outside.any():
        warnings.warn(f"{sentence}: they say little about it.", stacklevel=3)


def _scales(hsi, msi):
    """What each image is divided by, and sentences on it."""
    notes = []
    lr_scale, hr_scale = hsi.scale, msi.scale
    if lr_scale is None and hr_scale is None:
        lr_scale = hr_scale = max(largest_valid(hsi), largest_valid(msi))
        notes.append(f"no scale is declared: both were divided by the larger maximum, {lr_scale:g}")
    elif lr_scale is None or hr_scale is None:
        silent = "LrHSI" if lr_scale is None else "HrMSI"
        lr_scale = hr_scale = lr_scale or hr_scale
        notes.append(f"the {silent} declares no scale: {lr_scale:g}, the other's, was taken")
    elif lr_scale != hr_scale:
        notes.append(f"the HrMSI was brought from scale {hr_scale:g} to the LrHSI's, {lr_scale:g}")
    brightest = largest_valid(hsi) / lr_scale, largest_valid(msi) / hr_scale
    if max(brightest) > 20 * min(brightest):
        warnings.warn(
            f"the largest values of LrHSI and HrMSI are {brightest[0]:.3g} and {brightest[1]:.3g} "
            "after scaling: they seem to be in different units; declare 'reflectance scale factor' "
            "in both headers.",
            stacklevel=3,
        )
    return lr_scale, hr_scale, notes


def _file_srf(srf, hsi, msi, notes):
    """A given SRF with the rows and columns of the bands that are left, in their order."""
    # A shape that fits neither the file nor what is left of it fails first: it says "transpose".
    srf = as_srf(srf, hsi.stored_bands if srf.shape[-1:] == (hsi.stored_bands,) else hsi.bands)
    rows = np.arange(msi.bands) if msi.kept is None else msi.kept
    cols = np.arange(hsi.bands) if hsi.kept is None else hsi.kept
    if srf.shape[0] != msi.bands and srf.shape[0] == msi.stored_bands:
        srf = srf[rows]
    # As many columns as the file has bands: they follow the file, and its bands may have moved.
    if srf.shape[1] == hsi.stored_bands:
        if hsi.kept is not None:
            notes.append("the columns of the SRF were dropped and sorted with the LrHSI's bands")
        srf = srf[:, cols]
    sums = srf.sum(axis=1, keepdims=True)
    if (sums == 0).any():
        raise InputError(
            f"row {int(np.argmin(sums))} of the SRF has no weight on a band that is left of the "
            "LrHSI: a positive weight is needed; drop that MSI band."
        )
    return as_srf(srf / sums, hsi.bands)


def _sensor_srf(sensor, hsi, msi, notes):
    """SRF of a sensor, its band centres, and which of the MSI's bands it stands for."""
    from hsisr_lite.degradation.srf import response_table, sensor_srf

    every = response_table(sensor).names
    kept = sensor_srf(sensor, hsi.wavelengths, fwhm=hsi.fwhm)
    index = np.arange(msi.bands)
    if msi.bands == len(every) != len(kept.names):
        index = np.array([every.index(name) for name in kept.names])
        gone = [name for name in every if name not in kept.names]
        notes.append(f"HrMSI: bands {', '.join(gone)} were dropped, outside the LrHSI's range")
    elif msi.bands != len(kept.names):
        raise InputError(
            f"the HrMSI has {msi.bands} bands but sensor '{sensor}' {len(every)} "
            f"({', '.join(every)}), {len(kept.names)} of them in the LrHSI's range: one MSI band "
            "per sensor band is needed; drop the others, or choose another sensor."
        )
    if msi.wavelengths is not None:
        away = np.abs(msi.wavelengths[index] - kept.centres)
        if away.max() > 50:
            worst = int(away.argmax())
            warnings.warn(
                f"band {index[worst]} of the HrMSI lies at {msi.wavelengths[index][worst]:g} nm "
                f"but band {kept.names[worst]} of sensor '{sensor}' at "
                f"{kept.centres[worst]:.0f} nm: check the sensor and the order of the bands.",
                stacklevel=3,
            )
    return kept.srf, kept.centres, index


def _warn_if_unrelated(lr_hsi, hr_msi, ratio):
    """Warn when the MSI, averaged to the coarse grid, resembles no band of the LrHSI.

    Seen twice, one place correlates above 0.9 as a rule; two different places rarely above 0.5.
    """
    rows, cols, bands = lr_hsi.shape
    if rows * cols < 16:
        return
    blocks = hr_msi.reshape(rows, ratio, cols, ratio, -1)  # (rows, ratio, cols, ratio, msi bands)
    coarse = blocks.mean(axis=(1, 3), dtype=np.float64).reshape(rows * cols, -1)
    fine = lr_hsi.reshape(rows * cols, bands).astype(np.float64)  # (pixels, bands)
    coarse, fine = coarse - coarse.mean(axis=0), fine - fine.mean(axis=0)
    lengths = np.linalg.norm(coarse, axis=0)[:, None] * np.linalg.norm(fine, axis=0)
    alike = (coarse.T @ fine) / np.maximum(lengths, 1e-12)  # (msi bands, bands)
    best = float(np.median(alike.max(axis=1)))
    if best < 0.5:
        warnings.warn(
            f"averaged to the LrHSI's pixels, the HrMSI resembles none of its bands (correlation "
            f"{best:.2f}): check that both show the same ground, the same way up.",
            stacklevel=3,
        )
