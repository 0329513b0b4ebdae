"""Have signals wake the event loop."""

from __future__ import annotations

import signal
import socket
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def wake_on_signals() -> Iterator[None]:
    """Have each signal wake the running event loop, so that Python runs its handler at once.

    A signal that comes just before the loop goes to sleep would else be handled only when it wakes:
    when a name server gives up, for one. On Windows the loop does this by itself.
    """
    if sys.platform == "win32":
        yield
        return
    import asyncio

    loop = asyncio.get_running_loop()
    reader, writer = socket.socketpair()
    with reader, writer:
        for end in (reader, writer):
            end.setblocking(False)  # noqa: FBT003  # the socket module's own signature
        loop.add_reader(reader, _drain, reader)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reader)


def _drain(reader: socket.socket) -> None:
    """Take the numbers of the signals that came; a loop that is ending may call it for none."""
    with suppress(BlockingIOError):
        reader.recv(64)
