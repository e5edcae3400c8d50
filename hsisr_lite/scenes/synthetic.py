"""The embedded scene: a small river valley whose every pixel is known exactly.

Fields, roads, roofs, a river and trees are painted on a grid four times finer than the image;
averaging 4 x 4 fine cells gives abundances with sub-pixel mixing. Relief and texture darken pixels
by adding a *shade* material, so the linear mixing model holds: ``cube == abundances @ endmembers``.

Two pairs of materials are **metamers**: irrigated and water-stressed crop, clay tile and painted
metal. Below 1100 nm their spectra are the same, so no WorldView-2 pixel can tell them apart; only
the LrHSI can.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from hsisr_lite.scenes.scene import Scene
from hsisr_lite.scenes.spectra import MATERIALS, METAMERS, endmembers

_SIZE, _FINE = 96, 4  # pixels along one side; fine cells per pixel
_WATER_BANDS = ((1340, 1440), (1790, 1960))  # nm, where the atmosphere lets nothing through
_CODE = {name: code for code, name in enumerate(MATERIALS)}


def synthetic_wavelengths():
    """Band centres of the embedded scene in nm, every 17.5 nm, without the water bands.

    Examples
    --------
    >>> len(synthetic_wavelengths())
    99
    """
    nm = np.arange(400, 2401, 17.5)
    missing = np.any([(nm > low) & (nm < high) for low, high in _WATER_BANDS], axis=0)
    return nm[~missing]


def synthetic_scene(seed=0):
    """Make the embedded scene, 96 x 96 pixels; the same seed gives the same scene.

    Examples
    --------
    >>> scene = synthetic_scene()
    >>> scene.cube.shape, scene.endmembers.shape
    ((96, 96, 99), (16, 99))
    """
    rng = np.random.default_rng(seed)
    cover = _paint(rng)
    blocks = (_SIZE, _FINE, _SIZE, _FINE)
    hard = np.stack(
        [(cover == code).reshape(blocks).mean(axis=(1, 3)) for code in range(len(MATERIALS))],
        axis=-1,
    )  # (rows, cols, materials)
    light = _light(cover, rng)
    light = light.reshape(blocks).mean(axis=(1, 3))[..., None]  # (rows, cols, 1)
    abundances = _vary(hard, rng) * light
    abundances[..., _CODE["shade"]] += 1 - light[..., 0]
    wavelengths = synthetic_wavelengths()
    spectra = endmembers(wavelengths).astype(np.float32)
    abundances = abundances.astype(np.float32)
    cube = abundances @ spectra
    twins = [_CODE[name] for pair in METAMERS for name in pair]
    return Scene(
        "synthetic",
        cube,
        wavelengths,
        endmembers=spectra,
        abundances=abundances,
        meta={
            "materials": list(MATERIALS),
            "metamers": [list(pair) for pair in METAMERS],
            "metamer_mask": hard[..., twins].sum(axis=-1) > 0.5,
            "units": "reflectance",
            "pixel_size_m": 2.0,
            "licence": "BSD-3-Clause, part of this package",
            "citation": "made by hsisr_lite.scenes.synthetic",
        },
    )


def _paint(rng):
    """Material codes on the fine grid, (rows, cols) = 4 x 96 squared."""
    side = _SIZE * _FINE
    y, x = np.mgrid[:side, :side] / _FINE  # in pixels of the scene
    cover = np.full((side, side), _CODE["pale soil"])

    # Fields, some of them sown in strips a few pixels wide; water decides which strip is irrigated.
    fields = (
        (0, 40, 0, 34, "irrigated crop", "stressed crop", 2.6, 20.0),
        (0, 24, 38, 62, "straw", "pale soil", 7.0, 90.0),
        (58, 96, 0, 30, "stressed crop", "irrigated crop", 3.2, 75.0),
        (44, 56, 0, 30, "straw", "straw", 9.0, 0.0),
        (26, 42, 38, 62, "pale soil", "straw", 5.0, 45.0),
        (66, 96, 72, 96, "straw", "pale soil", 12.0, 10.0),
    )
    for top, bottom, left, right, one, other, strip, turn in fields:
        inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
        across = x * np.sin(np.deg2rad(turn)) + y * np.cos(np.deg2rad(turn))
        wobble = 0.5 * np.sin(x / 5 + top) + 0.5 * np.sin(y / 7 + left)
        first = ((across + wobble) // strip) % 2 == 0
        cover[inside & first] = _CODE[one]
        cover[inside & ~first] = _CODE[other]

    # The river, and the wood along it.
    middle = 50 + 6 * np.sin(x / 11) + 0.12 * x
    cover[np.abs(y - middle - 4) < 9 * (x > 30) * np.clip((x - 30) / 8, 0, 1)] = _CODE[
        "broadleaf trees"
    ]
    cover[np.abs(y - middle - 4) < 3.4 + 0.6 * np.sin(x / 6)] = _CODE["clear water"]

    # Roads: two straight ones and a lane.
    cover[np.abs(x - 36 - 0.06 * y) < 1.3] = _CODE["asphalt"]
    cover[np.abs(y - 84 + 0.25 * (x - 30)) < 1.0] = _CODE["asphalt"]
    cover[(np.abs(x - 66) < 0.8) & (y < 44)] = _CODE["asphalt"]

    # The village: small roofs, tile and painted metal side by side, and yards of concrete.
    for row in range(5):
        for col in range(4):
            cy = 4.5 + 8.4 * row + rng.uniform(-0.8, 0.8)
            cx = 72 + 7.2 * col + rng.uniform(-0.8, 0.8)
            turn = np.deg2rad(rng.uniform(-25, 25))
            along = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
            across = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
            half, deep = rng.uniform(1.8, 2.9), rng.uniform(1.4, 2.2)
            yard = (np.abs(along) < half + 0.9) & (np.abs(across) < deep + 0.9)
            cover[yard] = _CODE["concrete"]
            roof = (np.abs(along) < half) & (np.abs(across) < deep)
            cover[roof] = _CODE["clay tile" if rng.random() < 0.5 else "painted metal"]

    # Single trees in the open land south of the river.
    for _ in range(26):
        cy, cx, radius = rng.uniform(72, 95), rng.uniform(38, 70), rng.uniform(0.8, 2.2)
        cover[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = _CODE["broadleaf trees"]
    return cover


def _vary(shares, rng):
    """Let every cover drift towards its relatives, (rows, cols, materials) to the same.

    Real materials are never one spectrum: soil is here moist, there red; crops let soil shine
    through.
    """
    drifts = (
        (("pale soil",), "moist soil", 0.6),
        (("pale soil",), "red soil", 0.3),
        (("straw",), "pale soil", 0.5),
        # Twins drift alike, or the MSI would see which is which.
        (("irrigated crop", "stressed crop"), "pale soil", 0.3),
        (("irrigated crop", "stressed crop"), "straw", 0.3),
        (("irrigated crop", "stressed crop"), "red soil", 0.25),
        (("clay tile", "painted metal"), "asphalt", 0.4),
        (("broadleaf trees",), "conifers", 0.5),
        (("asphalt",), "gravel", 0.5),
        (("concrete",), "gravel", 0.3),
        (("clear water",), "muddy water", 0.4),
    )
    varied = shares.copy()
    for covers, other, most in drifts:
        field = gaussian_filter(rng.standard_normal(shares.shape[:2]), 2.5)
        share = most * np.clip(0.5 + 0.8 * field / field.std(), 0, 1)
        for one in covers:
            moved = varied[..., _CODE[one]] * share
            varied[..., _CODE[one]] -= moved
            varied[..., _CODE[other]] += moved
    return varied


def _light(cover, rng):
    """Share of sunlight on the fine grid, in (0, 1]: relief, then the grain of each material."""
    side = cover.shape[0]
    y, x = np.mgrid[:side, :side] / side
    relief = 0.90 + 0.07 * np.sin(5.2 * x + 2.1 * y) * np.cos(3.3 * y)
    soft = gaussian_filter(rng.standard_normal((side, side)), 3.0)
    grain = rng.standard_normal((side, side))
    rough = np.full(len(MATERIALS), 0.03)
    rough[_CODE["broadleaf trees"]], rough[_CODE["clear water"]] = 0.16, 0.005
    texture = 0.6 * soft / soft.std() + 0.4 * grain
    return np.clip(relief + rough[cover] * texture, 0.15, 1.0)
