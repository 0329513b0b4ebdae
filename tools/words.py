"""Find words and sentences that are hard to read: `make lint` runs this.

It fails on a phrase of PHRASES in a page, a docstring, a comment, a string or a test's name, on an
identifier with a word of RETIRED, on a text that begins with a free relative, such as "What is
left …", and on a sentence of a page with more than MOST_WORDS words.
"""

import re
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ["*.md", "docs/**/*.md"]
CODE = ["soe_auth/**/*.py", "tests/**/*.py", "benchmarks/**/*.py", "tools/*.py", "docs/conf.py"]
EXEMPT = {"words.py", "test_words.py"}  # they list the words

MOST_WORDS = 40

PHRASES = re.compile(
    r"\b(nobody|somebody|whoever|can be had|in vain|anew|c[ao]mes? to no token"
    r"|of ours|has a say|(?:is|are|was|were) told|token that serves|token lasts)\b"
)
RETIRED = re.compile(
    r"carriers?|doors?|glance|goodbye|handouts?|house|interview|knock(?:s|ing)?|landing|persons?"
    r"|rehearse|rooms?|strangers?|usher|vault|visitors?|wakeful"
)
FREE_RELATIVE = re.compile(r"\W*(?:Who|What|Whose|Whatever) (?!.*\?\W*$).*", re.DOTALL)


def prose(page: str) -> str:
    """Return the text of a page without its code blocks, pictures and addresses of links."""
    page = re.sub(r"(?ms)^ *```.*?^ *```$|<picture>.*?</picture>|<!--.*?-->|^#.*?$", "", page)
    return re.sub(r"`[^`\n]+`", "CODE", re.sub(r"\]\([^)]*\)", "]", page))


def phrases(text: str) -> list[str]:
    """Return the banned phrases in a text."""
    return [match[0] for match in PHRASES.finditer(" ".join(text.lower().split()))]


def in_page(path: Path) -> list[str]:
    """Return what is wrong in a page; an item and a cell of a table end a sentence."""
    text = prose(path.read_text(encoding="utf-8"))
    found = phrases(text)
    for part in re.split(r"(?<!\\)\|| · |\n", text):
        for each in re.split(r"(?<=[.?!:])\s+(?=[A-Z“*_(\[])", part.strip()):
            if (length := len(re.findall(r"[\w'-]+", each))) > MOST_WORDS:
                found.append(f"{length} words: {each[:60]} …")
            if FREE_RELATIVE.fullmatch(each):
                found.append(f"free relative: {each[:60]}")
    return found


def in_code(path: Path) -> list[str]:
    """Return what is wrong in the names, comments and strings of a module."""
    text, names = [], {path.stem}
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.NAME:
                names.add(token.string)
            elif token.string == '"nobody"':  # the system's user of that name
                continue
            elif tokenize.tok_name[token.type] in {"COMMENT", "STRING", "FSTRING_MIDDLE"}:
                text.append(token.string.lstrip("# "))
    found = phrases(" ".join(text))
    found += [f"free relative: {each[:60]}" for each in text if FREE_RELATIVE.fullmatch(each)]
    for name in sorted(names):
        words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
        found += phrases(" ".join(words)) if words[:1] == ["test"] else []
        found += [f"{name}: {word}" for word in words if RETIRED.fullmatch(word)]
    return found


def main(root: Path = ROOT) -> int:
    """Print what is wrong, a line each, and return the exit code."""
    found = [
        f"{path.relative_to(root).as_posix()}: {each}\n"
        for globs, check in ((PAGES, in_page), (CODE, in_code))
        for path in sorted({path for glob in globs for path in root.glob(glob)})
        if path.name not in EXEMPT
        for each in check(path)
    ]
    sys.stdout.writelines(found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
