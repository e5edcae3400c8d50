"""Every slider and every pixel picker of the site moves, by hand and by keyboard."""

import hashlib
import json
import math

import pytest

SHOWN = ".hs-pictures > img:not([hidden])"
PICTURES = ".hs-pictures > img"
PLAY_PATIENCE_MS = 60_000  # Play takes 0.35 s a picture, so even a hundred fit


def widgets(page):
    """All moving figures of a page; their number may be zero."""
    return page.locator("figure.hs-frames").all()


def shown(figure):
    """A hash of the one picture on show."""
    pictures = figure.locator(SHOWN)
    assert pictures.count() == 1
    return hashlib.sha256(pictures.get_attribute("src").encode()).hexdigest()


def test_the_site_has_something_to_move(visit, pages):
    """At least one page has a slider: without this line every loop below could be empty."""
    assert any(widgets(visit(name).page) for name in pages)


def test_there_is_one_distinct_picture_per_grid_point(visit, page_name):
    """The pictures are as many as the product of the grids, and no two are the same."""
    for figure in widgets(visit(page_name).page):
        sliders = figure.locator("input[type=range]")
        grids = sliders.evaluate_all("all => all.map(s => Number(s.max) + 1)")
        cells = figure.locator("input[type=radio]").count()
        sources = figure.locator(PICTURES).evaluate_all("all => all.map(i => i.src)")
        assert len(sources) == math.prod(grids) * max(cells, 1)
        assert len(set(sources)) == len(sources)


def test_every_picture_is_reached_with_the_keyboard(visit, page_name):
    """Home, then arrow keys on each slider or pixel, show every stored picture in turn."""
    page = visit(page_name).page
    for figure in widgets(page):
        wanted = figure.locator(PICTURES).count()
        seen = set()
        sliders = figure.locator("input[type=range]").all()
        if sliders:
            walk(page, figure, sliders, seen)
        else:
            pixels = figure.locator("input[type=radio]")
            pixels.first.click()
            for _ in range(wanted):
                seen.add(shown(figure))
                page.keyboard.press("ArrowRight")
        assert len(seen) == wanted


def walk(page, figure, sliders, seen):
    """Visit every combination of the sliders that are left, the first one outermost."""
    if not sliders:
        seen.add(shown(figure))
        return
    sliders[0].focus()
    page.keyboard.press("Home")
    for _ in range(int(sliders[0].get_attribute("max")) + 1):
        walk(page, figure, sliders[1:], seen)
        sliders[0].focus()
        page.keyboard.press("ArrowRight")


def test_slider_follows_the_mouse_and_says_its_value(visit, page_name):
    """A click at the right end shows the last value, in the output and to a screen reader."""
    page = visit(page_name).page
    for figure in widgets(page):
        for slider in figure.locator("input[type=range]").all():
            slider.press("Home")
            first = shown(figure)
            box = slider.bounding_box()
            slider.click(position={"x": box["width"] - 3, "y": box["height"] / 2})
            assert shown(figure) != first
            last = json.loads(slider.get_attribute("data-texts"))[-1]
            output = slider.locator("xpath=..").locator("output")
            assert output.inner_text() == slider.get_attribute("aria-valuetext") == last


def test_play_runs_to_the_last_picture_and_can_be_paused(visit, page_name):
    """Play moves by itself, Pause stops it, and a second Play arrives at the end."""
    page = visit(page_name).page
    for figure in widgets(page):
        play = figure.locator(".hs-play")
        if not play.count():
            continue
        slider = figure.locator("input[type=range]").nth(int(play.get_attribute("data-axis")))
        slider.press("Home")
        start = shown(figure)
        play.click()
        page.wait_for_function("([b]) => b.textContent === 'Pause'", arg=[play.element_handle()])
        play.click()
        assert play.inner_text() == "Play"
        assert shown(figure) != start
        play.click()
        page.wait_for_function(
            "([s, b]) => s.value === s.max && b.textContent === 'Play'",
            arg=[slider.element_handle(), play.element_handle()],
            timeout=PLAY_PATIENCE_MS,
        )


def test_pixel_is_picked_with_the_mouse_and_by_row_with_the_keyboard(visit, page_name):
    """A click shows that pixel's picture; the down arrow goes one row down, not one pixel on."""
    page = visit(page_name).page
    for figure in widgets(page):
        pixels = figure.locator("input[type=radio]")
        if not pixels.count():
            continue
        sources = figure.locator(PICTURES).evaluate_all("all => all.map(i => i.src)")
        columns = int(figure.locator(".hs-cells").get_attribute("data-columns"))
        for index in (pixels.count() - 1, 0):
            pixels.nth(index).click()
            assert figure.locator(SHOWN).get_attribute("src") == sources[index]
        if pixels.count() > columns:
            page.keyboard.press("ArrowDown")
            assert figure.locator(SHOWN).get_attribute("src") == sources[columns]


def test_a_new_picture_is_announced_once_it_stays(visit, page_name):
    """The status line, which screen readers speak, receives the words of the picture on show."""
    page = visit(page_name).page
    for figure in widgets(page):
        sliders, pixels = figure.locator("input[type=range]"), figure.locator("input[type=radio]")
        if sliders.count():
            sliders.last.press("Home")
            sliders.last.press("End")
        else:
            pixels.first.click()
            pixels.last.click()
        expected = figure.locator(SHOWN).get_attribute("alt")
        page.wait_for_function(
            "([status, words]) => status.textContent === words",
            arg=[figure.locator(".hs-status").element_handle(), expected],
        )


@pytest.mark.parametrize("screen", ["desktop", "phone"])
def test_nothing_jumps_when_a_picture_changes(visit, page_name, screen):
    """The figure keeps its height from the first picture to the last."""
    for figure in widgets(visit(page_name, screen=screen).page):
        sliders = figure.locator("input[type=range]").all()
        pixels = figure.locator("input[type=radio]").all()
        heights = set()
        for key, end in (("Home", 0), ("End", -1)):
            for slider in sliders:
                slider.press(key)
            for pixel in pixels[:1] if end == 0 else pixels[-1:]:
                pixel.click()
            heights.add(round(figure.bounding_box()["height"]))
        assert len(heights) == 1


def test_controls_are_large_enough_for_a_finger(visit, page_name):
    """On a phone sliders and buttons are at least 44 pixels high, pixels at least 24 apart."""
    page = visit(page_name, screen="phone").page
    for figure in widgets(page):
        for control in figure.locator("input[type=range], button").all():
            assert control.bounding_box()["height"] >= 44
        for pixel in figure.locator("input[type=radio]").all():
            box = pixel.bounding_box()
            assert min(box["width"], box["height"]) >= 24


def test_first_picture_shows_without_scripts(visit, page_name):
    """Without JavaScript one picture stands and no control pretends to work."""
    for figure in widgets(visit(page_name, scripts=False).page):
        assert figure.locator(SHOWN).count() == 1
        assert figure.locator(SHOWN).is_visible()
        assert not figure.locator("input").first.is_visible()
