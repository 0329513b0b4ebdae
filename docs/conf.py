"""How Sphinx makes a site of the pages, for `make docs`.

Its source is the whole repository: so what lies at the top, such as the README, is a page of the
site as well, and a link leads where it leads on a code host. The pages themselves are plain
Markdown; what Sphinx wants besides is made here.
"""

import html
import importlib
import inspect
import re
import shutil
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.highlighting import lexer_classes

from soe_auth.version import __version__

ROOT = Path(__file__).parent.parent

project = "soe-auth"
author = "The soe-auth authors"
project_copyright = f"2026 {author}"
version = release = __version__

extensions = ["myst_parser", "sphinx_copybutton"]
copybutton_prompt_text = "$ "  # of a terminal, what is typed is copied
copybutton_selector = "div:not(.highlight-dialogue):not(.highlight-text) > div.highlight > pre"
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "build", "dist", "test-artifacts"]  # nor look into them
myst_heading_anchors = 4  # links to headings, as a code host has them
nitpicky = True
smartquotes = False  # what is to be typed may stand outside of code, too

html_theme = "furo"
html_title = f"soe-auth {release}"
pygments_dark_style = "github-dark"  # furo's own underlines modules, as if they were links
html_favicon = "static/favicon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_sourcelink_suffix = ""  # the pages as they are written, which llms.txt leads to
html_show_sourcelink = False

DESCRIPTION = 200  # characters; search engines cut it off about there
SHELVES = {
    "docs/tutorial": "Tutorial",
    "docs/how-to": "How to",
    "docs/reference": "Reference",
    "docs/explanation": "Explanation",
    "docs/decisions": "Decisions",
    "": "The project",
}

# The pages that tell of what is public in these modules.
PUBLIC = {"docs/reference/api": "soe_auth", "docs/reference/pytest": "soe_auth.sandbox"}

descriptions: dict[str, str] = {}  # of pages: how they begin


def shelves() -> dict[str, list[str]]:
    """Return what the index links to, in its order, by the caption of its shelf."""
    text = (ROOT / f"{root_doc}.md").read_text(encoding="utf-8")
    links = dict.fromkeys(re.findall(r"\]\(([^)#]+)\.md", text))
    pages = [(ROOT / "docs" / link).resolve().relative_to(ROOT) for link in links]
    return {
        caption: [page.as_posix() for page in pages if page.parent == Path(folder)]
        for folder, caption in SHELVES.items()
    }


def shelve(_app: Sphinx, page: str, source: list[str]) -> None:
    """Give the index its tables of contents."""
    if page == root_doc:
        for caption, pages in shelves().items():
            head = ["", "", "```{toctree}", ":hidden:", f":caption: {caption}"]
            source[0] += "\n".join([*head, *(f"/{each}" for each in pages), "```", ""])


def tell_drawings(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Tell a sequence diagram, which a code host draws, as a table, and a drawn tree as a list.

    The diagram's title is the caption, so that a screen reader announces what the table is.
    """

    def table(diagram: re.Match[str]) -> str:
        names = dict(re.findall(r"(?:actor|participant) (\w+) as (.+)", diagram[1]))
        arrows = re.findall(r"^ *(\w+)-{1,2}>>(\w+): (.+)$", diagram[1], re.MULTILINE)
        rows = [
            (names[one], names[other] if other != one else "", what) for one, other, what in arrows
        ]
        [title] = re.findall(r"^ *accTitle: (.+)$", diagram[1], re.MULTILINE)
        head = [("who", "to whom", "what"), ("---", "---", "---")]
        lines = [f"| {' | '.join(row)} |" for row in head + rows]
        return "\n".join([f"```{{table}} {title}", *lines, "```"])

    def item(line: re.Match[str]) -> str:
        return f"{' ' * (len(line[1]) // 2)}- `{line[2]}`{line[3] and ': '}{line[3]}"

    def tree(drawn: re.Match[str]) -> str:
        lines = re.sub(r"(?m)^([│├└─ ]*)(\w+) *(.*)$", item, drawn[1])
        return lines if "├" in drawn[1] else drawn[0]

    source[0] = re.sub(r"(?ms)^```mermaid\nsequenceDiagram\n(.*?)^```$", table, source[0])
    source[0] = re.sub(r"(?ms)^```text\n(.*?)^```$", tree, source[0])


def register(app: Sphinx, tree: nodes.document) -> None:
    """Tell the inventory, which other sites link by, and the search what a page has in it."""
    page = app.env.docname
    _whole, *sections = tree.findall(nodes.section)
    if page in PUBLIC:
        module = importlib.import_module(PUBLIC[page])
        for name in module.__all__:
            value = getattr(module, name)
            kind = "function" if inspect.isfunction(value) else "data"
            if inspect.isclass(value):
                kind = "exception" if issubclass(value, BaseException) else "class"
            definition = re.compile(rf"^(?:(?:async )?def |class )?{name}\b", re.MULTILINE)
            places = [each for each in sections if definition.search(each.astext())]
            places += [each for each in sections if name in each.astext()]
            for place in places[:1]:
                full_name = f"{module.__name__}.{name}"
                app.env.domains["py"].note_object(full_name, kind, place["ids"][0])
    if page == "docs/reference/settings":
        for section in sections:
            names = sorted(set(re.findall(r"\bSOE_AUTH_[A-Z_]+", section.astext())))
            entries = [("single", name, section["ids"][0], "main", None) for name in names]
            section.insert(1, addnodes.index(entries=entries))


def describe(
    _app: Sphinx, page: str, _template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    """Give a page the description that a search engine shows: its first sentences."""
    if tree:
        told = [p for p in tree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section)]
        first = told[1 if page.startswith("docs/decisions/") else 0]  # [0] is a decision's state
        sentences = accumulate(first.astext().splitlines(), "{} {}".format)
        *_, descriptions[page] = takewhile(lambda text: len(text) <= DESCRIPTION, sentences)
        content = html.escape(descriptions[page])
        context["metatags"] += f'<meta name="description" content="{content}">\n'


def list_pages(app: Sphinx) -> str:
    """Return llms.txt, by which a program that reads the site finds its pages."""
    lines = [f"# {project}", "", f"> {descriptions[root_doc]}"]
    for caption, pages in shelves().items():
        lines += ["", f"## {caption}", ""]
        for name in [page.removesuffix(".md") for page in pages]:
            title = app.env.titles[name].astext()
            lines.append(f"- [{title}](_sources/{name}.md): {descriptions[name]}")
    return "\n".join([*lines, ""])


def complete(app: Sphinx, problem: Exception | None) -> None:
    """Add what no page of Sphinx's is: the pictures, and a way in from the top."""
    if problem is None:
        site = Path(app.outdir)
        shutil.copytree(ROOT / "docs" / "pictures", site / "docs" / "pictures", dirs_exist_ok=True)
        (site / "index.html").write_text(
            '<!doctype html><html lang="en"><title>soe-auth</title>'
            '<meta http-equiv="refresh" content="0; url=docs/index.html">'
            '<a href="docs/index.html">soe-auth</a></html>\n'
        )
        (site / "llms.txt").write_text(list_pages(app), encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Take part in the build; Sphinx calls this."""
    app.connect("source-read", shelve)
    app.connect("source-read", tell_drawings)
    app.connect("doctree-read", register)
    app.connect("html-page-context", describe)
    app.connect("build-finished", complete)
    lexer_classes["dialogue"] = lexer_classes["none"]  # shown as it is written
    lexer_classes["nu"] = lexer_classes["none"]  # Pygments does not know nushell
