"""The site's sockets: loopback addresses, one port, exclusive (RFC 8252 section 8.3)."""

import errno
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

_ATTEMPTS: Final = 20
_NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})

# Windows lets processes share a bound address without this (RFC 8252 appendix B.3). Elsewhere a
# listening address is exclusive, and without SO_REUSEADDR a closed port stays in use for a minute.
_OPTION: Final[int] = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)


def bind_loopback(
    port: int,
    make_socket: Callable[[int], socket.socket] = socket.socket,
    option: int = _OPTION,
) -> list[socket.socket]:
    """Listen on 127.0.0.1 and ::1 at one port, or on IPv4 only if the system has no IPv6.

    With `port` 0 the system chooses. `option` is the socket option to set first. Raises OSError if
    the port is in use.
    """
    for _ in range(_ATTEMPTS):
        chosen = port
        with ExitStack() as on_failure:
            sockets = []
            try:
                for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                    sock = on_failure.enter_context(make_socket(family))
                    sock.setsockopt(socket.SOL_SOCKET, option, 1)
                    sock.bind((address, chosen))
                    sock.listen()
                    sockets.append(sock)
                    chosen = sock.getsockname()[1]
            except OSError as error:
                if not sockets or error.errno not in _NO_IPV6:
                    if port or error.errno != errno.EADDRINUSE:
                        raise
                    continue
            on_failure.pop_all()
            return sockets
    raise OSError(errno.EADDRINUSE, "no port is free on both 127.0.0.1 and ::1")
