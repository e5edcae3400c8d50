"""Plausible reflectance spectra from closed forms, for the embedded scene.

Each material is a smooth continuum times a few absorptions at the wavelengths where nature puts
them: chlorophyll near 450 and 670 nm, the red edge near 715 nm, leaf water near 970, 1200, 1450 and
1940 nm, iron oxide near 870 nm, clay near 2200 nm, cellulose near 2100 nm, carbonate near 2330 nm
[clark1999]_.
"""

import numpy as np


def _edge(wavelengths, centre, width):
    """A smooth step from 0 to 1 at ``centre``."""
    return 1 / (1 + np.exp(-(wavelengths - centre) / width))


def _absorption(wavelengths, *lines):
    """exp(-sum depth exp(-((nm - centre) / width)^2 / 2)) for lines (centre, width, depth)."""
    depth = sum(d * np.exp(-0.5 * ((wavelengths - c) / w) ** 2) for c, w, d in lines)
    return np.exp(-depth)


def _leaf(nm, chlorophyll, water, plateau):
    pigment = _absorption(nm, (450, 50, 1.9 * chlorophyll), (670, 32, 2.4 * chlorophyll))
    visible = 0.16 * pigment * (1 - _edge(nm, 715, 12))
    infrared = plateau * _edge(nm, 715, 12) * _absorption(nm, (2300, 500, 0.55))
    # Liquid water: weak bands inside WorldView-2's reach stay fixed, the strong ones dry out.
    fixed = _absorption(nm, (970, 25, 0.06))
    strong = _absorption(
        nm, (1200, 45, 0.25 * water), (1450, 90, 1.2 * water), (1940, 130, 1.8 * water),
        (1700, 500, 0.35 * water),
    )  # fmt: skip
    beyond = _edge(nm, 1140, 8) * (
        nm > 1100
    )  # exactly 1 below: metamers to a sensor that ends there
    return (visible + infrared) * fixed * strong**beyond


def _iron_red(nm):
    return 0.07 + 0.31 * _edge(nm, 585, 24) * _absorption(nm, (870, 70, 0.22))


def _tile(nm):
    return _iron_red(nm) * _absorption(nm, (1415, 35, 0.25), (1915, 55, 0.4), (2205, 40, 0.55))


def _painted_metal(nm):
    change = _edge(nm, 1260, 30) * (nm > 1100)  # the same red below, another body beyond
    body = 0.56 * _absorption(nm, (1725, 45, 0.45), (2310, 70, 0.8))
    return _iron_red(nm) * (1 - change) + body * change


def _soil(nm, brightness, iron, moisture):
    rise = brightness * (0.18 + 0.82 * (1 - np.exp(-(nm - 380) / 650)))
    red = _absorption(nm, (530, 60, 0.8 * iron), (870, 70, 0.4 * iron))
    wet = _absorption(nm, (1450, 90, 0.9 * moisture), (1940, 120, 1.3 * moisture))
    return rise * red * wet * _absorption(nm, (1415, 40, 0.1), (1915, 60, 0.25), (2205, 40, 0.25))


def _straw(nm):
    rise = 0.08 + 0.38 * _edge(nm, 640, 90)
    return rise * _absorption(
        nm, (1450, 90, 0.35), (1940, 110, 0.6), (2100, 60, 0.3), (2310, 50, 0.25)
    )


def _concrete(nm):
    rise = 0.24 + 0.10 * _edge(nm, 520, 60)
    return rise * _absorption(nm, (1940, 90, 0.2), (2335, 40, 0.3))


def _gravel(nm):
    return 0.17 + 0.06 * _edge(nm, 610, 70) * _absorption(nm, (2250, 50, 0.1))


def _asphalt(nm):
    return 0.06 + 0.05 * (nm - 400) / 2000


def _water(nm, depth, sediment):
    column = np.exp(-(((nm - 500) / 130) ** 2) / 2) * (1 - _edge(nm, 720, 20))
    load = _edge(nm, 560, 25) * (1 - _edge(nm, 780, 30)) * _absorption(nm, (670, 20, 0.3))
    return 0.004 + depth * column + sediment * load


def _shade(nm):
    return 0.012 * (400 / nm) ** 1.5  # skylight: weak and blue


MATERIALS = {
    "irrigated crop": lambda nm: _leaf(nm, 1.0, 1.7, 0.48),
    "stressed crop": lambda nm: _leaf(nm, 1.0, 0.1, 0.48),
    "clay tile": _tile,
    "painted metal": _painted_metal,
    "broadleaf trees": lambda nm: _leaf(nm, 1.4, 1.0, 0.40),
    "conifers": lambda nm: _leaf(nm, 1.1, 0.9, 0.26),
    "straw": _straw,
    "pale soil": lambda nm: _soil(nm, 0.44, 0.2, 0.0),
    "moist soil": lambda nm: _soil(nm, 0.24, 0.3, 0.6),
    "red soil": lambda nm: _soil(nm, 0.40, 0.6, 0.1),
    "concrete": _concrete,
    "gravel": _gravel,
    "asphalt": _asphalt,
    "clear water": lambda nm: _water(nm, 0.06, 0.0),
    "muddy water": lambda nm: _water(nm, 0.03, 0.07),
    "shade": _shade,
}

METAMERS = (("irrigated crop", "stressed crop"), ("clay tile", "painted metal"))


def endmembers(wavelengths):
    """Reflectance of every material, (materials, bands), at these wavelengths in nm.

    Examples
    --------
    >>> endmembers(np.array([550.0, 850.0])).shape
    (16, 2)
    """
    nm = np.asarray(wavelengths, dtype=np.float64)
    names = list(MATERIALS)
    voice = {name: index for index, name in enumerate(names)}
    voice.update({second: voice[first] for first, second in METAMERS})  # twins share theirs
    return np.array([MATERIALS[name](nm) * _fine_structure(nm, voice[name]) for name in names])


def _fine_structure(nm, voice):
    """Pigments' ripple of one or two per cent, each material its own, fading into the infrared."""
    slow, fast = 83 + 9 * (voice % 5), 61 + 5 * (voice % 7)  # periods in nm
    ripple = np.sin(2 * np.pi * nm / slow + voice) + np.cos(2 * np.pi * nm / fast + 2 * voice)
    return 1 + 0.035 * np.exp(-nm / 600) * ripple
