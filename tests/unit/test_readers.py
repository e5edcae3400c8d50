"""Readers: what lies in a file is what comes out, and a bad file is one sentence."""

import sys
import zipfile

import h5py
import numpy as np
import pytest
import scipy.io

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes.prepare import prepare
from hsisr_lite.scenes.readers import read_image

RNG = np.random.default_rng(0)
CENTRES = [450.5, 550.25, 2200.125]
# How ENVI lays (rows, cols, bands) out on disk.
LAYOUT = {"bip": (0, 1, 2), "bil": (0, 2, 1), "bsq": (2, 0, 1)}
CODE = {"uint8": 1, "int16": 2, "int32": 3, "float32": 4, "float64": 5, "uint16": 12,
        "uint32": 13, "int64": 14, "uint64": 15}  # fmt: skip


def numbers(dtype="uint16", shape=(4, 5, 3)):
    return (RNG.random(shape) * 200).astype(dtype)


def raw_envi(folder, cube, *, interleave="bip", order="<", data="a.img", header="a.hdr", **fields):
    """Write an ENVI image byte by byte: neither spectral nor our writer takes part."""
    rows, cols, bands = cube.shape
    on_disk = cube.transpose(LAYOUT.get(interleave, (0, 1, 2)))
    (folder / data).write_bytes(on_disk.astype(cube.dtype.newbyteorder(order)).tobytes())
    fields = {
        "samples": cols, "lines": rows, "bands": bands, "header offset": 0,
        "data type": CODE[cube.dtype.name], "interleave": interleave,
        "byte order": int(order == ">"), **fields,
    }  # fmt: skip
    lines = "".join(f"{key} = {value}\n" for key, value in fields.items() if value is not None)
    (folder / header).write_text("ENVI\n" + lines)
    return folder / header


def sentence(error):
    """The message, once it is certain that it is one line that ends as a sentence."""
    text = str(error.value)
    assert "\n" not in text and text.endswith("."), text
    return text


@pytest.mark.parametrize("interleave", LAYOUT)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", CODE)
def test_every_envi_layout_gives_the_same_pixels(tmp_path, interleave, order, dtype):
    cube = numbers(dtype)
    path = raw_envi(tmp_path, cube, interleave=interleave, order=order)
    image = read_image(path)
    assert image.dtype == dtype and np.array_equal(image.cube, cube)


def test_an_envi_header_offset_is_skipped(tmp_path):
    cube = numbers()
    path = raw_envi(tmp_path, cube, **{"header offset": 7})
    data = path.with_suffix(".img")
    data.write_bytes(b"1234567" + data.read_bytes())
    assert np.array_equal(read_image(path).cube, cube)


@pytest.mark.parametrize(
    ("data", "header"),
    [("a.img", "a.hdr"), ("a.img", "a.img.hdr"), ("a", "a.hdr"), ("a.DAT", "a.hdr")],
)
def test_an_envi_image_is_found_by_either_of_its_files(tmp_path, data, header):
    cube = numbers()
    raw_envi(tmp_path, cube, data=data, header=header)
    for name in (data, header):
        assert np.array_equal(read_image(tmp_path / name).cube, cube)


def test_an_envi_header_is_read_in_full(tmp_path):
    path = raw_envi(
        tmp_path,
        numbers(),
        wavelength="{ 450.5, 550.25,\n 2200.125 }",
        fwhm="{ 10, 11, 12.5 }",
        bbl="{ 1, 0, 1 }",
        **{
            "Wavelength Units": "Nanometers",
            "reflectance scale factor": "10000",
            "data ignore value": "-32768",
            "map info": "{ UTM, 1, 1, 364095, 5809965, 30, 30, 33, North, WGS-84 }",
            "coordinate system string": '{PROJCS["a",PARAMETER["b",1]]}',
        },
    )
    image = read_image(path)
    assert image.wavelengths.tolist() == CENTRES and image.fwhm.tolist() == [10, 11, 12.5]
    assert image.good_bands.tolist() == [True, False, True]
    assert (image.scale, image.nodata) == (10000, -32768)
    assert image.georeference["map info"][3:6] == ["364095", "5809965", "30"]
    assert image.georeference["coordinate system string"] == 'PROJCS["a",PARAMETER["b",1]]'


