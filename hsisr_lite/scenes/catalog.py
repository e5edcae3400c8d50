"""The scenes by name: the embedded one, and seven real ones that are fetched when asked for.

A real scene is looked for in ``HSISR_DATA``, then in the download cache, then at its source; every
file is checked against its SHA-256. ``catalog.json`` holds the facts: size, scale, wavelengths,
licence, citation, address and checksum.
"""

import contextlib
import hashlib
import json
import os
from functools import cache
from pathlib import Path

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes.prepare import scene_from
from hsisr_lite.scenes.readers import read_image

SERVER = "https://raw.githubusercontent.com"


@cache
def _catalog():
    return json.loads(Path(__file__).with_name("catalog.json").read_text(encoding="utf-8"))


def load_scene(name_or_path=None, *, variable=None, wavelengths=None, scale=None):
    """Load a scene: the embedded one, a real one by name, or a file of one's own.

    Parameters
    ----------
    name_or_path : str or Path, optional
        A name of :func:`list_scenes`, or an ENVI, MAT, NPZ or GeoTIFF file; default the setting
        ``HSISR_SCENE``, else ``"synthetic"``, which needs no file and no network.
    variable : str, optional
        For a file: which array of a MAT or NPZ file.
    wavelengths : sequence of float or path, optional
        For a file: band centres in nm, in the file's band order.
    scale : float, optional
        For a file: the stored value of reflectance 1; default its header's, else its maximum.

    Returns
    -------
    scene : Scene

    Raises
    ------
    InputError
        An unknown name, a file that cannot be used, a checksum that differs.
    OSError
        A missing file, or a download that failed.

    Examples
    --------
    >>> load_scene("synthetic").cube.shape[:2]
    (96, 96)
    """
    if not isinstance(name_or_path, (str, Path, type(None))):
        raise InputError(
            f"the scene is of type {type(name_or_path).__name__}: a name or the path of a file is "
            "needed; an array goes into hl.Scene(name, cube, wavelengths)."
        )
    chosen = name_or_path or os.environ.get("HSISR_SCENE") or "synthetic"
    facts = _catalog().get(str(chosen))
    if facts is None and str(chosen) != "synthetic":
        path = Path(chosen).expanduser()
        if not path.exists() and not path.suffix and len(path.parts) == 1:
            remedy = "correct it" if name_or_path else "correct or unset HSISR_SCENE"
            raise InputError(
                f"scene '{chosen}' is not known: one of synthetic, {', '.join(_catalog())} is "
                f"needed, or the path of an image file; {remedy}."
            )
        return scene_from(read_image(path, variable=variable, wavelengths=wavelengths, scale=scale))
    if variable is not None or wavelengths is not None or scale is not None:
        raise InputError(
            f"scene '{chosen}' brings its own variable, wavelengths and scale: these go with the "
            "path of a file; leave them out."
        )
    if facts is None:
        from hsisr_lite.scenes.synthetic import synthetic_scene

        return synthetic_scene()
    return _real_scene(str(chosen), facts)


def list_scenes():
    """List the scenes: name, size, range, where each would come from now, licence and citation.

    Returns
    -------
    scenes : list of dict
        Keys ``name``, ``description``, ``rows``, ``cols``, ``bands``, ``range_nm`` (first and last
        band centre), ``where`` ("embedded", "HSISR_DATA", "cache" or "download"), ``licence``,
        ``citation``.

    Examples
    --------
    >>> [scene["name"] for scene in list_scenes()][:2]
    ['synthetic', 'jasper_ridge']
    """
    from hsisr_lite.scenes.synthetic import synthetic_scene

    embedded = synthetic_scene()
    scenes = [{
        "name": "synthetic",
        "description": "made by the package: fields, roofs, water, trees and two pairs of metamers",
        "rows": embedded.rows, "cols": embedded.cols, "bands": embedded.bands,
        "range_nm": (float(embedded.wavelengths[0]), float(embedded.wavelengths[-1])),
        "where": "embedded",
        "licence": "BSD-3-Clause, with the package",
        "citation": "hsisr_lite, the embedded scene.",
    }]  # fmt: skip
    for name, facts in _catalog().items():
        good = np.delete(facts["wavelengths"], facts.get("bad_bands", []))
        scenes.append({
            "name": name,
            "description": facts["description"],
            "rows": facts["rows"], "cols": facts["cols"], "bands": good.size,
            "range_nm": (float(good.min()), float(good.max())),
            "where": _where(name, facts),
            "licence": facts["licence"],
            "citation": facts["citation"],
        })  # fmt: skip
    return scenes


