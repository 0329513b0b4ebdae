"""Redirect the browser from the short local address to the site while aiohttp is loaded.

Loading takes 60 ms and more, while the user waits for the site's page. Only a plain request for
that address is answered here, as the server would answer it. Any other connection is handed to the
server, with the bytes that it sent.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from soe_auth.loopback.pages import HEADERS
from soe_auth.loopback.socket_owner import other_user
from soe_auth.model.secret import Secret
from soe_auth.oauth.callback_check import CallbackRequest, check_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from socket import socket

    from soe_auth.loopback.sockets import Address, LoopbackSockets
    from soe_auth.oauth.authorization_request import AuthorizationRequest

_MAX_CONNECTIONS = 16  # the others wait in the kernel's backlog
_MAX_HEAD = 8192  # bytes
# Headers after which a request may have more than its head.
_NOT_PLAIN = frozenset({"content-length", "expect", "transfer-encoding", "upgrade"})


class EarlyRedirect:
    """Accepts connections until the server is loaded; made by `redirect_early`.

    `answer` returns the response to the bytes of a connection; empty to leave it to the server.
    """

    def __init__(self, answer: Callable[[socket, bytes], bytes]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening: Sequence[socket] = ()
        self._answer = answer
        self._connections: dict[socket, bytes] = {}
        self.browser_redirected: bool = False

    def start(self, sockets: Sequence[socket]) -> None:
        """Accept connections. Raises NotImplementedError if the loop cannot watch a socket."""
        for listening in sockets:
            self._loop.add_reader(listening, self._accept, listening)
        self._listening = sockets

    def stop(self) -> dict[socket, bytes]:
        """Stop, and return the open connections with the bytes that each has sent."""
        for watched in (*self._listening, *self._connections):
            self._loop.remove_reader(watched)
        connections, self._listening, self._connections = self._connections, (), {}
        return connections

    def _accept(self, listening: socket) -> None:
        try:
            client, _ = listening.accept()
        except OSError:
            # The connection has ended, or no more can be opened: the server reports that.
            self._loop.remove_reader(listening)
            return
        client.setblocking(False)  # noqa: FBT003  # the socket module's own signature
        self._connections[client] = b""
        self._loop.add_reader(client, self._read, client)
        if len(self._connections) == _MAX_CONNECTIONS:
            for each in self._listening:
                self._loop.remove_reader(each)

    def _read(self, client: socket) -> None:
        """Read once; answer a plain request, and leave any other to the server."""
        self._loop.remove_reader(client)
        with suppress(OSError):
            self._connections[client] = client.recv(_MAX_HEAD)
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
    other_user: Callable[[Address, Address], int | None] = other_user,
) -> Iterator[EarlyRedirect]:
    """Redirect requests for the launch path to the site until `EarlyRedirect.stop`.

    `other_user` is `socket_owner.other_user`.
    """

    def answer(client: socket, data: bytes) -> bytes:
        received = parse_plain_request(data)
        if (
            received
            and not check_request(received, sockets.host, sockets.port)
            and received.target.matches(launch_path)
            and other_user(client.getpeername()[:2], client.getsockname()[:2]) is None
        ):
            return _raw_redirect(request.url)
        return b""

    early = EarlyRedirect(answer)
    with suppress(NotImplementedError):  # on Windows, the browser waits for the server
        early.start(sockets.sockets)
    try:
        yield early
    finally:
        for client in early.stop():
            client.close()


def parse_plain_request(data: bytes) -> CallbackRequest | None:
    """Parse a request in the form that browsers send; return None for an ambiguous one."""
    head, end, more = data.partition(b"\r\n\r\n")
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


def _raw_redirect(location: str) -> bytes:
    """Return the redirect that the server would send (RFC 9700 section 4.12)."""
    headers = {**HEADERS, "Location": location, "Content-Length": "0", "Connection": "close"}
    lines = ["HTTP/1.1 303 See Other", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")
