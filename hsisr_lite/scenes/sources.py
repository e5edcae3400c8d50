"""Turn each real scene's source file into an image, layout by layout.

The files keep pixels and bands in several orders. Shapes are checked against the catalog, so that a
file with another layout is refused instead of being read askew.
"""

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes.image import Image
from hsisr_lite.scenes.readers import read_image
from hsisr_lite.scenes.readers_named import open_mat


def read_source(name, paths, facts):
    """Read the source file (or files) of one scene.

    Parameters
    ----------
    name : str
        Its name in the catalog.
    paths : list of Path
        The downloaded files, in the catalog's order.
    facts : dict
        The catalog's entry.

    Returns
    -------
    image : Image
        Values in the stored type of the catalog; nothing else is filled in but endmembers and
        abundances, where the file holds them.

    Raises
    ------
    InputError
        A file whose contents do not fit the catalog.
    """
    image = _LAYOUTS[name](paths)
    wanted = (facts["rows"], facts["cols"], facts["stored_bands"])
    if image.cube.shape != wanted:
        raise InputError(
            f"the source file {paths[0]} of scene '{name}' holds an image of shape "
            f"{image.cube.shape}: {wanted} is needed; put the scene into HSISR_DATA instead."
        )
    stored = image.cube.astype(facts["dtype"])
    if stored.dtype.kind in "iu" and not np.array_equal(stored, image.cube):
        raise InputError(
            f"the source file {paths[0]} of scene '{name}' holds values that are not "
            f"{stored.dtype}: whole counts are needed; put the scene into HSISR_DATA instead."
        )
    return Image(
        name, stored, endmembers=image.endmembers, abundances=image.abundances, source=image.source
    )


def _variable(variable):
    return lambda paths: read_image(paths[0], variable=variable)


def _jasper_ridge(paths):
    """Y is (bands, pixels), M (bands, materials), A (materials, pixels); down the columns."""
    image = read_image(paths[0], variable="Y")
    arrays = open_mat(paths[0])
    if {"A", "M"} <= set(arrays.shapes):
        image.endmembers = np.asarray(arrays.load("M")).T
        image.abundances = _map_of(np.asarray(arrays.load("A")), image.cube)
    return image


def _samson(paths):
    """Y is counts / 1402; GT (materials, bands) and S_GT are the endmembers and abundances."""
    image = read_image(paths[0], variable="Y")
    image.cube = np.rint(image.cube * (1402 / image.cube.max()))
    arrays = open_mat(paths[0])
    if {"GT", "S_GT"} <= set(arrays.shapes):
        image.endmembers = np.asarray(arrays.load("GT"))
        image.abundances = _map_of(np.asarray(arrays.load("S_GT")), image.cube)
    return image


def _map_of(abundances, cube):
    """Abundances as (rows, cols, materials), with the rows and columns of the cube.

    A square map fits the cube either way round; the right way is the one that explains the pixels.
    """
    rows, cols, bands = cube.shape
    if abundances.ndim == 2:
        flat = abundances.T if abundances.shape[1] == rows * cols else abundances
        return flat.reshape(rows, cols, -1, order="F")  # (rows, cols, materials)
    pixels = cube.reshape(-1, bands)  # (pixels, bands)

    def unexplained(maps):
        shares = maps.reshape(rows * cols, -1)  # (pixels, materials)
        spectra = np.linalg.lstsq(shares, pixels, rcond=None)[0]
        return np.square(pixels - shares @ spectra).sum()

    ways = [abundances]
    if rows == cols:
        ways.append(abundances.transpose(1, 0, 2))
    return min(ways, key=unexplained)


def _enmap(paths):
    """Six tiles of 32 x 32 pixels, named ..._X_Y.tif; the catalog lists them row by row."""
    tiles = [read_image(path).cube for path in paths]
    across = 3
    lines = [np.concatenate(tiles[i : i + across], axis=1) for i in range(0, len(tiles), across)]
    return Image("enmap", np.concatenate(lines, axis=0), source=str(paths[0].parent))


_LAYOUTS = {
    "jasper_ridge": _jasper_ridge,
    "samson": _samson,
    "small_pavia_university": _variable("paviaU_subimg"),
    "san_diego_airport": _variable("data"),
    "hydice_urban_road": _variable("data"),
    "enmap_potsdam_west": _enmap,
    "paris_eo1_hyperion": _variable("HSim"),
}
