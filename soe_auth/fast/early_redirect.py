"""Leads the browser on from the short local address while the listener is still being loaded.

That takes 60 ms and more, and a person waits for the site's page. Only the plain request for that
address is answered here, as the listener would answer it. A connection that brings anything else,
or nothing yet, is handed on with what it has brought, for the listener to judge.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from soe_auth.loopback.pages import HEADERS
from soe_auth.model.secret import Secret
from soe_auth.oauth.authorization_response import CallbackRequest, check_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from socket import socket

    from soe_auth.loopback.sockets import Address, LoopbackSockets
    from soe_auth.oauth.authorization_request import AuthorizationRequest

_MAX_CONNECTIONS = 16  # the others wait in the kernel's backlog
_LONGEST_HEAD = 8192
# What would have a request go on behind its head.
_NOT_PLAIN = frozenset({"content-length", "expect", "transfer-encoding", "upgrade"})


class EarlyRedirect:
    """Stands at the sockets until the listener is there; made by `redirect_early`."""

    def __init__(self, answer: Callable[[socket, bytes], bytes]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening: Sequence[socket] = ()
        self._answer = answer
        self._connections: dict[socket, bytes] = {}
        self.browser_redirected: bool = False

    def begin(self, sockets: Sequence[socket]) -> None:
        """Let connections in. Raises NotImplementedError where the loop cannot watch a socket."""
        for listening in sockets:
            self._loop.add_reader(listening, self._accept, listening)
        self._listening = sockets

    def leave(self) -> dict[socket, bytes]:
        """Go, and return the connections that are left, and what each has brought."""
        for watched in (*self._listening, *self._connections):
            self._loop.remove_reader(watched)
        connections, self._listening, self._connections = self._connections, (), {}
        return connections

    def _accept(self, listening: socket) -> None:
        try:
            client, _ = listening.accept()
        except OSError:  # it has gone again, or there may be no more: the listener will see
            self._loop.remove_reader(listening)
            return
        client.setblocking(False)  # noqa: FBT003  # the socket module's own signature
        self._connections[client] = b""
        self._loop.add_reader(client, self._look, client)
        if len(self._connections) == _MAX_CONNECTIONS:
            for each in self._listening:
                self._loop.remove_reader(each)

    def _look(self, client: socket) -> None:
        """Look once at what a connection brings; if it is plain, answer, else keep it."""
        self._loop.remove_reader(client)
        with suppress(OSError):
            self._connections[client] = client.recv(_LONGEST_HEAD)
            if answer := self._answer(client, self._connections[client]):
                del self._connections[client]
                with client:
                    client.send(answer)
                self.browser_redirected = True


@contextmanager
def redirect_early(
    sockets: LoopbackSockets,
    launch_path: str,
    request: AuthorizationRequest,
    other_user: Callable[[Address, Address], int | None],
) -> Iterator[EarlyRedirect]:
    """Redirect requests for the launch path to the site until the responder leaves.

    `other_user` tells from the two ends of a connection which other user is at the far one, if any.
    """

    def answer(client: socket, brought: bytes) -> bytes:
        arrival = read_plain(brought)
        if (
            arrival
            and not check_request(arrival, sockets.host, sockets.port)
            and arrival.target.matches(launch_path)
            and other_user(client.getpeername()[:2], client.getsockname()[:2]) is None
        ):
            return _see_other(request.url)
        return b""

    responder = EarlyRedirect(answer)
    with suppress(NotImplementedError):  # the browser waits for the listener then, on Windows
        responder.begin(sockets.sockets)
    try:
        yield responder
    finally:
        for client in responder.leave():
            client.close()


def read_plain(brought: bytes) -> CallbackRequest | None:
    """Read a request as a browser writes one; None for what could be understood in two ways."""
    head, end, more = brought.partition(b"\r\n\r\n")
    try:
        first, *lines = head.decode("ascii").split("\r\n")
        method, target, version = first.split(" ")
    except ValueError:
        return None
    pairs = [line.partition(": ") for line in lines]
    headers = {name.lower(): value for name, _, value in pairs}
    is_plain = (
        (end, more, version) == (b"\r\n\r\n", b"", "HTTP/1.1")
        and len(headers) == len(pairs)
        and not headers.keys() & _NOT_PLAIN
        and all(name.replace("-", "").isalnum() for name in headers)
        and all(text.isprintable() and text == text.strip() != "" for text in headers.values())
    )
    return CallbackRequest(method, Secret(target), headers) if is_plain else None


def _see_other(location: str) -> bytes:
    """Write the redirect as the listener does (RFC 9700 section 4.12)."""
    headers = {**HEADERS, "Location": location, "Content-Length": "0", "Connection": "close"}
    lines = ["HTTP/1.1 303 See Other", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")
