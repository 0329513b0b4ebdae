"""Numbers in the words of a person."""

from typing import Final

_UNITS: Final = ((3600, "h"), (60, "min"))


def in_words(seconds: int) -> str:
    """Write a span of time in its largest even unit: 86400 is "24 h"."""
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
