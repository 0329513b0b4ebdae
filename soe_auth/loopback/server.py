"""The callback server of one login, on aiohttp.

It decides nothing: oauth/authorization_response.py checks the callback, and actions/login.py
exchanges the code. Only then is the browser redirected to a clean address, whose page says how the
login ended.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from errno import ENOTCONN
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from aiohttp import web

from soe_auth.loopback.pages import HEADERS, Page, stray
from soe_auth.model.secret import Secret
from soe_auth.oauth.authorization_response import (
    CallbackRequest,
    Denied,
    Granted,
    Stray,
    Verdict,
    check_callback,
    check_request,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from soe_auth.loopback.sockets import Address, LoopbackSockets
    from soe_auth.oauth.authorization_request import AuthorizationRequest

# The address of a connection that has ended before it was looked at.
_GONE = ("", 0)

# How long a browser has to come for the page once its redirect is answered. It takes milliseconds,
# unless the tab was closed; the login is complete and told to the person either way.
_GRACE = 2.0

# Far more than a person's tabs have, and far fewer than a process may have open: whoever fills the
# door with connections loses the oldest of them, and the browser comes in all the same.
_MOST_CONNECTIONS = 64

# Seconds to rest after the system would open no more connections for us.
_REST = 0.2

# Seconds between two looks for a connection, where no more than that can be had.
_LOOK = 0.01

# aiohttp would log a request line with its errors, and the line may hold a code. A logger outside
# the tree of loggers, so that nobody's configuration can switch it on.
_NOWHERE = logging.Logger("nowhere", level=logging.CRITICAL + 1)  # noqa: LOG001  # on purpose


@dataclass(frozen=True, slots=True)
class LocalPaths:
    """Two unguessable paths: `launch` leads to the site, `done` shows how the login ended."""

    launch: str
    done: str


class CallbackServer:
    """The listener of one login: await `redirect`, then tell the browser with `show_result`."""

    def __init__(
        self,
        request: AuthorizationRequest,
        port: int,
        paths: LocalPaths,
        on_stray: Callable[[Stray], None],
        is_other_user: Callable[[Address, Address], bool],
    ) -> None:
        self._request = request
        self._port = port
        self._paths = paths
        self._on_stray = on_stray
        self._is_other_user = is_other_user
        loop = asyncio.get_running_loop()
        self._verdict: asyncio.Future[Granted | Denied] = loop.create_future()
        self._page: asyncio.Future[Page] = loop.create_future()
        self._shown = asyncio.Event()
        self._evictable: dict[web.RequestHandler, None] = {}  # oldest first
        self.strays: Counter[str] = Counter()
        self.browser_redirected: bool = False  # whether a browser was sent to the site

    async def redirect(self) -> Granted | Denied:
        """Wait for the site's genuine answer."""
        return await asyncio.shield(self._verdict)

    async def show_result(self, page: Page) -> None:
        """Show how the login ended to the browser that brought the answer, if one did."""
        self._page.set_result(page)
        if self._verdict.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._shown.wait(), _GRACE)

    def enter(self, connection: web.RequestHandler) -> None:
        """Let a new connection in, and the oldest out if there are too many."""
        self._evictable[connection] = None
        if len(self._evictable) > _MOST_CONNECTIONS:
            oldest = next(iter(self._evictable))
            self.leave(oldest)
            oldest.force_close()

    def leave(self, connection: web.RequestHandler) -> None:
        """Count a connection no more, as it has ended or may stay for good."""
        self._evictable.pop(connection, None)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        arrival = CallbackRequest(
            request.method,
            Secret(request.raw_path),
            {name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers},
            other_user=self._from_other_user(request),
        )
        verdict: Verdict | None = check_request(arrival, self._port)
        if verdict is None:
            if arrival.target.matches(self._paths.launch):
                self.browser_redirected = True
                return _see_other(self._request.url)
            if arrival.target.matches(self._paths.done) and self._page.done():
                return await self._show(request, self._page.result())
            verdict = check_callback(arrival, self._request)
        match verdict:
            case Stray():
                return self.refuse(verdict)
            case answer:
                return await self._hold(request, answer)

    def refuse(self, reason: Stray) -> web.Response:
        """Answer a stray: counted, told to whom it concerns, and nothing of it repeated."""
        self.strays[reason.reason] += 1
        self._on_stray(reason)
        return _respond(stray(reason.status))

    def _from_other_user(self, request: web.BaseRequest) -> bool:
        ends = ((request.get_extra_info(end) or _GONE)[:2] for end in ("peername", "sockname"))
        return self._is_other_user(*ends)

    async def _hold(self, request: web.BaseRequest, answer: Granted | Denied) -> web.Response:
        """Keep the browser waiting until the login has ended; a second tab waits for the same."""
        self.leave(request.protocol)
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
    sockets: LoopbackSockets,
    request: AuthorizationRequest,
    paths: LocalPaths,
    on_stray: Callable[[Stray], None],
    is_other_user: Callable[[Address, Address], bool],
    guests: Mapping[socket.socket, bytes] = MappingProxyType({}),
) -> AsyncIterator[CallbackServer]:
    """Listen on the sockets until the block ends; then all is closed.

    `is_other_user` tells from the two ends of a connection whether another user is at the far one.
    `guests` are connections that came before, with what each has brought.
    """
    listener = CallbackServer(request, sockets.port, paths, on_stray, is_other_user)
    server = _Server(listener)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    not_taken = dict(guests)
    try:
        for guest, brought in guests.items():
            connection = partial(_Connection, server, listener, brought)
            await asyncio.get_running_loop().connect_accepted_socket(connection, guest)
            del not_taken[guest]
        async with _accept_loop(sockets, server, listener):
            yield listener
    finally:
        for guest in not_taken:
            guest.close()
        await runner.cleanup()


