"""A server that lives for one redirect, on aiohttp, which the client imports nowhere but here.

It decides nothing: protocol.py judges, the story exchanges the code, and only then is the browser
answered, by a redirect to a clean address whose page tells the truth.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING

from aiohttp import web

from soe_auth.pages import HEADERS, Page, stray
from soe_auth.protocol import (
    Arrival,
    AuthorizationRequest,
    Denied,
    Granted,
    Stray,
    Verdict,
    judge,
    screen,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from socket import socket

# How long a browser has to come for the page once its redirect is answered. It takes milliseconds,
# unless the tab was closed; the login is complete and told to the person either way.
_GRACE = 2.0

# aiohttp would log a request line with its errors, and the line may hold a code. A logger outside
# the tree of loggers, so that nobody's configuration can switch it on.
_NOWHERE = logging.Logger("nowhere", level=logging.CRITICAL + 1)  # noqa: LOG001  # on purpose


@dataclass(frozen=True, slots=True)
class LocalPaths:
    """Two unguessable paths: `launch` leads to the site, `done` shows how the login ended."""

    launch: str
    done: str


class Loopback:
    """The listener of one login: await `redirect`, then tell the browser with `conclude`."""

    def __init__(
        self,
        request: AuthorizationRequest,
        port: int,
        paths: LocalPaths,
        on_stray: Callable[[Stray], None],
    ) -> None:
        self._request = request
        self._port = port
        self._paths = paths
        self._on_stray = on_stray
        loop = asyncio.get_running_loop()
        self._verdict: asyncio.Future[Granted | Denied] = loop.create_future()
        self._page: asyncio.Future[Page] = loop.create_future()
        self._shown = asyncio.Event()
        self.strays = 0

    async def redirect(self) -> Granted | Denied:
        """Wait for the site's genuine answer."""
        return await asyncio.shield(self._verdict)

    async def conclude(self, page: Page) -> None:
        """Show how the login ended to the browser that brought the answer, if one did."""
        self._page.set_result(page)
        if self._verdict.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._shown.wait(), _GRACE)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        arrival = Arrival(
            request.method,
            request.raw_path,
            {name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers},
        )
        verdict: Verdict | None = screen(arrival, self._port)
        if verdict is None:
            if _same(arrival.target, self._paths.launch):
                return _see_other(self._request.url)
            if _same(arrival.target, self._paths.done) and self._page.done():
                return await self._show(request, self._page.result())
            verdict = judge(arrival, self._request)
        match verdict:
            case Stray(status=status):
                self.strays += 1
                self._on_stray(verdict)
                return _respond(stray(status))
            case answer:
                return await self._hold(request, answer)

    async def _hold(self, request: web.BaseRequest, answer: Granted | Denied) -> web.Response:
        """Keep the browser waiting until the login has ended; a second tab waits for the same."""
        if not self._verdict.done():
            self._verdict.set_result(answer)
        await asyncio.shield(self._page)
        if request.transport is None:
            self._shown.set()  # the tab is gone: nobody will come for the page
        return _see_other(self._paths.done)

    async def _show(self, request: web.BaseRequest, page: Page) -> web.StreamResponse:
        response = _respond(page)
        await response.prepare(request)
        await response.write_eof()
        self._shown.set()
        return response


@asynccontextmanager
async def serve(
    sockets: Sequence[socket],
    port: int,
    request: AuthorizationRequest,
    paths: LocalPaths,
    on_stray: Callable[[Stray], None],
) -> AsyncIterator[Loopback]:
    """Listen on the sockets, all of one port, until the block ends; then all is closed."""
    listener = Loopback(request, port, paths, on_stray)
    server = web.Server(
        listener.handle, access_log=None, logger=_NOWHERE, lingering_time=0, keepalive_timeout=5
    )
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        for bound in sockets:
            await web.SockSite(runner, bound).start()
        yield listener
    finally:
        await runner.cleanup()


def _respond(page: Page) -> web.Response:
    response = web.Response(status=page.status, body=page.html.encode(), headers=HEADERS)
    response.force_close()
    return response


def _see_other(location: str) -> web.Response:
    """Send the browser on with a GET, never with what it sent here (RFC 9700 section 4.12)."""
    return web.Response(status=303, headers={**HEADERS, "Location": location})


def _same(path: str, expected: str) -> bool:
    return compare_digest(path.encode("utf-8", "surrogateescape"), expected.encode())
