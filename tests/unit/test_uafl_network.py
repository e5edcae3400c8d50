"""The whole of UAFL: the published counts, any size, batches, and what it was given written out."""

import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu
from torch.utils.flop_counter import FlopCounterMode

from hsisr_lite.arrays import InputError
from hsisr_lite.uafl import UAFL
from hsisr_lite.uafl.network import ALIGNMENTS, padded
from hsisr_lite.uafl.unmixing_head import endmembers


def count(network):
    return sum(p.numel() for p in network.parameters())


def pair(batch=1, bands=12, rows=32, cols=32, msi_bands=3, seed=0):
    torch.manual_seed(seed)
    return torch.rand(batch, bands, rows, cols), torch.rand(batch, msi_bands, rows, cols)


def randomised(network, seed=1):
    torch.manual_seed(seed)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, 0, 0.5 / parameter[0].numel() ** 0.5)
        else:
            torch.nn.init.normal_(parameter, 0, 0.1)
    return network.double()


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 5_948_450),
        ({"merging": "concat"}, 5_859_426),
        ({"merging": "concat", "alignment": "none"}, 4_859_816),
        ({"merging": "concat", "alignment": "dcnv2"}, 5_786_840),
        ({"merging": "concat", "alignment": "none", "attention": "concat"}, 5_052_840),
        ({"merging": "concat", "alignment": "none", "attention": "concat_each"}, 5_050_024),
        ({"merging": "concat", "alignment": "none", "attention": "concat", "bands": 31}, 5_085_096),
        (
            {"merging": "concat", "alignment": "none", "attention": "concat_each", "bands": 31},
            5_082_280,
        ),
    ],
    ids=str,
)
def test_the_published_numbers_of_parameters(options, parameters):
    """The paper's rows, to the last digit; on meta tensors, which hold no numbers."""
    with torch.device("meta"):
        assert count(UAFL(**options)) == parameters


def test_the_share_of_each_part():
    with torch.device("meta"):
        network = UAFL()
    assert count(network.align) == 999_610
    assert [count(align) for align in network.align] == [259_549, 740_061]
    assert count(network.merge) == 129_984
    blocks = [*network.encode[0].blocks, network.encode[1].blocks[0], network.deepest.blocks[0]]
    assert [count(block) for block in blocks] == [125_701, 125_701, 479_878, 1_876_360]
    assert [len(group.blocks) for group in network.decode] == [2, 1]


def test_the_number_of_bands_changes_no_parameter():
    with torch.device("meta"):
        network, reference = UAFL(), torch.rand(1, 3, 64, 64)
        for bands in (31, 198):
            assert network(torch.rand(1, bands, 64, 64), reference).shape == (1, bands, 64, 64)


