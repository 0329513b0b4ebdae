"""The second door: lines that a person pastes into the terminal while the listener waits."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_CHUNK = 64 * 1024


async def pasted_lines(terminal: int) -> AsyncIterator[str]:
    """Yield each line typed on a terminal, without ever blocking; end when it is closed.

    `terminal` is its file descriptor.
    """
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    watch = _read_in_thread if sys.platform == "win32" else _read_when_ready
    stop = watch(terminal, queue)
    pending = b""
    try:
        while data := await queue.get():
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")
    finally:
        stop()


def _read_when_ready(terminal: int, queue: asyncio.Queue[bytes]) -> Callable[[], object]:
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            data = os.read(terminal, _CHUNK)
        except OSError:  # the terminal has gone
            data = b""
        if not data:
            loop.remove_reader(terminal)
        queue.put_nowait(data)

    loop.add_reader(terminal, read)
    return lambda: loop.remove_reader(terminal)


def _read_in_thread(terminal: int, queue: asyncio.Queue[bytes]) -> Callable[[], object]:
    from threading import Thread

    loop = asyncio.get_running_loop()

    def read() -> None:
        while data := os.read(terminal, _CHUNK):
            loop.call_soon_threadsafe(queue.put_nowait, data)
        loop.call_soon_threadsafe(queue.put_nowait, b"")

    Thread(target=read, daemon=True).start()
    return lambda: None
