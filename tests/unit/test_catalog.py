"""The catalog: where a scene comes from, and that nothing unchecked is ever used or kept."""

import hashlib
import http.server
import json
import os
import shutil
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes import catalog
from hsisr_lite.scenes.catalog import list_scenes, load_scene
from hsisr_lite.scenes.readers import read_image
from hsisr_lite.scenes.sources import read_source

RNG = np.random.default_rng(3)
REAL = sorted(catalog._catalog())
DATA = os.environ.get("HSISR_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="HSISR_DATA is unset: no real scenes here")


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No settings, an empty cache, and a server that does not answer."""
    for name in ("HSISR_DATA", "HSISR_SCENE"):
        monkeypatch.delenv(name, raising=False)
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(catalog, "cache_folder", lambda: tmp_path / "cache" / "hsisr_lite")
    monkeypatch.setattr(catalog, "SERVER", "http://127.0.0.1:9")  # nobody answers there


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server on this machine whose folder stands for the sources' repositories."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setattr(catalog, "SERVER", f"http://127.0.0.1:{running.server_port}")
        yield folder
        running.shutdown()


def kept():
    return [path for path in catalog.cache_folder().rglob("*") if path.is_file()]


def offer(folder, monkeypatch, checksum=None):
    """A small Pavia at its address on the server, and a catalog that knows its size."""
    facts = json.loads(json.dumps(catalog._catalog()["small_pavia_university"]))
    facts.update(rows=4, cols=5)
    cube = RNG.integers(1, 99, (4, 5, 103)).astype(np.uint16)
    cube[0, 0, 0] = 200
    path = folder / facts["repository"] / facts["commit"] / facts["files"][0]["path"]
    path.parent.mkdir(parents=True)
    scipy.io.savemat(path, {"paviaU_subimg": cube})
    facts["files"][0]["sha256"] = checksum or hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(catalog, "_catalog", lambda: {"small_pavia_university": facts})
    return cube


def test_the_catalog_is_complete():
    scenes = {scene["name"]: scene for scene in list_scenes()}
    assert next(iter(scenes)) == "synthetic" and scenes["synthetic"]["where"] == "embedded"
    assert set(REAL) < set(scenes) and len(REAL) == 7
    for scene in scenes.values():
        assert all(scene[key] for key in ("description", "licence", "citation", "bands"))
    assert scenes["jasper_ridge"]["where"] == "download"
    for facts in catalog._catalog().values():
        assert len(facts["wavelengths"]) == facts["stored_bands"]
        assert all(len(file["sha256"]) == 64 for file in facts["files"])


def test_the_embedded_scene_needs_no_network_and_no_file(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert load_scene().name == load_scene("synthetic").name == "synthetic"
    assert kept() == []


def test_a_setting_chooses_the_scene(tmp_path, monkeypatch):
    path = tmp_path / "mine.npz"
    np.savez(path, cube=np.full((3, 4, 2), 50, np.uint8), wavelengths_nm=[500, 600], scale=100)
    monkeypatch.setenv("HSISR_SCENE", str(path))
    scene = load_scene()
    assert scene.name == "mine" and (scene.cube == 0.5).all() and scene.meta["dtype"] == "uint8"


def test_an_unknown_scene_lists_the_known_ones():
    with pytest.raises(InputError) as error:
        load_scene("jasper")
    assert all(name in str(error.value) for name in ("synthetic", *REAL))
    with pytest.raises(FileNotFoundError, match="check its path"):
        load_scene("jasper.mat")
    with pytest.raises(InputError, match="leave them out"):
        load_scene("samson", scale=3)


def test_a_download_is_checked_kept_and_used_again(server, monkeypatch):
    cube = offer(server, monkeypatch)
    scene = load_scene("small_pavia_university")
    np.testing.assert_array_equal(np.rint(scene.cube * 200), cube)
    assert scene.meta["scale"] == 200 and "Gamba" in scene.meta["citation"]
    assert [path.name for path in kept()] == ["paviaU_subimg.mat"]
    assert list_scenes()[1]["where"] == "cache"
    shutil.rmtree(server)
    again = load_scene("small_pavia_university")  # nothing is left to download it from
    np.testing.assert_array_equal(again.cube, scene.cube)


def test_a_wrong_checksum_keeps_nothing_and_says_what_to_do(server, monkeypatch):
    offer(server, monkeypatch, checksum="0" * 64)
    with pytest.raises(InputError) as error:
        load_scene("small_pavia_university")
    text = str(error.value)
    assert "SHA-256" in text and "nothing was kept" in text and "HSISR_DATA" in text
    assert "\n" not in text and kept() == []
    assert not catalog.cache_folder().exists() or not list(catalog.cache_folder().iterdir())


def test_a_damaged_file_in_the_cache_is_not_used(server, monkeypatch):
    cube = offer(server, monkeypatch)
    load_scene("small_pavia_university")
    kept()[0].write_bytes(b"damaged")
    np.testing.assert_array_equal(np.rint(load_scene("small_pavia_university").cube * 200), cube)


def test_without_a_network_the_address_and_both_ways_round_are_given():
    for name in ("samson", "enmap_potsdam_west"):
        with pytest.raises(OSError) as error:
            load_scene(name)
        text = str(error.value)
        file = catalog._catalog()[name]["files"][0]
        assert f"{catalog.SERVER}/{catalog._catalog()[name]['repository']}" in text
        assert str(catalog.cache_folder() / name / Path(file["path"]).name) in text
        assert "HSISR_DATA" in text and "\n" not in text and kept() == []


def test_a_missing_page_is_one_sentence(server, monkeypatch):
    offer(server, monkeypatch)
    shutil.rmtree(server / catalog._catalog()["small_pavia_university"]["repository"])
    with pytest.raises(OSError, match="could not be downloaded"):
        load_scene("small_pavia_university")
    assert kept() == []


def put_in_data(folder, name, checksum=None):
    """A cube of the right size under HSISR_DATA, with its meta.json."""
    facts = catalog._catalog()[name]
    shape = facts["rows"], facts["cols"], facts["stored_bands"]
    (folder / name).mkdir(parents=True)
    cube = RNG.integers(1, 99, shape).astype(facts["dtype"])
    np.savez(folder / name / "cube.npz", cube=cube, wavelengths_nm=facts["wavelengths"])
    seen = hashlib.sha256((folder / name / "cube.npz").read_bytes()).hexdigest()
    meta = {"files": {"cube.npz": {"sha256": checksum or seen}}}
    (folder / name / "meta.json").write_text(json.dumps(meta))
    return cube


def test_the_data_folder_comes_first_and_is_verified(tmp_path, monkeypatch):
    monkeypatch.setenv("HSISR_DATA", str(tmp_path / "data"))
    with pytest.raises(OSError, match="is not a folder"):
        load_scene("samson")
    cube = put_in_data(tmp_path / "data", "samson")
    np.testing.assert_array_equal(np.rint(load_scene("samson").cube * 1402), cube)
    assert {s["name"]: s["where"] for s in list_scenes()}["samson"] == "HSISR_DATA"
    (tmp_path / "data" / "samson" / "meta.json").write_text("{}")
    with pytest.raises(InputError, match="does not give the SHA-256"):
        load_scene("samson")
    put_in_data(tmp_path / "data", "small_pavia_university", checksum="0" * 64)
    with pytest.raises(InputError, match="damaged or another version"):
        load_scene("small_pavia_university")
    with pytest.raises(OSError, match="could not be downloaded"):  # not there: the next place
        load_scene("jasper_ridge")


def test_only_good_bands_are_kept_in_ascending_order(tmp_path, monkeypatch):
    monkeypatch.setenv("HSISR_DATA", str(tmp_path))
    cube = put_in_data(tmp_path, "enmap_potsdam_west")
    facts = catalog._catalog()["enmap_potsdam_west"]
    scene = load_scene("enmap_potsdam_west")
    assert scene.bands == 217 and (np.diff(scene.wavelengths) > 0).all()
    stored = [facts["wavelengths"].index(centre) for centre in scene.wavelengths]
    assert not set(stored) & set(facts["bad_bands"])
    np.testing.assert_array_equal(np.rint(scene.cube * 10000), cube[..., stored])
    assert scene.meta["fwhm"].tolist() == [facts["fwhm"][band] for band in stored]


def matlab_pixels(cube):
    """(bands, pixels) with the row index fastest, as the unmixing files keep them."""
    return cube.transpose(1, 0, 2).reshape(-1, cube.shape[2]).T


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("name", [name for name in REAL if "enmap" not in name])
def test_each_source_layout_gives_the_cube_back(tmp_path, name, flipped):
    facts = catalog._catalog()[name]
    rows, cols, bands = facts["rows"], facts["cols"], facts["stored_bands"]
    maps = RNG.dirichlet(np.ones(3), (rows, cols))
    spectra = RNG.random((3, bands))
    cube = (maps @ spectra * 1000).astype(facts["dtype"])
    if name == "samson":
        cube[0, 0, 0] = 1402
        given = {"Y": matlab_pixels(cube) / 1402, "lines": rows, "cols": cols, "GT": spectra,
                 "S_GT": maps.transpose(1, 0, 2) if flipped else maps}  # fmt: skip
    elif name == "jasper_ridge":
        given = {"Y": matlab_pixels(cube), "nRow": rows, "nCol": cols, "M": spectra.T,
                 "A": matlab_pixels(maps)}  # fmt: skip
    else:
        variable = {"small_pavia_university": "paviaU_subimg", "paris_eo1_hyperion": "HSim"}
        given = {variable.get(name, "data"): cube, "map": np.zeros((rows, cols))}
    scipy.io.savemat(tmp_path / "source.mat", given)
    image = read_source(name, [tmp_path / "source.mat"], facts)
    assert np.array_equal(image.cube, cube) and image.dtype == facts["dtype"]
    if name in ("samson", "jasper_ridge"):
        assert np.allclose(image.abundances, maps) and np.allclose(image.endmembers, spectra)
    wrong = {**facts, "rows": rows + 1}
    with pytest.raises(InputError, match="HSISR_DATA instead"):
        read_source(name, [tmp_path / "source.mat"], wrong)


def test_the_tiles_of_enmap_are_put_side_by_side(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="the geotiff extra is not installed")
    facts = catalog._catalog()["enmap_potsdam_west"]
    cube = RNG.integers(0, 9999, (64, 96, 224)).astype(np.int16)
    place = rasterio.Affine(30, 0, 364095, 0, -30, 5809965)
    paths = []
    for file in facts["files"]:
        x, y = (int(part) for part in Path(file["path"]).stem.split("_")[-2:])
        tile = cube[y : y + 32, x - 64 : x - 32]  # x runs along the columns, from 64
        paths.append(tmp_path / Path(file["path"]).name)
        with rasterio.open(paths[-1], "w", driver="GTiff", height=32, width=32, count=224,
                           dtype="int16", transform=place) as tiff:  # fmt: skip
            tiff.write(np.moveaxis(tile, -1, 0))
    assert np.array_equal(read_source("enmap_potsdam_west", paths, facts).cube, cube)


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_real_scenes_load_and_agree_with_their_files(name, monkeypatch):
    monkeypatch.setenv("HSISR_DATA", DATA)
    scene, facts = load_scene(name), catalog._catalog()[name]
    with np.load(Path(DATA) / name / "cube.npz", allow_pickle=False) as stored:
        good = stored["good_bands"]
        order = np.argsort(stored["wavelengths_nm"][good])
        assert np.array_equal(scene.wavelengths, stored["wavelengths_nm"][good][order])
        cube = stored["cube"][..., good][..., order]
        np.testing.assert_allclose(scene.cube * scene.meta["scale"], cube, rtol=3e-7)  # float32
        if "endmembers" in stored:
            assert np.array_equal(scene.endmembers, stored["endmembers"][:, order])
            assert len(scene.meta["materials"]) == len(scene.endmembers)
        if "fwhm_nm" in stored:
            assert np.array_equal(scene.meta["fwhm"], stored["fwhm_nm"][good][order])
    assert scene.valid is None and scene.meta["notes"] is not facts.get("notes")


@needs_data
def test_the_real_source_of_paris_is_the_cube_of_the_data_folder():
    path = Path(DATA) / "paris_eo1_hyperion" / "paris_data_hs_ms.mat"
    if not path.is_file():
        pytest.skip("the source file of Paris is not in HSISR_DATA")
    facts = catalog._catalog()["paris_eo1_hyperion"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == facts["files"][0]["sha256"]
    image = read_source("paris_eo1_hyperion", [path], facts)
    with np.load(path.with_name("cube.npz"), allow_pickle=False) as stored:
        assert np.array_equal(image.cube, stored["cube"])


def test_an_array_is_sent_to_the_class_for_it(monkeypatch):
    with pytest.raises(InputError, match=r"ndarray: a name or the path .* hl\.Scene"):
        load_scene(np.ones((2, 2, 2)))
    with pytest.raises(InputError, match=r"ndarray: the path of a file .* hl\.ObservedPair"):
        read_image(np.ones((2, 2, 2)))
    monkeypatch.setenv("HSISR_SCENE", "atlantis")
    with pytest.raises(InputError, match=r"'atlantis' is not known.*correct or unset HSISR_SCENE"):
        load_scene()


def test_a_cache_that_cannot_be_written_names_the_way_round(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.delenv("HSISR_DATA", raising=False)
    monkeypatch.setattr(catalog, "cache_folder", lambda: tmp_path / "file" / "hsisr_lite")
    with pytest.raises(OSError, match=r"cannot be written to .* set HSISR_DATA") as error:
        load_scene("samson")
    assert "\n" not in str(error.value)
