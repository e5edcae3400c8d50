"""What a network kept in a file belongs to: the scene and the settings that it was trained with."""

import hashlib
from dataclasses import asdict

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.tensor_files import as_writable, load_tensors
from hsisr_lite.uafl.training import load_scene_weights

# Of a form, what matters only to what is made of the network's answer, and how fast it is trained
_LATER = ("residual", "trial", "bf16")


def belonging(lr_hsi, form, preset, misregistration):
    """The scene and the settings, as plain values for a file.

    Examples
    --------
    >>> from hsisr_lite.uafl.presets import PRESETS, Form
    >>> told = belonging(np.zeros((2, 2, 5)), Form(), PRESETS["lite"], "realistic")
    >>> told["start"], told["endmembers"]
    ('affine', 6)
    """
    settings = {name: value for name, value in asdict(form).items() if name not in _LATER}
    return {
        "LrHSI": _digest(lr_hsi),
        **settings,
        "endmembers": preset.endmembers,
        "width": preset.width,
        "blocks": str(tuple(preset.blocks)),
        "misregistration": str(misregistration),
    }


def training_file(path, belongs, seed, steps, *arrays):
    """Where the state of an interrupted training is kept: each training has a name of its own.

    A first loss does not tell them apart: the network begins by adding nothing, whatever the data.

    Examples
    --------
    >>> names = [training_file("a.pt", {}, seed, 400, np.zeros(3)).name for seed in (0, 1)]
    >>> names[0] != names[1], len(names[0])
    (True, 22)
    """
    name = _digest(repr((belongs, seed, steps)), *arrays)[:8]
    return as_writable(f"{path}.{name}.training")


def find_kept(path, first, belongs):
    """The network of a file, ready to fuse.

    Parameters
    ----------
    path : str or Path
    first : (rows, cols, bands) array
        The first image.
    belongs : dict
        Of :func:`belonging`.

    Returns
    -------
    scene : SceneUAFL

    Raises
    ------
    InputError
        A network of another scene, or trained with other settings; or one that learned from other
        scenes to improve the enlarged LrHSI, where another image is to be improved.
    """
    content = load_tensors(path)
    content = content if isinstance(content, dict) else {}
    if "weights" in content and belongs["start"] != "bicubic":
        raise InputError(
            f"{path} holds a network that learned from other scenes to improve the enlarged LrHSI, "
            f"and the start is {belongs['start']!r}: pass start='bicubic', or take the method "
            "uafl_published."
        )
    told = content.get("belongs") or {}
    for name, wanted in belongs.items():
        if told.get(name, wanted) == wanted:
            continue
        if name == "LrHSI":
            raise InputError(
                f"{path} holds a network that was trained on another LrHSI: its endmembers are not "
                "this one's; name another file, or one that does not exist to train."
            )
        raise InputError(
            f"{path} holds a network that was trained with {name} {told[name]}, and {wanted} is "
            f"asked for: pass {name} as it was, or name a file that does not exist to train."
        )
    return load_scene_weights(path, first)


def _digest(*parts):
    """Of texts and arrays: 32 hexadecimal digits."""
    found = hashlib.sha256()
    for part in parts:
        if part is None or isinstance(part, str):
            found.update(str(part).encode())
        else:
            found.update(str(part.shape).encode() + np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:32]
