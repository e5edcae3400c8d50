"""Writers: what is written reads back as it was, and a file is whole or absent."""

import time

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.results import save
from hsisr_lite.scenes import writers
from hsisr_lite.scenes.georeference import as_geotiff
from hsisr_lite.scenes.prepare import prepare, scaled
from hsisr_lite.scenes.readers import read_image
from hsisr_lite.scenes.writers import write_image
from hsisr_lite.waiting import waiting

RNG = np.random.default_rng(2)
CENTRES = np.array([450.123456789, 550.1, 2200 / 3])
UTM = {"crs": "EPSG:32633", "transform": (30.0, 0.0, 364095.5, 0.0, -30.0, 5809965.25)}
MAP_INFO = ["UTM", "1", "1", "364095.5", "5809965.25", "30.0", "30.0", "33", "North", "WGS-84"]
SUFFIXES = [".hdr", ".mat", ".npz", ".tif", ".tiff"]


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    if request.param.startswith(".tif"):
        pytest.importorskip("rasterio", reason="the geotiff extra is not installed")
    return tmp_path / f"out{request.param}"


def left(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_a_round_trip_returns_every_bit_of_integers(path, dtype):
    """float32 holds 24 bits, so integers far below 2^23 survive division and multiplication."""
    top = {"uint8": 256, "int16": 2**15, "uint16": 2**16}.get(dtype, 2**22)
    stored = (RNG.random((6, 7, 3)) * top).astype(dtype)
    scale, fwhm = 1402.0, np.array([5.5, 6.25, 1 / 3])
    meta = {"scale": scale, "dtype": dtype, "fwhm": fwhm, "georeference": UTM}
    assert write_image(path, scaled(stored, scale), wavelengths=CENTRES, meta=meta) == path
    image = read_image(path)
    assert image.dtype == dtype and image.scale == scale and image.nodata is None
    assert np.array_equal(image.wavelengths, CENTRES) and np.array_equal(image.fwhm, fwhm)
    if stored.dtype.kind == "f":
        np.testing.assert_allclose(image.cube, stored, rtol=3e-7)  # two roundings of float32
    else:
        assert np.array_equal(image.cube, stored)


@pytest.mark.parametrize("place", [UTM, {"map info": MAP_INFO}], ids=["geotiff", "envi"])
def test_the_place_on_the_ground_is_kept_in_every_format(path, place):
    write_image(path, np.ones((2, 3, 3)), wavelengths=CENTRES, meta={"georeference": place})
    found = read_image(path).georeference
    if "transform" in found:
        assert tuple(found["transform"]) == UTM["transform"]
        assert "33N" in found["crs"] or found["crs"] == "EPSG:32633"
    else:
        assert found["map info"][:9] == MAP_INFO[:9]


def test_no_data_goes_back_and_only_where_nothing_was_measured(path):
    """A measured value that happens to equal the no-data value must not read back as missing."""
    stored = RNG.integers(1, 9, (6, 7, 3)).astype(np.int16)
    stored[0, 0] = -5
    valid = np.ones((6, 7), bool)
    valid[2:4, 3] = False
    meta = {"scale": 10.0, "dtype": "int16", "nodata": -5.0}
    write_image(path, stored / 10, wavelengths=CENTRES, meta=meta, valid=valid)
    image = read_image(path)
    assert image.nodata == -5 and (image.cube[2:4, 3] == -5).all()
    assert (image.cube[0, 0] == -4).all()
    assert np.array_equal(prepare(image).valid, valid)


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("float32", np.nan), ("int16", -32768), ("uint16", 65535)]
)
def test_a_mask_without_a_no_data_value_gets_one(path, dtype, nodata):
    valid = np.ones((4, 4), bool)
    valid[1, 2] = False
    meta = {"scale": 100.0, "dtype": dtype}
    write_image(path, np.full((4, 4, 3), 0.5), wavelengths=CENTRES, meta=meta, valid=valid)
    image = read_image(path)
    np.testing.assert_equal(image.nodata, nodata)
    assert np.array_equal(prepare(image).valid, valid)