@asynccontextmanager
async def _accept_loop(
    sockets: LoopbackSockets, server: _Server, listener: CallbackServer
) -> AsyncIterator[None]:
    """Let connections in until the block ends, and have each that was taken by then closed.

    Not as asyncio's own servers do: one that the system refuses has them log a traceback, then and
    a second later, in whatever goes on in this process by that time.
    """
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()  # no more is taken from then on, which nobody would close

    async def accept(door: socket.socket) -> None:
        while not ending.is_set():
            try:
                guest = await _next_guest(door)
            except ConnectionError:  # pragma: no cover - Linux hands on what has gone again
                continue
            except OSError:
                listener.refuse(Stray("this process may open no more connections"))
                await asyncio.sleep(_REST)
            else:
                with suppress(OSError):  # it has gone again
                    await loop.connect_accepted_socket(server, guest)

    tasks = [loop.create_task(accept(door)) for door in sockets.sockets]
    try:
        yield
    finally:
        ending.set()
        # A loop that watches no sockets, as on Windows, closes what a cancelled task has taken.
        with suppress(NotImplementedError):
            for door in sockets.sockets:
                loop.remove_reader(door)
            await asyncio.sleep(0)  # in which a task gets what was taken for it
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sockets.close()


async def _next_guest(door: socket.socket) -> socket.socket:
    """Accept one connection. Raises OSError.

    Not by Windows' own loop, which logs a traceback for each that was broken off before.
    """
    if sys.platform != "win32":
        guest, _ = await asyncio.get_running_loop().sock_accept(door)
        return guest
    while True:
        try:
            guest, _ = door.accept()
        except BlockingIOError:
            await asyncio.sleep(_LOOK)
        except OSError as problem:
            if problem.errno != ENOTCONN:  # which one has that has gone again
                raise
            await asyncio.sleep(0)
        else:
            guest.setblocking(False)  # noqa: FBT003  # the socket module's own signature
            return _Guest(guest.family, guest.type, guest.proto, guest.detach())


class _Guest(socket.socket):
    """A connection whose end is no error where the other side has broken it off.

    Windows' own loop shuts each down as it closes it, and logs a traceback where that fails.
    """

    def shutdown(self, how: int) -> None:
        with suppress(OSError):
            super().shutdown(how)


class _Server(web.Server):
    """Makes the connections of one listener."""

    def __init__(self, listener: CallbackServer) -> None:
        super().__init__(listener.handle)
        self._listener = listener

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._listener)


class _Connection(web.RequestHandler):
    """Answers what aiohttp cannot read as any other stray; aiohttp's own answer would repeat it."""

    __slots__ = ("_brought", "_listener")

    def __init__(self, server: _Server, listener: CallbackServer, brought: bytes = b"") -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=_NOWHERE,
            logger=_NOWHERE,
            lingering_time=0,
            keepalive_timeout=5,
        )
        self._listener = listener
        self._brought = brought

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._listener.enter(self)
        if self._brought:
            self.data_received(self._brought)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._listener.leave(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        del request, exc, message
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return self._listener.refuse(Stray("it could not be handled", status, notable=True))
        return self._listener.refuse(Stray("it was no HTTP that can be read", status))


def _respond(page: Page) -> web.Response:
    response = web.Response(status=page.status, body=page.html.encode(), headers=HEADERS)
    response.force_close()
    return response


def _see_other(location: str) -> web.Response:
    """Send the browser on with a GET, never with what it sent here (RFC 9700 section 4.12)."""
    return web.Response(status=303, headers={**HEADERS, "Location": location})
