"""Files of tensors: written whole or not at all, and read without running anything in them."""

import os
from pathlib import Path

import torch

from hsisr_lite.arrays import InputError


def as_writable(path):
    """The path of a file to come, checked before the work that it is to hold.

    Examples
    --------
    >>> as_writable("weights.pt")
    PosixPath('weights.pt')
    """
    path = _as_path(path)
    part = path.with_name(path.name + ".part") if path.name else path
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        part.open("ab").close()
        part.unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{str(path)!r} cannot be written ({reason}): the name of a file in a folder that "
            "exists is needed; correct the path or make the folder."
        ) from error
    return path


def _as_path(path):
    if isinstance(path, str | os.PathLike) and not isinstance(path, bytes):
        return Path(path)
    raise InputError(
        f"the name of a file is of type {type(path).__name__}: a string or a Path is needed; "
        "correct it."
    )


def save_tensors(content, path):
    """Write tensors and plain values to a file that :func:`load_tensors` reads.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights.pt"
    >>> save_tensors({"a": torch.ones(2)}, path)
    >>> load_tensors(path)["a"]
    tensor([1., 1.])
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        torch.save(content, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load_tensors(path):
    """Read a file of :func:`save_tensors`; nothing in it can run as code.

    Raises
    ------
    InputError
        No such file, or one that holds anything but tensors and plain values.
    """
    path = _as_path(path)
    if not path.is_file():
        raise InputError(
            f"there is no file {str(path)!r}: a file of weights is needed; correct the path, or "
            "make one."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its reader met first
        raise InputError(
            f"{path} cannot be read as tensors ({type(error).__name__}): a file that this package "
            "wrote is needed; name another or make it again."
        ) from error
