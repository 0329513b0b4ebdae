"""Text from outside: make it printable, check it as a profile name, find the nearest word."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Iterable

# Files are named after profiles.
_PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
# Windows reserves these for devices, in any case and with any suffix after a dot:
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.ASCII | re.IGNORECASE)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str, limit: int = 200) -> str:
    """Return text as one line without control characters, of at most `limit` characters.

    Control, format, surrogate and private-use characters, which could move a terminal's cursor or
    change the direction of writing, become U+FFFD; white space becomes one space.
    """
    line = " ".join(text[: 4 * limit].split())
    shown = "".join(c if c.isprintable() else _REPLACEMENT for c in line)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word that is most similar to a word, or None.

    `cutoff` is the least similarity, from 0 to 1, as difflib has it.
    """
    from difflib import get_close_matches

    return next(iter(get_close_matches(word[:80], known, n=1, cutoff=cutoff)), None)


def read_profile_name(text: str) -> str:
    """Return text if it is a valid profile name on every system. Raises ValueError."""
    if _DEVICE.fullmatch(text):
        raise ValueError("Windows reserves it for a device")
    if not _PROFILE_NAME.fullmatch(text):
        raise ValueError("write letters, digits, dots, dashes and underscores, 64 at most")
    return text


def is_profile_name(text: str) -> bool:
    """Whether text is a valid profile name."""
    return bool(_PROFILE_NAME.fullmatch(text)) and not _DEVICE.fullmatch(text)
