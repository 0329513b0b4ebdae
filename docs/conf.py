"""Configuration of Sphinx, which builds the pages as a site: `make docs`.

The source is the whole repository, so that the README and the other pages at its top are part of
the site, and links work as on a code host. The pages are plain Markdown; everything else that
Sphinx needs is generated here.
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
copybutton_prompt_text = "$ "  # copies only the commands of a terminal block
copybutton_selector = "div:not(.highlight-dialogue):not(.highlight-text) > div.highlight > pre"
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "build", "dist", "test-artifacts"]
myst_heading_anchors = 4  # the same anchors of headings as on a code host
nitpicky = True
smartquotes = False  # commands occur outside of code, too

html_theme = "furo"
html_title = f"soe-auth {release}"
pygments_dark_style = "github-dark"  # furo's default underlines modules like links
html_favicon = "static/favicon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_sourcelink_suffix = ""  # llms.txt links to the Markdown sources
html_show_sourcelink = False

DESCRIPTION = 200  # characters; search engines show about as many
SECTIONS = {
    "docs/tutorial": "Tutorial",
    "docs/how-to": "How to",
    "docs/reference": "Reference",
    "docs/explanation": "Explanation",
    "docs/decisions": "Decisions",
    "": "The project",
}

# The pages that document the public names of these modules.
PUBLIC = {"docs/reference/api": "soe_auth", "docs/reference/pytest": "soe_auth.sandbox"}

descriptions: dict[str, str] = {}  # the first sentences of each page


def sections_of_index() -> dict[str, list[str]]:
    """Return the pages that the index links to, in its order, by section caption."""
    text = (ROOT / f"{root_doc}.md").read_text(encoding="utf-8")
    links = dict.fromkeys(re.findall(r"\]\(([^)#]+)\.md", text))
    pages = [(ROOT / "docs" / link).resolve().relative_to(ROOT) for link in links]
    return {
        caption: [page.as_posix() for page in pages if page.parent == Path(folder)]
        for folder, caption in SECTIONS.items()
    }


def add_contents(_app: Sphinx, page: str, source: list[str]) -> None:
    """Add the tables of contents to the index."""
    if page == root_doc:
        for caption, pages in sections_of_index().items():
            head = ["", "", "```{toctree}", ":hidden:", f":caption: {caption}"]
            source[0] += "\n".join([*head, *(f"/{each}" for each in pages), "```", ""])


def replace_drawings(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Replace a sequence diagram by a table, and a tree of box characters by a list.

    A code host draws the diagram; Sphinx does not. The diagram's title becomes the caption, which
    a screen reader reads.
    """

    def table(diagram: re.Match[str]) -> str:
        names = dict(re.findall(r"(?:actor|participant) (\w+) as (.+)", diagram[1]))
        arrows = re.findall(r"^ *(\w+)-{1,2}>>(\w+): (.+)$", diagram[1], re.MULTILINE)
        rows = [
            (names[one], names[other] if other != one else "", text) for one, other, text in arrows
        ]
        [title] = re.findall(r"^ *accTitle: (.+)$", diagram[1], re.MULTILINE)
        head = [("from", "to", "message"), ("---", "---", "---")]
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
    """Add public names to the inventory, and variables to the search index."""
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
            documented = [each for each in sections if definition.search(each.astext())]
            documented += [each for each in sections if name in each.astext()]
            for place in documented[:1]:
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
    """Add the description that a search engine shows: the first sentences of the page."""
    if tree:
        paragraphs = [
            p for p in tree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section)
        ]
        first = paragraphs[1 if page.startswith("docs/decisions/") else 0]  # [0] is its status
        sentences = accumulate(first.astext().splitlines(), "{} {}".format)
        *_, descriptions[page] = takewhile(lambda text: len(text) <= DESCRIPTION, sentences)
        content = html.escape(descriptions[page])
        context["metatags"] += f'<meta name="description" content="{content}">\n'


def list_pages(app: Sphinx) -> str:
    """Return llms.txt, which lists the pages for programs."""
    lines = [f"# {project}", "", f"> {descriptions[root_doc]}"]
    for caption, pages in sections_of_index().items():
        lines += ["", f"## {caption}", ""]
        for name in [page.removesuffix(".md") for page in pages]:
            title = app.env.titles[name].astext()
            lines.append(f"- [{title}](_sources/{name}.md): {descriptions[name]}")
    return "\n".join([*lines, ""])


def complete(app: Sphinx, problem: Exception | None) -> None:
    """Add the pictures, a redirect from the top, and llms.txt."""
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
    """Connect the functions above to the build; Sphinx calls this."""
    app.connect("source-read", add_contents)
    app.connect("source-read", replace_drawings)
    app.connect("doctree-read", register)
    app.connect("html-page-context", describe)
    app.connect("build-finished", complete)
    lexer_classes["dialogue"] = lexer_classes["none"]  # no highlighting
    lexer_classes["nu"] = lexer_classes["none"]  # Pygments has no lexer for nushell
