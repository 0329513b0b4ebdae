"""A site that answers at once, on loopback, so that what is measured is the time of the client.

It knows nobody and believes everybody: what a real site does between a question and its answer is
the sandbox's part, and the tests'.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

TOKEN = "made-up"  # noqa: S105  # as it says

# One and the same token each time, so that none is replaced, and has to be ended, by the next. An
# SOE site says no more of it than `expires`; the rest is for the peers, who ask for the standard's.
_ANSWERS = {
    b"POST": f'{{"access_token": "{TOKEN}", "expires": 86400,'
    ' "token_type": "bearer", "expires_in": 86400}',
    b"GET": '{"id": 1, "name": "Jane Doe"}',
}


@dataclass(slots=True)
class Site:
    """Where it is, and when it was last asked for a token, in seconds of the monotonic clock."""

    url: str
    asked_at: float = 0.0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer all requests of a connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"POST"):
                    self.asked_at = time.monotonic()
                    length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                    await reader.readexactly(int(length))
                body = _ANSWERS[head.split()[0]].encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                )
        writer.close()


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """Run a site at a port of its own, on http, or on https with `tls`."""
    # Only of a socket whose protocol is named does asyncio see that it is TCP, and have it send at
    # once what is small; else an answer on https waits 40 ms for the client's acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.bind(("127.0.0.1", 0))
        site = Site(f"{'https' if tls else 'http'}://localhost:{bound.getsockname()[1]}")
        server = await asyncio.start_server(site.answer, sock=bound, ssl=tls)
        async with server:
            yield site
            server.close()
