"""Sliders that move in Jupyter and on a page without a server.

:func:`frames` draws every point of a grid of settings once. Jupyter shows ipywidgets that call the
drawing function again; the published page shows the stored pictures, moved by native inputs and
the few lines of ``frames.js``. :func:`show` displays a single figure. Every picture has a text for
those who cannot see it.
"""

import html
import itertools
import json
import re

import numpy as np

from hsisr_lite import encoding
from hsisr_lite.arrays import InputError

MOST_FRAMES = 400
PLAY_FROM = 5  # values on the longest axis below which a Play button is no help


def show(figure, *, alt):
    """Display one figure, the same in Jupyter and on the page, and close it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What the picture shows, for readers who cannot see it; not empty.

    Raises
    ------
    InputError
        ``figure`` is not a figure, or ``alt`` is empty.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> show(plt.figure(), alt="An empty figure.")
    <figure: An empty figure.>
    """
    from IPython.display import display  # here, so that the shell command starts without IPython

    alt = checked_alt(alt)
    picture, _ = encoding.encode(figure)
    encoding.close(figure)
    display(_Shown(f'<figure class="hs-figure">{picture.html(alt)}</figure>', alt))


def frames(draw, *, alt, labels=None, start=None, **grids):
    """Draw a figure for every combination of settings, to be moved with sliders.

    Parameters
    ----------
    draw : callable
        ``draw(**values)`` returns a matplotlib Figure of one fixed size; it is closed afterwards.
    alt : callable or str
        ``alt(**values)`` describes one picture in words; a string is completed by the values.
    labels : dict of str, optional
        Words for a grid's name, with the unit in brackets: ``{"sigma": "PSF width (pixels)"}``.
    start : dict, optional
        The value to begin with, per grid; default the first.
    **grids : sequence
        The values of each setting: numbers or strings. At most 400 combinations.

    Returns
    -------
    frames : Frames
        Displays itself when it is the last line of a cell.

    Raises
    ------
    InputError
        No grid, an empty one, too many combinations, a start that is not in its grid, an empty
        alt text, or a ``draw`` that returns no figure or figures of different sizes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> def draw(sigma):
    ...     figure, axes = plt.subplots(figsize=(3, 2))
    ...     axes.axvline(sigma)
    ...     return figure
    >>> frames(draw, alt=lambda sigma: f"A line at {sigma}.", sigma=[1, 2, 3])
    <frames: 3 pictures over sigma>
    """
    return Frames(draw, alt, labels or {}, start or {}, grids)


