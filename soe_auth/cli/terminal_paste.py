"""The second door: lines that a person pastes into the terminal while the listener waits."""

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
_FOREGROUND_COMES = 0.2  # seconds between two looks for it
_CTRL_C_COMES = 0.2  # seconds
_KEY_COMES = 0.05  # seconds between two looks for one
_PASTE_COMES = 0.05  # seconds between two lines that are pasted at once


async def pasted_lines(terminal: int, *, only_enter: bool = False) -> AsyncGenerator[str]:
    """Yield each line that comes from a terminal or a pipe, without ever blocking, until its end.

    `terminal` is its file descriptor. Nothing is read ahead: a terminal gives a line at a time, and
    of a pipe no byte is taken behind the line's end. A terminal is read in its foreground only.
    An empty line in front of what is pasted is left out. With `only_enter`, empty lines alone are
    taken, and with the first other one the reading ends: it is for the shell.
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
                    await asyncio.sleep(_PASTE_COMES)
                    if number < len(lines) or pending or not queue.empty():
                        continue
                yield line.decode("utf-8", "replace")
    finally:
        stop()


async def enter_pressed(terminal: int) -> None:
    """Wait until Enter alone is pressed at a terminal; what else is typed is left for the shell."""
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
        except OSError:  # the terminal has gone
            data = b""
        if not data:
            loop.remove_reader(terminal)
        if data is None:  # what waits there is for the shell
            timers[:] = [loop.call_later(_FOREGROUND_COMES, watch)]
        else:
            queue.put_nowait(data)

    def stop() -> None:
        loop.remove_reader(terminal)
        for timer in timers:
            timer.cancel()

    watch()
    return stop


def _read_in_foreground(terminal: int) -> bytes | None:
    """Read a line of a terminal; None in its background, where it is another's. Raises OSError.

    The kernel stops a process that reads there, unless SIGTTIN is blocked: then it may have gone to
    the background since we looked, and the read is an error.
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
        while more and not _stops_before_a_key(terminal, stopped):
            if only_enter and not _enter_is_next(terminal):
                return
            data = b""
            with suppress(OSError):  # the terminal has gone
                data = os.read(terminal, _CHUNK)
            more = data != b""
            if not more:
                # Ctrl-C ends a read on Windows as the end of the input does, and comes after it.
                stopped.wait(_CTRL_C_COMES)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(queue.put_nowait, data)

    try:
        Thread(target=read, daemon=True).start()
    except RuntimeError:  # none can be started, and so nothing can be pasted
        queue.put_nowait(b"")
    return stopped.set


def _stops_before_a_key(terminal: int, stopped: Event) -> bool:
    """Wait until a key is typed on a console; return whether it has been stopped by then.

    A read that waits cannot be ended, and would take the next line from the program that it is for.
    """
    if sys.platform == "win32" and os.isatty(terminal):
        from msvcrt import kbhit

        while not kbhit():
            if stopped.wait(_KEY_COMES):
                return True
    return stopped.is_set()


def _enter_is_next(terminal: int) -> bool:
    """Whether the key that waits on a console is Enter; it is left there."""
    if sys.platform != "win32":
        return False
    import ctypes
    import msvcrt

    # INPUT_RECORD in words: the event's type at 0, then for a key whether it went down at 2, and
    # its character at 7.
    length, is_key = 10, 1
    records, count = (ctypes.c_uint16 * (length * 64))(), ctypes.c_uint32()
    console = ctypes.c_void_p(msvcrt.get_osfhandle(terminal))
    ctypes.windll.kernel32.PeekConsoleInputW(console, records, 64, ctypes.byref(count))
    keys = (records[at : at + length] for at in range(0, count.value * length, length))
    typed = (key[7] for key in keys if key[0] == is_key and key[2] and key[7])
    return next(typed, 0) == ord("\r")
