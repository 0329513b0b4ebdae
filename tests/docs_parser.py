"""Read the pages of the docs: their blocks, sections and tables."""

import re
from dataclasses import dataclass
from pathlib import Path

import soe_auth

PACKAGE = Path(soe_auth.__file__).parent  # may be installed elsewhere
ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
DESIGN = DOCS / "explanation" / "design.md"

# The site's name on the pages; the tests use a sandbox.
REAL_SITE = "https://acme.stackenterprise.co"


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


def blocks(page: Path, *languages: str) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)
        for match in found
        if match[1] in languages
    ]


def section(page: Path, heading: str) -> str:
    text = page.read_text(encoding="utf-8")
    match = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert match, f"{page.name} has no section {heading}"
    return match[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables in a text, without the lines below the headers."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = ([c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines)
    return [row for row in cells if set(row[0]) != {"-"}]


def coded(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))
