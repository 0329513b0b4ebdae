"""Accept connections on the loopback sockets, and close each of them."""

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

_RETRY_DELAY = 0.2  # seconds, after the system refused to open a connection
_POLL_INTERVAL = 0.01  # seconds, on Windows


@asynccontextmanager
async def accepting(
    sockets: LoopbackSockets,
    protocol: Callable[[], asyncio.Protocol],
    on_exhausted: Callable[[], object],
) -> AsyncIterator[None]:
    """Accept connections until the block ends, then close the sockets.

    `protocol` makes the handler of a connection. `on_exhausted` is called if the system opens no
    more; asyncio's own servers would log a traceback then, and another one a second later.
    """
    loop = asyncio.get_running_loop()
    closing = asyncio.Event()  # a connection that is accepted later would not be closed

    async def accept(listening: socket.socket) -> None:
        while not closing.is_set():
            try:
                client = await _accept(listening)
            except ConnectionError:  # pragma: no cover - Linux returns a connection that has ended
                continue
            except OSError:
                on_exhausted()
                await asyncio.sleep(_RETRY_DELAY)
            else:
                with suppress(OSError):  # the connection has ended
                    await loop.connect_accepted_socket(protocol, client)

    tasks = [loop.create_task(accept(listening)) for listening in sockets.sockets]
    try:
        yield
    finally:
        closing.set()
        # A loop without readers, as on Windows, itself closes the connections of a cancelled task.
        with suppress(NotImplementedError):
            for listening in sockets.sockets:
                loop.remove_reader(listening)
            await asyncio.sleep(0)  # the tasks receive their accepted connections
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sockets.close()


async def _accept(listening: socket.socket) -> socket.socket:
    """Accept one connection. Raises OSError.

    asyncio's loop on Windows logs a traceback for each connection that was reset earlier.
    """
    if sys.platform == "win32":
        while True:
            try:
                client, _ = listening.accept()
            except BlockingIOError:
                await asyncio.sleep(_POLL_INTERVAL)
            except OSError as problem:
                if problem.errno != ENOTCONN:  # that connection has ended
                    raise
                await asyncio.sleep(0)
            else:
                client.setblocking(False)  # noqa: FBT003  # the socket module's own signature
                return _ClientSocket(client.family, client.type, client.proto, client.detach())
    else:
        client, _ = await asyncio.get_running_loop().sock_accept(listening)
        return client


class _ClientSocket(socket.socket):
    """A connection that can be shut down after the other side has reset it.

    asyncio's loop on Windows calls this to close a connection, and logs a traceback if it fails.
    """

    def shutdown(self, how: int) -> None:
        with suppress(OSError):
            super().shutdown(how)
