"""MAT (v5 and v7.3) and NPZ files: several named arrays, one of which is the image."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes.image import Image

_CUBE = ("cube", "gt", "hsi")
_CENTRES = ("wavelengths_nm", "wavelengths", "wavelength", "wl", "msi_wavelengths")
_WIDTHS = ("fwhm_nm", "fwhm")
_GOOD = ("good_bands", "bbl")
_SIZES = (("nRow", "nCol"), ("lines", "cols"))


@dataclass
class Arrays:
    """What a file holds: shape and kind of each array (kind "?" is not numbers), and a loader."""

    path: object
    shapes: dict
    kinds: dict
    load: Callable

    def listing(self):
        """Name, shape and kind of every array, for a message."""
        if not self.shapes:
            return "no arrays"
        parts = []
        for name, shape in self.shapes.items():
            size = " x ".join(map(str, shape)) or "one number"
            parts.append(f"{name} ({size}{'' if self.kinds[name] in 'fiub' else ', not numbers'})")
        return ", ".join(parts)

    def numbers(self, names, bands=None):
        """First array called one of ``names``; with ``bands``, one of that many values."""
        for name in names:
            if self.kinds.get(name, "?") in "fiub":
                if bands is None or np.prod(self.shapes[name]) == bands:
                    return np.asarray(self.load(name)).ravel()
        return None

    def text(self, name):
        """A text, or ``None``."""
        if self.kinds.get(name) != "U":
            return None
        return str(np.asarray(self.load(name)).ravel()[0])


def open_npz(path):
    """List the arrays of an NPZ archive; pickled objects are refused when they are asked for."""
    shapes, kinds = {}, {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in (name for name in archive.namelist() if name.endswith(".npy")):
                with archive.open(entry) as stream:
                    version = np.lib.format.read_magic(stream)
                    read = np.lib.format.read_array_header_1_0
                    if version >= (2, 0):
                        read = np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(stream)
                name = entry.removesuffix(".npy")
                shapes[name], kinds[name] = shape, dtype.kind
    except Exception as error:  # zipfile, zlib and numpy each have their own
        raise _damaged(path, "an NPZ archive of plain arrays") from error

    def load(name):
        if kinds[name] == "O":
            raise InputError(
                f"'{name}' in {path} is a pickled object, which can run code: plain arrays are "
                "needed; save it again with a numeric type."
            )
        try:
            with np.load(path, allow_pickle=False) as archive:
                return archive[name]
        except Exception as error:
            raise _damaged(path, "an NPZ archive of plain arrays") from error

    return Arrays(path, shapes, kinds, load)


def open_mat(path):
    """List the arrays of a MAT file: version 5 through scipy, version 7.3 (HDF5) through h5py."""
    import h5py
    import scipy.io

    if h5py.is_hdf5(path):
        return _open_mat73(path, h5py)
    classes = {"char": "U", "cell": "O", "struct": "O", "logical": "b"}
    try:
        listed = scipy.io.whosmat(path)
    except Exception as error:  # scipy raises what its parser stumbles over
        raise _damaged(path, "a MATLAB file (v5 or v7.3)") from error
    shapes = {name: shape for name, shape, _ in listed}
    number = ("double", "single", "int", "uint")
    kinds = {name: classes.get(kind, "f" if kind.startswith(number) else "?")
             for name, _, kind in listed}  # fmt: skip

    def load(name):
        try:
            return scipy.io.loadmat(path, variable_names=[name])[name]
        except Exception as error:
            raise _damaged(path, "a MATLAB file (v5 or v7.3)") from error

    return Arrays(path, shapes, kinds, load)


def _open_mat73(path, h5py):
    try:
        with h5py.File(path, "r") as file:
            found = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
            groups = [n for n, item in file.items() if isinstance(item, h5py.Group) and n[0] != "#"]
            # MATLAB counts the first axis fastest, HDF5 the last: the axes are reversed.
            shapes = {name: item.shape[::-1] for name, item in found.items()}
            kinds = {name: _kind73(item) for name, item in found.items()}
    except Exception as error:  # h5py has a kind for every part of a damaged file
        raise _damaged(path, "a MATLAB file (v5 or v7.3)") from error
    shapes.update({name: () for name in groups})
    kinds.update({name: "O" for name in groups})

    def load(name):
        if name in groups:
            raise InputError(
                f"'{name}' in {path} is a struct: an array of numbers is needed; save its fields "
                "as variables."
            )
        try:
            with h5py.File(path, "r") as file:
                values = np.ascontiguousarray(file[name][()].T)
        except Exception as error:
            raise _damaged(path, "a MATLAB file (v5 or v7.3)") from error
        if kinds[name] == "U":
            return np.array("".join(chr(code) for code in values.ravel()))
        return values

    return Arrays(path, shapes, kinds, load)


def _kind73(item):
    kind = item.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if kind == "char":
        return "U"
    return item.dtype.kind if item.dtype.kind in "fiub" and kind != "cell" else "O"


def read_named(path, *, variable=None, prefer=()):
    """Read the image of a MAT or NPZ file.

    Returns
    -------
    image : Image

    Raises
    ------
    InputError
        A damaged file, pickled objects, or no clear choice of the image.
    """
    arrays = open_mat(path) if path.suffix.lower() == ".mat" else open_npz(path)
    return _image(arrays, variable, prefer)


def _damaged(path, wanted):
    return InputError(
        f"{path} cannot be read: it is damaged, truncated or another format, where {wanted} is "
        "needed; copy or export it again."
    )


def _choose(arrays, variable, prefer):
    """Name of the image's array, or one sentence that lists what the file holds."""
    path, shapes, kinds = arrays.path, arrays.shapes, arrays.kinds
    if variable is not None:
        if variable not in shapes:
            raise InputError(
                f"{path} has no variable '{variable}': it holds {arrays.listing()}; "
                "name one of them."
            )
        if kinds[variable] not in "fiu" or len(shapes[variable]) not in (2, 3):
            if kinds[variable] == "O":
                arrays.load(variable)  # an NPZ refuses pickled objects with its own sentence
            raise InputError(
                f"variable '{variable}' of {path} is not an image: numbers on three axes are "
                f"needed; it holds {arrays.listing()}."
            )
        return variable
    cubes = [name for name, shape in shapes.items()
             if len(shape) == 3 and 0 not in shape and kinds[name] in "fiu"
             and name != "abundances"]  # fmt: skip
    for name in (*prefer, *_CUBE):
        if name in cubes:
            return name
    if len(cubes) == 1:
        return cubes[0]
    if not cubes:
        flat = [name for name in shapes if _flat_size(arrays, name)]
        if len(flat) == 1:
            return flat[0]
        pickled = [name for name, kind in kinds.items() if kind == "O"]
        if len(pickled) == len(shapes) and pickled:
            arrays.load(pickled[0])
    count = "no 3-D variable" if not cubes else f"{len(cubes)} 3-D variables"
    remedy = (
        "store the image as (rows, cols, bands), or name the matrix of a one-band image, variable= "
        "or in the shell --hsi-variable or --msi-variable"
    )
    if cubes:
        remedy = "name one, variable= or in the shell --hsi-variable or --msi-variable"
    raise InputError(
        f"{path} holds {count}: exactly one is needed, but it holds {arrays.listing()}; {remedy}."
    )


