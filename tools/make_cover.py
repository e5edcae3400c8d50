"""Draw the landing page's picture, book/_static/cover.webp, from the embedded scene.

Three cubes in perspective: coarse with many bands, plus sharp with few, equals sharp with many.
"""

import os
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D
from PIL import Image

from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.psf import gaussian_psf
from hsisr_lite.degradation.srf import sensor_srf
from hsisr_lite.scenes.synthetic import synthetic_scene

TARGET = Path(__file__).resolve().parent.parent / "book" / "_static" / "cover.webp"
RATIO = 8
SIZE = (11.0, 3.9)  # inches; 100 CSS pixels each
SIDE = 2.45  # of a cube's front
LEAN = (0.62, 0.42)  # how far a deep cube recedes, right and up
INK = "#8a949c"  # reads on white and on near-black


def natural_colours(cube, scene):
    """Return (rows, cols, 3) in [0, 1]: red, green, blue, stretched as the sharp scene needs."""
    bands = [int(np.abs(scene.wavelengths - nm).argmin()) for nm in (655, 555, 470)]
    white = np.percentile(scene.cube[..., bands], 98.5, axis=(0, 1))
    return np.clip(cube[..., bands] / white, 0, 1) ** 0.75


def draw_cube(axes, corner, front, top, right, lean):
    """Draw three faces; ``top`` is (bands, cols), ``right`` is (rows, bands)."""
    x, y = corner
    colours = mpl.colormaps["magma"]
    low, high = np.percentile(np.concatenate([top.ravel(), right.ravel()]), (1, 99))
    faces = (
        (front, Affine2D().scale(SIDE, SIDE).translate(x, y)),
        (
            colours((top[::-1] - low) / (high - low))[..., :3],
            Affine2D.from_values(SIDE, 0, lean[0], lean[1], x, y + SIDE),
        ),
        (
            colours((right - low) / (high - low))[..., :3],
            Affine2D.from_values(lean[0], lean[1], 0, SIDE, x + SIDE, y),
        ),
    )
    for pixels, place in faces:
        axes.imshow(
            np.clip(pixels, 0, 1),
            extent=(0, 1, 0, 1),
            interpolation="nearest",
            transform=place + axes.transData,
        )
    outlines = (
        [(0, 0), (SIDE, 0), (SIDE, SIDE), (0, SIDE), (0, 0)],
        [(0, SIDE), (lean[0], SIDE + lean[1]), (SIDE + lean[0], SIDE + lean[1]), (SIDE, SIDE)],
        [(SIDE + lean[0], SIDE + lean[1]), (SIDE + lean[0], lean[1]), (SIDE, 0)],
    )
    for line in outlines:
        points = np.array(line) + corner
        axes.plot(*points.T, color="#10262b", linewidth=1.1, solid_joinstyle="round")


def main():
    scene = synthetic_scene()
    coarse = SpatialOperator(gaussian_psf(RATIO), RATIO).A(scene.cube)
    few = SpectralOperator(sensor_srf("worldview2", scene.wavelengths).srf).A(scene.cube)
    figure = Figure(figsize=SIZE)
    figure.patch.set_alpha(0)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    short = (0.13, 0.09)
    natural = natural_colours(scene.cube, scene)
    blurred = natural_colours(coarse, scene)
    draw_cube(axes, (0.25, 0.75), blurred, coarse[0].T, coarse[:, -1], LEAN)
    draw_cube(axes, (4.25, 0.75), natural, few[0].T, few[:, -1], short)
    draw_cube(axes, (7.75, 0.75), natural, scene.cube[0].T, scene.cube[:, -1], LEAN)
    for x, mark in ((3.75, "+"), (7.28, "=")):
        axes.text(x, 2.0, mark, fontsize=34, color=INK, ha="center", va="center")
    for x, words in (
        (1.5, f"{scene.cube.shape[-1]} bands, {RATIO} times coarser"),
        (5.5, f"{few.shape[-1]} bands, sharp"),
        (9.0, f"{scene.cube.shape[-1]} bands, sharp"),
    ):
        axes.text(x, 0.38, words, fontsize=16, color=INK, ha="center", va="center")
    axes.set_xlim(0, SIZE[0])
    axes.set_ylim(0, SIZE[1])
    raw = TARGET.with_suffix(".png.part")
    figure.savefig(raw, format="png", dpi=200, transparent=True)
    part = TARGET.with_suffix(".webp.part")
    Image.open(raw).save(part, format="WEBP", quality=88, method=6)
    os.replace(part, TARGET)
    raw.unlink()
    print(f"{TARGET.name}: {TARGET.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
