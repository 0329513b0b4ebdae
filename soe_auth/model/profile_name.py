"""A profile's name: files are made of it, so it is checked before anything else is done with it."""

from __future__ import annotations

import re

_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
# Windows takes these for devices, whatever stands behind a first dot, in capitals or not:
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.ASCII | re.IGNORECASE)


def read_profile_name(text: str) -> str:
    """Return text if it can be a profile's name, on any system. Raises ValueError."""
    if _DEVICE.fullmatch(text):
        raise ValueError("Windows has a device of that name; choose another")
    if not _FORM.fullmatch(text):
        raise ValueError("write letters, digits, dots, dashes and underscores, 64 at most")
    return text


def is_profile_name(text: str) -> bool:
    """Whether text can be a profile's name."""
    try:
        read_profile_name(text)
    except ValueError:
        return False
    return True
