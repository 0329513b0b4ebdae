"""Accept connections at the loopback sockets, and close each of them."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import asynccontextmanager, suppress
from errno import ENOTCONN
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from soe_auth.loopback.sockets import LoopbackSockets

# Seconds to rest after the system would open no more connections for us.
_REST = 0.2

# Seconds between two looks for a connection, where there is no better way.
_LOOK = 0.01


@asynccontextmanager
async def accepting(
    sockets: LoopbackSockets,
    protocol: Callable[[], asyncio.Protocol],
    on_exhausted: Callable[[], object],
) -> AsyncIterator[None]:
    """Let connections in until the block ends, and have each that was taken by then closed.

    `protocol` makes what answers one; `on_exhausted` is called where the system opens no more.

    Not as asyncio's own servers do: one that the system refuses has them log a traceback, then and
    a second later, in whatever goes on in this process by that time.
    """
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()  # none is taken from then on, as it would not be closed

    async def accept(listening: socket.socket) -> None:
        while not ending.is_set():
            try:
                client = await _next_client(listening)
            except ConnectionError:  # pragma: no cover - Linux hands on what has gone again
                continue
            except OSError:
                on_exhausted()
                await asyncio.sleep(_REST)
            else:
                with suppress(OSError):  # it has gone again
                    await loop.connect_accepted_socket(protocol, client)

    tasks = [loop.create_task(accept(listening)) for listening in sockets.sockets]
    try:
        yield
    finally:
        ending.set()
        # A loop that watches no sockets, as on Windows, closes what a cancelled task has taken.
        with suppress(NotImplementedError):
            for listening in sockets.sockets:
                loop.remove_reader(listening)
            await asyncio.sleep(0)  # in which a task gets what was taken for it
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sockets.close()


async def _next_client(listening: socket.socket) -> socket.socket:
    """Accept one connection. Raises OSError.

    Not by Windows' own loop, which logs a traceback for each that was broken off before.
    """
    if sys.platform == "win32":
        while True:
            try:
                client, _ = listening.accept()
            except BlockingIOError:
                await asyncio.sleep(_LOOK)
            except OSError as problem:
                if problem.errno != ENOTCONN:  # which one has that has gone again
                    raise
                await asyncio.sleep(0)
            else:
                client.setblocking(False)  # noqa: FBT003  # the socket module's own signature
                return _ClientSocket(client.family, client.type, client.proto, client.detach())
    else:
        client, _ = await asyncio.get_running_loop().sock_accept(listening)
        return client


class _ClientSocket(socket.socket):
    """A connection whose end is no error where the other side has broken it off.

    Windows' own loop shuts each down as it closes it, and logs a traceback where that fails.
    """

    def shutdown(self, how: int) -> None:
        with suppress(OSError):
            super().shutdown(how)
