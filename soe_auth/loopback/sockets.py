"""Bind the loopback sockets of a redirect URI, and check that its host is the loopback.

This module does not import aiohttp, so that the browser can start before aiohttp is loaded. The
kernel's backlog holds its connection meanwhile.
"""

from __future__ import annotations

import errno
import socket
import sys
from binascii import b2a_base64

from soe_auth.errors import LoopbackUnavailable

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

Address = tuple[str, int]

_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
_BACKLOG = 128
_TRIES = 20
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PATH_BYTES = 6  # 48 bits: too many to guess while a login waits
_LOOKUP_TIMEOUT = 5.0  # seconds; resolvers themselves try for half a minute


class LoopbackSockets:
    """Listening sockets on 127.0.0.1 and ::1, if the machine has both, on one port.

    `host` is the host in their URLs.
    """

    __slots__ = ("host", "port", "sockets")

    def __init__(self, sockets: Sequence[socket.socket], host: str, port: int) -> None:
        self.sockets: Sequence[socket.socket] = sockets
        self.host: str = host
        self.port: int = port

    def url(self, path: str) -> str:
        """Return the URL of a path, for a browser on this machine."""
        return f"http://{self.host}:{self.port}{path}"

    def close(self) -> None:
        """Free the port."""
        for listening in self.sockets:
            listening.close()


def bind(
    ports: range | int,
    host: str,
    why_busy: Callable[[int], str | None] = lambda _port: None,
) -> LoopbackSockets:
    """Bind the first of `ports` that is free on 127.0.0.1 and ::1; port 0 takes any.

    One family may be absent (RFC 8252 section 7.3), but not IPv4 if `host` is 127.0.0.1.
    `why_busy` explains why a port is busy. Raises LoopbackUnavailable, also if `host` does not
    resolve to the loopback only.
    """
    if host not in {"localhost", "127.0.0.1"} and not host.endswith(".localhost"):
        require_loopback(host)
    if isinstance(ports, int):
        ports = range(ports, ports + 1)
    problems: dict[int, str] = {}
    for port in ports if ports.start else [0] * _TRIES:
        try:
            sockets = _listen_on_both(port, host)
        except OSError as problem:
            problems[port] = describe_bind_error(problem)
            continue
        if sockets:
            return LoopbackSockets(sockets, host, sockets[0].getsockname()[1])
    first, *others = ports
    if first not in problems:
        reason = "this machine has no such loopback address"
    elif not first:
        reason = problems[first]
    else:
        busy = f"port {first} {why_busy(first) or f'cannot be bound: {problems[first]}'}"
        reason = f"none of {first}-{others[-1]} is free; {busy}" if others else busy
    raise LoopbackUnavailable(
        f"Cannot bind a loopback port for the redirect: {reason}.",
        hint="Choose another port with --port, stop the program that uses it, or use"
        " --redirect login_success.",
    )


def describe_bind_error(problem: OSError) -> str:
    """Return why a port cannot be bound, in English also on Windows."""
    if sys.platform == "win32":
        if problem.errno == errno.EADDRINUSE:
            return "another program uses it"
        if problem.errno == errno.EACCES:
            return "Windows reserves it, or another program has exclusive use of it"
    return problem.strerror or str(problem)


def local_path(entropy: Callable[[int], bytes]) -> str:
    """Make a path that no other program can guess, in URL-safe Base64 (RFC 4648 section 5)."""
    return "/" + b2a_base64(entropy(_PATH_BYTES), newline=False).translate(_URL_SAFE).decode()


def lookup_addresses(
    host: str,
    port: int,
    *,
    timeout: float = _LOOKUP_TIMEOUT,
    getaddrinfo: Callable[..., list[Any]] = socket.getaddrinfo,
) -> tuple[str, ...]:
    """Return the addresses of a host. Raises OSError: TimeoutError after `timeout` seconds.

    A look-up cannot be interrupted, so it runs in a daemon thread.
    """
    from concurrent.futures import Future
    from threading import Thread

    result: Future[list[Any]] = Future()

    def lookup() -> None:
        try:
            result.set_result(getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as problem:
            result.set_exception(problem)

    try:
        Thread(target=lookup, daemon=True).start()
    except RuntimeError:  # the system starts no more threads
        lookup()
    try:
        found = result.result(timeout)
    except TimeoutError:
        raise TimeoutError("no name server answered in time") from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def require_loopback(
    host: str, lookup: Callable[[str, int], tuple[str, ...]] = lookup_addresses
) -> None:
    """Raise LoopbackUnavailable unless a host resolves to 127.0.0.1 and ::1 only.

    Otherwise the browser would send the code to another machine.
    """
    try:
        others = [address for address in lookup(host, 80) if address not in _LOOPBACK.values()]
        reason = f"it resolves to {others[0]}, not only to 127.0.0.1 or ::1" if others else ""
    except OSError as problem:
        reason = f"it does not resolve: {problem.strerror or problem}"
    if reason:
        raise LoopbackUnavailable(
            f"Cannot use {host} for the redirect: {reason}.",
            hint=f"Add `127.0.0.1 {host}` to the hosts file or your DNS, choose another host with"
            " --redirect-host, or use --redirect login_success.",
        )


def _listen_on_both(port: int, host: str) -> list[socket.socket]:
    """Listen on one port of each family; return nothing if the host's own family is absent.

    Raises OSError.
    """
    sockets: list[socket.socket] = []
    try:
        for family, address in _LOOPBACK.items():
            chosen = sockets[0].getsockname()[1] if sockets else port
            if listening := _listen(family, chosen):
                sockets.append(listening)
            elif host == address:
                break
    except OSError:
        for unused in sockets:
            unused.close()
        raise
    return sockets


def _listen(family: socket.AddressFamily, port: int) -> socket.socket | None:
    """Listen on a family's loopback address; return None if the machine lacks the family.

    No other socket can share the port (RFC 8252 B.3-B.5). Windows needs an option for that. On
    other systems SO_REUSEADDR allows a port that was used a moment ago, but not a second listener:
    docs/decisions/0007-a-port-again-at-once.md.
    """
    listening = None
    try:
        listening = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if sys.platform == "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_LOOPBACK[family], port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)  # noqa: FBT003  # the socket module's own signature
    except OSError as problem:
        if listening:
            listening.close()
        if problem.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            return None
        raise
    return listening
