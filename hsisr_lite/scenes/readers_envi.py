"""ENVI files: a text header (.hdr), parsed by ``spectral``, and a file of plain numbers."""

import warnings
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes.image import Image, checked_scale, per_band

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
        order = int(fields.get("byte order", 0))
        if min(rows, cols, bands) < 1 or offset < 0 or order not in (0, 1):
            raise ValueError
        if interleave not in ("bsq", "bil", "bip"):
            raise ValueError
    except (KeyError, ValueError, TypeError, AttributeError):
        asked = ["lines", "samples", "bands", "data type", "interleave"]
        asked += [key for key in ("header offset", "byte order") if key in fields]
        seen = ", ".join(f"{key} = {fields.get(key, 'missing')}" for key in asked)
        raise InputError(
            f"the header {path} says {seen}: whole positive sizes, a real data type "
            f"({', '.join(DTYPES)}), bsq, bil or bip and byte order 0 or 1 are needed; correct it."
        ) from None
    if "reflectance scale factor" in fields:
        checked_scale(fields["reflectance scale factor"], path)
    if fields.get("file compression", "0") not in ("", "0"):
        raise InputError(
            f"the header {path} says file compression = {fields['file compression']}: plain values "
            "are needed; export the image without compression."
        )
    wanted = offset + rows * cols * bands * dtype.itemsize
    seen = data.stat().st_size
    if seen < wanted:
        raise InputError(
            f"{data} is truncated: it has {seen} bytes, but its header asks for {wanted} "
            f"({rows} x {cols} x {bands} values of {dtype.itemsize} bytes); copy it again."
        )
    if seen > wanted:
        warnings.warn(
            f"{data} has {seen - wanted} bytes more than its header describes ({wanted}: {rows} x "
            f"{cols} x {bands} values of {dtype.itemsize} bytes): check its lines, samples, bands, "
            "data type and header offset.",
            stacklevel=4,
        )
    # The place of rows, columns and bands on disk, and the way back from there.
    on_disk, back = {
        "bsq": ((bands, rows, cols), (1, 2, 0)),
        "bil": ((rows, bands, cols), (0, 2, 1)),
        "bip": ((rows, cols, bands), (0, 1, 2)),
    }[interleave]
    stored = dtype.newbyteorder("<>"[order])
    memory = np.memmap(data, stored, mode="r", offset=offset, shape=on_disk).transpose(back)
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
            found = envi.read_envi_header(str(path))
    except (envi.EnviException, UnicodeDecodeError) as error:
        wanted = "a text file that begins with the line 'ENVI'"
        with open(path, "rb") as file:
            if file.read(4) == b"ENVI":
                wanted = "UTF-8 text that closes every brace it opens"
        raise InputError(
            f"{path} is not an ENVI header: {wanted} is needed; correct or export it again."
        ) from error
    # {Nanometers} is the same as Nanometers.
    return {key.lower(): value[0] if isinstance(value, list) and len(value) == 1 else value
            for key, value in found.items()}  # fmt: skip


def _describe(image, fields, path):
    """Put what the header says of wavelengths, bands, scale and place into ``image``."""
    image.units = fields.get("wavelength units")
    if "wavelength" in fields:
        image.wavelengths = _as_list(fields["wavelength"])
        image.fwhm = _as_list(fields["fwhm"]) if "fwhm" in fields else None
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
    """The entries of {...}; a comma after the last one does not announce another."""
    parts = value if isinstance(value, list) else value.strip("{}").split(",")
    return parts[:-1] if parts and not parts[-1].strip() else parts


def _number(text, field, path):
    try:
        return float(text)
    except (TypeError, ValueError):
        raise InputError(
            f"the header {path} says {field} = {text}: a number is needed; correct it."
        ) from None
