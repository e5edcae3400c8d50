"""CFDA: where it starts, where a flow sends what it is given, and the fault of the release."""

import math

import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from hsisr_lite.uafl.cfda import CFDA, DCNv2, Unaligned, encode_fraction, warp


def features(width=8, size=16, batch=2, seed=0):
    torch.manual_seed(seed)
    return torch.rand(batch, width, size, size), torch.rand(batch, width, size, size)


def randomised(module, seed=1, spread=0.1):
    torch.manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0, spread)
    return module


def test_it_starts_with_no_flow_and_with_half_of_everything():
    seen = CFDA(8).alignment(*features())
    assert (seen.flow == 0).all() and (seen.offsets == 0).all()
    assert (seen.similarity == 0.5).all() and (seen.mask == 0.5).all()
    assert seen.flow.shape == (2, 2, 16, 16) and seen.similarity.shape == (2, 1, 16, 16)
    assert seen.offsets.shape == (2, 144, 16, 16) and seen.mask.shape == (2, 72, 16, 16)


@pytest.mark.parametrize("kind", [CFDA, DCNv2])
def test_it_starts_as_a_convolution_of_half_the_weight(kind):
    """Float32 sums of 72 products: 1e-5."""
    reference, abundances = features()
    align = kind(8)
    expected = conv2d(reference, align.sampling.weight / 2, align.sampling.bias, padding=1)
    torch.testing.assert_close(align(reference, abundances), expected, atol=1e-5, rtol=0)


def at(image):
    """Row and column of the brightest pixel."""
    return divmod(image[0, 0].argmax().item(), image.shape[3])


def pushed(flow, **options):
    """CFDA with a constant flow (right, down), nothing else, and weights that copy its channels."""
    align = CFDA(8, **options)
    with torch.no_grad():
        align.finer.bias[:2] = torch.tensor(flow)
        align.sampling.weight.zero_()
        align.sampling.weight[range(8), range(8), 1, 1] = 1
    return align


@pytest.mark.parametrize(("flow", "place"), [((3.0, 0.0), (8, 5)), ((0.0, 2.0), (6, 8)),
                                             ((-1.0, 2.0), (6, 9))])  # fmt: skip
def test_a_point_goes_where_the_flow_says_by_warp_and_by_taps(flow, place):
    delta = torch.zeros(1, 8, 16, 16)
    delta[:, :, 8, 8] = 1
    field = torch.tensor(flow).reshape(1, 2, 1, 1).expand(1, 2, 16, 16)
    assert at(warp(delta, field)) == place
    assert at(pushed(flow)(delta, 0 * delta)) == place


def test_swapped_the_taps_go_another_way_than_the_warp_as_released():
    """The released code: by the warp to (8, 5), by the deformable convolution to (5, 8)."""
    delta = torch.zeros(1, 8, 16, 16)
    delta[:, :, 8, 8] = 1
    align = pushed((3.0, 0.0), swapped_flow=True)
    assert at(warp(delta, align.alignment(delta, 0 * delta).flow)) == (8, 5)
    assert at(align(delta, 0 * delta)) == (5, 8)


def test_swapping_changes_the_order_of_the_flow_and_nothing_else():
    reference, abundances = features()
    fixed = randomised(CFDA(8))
    swapped = randomised(CFDA(8, swapped_flow=True))
    a, b = fixed.alignment(reference, abundances), swapped.alignment(reference, abundances)
    assert torch.equal(a.flow, b.flow) and torch.equal(a.mask, b.mask)
    prior_a, prior_b = a.flow.flip(1).repeat(1, 72, 1, 1), b.flow.repeat(1, 72, 1, 1)
    torch.testing.assert_close(a.offsets - prior_a, b.offsets - prior_b, atol=1e-5, rtol=0)
    assert not torch.equal(a.offsets, b.offsets)


