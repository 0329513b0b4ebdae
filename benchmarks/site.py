"""A site on loopback that answers at once, so that only the client's time is measured.

It checks nothing: the tests use the sandbox for that.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.runner import BenchmarkError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

TOKEN = "made-up"  # noqa: S105  # not a real token
_PATIENCE = 20.0  # seconds for a browser to show a page

# The same token each time, so that no login has to revoke a replaced one. An SOE site sends only
# `expires`; the other tools need the fields of the standard.
_JSON = {
    b"POST": f'{{"access_token": "{TOKEN}", "expires": 86400,'
    ' "token_type": "bearer", "expires_in": 86400}',
    b"GET": '{"id": 1, "name": "Jane Doe"}',
}

# The page reports its first paint, and then closes its tab.
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
    """The URL, and the time of the last token request, in seconds of the monotonic clock."""

    url: str
    requested_at: float = 0.0
    _shown: asyncio.Queue[float] = field(default_factory=asyncio.Queue)

    async def shown(self) -> float:
        """Wait for the sign-in page; return when it was shown, in seconds of the same clock.

        Raises BenchmarkError if it is not shown in time.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._shown.get()
        except TimeoutError:
            raise BenchmarkError("The browser did not show the sign-in page in time.") from None

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
                    self.requested_at = time.monotonic()
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
    """Run a site at a free port, on http, or on https with `tls`."""
    # asyncio sets TCP_NODELAY only on a socket whose protocol is named. Without it, a response on
    # https waits 40 ms for the client's acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.bind(("127.0.0.1", 0))
        site = Site(f"{'https' if tls else 'http'}://localhost:{bound.getsockname()[1]}")
        server = await asyncio.start_server(site.answer, sock=bound, ssl=tls)
        async with server:
            yield site
            server.close()