class Frames:
    """Pictures over a grid of settings; made by :func:`frames`."""

    def __init__(self, draw, alt, labels, start, grids):
        self.draw = draw
        for name, grid in grids.items():
            if np.ndim(grid) != 1:
                raise InputError(
                    f"the grid of {name} is {grid!r}: a list of values is needed; pass "
                    f"{name}=[...]."
                )
        self.grids = {name: [_plain(value) for value in grid] for name, grid in grids.items()}
        self.labels, self.units = {}, {}
        for name in grids:
            words, unit = re.fullmatch(r"(.*?)(?: \(([^()]+)\))?", labels.get(name, name)).groups()
            self.labels[name], self.units[name] = words, unit
        count = int(np.prod([len(grid) for grid in self.grids.values()]))
        if not grids or count == 0:
            raise InputError(
                f"frames got {len(grids)} grids and {count if grids else 0} combinations: at "
                "least one grid with one value is needed; pass for example sigma=[1, 2, 3]."
            )
        if count > MOST_FRAMES:
            raise InputError(
                f"frames would draw {count} pictures: at most {MOST_FRAMES} fit on a page; give "
                "fewer values per grid."
            )
        for name, value in start.items():
            if _plain(value) not in self.grids.get(name, []):
                raise InputError(
                    f"the start {name}={value!r} is not a point of the grids: one of "
                    f"{self.grids.get(name, list(self.grids))} is needed; add it to the grid."
                )
        self.start = {name: _plain(start.get(name, grid[0])) for name, grid in self.grids.items()}
        self.points = [
            dict(zip(self.grids, values, strict=True))
            for values in itertools.product(*self.grids.values())
        ]
        self.alts = [self._alt_of(alt, point) for point in self.points]
        self.encoding = None  # that of the first picture serves all: no flicker between encodings
        self.pictures = [self._picture(point) for point in self.points]
        self._check_sizes()

    def _picture(self, point):
        figure = self.draw(**point)
        picture, self.encoding = encoding.encode(figure, self.encoding)
        encoding.close(figure)
        return picture

    def _check_sizes(self):
        wanted = (self.pictures[0].width, self.pictures[0].height)
        for point, picture in zip(self.points, self.pictures, strict=True):
            if (picture.width, picture.height) != wanted:
                raise InputError(
                    f"the picture at {point} is {picture.width} x {picture.height} pixels: all "
                    f"need the size of the first, {wanted[0]} x {wanted[1]}; give every figure "
                    "the same figsize."
                )

    def _alt_of(self, alt, point):
        if callable(alt):
            return checked_alt(alt(**point))
        settings = ", ".join(
            f"{self.labels[name]} {self._text(name, point[name])}" for name in point
        )
        return f"{checked_alt(alt).rstrip('.')} ({settings})."

    def _text(self, name, value):
        """Return a value as a reader sees it, with its unit."""
        words = f"{value:g}" if isinstance(value, (int, float)) else str(value)
        return f"{words} {self.units[name]}" if self.units[name] else words

    def _slider_html(self, name):
        grid = self.grids[name]
        index = grid.index(self.start[name])
        texts = [self._text(name, value) for value in grid]
        return (
            f'<label class="hs-slider"><span>{html.escape(self.labels[name])}</span>'
            f'<output aria-live="off">{html.escape(texts[index])}</output>'
            f'<input type="range" min="0" max="{len(grid) - 1}" step="1" value="{index}" '
            f'autocomplete="off" aria-valuetext="{html.escape(texts[index])}" '
            f'data-texts="{html.escape(json.dumps(texts, ensure_ascii=False))}"></label>'
        )

    def _play_html(self):
        lengths = [len(grid) for grid in self.grids.values()]
        if max(lengths) < PLAY_FROM:
            return ""
        return (
            f'<button type="button" class="hs-play" data-axis="{lengths.index(max(lengths))}">'
            "Play</button>"
        )

    def _pictures_html(self):
        shown = self.points.index(self.start)
        images = "".join(
            picture.html(alt, hidden=index != shown)
            for index, (picture, alt) in enumerate(zip(self.pictures, self.alts, strict=True))
        )
        return f'<div class="hs-pictures">{images}</div><p class="hs-status" role="status"></p>'

    def html(self):
        """Return the page's figure: every picture, the inputs, no script.

        The inputs are marked hidden, so that a reader without the page's style and script sees
        the first picture and nothing that does not work.
        """
        sliders = "".join(self._slider_html(name) for name in self.grids)
        return (
            f'<figure class="hs-frames">{self._pictures_html()}'
            f'<div class="hs-controls" hidden>{sliders}{self._play_html()}</div></figure>'
        )

    def widget(self):
        """Return the ipywidgets box whose sliders call ``draw`` again."""
        import ipywidgets  # here, so that only a live kernel pays for it

        sliders = [
            ipywidgets.SelectionSlider(
                options=[(self._text(name, value), value) for value in grid],
                value=self.start[name],
                description=self.labels[name],
                style={"description_width": "initial"},
                layout={"width": "28rem"},
                continuous_update=False,
            )
            for name, grid in self.grids.items()
        ]
        first = self.points.index(self.start)
        view = ipywidgets.HTML(self._live_html(self.start, self.pictures[first]))

        def redraw(_change):
            point = {name: slider.value for name, slider in zip(self.grids, sliders, strict=True)}
            view.value = self._live_html(point, self._picture(point))

        for slider in sliders:
            slider.observe(redraw, names="value")
        return ipywidgets.VBox([*sliders, view])

    def _live_html(self, point, picture):
        return picture.html(self.alts[self.points.index(point)])

    def _repr_mimebundle_(self, include=None, exclude=None):
        bundle = {"text/plain": repr(self), "text/html": self.html()}
        if _kernel_is_live():
            bundle |= self.widget()._repr_mimebundle_() | {"text/plain": repr(self)}
        return bundle

    def __repr__(self):
        return f"<frames: {len(self.points)} pictures over {', '.join(self.grids)}>"


class _Shown:
    """One picture that displays itself."""

    def __init__(self, text, alt):
        self.text, self.alt = text, alt

    def _repr_html_(self):
        return self.text

    def __repr__(self):
        return f"<figure: {self.alt}>"


def checked_alt(alt):
    """Return the alt text on one line, or raise :class:`InputError` when it says nothing.

    Examples
    --------
    >>> checked_alt(' A spectrum  of grass. ')
    'A spectrum of grass.'
    """
    if not isinstance(alt, str) or not alt.strip():
        raise InputError(
            f"the alt text is {alt!r}: a sentence that says what the picture shows is needed; "
            'pass alt="...".'
        )
    return " ".join(alt.split())


def _plain(value):
    """Turn a numpy scalar into the Python number that prints as its value."""
    return value.item() if isinstance(value, np.generic) else value


def _kernel_is_live():
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")
