"""DAEM's network: its published size, its wiring, and what its outputs may be."""

import numpy as np
import pytest
import torch

from hsisr_lite.daem.autoencoder import (
    SIX_LAYERS,
    TWO_LAYERS,
    AbundanceEncoder,
    Autoencoder,
    LinearDecoder,
    SpectralDecoder,
)
from hsisr_lite.daem.degradations import LearnedPSF, LearnedSRF
from hsisr_lite.daem.phi import build
from hsisr_lite.daem.published import PublishedModel


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("msi_bands", "bands", "layers", "published"),
    [
        (3, 31, 6, 6558),
        (3, 31, 2, 3594),
        (8, 156, 6, 14188),
        (8, 156, 2, 10224),
        (4, 102, 6, 10752),
        (4, 102, 2, 7220),
    ],
)
def test_the_published_number_of_parameters(msi_bands, bands, layers, published):
    assert count(PublishedModel(msi_bands, bands, 4, layers=layers)) == published


@pytest.mark.parametrize(("msi_bands", "bands"), [(1, 2), (3, 31), (8, 156), (5, 40)])
def test_every_parts_size_follows_its_formula(msi_bands, bands):
    """(in + 1) out for each layer; 8 numbers per MSI band; 4 stored for the PSF."""
    outputs = (4, 8, 16, 24, 16)
    inputs = (msi_bands, 4 + msi_bands, 8 + msi_bands, 16 + msi_bands, 24 + msi_bands)
    encoder = sum((i + 1) * o for i, o in zip(inputs, outputs, strict=True))
    assert count(AbundanceEncoder(msi_bands)) == encoder
    spread = 17 * 24 + 25 * bands
    deep = 17 * 18 + 19 * 22 + 23 * 26 + 27 * 30 + 31 * 32 + 33 * bands
    assert count(SpectralDecoder(16, bands, TWO_LAYERS)) == 2 * spread
    assert count(SpectralDecoder(16, bands, SIX_LAYERS)) == deep + spread
    assert count(LearnedSRF(torch.rand(msi_bands, 4, 2), bands)) == 8 * msi_bands
    assert count(LearnedPSF(4, root=5.0, centre=2, learn_centre=False)) == 4
    assert count(LearnedPSF(4, root=5.0, centre=2, learn_centre=True)) == 6
    for layers, mean in ((2, spread), (6, deep)):
        whole = encoder + mean + spread + 8 * msi_bands + 4
        assert count(PublishedModel(msi_bands, bands, 3, layers=layers)) == whole


def test_ours_is_the_papers_network_without_the_degradations():
    """The last activation has no parameters; PSF and SRF are learned elsewhere: 28 fewer."""
    assert count(build(torch.rand(50, 3), torch.rand(50, 31))) == 3594 - 28
    linear = build(torch.rand(50, 3), torch.rand(50, 31), form="interpretable", channels=5)
    assert count(linear) == count(AbundanceEncoder(3, 5)) + 5 * 31


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


@pytest.mark.parametrize("shares", [False, True])
def test_the_encoder_gets_features_first_and_the_msi_second(shares):
    """A plain numpy forward, in float64 against float32: 1e-5 of values near 1."""
    torch.manual_seed(0)
    encoder = AbundanceEncoder(3, 7, shares=shares)
    assert [tuple(layer.weight.shape) for layer in encoder.layers] == [
        (4, 3), (8, 7), (16, 11), (24, 19), (7, 27)
    ]  # fmt: skip
    msi = torch.randn(20, 3)
    z = msi.double().numpy()
    w = [layer.weight.detach().double().numpy() for layer in encoder.layers]
    b = [layer.bias.detach().double().numpy() for layer in encoder.layers]
    g = leaky(z @ w[0].T + b[0])
    for i in (1, 2, 3):
        g = leaky(np.hstack([g, z]) @ w[i].T + b[i])
    last = np.hstack([g, z]) @ w[4].T + b[4]
    if shares:
        expected = np.exp(last) / np.exp(last).sum(axis=1, keepdims=True)
    else:
        expected = np.maximum(last, 0)
    np.testing.assert_allclose(encoder(msi).detach().numpy(), expected, atol=1e-5)


