"""Checks say what is wrong in one sentence, and pass good arrays through."""

import warnings

import numpy as np
import pytest

from hsisr_lite import arrays
from hsisr_lite.arrays import InputError


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.ones((3, 4)), "three non-empty axes"),
        (np.ones((3, 0, 4)), "three non-empty axes"),
        (np.full((2, 2, 2), np.nan), "8 values that are NaN"),
        (np.full((2, 2, 2), np.inf), "infinite"),
        (np.full((2, 2, 2), "a"), "real numbers"),
        (np.ones((2, 2, 2), complex), "real numbers"),
    ],
)
def test_bad_images_are_refused_in_one_sentence(image, words):
    with pytest.raises(InputError, match=words) as error:
        arrays.as_image(image, "the cube")
    assert "the cube" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("wavelengths", "words"),
    [
        (None, "no wavelengths"),
        ([500, 600], "3 bands but 2 wavelengths"),
        ([500, np.nan, 700], "NaN"),
        ([0.5, 0.6, 0.7], "multiply micrometres by 1000"),
        ([500, 600, 600], "600 nm more than once"),
        ([500, 700, 600], "fall at band 2"),
    ],
)
def test_bad_wavelengths_are_refused_with_the_remedy(wavelengths, words):
    with pytest.raises(InputError, match=words):
        arrays.as_wavelengths(wavelengths, 3)


@pytest.mark.parametrize(
    ("psf", "words"),
    [
        (np.ones((2, 3)) / 6, "square"),
        ([[2.0, -1.0], [0.0, 0.0]], "negative"),
        (np.ones((2, 2)), "sums to 4"),
    ],
)
def test_bad_psfs_are_refused(psf, words):
    with pytest.raises(InputError, match=words):
        arrays.as_psf(psf)


@pytest.mark.parametrize(
    ("srf", "words"),
    [
        (np.ones(3), "msi_bands, hsi_bands"),
        (np.ones((3, 2)) / 2, "transpose"),
        (np.ones((2, 3)), "sums to 3"),
        ([[2.0, -1.0, 0.0]], "negative"),
    ],
)
def test_bad_srfs_are_refused(srf, words):
    with pytest.raises(InputError, match=words):
        arrays.as_srf(srf, hsi_bands=3)


@pytest.mark.parametrize("ratio", [0, -2, 1.5, "4", None, True, [4], np.nan, np.inf, 4 + 0j])
def test_a_ratio_is_a_whole_number(ratio):
    with pytest.raises(InputError, match="whole number"):
        arrays.as_ratio(ratio)


@pytest.mark.parametrize("values", ["abc", [["a"]], [[{}]], [[1], [1, 2]], [[1j]]])
@pytest.mark.parametrize("check", [arrays.as_psf, arrays.as_srf, arrays.as_wavelengths])
def test_what_is_not_a_number_is_one_sentence(check, values):
    with pytest.raises(InputError, match="not a real number") as caught:
        check(values)
    assert "\n" not in str(caught.value)


def test_ragged_and_empty_lists_are_one_sentence():
    with pytest.raises(InputError, match="rows of unequal length"):
        arrays.as_image([[[1], [2, 3]]])
    with pytest.raises(InputError, match="0 wavelengths"):
        arrays.as_wavelengths([])


def test_a_ratio_that_does_not_divide_names_the_crop():
    with pytest.raises(InputError, match=r"93 rows \(3 left over\). Crop to 90 rows"):
        arrays.check_divisible(93, 100, 5)


def test_negative_values_warn_above_five_per_cent_only():
    image = np.ones((10, 10, 1))
    image.flat[:5] = -1
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        arrays.warn_if_negative(image, "the image")
        assert heard == []
        image.flat[:6] = -1
        arrays.warn_if_negative(image, "the image")
    assert [each.category for each in heard] == [UserWarning]
    assert "6% of the values" in str(heard[0].message)


def test_numpy_and_torch_hold_the_same_pixel():
    image = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    tensor = arrays.to_tensor(image)
    assert tensor.shape == (1, 5, 3, 4)
    assert tensor[0, 4, 1, 2].item() == image[1, 2, 4]
    np.testing.assert_array_equal(arrays.to_image(tensor), image)
