"""Writes to the standard streams, and tells why the output fails. It imports what is light only."""

from __future__ import annotations

import sys


class NotWritten(Exception):
    """The standard output could not be written; the text says why, in the system's words."""


def put(text: str = "", end: str = "\n") -> None:
    """Write to the standard output, at once; raises NotWritten, and BrokenPipeError."""
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise NotWritten(problem.strerror) from None


def say(text: str, end: str = "\n") -> None:
    """Write to the standard error, at once; where nobody can hear it, that changes nothing."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError:
        return
