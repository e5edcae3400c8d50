"""What each stage of M2U-Net hands on, kept in a folder, so that the next can run alone."""

import hashlib
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.m2unet.dig import Drawn
from hsisr_lite.m2unet.dil import Sensors
from hsisr_lite.m2unet.iie import FirstImage
from hsisr_lite.tensor_files import load_tensors, save_tensors

STAGES = {"dil": Sensors, "iie": FirstImage, "dig": Drawn}


def load_stage(path):
    """What a stage has kept: a Sensors, a FirstImage or a Drawn.

    Parameters
    ----------
    path : str or Path
        ``dil.pt``, ``iie.pt`` or ``dig.pt`` of the folder that :func:`~hsisr_lite.methods.fuse` was
        given.

    Raises
    ------
    InputError
        No such file, or one that holds no stage.

    Examples
    --------
    >>> import hsisr_lite as hl, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=4)
    >>> result = hl.fuse(pair, "m2unet", folder=folder, steps=2, progress=False)
    >>> bool((load_stage(f"{folder}/dig.pt").image == result.hr_hsi).all())
    True
    """
    return _read(path).result


class Kept:
    """Runs stages, each unless its result lies in the folder already; without one, runs them all.

    Parameters
    ----------
    folder : str or Path, or None
        Made where it does not exist.
    pair : ObservedPair
    seed : int

    Raises
    ------
    InputError
        A folder that cannot be made or written.
    """

    def __init__(self, folder, pair, seed):
        self.folder = None if folder is None else _as_folder(folder)
        if folder is not None:
            noise = None if pair.noise is None else tuple(map(float, pair.noise))
            self.made_for = _digest(
                pair.lr_hsi, pair.hr_msi, pair.ratio, pair.psf, pair.srf, noise,
                pair.lr_valid, pair.hr_valid, seed,
            )  # fmt: skip

    def stage(self, name, settings, work):
        """The result of one stage, and the seconds that it took.

        Parameters
        ----------
        name : {"dil", "iie", "dig"}
        settings : tuple
            What it depends on beside pair and seed, the settings of earlier stages among them.
        work : callable
            Given the file for its state, or None; returns the stage's result.

        Raises
        ------
        InputError
            A result of another pair, seed or setting in the folder.
        """
        start = time.perf_counter()
        if self.folder is None:
            return work(None), time.perf_counter() - start
        path, made_for = self.folder / f"{name}.pt", _digest(self.made_for, settings)
        if path.exists():
            kept = _read(path)
            if kept.made_for != made_for:
                raise InputError(
                    f"{path} holds a stage of another run: one on the same pair, with the same "
                    "seed and settings, is needed; delete the file or name another folder."
                )
            return kept.result, kept.seconds
        # The first loss of a residual form is that of every seed: the name tells the states apart.
        result = work(self.folder / f"{name}_unfinished_{made_for[:8]}.pt")
        seconds = time.perf_counter() - start
        values = {
            key: torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
            for key, value in result._asdict().items()
        }
        content = {"stage": name, "made_for": made_for, "seconds": seconds, "values": values}
        save_tensors(content, path)
        return result, seconds


class _Content(NamedTuple):
    result: Sensors | FirstImage | Drawn
    made_for: str
    seconds: float


def _read(path):
    content = load_tensors(path)
    try:
        values = {
            key: value.numpy() if isinstance(value, torch.Tensor) else value
            for key, value in content["values"].items()
        }
        result = STAGES[content["stage"]](**values)
        return _Content(result, content["made_for"], content["seconds"])
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds no stage of M2U-Net: a file that fuse(..., folder=...) has written is "
            "needed; name another or delete it."
        ) from error


def _as_folder(folder):
    if not isinstance(folder, str | os.PathLike) or isinstance(folder, bytes):
        raise InputError(
            f"folder is of type {type(folder).__name__}: a string or a Path is needed; correct it."
        )
    try:
        if not str(folder):
            raise ValueError("it has no name")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError("it is read-only")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{str(folder)!r} cannot be a folder for results ({reason}): one that exists or can be "
            "made is needed; correct the path."
        ) from error
    return folder


def _digest(*parts):
    """Of arrays and plain values, one after the other."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
