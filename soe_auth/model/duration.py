"""Durations: read them, and write them for files and for users."""

from __future__ import annotations

import re

_FORM = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_SECONDS = (86400, 3600, 60, 1)
_LONGEST = 366 * 86400


def parse_duration(text: str) -> float:
    """Return the seconds of `600`, `90s`, `10m`, `8h`, `1d` or a sequence such as `1h30m`.

    Raises ValueError for anything else, and for more than a year.
    """
    text = text.strip()
    form = _FORM.fullmatch(f"{text}s" if text.isascii() and text.isdigit() else text)
    if not text or form is None:
        raise ValueError("write a duration such as 90s, 10m, 8h or 1d")
    seconds = sum(int(n or 0) * unit for n, unit in zip(form.groups(), _SECONDS, strict=True))
    if seconds > _LONGEST:
        raise ValueError("a duration is a year at most")
    return float(seconds)


def parse_positive_duration(text: str) -> float:
    """Return the seconds as `parse_duration` does. Raises ValueError for 0 as well."""
    if seconds := parse_duration(text):
        return seconds
    raise ValueError("write a duration above 0, such as 5m")


def write_duration(seconds: float) -> str:
    """Return whole seconds in the form that `parse_duration` reads: `1h30m`."""
    left, parts = round(seconds), ""
    for unit, letter in zip(_SECONDS, "dhms", strict=True):
        count, left = divmod(left, unit)
        parts += f"{count}{letter}" if count else ""
    return parts or "0"


def in_words(seconds: float) -> str:
    """Return seconds in the form that users read: `24 h`, `1 h 30 min`, `12 min`, `45 s`."""
    if seconds < 120:  # noqa: PLR2004  # two minutes
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:  # noqa: PLR2004  # two days
        days, hours = divmod(hours, 24)
        return f"{days} d {hours} h" if hours else f"{days} d"
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
