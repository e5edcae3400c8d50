"""How long DAEM learns under each budget."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Steps of a budget.

    ``steps`` of the autoencoder, ``fine_tuning`` of the decoder of a network that was trained on
    other scenes; ``published`` alternations, each on at most ``pixels`` high-resolution pixels.
    """

    steps: int
    fine_tuning: int
    published: int
    pixels: int


PRESETS = {
    "lite": Preset(steps=4000, fine_tuning=500, published=3000, pixels=2048),
    # Published: 32 patches of 128 x 128 pixels, 73 steps in each of 100 epochs
    "paper": Preset(steps=10000, fine_tuning=500, published=7300, pixels=524288),
}
