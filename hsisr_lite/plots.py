"""Figures with one look: labelled axes, shared scales, colours chosen for every eye.

Every function returns a matplotlib Figure and shows nothing; pass it to :func:`hsisr_lite.show`
with a text for readers who cannot see it, or return it from the ``draw`` of
:func:`hsisr_lite.frames`.
"""

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

# Okabe and Ito's eight colours, safe for every kind of colour vision, then muted ones that are
# not: with more than eight lines, markers or labels must tell them apart.
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b8a200", "#000000",
    "#882255", "#44aa99", "#999933", "#aa4499", "#332288", "#117733", "#ddcc77", "#888888",
)  # fmt: skip
# The same method has the same colour and marker in every chapter.
METHOD_STYLES = {
    "bicubic": ("#888888", "o"),
    "regression": ("#0072b2", "s"),
    "regression_residual": ("#d55e00", "D"),
    "regression_quadratic": ("#009e73", "^"),
    "srf_regression": ("#cc79a7", "v"),
    "cnmf": ("#56b4e9", "o"),
    "fuse": ("#e69f00", "P"),
    "hysure": ("#000000", "*"),
    "csu": ("#882255", "X"),
    "scott": ("#117733", "h"),
    "stereo": ("#b8a200", "<"),
    "gsomp": ("#aa4499", ">"),
    "cstf": ("#332288", "p"),
    "daem": ("#ee3377", "d"),
    "daem_published": ("#44aa99", "H"),
    "m2unet": ("#661100", "8"),
    "m2unet_published": ("#999933", "v"),
    "uafl": ("#bb5566", "D"),
    "uafl_published": ("#4477aa", "o"),
}
SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"

_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.dpi": 100,
    "font.size": 9.5,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.fonttype": "path",
}


