"""Writes to the standard output, and tells why it fails. Only what is light is imported here."""

from __future__ import annotations


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
