"""The redirect's address on this machine: loopback sockets, bound before anyone hears of the port.

It stands apart from the server so that the port is ours, and the browser on its way, before
anything heavy is loaded: the kernel's backlog holds the browser meanwhile.
"""

from __future__ import annotations

import errno
import socket
import sys
from dataclasses import dataclass

from soe_auth.errors import LoopbackUnavailable

_BACKLOG = 64
_TRIES = 20


@dataclass(frozen=True, slots=True)
class LoopbackSockets:
    """Listening sockets on 127.0.0.1 and ::1, where the machine has them, on one port.

    `host` is the name that a browser reaches them by.
    """

    sockets: tuple[socket.socket, ...]
    host: str
    port: int

    def close(self) -> None:
        """Give the port back."""
        for bound in self.sockets:
            bound.close()


def bind(port: int, host: str) -> LoopbackSockets:
    """Bind the loopback, by literal address; port 0 takes any that is free on both families.

    IPv4 or IPv6 may be absent (RFC 8252 section 7.3), but not IPv4 where the redirect's host is
    127.0.0.1. Raises LoopbackUnavailable.
    """
    problem = "this machine has no such loopback address"
    for _ in range(1 if port else _TRIES):
        bound: list[socket.socket] = []
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                chosen = bound[0].getsockname()[1] if bound else port
                if listening := _listen(family, chosen):
                    bound.append(listening)
                elif host == "127.0.0.1" and family == socket.AF_INET:
                    break
        except OSError as caught:
            problem = caught.strerror or str(caught)
            for useless in bound:
                useless.close()
            continue
        if bound:
            return LoopbackSockets(tuple(bound), host, bound[0].getsockname()[1])
    raise LoopbackUnavailable(
        f"No loopback port could be had for the redirect: {f'port {port}, ' if port else ''}"
        f"{problem}.",
        hint="Choose another with --port, end what holds it, or use --redirect login_success.",
    )


def _listen(family: socket.AddressFamily, port: int) -> socket.socket | None:
    """Listen on a family's loopback address, or return None where the machine lacks the family.

    Without address or port reuse, so that nobody can share the port (RFC 8252 B.3-B.5).
    """
    bound = None
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if sys.platform == "win32":  # pragma: no cover - Windows lets others share without it
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        bound.bind(("127.0.0.1" if family == socket.AF_INET else "::1", port))
        bound.listen(_BACKLOG)
        bound.setblocking(False)  # noqa: FBT003  # the socket module's own signature
    except OSError as problem:
        if bound:
            bound.close()
        if problem.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            return None
        raise
    return bound