def test_it_is_its_equations_written_out():
    """With every weight away from zero; float64, so that a wrong order of channels cannot hide."""
    f, g = (values.double() for values in features())
    align = randomised(CFDA(8)).double()
    p = dict(align.named_parameters())
    layer = lambda name, x: conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1)  # noqa: E731
    low = torch.cat([avg_pool2d(g, 2), avg_pool2d(f, 2)], 1)
    coarse = interpolate(2 * layer("coarse", low), scale_factor=2, mode="bilinear")
    finer = layer("finer", torch.cat([warp(g, coarse), f], 1))
    flow, similarity = coarse + finer[:, :2], 1 / (1 + torch.exp(-finer[:, 2:]))
    seen = layer("first", torch.cat([f, warp(g, flow), encode_fraction(flow)], 1))
    out = layer("last", torch.where(seen > 0, seen, 0.1 * seen))
    made = align.alignment(g, f)
    prior = torch.stack([flow[:, 1], flow[:, 0]], 1).repeat(1, 72, 1, 1)
    expected = (flow, similarity, prior + 10 * torch.tanh(out[:, :144]),
                1 / (1 + torch.exp(-similarity * out[:, 144:])))  # fmt: skip
    for one, other in zip(made, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_no_tap_wanders_farther_than_ten_pixels_from_the_flow():
    reference, abundances = features()
    align = CFDA(8)
    torch.nn.init.normal_(align.last.weight, 0, 100.0)
    offsets = align.alignment(reference, abundances).offsets
    assert offsets.abs().max() <= 10
    assert offsets.abs().max() > 9.9


def test_the_code_has_the_published_frequencies_right_before_down():
    """1, 3.162, 10, ... 3162; of float32 angles of up to 3162, so 3e-4 of a turn are lost."""
    frequencies = [1, 3.1622777, 10, 31.622777, 100, 316.22777, 1000, 3162.2777]
    right, down = 2.25, -0.625  # fractions 0.25 and 0.375
    code = encode_fraction(torch.tensor([right, down]).reshape(1, 2, 1, 1)).flatten().tolist()
    expected = [
        function(frequency * fraction)
        for fraction in (0.25, 0.375)
        for function in (math.sin, math.cos)
        for frequency in frequencies
    ]
    assert code == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_the_code_of_a_half_precision_flow_is_no_noise(kind):
    """Of the flow's own digits the code is exact; only its result may be rounded to 8 bits.

    Sines and cosines near 1 lose 2e-3 by that. Phases of up to 3162 in 8 bits would be off by 8
    radians, which is noise.
    """
    torch.manual_seed(0)
    flow = (6 * torch.rand(1, 2, 16, 16) - 3).to(kind)
    torch.testing.assert_close(
        encode_fraction(flow).float(), encode_fraction(flow.float()), atol=4e-3, rtol=0
    )


def test_the_code_is_the_same_a_whole_pixel_farther():
    flow = torch.rand(1, 2, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(encode_fraction(flow + 3), encode_fraction(flow), atol=1e-9, rtol=0)


def test_a_warp_reads_between_pixels_and_zero_beyond():
    ramp = torch.arange(5.0).expand(1, 1, 3, 5)
    field = torch.zeros(1, 2, 3, 5)
    field[:, 0] = 0.25
    torch.testing.assert_close(
        warp(ramp, field)[0, 0, 1], torch.tensor([0.25, 1.25, 2.25, 3.25, 3.0])
    )


def test_each_image_of_a_batch_is_aligned_by_itself():
    """Float64: the code's highest frequency makes 3000 times as much of float32's rounding."""
    reference, abundances = (values.double() for values in features(batch=3))
    align = randomised(CFDA(8)).double()
    together = align(reference, abundances)
    alone = [align(reference[i : i + 1], abundances[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-10, rtol=0)


def test_gradients_reach_every_weight_after_one_step():
    """At the start only those of what starts at zero and of the sampling: the rest is silent."""
    reference, abundances = features()
    align = CFDA(8)
    for _ in range(2):
        align.zero_grad()
        align(reference, abundances).square().mean().backward()
        torch.optim.SGD(align.parameters(), 0.1).step()
    assert all(p.grad.abs().max() > 0 for p in align.parameters())


def test_unaligned_is_the_reference():
    reference, abundances = features()
    assert Unaligned(8)(reference, abundances) is reference


@pytest.mark.parametrize(("width", "count"), [(64, 259_549), (128, 740_061)])
def test_the_published_numbers_of_parameters(width, count):
    assert sum(p.numel() for p in CFDA(width).parameters()) == count
