"""GeoTIFF files, through ``rasterio`` (an optional extra)."""

import re
import warnings

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes.image import Image

_IN_WORDS = re.compile(r"([\d.]+(?:e-?\d+)?)\s*(nm|nano\w*|um|µm|micro\w*)\b", re.IGNORECASE)


def import_rasterio(path):
    """Return the rasterio module, or say how to install it.

    Raises
    ------
    InputError
        rasterio is not installed.
    """
    try:
        import rasterio
    except ImportError:
        raise InputError(
            f"{path} is a GeoTIFF, which needs rasterio: install it with "
            "'pip install hsisr-lite[geotiff]'."
        ) from None
    return rasterio


def read_geotiff(path):
    """Read a GeoTIFF with the wavelengths, no-data value and scale of its tags.

    Returns
    -------
    image : Image

    Raises
    ------
    InputError
        rasterio is missing, the file is damaged, or its bands have different scales or offsets.
    """
    rasterio = import_rasterio(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path) as source:
                cube = np.moveaxis(source.read(), 0, -1)  # (rows, cols, bands)
                image = Image(path.stem, np.ascontiguousarray(cube), source=str(path))
                _describe(image, source, path)
                return image
    except rasterio.errors.RasterioError as error:
        raise InputError(
            f"{path} cannot be read as a GeoTIFF: it is damaged or another format; copy or export "
            "it again."
        ) from error


def _describe(image, source, path):
    image.nodata = None if source.nodata is None else float(source.nodata)
    flags = source.mask_flag_enums[0]
    if [flag.name for flag in flags] == ["per_dataset"]:  # a mask of its own, inside or as .msk
        image.valid = source.dataset_mask() > 0
    if not source.transform.is_identity:
        crs = source.crs.to_wkt() if source.crs else ""
        image.georeference = {"crs": crs, "transform": tuple(source.transform)[:6]}
    scales, offsets = set(source.scales), set(source.offsets)
    if len(scales) > 1 or offsets != {0.0}:
        raise InputError(
            f"{path} stores its bands with different scales or with an offset: one scale for all "
            "bands is needed; apply them and export it again."
        )
    declared = source.tags().get("reflectance_scale_factor")  # exact, where 1 / GDAL's scale rounds
    if declared is not None:
        image.scale = declared
    elif scales != {1.0}:
        scale = scales.pop()
        image.scale = 1 / scale if scale else np.inf  # refused with a sentence, as any bad scale
    found = [_centre(source, band) for band in source.indexes]
    units = {unit for _, unit in found}
    if len(units) == 1 and None not in units:
        image.wavelengths, image.units = [centre for centre, _ in found], units.pop()
    widths = [_tag(source, band, "fwhm") for band in source.indexes]
    if image.wavelengths is not None and None not in widths:
        image.fwhm = widths


def _centre(source, band):
    """Band centre and its unit from a tag, GDAL's own tags or words such as '455.3 nm'."""
    centre = _tag(source, band, "wavelength")
    if centre is not None:
        tags = {key.lower(): value for key, value in source.tags(band).items()}
        return centre, tags.get("wavelength_units", "unknown")
    try:
        return float(source.tags(band, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"]), "um"
    except (KeyError, ValueError):
        pass
    words = _IN_WORDS.search(source.descriptions[band - 1] or "")
    if words:
        return float(words[1]), "nm" if words[2].lower().startswith("n") else "um"
    return None, None


def _tag(source, band, key):
    tags = {name.lower(): value for name, value in source.tags(band).items()}
    try:
        return float(tags[key])
    except (KeyError, ValueError):
        return None
