"""The built site: complete, searchable, and without content from other hosts."""

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
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from conftest import made_once, path_of_chromium
from docs_parser import DOCS, PAGES, ROOT

import soe_auth

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    pytest.importorskip("sphinx")  # not installed everywhere
    recipe = re.search(r"-m sphinx (.*) build/docs\n", (ROOT / "Makefile").read_text())
    assert recipe

    def make(site: Path) -> None:
        ran = subprocess.run(
            [sys.executable, "-m", "sphinx", *recipe[1].split(), site],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr

    return made_once(tmp_path_factory, "docs-site", make)


@dataclass
class Found(HTMLParser):
    """The anchors and links of a page, and the files that a browser loads with it."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    icons: list[str] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if "icon" in (values.get("rel") or ""):
            self.icons.append(values["href"] or "")
        if values.get("name") == "description":
            self.descriptions.append(values["content"] or "")
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


def test_every_page_is_built_and_every_link_has_a_target(built: Path) -> None:
    pages = set(built.rglob("*.html"))
    assert {built / page.relative_to(ROOT).with_suffix(".html") for page in PAGES} < pages
    for page in pages:
        for link in read(page).links + read(page).loaded:
            url = urlsplit(link)
            if not url.scheme:
                target = (page.parent / unquote(url.path)).resolve() if url.path else page
                assert target.is_file(), (page, link)
                assert not url.fragment or url.fragment in read(target).anchors, (page, link)


def test_no_page_loads_anything_from_another_host(built: Path) -> None:
    loaded = {(page.name, url) for page in built.rglob("*.html") for url in read(page).loaded}
    assert loaded
    assert [one for one in loaded if "//" in one[1]] == []
    for sheet in built.rglob("*.css"):
        fetched = re.findall(
            r"""(?:@import|url\()\s*["']?([^"')]*)""", sheet.read_text(encoding="utf-8")
        )
        assert [url for url in fetched if not url.startswith("data:")] == [], sheet


def test_every_page_has_an_icon_and_its_own_description(built: Path) -> None:
    pages = [read(built / page.relative_to(ROOT).with_suffix(".html")) for page in PAGES]
    assert {len(page.icons) for page in pages} == {1}
    described = [text for page in pages for text in page.descriptions]
    assert len(described) == len(PAGES) == len(set(described))
    assert all(10 <= len(text) <= 200 for text in described)


def test_llms_txt_links_to_the_source_of_every_page(built: Path) -> None:
    head, *lines = (built / "llms.txt").read_text(encoding="utf-8").splitlines()
    assert head == "# soe-auth"
    listed = dict(re.findall(r"^- \[.+\]\((.+)\): (.+)$", "\n".join(lines), re.MULTILINE))
    index = DOCS / "index.md"
    assert {(built / link).read_bytes() for link in listed} == {
        page.read_bytes() for page in PAGES if page != index
    }
    assert all(listed.values())


def test_another_project_can_link_to_every_public_name(built: Path, tmp_path: Path) -> None:
    kinds = {"soe_auth.get_token": "py:func", "soe_auth.LoginRequired": "py:exc"}
    kinds["soe_auth.sandbox.Sandbox"] = "py:class"
    names = {f"soe_auth.{name}": "py:obj" for name in soe_auth.__all__}
    roles = [f":{role}:`{name}`" for name, role in {**names, **kinds}.items()]
    (tmp_path / "index.rst").write_text("Ours\n====\n\n" + "\n\n".join(roles))
    (tmp_path / "conf.py").write_text(
        "extensions = ['sphinx.ext.intersphinx']\n"
        f"intersphinx_mapping = {{'soe-auth': ('.', {str(built / 'objects.inv')!r})}}\n"
    )
    sphinx = [sys.executable, "-m", "sphinx", "--nitpicky", "--fail-on-warning", "--quiet"]
    ran = subprocess.run(
        [*sphinx, tmp_path, tmp_path / "site"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    links = [link for link in read(tmp_path / "site" / "index.html").links if "docs/" in link]
    assert len(links) == len(roles)
    for link in links:
        page, _, anchor = link.partition("#")
        assert anchor in read(built / page).anchors, link


def test_a_drawing_becomes_a_table_or_list_with_a_caption(built: Path) -> None:
    pages = {page: page.read_text(encoding="utf-8") for page in built.rglob("*.html")}
    assert not [page for page, text in pages.items() if re.search("[│├└]|sequenceDiagram", text)]
    drawn = re.findall(
        r"accTitle: (.+)", "".join(page.read_text(encoding="utf-8") for page in PAGES)
    )
    captions = [one for text in pages.values() for one in re.findall('caption-text">(.+?)</', text)]
    assert drawn
    assert set(drawn) <= set(captions)


@pytest.fixture
def served(built: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it so
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=built)) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def browser() -> Iterator["Browser"]:
    from chromium import FLAGS
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path_of_chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.mark.browser
def test_the_search_finds_a_page_and_contacts_no_other_host(
    served: str, browser: "Browser"
) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 640})
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(served)
    page.wait_for_url("**/docs/index.html")
    page.goto(f"{served}/search.html?q=keyring")
    page.get_by_role("link", name="Keep tokens in the system's keyring").last.click()
    page.get_by_role("heading", level=1).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [url for url in requested if not url.startswith(f"{served}/")] == []


@pytest.mark.browser
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SOE_AUTH_TOKEN", "docs/reference/settings.html"),
        ("SOE_AUTH_CONFIG_DIR", "docs/reference/settings.html"),
        ("get_token", "docs/reference/api.html"),
    ],
)
def test_the_search_for_a_name_finds_its_reference_first(
    query: str, found: str, served: str, browser: "Browser"
) -> None:
    page = browser.new_page()
    page.goto(f"{served}/search.html?q={query}")
    first = page.locator("ul.search li a").first
    assert urlsplit(first.get_attribute("href") or "").path == found


@pytest.mark.browser
def test_a_copy_button_copies_commands_without_their_output(
    served: str, browser: "Browser"
) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{served}/docs/how-to/set-up.html")
    assert page.locator(".highlight-dialogue button").count() == 0
    page.locator(".highlight-console").first.get_by_role("button").focus()
    page.keyboard.press("Enter")
    page.locator("button.success").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == (
        "soe-auth init --site acme.stackenterprise.co --client-id 110 --yes --share"
    )