def _flat_size(arrays, name):
    """(rows, cols) when the array is a matrix of pixels and the file says how they are laid out."""
    shape = arrays.shapes[name]
    if len(shape) != 2 or arrays.kinds[name] not in "fiu":
        return None
    for row_key, col_key in _SIZES:
        rows, cols = arrays.numbers((row_key,), 1), arrays.numbers((col_key,), 1)
        if rows is not None and cols is not None and rows[0] * cols[0] in shape:
            return int(rows[0]), int(cols[0])
    return None


def _cube(arrays, name):
    values = np.asarray(arrays.load(name))
    if values.ndim == 3:
        return values
    size = _flat_size(arrays, name)
    if size is None:
        return values[:, :, None]  # one band: MATLAB drops a last axis of 1
    pixels = values.T if values.shape[1] == size[0] * size[1] else values
    return pixels.reshape(*size, -1, order="F")  # (rows, cols, bands), pixels down the columns


def _image(arrays, variable, prefer):
    """The image of a file of named arrays, with what its other arrays say of it."""
    path = arrays.path
    name = _choose(arrays, variable, prefer)
    # A folder per scene with a cube.npz in it: the folder has the telling name.
    title = path.absolute().parent.name if path.stem == "cube" else path.stem
    image = Image(title, _cube(arrays, name), source=str(path))
    bands = image.bands
    centres = arrays.numbers(_CENTRES, bands)
    if centres is None:
        centres = arrays.numbers(_CENTRES)
        others = [shape for key, shape in arrays.shapes.items() if len(shape) == 3 and key != name]
        if centres is not None and centres.size in [shape[2] for shape in others]:
            centres = None  # they belong to another image of the file
    if centres is not None:
        image.wavelengths, image.units = centres, arrays.text("wavelength_units")
        image.fwhm = arrays.numbers(_WIDTHS, bands)
    good = arrays.numbers(_GOOD, bands)
    image.good_bands = None if good is None else good > 0
    for key in ("scale", "nodata"):
        value = arrays.numbers((key,), 1)
        setattr(image, key, None if value is None else float(value[0]))
    _add_materials(image, arrays)
    texts = {key: arrays.text(key.replace(" ", "_"))
             for key in ("crs", "map info", "coordinate system string")}  # fmt: skip
    image.georeference = {key: text for key, text in texts.items() if text is not None}
    if "map info" in image.georeference:
        image.georeference["map info"] = image.georeference["map info"].split(", ")
    transform = arrays.numbers(("transform",), 6)
    if transform is not None:
        image.georeference["transform"] = tuple(transform.tolist())
    image.georeference = image.georeference or None
    return image


def _add_materials(image, arrays):
    rows, cols, bands = image.cube.shape
    shape = arrays.shapes.get("endmembers", ())
    if len(shape) == 2 and shape[1] == bands and arrays.kinds["endmembers"] in "fiu":
        image.endmembers = np.asarray(arrays.load("endmembers"))
    shape = arrays.shapes.get("abundances", ())
    if len(shape) == 3 and shape[:2] == (rows, cols) and arrays.kinds["abundances"] in "fiu":
        image.abundances = np.asarray(arrays.load("abundances"))
    if arrays.kinds.get("materials") == "U":
        names = np.asarray(arrays.load("materials")).ravel()
        image.materials = [str(name).strip() for name in names]
