"""Images on their way to a network and back, and the unit they are in there."""

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.m2unet.tensors import as_image, as_tensor, unit_of


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_image_comes_back_as_it_went(dtype):
    image = np.random.default_rng(0).random((3, 5, 4)).astype(np.float32)
    tensor = as_tensor(image.astype(dtype))
    assert tensor.shape == (1, 4, 3, 5) and tensor.dtype == torch.float32
    assert tensor.is_contiguous() and tensor[0, 2, 1, 4] == image[1, 4, 2]
    back = as_image(tensor)
    np.testing.assert_array_equal(back, image)
    assert back.dtype == np.float32 and back.flags["C_CONTIGUOUS"]


def test_views_of_any_order_are_taken():
    image = np.random.default_rng(0).random((4, 6, 5)).astype(np.float32)
    for view in (
        image[::2, ::-1],
        image.transpose(1, 0, 2),
        np.broadcast_to(image[0, 0], (2, 3, 5)),
    ):
        np.testing.assert_array_equal(as_image(as_tensor(view)), view)


def test_an_image_is_cut_from_gradients_and_half_precision():
    tensor = torch.rand(1, 2, 3, 4, requires_grad=True)
    image = as_image((2 * tensor).to(torch.bfloat16).to(memory_format=torch.channels_last))
    assert image.shape == (3, 4, 2) and image.dtype == np.float32


def test_the_network_never_writes_into_the_pair():
    image = np.ones((2, 2, 3), np.float32)
    as_tensor(image).zero_()
    assert (image == 1).all()


@pytest.mark.parametrize(
    ("low", "high", "unit"), [(0.5, 0.7, 1), (0.5, 1, 1), (2, 0.5, 2), (0.5, 3000, 3000)]
)
def test_the_unit_is_one_unless_a_value_exceeds_it(low, high, unit):
    """The larger of both images' maxima, so that they stay comparable."""
    pair = hl.ObservedPair(
        np.full((2, 2, 3), low), np.full((4, 4, 2), high), 2, [500.0, 600.0, 700.0]
    )
    assert unit_of(pair) == unit and isinstance(unit_of(pair), float)


def test_pixels_without_data_are_no_unit():
    low, high = np.full((2, 2, 3), 0.5), np.full((4, 4, 2), 0.7)
    low[1, 1], high[0, 3] = 65535.0, 9000.0
    pair = hl.ObservedPair(
        low, high, 2, [500.0, 600.0, 700.0], lr_valid=low[..., 0] < 1, hr_valid=high[..., 0] < 1
    )
    assert unit_of(pair) == 1
