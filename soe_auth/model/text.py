"""Text from outside, made fit to be shown to a person."""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Iterable

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str, limit: int = 200) -> str:
    """Return text as one line without control characters, at most `limit` characters long.

    What could move a terminal's cursor, turn the direction of writing or hide (control, format,
    surrogate, private-use characters) becomes U+FFFD, every kind of white space a single blank.
    """
    line = " ".join(text[: 4 * limit].split())
    shown = "".join(c if c.isprintable() else _REPLACEMENT for c in line)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return what was most likely meant by a word that is not among the known ones."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word[:80], known, n=1)), None)
