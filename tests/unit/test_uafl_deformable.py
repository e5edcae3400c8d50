"""The modulated deformable convolution against its equation, loop by loop, and against others."""

import itertools
import math

import pytest
import torch

from hsisr_lite.uafl.deformable import DeformableConvolution, deformable_convolution, sample

SHAPES = [(2, 4, 6, 5, 2), (1, 8, 4, 7, 8), (3, 3, 1, 5, 1), (1, 6, 5, 1, 3)]


def inputs(batch, channels, rows, cols, groups, reach=3.0, seed=0):
    """Offsets as far as over the border; a tap never lies on a pixel, where bilinear has a kink."""
    generator = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    whole = torch.round(reach * (2 * rand(batch, groups * 18, rows, cols) - 1))
    offsets = whole + 0.1 + 0.8 * rand(*whole.shape)
    mask = rand(batch, groups * 9, rows, cols)
    weight, bias = rand(channels + 1, channels, 3, 3) - 0.5, rand(channels + 1)
    return rand(batch, channels, rows, cols), offsets, mask, weight, bias


def bilinear(image, row, col):
    """The mean of four neighbours, zero where there is none."""
    value = 0.0
    top, left = math.floor(row), math.floor(col)
    for i, j in itertools.product((top, top + 1), (left, left + 1)):
        if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]:
            value += (1 - abs(row - i)) * (1 - abs(col - j)) * image[i, j].item()
    return value


def one_number_after_the_other(image, offsets, mask, weight, bias):
    batch, channels, rows, cols = image.shape
    groups = mask.shape[1] // 9
    out = torch.zeros(batch, len(weight), rows, cols, dtype=torch.float64)
    for n, i, j, c, t in itertools.product(*map(range, (batch, rows, cols, channels, 9))):
        tap = (c // (channels // groups)) * 9 + t
        row = i + t // 3 - 1 + offsets[n, 2 * tap, i, j].item()
        col = j + t % 3 - 1 + offsets[n, 2 * tap + 1, i, j].item()
        seen = mask[n, tap, i, j] * bilinear(image[n, c], row, col)
        out[n, :, i, j] += weight[:, c, t // 3, t % 3] * seen
    return out + bias[:, None, None]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_its_equation_number_by_number(shape):
    """Float64 on both sides: only the order of the sums differs."""
    values = inputs(*shape)
    expected = one_number_after_the_other(*values)
    torch.testing.assert_close(deformable_convolution(*values), expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_torchvisions(shape):
    """Torchvision's own loops, in C++, in float64."""
    operations = pytest.importorskip("torchvision.ops")
    image, offsets, mask, weight, bias = inputs(*shape)
    expected = operations.deform_conv2d(image, offsets, weight, bias, padding=1, mask=mask)
    made = deformable_convolution(image, offsets, mask, weight, bias)
    torch.testing.assert_close(made, expected, atol=1e-10, rtol=0)


def test_its_gradients_are_those_of_finite_differences():
    values = [value.requires_grad_() for value in inputs(1, 4, 3, 4, 2, reach=1.0)]
    assert torch.autograd.gradcheck(deformable_convolution, values)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_taps_that_stay_and_weigh_one_are_an_ordinary_convolution(shape):
    image, offsets, mask, weight, bias = inputs(*shape)
    made = deformable_convolution(image, 0 * offsets, 0 * mask + 1, weight, bias)
    expected = torch.nn.functional.conv2d(image, weight, bias, padding=1)
    torch.testing.assert_close(made, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, 2), (-2, 1)])
def test_offsets_of_whole_pixels_read_a_moved_image(down, right):
    image, offsets, mask, weight, bias = inputs(1, 4, 9, 8, 2)
    offsets = torch.tensor([down, right], dtype=offsets.dtype).repeat(18).reshape(1, -1, 1, 1)
    offsets = offsets.expand(1, 36, 9, 8)
    made = deformable_convolution(image, offsets, 0 * mask + 1, weight, bias)
    moved = torch.nn.functional.conv2d(image.roll((-down, -right), (2, 3)), weight, bias, padding=1)
    inner = (..., slice(3, -3), slice(3, -3))  # away from what came round
    torch.testing.assert_close(made[inner], moved[inner], atol=1e-12, rtol=0)


def test_a_group_has_offsets_and_a_mask_of_its_own():
    image, offsets, mask, weight, bias = inputs(1, 4, 5, 5, 2)
    before = deformable_convolution(image, offsets, mask, weight, bias)
    offsets[:, 18:] += 0.3  # of the second group
    weight = torch.cat([weight[:, :2], 0 * weight[:, 2:]], dim=1)  # that no output looks at
    first = deformable_convolution(image, offsets, mask, weight, bias)
    mask[:, 9:] = 0
    assert torch.equal(deformable_convolution(image, offsets, mask, weight, bias), first)
    assert not torch.equal(before, first)


def test_beyond_the_border_is_zero_and_halfway_is_half():
    image = torch.ones(1, 1, 3, 4)
    at_row = torch.tensor([[[0.0, -0.5, -1.0, 2.5, 9.0]]])
    made = sample(image, at_row, torch.full_like(at_row, 1.5))
    torch.testing.assert_close(made.flatten(), torch.tensor([1.0, 0.5, 0.0, 0.5, 0.0]))


def test_places_are_never_counted_in_half_precision():
    """Bfloat16 has no 257; a ramp read in place tells it.

    Its own values are rounded to 8 bits: at most 1 of 300.
    """
    ramp = torch.arange(300.0).expand(1, 1, 2, 300)
    half = ramp.bfloat16()
    zero, one = torch.zeros(1, 18, 2, 300).bfloat16(), torch.ones(1, 9, 2, 300).bfloat16()
    weight = torch.zeros(1, 1, 3, 3)
    weight[..., 1, 1] = 1
    made = deformable_convolution(half, zero, one, weight, torch.zeros(1))
    assert (made - ramp).abs().max() <= 1


def test_its_weights_start_even_and_its_bias_at_zero():
    """Evenly spread within b, the deviation is b / sqrt(3); of 16384 * 9 numbers known to 1 %."""
    torch.manual_seed(0)
    layer = DeformableConvolution(64)
    bound = (9 * 64) ** -0.5
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)
    assert (layer.bias == 0).all()
