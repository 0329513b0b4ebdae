"""Prepare the standard streams, write to them, and detect terminals."""

from __future__ import annotations

import os
import sys
from errno import EINVAL

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from typing import TextIO


class OutputError(Exception):
    """The standard output cannot be written; the text is the system's reason."""


def prepare() -> None:
    """Make the standard streams accept any text, and end lines as shells expect.

    A closed stdin is empty, a closed stdout cannot be written, and a closed stderr loses messages.
    """
    # Lines end with "\n" on Windows too: a shell such as Git's keeps a "\r" of what $(…) reads.
    for name, mode, access, newline in (
        ("stdin", "r", os.O_RDONLY, None),
        ("stdout", "w", os.O_RDONLY, "\n"),
        ("stderr", "w", os.O_WRONLY, "\n"),
    ):
        if not getattr(sys, name):  # it is closed; else the next opened file would get its number
            setattr(sys, name, os.fdopen(os.open(os.devnull, access), mode))
        getattr(sys, name).reconfigure(errors="replace", newline=newline)


def is_terminal(stream: TextIO) -> bool:
    """Whether a standard stream is a terminal."""
    if not stream.isatty():
        return False
    if sys.platform == "win32":
        # The C library treats every device as a terminal, even NUL.
        from ctypes import byref, c_ulong, c_void_p, windll
        from msvcrt import get_osfhandle

        handle = c_void_p(get_osfhandle(stream.fileno()))
        return bool(windll.kernel32.GetConsoleMode(handle, byref(c_ulong())))
    return True


def write_stdout(text: str | bytes = "", end: str = "\n") -> None:
    """Write text and `end`, or bytes alone, and flush. Raises OutputError, BrokenPipeError."""
    try:
        if isinstance(text, bytes):
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
        else:
            print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as problem:
        if sys.platform == "win32" and problem.errno == EINVAL:
            raise BrokenPipeError from None  # Windows reports a broken pipe so
        raise OutputError(problem.strerror) from None


def write_stderr(text: str, end: str = "\n") -> None:
    """Write text and flush; ignore an error."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError:
        return


def bytes_waiting(terminal: int) -> int:
    """Return how many bytes of whole lines can be read from a terminal; 0 on Windows."""
    if sys.platform == "win32":
        return 0
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)), sys.byteorder)