def test_values_outside_the_type_are_limited_and_counted(path):
    cube = np.full((2, 3, 3), 0.5)
    cube[0, 0, 0], cube[1, 1, 1] = -0.1, 9.9
    with pytest.warns(UserWarning, match=r"2 of 18 values lie outside .* uint8 \(0 to 255"):
        write_image(path, cube, wavelengths=CENTRES, meta={"scale": 100, "dtype": "uint8"})
    found = read_image(path).cube
    assert found[0, 0, 0] == 0 and found[1, 1, 1] == 255 and found[0, 1, 1] == 50


def test_spectral_opens_the_envi_file_with_its_wavelengths(tmp_path):
    from spectral.io import envi

    cube = RNG.random((5, 6, 3)).astype(np.float32)
    write_image(tmp_path / "a.hdr", cube, wavelengths=CENTRES, meta={})
    opened = envi.open(str(tmp_path / "a.hdr"))
    assert opened.bands.centers == CENTRES.tolist() and opened.bands.band_unit == "Nanometers"
    assert np.array_equal(opened.load(), cube)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_suffix_in_capitals_is_the_same_format(tmp_path, suffix):
    if suffix.startswith(".tif"):
        pytest.importorskip("rasterio", reason="the geotiff extra is not installed")
    name = tmp_path / f"a.b{suffix.upper()}"  # and a dot inside the name is no suffix
    write_image(name, np.ones((2, 3, 3)), wavelengths=CENTRES, meta={})
    assert read_image(name).cube.shape == (2, 3, 3)
    assert left(tmp_path) == sorted([name.name, *(["a.b.img"] if suffix == ".hdr" else [])])


def test_a_file_that_would_be_taken_for_the_data_is_no_target(tmp_path):
    (tmp_path / "a").write_bytes(b"old data")
    with pytest.raises(OSError, match="would be taken for the data"):
        write_image(tmp_path / "a.hdr", np.ones((2, 2, 3)), wavelengths=CENTRES, meta={})


def test_data_that_another_header_may_own_are_not_replaced(tmp_path):
    (tmp_path / "a.img").write_bytes(b"data of a.img.hdr")
    with pytest.raises(OSError, match=r"a.img would be replaced"):
        write_image(tmp_path / "a.hdr", np.ones((2, 2, 3)), wavelengths=CENTRES, meta={})
    assert (tmp_path / "a.img").read_bytes() == b"data of a.img.hdr" and left(tmp_path) == ["a.img"]


def test_a_long_step_shows_a_sign_of_life_and_a_short_one_nothing(capsys):
    with waiting("short"):
        pass
    with waiting("quiet", progress=False, delay=0):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
    with waiting("long", delay=0):
        time.sleep(0.05)
    assert "long" in capsys.readouterr().err


@pytest.mark.parametrize("old", [False, True], ids=["new", "replacing"])
def test_a_failure_in_the_middle_leaves_everything_as_it_was(path, old, monkeypatch):
    if old:
        write_image(path, np.ones((2, 2, 3)), wavelengths=CENTRES, meta={})
    before = {name: (path.parent / name).read_bytes() for name in left(path.parent)}

    def half(drafts, *_):
        drafts[0].write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    for name in ("_write_envi", "_write_mat", "_write_npz", "_write_tiff"):
        monkeypatch.setattr(writers, name, half)
    with pytest.raises(OSError, match=r"could not be written \(No space left on device\)") as error:
        write_image(path, np.zeros((2, 2, 3)), wavelengths=CENTRES, meta={})
    assert "\n" not in str(error.value)
    assert {name: (path.parent / name).read_bytes() for name in left(path.parent)} == before


def test_an_interruption_leaves_nothing(path, monkeypatch):
    def interrupted(drafts, *_):
        drafts[0].write_bytes(b"half a file")
        raise KeyboardInterrupt

    for name in ("_write_envi", "_write_mat", "_write_npz", "_write_tiff"):
        monkeypatch.setattr(writers, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_image(path, np.zeros((2, 2, 3)), wavelengths=CENTRES, meta={})
    assert left(path.parent) == []


def test_envi_data_never_stand_without_their_header(tmp_path, monkeypatch):
    """The header's rename fails after that of the data: the new data file is taken away again."""
    replace = writers.os.replace

    def failing(source, target):
        if str(target).endswith(".hdr"):
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(writers.os, "replace", failing)
    with pytest.raises(OSError, match="could not be written"):
        write_image(tmp_path / "a.hdr", np.zeros((2, 2, 3)), wavelengths=CENTRES, meta={})
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [("a.png", InputError, "one of .hdr, .mat, .npz, .tif, .tiff is needed"),
     ("a", InputError, "one of .hdr"), ("none/a.hdr", OSError, "does not exist")],
)  # fmt: skip
def test_a_target_that_cannot_be_written_is_one_sentence(tmp_path, name, error, words):
    with pytest.raises(error, match=words) as caught:
        write_image(tmp_path / name, np.ones((2, 2, 3)), wavelengths=CENTRES, meta={})
    assert "\n" not in str(caught.value) and left(tmp_path) == []


