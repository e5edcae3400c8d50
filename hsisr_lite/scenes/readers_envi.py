"""ENVI files: a text header (.hdr) and a raw data file, read through ``spectral``."""

import warnings
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes.image import Image, checked_scale, in_nanometres, per_band

# ENVI's "data type" numbers; the sizes are ENVI's, whatever the machine's long is.
DTYPES = {
    "1": "uint8", "2": "int16", "3": "int32", "4": "float32", "5": "float64",
    "12": "uint16", "13": "uint32", "14": "int64", "15": "uint64",
}  # fmt: skip
_DATA_SUFFIXES = ("", ".img", ".dat", ".raw", ".bin", ".bsq", ".bil", ".bip", ".hyspex")


def header_of(path):
    """The header of ``a.hdr``, ``a.img`` or ``a``: a path that ends in .hdr, or ``None``."""
    if path.suffix.lower() == ".hdr":
        return path
    for beside in (path.with_suffix(".hdr"), Path(f"{path}.hdr"), path.with_suffix(".HDR")):
        if beside.is_file():
            return beside
    return None


def _data_of(header):
    stem = header.with_suffix("")
    names = [Path(f"{stem}{s}") for suffix in _DATA_SUFFIXES for s in (suffix, suffix.upper())]
    for name in names:
        if name.is_file():
            return name
    raise FileNotFoundError(
        f"the data file of {header} is missing: {stem.name} with one of the endings "
        f"{', '.join(suffix or 'none' for suffix in _DATA_SUFFIXES)} is needed beside it; copy it "
        "there."
    )


def read_envi(path, *, data=None, progress=True):
    """Read an ENVI image: every interleave and byte order, the numbers as stored.

    Parameters
    ----------
    path : Path
        The header.
    data : Path, optional
        The data file; default the file beside the header with its name.
    progress : bool
        Show a bar when reading takes more than two seconds.

    Returns
    -------
    image : Image

    Raises
    ------
    InputError
        A header that cannot be understood, or a data file that is shorter than it says.
    FileNotFoundError
        No data file.
    """
    from spectral.io import envi

    fields = _header(path, envi)
    if data is None:
        data = _data_of(path)
    try:
        rows, cols, bands = (int(fields[key]) for key in ("lines", "samples", "bands"))
        offset = int(fields.get("header offset", 0))
        interleave = fields["interleave"].lower()
        dtype = np.dtype(DTYPES[fields["data type"]])
        if min(rows, cols, bands) < 1 or offset < 0 or interleave not in ("bsq", "bil", "bip"):
            raise ValueError
    except (KeyError, ValueError, TypeError, AttributeError):
        asked = ("lines", "samples", "bands", "data type", "interleave")
        seen = ", ".join(f"{key} = {fields.get(key, 'missing')}" for key in asked)
        raise InputError(
            f"the header {path} says {seen}: positive sizes, a real data type "
            f"({', '.join(DTYPES)}) and bsq, bil or bip are needed; correct it."
        ) from None
    if "reflectance scale factor" in fields:
        checked_scale(fields["reflectance scale factor"], path)
    wanted = offset + rows * cols * bands * dtype.itemsize
    seen = data.stat().st_size
    if seen < wanted:
        raise InputError(
            f"{data} is truncated: it has {seen} bytes, but its header asks for {wanted} "
            f"({rows} x {cols} x {bands} values of {dtype.itemsize} bytes); copy it again."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # spectral's remark on capital letters
            opened = envi.open(str(path.absolute()), image=str(data.absolute()))
        memory = opened.open_memmap(interleave="bip", writable=False)
    except Exception as error:  # spectral has its own exceptions for exotic headers
        raise InputError(
            f"{path} cannot be opened ({str(error).strip()}): a standard ENVI image is needed; "
            "export it again."
        ) from error
    cube = np.empty((rows, cols, bands), dtype)
    step = max(1, 2**24 // (cols * bands))
    steps = range(0, rows, step)
    for row in tqdm(steps, f"reading {data.name}", delay=2, leave=False, disable=not progress):
        cube[row : row + step] = memory[row : row + step]
    image = Image(path.stem, cube, source=str(path))
    _describe(image, fields, path)
    return image


def _header(path, envi):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # spectral's remark on capital letters
            return {key.lower(): value for key, value in envi.read_envi_header(str(path)).items()}
    except (envi.EnviException, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not an ENVI header: a text file that begins with the line 'ENVI' is "
            "needed; export it again."
        ) from error


def _describe(image, fields, path):
    """Put what the header says of wavelengths, bands, scale and place into ``image``."""
    units = fields.get("wavelength units")
    if "wavelength" in fields:
        listed = per_band(_as_list(fields["wavelength"]), image.bands, "wavelengths", str(path))
        image.wavelengths, note = in_nanometres(listed, units, str(path))
        image.notes += [note] if note else []
        if "fwhm" in fields:
            widths = per_band(_as_list(fields["fwhm"]), image.bands, "band widths", str(path))
            image.fwhm = widths * 1000 if note else widths
    if "bbl" in fields:
        entries = "entries in its bad band list"
        image.good_bands = per_band(_as_list(fields["bbl"]), image.bands, entries, str(path)) > 0
    image.scale = fields.get("reflectance scale factor")
    if "data ignore value" in fields:
        image.nodata = _number(fields["data ignore value"], "data ignore value", path)
    place = {key: fields[key] for key in ("map info", "coordinate system string") if key in fields}
    if "coordinate system string" in place:
        # spectral cuts every {...} at its commas; this one is a single text.
        place["coordinate system string"] = ",".join(_as_list(place["coordinate system string"]))
    if "map info" in place:
        place["map info"] = _as_list(place["map info"])
    image.georeference = place or None


def _as_list(value):
    return value if isinstance(value, list) else value.strip("{}").split(",")


def _number(text, field, path):
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"the header {path} says {field} = {text}: a number is needed; correct it."
        ) from None
