r"""A folder of scenes as training examples, each of which anyone can draw again by its number.

An example is a crop of a scene, the truth X, and what two cameras make of it: the LrHSI
:math:`P X`, enlarged, and a reference :math:`X S^\top` seen through a flow of its own. All that is
random in it follows from (seed, epoch, number), whichever worker or process makes it.
"""

from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.degradation.flows import warp
from hsisr_lite.degradation.misregistration import random_flow
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.psf import FWHM_TO_SIGMA, gaussian_psf
from hsisr_lite.degradation.srf import ResponseTable, response_table, sensor_srf
from hsisr_lite.scenes.prepare import scene_from
from hsisr_lite.scenes.readers import SUFFIXES, read_image

_RGB = ("red", "green", "blue")
_MARGIN = 16  # pixels around a crop that its reference may be seen from


class StoredScene(NamedTuple):
    """Where a scene's arrays lie while training reads pieces of them.

    ``.npy`` files all three: ``cube`` (rows, cols, bands) and ``msi`` (rows, cols, msi_bands),
    float32, and ``valid`` (rows, cols) bool, which is there for scenes with no-data.
    """

    name: str
    cube: Path
    msi: Path
    valid: Path

    def shape(self):
        """Rows, columns, bands and bands of the reference."""
        cube, msi = np.load(self.cube, mmap_mode="r"), np.load(self.msi, mmap_mode="r")
        return (*cube.shape, msi.shape[2])


def published_psf(ratio):
    """The published blur, 8 x 8 with a sigma of 3 pixels at every ratio, centred on the block.

    The released code [uafl2026]_ keeps the blurred image's first pixel of each block and enlarges
    it as if it were the middle: the LrHSI is displaced by ``ratio / 2 - 1`` pixels.

    Examples
    --------
    >>> published_psf(4).shape
    (8, 8)
    """
    return gaussian_psf(ratio, fwhm=3 * FWHM_TO_SIGMA, size=8)


def rgb_table():
    """Responses of a colour camera: the red, green and blue of WorldView-2.

    Examples
    --------
    >>> rgb_table().names
    ('red', 'green', 'blue')
    """
    table = response_table("worldview2")
    rows = [table.names.index(name) for name in _RGB]
    return ResponseTable(table.wavelengths, table.responses[rows], _RGB)


