"""SCMF against its equations written out, and what its two gates are."""

import pytest
import torch
from torch.nn.functional import conv2d

from hsisr_lite.uafl.scmf import SCMF, Concat


def randomised(module, seed=1):
    torch.manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    return module.double()


def features(batch=2, width=6, rows=7, cols=5):
    torch.manual_seed(0)
    shape = batch, width, rows, cols
    return torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)


def leaky(values):
    return torch.where(values > 0, values, 0.01 * values)


def test_it_is_its_equations_written_out():
    merge, (decoder, encoder) = randomised(SCMF(6)), features()
    w = dict(merge.named_parameters())
    z = torch.cat([decoder, encoder], 1)
    v1 = leaky(
        conv2d(leaky(conv2d(z, w["spread.weight"], padding=1, groups=12)), w["spatial.weight"])
    )
    v2 = torch.einsum("oc,ncij->noij", w["spectral.weight"][:, :, 0, 0], z)
    m1 = 1 / (1 + torch.exp(-conv2d(z, w["where.weight"], padding=1)))
    mean = z.sum((2, 3)) / 35
    m2 = 1 / (1 + torch.exp(-(mean @ w["which.weight"][:, :, 0, 0].T + w["which.bias"])))
    expected = v1 * m1 + v2 * m2[:, :, None, None] + decoder
    torch.testing.assert_close(merge(decoder, encoder), expected, atol=1e-12, rtol=0)
    gates = merge.gates(decoder, encoder)
    torch.testing.assert_close(gates.where, m1, atol=1e-12, rtol=0)
    torch.testing.assert_close(gates.which[..., 0, 0], m2, atol=1e-12, rtol=0)


def test_one_gate_has_a_number_per_pixel_and_one_a_number_per_channel():
    gates = SCMF(6).double().gates(*features())
    assert gates.where.shape == (2, 1, 7, 5) and gates.which.shape == (2, 6, 1, 1)


def test_closed_gates_leave_the_decoders_features():
    """A bias of -100 closes M2; M1 has none, so W1 is set to zero."""
    merge, (decoder, encoder) = randomised(SCMF(6)), features()
    torch.nn.init.zeros_(merge.which.weight)
    torch.nn.init.constant_(merge.which.bias, -100.0)
    torch.nn.init.zeros_(merge.spatial.weight)
    torch.testing.assert_close(merge(decoder, encoder), decoder, atol=1e-12, rtol=0)


def test_the_channel_gate_looks_at_the_whole_image_and_the_pixel_gate_at_3_by_3():
    merge, (decoder, encoder) = randomised(SCMF(6)), features()
    before = merge.gates(decoder, encoder)
    encoder[:, :, 0, 0] += 1
    after = merge.gates(decoder, encoder)
    moved = (after.where != before.where)[0, 0].nonzero().tolist()
    assert moved == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert (after.which != before.which).all()


def test_each_image_of_a_batch_has_its_own_gates():
    merge, (decoder, encoder) = randomised(SCMF(6)), features()
    alone = torch.cat([merge(decoder[i : i + 1], encoder[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(merge(decoder, encoder), alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("widths", [(64, 128)])
def test_the_published_numbers_of_parameters(widths):
    assert sum(p.numel() for width in widths for p in SCMF(width).parameters()) == 129_984


def test_concat_mixes_both_pixel_by_pixel():
    merge, (decoder, encoder) = randomised(Concat(6)), features()
    matrix = merge.mix.weight[:, :, 0, 0]
    expected = torch.einsum("oc,ncij->noij", matrix, torch.cat([decoder, encoder], 1))
    torch.testing.assert_close(merge(decoder, encoder), expected, atol=1e-12, rtol=0)
