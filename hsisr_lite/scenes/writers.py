"""Images out: ENVI, MAT, NPZ and GeoTIFF, whole or not at all.

Every file is written under a temporary name in its own folder and renamed when it is complete.
"""

import contextlib
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np

from hsisr_lite.arrays import InputError, as_image, as_wavelengths
from hsisr_lite.scenes.georeference import as_envi, as_geotiff
from hsisr_lite.scenes.image import checked_scale
from hsisr_lite.scenes.readers import SUFFIXES
from hsisr_lite.scenes.readers_envi import DTYPES
from hsisr_lite.waiting import waiting

# Types that not every format can hold, and the next larger one that all can.
_WIDER = {"float16": "float32", "int8": "int16", "longdouble": "float64", "float128": "float64"}


def check_target(path):
    """Return ``path`` as a Path when an image can be written there, before any work is done.

    Raises
    ------
    InputError
        An unknown suffix, or a GeoTIFF without rasterio.
    OSError
        A missing or read-only folder, or a folder of that name.

    Examples
    --------
    >>> check_target("fused.hdr").name
    'fused.hdr'
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"the output {path} ends in '{path.suffix}': one of {', '.join(SUFFIXES)} is needed; "
            "choose one."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist: create it first.")
    if path.is_dir():
        raise IsADirectoryError(f"the output {path} is a folder: a file name is needed.")
    if path.suffix.lower() == ".hdr" and path.with_suffix("").is_file():
        raise FileExistsError(
            f"the file {path.with_suffix('')} would be taken for the data of {path}: another name "
            "is needed; move it away or choose one."
        )
    if path.suffix.lower() == ".hdr" and path.with_suffix(".img").exists() and not path.exists():
        raise FileExistsError(
            f"the file {path.with_suffix('.img')} would be replaced by the data of {path} but "
            "belongs to something else: another name is needed; move it away or choose one."
        )
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"the folder {path.parent} cannot be written to: choose another.")
    if path.suffix.lower() in (".tif", ".tiff"):
        from hsisr_lite.scenes.readers_geotiff import import_rasterio

        import_rasterio(path)
    return path


def write_image(path, cube, *, wavelengths, meta, valid=None, progress=True):
    """Write an image back in the units and type of its source.

    Values are multiplied by ``meta["scale"]``, integers rounded and limited to their type's range,
    and pixels that are not valid get ``meta["nodata"]``.

    Parameters
    ----------
    path : str or Path
        ``.hdr`` (with a ``.img`` beside it), ``.mat``, ``.npz``, ``.tif`` or ``.tiff``.
    cube : (rows, cols, bands) array
        Reflectance near [0, 1].
    wavelengths : (bands,) array
        Band centres in nm.
    meta : dict
        ``scale``, ``dtype``, ``nodata``, ``fwhm``, ``georeference``; all optional.
    valid : (rows, cols) bool, optional
        False where there are no data.
    progress : bool
        Show a clock when writing takes more than a moment.

    Returns
    -------
    path : Path
        What was written.

    Raises
    ------
    InputError
        NaN in the image, wavelengths that do not fit it, an unknown suffix.
    OSError
        A folder that is missing or cannot be written to, a full disk; nothing is left behind.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> cube = np.full((2, 2, 3), 0.5, np.float32)
    >>> meta = {"scale": 10000, "dtype": "int16"}
    >>> write_image(folder / "a.hdr", cube, wavelengths=[450, 550, 650], meta=meta).name
    'a.hdr'
    >>> sorted(file.name for file in folder.iterdir())
    ['a.hdr', 'a.img']
    """
    path = check_target(path)
    cube = as_image(cube, "the image to write")
    wavelengths = as_wavelengths(wavelengths, cube.shape[2], "the image to write")
    stored, nodata = _stored(cube, meta, valid)
    suffix = path.suffix.lower()
    write = {".hdr": _write_envi, ".mat": _write_mat, ".npz": _write_npz}.get(suffix, _write_tiff)
    # The data file comes first, so that a header never stands without its data.
    finals = [path.with_suffix(".img"), path] if suffix == ".hdr" else [path]
    try:
        with tempfile.TemporaryDirectory(prefix=".hsisr-", dir=path.parent) as folder:
            drafts = [Path(folder) / final.name for final in finals]
            with waiting(f"writing {path.name}", progress=progress):
                write(drafts, stored, wavelengths, {**meta, "nodata": nodata})
            _rename_all(drafts, finals)
    except InputError:
        raise
    except OSError as error:
        raise type(error)(f"{path} could not be written ({error.strerror or error}).") from error
    return path


def _rename_all(drafts, finals):
    """Rename every draft; when a later rename fails, an earlier new file is taken away again."""
    new = [final for final in finals if not final.exists()]
    try:
        for draft, final in zip(drafts, finals, strict=True):
            os.replace(draft, final)
    except OSError:
        for final in new:
            with contextlib.suppress(FileNotFoundError):
                final.unlink()
        raise


def _stored(cube, meta, valid):
    """Values in the source's units and type, with its no-data value, and that value."""
    dtype = np.dtype(_WIDER.get(meta.get("dtype", "float32"), meta.get("dtype", "float32")))
    nodata = meta.get("nodata")
    values = cube.astype(np.float64) * checked_scale(meta.get("scale", 1.0), "the result")
    invalid = None if valid is None or np.all(valid) else ~np.asarray(valid, bool)
    if dtype.kind == "f":
        stored = values.astype(dtype)
        if invalid is not None:
            nodata = np.nan if nodata is None else nodata
            stored[invalid] = nodata
        return stored, nodata
    limits = np.iinfo(dtype)
    if nodata is not None and not limits.min <= nodata <= limits.max:
        nodata = None
    rounded = np.rint(values)
    judged = rounded if invalid is None else rounded[~invalid]
    outside = int(((judged < limits.min) | (judged > limits.max)).sum())
    if outside:
        warnings.warn(
            f"{outside} of {judged.size} values lie outside the range of {dtype.name} "
            f"({limits.min} to {limits.max}) and were limited to it.",
            stacklevel=3,
        )
    # float64 cannot hold the last int64: clip just inside before the conversion.
    top = limits.max if dtype.itemsize < 8 else np.nextafter(float(limits.max), 0)
    stored = np.clip(rounded, limits.min, top).astype(dtype)
    if invalid is not None and nodata is None:
        nodata = limits.min if dtype.kind == "i" else limits.max
        if dtype.itemsize == 8:  # headers hold it as float64: the last whole number that is exact
            nodata = int(np.sign(nodata)) * 2**53
    if nodata is not None:
        # A measured value must not read back as "no data": the next count stands for it.
        beside = int(nodata) + (1 if nodata < limits.max else -1)
        stored[stored == int(nodata)] = beside
        if invalid is not None:
            stored[invalid] = int(nodata)
    return stored, nodata


