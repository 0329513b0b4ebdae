"""Text from outside: made fit to be shown, or checked as the name of a profile."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Iterable

# Files are named after a profile.
_PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
# Windows takes these for devices, whatever stands behind a first dot, in capitals or not:
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.ASCII | re.IGNORECASE)
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


def read_profile_name(text: str) -> str:
    """Return text if it can be a profile's name, on any system. Raises ValueError."""
    if _DEVICE.fullmatch(text):
        raise ValueError("Windows has a device of that name; choose another")
    if not _PROFILE_NAME.fullmatch(text):
        raise ValueError("write letters, digits, dots, dashes and underscores, 64 at most")
    return text


def is_profile_name(text: str) -> bool:
    """Whether text can be a profile's name."""
    try:
        read_profile_name(text)
    except ValueError:
        return False
    return True