@pytest.mark.parametrize("unit", ["um", "Micrometers", "µm"])
def test_declared_micrometres_become_nanometres_and_this_is_noted(tmp_path, unit):
    path = raw_envi(
        tmp_path, numbers(), wavelength="{0.5, 0.6, 2.2}", fwhm="{0.01, 0.01, 0.02}",
        **{"wavelength units": unit},
    )  # fmt: skip
    image = read_image(path)
    np.testing.assert_allclose(image.wavelengths, [500, 600, 2200], rtol=1e-12)  # times 1000
    np.testing.assert_allclose(image.fwhm, [10, 10, 20], rtol=1e-12)
    assert "micrometres" in image.notes[0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"wavelength": "{0.5, 0.6, 2.2}"}, "multiply them by 1000"),
        ({"wavelength": "{0.5, 0.6, 2.2}", "wavelength units": "nm"}, "multiply them by 1000"),
        ({"wavelength": "{500, 600, 700}", "wavelength units": "um"}, "correct 'wavelength units'"),
        ({"wavelength": "{500, 600, 700}", "wavelength units": "Wavenumber"}, "convert them"),
        ({"wavelength": "{500, 600}"}, "3 bands but 2 wavelengths"),
        ({"wavelength": "{500, 600, red}"}, "not numbers"),
        ({"bbl": "{1, 1}"}, "2 entries in its bad band list"),
        ({"data type": 6}, "data type = 6"),
        ({"samples": None}, "samples = missing"),
        ({"interleave": "bandwise"}, "interleave = bandwise"),
        ({"reflectance scale factor": 0}, "a positive number is needed"),
        ({"reflectance scale factor": "ten"}, "a positive number is needed"),
        ({"data ignore value": "none"}, "a number is needed"),
    ],
)
def test_a_wrong_envi_header_is_one_sentence(tmp_path, fields, words):
    with pytest.raises(InputError) as error:
        read_image(raw_envi(tmp_path, numbers(), **fields))
    assert words in sentence(error)


def test_a_truncated_data_file_says_how_many_bytes_there_are(tmp_path):
    path = raw_envi(tmp_path, numbers())
    data = path.with_suffix(".img")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(InputError) as error:
        read_image(path)
    assert "119 bytes" in sentence(error) and "asks for 120" in sentence(error)