def test_the_products_at_256_by_256():
    """105.5 G multiply-adds (twice as many operations) by torch's counter, to its four digits."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        UAFL()(torch.rand(1, 31, 256, 256), torch.rand(1, 3, 256, 256))
    assert counter.get_total_flops() / 2e9 == pytest.approx(105.5, abs=0.05)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_a_batch_of_four_is_four_batches_of_one(alignment):
    """Float64, every weight away from zero; sums in another order: 1e-9 of values near 1.

    The highest frequency of CFDA's code makes 3000 times as much of rounding.
    """
    network = randomised(UAFL(width=8, blocks=(1, 1), alignment=alignment))
    x, r = (values.double() for values in pair(4, rows=24, cols=20))
    with torch.no_grad():
        alone = torch.cat([network(x[i : i + 1], r[i : i + 1]) for i in range(4)])
        torch.testing.assert_close(network(x, r), alone, atol=1e-9, rtol=0)


def test_a_batch_of_four_is_four_batches_of_one_at_the_start_in_float32():
    torch.manual_seed(0)
    network, (x, r) = UAFL(width=8, blocks=(1, 1, 1)), pair(4, rows=40, cols=52)
    with torch.no_grad():
        alone = torch.cat([network(x[i : i + 1], r[i : i + 1]) for i in range(4)])
        torch.testing.assert_close(network(x, r), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("rows", "cols"), [(32, 64), (47, 61), (33, 8), (5, 40), (3, 1)])
@pytest.mark.parametrize(("bands", "msi_bands", "endmembers"), [(9, 4, 3), (31, 1, 1), (3, 8, 3)])
def test_any_size_and_any_number_of_bands(rows, cols, bands, msi_bands, endmembers):
    network = UAFL(msi_bands, endmembers, width=8, blocks=(1, 1, 1))
    x, r = pair(2, bands, rows, cols, msi_bands)
    made = network(x, r)
    assert made.shape == x.shape
    assert torch.isfinite(made).all()


@pytest.mark.parametrize("attention", ["scaca", "concat", "concat_each"])
def test_without_unmixing_it_works_on_the_bands_themselves(attention):
    network, (x, r) = UAFL(width=8, blocks=(1, 1), bands=12, attention=attention), pair()
    torch.testing.assert_close(network(x, r), x + network.refine(x, r))


def test_a_head_of_zeros_adds_nothing():
    network, (x, r) = UAFL(width=8, blocks=(1, 1)), pair()
    torch.nn.init.zeros_(network.head.weight)
    assert torch.equal(network(x, r), x)


def test_what_is_added_lies_in_the_span_of_the_endmembers():
    """Float64 after E_K, which is rounded to float32 by nothing here."""
    network, (x, r) = randomised(UAFL(width=8, blocks=(1, 1))), pair()
    x, r = x.double(), r.double()
    change = network(x, r) - x
    e = endmembers(x, 3)
    inside = torch.einsum("nkb,nkc,ncij->nbij", e, e, change)
    assert change.abs().max() > 0.01
    torch.testing.assert_close(inside, change, atol=1e-10, rtol=0)


def test_the_wiring_written_out():
    """Three levels, sides that need no padding; the modules themselves have tests of their own."""
    net = randomised(UAFL(width=8, blocks=(2, 1, 1)))
    a, r = (values.double() for values in pair(bands=3, rows=32, cols=64))
    w = dict(net.named_parameters())
    with torch.no_grad():
        f0 = leaky_relu(conv2d(a, w["embed.weight"], padding=1), 0.1)
        g0 = leaky_relu(conv2d(r, w["embed_reference.weight"], padding=1), 0.1)
        g0 = net.align[0](g0, f0)
        for block in net.encode[0].blocks:
            f0 = block(f0, g0)
        f1 = conv2d(f0, w["down.0.weight"], stride=2, padding=1)
        g1 = net.align[1](conv2d(g0, w["down_reference.0.weight"], stride=2, padding=1), f1)
        f1 = net.encode[1].blocks[0](f1, g1)
        f2 = conv2d(f1, w["down.1.weight"], stride=2, padding=1)
        g2 = conv2d(g1, w["down_reference.1.weight"], stride=2, padding=1)
        f2 = net.deepest.blocks[0](f2, g2)
        up = conv_transpose2d(f2, w["up.1.weight"], w["up.1.bias"], stride=2)
        up = net.decode[1].blocks[0](net.merge[1](up, f1), g1)
        up = conv_transpose2d(up, w["up.0.weight"], w["up.0.bias"], stride=2)
        out = net.merge[0](up, f0)
        for block in net.decode[0].blocks:
            out = block(out, g0)
        expected = conv2d(out, w["head.weight"], padding=1)
        torch.testing.assert_close(net.refine(a, r), expected, atol=1e-7, rtol=0)
    assert expected.abs().max() > 0.01


def test_levels_tell_what_each_module_was_given_and_made():
    net, (a, r) = randomised(UAFL(width=8, blocks=(1, 1, 1))), pair(bands=3, rows=30, cols=33)
    a, r = a.double(), r.double()
    with torch.no_grad():
        levels = net.levels(a, r)
        assert [tuple(level.features.shape[1:]) for level in levels] == [
            (8, 32, 64), (16, 16, 32), (32, 8, 16),
        ]  # fmt: skip
        for i, level in enumerate(levels[:-1]):
            close = lambda x, y: torch.testing.assert_close(x, y, atol=1e-9, rtol=0)  # noqa: E731
            inside = (30, 33) if i == 0 else (15, 17)
            close(level.aligned, net.align[i](level.reference, level.features))
            close(level.encoded, net.encode[i](level.features, level.aligned, inside))
            close(level.enlarged, net.up[i](levels[i + 1].decoded))
            merged = net.merge[i](level.enlarged, level.encoded)
            close(level.decoded, net.decode[i](merged, level.aligned, inside))
        assert levels[-1].enlarged is None
        refined = net.head(levels[0].decoded)[..., :30, :33]
        torch.testing.assert_close(net.refine(a, r), refined)


def test_options_reach_the_modules():
    network = UAFL(width=8, blocks=(1, 1), swapped_flow=True, shift_mask=False)
    assert all(align.swapped_flow for align in network.align)
    for group in (*network.encode, network.deepest, *network.decode):
        saca = group.blocks[0].attention.saca
        assert not saca.plain.shift_mask and not saca.shifted.shift_mask
    assert not any(align.swapped_flow for align in UAFL(width=8, blocks=(1, 1)).align)


def test_padding_repeats_the_last_row_and_column():
    values = torch.arange(6.0).reshape(1, 1, 2, 3)
    made = padded(values, 4)[0, 0]
    assert made.tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]


def test_it_learns_with_mixed_precision():
    """Bfloat16 keeps 8 bits: the result stays within 5 % of the largest, and places are exact."""
    torch.manual_seed(0)
    network, (x, r) = UAFL(width=8, blocks=(1, 1)), pair(rows=16, cols=16)
    full = network.refine(x[:, :3], r)
    with torch.autocast("cpu", torch.bfloat16):
        half = network.refine(x[:, :3], r)
        loss = half.float().square().mean()
    loss.backward()
    assert (half.float() - full).abs().max() < 0.05 * full.abs().max()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 12}, "width is 12: a positive multiple of 8"),
        ({"width": 0}, "width is 0"),
        ({"endmembers": 0}, "endmembers is 0: a whole number of at least 1"),
        ({"endmembers": 2.0}, "endmembers is 2.0"),
        ({"msi_bands": True}, "msi_bands is True"),
        ({"bands": -1}, "bands is -1"),
        ({"blocks": (1,)}, r"blocks is \(1,\): two whole numbers or more"),
        ({"blocks": 3}, "blocks is 3"),
        ({"blocks": (1, 0)}, "a number of blocks is 0"),
        ({"alignment": "flow"}, "alignment is 'flow': one of 'cfda', 'correlation', 'dcnv2'"),
        ({"attention": None}, "attention is None: one of 'scaca', 'concat', 'concat_each'"),
        ({"merging": "add"}, "merging is 'add': one of 'scmf', 'concat'"),
        ({"swapped_flow": True, "alignment": "none"}, "swapped_flow is True with alignment 'none'"),
    ],
    ids=str,
)
def test_arguments_out_of_range_say_so(options, message):
    with pytest.raises(InputError, match=message):
        UAFL(**options)


@pytest.mark.parametrize(
    ("x", "r", "message"),
    [
        (
            (1, 12, 16, 16),
            (1, 4, 16, 16),
            r"reference has shape \(1, 4, 16, 16\): \(1, 3, 16, 16\)",
        ),
        ((1, 12, 16, 16), (1, 3, 16, 8), r"\(1, 3, 16, 16\) is needed"),
        ((2, 12, 16, 16), (1, 3, 16, 16), r"\(2, 3, 16, 16\) is needed"),
        ((1, 2, 16, 16), (1, 3, 16, 16), "endmembers is 3.*2 bands and 256 pixels"),
        ((1, 12, 1, 2), (1, 3, 1, 2), "endmembers is 3.*12 bands and 2 pixels"),
    ],
)
def test_images_that_do_not_fit_say_so(x, r, message):
    with pytest.raises(InputError, match=message):
        UAFL(width=8, blocks=(1, 1))(torch.rand(x), torch.rand(r))


def test_abundances_of_another_number_say_so():
    with pytest.raises(InputError, match=r"shape \(1, 4, 16, 16\): \(batch, 3, rows, cols\)"):
        UAFL(width=8, blocks=(1, 1)).refine(torch.rand(1, 4, 16, 16), torch.rand(1, 3, 16, 16))
