"""Read lines that the user pastes into the terminal, without blocking the event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import aclosing, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from soe_auth.cli.console import in_foreground
from soe_auth.cli.streams import bytes_waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

_CHUNK = 64 * 1024
_FOREGROUND_POLL = 0.2  # seconds
_CTRL_C_DELAY = 0.2  # seconds
_KEY_POLL = 0.05  # seconds
_PASTE_GAP = 0.05  # seconds, at most, between two lines of one paste


async def pasted_lines(terminal: int, *, only_enter: bool = False) -> AsyncGenerator[str]:
    """Yield each line from a terminal or a pipe, given as a file descriptor, until its end.

    Nothing is read ahead: a terminal gives one line at a time, and a pipe is read up to the end of
    the line. A terminal is read in the foreground only. An empty line right before pasted text is
    skipped. With `only_enter`, only empty lines are read; reading ends at any other line, which is
    left for the shell.
    """
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    watch = _read_in_thread if sys.platform == "win32" else _read_when_ready
    stop = watch(terminal, queue, only_enter=only_enter)
    pending = b""
    try:
        while data := await queue.get():
            *lines, pending = (pending + data).split(b"\n")
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    await asyncio.sleep(_PASTE_GAP)
                    if number < len(lines) or pending or not queue.empty():
                        continue
                yield line.decode("utf-8", "replace")
    finally:
        stop()


async def enter_pressed(terminal: int) -> None:
    """Wait until Enter alone is pressed at a terminal; other input is left for the shell."""
    async with aclosing(pasted_lines(terminal, only_enter=True)) as lines:
        async for _ in lines:
            return
    await asyncio.Event().wait()


def _read_when_ready(
    terminal: int, queue: asyncio.Queue[bytes], *, only_enter: bool
) -> Callable[[], object]:
    loop = asyncio.get_running_loop()
    is_terminal = os.isatty(terminal)
    timers: list[asyncio.TimerHandle] = []

    def watch() -> None:
        loop.add_reader(terminal, read)

    def read() -> None:
        if only_enter and bytes_waiting(terminal) > 1:
            stop()
            return
        try:
            data = _read_in_foreground(terminal) if is_terminal else os.read(terminal, 1)
        except OSError:  # the terminal was closed
            data = b""
        if not data:
            loop.remove_reader(terminal)
        if data is None:  # the input is for the shell
            timers[:] = [loop.call_later(_FOREGROUND_POLL, watch)]
        else:
            queue.put_nowait(data)

    def stop() -> None:
        loop.remove_reader(terminal)
        for timer in timers:
            timer.cancel()

    watch()
    return stop


def _read_in_foreground(terminal: int) -> bytes | None:
    """Read a line of a terminal; return None in the background. Raises OSError.

    The kernel stops a background process that reads, unless SIGTTIN is blocked: then, if the
    process has gone to the background since the check, the read is an error.
    """
    if sys.platform == "win32":
        raise OSError
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTIN})
    try:
        return os.read(terminal, _CHUNK) if in_foreground(terminal) else None
    except OSError:
        if not in_foreground(terminal):
            return None
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _read_in_thread(
    terminal: int, queue: asyncio.Queue[bytes], *, only_enter: bool
) -> Callable[[], object]:
    loop = asyncio.get_running_loop()
    stopped = Event()

    def read() -> None:
        more = True
        while more and not _is_stopped_before_key(terminal, stopped):
            if only_enter and not _enter_is_next(terminal):
                return
            data = b""
            with suppress(OSError):  # the terminal was closed
                data = os.read(terminal, _CHUNK)
            more = data != b""
            if not more:
                # On Windows, Ctrl-C ends a read like the end of the input, before its signal.
                stopped.wait(_CTRL_C_DELAY)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(queue.put_nowait, data)

    try:
        Thread(target=read, daemon=True).start()
    except RuntimeError:  # no thread can be started, so nothing can be pasted
        queue.put_nowait(b"")
    return stopped.set


def _is_stopped_before_key(terminal: int, stopped: Event) -> bool:
    """Wait until a key is typed on a console; return True if the reading is stopped first.

    A waiting read cannot be cancelled, and would take the next line from another program.
    """
    if sys.platform == "win32" and os.isatty(terminal):
        from msvcrt import kbhit

        while not kbhit():
            if stopped.wait(_KEY_POLL):
                return True
    return stopped.is_set()


def _enter_is_next(terminal: int) -> bool:
    """Whether the next key of a console is Enter; the key is not read."""
    if sys.platform != "win32":
        return False
    import ctypes
    import msvcrt

    # INPUT_RECORD in 16-bit words: the event's type at 0; for a key, whether it is down at 2, its
    # character at 7.
    length, is_key = 10, 1
    records, count = (ctypes.c_uint16 * (length * 64))(), ctypes.c_uint32()
    console = ctypes.c_void_p(msvcrt.get_osfhandle(terminal))
    ctypes.windll.kernel32.PeekConsoleInputW(console, records, 64, ctypes.byref(count))
    keys = (records[at : at + length] for at in range(0, count.value * length, length))
    typed = (key[7] for key in keys if key[0] == is_key and key[2] and key[7])
    return next(typed, 0) == ord("\r")
