"""The second door: lines that a person pastes into the terminal while the listener waits."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_CHUNK = 64 * 1024


async def pasted_lines() -> AsyncIterator[str]:
    """Yield each line typed on standard input, without ever blocking; end when it is closed."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    stop = _read_in_thread(queue) if sys.platform == "win32" else _read_when_ready(queue)
    pending = b""
    try:
        while data := await queue.get():
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")
    finally:
        stop()


def _read_when_ready(queue: asyncio.Queue[bytes]) -> Callable[[], object]:
    loop = asyncio.get_running_loop()
    terminal = sys.stdin.fileno()

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


def _read_in_thread(  # pragma: no cover - Windows: its event loop cannot watch a console
    queue: asyncio.Queue[bytes],
) -> Callable[[], object]:
    from threading import Thread

    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin.buffer:
            loop.call_soon_threadsafe(queue.put_nowait, line)
        loop.call_soon_threadsafe(queue.put_nowait, b"")

    Thread(target=read, daemon=True).start()
    return lambda: None
