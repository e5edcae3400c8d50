"""The checks of chapter 06 accept right answers and recognise the usual wrong ones."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from hsisr_lite.daem.autoencoder import AbundanceEncoder, SpectralDecoder
from hsisr_lite.exercises import chapter_06 as check
from hsisr_lite.exercises.feedback import WrongAnswer


def numbers(*widths, bias=1):
    return sum((i + bias) * o for i, o in pairwise(widths))


def counted(*, m=4, K=8, bands=100, bias=1, injected=None, decoders=2):
    """The whole count, or what a mistake in it makes."""
    widths = (4, 8, 16, 24)
    injected = [m] * 4 if injected is None else injected
    inputs = [m, *(w + extra for w, extra in zip(widths, injected, strict=True))]
    encoder = sum((i + bias) * o for i, o in zip(inputs, [*widths, K], strict=True))
    return encoder + decoders * numbers(K, 24, bands, bias=bias)


def test_the_right_count_is_that_of_the_network():
    parts = AbundanceEncoder(4, 8), SpectralDecoder(8, 100)
    assert check.learned_numbers(sum(p.numel() for part in parts for p in part.parameters()))
    assert check.learned_numbers(float(counted()))


@pytest.mark.parametrize(
    ("value", "reveals"),
    [
        (..., "no answer yet"),
        ("6468", "one number"),
        (True, "one number"),
        (counted(bias=0), "bias of its own"),
        (counted(injected=[0] * 4), "stands beside"),
        (counted(decoders=1), "one decoder"),
        (counted(decoders=0), "decoders learn, too"),
        (counted() - counted(decoders=0), "encoder learns, too"),
        (counted(injected=[4, 4 + 4, 4 + 4 + 8, 4 + 4 + 8 + 16]), "not all layers"),
        (counted(K=16), "K is 8"),
        (counted() + 8 * 4 + 4, "network alone"),
        (6467, r"\(i \+ 1\) o"),
    ],
)
def test_wrong_counts_are_recognised(value, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.learned_numbers(value)


def encoder(z, weights, biases, bend=lambda u: np.where(u > 0, u, 0.2 * u),
            end=lambda u: np.maximum(u, 0), join=lambda g, z: [g, z]):  # fmt: skip
    u = z @ weights[0].T + biases[0]
    for weight, bias in zip(weights[1:], biases[1:], strict=True):
        u = np.concatenate(join(bend(u), z), axis=1) @ weight.T + bias
    return end(u)


def turned(**settings):
    return lambda z, weights, biases: encoder(z, weights, biases, **settings)


def slope(s):
    return turned(bend=lambda u: np.where(u > 0, u, s * u))


def softmax(u):
    e = np.exp(u)
    return e / e.sum(axis=1, keepdims=True)


def not_injected(z, weights, biases):
    for weight, bias in zip(weights, biases, strict=True):
        z = z @ weight.T + bias
    return z


@pytest.mark.parametrize(
    ("answer", "reveals"),
    [
        (..., "no answer yet"),
        (lambda z, weights, biases: None, "returns nothing"),
        (lambda z, weights: z, "does not take 3"),
        (not_injected, "beside the features"),
        (lambda z, weights, biases: z @ weights[0], "transposed"),
        (lambda z, weights, biases: encoder(z, weights, biases).T, "make the shape"),
        (turned(join=lambda g, z: [z, g]), "in front"),
        (slope(0.01), "0.01"),
        (slope(0.0), "a fifth of it"),
        (slope(1.0), "are one"),
        (turned(end=lambda u: np.where(u > 0, u, 0.2 * u)), "not leaky"),
        (turned(end=lambda u: u), "no bend at all"),
        (turned(end=softmax), "softmax"),
        (lambda z, weights, biases: encoder(z, weights, [0 * b for b in biases]), "biases"),
        (turned(join=lambda g, z: [g, np.where(z > 0, z, 0.2 * z)]), "not bent"),
        (turned(end=lambda u: np.maximum(u, 0) + 1), "put the MSI beside"),
    ],
)
def test_wrong_encoders_are_recognised(answer, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.encoder_by_hand(answer)


def test_the_right_encoder_is_the_packages():
    """Both in float64, so that only rounding separates them."""

    def package(z, weights, biases):
        layers = AbundanceEncoder(z.shape[1], len(biases[-1])).double()
        with torch.no_grad():
            for layer, weight, bias in zip(layers.layers, weights, biases, strict=True):
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))
            return layers(torch.from_numpy(z)).numpy()

    assert check.encoder_by_hand(package)
    assert check.encoder_by_hand(encoder)
