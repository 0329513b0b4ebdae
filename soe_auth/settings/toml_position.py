"""Positions in the text of a TOML file, which tomllib does not report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# In strings of all four kinds and in comments, brackets and line breaks have no meaning.
# https://toml.io/en/v1.0.0#string
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|#[^\n]*"
    r"|[\[\]\n]"
    r"""|[^"'#\[\]\n]+""",
    re.DOTALL,
)
_KEY = re.compile(r"""((?:"(?:\\.|[^"\\])*"|'[^']*'|[^"'#=])+)=""")


def line_of(text: str, *path: str) -> int | None:
    """Return the line, from 1, that first names a key or table of a valid TOML document.

    `path` is the key, after the tables that hold it. None if there is no such key.
    """
    table: tuple[str, ...] = ()
    for line, statement in _statements(text):
        if statement.startswith("["):
            table = named = _names(statement)
        elif key := _KEY.match(statement):
            named = (*table, *_names(f"{key[1]}= 0"))
            # An inline table cannot be extended, so the rest of the path is in this statement.
            if named == path[: len(named)]:
                return line
        else:
            continue
        if path == named[: len(path)]:
            return line
    return None


def without_table(text: str, *path: str) -> str:
    """Return a TOML document without the table under the header of that path, if any.

    Comments after its last key stay: they may belong to what follows.
    """
    begin = end = 0
    for line, statement in _statements(text):
        if statement.startswith("["):
            if begin:
                break
            if _names(statement) == path:
                begin = end = line
        elif begin and _KEY.match(statement):
            end = line + statement.count("\n")
    if not begin:
        return text
    lines = text.split("\n")
    return "\n".join([*lines[: begin - 1], "\n".join(lines[end:]).lstrip()])


def with_table_renamed(text: str, path: tuple[str, ...], to: str) -> str:
    """Return a TOML document with another last name in the header of that path.

    A comment after the header stays.
    """
    lines = text.split("\n")
    for number, statement in _statements(text):
        if statement.startswith("[") and _names(statement) == path:
            comment = next((t[0] for t in _TOKEN.finditer(statement) if t[0][0] == "#"), "")
            name = ".".join(f'"{each}"' if "." in each else each for each in (*path[:-1], to))
            lines[number - 1] = f"[{name}] {comment}".rstrip()
    return "\n".join(lines)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the first line and the text of each statement; some take several lines."""
    begin, depth, line = 0, 0, 1
    for token in _TOKEN.finditer(f"{text}\n"):
        depth += (token[0] == "[") - (token[0] == "]")
        if token[0] == "\n" and depth == 0:
            statement = text[begin : token.start()]
            yield line, statement.strip()
            line += statement.count("\n") + 1
            begin = token.end()


def _names(statement: str) -> tuple[str, ...]:
    """Return the path of a statement, from the outermost table to the key."""
    import tomllib

    names: list[str] = []
    value: object = tomllib.loads(statement)
    while isinstance(value, dict) and value:
        [(name, value)] = value.items()
        names.append(name)
    return tuple(names)
