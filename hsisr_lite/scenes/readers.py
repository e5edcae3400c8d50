"""Images in: ENVI, MAT, NPZ and GeoTIFF, each opened by the room of its format."""

from pathlib import Path

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes.image import checked_scale, read_numbers, settle_bands
from hsisr_lite.waiting import waiting

SUFFIXES = (".hdr", ".mat", ".npz", ".tif", ".tiff")


def read_image(path, *, variable=None, wavelengths=None, scale=None, prefer=(), progress=True):
    """Read an image file as it is stored: no scaling, no sorting, no dropped bands.

    Parameters
    ----------
    path : str or Path
        ``.hdr`` (or the data file beside it), ``.mat`` (v5 or v7.3), ``.npz``, ``.tif``.
    variable : str, optional
        Which array of a MAT or NPZ file; default its only 3-D one.
    wavelengths : sequence of float or path, optional
        Band centres in nm in the file's band order; they replace those of the file.
    scale : float, optional
        Stored value of reflectance 1; it replaces the file's.
    prefer : tuple of str
        Names to look for first in a MAT or NPZ file that holds several cubes.
    progress : bool
        Show a sign of life while a big file is read.

    Returns
    -------
    image : Image

    Raises
    ------
    InputError
        An unknown, damaged or truncated file, a wrong variable, wavelengths not in nanometres.
    FileNotFoundError
        No such file, or an ENVI header without its data file.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "grey.npz"
    >>> np.savez(path, cube=np.full((2, 3, 4), 7, np.uint16), wavelengths_nm=[450, 500, 550, 600])
    >>> image = read_image(path)
    >>> image.cube.shape, image.dtype
    ((2, 3, 4), 'uint16')
    """
    if not isinstance(path, (str, Path)):
        raise InputError(
            f"the image is of type {type(path).__name__}: the path of a file is needed; an array "
            "goes into hl.Scene or hl.ObservedPair."
        )
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: an image file is needed; name one in it.")
    if not path.is_file():
        raise FileNotFoundError(f"the image {path} does not exist: check its path.")
    suffix = path.suffix.lower()
    if variable is not None and suffix not in (".mat", ".npz"):
        raise InputError(
            f"variable '{variable}' is asked of {path}: only MAT and NPZ files have variables; "
            "leave it out."
        )
    if suffix in (".mat", ".npz"):
        from hsisr_lite.scenes.readers_named import read_named

        with waiting(f"reading {path.name}", progress=progress):
            image = read_named(path, variable=variable, prefer=prefer)
    elif suffix in (".tif", ".tiff"):
        from hsisr_lite.scenes.readers_geotiff import read_geotiff

        with waiting(f"reading {path.name}", progress=progress):
            image = read_geotiff(path)
    else:
        from hsisr_lite.scenes.readers_envi import header_of, read_envi

        header = header_of(path)
        if header is None:
            raise InputError(
                f"{path} ends in '{suffix}' and no .hdr lies beside it: one of "
                f"{', '.join(SUFFIXES)} is needed; convert it, or add its ENVI header."
            )
        image = read_envi(header, data=None if path == header else path, progress=progress)
    if image.cube.ndim != 3 or 0 in image.cube.shape or image.cube.dtype.kind not in "fiu":
        raise InputError(
            f"{path} holds an array of shape {image.cube.shape} and type {image.cube.dtype}: real "
            "numbers on three non-empty axes (rows, cols, bands) are needed; export it again."
        )
    image.cube = image.cube.astype(image.cube.dtype.newbyteorder("="), copy=False)
    if wavelengths is not None:
        if isinstance(wavelengths, (str, Path)):
            wavelengths = read_numbers(wavelengths, "wavelengths")
    settle_bands(image, wavelengths)
    if scale is not None:
        image.scale = scale
    if image.scale is not None:
        image.scale = checked_scale(image.scale, path)
    return image
