"""SCACA: attention over windows and over channels against loops, its mask, and its reference."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, gelu

from hsisr_lite.uafl.scaca import CAB, CACA, SACA, SCACA, FeedForward, Group
from hsisr_lite.uafl.window_attention import (
    WindowAttention,
    distances,
    from_windows,
    may_attend,
    to_windows,
)


def randomised(module, seed=1, spread=0.3):
    torch.manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0, spread)
    return module.double()


def images(width=8, rows=16, cols=24, batch=1, seed=0):
    torch.manual_seed(seed)
    shape = batch, width, rows, cols
    return torch.rand(shape, dtype=torch.float64), torch.rand(shape, dtype=torch.float64)


def softmax(values):
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def normed(image, layer):
    """LN of each pixel of (width, rows, cols)."""
    mean, deviation = image.mean(0), np.sqrt(image.var(0) + 1e-5)
    scale, shift = (p.detach().numpy()[:, None, None] for p in (layer.weight, layer.bias))
    return scale * (image - mean) / deviation + shift


def neighbours(i, j, rows, cols, shift, masked, inside):
    """The pixels that share a window with (i, j), with the step to each, and may be seen."""

    def at(row, col):  # after going round: window, and place in it
        row, col = (row - shift) % rows, (col - shift) % cols
        return (row // 8, col // 8), (row % 8, col % 8)

    window, place = at(i, j)
    for a, b in itertools.product(range(rows), range(cols)):
        its_window, its_place = at(a, b)
        brought_together = abs(i - a) > 7 or abs(j - b) > 7
        over_the_end = (i < inside[0] and j < inside[1]) != (a < inside[0] and b < inside[1])
        if its_window == window and not (masked and (brought_together or over_the_end)):
            yield a, b, place[0] - its_place[0], place[1] - its_place[1]


def pixel_by_pixel(attention, values, modulation, inside):
    """Window attention of one image, in numpy, each pixel by itself."""
    f, m = (x[0].numpy() for x in (values, modulation))
    width, rows, cols = f.shape
    weights = {name: p.detach().numpy() for name, p in attention.named_parameters()}
    matrix = lambda name: weights[f"{name}.weight"][:, :, 0, 0]  # noqa: E731
    f, m = normed(f, attention.norm), normed(m, attention.norm)
    qkv = np.einsum("oc,cij->oij", matrix("qkv"), f) + weights["qkv.bias"][:, None, None]
    q, k, v = qkv[:width], qkv[width : 2 * width], qkv[2 * width :] * m
    mixed, half = np.zeros_like(f), width // 2
    for i, j, head in itertools.product(range(rows), range(cols), range(2)):
        part = slice(head * half, (head + 1) * half)
        seen = list(neighbours(i, j, rows, cols, attention.shift, attention.shift_mask, inside))
        logits = np.array([
            q[part, i, j] @ k[part, a, b] / half**0.5 + weights["bias"][(d + 7) * 15 + r + 7, head]
            for a, b, d, r in seen
        ])  # fmt: skip
        at = tuple(np.array(seen).T[:2])
        mixed[part, i, j] = v[part][:, *at] @ softmax(logits)
    return np.einsum("oc,cij->oij", matrix("out"), mixed) + weights["out.bias"][:, None, None]


@pytest.mark.parametrize("shift", [0, 4])
@pytest.mark.parametrize("shift_mask", [True, False])
@pytest.mark.parametrize("inside", [(16, 16), (13, 9)])
def test_window_attention_is_its_equation_pixel_by_pixel(shift, shift_mask, inside):
    """Float64 on both sides: only the order of the sums differs."""
    attention = randomised(WindowAttention(4, shift, shift_mask=shift_mask))
    values, modulation = images(4, 16, 16)
    made = attention(values, modulation, inside)[0].detach().numpy()
    expected = pixel_by_pixel(attention, values, modulation, inside)
    np.testing.assert_allclose(made, expected, atol=1e-11)


def test_no_attention_crosses_to_the_opposite_edge():
    """Nor is the missing mask harmless: as released, opposite edges get a share."""
    values, _ = images(4, 16, 24)
    for shift_mask in (True, False):
        attention = randomised(WindowAttention(4, 4, shift_mask=shift_mask))
        rows = torch.arange(16.0, dtype=torch.float64).reshape(1, 1, 16, 1).expand(1, 4, 16, 24)
        row = attention._windows(rows)[0, :, 0, :, 0]  # of each pixel of each window: (windows, 64)
        opposite = (row[:, :, None] - row[:, None]).abs() > 8
        across = attention.maps(values)[0][:, 0][opposite]
        assert len(across) > 0
        assert (across == 0).all() if shift_mask else (across > 0).all()


def test_a_change_at_one_edge_is_not_seen_at_the_other():
    """Two rows of the image's top change: with the mask nothing moves below row 11."""
    values, modulation = images(4, 16, 16)
    changed = values.clone()
    changed[:, :, :2] += 1
    for shift_mask in (True, False):
        attention = randomised(WindowAttention(4, 4, shift_mask=shift_mask))
        moved = (
            (attention(changed, modulation) - attention(values, modulation)).abs().amax((0, 1, 3))
        )
        assert (moved[:4] > 0).all()
        assert (moved[4:12] == 0).all()
        assert (moved[12:] == 0).all() if shift_mask else (moved[12:] > 0).all()


