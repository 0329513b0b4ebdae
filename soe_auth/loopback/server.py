"""Serve the callback of one login, on aiohttp.

The server decides nothing: `oauth/callback_check.py` checks the callback, and
`actions/login.py` exchanges its code. Then the browser is redirected to an address without the
code, whose page shows how the login ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import Counter
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from soe_auth.loopback.accept_connections import accepting
from soe_auth.loopback.pages import HEADERS, Page, stray
from soe_auth.loopback.socket_owner import ORPHAN, other_user
from soe_auth.model.secret import Secret
from soe_auth.oauth.callback_check import (
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

# aiohttp makes a TLS context when it is imported, which fails if this names an unwritable file.
_key_log = os.environ.pop("SSLKEYLOGFILE", None)
try:
    from aiohttp import web
finally:
    if _key_log is not None:
        os.environ["SSLKEYLOGFILE"] = _key_log

_CLOSED = ("", 0)  # the address of a connection that ended before it was read

# Seconds that a browser has to fetch the page after its redirect. It takes milliseconds, unless the
# tab was closed; the user sees the result in the terminal in any case.
_RESULT_TIMEOUT = 2.0

# Far more than a user's tabs need, and far fewer than a process may open. The user with the most
# connections loses the oldest of them, so the browser always gets one.
_MAX_CONNECTIONS = 64

# Browsers send the cookies of every port of `localhost` to each. In bytes: the largest request
# head, and how much more of a larger one is read and dropped.
_MAX_HEAD = 256 * 1024
_MAX_DROPPED = 4 * 1024 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_NON_ASCII = re.compile(b"[\x80-\xff]")
_TOO_MANY = Stray("this process cannot open more connections")

# aiohttp would log a request line with its errors, and the line may hold a code. This logger is
# outside the tree of loggers, so that no configuration can enable it.
_NO_LOG = logging.Logger("nowhere", level=logging.CRITICAL + 1)  # noqa: LOG001  # on purpose


class LocalPaths(NamedTuple):
    """Two unguessable paths: `launch` redirects to the site, `done` shows how the login ended."""

    launch: str
    done: str


class CallbackServer:
    """The callback server of one login: `wait_for_callback`, then `show_result`."""

    def __init__(
        self,
        request: AuthorizationRequest,
        sockets: LoopbackSockets,
        paths: LocalPaths,
        on_stray: Callable[[Stray], None],
        other_user: Callable[[Address, Address], int | None],
    ) -> None:
        self.request = request  # replaced if the user starts again
        self._sockets = sockets
        self._paths = paths
        self._on_stray = on_stray
        self._other_user = other_user
        loop = asyncio.get_running_loop()
        self._callback: asyncio.Future[Granted | Denied] = loop.create_future()
        self._page: asyncio.Future[Page] = loop.create_future()
        self._shown = asyncio.Event()
        self._evictable: dict[web.RequestHandler, int | None] = {}  # oldest first, with their users
        self.strays: Counter[str] = Counter()
        self.browser_redirected: bool = False  # to the site, by the launch path

    async def wait_for_callback(self) -> Granted | Denied:
        """Wait for the callback of the site."""
        return await asyncio.shield(self._callback)

    async def show_result(self, page: Page) -> None:
        """Show how the login ended to the browser that brought the callback, if one did."""
        self._page.set_result(page)
        if self._callback.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._shown.wait(), _RESULT_TIMEOUT)

    def add_connection(self, connection: web.RequestHandler, user: int | None) -> None:
        """Count a new connection; if there are too many, close the oldest of the busiest user."""
        self._evictable[connection] = user
        if len(self._evictable) > _MAX_CONNECTIONS:
            [(busiest, _)] = Counter(self._evictable.values()).most_common(1)
            oldest = next(each for each, owner in self._evictable.items() if owner == busiest)
            self.release_connection(oldest)
            oldest.force_close()

    def release_connection(self, connection: web.RequestHandler) -> None:
        """Stop counting a connection that has ended, or that has to stay open."""
        self._evictable.pop(connection, None)

    def user_at(self, transport: asyncio.BaseTransport) -> int | None:
        """Return the other user at the far end of a connection, or None."""
        ends = ((transport.get_extra_info(end) or _CLOSED)[:2] for end in ("peername", "sockname"))
        return self._other_user(*ends)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        connection = request.protocol
        assert isinstance(connection, _Connection)  # noqa: S101  # `serve` makes no others
        connection.unread, connection.line_read = 0, False
        received = CallbackRequest(
            request.method,
            Secret(request.raw_path),
            {name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers},
            connection.user,
        )
        if check_request(received, self._sockets.host, self._sockets.port) is None:
            if received.target.matches(self._paths.launch):
                # Other users may have read the address in the browser's command line.
                if connection.user is not None:
                    return self.refuse(LAUNCH_REFUSED)
                self.browser_redirected = True
                return _redirect(self.request.url)
            if received.target.matches(self._paths.done) and self._page.done():
                return await self._send_result(request, self._page.result())
        match check_callback(received, self.request):
            case Stray() as reason:
                return self.refuse(reason)
            case callback:
                return await self._accept_callback(request, callback)

    def refuse(self, reason: Stray) -> web.Response:
        """Count and report a stray, and return an answer that quotes nothing of the request."""
        self.strays[reason.reason] += 1
        self._on_stray(reason)
        return _respond(stray(reason))

    async def _accept_callback(
        self, request: web.BaseRequest, callback: Granted | Denied
    ) -> web.StreamResponse:
        """Accept the first callback; each tab with a callback waits until the login ends."""
        self.release_connection(request.protocol)
        if not self._callback.done():
            self._callback.set_result(callback)
        await asyncio.shield(self._page)
        if request.transport is None:
            self._shown.set()  # the tab is closed and will not fetch the page
        return _redirect(self._paths.done)

    async def _send_result(self, request: web.BaseRequest, page: Page) -> web.StreamResponse:
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
    *,
    other_user: Callable[[Address, Address], int | None] = other_user,
    accepted: Mapping[socket.socket, bytes] = MappingProxyType({}),
) -> AsyncIterator[CallbackServer]:
    """Serve the callback until the block ends, then close sockets and connections.

    `other_user` is `socket_owner.other_user`. `accepted` has the connections that were accepted
    earlier, each with the bytes that it sent.
    """
    listener = CallbackServer(request, sockets, paths, on_stray, other_user)
    server = web.Server(listener.handle)
    connection = partial(_Connection, server, listener)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    loop = asyncio.get_running_loop()
    unconnected = dict(accepted)
    try:
        for client, sent in accepted.items():
            await loop.connect_accepted_socket(partial(connection, sent), client)
            del unconnected[client]
        async with accepting(sockets, connection, lambda: listener.refuse(_TOO_MANY)):
            yield listener
    finally:
        for client in unconnected:
            client.close()
        await runner.cleanup()


class _Connection(web.RequestHandler):
    """Treats invalid HTTP as a stray; aiohttp's own answer would repeat it."""

    __slots__ = ("_last_bytes", "_listener", "_sent", "line_read", "unread", "user")

    def __init__(self, server: web.Server, listener: CallbackServer, sent: bytes = b"") -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=_NO_LOG,
            logger=_NO_LOG,
            lingering_time=0,
            keepalive_timeout=5,
            max_line_size=_MAX_HEAD,
            max_field_size=_MAX_HEAD,
        )
        self._listener = listener
        self._sent = sent
        self.user: int | None = ORPHAN  # until it is known
        self._last_bytes = b""  # too few to end a head
        self.unread = 0  # bytes since the last request
        self.line_read = False  # whether the request line is among them

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.user = self._listener.user_at(transport)
        self._listener.add_connection(self, self.user)
        if self._sent:
            self.data_received(self._sent)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._listener.release_connection(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.line_read:
            # A site may put non-ASCII bytes into the address, although RFC 3986 forbids it.
            line, end, rest = data.partition(b"\n")
            data = _NON_ASCII.sub(lambda byte: b"%%%02X" % ord(byte[0]), line) + end + rest
            self.line_read = end != b""
        self.unread += len(data)
        latest = self._last_bytes + data
        self._last_bytes = latest[1 - len(_END_OF_HEAD) :]
        if self.unread > _MAX_HEAD:
            # Closing with bytes unread resets the connection, and the browser may lose the page.
            if _END_OF_HEAD not in latest and self.unread < _MAX_DROPPED:
                return
            data = b"\0"  # invalid at any point of a request
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
            return self._listener.refuse(Stray("soe-auth failed on it", status, notable=True))
        if self.unread > _MAX_HEAD:
            return self._listener.refuse(TOO_LARGE)
        return self._listener.refuse(Stray("it was not valid HTTP", status))


def _respond(page: Page) -> web.Response:
    response = web.Response(status=page.status, body=page.html.encode(), headers=HEADERS)
    response.force_close()
    return response


def _redirect(location: str) -> web.Response:
    """Redirect the browser with a GET, without a body (RFC 9700 section 4.12)."""
    return web.Response(status=303, headers={**HEADERS, "Location": location})
