"""Checks for the exercises of chapter 06, an autoencoder that unmixes."""

import numpy as np

from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from

_WIDTHS = (4, 8, 16, 24)


def learned_numbers(value):
    """Check exercise 1: 4 MSI bands, 100 bands, 8 channels.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> learned_numbers(6468)
    '1036 in the encoder, and 2716 in each of the two decoders.'
    """
    if isinstance(answered(value), bool) or not isinstance(value, int | float | np.number):
        raise WrongAnswer("one number, please.")
    encoder, decoder = 1036, 2716
    reveals = {
        6160: "Those are the weights; every output has a bias of its own, too.",
        6244: "From layer 2 on the MSI stands beside the features: 4 more inputs to each layer.",
        encoder + decoder: "That is one decoder: mean and spread have their own numbers.",
        encoder: "That is the encoder; the decoders learn, too.",
        2 * decoder: "Those are the two decoders; the encoder learns, too.",
        7044: "Each layer sees the MSI and the layer before it, not all layers before it.",
        7084: "That is for 16 channels; here K is 8.",
        6468 + 4 * 8 + 4: "That counts a PSF and an SRF; the network alone was asked for.",
    }
    if value == encoder + 2 * decoder:
        return Right("1036 in the encoder, and 2716 in each of the two decoders.")
    if value in reveals:
        raise WrongAnswer(reveals[value])
    raise WrongAnswer(
        "A layer from i to o numbers has (i + 1) o of them. Five layers in the encoder, with 4, "
        "8, 12, 20 and 28 inputs; then two decoders of two layers."
    )


def encoder_by_hand(abundances):
    """Check exercise 2 on random weights, with 3 MSI bands and 5 channels.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    rng = np.random.default_rng(0)
    z, weights, biases = _example(rng)
    right = _encoder(z, weights, biases)
    try:
        found = array_from(abundances, z.copy(), list(weights), list(biases))
    except (ValueError, IndexError) as error:
        raise WrongAnswer(
            f"numpy says: {str(error).splitlines()[0]}. A weight is (out, in), so it is "
            "transposed; and from layer 2 on the MSI stands beside the features."
        ) from None
    if found.shape != right.shape:
        raise WrongAnswer(
            f"{right.shape[0]} pixels and {right.shape[1]} channels make the shape "
            f"{right.shape}; yours is {found.shape}."
        )
    if np.allclose(found, right, rtol=1e-6, atol=1e-9):
        return Right(f"{np.mean(right == 0):.0%} of these abundances are exactly zero.")
    wrong_turns = {
        "The features come first, then the MSI; you put the MSI in front.": {"first": True},
        "The slope below zero is 0.2 here, not the customary 0.01.": {"slope": 0.01},
        "You cut what is negative in every layer; before the last one a fifth of it passes.": {
            "slope": 0.0
        },
        "The layers before the last do not bend: five linear maps in a row are one.": {
            "slope": 1.0
        },
        "The last layer is not leaky: abundances below zero make no sense.": {"last": "leaky"},
        "The last layer has no bend at all: abundances must not be negative.": {"last": "none"},
        "You end with a softmax; that is the interpretable form.": {"last": "softmax"},
        "You left the biases out.": {"bias": 0.0},
        "The MSI is re-injected as it is, not bent.": {"bent": True},
    }
    for reveals, turn in wrong_turns.items():
        if np.allclose(found, _encoder(z, weights, biases, **turn), rtol=1e-6, atol=1e-9):
            raise WrongAnswer(reveals)
    raise WrongAnswer(
        "Linear map, leaky ReLU, put the MSI beside the result, and again; after the fifth "
        "linear map a plain ReLU."
    )


def _example(rng, msi_bands=3, channels=5, pixels=7):
    """MSI pixels and random layers; values of both signs, so that every bend shows."""
    inputs = [msi_bands, *(width + msi_bands for width in _WIDTHS)]
    shapes = list(zip([*_WIDTHS, channels], inputs, strict=True))
    weights = [rng.standard_normal(shape) / np.sqrt(shape[1]) for shape in shapes]
    biases = [0.3 * rng.standard_normal(out) for out, _ in shapes]
    return rng.standard_normal((pixels, msi_bands)), weights, biases


def _encoder(z, weights, biases, *, slope=0.2, last="relu", bias=1.0, first=False, bent=False):
    """The encoder, and with other settings the usual mistakes."""
    bend = lambda u: np.where(u > 0, u, slope * u)  # noqa: E731
    u = z @ weights[0].T + bias * biases[0]
    for weight, b in zip(weights[1:], biases[1:], strict=True):
        again = bend(z) if bent else z
        seen = [again, bend(u)] if first else [bend(u), again]
        u = np.concatenate(seen, axis=1) @ weight.T + bias * b
    if last == "softmax":
        e = np.exp(u - u.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    return {"relu": np.maximum(u, 0), "leaky": np.where(u > 0, u, 0.2 * u), "none": u}[last]