def _write_envi(drafts, stored, wavelengths, meta):
    from spectral.io import envi

    data, header = drafts
    rows, cols, bands = stored.shape
    code = {name: number for number, name in DTYPES.items()}[stored.dtype.name]
    fields = {
        "description": "written by hsisr_lite",
        "samples": cols,
        "lines": rows,
        "bands": bands,
        "header offset": 0,
        "file type": "ENVI Standard",
        "data type": code,
        "interleave": "bip",
        "byte order": 0,
        "reflectance scale factor": float(meta.get("scale", 1.0)),
        "wavelength units": "Nanometers",
        "wavelength": wavelengths.tolist(),
    }
    if meta.get("fwhm") is not None:
        fields["fwhm"] = np.asarray(meta["fwhm"], dtype=np.float64).tolist()
    if meta["nodata"] is not None:
        fields["data ignore value"] = _plain(meta["nodata"])
    fields.update(as_envi(meta.get("georeference")))
    if "coordinate system string" in fields:
        fields["coordinate system string"] = "{" + fields["coordinate system string"] + "}"
    with open(data, "wb") as file:  # not tofile, which does not say that the disk is full
        file.write(np.ascontiguousarray(stored, stored.dtype.newbyteorder("<")).data)
    envi.write_envi_header(str(header), fields)


def _named(stored, wavelengths, meta):
    """The arrays of a MAT or NPZ file, under the names that the readers know."""
    arrays = {
        "cube": stored,
        "wavelengths_nm": wavelengths,
        "scale": np.float64(meta.get("scale", 1.0)),
    }
    if meta.get("fwhm") is not None:
        arrays["fwhm_nm"] = np.asarray(meta["fwhm"], dtype=np.float64)
    if meta["nodata"] is not None:
        arrays["nodata"] = np.float64(meta["nodata"])
    for key, value in (meta.get("georeference") or {}).items():
        if key == "map info":
            value = ", ".join(map(str, value))
        if value is not None and len(value):
            arrays[key.replace(" ", "_")] = np.asarray(value)
    return arrays


def _write_npz(drafts, stored, wavelengths, meta):
    with open(drafts[0], "wb") as file:  # given a name, numpy may add a suffix to it
        np.savez_compressed(file, **_named(stored, wavelengths, meta))


def _write_mat(drafts, stored, wavelengths, meta):
    import scipy.io

    if stored.nbytes >= 2**31:
        raise InputError(
            f"the image takes {stored.nbytes / 2**30:.1f} GiB: a MAT file (v5) holds less than 2; "
            "write a .hdr, .npz or .tif instead."
        )
    with open(drafts[0], "wb") as file:
        scipy.io.savemat(file, _named(stored, wavelengths, meta), do_compression=True)


def _write_tiff(drafts, stored, wavelengths, meta):
    from hsisr_lite.scenes.readers_geotiff import import_rasterio

    rasterio = import_rasterio(drafts[0])
    rows, cols, bands = stored.shape
    scale = float(meta.get("scale", 1.0))
    crs, transform = as_geotiff(meta.get("georeference"))
    profile = {"driver": "GTiff", "height": rows, "width": cols, "count": bands,
               "dtype": stored.dtype.name, "compress": "deflate", "interleave": "band",
               "bigtiff": "if_safer", "nodata": meta["nodata"]}  # fmt: skip
    if transform is not None:
        profile["transform"] = rasterio.Affine(*transform)
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        try:
            with rasterio.open(drafts[0], "w", **profile) as file:
                if crs is not None:
                    try:
                        file.crs = rasterio.crs.CRS.from_user_input(crs)
                    except rasterio.errors.CRSError:
                        # A damaged text about the place is no reason to lose the image.
                        warnings.warn(f"the CRS '{crs:.60}' is not valid: it is left out.",
                                      stacklevel=4)  # fmt: skip
                file.write(np.moveaxis(stored, -1, 0))  # (bands, rows, cols)
                file.scales = (1 / scale,) * bands
                file.update_tags(reflectance_scale_factor=repr(scale))
                for band, centre in enumerate(wavelengths.tolist()):
                    file.set_band_description(band + 1, f"{centre:g} nm")
                    tags = {"wavelength": repr(centre), "wavelength_units": "Nanometers"}
                    if meta.get("fwhm") is not None:
                        tags["fwhm"] = repr(float(meta["fwhm"][band]))
                    file.update_tags(band + 1, **tags)
        except rasterio.errors.RasterioError as error:
            raise OSError(str(error.__cause__ or error)) from error


def _plain(number):
    """17 as "17", not "17.0": ENVI readers compare the text with integer data."""
    number = float(number)
    return int(number) if number.is_integer() else number