@pytest.mark.parametrize("shift", [0, 4])
def test_the_image_does_not_see_its_padding(shift):
    """What stands in the padding may be anything, for every pixel of the image."""
    values, modulation = images(4, 16, 24)
    attention = randomised(WindowAttention(4, shift))
    before = attention(values, modulation, (11, 19))
    values[:, :, 11:] = 5.0 * torch.rand_like(values[:, :, 11:])
    values[..., 19:] = 5.0 * torch.rand_like(values[..., 19:])
    after = attention(values, modulation, (11, 19))
    assert torch.equal(before[:, :, :11, :19], after[:, :, :11, :19])
    assert torch.isfinite(after).all()


@pytest.mark.parametrize("shift", [0, 4])
@pytest.mark.parametrize("inside", [(16, 24), (9, 17), (1, 1)])
def test_every_pixel_sees_itself_and_seeing_is_mutual(shift, inside):
    allowed = may_attend(16, 24, inside, shift)
    assert allowed.diagonal(dim1=1, dim2=2).all()
    assert torch.equal(allowed, allowed.mT)


@pytest.mark.parametrize("shift", [0, 4])
def test_attention_maps_sum_to_one(shift):
    """64 rounded numbers."""
    maps = randomised(WindowAttention(4, shift)).maps(images(4)[0], (15, 20))
    torch.testing.assert_close(
        maps.sum(-1), torch.ones(maps.shape[:-1]).double(), atol=1e-12, rtol=0
    )


def test_windows_lie_row_by_row_and_come_back():
    values, _ = images(6, 16, 24, batch=2)
    windows = to_windows(values)
    # window 4 is the second of the second row: rows 8 to 15, columns 8 to 15
    expected = values[1, 3:, 8:16, 8:16].flatten(1).T  # the second head
    assert torch.equal(windows[1, 4, 1], expected)
    assert torch.equal(from_windows(windows, values.shape), values)


def test_the_same_step_has_the_same_number_anywhere_in_a_window():
    number = distances()
    assert len(number.unique()) == 15 * 15
    steps = {}
    for a, b in itertools.product(range(64), repeat=2):
        step = a // 8 - b // 8, a % 8 - b % 8
        steps.setdefault(step, set()).add(number[a, b].item())
    assert all(len(numbers) == 1 for numbers in steps.values())


def test_without_a_bias_of_distance_the_order_in_a_window_does_not_matter():
    """Attention alone knows no places: mix 64 pixels up, and their results are mixed up alike."""
    attention = randomised(WindowAttention(4, 0))
    torch.nn.init.zeros_(attention.bias)
    values, modulation = images(4, 8, 8)
    order = torch.randperm(64)
    mix = lambda x: x.flatten(2)[..., order].reshape(x.shape)  # noqa: E731
    mixed = attention(mix(values), mix(modulation))
    torch.testing.assert_close(mixed, mix(attention(values, modulation)), atol=1e-12, rtol=0)


