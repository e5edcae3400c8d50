"""Pictures over a grid: what the page receives, and that it is always the same."""

import io
import json
import re
import urllib.parse
from html.parser import HTMLParser
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

import hsisr_lite as hl
from hsisr_lite import encoding, widgets


def draw_line(sigma=1.0, band=0):
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([0, sigma, band])
    return figure


def draw_noise(seed):
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.imshow(np.random.default_rng(seed).random((40, 40)))
    return figure


def elements(text, wanted):
    """Attributes of every element called ``wanted``, in order."""
    found = []

    class Collector(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag == wanted:
                found.append(dict(attributes))

    Collector().feed(text)
    return found


def test_there_is_one_picture_per_combination_and_the_last_grid_varies_fastest():
    text = hl.frames(
        draw_line, alt=lambda sigma, band: f"at {sigma}, {band}", sigma=[1, 2], band=[3, 4, 5]
    ).html()
    alts = [image["alt"] for image in elements(text, "img")]
    assert alts == [f"at {sigma}, {band}" for sigma in (1, 2) for band in (3, 4, 5)]
    assert [s["max"] for s in elements(text, "input")] == ["1", "2"]


def test_only_the_start_is_shown():
    text = hl.frames(draw_line, alt="A line", sigma=[1, 2, 3], start={"sigma": 2}).html()
    assert ["hidden" in image for image in elements(text, "img")] == [True, False, True]
    assert elements(text, "input")[0]["value"] == "1"


def test_values_are_written_with_their_unit():
    grid = np.array([0.5, 1.0, 2.0])  # numpy numbers print as numbers
    text = hl.frames(draw_line, alt="A line", labels={"sigma": "width (pixels)"}, sigma=grid).html()
    slider = elements(text, "input")[0]
    assert json.loads(slider["data-texts"]) == ["0.5 pixels", "1 pixels", "2 pixels"]
    assert slider["aria-valuetext"] == "0.5 pixels"
    assert elements(text, "img")[1]["alt"] == "A line (width 1 pixels)."


def test_play_appears_only_on_a_long_axis_and_drives_it():
    short = hl.frames(draw_line, alt="A line", sigma=[1, 2], band=[1, 2, 3, 4]).html()
    long = hl.frames(draw_line, alt="A line", sigma=[1, 2], band=[1, 2, 3, 4, 5]).html()
    assert elements(short, "button") == []
    assert elements(long, "button")[0]["data-axis"] == "1"


@pytest.mark.parametrize(
    ("draw", "grid"), [(draw_line, {"sigma": [1, 2]}), (draw_noise, {"seed": [1, 2]})]
)
def test_the_same_grid_gives_the_same_bytes(draw, grid):
    """Otherwise every run of a notebook would change its file."""
    assert hl.frames(draw, alt="x", **grid).html() == hl.frames(draw, alt="x", **grid).html()


@pytest.mark.parametrize("figure", [lambda: draw_line(), lambda: draw_noise(0)])
def test_the_shortest_encoding_is_chosen(figure):
    lengths = {
        name: len(encoding.encode(figure(), name)[0].address)
        for name in ("svg", "lossy", "lossless")
    }
    picture, chosen = encoding.encode(figure())
    assert len(picture.address) == lengths[chosen] == min(lengths.values())
    plt.close("all")


def test_shortened_svg_draws_the_same_picture():
    """Shortening rounds to hundredths of a point and drops nothing that is drawn."""
    figure = draw_line()
    with mpl.rc_context(encoding._REPEATABLE):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg")
    plt.close(figure)
    short = urllib.parse.unquote(encoding.encode(figure, "svg")[0].address.partition(",")[2])
    before, after = (ElementTree.fromstring(text) for text in (buffer.getvalue(), short))

    def numbers(root):
        paths = [e.get("d") for e in root.iter() if e.get("d")]
        return [float(n) for path in paths for n in re.findall(r"-?[\d.]+", path)]

    assert numbers(after) == pytest.approx(numbers(before), abs=0.01)
    for shape in ("path", "use", "clipPath"):
        assert len(list(after.iter(f"{{*}}{shape}"))) == len(list(before.iter(f"{{*}}{shape}")))


def test_all_pictures_of_a_grid_share_one_encoding_and_size():
    pictures = hl.frames(draw_line, alt="x", sigma=[1, 2, 3]).pictures
    assert len({picture.address[:16] for picture in pictures}) == 1
    assert {(picture.width, picture.height) for picture in pictures} == {(300, 200)}


def test_addresses_cannot_break_out_of_the_attribute():
    """An SVG holds quotes, number signs and brackets: none may end the attribute or the address."""
    for address in (encoding.encode(draw_line(), name)[0].address for name in ("svg", "lossy")):
        assert not re.search(r'["<>#\s]', address.replace(" ", ""))


def test_labels_and_alt_texts_are_escaped():
    text = hl.frames(
        lambda kind: draw_line(), alt='<b> & "x"', labels={"kind": "a<b"}, kind=["<1>"]
    ).html()
    assert elements(text, "b") == []
    assert elements(text, "img")[0]["alt"] == '<b> & "x" (a<b <1>).'


def test_every_figure_is_closed():
    before = plt.get_fignums()
    hl.frames(draw_line, alt="x", sigma=[1, 2, 3])
    hl.show(draw_line(), alt="A line.")
    assert plt.get_fignums() == before


def test_jupyter_receives_sliders_that_draw_again(monkeypatch):
    """In a live kernel the bundle holds the page's figure and a widget; moving it calls draw."""
    calls = []

    def draw(sigma):
        calls.append(sigma)
        return draw_line(sigma)

    made = hl.frames(draw, alt="A line", sigma=[1, 2, 3])
    assert "application/vnd.jupyter.widget-view+json" not in made._repr_mimebundle_()
    monkeypatch.setattr(widgets, "_kernel_is_live", lambda: True)
    bundle = made._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/html"] == made.html()
    *sliders, view = made.widget().children
    calls.clear()
    sliders[0].value = 3
    assert calls == [3]
    assert made.pictures[2].address in view.value


def test_cells_of_the_picker_lie_on_the_pixels_of_the_image():
    """In a picture without axes, pixel (row, col) of an n x m image is centred at (i + 1/2) / n."""
    image = np.zeros((10, 20, 3))
    text = hl.pixel_picker(
        image,
        lambda row, col: draw_line(row, col),
        rows=[2, 7],
        cols=[4, 10, 16],
        alt=lambda row, col: f"{row}, {col}",
        image_alt="Black.",
        start=(7, 10),
    ).html()
    cells = elements(text, "input")
    assert [cell["aria-label"] for cell in cells][:2] == ["row 2, column 4", "row 2, column 10"]
    assert ["checked" in cell for cell in cells].index(True) == 4
    for cell, row, col in zip(cells, [2, 2, 2, 7, 7, 7], [4, 10, 16] * 2, strict=True):
        style = dict(part.split(":") for part in cell["style"].split(";"))
        left, top, width, height = (
            float(style[key].rstrip("%")) for key in ("left", "top", "width", "height")
        )
        # Written with two decimals, so half of the last place per term: 0.01 each.
        assert left + width / 2 == pytest.approx(100 * (col + 0.5) / 20, abs=0.02)
        assert top + height / 2 == pytest.approx(100 * (row + 0.5) / 10, abs=0.02)


def test_cells_of_the_picker_follow_the_axes_of_a_figure():
    """With axes around the image, the places are those of the axes inside the figure."""
    figure = plt.figure(figsize=(4, 4))
    axes = figure.add_axes((0.25, 0.25, 0.5, 0.5))
    axes.imshow(np.zeros((4, 4)), aspect="auto")
    picker = hl.pixel_picker(
        figure, draw_line_at, rows=[0, 3], cols=[0, 3], alt="x", image_alt="Black."
    )
    left, top, width, height = picker.places[0]
    assert (left + width / 2, top + height / 2) == pytest.approx((31.25, 31.25))


def draw_line_at(row, col):
    return draw_line(row, col)


@pytest.mark.parametrize(
    ("grids", "words"),
    [
        ({}, "at least one grid"),
        ({"sigma": []}, "at least one grid with one value"),
        ({"sigma": range(21), "band": range(20)}, "420 pictures: at most 400"),
    ],
)
def test_grids_that_cannot_be_drawn_are_refused(grids, words):
    with pytest.raises(hl.InputError, match=words):
        hl.frames(draw_line, alt="x", **grids)


def test_drawing_faults_are_named():
    with pytest.raises(hl.InputError, match="end the function that draws with 'return figure'"):
        hl.frames(lambda sigma: None, alt="x", sigma=[1])
    with pytest.raises(hl.InputError, match="same figsize"):
        hl.frames(lambda side: plt.figure(figsize=(side, 2)), alt="x", side=[2, 3])
    with pytest.raises(hl.InputError, match="start sigma=9 is not a point"):
        hl.frames(draw_line, alt="x", sigma=[1], start={"sigma": 9})
    plt.close("all")


@pytest.mark.parametrize("alt", ["", "  ", None])
def test_a_picture_without_words_is_refused(alt):
    with pytest.raises(hl.InputError, match="a sentence that says what the picture shows"):
        hl.frames(draw_line, alt=alt, sigma=[1])
    with pytest.raises(hl.InputError, match="a sentence that says what the picture shows"):
        hl.show(draw_line(), alt=alt)
    plt.close("all")


def test_pixels_outside_the_image_are_refused():
    with pytest.raises(hl.InputError, match="indices from 0 to 7 are needed"):
        hl.pixel_picker(np.eye(8), None, rows=[8], cols=[0], alt="a", image_alt="b")


@pytest.mark.parametrize("grid", [3, "abc", [[1, 2]]])
def test_a_grid_is_a_list_of_values(grid):
    with pytest.raises(hl.InputError, match="a list of values is needed"):
        hl.frames(draw_line, alt="A line.", sigma=grid)
