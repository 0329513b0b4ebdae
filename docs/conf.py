"""How Sphinx makes a site of the pages, for `make docs`.

Its source is the whole repository: so what lies at the top, such as the README, is a page of the
site as well, and a link leads where it leads on a code host. The pages themselves are plain
Markdown; what Sphinx wants besides is made here.
"""

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.highlighting import lexer_classes

from soe_auth.version import __version__

ROOT = Path(__file__).parent.parent

project = "soe-auth"
author = "The soe-auth authors"
project_copyright = f"2026 {author}"
version = release = __version__

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "build", "dist", "test-artifacts"]  # nor look into them
myst_heading_anchors = 4  # links to headings, as a code host has them
nitpicky = True
smartquotes = False  # what is to be typed may stand outside of code, too

html_theme = "furo"
html_title = f"soe-auth {release}"
pygments_dark_style = "github-dark"  # furo's own underlines modules, as if they were links
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False

SHELVES = {
    "docs/tutorial": "Tutorial",
    "docs/how-to": "How to",
    "docs/reference": "Reference",
    "docs/explanation": "Explanation",
    "docs/decisions": "Decisions",
    "": "The project",
}


def shelve(_app: Sphinx, page: str, source: list[str]) -> None:
    """Give the index its tables of contents: what it links to, in its order, shelf by shelf."""
    if page != root_doc:
        return
    links = re.findall(r"\]\(([^)#]+)\.md", source[0])
    linked = [(ROOT / "docs" / link).resolve().relative_to(ROOT) for link in dict.fromkeys(links)]
    for folder, caption in SHELVES.items():
        pages = [f"/{path}" for path in linked if path.parent == Path(folder)]
        contents = "\n".join(["", "", "```{toctree}", ":hidden:", f":caption: {caption}", *pages])
        source[0] += f"{contents}\n```\n"


def tabulate(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Tell a sequence diagram, which a code host draws, as a table: who says what to whom."""

    def told(diagram: re.Match[str]) -> str:
        names = dict(re.findall(r"(?:actor|participant) (\w+) as (.+)", diagram[1]))
        arrows = re.findall(r"^ *(\w+)-{1,2}>>(\w+): (.+)$", diagram[1], re.MULTILINE)
        rows = [
            (names[one], names[other] if other != one else "", what) for one, other, what in arrows
        ]
        head = [("who", "to whom", "what"), ("---", "---", "---")]
        return "\n".join(f"| {' | '.join(row)} |" for row in head + rows)

    source[0] = re.sub(r"(?ms)^```mermaid\nsequenceDiagram\n(.*?)^```$", told, source[0])


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


def setup(app: Sphinx) -> None:
    """Take part in the build; Sphinx calls this."""
    app.connect("source-read", shelve)
    app.connect("source-read", tabulate)
    app.connect("build-finished", complete)
    lexer_classes["dialogue"] = lexer_classes["none"]  # shown as it is written
