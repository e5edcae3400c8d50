"""Every page of the built site opens, complete, by itself, and fit to be read."""

import json
import re
import urllib.parse
from html.parser import HTMLParser

import pytest


def test_every_entry_of_the_table_of_contents_is_a_page(site, pages):
    """The names after file: and root: in _toc.yml are exactly the pages that were built."""
    toc = (site.parents[1] / "_toc.yml").read_text("utf-8")
    wanted = {f"{name}.html" for name in re.findall(r"(?:file|root): *(\S+)", toc)}
    assert wanted == set(pages)


def test_page_opens_without_a_fault_or_another_host(visit, page_name):
    """No console message, failed request, error status or request that leaves the site."""
    assert visit(page_name).faults == []


def test_chapter_works_from_the_disk(visit, site, chapter_name):
    """A reader who unpacks the site and opens a file gets pictures and mathematics, too."""
    one = visit(chapter_name, base=site.as_uri())
    assert one.faults == []
    assert one.page.locator("mjx-container").count() == one.page.locator(".math").count()
    shown = ".hs-pictures > img:not([hidden])"
    for figure in one.page.locator("figure.hs-frames").all():
        before = figure.locator(shown).get_attribute("src")
        for control in figure.locator("input:is([type=range], :checked)").all():
            control.press("Home")
            control.press("ArrowRight")
            moved = figure.locator(shown).get_attribute("src") != before
            control.press("ArrowRight")
            assert moved or figure.locator(shown).get_attribute("src") != before


def test_mathematics_is_typeset(visit, page_name):
    """Each formula became a MathJax container, and none holds an error."""
    page = visit(page_name).page
    formulas = page.locator(".math").count()
    assert page.locator("mjx-container").count() >= formulas
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert "\\(" not in page.locator("article").inner_text()


def test_no_stored_error_is_published(visit, page_name):
    """A cell that failed when the notebook ran shows a traceback; a page must have none."""
    page = visit(page_name).page
    assert page.locator(".output.traceback, .output.stderr").count() == 0


def test_every_picture_has_words(visit, page_name):
    """Each image says what it shows (an empty alt text hides it from a screen reader)."""
    page = visit(page_name).page
    alts = page.locator("article img").evaluate_all("all => all.map(i => i.alt.trim())")
    assert [n for n, alt in enumerate(alts) if len(alt) < 5] == []


def test_every_picture_is_there(visit, page_name):
    """Each image decodes to pixels."""
    page = visit(page_name).page
    broken = page.evaluate(
        """async () => {
            const images = [...document.querySelectorAll("article img")];
            const works = await Promise.all(images.map(i => i.decode().then(() => 1, () => 0)));
            return images.filter((_, n) => !works[n]).map(i => i.alt);
        }"""
    )
    assert broken == []


def test_solutions_are_folded_and_open_on_a_click(visit, page_name):
    """A solution cannot be seen until its summary, which says so, is clicked."""
    page = visit(page_name).page
    for solution in page.locator("details.hs-solution, .tag_solution details").all():
        content = solution.locator("> :not(summary)").first
        summary = solution.locator("summary")
        assert "solution" in summary.inner_text().lower()
        assert not content.is_visible()
        summary.click()
        assert content.is_visible()
        summary.click()


def test_no_solution_stands_open(visit, page_name):
    """Every cell tagged solution lies inside a fold."""
    page = visit(page_name).page
    cells = page.locator(".cell.tag_solution")
    assert cells.count() == page.locator(".cell.tag_solution > details").count()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_phone_page_does_not_scroll_sideways(visit, page_name, dark):
    """At 390 pixels the page is as wide as the screen; wide code scrolls inside its own box."""
    page = visit(page_name, screen="phone", dark=dark).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_code_of_76_characters_fits_the_column(visit, page_name):
    """On a desktop a code cell shows a line of 76 characters without a scrollbar."""
    fits = """all => all.map(pre => {
        const probe = pre.cloneNode();
        probe.textContent = "0".repeat(76);
        pre.after(probe);
        const fits = probe.scrollWidth <= probe.clientWidth;
        probe.remove();
        return fits;
    })"""
    page = visit(page_name).page
    assert all(page.locator(".cell:not(.tag_solution) .cell_input pre").evaluate_all(fits))


def test_search_finds_a_page_by_a_word_of_its_title(visit, site, pages):
    """Search answers without a server, with a link to the page."""
    title = re.search(r"<h1>(.*?)<", (site / pages[-1]).read_text("utf-8"))[1]
    word = max(re.findall(r"[A-Za-z]+", title), key=len)
    one = visit(f"search.html?q={word}")
    results = one.page.locator("#search-results li a")
    results.first.wait_for()
    targets = results.evaluate_all("all => all.map(a => new URL(a.href).pathname.slice(1))")
    assert pages[-1] in targets
    assert one.faults == []


class Links(HTMLParser):
    """Addresses of all links of a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        if tag == "a" and dict(attributes).get("href"):
            self.found.append(dict(attributes)["href"])


def test_links_inside_the_site_lead_somewhere(site, page_name):
    """Each relative link names a file of the site and, with #, an element of it."""
    links = Links()
    text = (site / page_name).read_text("utf-8")
    links.feed(text)
    lost = []
    for link in links.found:
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc or link == "#":
            continue
        target = (site / page_name).parent / urllib.parse.unquote(parts.path)
        target = target if parts.path else site / page_name
        if not target.is_file():
            lost.append(link)
        elif parts.fragment and f'id="{parts.fragment}"' not in target.read_text("utf-8"):
            lost.append(link)
    assert lost == []


def test_chapter_offers_its_student_copy(visit, chapter_name):
    """The link under the title gives a notebook in which no cell is tagged as a solution."""
    page = visit(chapter_name).page
    with page.expect_download() as download:
        page.locator(".hs-student a").click()
    with open(download.value.path(), encoding="utf-8") as file:
        notebook = json.load(file)
    tags = [tag for cell in notebook["cells"] for tag in cell["metadata"].get("tags", [])]
    assert notebook["cells"] and "solution" not in tags