def test_nan_and_wrong_wavelengths_are_not_written(path):
    cube = np.ones((2, 2, 3))
    with pytest.raises(InputError, match="3 bands but 2 wavelengths"):
        write_image(path, cube, wavelengths=[500, 600], meta={})
    cube[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        write_image(path, cube, wavelengths=CENTRES, meta={})
    assert left(path.parent) == []


@pytest.mark.parametrize(
    "place",
    [{"map info": [*MAP_INFO, "rotation=12.5"]},
     {"crs": "EPSG:32633", "transform": (21.0, 21.0, 0.0, 21.0, -21.0, 0.0)}],
)  # fmt: skip
def test_a_rotated_grid_is_left_out_with_a_warning(tmp_path, place):
    pytest.importorskip("rasterio", reason="the geotiff extra is not installed")
    name = "a.tif" if "map info" in place else "a.hdr"
    with pytest.warns(UserWarning, match="rotated"):
        write_image(
            tmp_path / name, np.ones((2, 2, 3)), wavelengths=CENTRES, meta={"georeference": place}
        )
    assert read_image(tmp_path / name).georeference is None


def test_only_a_result_is_saved(tmp_path):
    with pytest.raises(InputError, match="ndarray: a FusionResult is needed"):
        save(np.ones((2, 2, 3)), tmp_path / "a.npz")


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_a_mask_survives_in_64_bits(path, dtype):
    valid = np.array([[True, False]])
    write_image(path, np.ones((1, 2, 3)), wavelengths=CENTRES, meta={"dtype": dtype}, valid=valid)
    assert np.array_equal(prepare(read_image(path)).valid, valid)


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, "a"])
def test_a_scale_that_is_none_is_not_written(path, scale):
    with pytest.raises(InputError, match="a positive number is needed"):
        write_image(path, np.ones((1, 2, 3)), wavelengths=CENTRES, meta={"scale": scale})
    assert left(path.parent) == []


@pytest.mark.parametrize(
    "place",
    [{"crs": "garbage[", "transform": UTM["transform"]},
     {"map info": [*MAP_INFO[:9], "North America 1927"]},
     {"map info": MAP_INFO, "coordinate system string": "garbage["}],
)  # fmt: skip
def test_a_crs_that_is_not_understood_costs_the_crs_only(tmp_path, place):
    pytest.importorskip("rasterio", reason="the geotiff extra is not installed")
    with pytest.warns(UserWarning, match="left out"):
        write_image(tmp_path / "a.tif", np.ones((2, 2, 3)), wavelengths=CENTRES,
                    meta={"georeference": place})  # fmt: skip
    found = read_image(tmp_path / "a.tif").georeference
    assert found == {"crs": "", "transform": UTM["transform"]}


@pytest.mark.parametrize("zone", ["abc", "99", "0"])
def test_a_utm_zone_that_is_none_keeps_the_grid(zone):
    info = [*MAP_INFO[:7], zone, " North"]
    assert as_geotiff({"map info": info}) == (None, UTM["transform"])


def test_words_of_envi_become_a_crs():
    assert as_geotiff({"map info": [*MAP_INFO[:8], " North"]})[0] == "EPSG:32633"
    assert as_geotiff({"map info": [*MAP_INFO[:8], "South", "units=Meters"]})[0] == "EPSG:32733"
    degrees = ["Geographic Lat/Lon", "1", "1", "10", "50", "0.1", "0.1", "WGS-84", "units=Degrees"]
    assert as_geotiff({"map info": degrees})[0] == "EPSG:4326"