def scene_files(folder):
    """The image files that lie in a folder, by name.

    Raises
    ------
    InputError
        No such folder, or none in it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "b.npz").touch(), (folder / "a.hdr").touch(), (folder / "a.img").touch()
    (None, None, None)
    >>> [path.name for path in scene_files(folder)]
    ['a.hdr', 'b.npz']
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: a folder of scenes is needed; correct its path.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(
            f"{folder} holds no scene: files that end in {', '.join(SUFFIXES)} are needed; put "
            "some in, or name another folder."
        )
    return files


def store_scenes(files, place, *, sensor="rgb", variable=None, wavelengths=None, rank=0, count=1,
                 progress=False):  # fmt: skip
    r"""Read scenes and leave them as plain arrays, of which several workers read pieces at once.

    Each cube is scaled to [0, 1] as published, by its own least and largest value:

    .. math:: X \leftarrow \frac{X - \min X}{\max X - \min X}

    Parameters
    ----------
    files : list of Path
    place : Path
        An existing folder.
    sensor : str or ResponseTable
        Makes the reference: ``"rgb"`` (:func:`rgb_table`), or what
        :func:`~hsisr_lite.degradation.srf.sensor_srf` knows.
    variable, wavelengths
        See :func:`~hsisr_lite.scenes.readers.read_image`.
    rank, count : int
        Of ``count`` processes, this one reads every ``count``-th file from ``rank`` on.
    progress : bool
        Show a bar.

    Returns
    -------
    scenes : list of StoredScene
        Of all files, also those that the other processes read.

    Raises
    ------
    InputError
        A file that cannot be used, by its name.
    """
    sensor = rgb_table() if isinstance(sensor, str) and sensor == "rgb" else sensor
    mine = files[rank::count]
    for path in tqdm(mine, "reading scenes", disable=not progress, leave=False, delay=1):
        try:
            image = read_image(path, variable=variable, wavelengths=wavelengths, progress=False)
            scene = scene_from(image)
            response = sensor_srf(sensor, scene.wavelengths, fwhm=scene.meta.get("fwhm"))
            least, largest = scene.cube.min(), scene.cube.max()
            if not largest > least:
                raise InputError(
                    f"all its values are {least:g}: different ones are needed; take the file out."
                )
        except (InputError, OSError) as error:
            raise InputError(f"the scene {path} cannot be trained on: {error}") from error
        # X <- (X - min X) / (max X - min X)
        cube = (scene.cube - least) / (largest - least)
        (stored,) = stored_scenes([path], place)
        np.save(stored.cube, cube)
        np.save(stored.msi, SpectralOperator(response.srf).A(cube))
        stored.valid.unlink(missing_ok=True)
        if scene.valid is not None:
            np.save(stored.valid, scene.valid)
    return stored_scenes(files, place)


def stored_scenes(files, place):
    """Where :func:`store_scenes` leaves the scenes of some files."""
    parts = ("cube", "msi", "valid")
    return [
        StoredScene(path.name, *(place / f"{path.name}.{part}.npy" for part in parts))
        for path in files
    ]


def check_scenes(scenes, crop):
    """The bands and the reference's bands that all scenes have, if each holds a crop.

    Raises
    ------
    InputError
        A scene that is too small, or of other bands than the first.
    """
    first = scenes[0].shape()[2:]
    for scene in scenes:
        rows, cols, *bands = scene.shape()
        if min(rows, cols) < crop:
            raise InputError(
                f"the scene {scene.name} has {rows} x {cols} pixels: at least {crop} x {crop} are "
                "needed for a crop; take smaller crops, or take the scene out of the folder."
            )
        if tuple(bands) != first:
            raise InputError(
                f"the scene {scene.name} has {bands[0]} bands and {bands[1]} of the reference: "
                f"{first[0]} and {first[1]} are needed, as in {scenes[0].name}; train on scenes of "
                "other bands in a folder of their own."
            )
    return first


def hold_out(scenes, share, seed):
    """Split scenes, whole, into those to train on and those that only judge.

    Raises
    ------
    InputError
        A share that is not from 0 to below 1, or that leaves no scene to train on.

    Examples
    --------
    >>> hold_out(["a", "b", "c", "d"], 0.25, seed=0)
    (['a', 'b', 'd'], ['c'])
    """
    number = isinstance(share, Real) and not isinstance(share, bool)
    if not (number and 0 <= share < 1):
        raise InputError(
            f"validation is {share!r}: a share of the scenes from 0 to below 1 is needed; 0.2 "
            "holds out a fifth, 0 none."
        )
    held = 0 if share == 0 else max(1, round(share * len(scenes)))
    if held >= len(scenes):
        raise InputError(
            f"validation={share:g} holds out {held} of {len(scenes)} scenes: at least one must be "
            "left to train on; add scenes, or pass a smaller share."
        )
    out = set(np.random.default_rng(seed).permutation(len(scenes))[:held].tolist())
    return (
        [scene for i, scene in enumerate(scenes) if i not in out],
        [scene for i, scene in enumerate(scenes) if i in out],
    )


class Crops(Dataset):
    """Training examples: ``repeats`` crops of each scene, asked for by (epoch, number).

    Parameters
    ----------
    scenes : list of StoredScene
    crop : int
        Side in pixels, a multiple of ``ratio``.
    repeats : int
    ratio : int
    psf : (k, k) array
    misregistration : str or Misregistration
        See :func:`~hsisr_lite.degradation.misregistration.random_flow`.
    seed : int

    Raises
    ------
    InputError
        An unknown misregistration.
    """

    def __init__(self, scenes, *, crop, repeats, ratio, psf, misregistration, seed):
        random_flow(2, 2, misregistration)  # a wrong one is found now, not in a worker
        self.scenes, self.crop, self.repeats, self.seed = scenes, crop, repeats, seed
        self.spatial = SpatialOperator(psf, ratio)
        self.centre = psf_centre(psf, ratio)
        self.misregistration = misregistration
        self._counts = {}  # of valid pixels in each row, by scene

    def __len__(self):
        return len(self.scenes) * self.repeats

    def __getitem__(self, drawn):
        """The enlarged LrHSI, the reference and the truth, (channels, crop, crop) each."""
        epoch, number = drawn
        rng = np.random.default_rng([self.seed, epoch, number])
        scene = self.scenes[number // self.repeats]
        # Mapped, not read: only the crop's pixels come from the disk
        cube, msi = np.load(scene.cube, mmap_mode="r"), np.load(scene.msi, mmap_mode="r")
        row, col = self._corner(scene, cube.shape, rng)
        truth = np.array(cube[row : row + self.crop, col : col + self.crop])
        enlarged = upsample(self.spatial.A(truth), self.spatial.ratio, self.centre)
        parts = enlarged, self._reference(msi, row, col, rng), truth
        return tuple(torch.from_numpy(np.ascontiguousarray(np.moveaxis(p, -1, 0))) for p in parts)

    def _corner(self, scene, shape, rng):
        """Where a crop starts; one whose middle has no data is not taken."""
        rows, cols = shape[0] - self.crop + 1, shape[1] - self.crop + 1
        if scene.valid.exists():
            middle = self.crop // 2
            # Mapped: all of it is looked at once, and then one row for each crop
            valid = np.load(scene.valid, mmap_mode="r")
            valid = valid[middle : middle + rows, middle : middle + cols]
            if scene not in self._counts:
                self._counts[scene] = np.cumsum(valid.sum(axis=1))
            counts = self._counts[scene]
            if counts[-1]:
                # The one of all valid pixels whose number was drawn, row by row
                number = int(rng.integers(counts[-1]))
                row = int(np.searchsorted(counts, number, side="right"))
                inside = np.flatnonzero(valid[row])
                return row, int(inside[number - counts[row]])  # counted from the row's end
        return int(rng.integers(rows)), int(rng.integers(cols))

    def _reference(self, msi, row, col, rng):
        """The crop of the MSI, seen through a flow, also from beyond the crop's border."""
        top, left = max(0, row - _MARGIN), max(0, col - _MARGIN)
        around = msi[top : row + self.crop + _MARGIN, left : col + self.crop + _MARGIN]
        flow = random_flow(*around.shape[:2], self.misregistration, seed=int(rng.integers(2**31)))
        return warp(around, flow)[row - top :, col - left :][: self.crop, : self.crop]
