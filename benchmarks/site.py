"""A site that answers at once, on loopback, so that what is measured is the time of the client.

It knows nobody and believes everybody: what a real site does between a question and its answer is
the sandbox's part, and the tests'.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.runner import Failed

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

TOKEN = "made-up"  # noqa: S105  # as it says
_PATIENCE = 20.0  # seconds for a browser to show a page

# One and the same token each time, so that none is replaced, and has to be ended, by the next. An
# SOE site says no more of it than `expires`; the rest is for the peers, who ask for the standard's.
_JSON = {
    b"POST": f'{{"access_token": "{TOKEN}", "expires": 86400,'
    ' "token_type": "bearer", "expires_in": 86400}',
    b"GET": '{"id": 1, "name": "Jane Doe"}',
}

# It tells when something of it is to be seen, and then closes its tab.
_SIGN_IN = """\
<!doctype html><title>Sign in</title><h1>Sign in</h1><script>
new PerformanceObserver((_, observer) => {
  observer.disconnect();
  fetch("/shown").then(() => close());
}).observe({type: "paint", buffered: true});
</script>
"""


@dataclass(slots=True)
class Site:
    """Where it is, and when it was last asked for a token, in seconds of the monotonic clock."""

    url: str
    asked_at: float = 0.0
    _shown: asyncio.Queue[float] = field(default_factory=asyncio.Queue)

    async def shown(self) -> float:
        """Return when the sign-in page is to be seen, once it is, in seconds of the same clock.

        Raises Failed where it does not come up.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._shown.get()
        except TimeoutError:
            raise Failed("The browser has shown no sign-in page.") from None

    def _json(self, method: bytes, target: bytes) -> str:
        issuer, discovery, _ = target.decode().partition("/.well-known/openid-configuration")
        if not discovery:
            return _JSON[method]
        ends = {"authorization_endpoint": "/oauth", "token_endpoint": "/oauth/access_token/json"}
        return json.dumps(
            {"issuer": f"{self.url}{issuer}"}
            | {name: f"{self.url}{path}" for name, path in ends.items()}
        )

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer all requests of a connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"POST"):
                    self.asked_at = time.monotonic()
                    length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                    await reader.readexactly(int(length))
                method, target, _ = head.split(maxsplit=2)
                if target == b"/shown":
                    self._shown.put_nowait(time.monotonic())
                is_page = method == b"GET" and target.startswith(b"/oauth")
                body = (_SIGN_IN if is_page else self._json(method, target)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                    % (b"text/html" if is_page else b"application/json", len(body), body)
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