def cache_folder():
    """Folder that downloads are kept in."""
    import pooch

    return Path(pooch.os_cache("hsisr_lite"))


def _in_data_folder(name):
    """The scene's cube in HSISR_DATA, or ``None``."""
    folder = os.environ.get("HSISR_DATA")
    if not folder:
        return None
    if not Path(folder).expanduser().is_dir():
        raise NotADirectoryError(
            f"HSISR_DATA is {folder}, which is not a folder: correct or unset it."
        )
    cube = Path(folder).expanduser() / name / "cube.npz"
    return cube if cube.is_file() else None


def _where(name, facts):
    if _in_data_folder(name):
        return "HSISR_DATA"
    files = [cache_folder() / name / Path(file["path"]).name for file in facts["files"]]
    return "cache" if all(file.is_file() for file in files) else "download"


def _real_scene(name, facts):
    """The prepared scene, wherever its values come from."""
    cube = _in_data_folder(name)
    if cube is not None:
        _verify(cube)
        image = read_image(cube)
    else:
        from hsisr_lite.scenes.sources import read_source

        paths = [_fetch(name, facts, file) for file in facts["files"]]
        image = read_source(name, paths, facts)
    image.name = name
    image.wavelengths = np.array(facts["wavelengths"])
    image.fwhm = np.array(facts["fwhm"]) if "fwhm" in facts else None
    image.good_bands = np.ones(image.bands, bool)
    image.good_bands[facts.get("bad_bands", [])] = False
    for key in ("scale", "nodata", "materials", "georeference"):
        setattr(image, key, facts.get(key))
    if image.endmembers is None:
        image.materials = None
    image.notes = list(facts.get("notes", []))
    keys = ("description", "units", "licence", "citation", "pixel_size_m")
    return scene_from(image, meta={key: facts[key] for key in keys})


def _verify(cube):
    """Compare a cube of HSISR_DATA with the SHA-256 in its own meta.json."""
    try:
        meta = json.loads(cube.with_name("meta.json").read_text(encoding="utf-8"))
        wanted = meta["files"][cube.name]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{cube.with_name('meta.json')} does not give the SHA-256 of {cube.name}: "
            "files > cube.npz > sha256 is needed; copy the scene's folder again."
        ) from None
    seen = hashlib.sha256(cube.read_bytes()).hexdigest()
    if seen != wanted:
        raise InputError(
            f"{cube} has the SHA-256 {seen[:12]}... but its meta.json says {wanted[:12]}...: it is "
            "damaged or another version; copy the scene's folder again."
        )


def _fetch(name, facts, file):
    """The scene's source file in the cache, downloaded when it is not there yet."""
    import pooch
    import requests
    from tqdm import tqdm

    folder, title = cache_folder() / name, Path(file["path"]).name
    address = f"{SERVER}/{facts['repository']}/{facts['commit']}/{file['path']}"
    pooch.get_logger().setLevel("WARNING")  # the bar says it, where it takes time
    by_hand = (
        f"put it at {folder / title} by hand, or set HSISR_DATA to a folder with {name}/cube.npz"
    )
    # pooch asks whether the bar is true, which an empty one refuses to say; it sets the real total.
    bar = tqdm(
        total=1, desc=f"downloading {title}", unit="B", unit_scale=True, delay=2, leave=False
    )
    try:
        return Path(
            pooch.retrieve(
                address,
                known_hash=f"sha256:{file['sha256']}",
                fname=title,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=bar, timeout=30),
            )
        )
    except requests.RequestException as error:
        raise ConnectionError(
            f"scene '{name}' could not be downloaded from {address} ({type(error).__name__}): "
            f"connect to the network, {by_hand}."
        ) from None
    except ValueError:  # pooch's word for a wrong checksum; its temporary file is gone
        raise InputError(
            f"the download of scene '{name}' from {address} has another SHA-256 than "
            f"{file['sha256'][:12]}..., so nothing was kept: try again later, or {by_hand}."
        ) from None
    except OSError as error:
        raise type(error)(
            f"the download cache {folder} cannot be written to ({error.strerror or error}): make "
            f"room or give permission there, or set HSISR_DATA to a folder with {name}/cube.npz."
        ) from None
    finally:
        bar.close()
        with contextlib.suppress(OSError):
            folder.rmdir()  # only when it stayed empty