def test_abundances_are_never_negative_and_shares_sum_to_one():
    torch.manual_seed(0)
    msi = 100 * torch.randn(500, 4)
    free, shares = AbundanceEncoder(4)(msi), AbundanceEncoder(4, shares=True)(msi)
    assert free.min() == 0 and free.max() > 1  # a sum is not fixed
    assert shares.min() >= 0
    torch.testing.assert_close(shares.sum(-1), torch.ones(500))


def test_no_pixel_sees_another():
    torch.manual_seed(0)
    network = build(torch.rand(50, 3), torch.rand(50, 9))
    msi = torch.rand(12, 3)
    alone = torch.cat([network(pixel[None]) for pixel in msi])
    torch.testing.assert_close(network(msi), alone)  # float32, another order of sums


@pytest.mark.parametrize("hidden", [TWO_LAYERS, SIX_LAYERS])
def test_both_decoder_nets_are_plain_layers_with_leaky_relu(hidden):
    torch.manual_seed(0)
    a = torch.rand(10, 16)
    for last in (True, False):
        decoder = SpectralDecoder(16, 9, hidden, last_activation=last)
        for net, widths in ((decoder.mean, hidden), (decoder.spread, TWO_LAYERS)):
            linear = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
            assert [layer.out_features for layer in linear] == [*widths, 9]
            x = a.double().numpy()
            for i, layer in enumerate(linear):
                weight, bias = (p.detach().double().numpy() for p in (layer.weight, layer.bias))
                x = x @ weight.T + bias
                if last or i < len(linear) - 1:
                    x = leaky(x)
            np.testing.assert_allclose(net(a).detach().numpy(), x, atol=1e-5)  # float32


def test_a_sample_is_the_mean_plus_the_spread_times_normal_noise():
    """20000 draws: a mean is off by sd / sqrt(n), a sd by sd / sqrt(2 n); 5 of these may be."""
    torch.manual_seed(0)
    decoder = SpectralDecoder(4, 6)
    a, n = torch.rand(1, 4), 20000
    with torch.no_grad():
        mean, spread = decoder.mean(a)[0], decoder.spread(a)[0].abs()
        drawn = decoder(a.repeat(n, 1), sample=True)
        assert torch.all((drawn.mean(0) - mean).abs() < 5 * spread / n**0.5)
        assert torch.all((drawn.std(0) / spread - 1).abs() < 5 / (2 * n) ** 0.5)
        standard = (drawn - mean) / spread
        assert abs((standard[:, 0] * standard[:, 1]).mean()) < 5 / n**0.5  # bands independent
        assert abs((standard[:-1] * standard[1:]).mean()) < 5 / (6 * n) ** 0.5  # and pixels


def test_without_sampling_the_mean_comes_out_and_no_random_number_is_used():
    torch.manual_seed(0)
    decoder, a = SpectralDecoder(4, 6), torch.rand(8, 4)
    before = torch.get_rng_state()
    assert torch.equal(decoder(a, sample=False), decoder.mean(a))
    assert torch.equal(torch.get_rng_state(), before)
    first, second = decoder(a, sample=True), decoder(a, sample=True)
    assert not torch.equal(first, second)


def test_a_linear_decoder_mixes_spectra_that_are_never_negative():
    torch.manual_seed(0)
    start = torch.randn(5, 12)
    decoder = LinearDecoder(start)
    a = torch.rand(30, 5)
    torch.testing.assert_close(decoder(a, sample=True), a @ start.clamp(min=0))
    assert decoder(a, sample=False).min() >= 0
    with torch.no_grad():
        decoder.endmembers.sub_(10)
    assert torch.all(decoder(a, sample=False) == 0)
    assert start.max() > 0  # the start given is left alone


def test_units_go_off_before_the_encoder_and_on_after_the_decoder():
    torch.manual_seed(0)
    encoder, decoder = AbundanceEncoder(2, 4), SpectralDecoder(4, 3)
    msi_units = torch.tensor([[1.0, 2.0], [0.5, 4.0]])
    hsi_units = torch.tensor([[5.0, -1.0, 0.0], [2.0, 0.1, 1.0]])
    network, msi = Autoencoder(encoder, decoder, msi_units, hsi_units), torch.rand(6, 2)
    expected = hsi_units[0] + hsi_units[1] * decoder.mean(
        encoder((msi - msi_units[0]) / msi_units[1])
    )
    assert torch.equal(network(msi), expected)
    assert not [p for p in network.parameters() if p is network.msi_units]
    assert count(network) == count(encoder) + count(decoder)
