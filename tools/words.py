"""Finds words that a reader would have to guess at: `make lint` runs it.

It fails on a phrase of PHRASES in a page, a docstring, a comment, a string or a name, on an
identifier that has a word of RETIRED, and on a sentence of a page with more than MOST_WORDS words.
"""

import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ["*.md", "docs/**/*.md"]
CODE = ["soe_auth/**/*.py"]

MOST_WORDS = 40

PHRASES = re.compile(
    r"\b(nobody|somebody|whoever|can be had|in vain|anew|comes to no token|of ours|has a say)\b"
)
RETIRED = re.compile(
    r"carriers?|doors|glance|goodbye|handout|house|interview|knock|landing|rehearse|strangers?"
    r"|usher|vault|wakeful"
)

PROSE = {"COMMENT", "STRING", "FSTRING_MIDDLE"}


def prose(page: str) -> str:
    """Return the text of a page without its code blocks, pictures and addresses of links."""
    page = re.sub(r"(?ms)^ *```.*?^ *```$|<picture>.*?</picture>|<!--.*?-->", "", page)
    page = re.sub(r"\]\([^)]*\)", "]", page)
    return re.sub(r"`[^`\n]+`", "CODE", page)


def sentences(page: str) -> Iterator[str]:
    """Yield the sentences of a page; a heading, an item and a cell of a table end one."""
    for line in prose(page).splitlines():
        cells = re.split(r"(?<!\\)\|| · ", line) if line.startswith("|") else [line]
        for cell in cells:
            yield from re.split(r"(?<=[.?!:])\s+(?=[A-Z“*_(\[])", cell)


def words_of(name: str) -> list[str]:
    """Return the words of an identifier, in lower case."""
    return re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)


def phrases(text: str) -> list[str]:
    """Return the banned phrases in a text."""
    return [match[0] for match in PHRASES.finditer(" ".join(text.lower().split()))]


def in_page(path: Path) -> list[str]:
    """Return what is wrong in a page."""
    text = path.read_text(encoding="utf-8")
    lengths = [(len(re.findall(r"[\w'-]+", each)), each) for each in sentences(text)]
    found = [f"{n} words: {each.strip()[:60]} …" for n, each in lengths if n > MOST_WORDS]
    return found + phrases(prose(text))


def in_code(path: Path) -> list[str]:
    """Return what is wrong in a module: in its names, its comments and its strings."""
    text, names = [], {path.stem}
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.NAME:
                names.add(token.string)
            elif tokenize.tok_name[token.type] in PROSE:
                text.append(token.string.lstrip("# "))
    found = phrases(" ".join(text))
    for name in sorted(names):
        words = [word.lower() for word in words_of(name)]
        found += phrases(" ".join(words))
        found += [f"{name}: {word}" for word in words if RETIRED.fullmatch(word)]
    return found


def main(root: Path = ROOT) -> int:
    """Print what is wrong, a line each, and return the exit code."""
    found = [
        f"{path.relative_to(root)}: {each}\n"
        for globs, check in ((PAGES, in_page), (CODE, in_code))
        for path in sorted({path for glob in globs for path in root.glob(glob)})
        for each in check(path)
    ]
    sys.stdout.writelines(found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
