"""Preparation: bad bands, order, no-data and scale, in the order that loses nothing."""

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes.image import Image
from hsisr_lite.scenes.prepare import prepare, scene_from

RNG = np.random.default_rng(1)


def image(cube=None, wavelengths=(500, 600, 700, 800), **known):
    if cube is None:
        cube = RNG.integers(1, 100, (4, 5, len(wavelengths)), dtype=np.int16)
    return Image("made", cube, np.array(wavelengths, float), **known)


def test_bands_are_sorted_with_everything_that_goes_with_them():
    cube = RNG.integers(1, 100, (4, 5, 4), dtype=np.uint16)
    endmembers = RNG.random((2, 4))
    found = prepare(image(cube, (800, 500, 700, 600), fwhm=np.array([8, 5, 7, 6]),
                          endmembers=endmembers))  # fmt: skip
    order = [1, 3, 2, 0]
    assert found.wavelengths.tolist() == [500, 600, 700, 800]
    assert found.fwhm.tolist() == [5, 6, 7, 8]
    assert np.array_equal(found.cube, cube[..., order]) and found.cube.dtype == np.uint16
    assert np.array_equal(found.endmembers, endmembers[:, order])
    assert found.kept.tolist() == order and "sorted by wavelength" in found.notes[0]


def test_ascending_bands_are_left_alone_and_nothing_is_noted():
    given = image()
    found = prepare(given)
    assert found.notes == [] and found.kept is None and np.array_equal(found.cube, given.cube)


def test_preparing_does_not_change_what_was_read():
    given = image(wavelengths=(800, 500, 700, 600), nodata=0)
    given.cube[1, 1] = 0
    before = given.cube.copy()
    scene_from(given)
    assert np.array_equal(given.cube, before) and given.notes == [] and given.valid is None


def test_the_bad_band_list_follows_the_stored_order_not_the_sorted_one():
    cube = np.broadcast_to(np.array([8, 5, 7, 6], np.int16), (2, 2, 4))
    good = np.array([True, True, False, True])  # the stored third band, at 700 nm
    found = prepare(image(cube, (800, 500, 700, 600), good_bands=good))
    assert found.wavelengths.tolist() == [500, 600, 800] and found.cube[0, 0].tolist() == [5, 6, 8]


def test_no_data_in_a_bad_band_costs_no_pixel():
    """A bad band is often no data throughout: masking before dropping would lose every pixel."""
    given = image(nodata=-1, good_bands=np.array([True, True, False, True]))
    given.cube[..., 2] = -1
    assert prepare(given).valid is None


def test_nan_in_a_bad_band_is_no_error():
    given = image(RNG.random((4, 5, 4)), good_bands=np.array([True, False, True, True]))
    given.cube[..., 1] = np.nan
    assert np.isfinite(prepare(given).cube).all()


def test_a_band_without_any_data_is_dropped_and_a_pixel_with_a_gap_is_masked():
    given = image(nodata=-1)
    given.cube[..., 1] = -1
    given.cube[2, 3, 0] = -1
    found = prepare(given)
    assert found.wavelengths.tolist() == [500, 700, 800]
    assert not found.valid[2, 3] and found.valid.sum() == 19
    assert "1 without any data" in found.notes[0] and "1 of 20 pixels" in found.notes[1]


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("int16", -9999), ("uint8", 255), ("float32", np.nan), ("float32", -3.40282347e38),
     ("float64", -9999.0), ("float32", -9999.9)],
)  # fmt: skip
def test_pixels_without_data_carry_the_spectrum_of_the_nearest_valid_one(dtype, nodata):
    cube = np.zeros((3, 9, 2), dtype)
    cube[...] = np.arange(1, 10)[None, :, None]  # column + 1
    cube[:, 3:5, 0] = nodata  # between columns 2 and 5
    found = prepare(image(cube, (500, 600), nodata=nodata))
    assert found.valid.sum() == 21 and not found.valid[:, 3:5].any()
    assert found.cube[0, 3].tolist() == [3, 3] and found.cube[0, 4].tolist() == [6, 6]


def test_a_no_data_value_that_the_type_cannot_hold_masks_nothing():
    cube = RNG.integers(0, 9, (3, 3, 2), np.uint8)
    assert prepare(image(cube, (500, 600), nodata=-9999)).valid is None


def test_undeclared_nan_is_counted_and_placed():
    given = image(RNG.random((4, 5, 4)), (800, 500, 700, 600))
    given.cube[2, 3, 1] = np.nan
    given.cube[3, 3, 1] = np.inf
    with pytest.raises(InputError, match="2 values that are NaN or infinite, the first at row 2, "
                                         "column 3, band 1:"):  # fmt: skip
        prepare(given)
    given.nodata = -1
    with pytest.raises(InputError, match="2 values"):  # another no-data value excuses nothing
        prepare(given)


@pytest.mark.parametrize(
    ("wavelengths", "words"),
    [((500, 600, 500, 700), "500 nm more than once"), ((0.5, 0.6, 0.7, 0.8), "micrometres"),
     ((500, 600, np.nan, 700), "NaN")],
)  # fmt: skip
def test_wavelengths_that_cannot_be_used_are_an_error(wavelengths, words):
    with pytest.raises(InputError, match=words):
        prepare(image(wavelengths=wavelengths))


def test_a_bad_band_may_have_a_wavelength_that_cannot_be_used():
    good = np.array([True, True, False, True])
    found = prepare(image(wavelengths=(500, 600, 500, 700), good_bands=good))
    assert found.wavelengths.tolist() == [500, 600, 700]


def test_missing_wavelengths_are_an_error_with_the_remedy_unless_none_are_needed():
    given = image()
    given.wavelengths = None
    with pytest.raises(InputError, match=r"pass wavelengths=\[...\]"):
        prepare(given)
    assert prepare(given, sort=False).cube.shape == (4, 5, 4)


def test_nothing_left_is_an_error():
    with pytest.raises(InputError, match="none of the 4 bands"):
        prepare(image(good_bands=np.zeros(4, bool)))
    gaps = image(np.array([[[1, 0], [0, 1]]], np.int16), (500, 600), nodata=0)
    with pytest.raises(InputError, match="every pixel"):
        prepare(gaps)


def test_the_scale_is_the_files_else_the_largest_valid_value():
    cube = np.full((3, 3, 2), 40, np.int16)
    cube[0, 0] = 32767  # no data, and larger than anything measured
    scene = scene_from(image(cube, (500, 600), nodata=32767))
    assert scene.meta["scale"] == 40 and scene.cube.max() == 1 and not scene.valid[0, 0]
    assert "maximum, 40" in scene.meta["notes"][-1]
    scene = scene_from(image(cube, (500, 600), nodata=32767, scale=80.0))
    assert scene.meta["scale"] == 80 and scene.cube.max() == 0.5
    assert (scene.meta["dtype"], scene.meta["nodata"]) == ("int16", 32767)
    with pytest.raises(InputError, match="no value above zero"):
        scene_from(image(np.zeros((2, 2, 2)), (500, 600)))


@pytest.mark.parametrize("stored", [0.25, 2500.0])
def test_endmembers_end_up_in_the_units_of_the_cube(stored):
    """Some files keep them as reflectance, some as stored values: both give 0.25 here."""
    scene = scene_from(image(scale=10000.0, endmembers=np.full((1, 4), stored)))
    np.testing.assert_allclose(scene.endmembers, 0.25, rtol=1e-6)  # float32