def test_channel_attention_is_its_equation_number_by_number():
    attention = randomised(CACA(8, 4))
    values, modulation = images(8, 6, 5)
    weights = {name: p.detach() for name, p in attention.named_parameters()}
    q, k, v = (
        part[0].flatten(1).numpy() for part in conv2d(values, weights["qkv.weight"]).chunk(3, 1)
    )
    m, mixed = modulation[0].flatten(1).numpy(), np.zeros((8, 30))
    for c in range(8):
        head = range(c // 4 * 4, c // 4 * 4 + 4)
        cosines = [k[c] @ q[d] / np.linalg.norm(k[c]) / np.linalg.norm(q[d]) for d in head]
        shares = softmax(weights["scale"][c // 4, 0, 0].item() * np.array(cosines))
        np.testing.assert_allclose(
            attention.maps(values)[0, c // 4, c % 4].detach(), shares, atol=1e-12
        )
        for share, d in zip(shares, head, strict=True):
            mixed[c] += share * v[d] * m[d]
    place = torch.from_numpy(v).reshape(1, 8, 6, 5)  # the unmodulated values
    place = conv2d(place, weights["place.0.weight"], padding=1, groups=8)
    place = conv2d(gelu(place), weights["place.2.weight"], padding=1, groups=8)
    expected = torch.from_numpy(mixed).reshape(1, 8, 6, 5)
    expected = conv2d(expected, weights["out.weight"], weights["out.bias"]) + place
    torch.testing.assert_close(attention(values, modulation), expected, atol=1e-11, rtol=0)


def test_channel_attention_alone_does_not_know_where_a_pixel_lies():
    attention = randomised(CACA(8, 4))
    for layer in (attention.place[0], attention.place[2]):
        torch.nn.init.zeros_(layer.weight)
    values, modulation = images(8, 8, 8)
    order = torch.randperm(64)
    mix = lambda x: x.flatten(2)[..., order].reshape(x.shape)  # noqa: E731
    mixed = attention(mix(values), mix(modulation))
    torch.testing.assert_close(mixed, mix(attention(values, modulation)), atol=1e-12, rtol=0)


def test_channel_attention_starts_at_scale_one_with_a_head_per_base_width():
    for width, heads in ((16, 1), (32, 2), (64, 4)):
        assert torch.equal(CACA(width, 16).scale, torch.ones(heads, 1, 1))


def test_the_spatial_part_adds_two_attentions_and_a_feed_forward():
    part = randomised(SACA(4))
    f, m = images(4)
    for inside in (None, (11, 19)):
        f1 = f + part.plain(f, m, inside)
        f2 = f1 + part.shifted(f1, m, inside)
        f3 = f2 + part.feed(part.norm(f2))
        torch.testing.assert_close(part(f, m, inside), f3)
    assert (part.plain.shift, part.shifted.shift) == (0, 4)


def test_the_reference_modulates_gates_and_modulates_again():
    scaca = randomised(SCACA(8, 4))
    f, g = images(8)
    m = g + g / (
        1 + torch.exp(-conv2d(g, scaca.modulate.weight, scaca.modulate.bias, padding=2, groups=8))
    )
    gate = g + conv2d(g, scaca.open.weight, padding=2, groups=8)
    torch.testing.assert_close(scaca.modulation(g), m)
    torch.testing.assert_close(scaca.gate(g), gate)
    for inside in (None, (11, 19)):
        expected = scaca.caca(scaca.saca(f, m, inside) * gate, m)
        torch.testing.assert_close(scaca(f, g, inside), expected, atol=1e-10, rtol=0)


def test_each_image_of_a_batch_is_modulated_by_its_own_reference():
    """The released code takes the first image's for all; float64, sums in another order."""
    scaca = randomised(SCACA(8, 4))
    f, g = images(8, batch=3)
    alone = torch.cat([scaca(f[i : i + 1], g[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(scaca(f, g), alone, atol=1e-10, rtol=0)
    others = g.clone()
    others[0] = 0
    assert torch.equal(scaca(f, others)[1:], scaca(f, g)[1:])


def test_the_feed_forward_layers_written_out():
    feed = randomised(FeedForward(4))
    f, _ = images(4)
    wide = gelu(conv2d(gelu(conv2d(f, feed[0].weight)), feed[2].weight, padding=1, groups=16))
    torch.testing.assert_close(feed(f), conv2d(wide, feed[4].weight))


def test_a_block_adds_twice_and_normalises_only_the_second_time():
    block = randomised(CAB(8, 4))
    f, g = images(8)
    for inside in (None, (11, 19)):
        once = f + block.attention(f, g, inside)
        torch.testing.assert_close(block(f, g, inside), once + block.feed(block.norm(once)))


@pytest.mark.parametrize(("width", "count"), [(64, 125_701), (128, 479_878), (256, 1_876_360)])
def test_the_published_numbers_of_parameters(width, count):
    assert sum(p.numel() for p in CAB(width, 64).parameters()) == count


@pytest.mark.parametrize(("attention", "mixes"), [("scaca", 0), ("concat", 1), ("concat_each", 3)])
def test_a_group_mixes_the_reference_in_as_often_as_its_kind_says(attention, mixes):
    group = Group(8, 4, 3, attention, True)
    assert (len(group.blocks), len(group.mix)) == (3, mixes)
    for block in group.blocks:
        assert (block.attention.modulate is None) == (attention != "scaca")
        assert (block.attention.open is None) == (attention == "concat_each")
    f, g = images(8)
    group.double()
    expected = f
    for i, block in enumerate(group.blocks):
        if i < mixes:
            expected = group.mix[i](torch.cat([expected, g], 1))
        expected = block(expected, g, (11, 19))
    torch.testing.assert_close(group(f, g, (11, 19)), expected)
