"""Figures as text: the smallest picture that a page can carry inside itself.

A figure is written in three encodings and the shortest wins: lossy WebP for smooth pictures,
lossless WebP for flat ones, SVG for the plainest plots. The same figure gives the same bytes.
"""

import base64
import html
import io
import re
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from hsisr_lite.arrays import InputError

CSS_PIXELS_PER_INCH = 100
SHARPNESS = 1.25  # device pixels per CSS pixel: words stay crisp, at 0.4 of the weight of 2
WEBP_QUALITY = 85

# A fixed salt and no date make SVG repeatable; glyphs as paths need no font on the reader's side.
_REPEATABLE = {
    "savefig.bbox": "standard",
    "svg.hashsalt": "hsisr_lite",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Picture:
    """One encoded figure: its data address and its size in CSS pixels."""

    address: str
    width: int
    height: int

    def html(self, alt, *, hidden=False):
        """Return the ``<img>`` element; ``hidden`` for a frame that is not the one on show."""
        return (
            f'<img src="{self.address}" alt="{html.escape(alt)}" width="{self.width}" '
            f'height="{self.height}" decoding="sync"{" hidden" if hidden else ""}>'
        )


def encode(figure, encoding=None):
    """Encode a figure as a data address.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Its size in inches times 100 is its size on the page in CSS pixels.
    encoding : {"svg", "lossy", "lossless"}, optional
        Default: whichever is shortest.

    Returns
    -------
    picture : Picture
    encoding : str
        The encoding used, for the next frames of the same kind.

    Raises
    ------
    InputError
        Not a matplotlib figure.

    Examples
    --------
    >>> figure, axes = plt.subplots(figsize=(4, 3))
    >>> picture, encoding = encode(figure, "svg")
    >>> plt.close(figure)
    >>> encoding, picture.width, picture.height
    ('svg', 400, 300)
    """
    if not isinstance(figure, Figure):
        raise InputError(
            f"the drawing is of type {type(figure).__name__}: a matplotlib Figure is needed; "
            "end the function that draws with 'return figure'."
        )
    writers = {"svg": _svg_address, "lossy": _lossy_address, "lossless": _lossless_address}
    if encoding is not None:
        writers = {encoding: writers[encoding]}
    with mpl.rc_context(_REPEATABLE):
        addresses = {name: write(figure) for name, write in writers.items()}
    shortest = min(addresses, key=lambda name: len(addresses[name]))
    width, height = (round(side * CSS_PIXELS_PER_INCH) for side in figure.get_size_inches())
    return Picture(addresses[shortest], width, height), shortest


def close(figure):
    """Close a figure, so that Jupyter does not show it a second time.

    Examples
    --------
    >>> close(plt.figure())
    """
    plt.close(figure)


def _svg_address(figure):
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Hundredths of a point are invisible. Scales, which have no point as unit, keep their digits.
    for numbers in (r' d="[^"]*"', r' [xy]="[^"]*"', r"translate\([^)]*\)"):
        text = re.sub(numbers, lambda it: re.sub(r"(\.\d\d)\d+", r"\1", it[0]), text)
    text = re.sub(r' d="[^"]*"', lambda it: re.sub(r"\s*([A-Zz])\s*", r"\1", it[0]), text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # nothing refers to a group
    text = re.sub(r"(?<=[:;]) (?=[\w#-])", "", text)
    text = re.sub(r"\s+", " ", text).replace("> <", "><").replace('"', "'").strip()
    # Escape by hand: base64 is a third longer, and a server cannot compress it.
    for mark, code in (("%", "%25"), ("#", "%23"), ("<", "%3C"), (">", "%3E"), ("&", "%26")):
        text = text.replace(mark, code)
    return "data:image/svg+xml," + text


def _lossy_address(figure):
    return _webp_address(figure, quality=WEBP_QUALITY)


def _lossless_address(figure):
    return _webp_address(figure, lossless=True)


def _webp_address(figure, **settings):
    raster, webp = io.BytesIO(), io.BytesIO()
    figure.savefig(
        raster,
        format="png",
        dpi=SHARPNESS * CSS_PIXELS_PER_INCH,
        pil_kwargs={"compress_level": 1},
    )
    Image.open(raster).convert("RGB").save(webp, format="WEBP", method=6, **settings)
    return "data:image/webp;base64," + base64.b64encode(webp.getvalue()).decode("ascii")
