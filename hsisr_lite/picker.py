"""A picture to pick pixels from: each shows its own figure, such as its spectrum, beside it.

The pixels are native radio buttons laid over the image, so that mouse, finger and keyboard all work
on the published page; ``frames.js`` moves the pictures as it does for :mod:`hsisr_lite.widgets`.
"""

import hashlib
import itertools

import numpy as np
from matplotlib.figure import Figure

from hsisr_lite import encoding
from hsisr_lite.arrays import InputError
from hsisr_lite.widgets import Frames, checked_alt


def pixel_picker(image, draw, *, rows, cols, alt, image_alt, start=None):
    """Put a grid of clickable pixels on an image; each shows its own picture beside it.

    Parameters
    ----------
    image : (rows, cols) or (rows, cols, 3) array, or Figure
        An array is shown with its values from 0 to 1; in a Figure the first axes hold the image.
    draw : callable
        ``draw(row, col)`` returns the Figure for one pixel, for example its spectrum.
    rows, cols : sequence of int
        Pixels that can be picked; six by six keeps them large enough for a finger.
    alt : callable or str
        ``alt(row, col)`` describes the picture of one pixel.
    image_alt : str
        What the image shows.
    start : (row, col), optional
        The pixel to begin with; default the first.

    Returns
    -------
    picker : PixelPicker
        Displays itself when it is the last line of a cell.

    Raises
    ------
    InputError
        As :func:`frames`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> def draw(row, col):
    ...     figure, axes = plt.subplots(figsize=(3, 2))
    ...     axes.plot([row, col])
    ...     return figure
    >>> pixel_picker(np.eye(8), draw, rows=[1, 5], cols=[2, 6], alt="A line", image_alt="Eye")
    <frames: 4 pictures over row, col>
    """
    start = dict(zip(("row", "col"), start, strict=True)) if start is not None else {}
    return PixelPicker(image, image_alt, draw, alt, start, {"row": rows, "col": cols})


class PixelPicker(Frames):
    """Pictures over the pixels of an image; made by :func:`pixel_picker`."""

    def __init__(self, image, image_alt, draw, alt, start, grids):
        size = (image.axes[0].images[0].get_array() if isinstance(image, Figure) else image).shape
        for axis, name in enumerate(("row", "col")):
            if not all(0 <= index < size[axis] for index in grids[name]):
                raise InputError(
                    f"the {name}s to pick, {list(grids[name])}, leave the image of {size[0]} x "
                    f"{size[1]} pixels: indices from 0 to {size[axis] - 1} are needed; correct "
                    f"{name}s."
                )
        super().__init__(draw, alt, {"row": "row", "col": "column"}, start, grids)
        figure = image if isinstance(image, Figure) else _image_figure(image)
        figure.canvas.draw()  # settles the layout, and with it where each pixel lies
        self.image_alt = checked_alt(image_alt)
        self.places = self._places(figure)
        self.image, _ = encoding.encode(figure)
        encoding.close(figure)

    def _places(self, figure):
        """Return each point's (left, top, width, height) in percent of the image's figure."""
        to_percent = figure.axes[0].transData + figure.transFigure.inverted()
        rows, cols = self.grids["row"], self.grids["col"]
        x = 100 * to_percent.transform([(col, rows[0]) for col in cols])[:, 0]
        y = 100 - 100 * to_percent.transform([(cols[0], row) for row in rows])[:, 1]
        width, height = _spacing(x), _spacing(y)
        return [
            (left - width / 2, top - height / 2, width, height)
            for top, left in itertools.product(y, x)
        ]

    def html(self):
        """Return the page's figure: the image under its clickable pixels, the picture beside it."""
        name = "hs-" + hashlib.sha256(self._pictures_html().encode()).hexdigest()[:12]
        shown = self.points.index(self.start)
        cells = "".join(
            f'<input type="radio" name="{name}" autocomplete="off" '
            f'aria-label="row {point["row"]}, column {point["col"]}" '
            f'style="left:{left:.2f}%;top:{top:.2f}%;width:{width:.2f}%;height:{height:.2f}%"'
            f"{' checked' if index == shown else ''}>"
            for index, (point, (left, top, width, height)) in enumerate(
                zip(self.points, self.places, strict=True)
            )
        )
        columns = len(self.grids["col"])
        return (
            f'<figure class="hs-frames hs-picker"><div class="hs-image">'
            f"{self.image.html(self.image_alt)}"
            f'<div class="hs-cells" role="radiogroup" aria-label="Pick a pixel" '
            f'data-columns="{columns}" hidden>{cells}</div></div>{self._pictures_html()}</figure>'
        )

    def _live_html(self, point, picture):
        left, top, width, height = self.places[self.points.index(point)]
        ring = (
            f"position:absolute;left:{left + width / 2:.2f}%;top:{top + height / 2:.2f}%;"
            "width:14px;height:14px;margin:-9px;border:2px solid #fff;border-radius:50%;"
            "outline:2px solid #000"
        )
        return (
            '<div style="display:flex;flex-wrap:wrap;gap:1rem"><div style="position:relative">'
            f'{self.image.html(self.image_alt)}<span style="{ring}"></span></div>'
            f"{super()._live_html(point, picture)}</div>"
        )


def _spacing(places):
    """Return the cell size that fills the grid without overlap, in percent."""
    steps = np.abs(np.diff(places))
    return float(steps.min()) if steps.size else 20.0


def _image_figure(image):
    """Return a figure of the image alone, without axes."""
    image = np.asarray(image)
    side = 4.0 / max(image.shape[:2])  # the longer side is 400 CSS pixels
    figure = Figure(figsize=(image.shape[1] * side, image.shape[0] * side))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(image, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    return figure
