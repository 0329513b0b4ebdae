"""The standard streams: what they are, and writing to them."""

from __future__ import annotations

import os
import sys
from errno import EINVAL

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO


class OutputError(Exception):
    """The standard output could not be written; the text says why, in the system's words."""


def prepare() -> None:
    """Make the standard streams fit for whatever is written to them."""
    for name in ("stdout", "stderr"):
        if stream := getattr(sys, name):
            # What the encoding lacks is replaced, and is no error. Every line ends with "\n": on
            # Windows a shell such as Git's keeps a "\r" in what it reads by $(…).
            stream.reconfigure(errors="replace", newline="\n")
        else:  # it was closed, and what is opened next must not get its number
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115  # pathlib is not light, and it is to stay open


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream, which is None where it is closed, is a terminal."""
    if not stream or not stream.isatty():
        return False
    if sys.platform == "win32":
        # Every device is a terminal to the C library there, and NUL is a device.
        from ctypes import byref, c_ulong, c_void_p, windll
        from msvcrt import get_osfhandle

        handle = c_void_p(get_osfhandle(stream.fileno()))
        return bool(windll.kernel32.GetConsoleMode(handle, byref(c_ulong())))
    return True


def write_stdout(text: str = "", end: str = "\n") -> None:
    """Write to the standard output, at once; raises OutputError, and BrokenPipeError."""
    _write(lambda: print(text, end=end, flush=True))


def write_stdout_bytes(data: bytes) -> None:
    """Write bytes as they are, as `write_stdout`."""

    def write() -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    _write(write)


def _write(write: Callable[[], object]) -> None:
    try:
        write()
    except BrokenPipeError:
        raise
    except OSError as problem:
        if sys.platform == "win32" and problem.errno == EINVAL:
            raise BrokenPipeError from None  # Windows has this number for it
        raise OutputError(problem.strerror) from None


def write_stderr(text: str, end: str = "\n") -> None:
    """Write to the standard error, at once; where it cannot be written, that changes nothing."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError:
        return


def bytes_waiting(terminal: int) -> int:
    """Return how many bytes of whole lines wait at a terminal; 0 on Windows, which cannot tell."""
    if sys.platform == "win32":
        return 0
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)), sys.byteorder)
