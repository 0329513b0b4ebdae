"""The pages as a site: whole, searchable, and with nothing in it from elsewhere."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
from chromium import FLAGS
from conftest import path_of_chromium
from docs_parser import PAGES, ROOT
from playwright.sync_api import sync_playwright

import soe_auth

pytestmark = [
    pytest.mark.posix("Sphinx and Chromium are not among what all systems install"),
    pytest.mark.process,
    pytest.mark.timeout(120),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    recipe = re.search(r"-m sphinx (.*) build/docs\n", (ROOT / "Makefile").read_text())
    assert recipe
    site = tmp_path_factory.mktemp("docs") / "site"
    ran = subprocess.run(
        [sys.executable, "-m", "sphinx", *recipe[1].split(), site],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return site


@dataclass
class Found(HTMLParser):
    """What is in a page: its anchors, its links, and what a browser loads with it."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    description: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta" and ("name", "description") in attrs:
            self.description = dict(attrs)["content"] or ""
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value or "")
            elif name == "href" and tag == "a":
                self.links.append(value or "")
            elif name in {"href", "src", "srcset"}:
                self.loaded.append(value or "")


@cache
def read(page: Path) -> Found:
    found = Found()
    found.feed(page.read_text(encoding="utf-8"))
    return found


def test_every_page_is_there_and_every_link_of_people_and_programs_leads_somewhere(
    built: Path,
) -> None:
    pages = set(built.rglob("*.html"))
    written = {built / page.relative_to(ROOT).with_suffix(".html") for page in PAGES}
    assert written < pages
    assert [page for page in written if not read(page).description] == []
    listed = re.findall(r"^- \[.+\]\((.+)\): .+$", (built / "llms.txt").read_text(), re.MULTILINE)
    assert {built / path for path in listed} | {built / "docs" / "index.html"} == written
    inventory = subprocess.run(
        [sys.executable, "-m", "sphinx.ext.intersphinx", built / "objects.inv"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"^ +soe_auth\.(\w+) +: (\S+)#(\S+)$", inventory.stdout, re.MULTILINE)
    assert {name for name, *_ in found} == {*soe_auth.__all__}
    for _, path, anchor in found:
        assert anchor in read(built / path).anchors
    for page in pages:
        for link in read(page).links + read(page).loaded:
            url = urlsplit(link)
            if not url.scheme:
                target = (page.parent / unquote(url.path)).resolve() if url.path else page
                assert target.is_file(), (page, link)
                assert not url.fragment or url.fragment in read(target).anchors, (page, link)


def test_nothing_is_loaded_from_elsewhere(built: Path) -> None:
    loaded = {(page.name, url) for page in built.rglob("*.html") for url in read(page).loaded}
    assert loaded
    assert [one for one in loaded if "//" in one[1]] == []
    for sheet in built.rglob("*.css"):
        fetched = re.findall(r"""(?:@import|url\()\s*["']?([^"')]*)""", sheet.read_text())
        assert [url for url in fetched if not url.startswith("data:")] == [], sheet


@pytest.fixture
def served(built: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it so
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=built)) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.browser
def test_the_search_finds_a_page_and_asks_nobody_else(served: str) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path_of_chromium(), args=FLAGS)
        page = browser.new_page()
        for variable in ("SOE_AUTH_TOKEN", "SOE_AUTH_CONFIG_DIR"):
            page.goto(f"{served}/search.html?q={variable}")
            results = page.locator("#search-results li a")
            results.first.wait_for()
            assert results.first.inner_text() == "Settings"
        page.goto(f"{served}/docs/tutorial/first-login.html")
        assert page.locator("div.highlight button.copybtn").count()
        assert page.locator("link[rel*=icon]").count() == 1
        page = browser.new_page(viewport={"width": 360, "height": 640})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(served)
        page.wait_for_url("**/docs/index.html")
        page.goto(f"{served}/search.html?q=keyring")
        page.get_by_role("link", name="Keep tokens in the system's keyring").last.click()
        page.get_by_role("heading", level=1).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        browser.close()
    assert [url for url in asked if not url.startswith(f"{served}/")] == []
