"""An image as a file holds it: stored values, stored band order, and what the file says of them.

Readers return an :class:`Image`; :mod:`hsisr_lite.scenes.prepare` makes a scene or half a pair of
it.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hsisr_lite.arrays import InputError, as_numbers


@dataclass
class Image:
    """Stored values of one image, before scaling.

    Attributes
    ----------
    name : str
        The file's name without its suffix.
    cube : (rows, cols, bands) array
        In the type of the file.
    wavelengths, fwhm : (bands,) float64, optional
        Band centres and widths in nm, in the order of the bands.
    good_bands : (bands,) bool, optional
        The file's own list of usable bands.
    scale : float, optional
        Stored value of reflectance 1, where the file declares it.
    nodata : float, optional
        Stored value that means "nothing was measured here".
    valid : (rows, cols) bool, optional
        False where the file's own mask or a band holds no data; completed by ``prepare``.
    endmembers : (materials, bands) array, optional
    abundances : (rows, cols, materials) array, optional
    materials : list of str, optional
    georeference : dict, optional
        ENVI ``map info`` and ``coordinate system string``, or GeoTIFF ``crs`` and ``transform``.
    units : str, optional
        What the file says its wavelengths are in; a reader leaves them as listed, and
        :func:`settle_bands` brings them to nm.
    kept : (bands,) int, optional
        Place of each band in the file, once bands were dropped or sorted.
    stored_bands : int
        Bands of the file.
    source : str
        Where it was read.
    notes : list of str
        Sentences on what was converted.
    """

    name: str
    cube: np.ndarray
    wavelengths: np.ndarray | None = None
    fwhm: np.ndarray | None = None
    good_bands: np.ndarray | None = None
    scale: float | None = None
    nodata: float | None = None
    valid: np.ndarray | None = None
    endmembers: np.ndarray | None = None
    abundances: np.ndarray | None = None
    materials: list | None = None
    georeference: dict | None = None
    units: str | None = None
    kept: np.ndarray | None = None
    source: str = ""
    notes: list = field(default_factory=list)
    stored_bands: int = 0

    def __post_init__(self):
        self.stored_bands = self.stored_bands or self.bands

    @property
    def dtype(self):
        """Name of the stored type, such as ``"uint16"``."""
        return self.cube.dtype.name

    @property
    def bands(self):
        """Bands of the cube."""
        return self.cube.shape[2]


def per_band(values, bands, what, source):
    """Return one float64 per band, or say how many were found.

    Raises
    ------
    InputError
        Not numbers, or not one per band.
    """
    try:
        values = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise InputError(
            f"{source} lists {what} that are not numbers: one number per band is needed; correct "
            "the list."
        ) from None
    if values.size != bands:
        raise InputError(
            f"{source} has {bands} bands but {values.size} {what}: one per band is needed; "
            "correct the list."
        )
    return values


def in_nanometres(wavelengths, units, image):
    """Return band centres (or widths) in nm and, where they were converted, a sentence on it.

    Parameters
    ----------
    wavelengths : array
        As the file lists them.
    units : str or None
        What the file declares, in any spelling; ``None`` or "unknown" when it does not.
    image : str
        What to call the file in a message.

    Raises
    ------
    InputError
        A unit that is not a length, or values that contradict the unit or are plainly micrometres.

    Examples
    --------
    >>> in_nanometres([0.45, 2.2], "Micrometers", "a.hdr")
    (array([ 450., 2200.]), 'wavelengths were converted from micrometres to nanometres')
    """
    wavelengths = np.asarray(wavelengths, dtype=np.float64)
    unit = str(units or "unknown").strip().lower().replace("µ", "u").replace("μ", "u")
    if np.isnan(wavelengths).all():
        raise InputError(
            f"the wavelengths of {image} are all NaN: nanometres are needed; add them."
        )
    low, high = np.nanmin(wavelengths), np.nanmax(wavelengths)
    if unit in (
        "micrometers",
        "micrometres",
        "micrometer",
        "micrometre",
        "um",
        "micron",
        "microns",
    ):
        if low >= 100:
            raise InputError(
                f"{image} declares micrometres but lists wavelengths from {low:g} to {high:g}: "
                "these look like nanometres; correct 'wavelength units'."
            )
        return wavelengths * 1000, "wavelengths were converted from micrometres to nanometres"
    if unit not in ("nanometers", "nanometres", "nanometer", "nanometre", "nm", "unknown", ""):
        raise InputError(
            f"{image} gives wavelengths in '{units}': nanometres or micrometres are needed; "
            "convert them, or pass wavelengths=[...]."
        )
    if 0 < low and high < 100:
        raise InputError(
            f"{image} has wavelengths from {low:g} to {high:g}, plainly micrometres but not "
            "declared so: nanometres are needed; multiply them by 1000, or declare the unit."
        )
    return wavelengths, None


def settle_bands(image, given=None):
    """Bring an image's band centres and widths to nm, in place.

    Parameters
    ----------
    image : Image
        ``wavelengths`` and ``fwhm`` as the file lists them, in its ``units``.
    given : array, optional
        Centres in nm that replace the file's, which are then not judged: a list of one's own is the
        remedy for a file with a wrong one.

    Raises
    ------
    InputError
        Not one number per band, or not a length.
    """
    listed = image.wavelengths if given is None else given
    if listed is None:
        image.fwhm = None  # of no known unit
        return
    rows, cols, bands = image.cube.shape
    listed = np.asarray(listed, dtype=object)  # rows of unequal length are judged by per_band
    if np.size(listed) != bands and np.size(listed) in (rows, cols):
        raise InputError(
            f"{image.source} has the shape {rows} x {cols} x {bands} but {np.size(listed)} "
            "wavelengths: the bands must be the last axis (rows, cols, bands); move that axis to "
            "the end."
        )
    listed = per_band(listed, bands, "wavelengths", image.source)
    if given is not None:
        image.wavelengths, _ = in_nanometres(listed, "nm", "wavelengths=")
        image.fwhm = None  # the file's widths belong to the file's centres
        return
    image.wavelengths, note = in_nanometres(listed, image.units, image.source)
    image.notes += [note] if note else []
    if image.fwhm is not None:
        widths = per_band(image.fwhm, bands, "band widths", image.source)
        image.fwhm = widths * 1000 if note else widths
        if not (image.fwhm > 0).all():
            image.fwhm = None
            image.notes.append("its band widths were left out: some are not above zero")


def checked_scale(scale, source):
    """Return ``scale`` as a positive float, or raise :class:`InputError`."""
    try:
        number = float(scale)
    except (TypeError, ValueError):
        number = np.nan
    if not (np.isfinite(number) and number > 0):
        raise InputError(
            f"the scale of {source} is {scale!r}: a positive number is needed, the stored value "
            "of reflectance 1; correct the header or pass scale=."
        )
    return number


def read_numbers(path, what):
    """Read a small array from a ``.npy``, ``.npz``, ``.csv`` or ``.txt`` file, without pickle.

    Raises
    ------
    InputError
        An unknown suffix, several arrays in an ``.npz``, or contents that are not numbers.
    FileNotFoundError
        No such file.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{what} file {path} does not exist: check its path.")
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".csv", ".txt"):
        raise InputError(
            f"{what} file {path} ends in '{suffix}': .npy, .npz, .csv or .txt is needed; save it "
            "in one of these."
        )
    try:
        if suffix == ".npy":
            return as_numbers(np.load(path, allow_pickle=False), f"{what} file {path}")
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                key = what if what in archive.files else archive.files[0]
                if key != what and len(archive.files) > 1:
                    raise InputError(
                        f"{what} file {path} holds {', '.join(archive.files)}: one array, or one "
                        f"called '{what}', is needed; rename it."
                    )
                return as_numbers(archive[key], f"{what} file {path}")
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin a CSV with a mark
        if not text.strip():
            raise InputError(
                f"{what} file {path} is empty: rows of numbers are needed; save again."
            )
        # Always a table: a single row is the SRF of a panchromatic image.
        return np.loadtxt(text.splitlines(), delimiter="," if "," in text else None, ndmin=2)
    except InputError:
        raise
    except Exception as error:  # numpy raises many kinds on a damaged file
        raise InputError(
            f"{what} file {path} cannot be read as numbers: plain rows of numbers are needed; "
            "save it again without a header line."
        ) from error
