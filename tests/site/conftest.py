"""One browser for all tests of the built site; nothing but the site itself can be reached.

The tests find pages, pictures and widgets in the site, so they hold for chapters yet to be written.
"""

import functools
import http.server
import os
import re
import shutil
import threading
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
SCREENS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


def page_names():
    """Names of all pages of the book: every HTML file but the index, search and redirect."""
    pages = sorted(SITE.glob("book/*.html")) + sorted(SITE.glob("notebooks/*.html"))
    return [str(page.relative_to(SITE)) for page in pages]


def pytest_generate_tests(metafunc):
    # Session scope makes pytest run all tests of one page together: each page is opened once.
    if "page_name" in metafunc.fixturenames:
        metafunc.parametrize("page_name", page_names() or ["nothing built"], scope="session")
    if "chapter_name" in metafunc.fixturenames:
        chapters = [name for name in page_names() if name.startswith("notebooks/")]
        metafunc.parametrize("chapter_name", chapters or ["nothing built"], scope="session")


def pytest_xdist_make_scheduler(config, log):
    """Hand all tests of one page to one process (marks of groups fail: pytest-xdist issue 1386)."""

    class PageByPage(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            found = re.search(r"\[(.*\.html)", nodeid)
            return found[1] if found else nodeid

    return PageByPage(config, log)


@pytest.fixture(scope="session")
def pages(site):
    """Names of all pages of the book."""
    return page_names()


@pytest.fixture(scope="session")
def site():
    """The folder of the built site."""
    if not (SITE / "index.html").is_file():
        pytest.fail("there is no site in _build/html: run 'make book' first.")
    return SITE


@pytest.fixture(scope="session")
def address(site):
    """Serve the site on a free port of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        missing = "Chromium is not installed: apt-get install chromium."
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page in a fresh profile, with everything that went wrong while it was open."""

    def __init__(self, browser, address, *, screen, dark, scripts):
        self.address, self.faults = address, []
        self.context = browser.new_context(
            viewport=SCREENS[screen],
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        self.context.route("**/*", self._only_here)
        self.page = self.context.new_page()
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        self.page.on("requestfailed", lambda it: self.faults.append(f"failed: {it.url[:200]}"))
        self.page.on("response", self._note_response)

    def _only_here(self, route):
        if route.request.url.startswith((self.address, "file:", "data:", "blob:")):
            route.continue_()
        else:
            self.faults.append(f"another host: {route.request.url[:200]}")
            route.abort()

    def _note_console(self, message):
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    def _note_response(self, response):
        if response.status >= 400:
            self.faults.append(f"status {response.status}: {response.url[:200]}")

    def open(self, name, scripts):
        """Open a page of the site and wait until its scripts and its mathematics are done."""
        self.page.goto(f"{self.address}/{name}", wait_until="load")
        if scripts:
            self.page.evaluate("() => window.MathJax ? MathJax.startup.promise : null")


@pytest.fixture(scope="session")
def visit(browser, address):
    """Return a function that opens a page, or finds it open: ``visit(name, dark=True)``.

    Tests share an open page, so each brings its controls to where it needs them first.
    """
    visits, current = {}, None

    def start(name, *, screen="desktop", dark=False, scripts=True, base=address):
        nonlocal current
        if name != current:  # the tests of one page run together; the last page is done
            while visits:
                visits.popitem()[1].context.close()
            current = name
        key = (screen, dark, scripts, base)
        if key not in visits:
            visits[key] = Visit(browser, base, screen=screen, dark=dark, scripts=scripts)
            visits[key].open(name, scripts)
        return visits[key]

    yield start
    for one in visits.values():
        one.context.close()