def new_figure(width=6.4, height=3.2, **subplots):
    """A figure in the book's style, and its axes; sizes in inches.

    Examples
    --------
    >>> figure, axes = new_figure(4, 3, ncols=2)
    >>> len(axes)
    2
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(**subplots)


def nearest_band(wavelengths, wanted):
    """Index of the band whose centre is nearest to ``wanted`` nanometres.

    Examples
    --------
    >>> nearest_band([450, 550, 650], 600)
    1
    """
    return int(np.abs(np.asarray(wavelengths) - wanted).argmin())


def colour_image(cube, wavelengths, centres=(650, 550, 470), *, limits=None):
    """Three bands as a picture with values in [0, 1]; the default bands are natural colour.

    Darkness is common to the three bands and white is each band's own, so that a bright grey roof
    looks grey; a mild gamma opens the shadows. ``limits``, as :func:`colour_limits` returns them,
    let several images share one stretch.

    Examples
    --------
    >>> colour_image(np.ones((4, 5, 3)), [470, 550, 650]).shape
    (4, 5, 3)
    """
    bands = [nearest_band(wavelengths, centre) for centre in centres]
    low, high = colour_limits(cube, wavelengths, centres) if limits is None else limits
    span = np.maximum(high - low, 1e-12)
    return np.clip((cube[..., bands] - low) / span, 0, 1) ** 0.8


def colour_limits(cube, wavelengths, centres=(650, 550, 470)):
    """What :func:`colour_image` shows as black (one number) and as white (one for each band)."""
    shown = cube[..., [nearest_band(wavelengths, centre) for centre in centres]]
    return np.percentile(shown, 0.5), np.percentile(shown, 98, axis=(0, 1))


def infrared_centres(wavelengths):
    """Three centres that show what the eye cannot: short-wave infrared, near infrared and red.

    A scene that ends earlier gets the same split of what it has.

    Examples
    --------
    >>> infrared_centres([400, 900, 2400])
    (2200, 1650, 850)
    """
    last = wavelengths[-1]
    if last > 2150:
        return (2200, 1650, 850)
    return (850, 650, 550) if last > 800 else (last, (last + wavelengths[0]) / 2, wavelengths[0])


def show_images(
    images, *, unit="reflectance", limits=None, diverging=False, columns=None, size=2.4
):
    """Images side by side on one colour scale, with pixel axes and one colour bar.

    Parameters
    ----------
    images : dict of str to array
        Title to (rows, cols) values, or (rows, cols, 3) pictures in [0, 1].
    unit : str
        Label of the colour bar.
    limits : (low, high), optional
        Colour scale; default from the smallest to the largest of all images.
    diverging : bool
        Signed values: a scale centred on zero.
    columns : int, optional
        Pictures per row; default all in one row.
    size : float
        Side of one picture in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    columns = len(images) if columns is None else min(columns, len(images))
    rows = -(-len(images) // columns)
    maps = [np.asarray(image) for image in images.values() if np.ndim(image) == 2]
    if limits is None and maps:
        low, high = min(np.nanmin(m) for m in maps), max(np.nanmax(m) for m in maps)
        limits = (-max(-low, high), max(-low, high)) if diverging else (low, high)
    first = next(iter(images.values()))
    tall = np.clip(np.shape(first)[0] / np.shape(first)[1], 0.4, 2.0)
    figure, axes = new_figure(
        columns * size + 0.9, rows * (size * tall + 0.45), nrows=rows, ncols=columns, squeeze=False
    )
    shown = None
    for place, (title, image) in zip(axes.flat, images.items(), strict=False):
        place.grid(False)
        place.set_title(title)
        place.spines[["right", "top"]].set_visible(True)
        place.tick_params(labelsize=7)
        place.locator_params(integer=True, nbins=6)
        if np.ndim(image) == 3:
            place.imshow(image, interpolation="nearest")
        else:
            colours = colormaps[DIVERGING if diverging else SEQUENTIAL].with_extremes(bad="#bbbbbb")
            shown = place.imshow(
                image, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest"
            )
    for place in axes.flat[len(images) :]:
        place.set_visible(False)
    for place in axes[-1]:
        place.set_xlabel("column (pixels)", fontsize=8)
    for place in axes[:, 0]:
        place.set_ylabel("row (pixels)", fontsize=8)
    if shown is not None:
        figure.colorbar(shown, ax=axes, label=unit, shrink=0.85)
    return figure


def show_spectra(
    wavelengths, spectra, *, ylabel="reflectance", limits=None, colours=PALETTE, width=6.4
):
    """Spectra over wavelength; lines break where bands are missing.

    Parameters
    ----------
    wavelengths : (bands,) array
        Nanometres.
    spectra : dict of str to (bands,) array
        One line each, with its label.
    limits : (low, high), optional
        Of the vertical axis, so that figures can be compared.
    """
    figure, axes = new_figure(width, 3.0)
    for (label, spectrum), colour in zip(spectra.items(), colours, strict=False):
        x, y = break_at_gaps(wavelengths, spectrum)
        axes.plot(x, y, color=colour, label=label, linewidth=1.5)
    axes.set_xlabel("wavelength (nm)")
    axes.set_ylabel(ylabel)
    if limits is not None:
        axes.set_ylim(limits)
    if len(spectra) > 1:
        axes.legend(fontsize=8, ncols=1 + len(spectra) // 6)
    return figure


def break_at_gaps(wavelengths, spectrum):
    """Insert NaN where bands are missing, so that a line does not cross what was not measured.

    Examples
    --------
    >>> break_at_gaps([500, 510, 520, 900], [1, 2, 3, 4])[1]
    array([ 1.,  2.,  3., nan,  4.])
    """
    wavelengths, spectrum = np.asarray(wavelengths, float), np.asarray(spectrum, float)
    steps = np.diff(wavelengths)
    holes = np.flatnonzero(steps > 3 * np.median(steps)) + 1 if len(steps) else []
    return np.insert(wavelengths, holes, np.nan), np.insert(spectrum, holes, np.nan)
