"""The callback server of one login, on aiohttp.

It decides nothing: oauth/authorization_response.py checks the callback, and actions/login.py
exchanges the code. Only then is the browser redirected to a clean address, whose page says how the
login ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from soe_auth.loopback.accept import accepting
from soe_auth.loopback.pages import HEADERS, Page, for_another_user, stray, too_large
from soe_auth.loopback.peer_user import ORPHAN
from soe_auth.model.secret import Secret
from soe_auth.oauth.authorization_response import (
    LAUNCH_REFUSED,
    TOO_LARGE,
    CallbackRequest,
    Denied,
    Granted,
    Stray,
    check_callback,
    check_request,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Mapping

    from soe_auth.loopback.sockets import Address, LoopbackSockets
    from soe_auth.oauth.authorization_request import AuthorizationRequest

# aiohttp makes a TLS context as it is imported, which fails where this names no file to write to.
_key_log = os.environ.pop("SSLKEYLOGFILE", None)
try:
    from aiohttp import web
finally:
    if _key_log is not None:
        os.environ["SSLKEYLOGFILE"] = _key_log

# The address of a connection that has ended before it was looked at.
_GONE = ("", 0)

# How long a browser has to come for the page once its redirect is answered. It takes milliseconds,
# unless the tab was closed; the login is complete and told to the person either way.
_GRACE = 2.0

# Far more than a user's tabs have, and far fewer than a process may have open: the user who has the
# most connections loses the oldest of them, and the browser comes in all the same.
_MOST_CONNECTIONS = 64

# Browsers send the cookies of every port of `localhost` to each. In bytes: what a request may have
# until its head ends, and how much more is read and dropped of a larger one.
_LARGEST_HEAD = 256 * 1024
_MOST_DROPPED = 4 * 1024 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_NO_MORE = Stray("this process may open no more connections")

_RAW = re.compile(b"[\x80-\xff]")

# aiohttp would log a request line with its errors, and the line may hold a code. A logger outside
# the tree of loggers, so that no configuration can switch it on.
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
        sockets: LoopbackSockets,
        paths: LocalPaths,
        on_stray: Callable[[Stray], None],
        other_user: Callable[[Address, Address], int | None],
    ) -> None:
        self.request = request  # a later one takes its place where the user asks again
        self._sockets = sockets
        self._paths = paths
        self._on_stray = on_stray
        self._other_user = other_user
        loop = asyncio.get_running_loop()
        self._verdict: asyncio.Future[Granted | Denied] = loop.create_future()
        self._page: asyncio.Future[Page] = loop.create_future()
        self._shown = asyncio.Event()
        self._evictable: dict[web.RequestHandler, int | None] = {}  # oldest first; whose each is
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

    def enter(self, connection: web.RequestHandler, other_user: int | None) -> None:
        """Let a new connection in, and where there are too many, the oldest of who has the most."""
        self._evictable[connection] = other_user
        if len(self._evictable) > _MOST_CONNECTIONS:
            [(most, _)] = Counter(self._evictable.values()).most_common(1)
            oldest = next(each for each, user in self._evictable.items() if user == most)
            self.leave(oldest)
            oldest.force_close()

    def leave(self, connection: web.RequestHandler) -> None:
        """Count a connection no more, as it has ended or may stay for good."""
        self._evictable.pop(connection, None)

    def user_at(self, transport: asyncio.BaseTransport) -> int | None:
        """Return which other user is at the far end of a connection, if one is."""
        ends = ((transport.get_extra_info(end) or _GONE)[:2] for end in ("peername", "sockname"))
        return self._other_user(*ends)

    async def handle(self, request: web.BaseRequest, other_user: int | None) -> web.StreamResponse:
        """Answer one HTTP request."""
        arrival = CallbackRequest(
            request.method,
            Secret(request.raw_path),
            {name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers},
            other_user,
        )
        if check_request(arrival, self._sockets.host, self._sockets.port) is None:
            if arrival.target.matches(self._paths.launch):
                # Its address stands in the browser's command line, which others may have read.
                if other_user is not None:
                    return self.refuse(LAUNCH_REFUSED, for_another_user())
                self.browser_redirected = True
                return _see_other(self.request.url)
            if arrival.target.matches(self._paths.done) and self._page.done():
                return await self._show(request, self._page.result())
        match check_callback(arrival, self.request):
            case Stray() as reason:
                return self.refuse(reason)
            case answer:
                return await self._hold(request, answer)

    def refuse(self, reason: Stray, page: Page | None = None) -> web.Response:
        """Answer a stray: counted, told to whom it concerns, and nothing of it repeated."""
        self.strays[reason.reason] += 1
        self._on_stray(reason)
        return _respond(page or stray(reason.status))

    async def _hold(self, request: web.BaseRequest, answer: Granted | Denied) -> web.Response:
        """Keep the browser waiting until the login has ended; a second tab waits for the same."""
        self.leave(request.protocol)
        if not self._verdict.done():
            self._verdict.set_result(answer)
        await asyncio.shield(self._page)
        if request.transport is None:
            self._shown.set()  # the tab is gone: no request will come for the page
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
    other_user: Callable[[Address, Address], int | None],
    accepted: Mapping[socket.socket, bytes] = MappingProxyType({}),
) -> AsyncIterator[CallbackServer]:
    """Listen on the sockets until the block ends; then all is closed.

    `other_user` tells from the two ends of a connection which other user is at the far one, if any.
    `accepted` are connections that came before, with what each has brought.
    """
    listener = CallbackServer(request, sockets, paths, on_stray, other_user)
    server = _Server(listener)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    not_taken = dict(accepted)
    try:
        for client, brought in accepted.items():
            connection = partial(_Connection, server, listener, brought)
            await asyncio.get_running_loop().connect_accepted_socket(connection, client)
            del not_taken[client]
        async with accepting(sockets, server, lambda: listener.refuse(_NO_MORE)):
            yield listener
    finally:
        for client in not_taken:
            client.close()
        await runner.cleanup()


class _Server(web.Server):
    """Makes the connections of one listener."""

    def __init__(self, listener: CallbackServer) -> None:
        super().__init__(self._answer)
        self._listener = listener

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._listener)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, _Connection)  # noqa: S101  # it makes no others
        connection.unread, connection.line_read = 0, False
        return await self._listener.handle(request, connection.other_user)


class _Connection(web.RequestHandler):
    """Answers what aiohttp cannot read as any other stray; aiohttp's own answer would repeat it."""

    __slots__ = ("_brought", "_last_bytes", "_listener", "line_read", "other_user", "unread")

    def __init__(self, server: _Server, listener: CallbackServer, brought: bytes = b"") -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=_NOWHERE,
            logger=_NOWHERE,
            lingering_time=0,
            keepalive_timeout=5,
            max_line_size=_LARGEST_HEAD,
            max_field_size=_LARGEST_HEAD,
        )
        self._listener = listener
        self._brought = brought
        self.other_user: int | None = ORPHAN  # until it is known
        self._last_bytes = b""  # fewer than end a head
        self.unread = 0  # bytes that came since a request was read
        self.line_read = False  # whether its first line was among them

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.other_user = self._listener.user_at(transport)
        self._listener.enter(self, self.other_user)
        if self._brought:
            self.data_received(self._brought)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._listener.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.line_read:
            # A site may have put bytes into the address that have no place in one.
            line, end, rest = data.partition(b"\n")
            data = _RAW.sub(lambda raw: b"%%%02X" % ord(raw[0]), line) + end + rest
            self.line_read = end != b""
        self.unread += len(data)
        latest = self._last_bytes + data
        self._last_bytes = latest[1 - len(_END_OF_HEAD) :]
        if self.unread > _LARGEST_HEAD:
            # To close with bytes unread resets the connection, and the browser may lose the page.
            if _END_OF_HEAD not in latest and self.unread < _MOST_DROPPED:
                return
            data = b"\0"  # which no request begins with or goes on with
        super().data_received(data)

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
        if self.unread > _LARGEST_HEAD:
            return self._listener.refuse(TOO_LARGE, too_large())
        return self._listener.refuse(Stray("it was no HTTP that can be read", status))


def _respond(page: Page) -> web.Response:
    response = web.Response(status=page.status, body=page.html.encode(), headers=HEADERS)
    response.force_close()
    return response


def _see_other(location: str) -> web.Response:
    """Send the browser on with a GET, never with what it sent here (RFC 9700 section 4.12)."""
    return web.Response(status=303, headers={**HEADERS, "Location": location})
