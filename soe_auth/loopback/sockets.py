"""The redirect's address on this machine: loopback sockets, bound before anyone hears of the port.

It stands apart from the server so that the port is ours, and the browser on its way, before
anything heavy is loaded: the kernel's backlog holds the browser meanwhile.
"""

from __future__ import annotations

import errno
import socket
import sys
from binascii import b2a_base64

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Address = tuple[str, int]

BACKLOG = 128
_TRIES = 20
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PATH_BYTES = 6  # 48 bits: not to be guessed through a loopback within a login's time


class LoopbackSockets:
    """Listening sockets on 127.0.0.1 and ::1, where the machine has them, on one port.

    `host` is the name that a browser reaches them by.
    """

    __slots__ = ("host", "port", "sockets")

    def __init__(self, sockets: Sequence[socket.socket], host: str, port: int) -> None:
        self.sockets: Sequence[socket.socket] = sockets
        self.host: str = host
        self.port: int = port

    def url(self, path: str) -> str:
        """Return the URL by which a browser on this machine reaches a path."""
        return f"http://{self.host}:{self.port}{path}"

    def close(self) -> None:
        """Give the port back."""
        for bound in self.sockets:
            bound.close()


def bind(
    ports: range | int,
    host: str,
    why_busy: Callable[[int], str | None] = lambda _port: None,
) -> LoopbackSockets:
    """Bind the loopback, by literal address, at the first port that is free on both families.

    Port 0 takes any. IPv4 or IPv6 may be absent (RFC 8252 section 7.3), but not IPv4 where the
    redirect's host is 127.0.0.1. A host that browsers look up has to mean the loopback, now.
    `why_busy` is asked about a port that is taken, for the message. Raises LoopbackUnavailable.
    """
    if host not in {"localhost", "127.0.0.1"} and not host.endswith(".localhost"):
        from soe_auth.loopback.host_name import require_loopback

        require_loopback(host)
    if isinstance(ports, int):
        ports = range(ports, ports + 1)
    problems: dict[int, str] = {}
    for port in ports if ports.start else [0] * _TRIES:
        try:
            bound = _listen_on_both(port, host)
        except OSError as caught:
            problems[port] = describe_bind_error(caught)
            continue
        if bound:
            return LoopbackSockets(bound, host, bound[0].getsockname()[1])
    from soe_auth.errors import LoopbackUnavailable

    raise LoopbackUnavailable(
        f"No loopback port could be had for the redirect: {_explain(ports, problems, why_busy)}.",
        hint="Choose another with --port, end what holds it, or use --redirect login_success.",
    )


def local_path(entropy: Callable[[int], bytes]) -> str:
    """Draw a path on the loopback that no other program can guess (RFC 4648 section 5)."""
    return "/" + b2a_base64(entropy(_PATH_BYTES), newline=False).translate(_URL_SAFE).decode()


def describe_bind_error(problem: OSError) -> str:
    """Say in words why a port was refused; those of Windows are in the language of the machine."""
    if sys.platform == "win32":
        if problem.errno == errno.EADDRINUSE:
            return "another program holds it"
        if problem.errno == errno.EACCES:
            return "Windows keeps it for itself, or another program holds it for itself alone"
    return problem.strerror or str(problem)


def _explain(ports: range, problems: dict[int, str], why_busy: Callable[[int], str | None]) -> str:
    first, *others = ports
    if first not in problems:
        return "this machine has no such loopback address"
    if not first:
        return problems[first]
    why = why_busy(first) or f"cannot be used: {problems[first]}"
    if others:
        return f"none of {first}-{others[-1]} is free; port {first} {why}"
    return f"port {first} {why}"


def _listen_on_both(port: int, host: str) -> list[socket.socket]:
    """Listen on one port of each family that is there; on none where the host's own is not.

    Raises OSError.
    """
    bound: list[socket.socket] = []
    try:
        for family in (socket.AF_INET, socket.AF_INET6):
            chosen = bound[0].getsockname()[1] if bound else port
            if listening := _listen(family, chosen):
                bound.append(listening)
            elif host == "127.0.0.1" and family == socket.AF_INET:
                break
    except OSError:
        for useless in bound:
            useless.close()
        raise
    return bound


def _listen(family: socket.AddressFamily, port: int) -> socket.socket | None:
    """Listen on a family's loopback address, or return None where the machine lacks the family.

    The port cannot be shared (RFC 8252 B.3-B.5). On Windows that takes an option. Elsewhere
    SO_REUSEADDR lets us have a port that was used a moment ago, and lets no process in beside a
    socket that listens: see docs/decisions/0007-a-port-again-at-once.md.
    """
    bound = None
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if sys.platform == "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1" if family == socket.AF_INET else "::1", port))
        bound.listen(BACKLOG)
        bound.setblocking(False)  # noqa: FBT003  # the socket module's own signature
    except OSError as problem:
        if bound:
            bound.close()
        if problem.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            return None
        raise
    return bound