def test_missing_files_are_named(tmp_path):
    path = raw_envi(tmp_path, numbers())
    path.with_suffix(".img").unlink()
    for missing in (path, tmp_path / "none.hdr", tmp_path / "none.mat"):
        with pytest.raises(FileNotFoundError) as error:
            read_image(missing)
        assert str(missing) in sentence(error)
    with pytest.raises(OSError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("name", ["a.hdr", "a.mat", "a.npz", "a.tif", "a.jpg", "a"])
@pytest.mark.parametrize("content", [b"", b"plain text", b"\xff\xfe\x00" * 99, b"PK\x03\x04cut"])
def test_a_damaged_or_unknown_file_is_one_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        read_image(tmp_path / name)
    assert name in sentence(error)
    if name in ("a.jpg", "a"):
        assert ".hdr, .mat, .npz, .tif, .tiff" in str(error.value)


def write_mat5(path, arrays):
    scipy.io.savemat(path, arrays, do_compression=True)


def write_mat73(path, arrays):
    """As MATLAB does: HDF5 with reversed axes, texts as uint16 codes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            text = isinstance(values, str)
            codes = [[ord(letter)] for letter in values] if text else np.atleast_2d(values)
            item = file.create_dataset(name, data=np.asarray(codes, "u2" if text else "f8").T)
            item.attrs["MATLAB_class"] = np.bytes_("char" if text else "double")


def write_npz(path, arrays):
    np.savez(path, **arrays)


NAMED = pytest.mark.parametrize(
    ("write", "name"), [(write_mat5, "a.mat"), (write_mat73, "a.mat"), (write_npz, "a.npz")]
)


@NAMED
def test_named_arrays_are_read_with_what_stands_beside_them(tmp_path, write, name):
    cube, endmembers = numbers("float64"), RNG.random((2, 3))
    write(tmp_path / name, {
        "data": cube, "wavelengths": CENTRES, "fwhm": [9, 9, 9.5], "good_bands": [1, 0, 1],
        "endmembers": endmembers, "abundances": RNG.random((4, 5, 2)),
        "scale": 50.0, "nodata": -1.0, "map_info": "UTM, 1, 1, 2, 3",
        "transform": [30, 0, 5, 0, -30, 6],
    })  # fmt: skip
    image = read_image(tmp_path / name)  # abundances are not taken for the image
    assert np.array_equal(image.cube, cube) and image.wavelengths.tolist() == CENTRES
    assert image.good_bands.tolist() == [True, False, True] and image.fwhm[2] == 9.5
    assert np.array_equal(image.endmembers, endmembers) and image.abundances.shape == (4, 5, 2)
    assert (image.scale, image.nodata) == (50, -1)
    assert image.georeference["map info"] == ["UTM", "1", "1", "2", "3"]
    assert image.georeference["transform"] == (30, 0, 5, 0, -30, 6)


@NAMED
def test_a_variable_is_chosen_or_the_choices_are_listed(tmp_path, write, name):
    first, second = numbers("float64"), numbers("float64", (4, 5, 2))
    write(tmp_path / name, {"first": first, "second": second, "other": [1.0, 2.0]})
    assert np.array_equal(read_image(tmp_path / name, variable="second").cube, second)
    assert np.array_equal(read_image(tmp_path / name, prefer=("first",)).cube, first)
    with pytest.raises(InputError) as error:
        read_image(tmp_path / name)
    text = sentence(error)
    assert all(part in text for part in ("first (4 x 5 x 3)", "second (4 x 5 x 2)", "other ("))
    with pytest.raises(InputError) as error:
        read_image(tmp_path / name, variable="third")
    assert "no variable 'third'" in sentence(error) and "second (4 x 5 x 2)" in sentence(error)
    write(tmp_path / name, {"other": [1.0, 2.0]})
    with pytest.raises(InputError) as error:
        read_image(tmp_path / name)
    assert "no 3-D variable" in sentence(error) and "other (" in sentence(error)


@NAMED
def test_wavelengths_of_another_image_in_the_file_are_left_alone(tmp_path, write, name):
    lr, hr = numbers("float64"), numbers("float64", (8, 10, 2))
    write(tmp_path / name, {"lr_hsi": lr, "hr_msi": hr, "wavelengths": CENTRES})
    assert read_image(tmp_path / name, variable="lr_hsi").wavelengths.tolist() == CENTRES
    assert read_image(tmp_path / name, variable="hr_msi").wavelengths is None


def test_a_matrix_of_pixels_is_unfolded_down_the_columns(tmp_path):
    """MATLAB's reshape(Y', rows, cols, bands): the row index runs fastest."""
    cube = numbers("float64")
    pixels = cube.transpose(1, 0, 2).reshape(20, 3).T  # (bands, pixels)
    scipy.io.savemat(tmp_path / "a.mat", {"Y": pixels, "nRow": 4, "nCol": 5})
    assert np.array_equal(read_image(tmp_path / "a.mat").cube, cube)


def test_pickled_objects_are_refused_and_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('pickle was run')",))

    np.savez(tmp_path / "a.npz", cube=np.array([Bomb()], dtype=object))
    for variable in (None, "cube"):
        with pytest.raises(InputError) as error:
            read_image(tmp_path / "a.npz", variable=variable)
        assert "pickled object" in sentence(error)
    scipy.io.savemat(tmp_path / "a.mat", {"cell": np.array([1, "a"], dtype=object)})
    with pytest.raises(InputError, match="not numbers"):
        read_image(tmp_path / "a.mat")


def test_a_damaged_member_of_an_npz_is_one_sentence(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, cube=numbers("float64", (20, 20, 3)))
    content = bytearray(path.read_bytes())
    content[5000] ^= 0xFF  # inside the values: only the archive's own checksum can notice
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_image(path)
    assert "damaged" in sentence(error)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not an array")
    with pytest.raises(InputError, match="damaged"):
        read_image(path)


def test_values_given_by_the_caller_win(tmp_path):
    path = raw_envi(
        tmp_path, numbers(), wavelength="{500, 600, 700}", **{"reflectance scale factor": 100}
    )
    image = read_image(path, wavelengths=CENTRES, scale=7)
    assert image.wavelengths.tolist() == CENTRES and image.scale == 7
    (tmp_path / "wl.csv").write_text("450.5\n550.25\n2200.125\n")
    assert read_image(path, wavelengths=tmp_path / "wl.csv").wavelengths.tolist() == CENTRES
    with pytest.raises(InputError, match="3 bands but 2 wavelengths"):
        read_image(path, wavelengths=[500, 600])
    with pytest.raises(InputError, match="plainly micrometres"):
        read_image(path, wavelengths=[0.5, 0.6, 0.7])
    with pytest.raises(InputError, match="only MAT and NPZ files have variables"):
        read_image(path, variable="cube")


@pytest.mark.parametrize("dtype", ["complex64", "bool", "<U3"])
def test_values_that_are_not_real_numbers_are_refused(tmp_path, dtype):
    np.savez(tmp_path / "a.npz", cube=np.zeros((2, 2, 2), dtype))
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "a.npz")
    assert "cube" in sentence(error)


def test_geotiff_wavelengths_come_from_tags_or_words(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="the geotiff extra is not installed")
    cube, path = numbers("int16"), tmp_path / "a.tif"
    shape = {"height": 4, "width": 5, "count": 3, "dtype": "int16", "nodata": -9,
             "crs": "EPSG:32633",
             "transform": rasterio.Affine(30, 0, 364095, 0, -30, 5809965)}  # fmt: skip

    def write(mark):
        with rasterio.open(path, "w", driver="GTiff", **shape) as f:
            f.write(np.moveaxis(cube, -1, 0))
            for band, centre in enumerate(CENTRES, start=1):
                mark(f, band, centre)
        return read_image(path)

    image = write(lambda f, band, nm: f.update_tags(band, wavelength=nm, wavelength_units="nm"))
    assert np.array_equal(image.cube, cube) and image.nodata == -9
    assert image.wavelengths.tolist() == CENTRES
    assert image.georeference["transform"] == (30, 0, 364095, 0, -30, 5809965)
    assert "33N" in image.georeference["crs"]
    words = "band {} ({} Nanometers)"
    image = write(lambda f, band, nm: f.set_band_description(band, words.format(band, nm)))
    assert image.wavelengths.tolist() == CENTRES
    image = write(lambda f, band, nm: f.set_band_description(band, f"{nm / 1000} um"))
    np.testing.assert_allclose(image.wavelengths, CENTRES, rtol=1e-12)  # there and back by 1000
    assert write(lambda f, band, nm: None).wavelengths is None


def test_a_geotiff_without_rasterio_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.tif").write_bytes(b"II*\x00")
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "a.tif")
    assert "pip install hsisr-lite[geotiff]" in sentence(error)


@pytest.mark.parametrize(
    "lines",
    ["wavelength = {450, 550, 2200,}\n", "wavelength = {\n450,\n550,\n2200\n}\n",
     "wavelength = {0.45, 0.55, 2.2,}\nwavelength units = {Micrometers}\n",
     "wavelength = {0.45, 0.55, 2.2}\nwavelength units = MICRON\n",
     "wavelength = {450, 550, 2200}\nwavelength units = {nm}\n"
     "data ignore value = {77}\nreflectance scale factor = {100}\nbbl = {1, 1, 1, }\n"],
)  # fmt: skip
def test_headers_as_other_programs_write_them_are_understood(tmp_path, lines):
    path = raw_envi(tmp_path, numbers())
    path.write_text(path.read_text() + lines)
    np.testing.assert_allclose(read_image(path).wavelengths, [450, 550, 2200])


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"file compression": 1}, "without compression"), ({"byte order": 7}, "byte order = 7"),
     ({"header offset": "x"}, "header offset = x"), ({"data ignore value": "{0, 1}"}, "a number"),
     ({"wavelength": "{450, 550, 650", }, "closes every brace"),
     ({"wavelength": "{nan, nan, nan}"}, "all NaN"),
     ({"description": "{Zürich}"}, "UTF-8")],
)  # fmt: skip
def test_a_header_that_cannot_be_followed_is_one_sentence(tmp_path, fields, words):
    path = raw_envi(tmp_path, numbers(), **fields)
    if words == "UTF-8":
        path.write_bytes(path.read_text().encode("latin-1"))
    with pytest.raises(InputError, match=words) as error:
        read_image(path)
    sentence(error)


def test_data_longer_than_the_header_says_are_warned_of(tmp_path):
    path = raw_envi(tmp_path, numbers(), lines=3)
    with pytest.warns(UserWarning, match="30 bytes more than its header describes"):
        assert read_image(path).cube.shape == (3, 5, 3)


@pytest.mark.parametrize("wrong", ["{a, b, c}", "{450, 550}", "{1, 2, 3}"])
def test_wavelengths_of_ones_own_replace_wrong_ones_unread(tmp_path, wrong):
    path = raw_envi(tmp_path, numbers(), wavelength=wrong, **{"wavelength units": "Index"})
    with pytest.raises(InputError):
        read_image(path)
    assert read_image(path, wavelengths=CENTRES).wavelengths.tolist() == CENTRES


def test_a_ragged_list_of_wavelengths_is_one_sentence(tmp_path):
    path = raw_envi(tmp_path, numbers())
    with pytest.raises(InputError, match="not numbers"):
        read_image(path, wavelengths=[[450], [550, 650], [750]])


def test_band_widths_that_are_none_are_left_out(tmp_path):
    path = raw_envi(tmp_path, numbers(), wavelength="{450, 550, 650}", fwhm="{10, 0, -1}")
    image = read_image(path)
    assert image.fwhm is None and "not above zero" in image.notes[0]


def test_bands_on_another_axis_are_recognised_by_their_wavelengths(tmp_path):
    np.savez(tmp_path / "a.npz", cube=numbers(shape=(3, 4, 5)), wavelengths=CENTRES)
    with pytest.raises(InputError, match="3 x 4 x 5 but 3 wavelengths: the bands must be the last"):
        read_image(tmp_path / "a.npz")


def test_a_struct_of_mat_73_is_one_sentence(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_group("scene")["cube"] = numbers()
    for variable in (None, "scene"):
        with pytest.raises(InputError, match="is a struct"):
            read_image(tmp_path / "a.mat", variable=variable)


def test_a_mat_73_file_damaged_anywhere_is_one_sentence_or_an_image(tmp_path):
    """h5py raises RuntimeError, KeyError and others, depending on the byte that is wrong."""
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file["cube"] = numbers()
    whole, rng, refused = path.read_bytes(), np.random.default_rng(1), 0
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=40):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_image(path)
        except InputError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    ("arrays", "words"),
    [({"cube": np.zeros((0, 3, 4))}, "no 3-D variable"),
     ({"Y": numbers(shape=(20, 3)), "nRow": np.nan, "nCol": 5}, "no 3-D variable")],
)  # fmt: skip
def test_empty_cubes_and_sizes_that_are_none_are_one_sentence(tmp_path, arrays, words):
    scipy.io.savemat(tmp_path / "a.mat", arrays)
    with pytest.raises(InputError, match=words) as error:
        read_image(tmp_path / "a.mat")
    sentence(error)


def test_what_is_not_numbers_beside_the_cube_is_passed_over(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, cube=numbers(), endmembers=np.full((2, 3), "a"),
             abundances=np.full((4, 5, 2), "a"))  # fmt: skip
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "not an array")
    image = read_image(path)
    assert image.endmembers is None and image.abundances is None


def test_a_geotiff_scale_of_zero_is_one_sentence(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="the geotiff extra is not installed")
    profile = {"driver": "GTiff", "height": 2, "width": 2, "count": 3, "dtype": "uint16",
               "transform": rasterio.Affine(1, 0, 5, 0, -1, 5)}  # fmt: skip
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as file:
        file.write(np.ones((3, 2, 2), np.uint16))
        file.scales = (0.0,) * 3
    with pytest.raises(InputError, match=r"the scale of .* is inf"):
        read_image(tmp_path / "a.tif")


def test_the_mask_of_a_geotiff_is_its_no_data(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="the geotiff extra is not installed")
    mask = np.array([[255, 0], [255, 255]], np.uint8)
    profile = {"driver": "GTiff", "height": 2, "width": 2, "count": 3, "dtype": "uint16",
               "transform": rasterio.Affine(1, 0, 5, 0, -1, 5)}  # fmt: skip
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as file:
        file.write(np.arange(1, 13, dtype=np.uint16).reshape(3, 2, 2))  # (bands, rows, cols)
        file.write_mask(mask)
    image = prepare(read_image(tmp_path / "a.tif", wavelengths=CENTRES))
    assert np.array_equal(image.valid, mask > 0)
    assert image.cube[0, 1].tolist() != [2, 6, 10]  # a valid neighbour's spectrum instead
