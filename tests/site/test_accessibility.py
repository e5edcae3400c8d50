"""The site can be read by everyone: axe-core on each page, and figures in the dark."""

import pytest

# Faults of the tools themselves, which this book cannot mend: the theme's search dialog, header
# buttons and side bars; the roles that docutils gives to a bibliography.
TOOLS_OWN = [
    ["#pst-search-dialog"],
    [".bd-sidebar-primary"],
    [".bd-sidebar-secondary"],
    [".bd-header-article"],
    [".citation-list"],
]
MODES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


@MODES
def test_axe_finds_no_fault(visit, page_name, dark):
    """WCAG A and AA rules hold on the page, parts that the tools make aside."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(page_name, dark=dark).page
    found = axe.run(
        page,
        context={"exclude": TOOLS_OWN},
        # Without preload axe fetches nothing, so the test of requests sees only the page's own.
        options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "preload": False},
    )
    faults = [
        f"{fault['id']}: {node['html'][:160]}"
        for fault in found.response["violations"]
        for node in fault["nodes"]
    ]
    assert faults == []


@MODES
def test_figures_keep_their_light_ground(visit, page_name, dark):
    """A figure is drawn with black on white, so white it stays: no filter, no dimming."""
    page = visit(page_name, dark=dark).page
    styles = page.locator("figure.hs-figure img, figure.hs-frames img").evaluate_all(
        "all => all.map(i => [getComputedStyle(i).backgroundColor, getComputedStyle(i).filter])"
    )
    assert all(style == ["rgb(255, 255, 255)", "none"] for style in styles)


def test_dark_mode_is_dark_and_light_mode_is_light(visit, page_name):
    """The ground follows the reader's system: near black, or white."""
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert max(visit(page_name, dark=True).page.evaluate(ground)) < 60
    assert min(visit(page_name).page.evaluate(ground)) > 240
