"""Where a key of a TOML file stands in its text, which the parser of Python does not tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What holds a bracket or a new line that means nothing: texts of all four kinds, and comments.
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
    """Return the line, from 1, on which a key or table of a TOML document is first spoken of.

    `path` is its name within the tables that hold it. The document has to be valid; None where
    it has no such key.
    """
    table: tuple[str, ...] = ()
    for line, statement in _statements(text):
        if statement.startswith("["):
            table = spoken_of = _names(statement)
        elif key := _KEY.match(statement):
            spoken_of = (*table, *_names(f"{key[1]}= 0"))
            # Nothing can be added to a table within a line, so the rest of the path is in there.
            if spoken_of == path[: len(spoken_of)]:
                return line
        else:
            continue
        if path == spoken_of[: len(path)]:
            return line
    return None


def without_table(text: str, *path: str) -> str:
    """Return a TOML document without the table of that name, if it has one under a header.

    Comments behind its last key stay, as they may be about what comes next.
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
    """Return a TOML document with another last name for the table that has a header of this path.

    A comment behind the header stays.
    """
    lines = text.split("\n")
    for number, statement in _statements(text):
        if statement.startswith("[") and _names(statement) == path:
            comment = next((t[0] for t in _TOKEN.finditer(statement) if t[0][0] == "#"), "")
            name = ".".join(f'"{each}"' if "." in each else each for each in (*path[:-1], to))
            lines[number - 1] = f"[{name}] {comment}".rstrip()
    return "\n".join(lines)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement behind the line that it begins on; some take several lines."""
    begin, depth, line = 0, 0, 1
    for token in _TOKEN.finditer(f"{text}\n"):
        depth += (token[0] == "[") - (token[0] == "]")
        if token[0] == "\n" and depth == 0:
            statement = text[begin : token.start()]
            yield line, statement.strip()
            line += statement.count("\n") + 1
            begin = token.end()


def _names(statement: str) -> tuple[str, ...]:
    """Return the one path that a statement speaks of, from the outermost table to the key."""
    import tomllib

    names: list[str] = []
    value: object = tomllib.loads(statement)
    while isinstance(value, dict) and value:
        [(name, value)] = value.items()
        names.append(name)
    return tuple(names)
