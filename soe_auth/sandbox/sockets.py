"""The site's sockets: loopback by literal, one port, exclusive (RFC 8252 section 8.3)."""

import errno
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

_ATTEMPTS: Final = 20
_NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


# Windows lets others share a bound address, unless told not to (RFC 8252 appendix B.3). Elsewhere
# no process can share one that is listened at, and without this option a port rests for a minute.
_OPTION: Final[int] = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)


def bind_loopback(
    port: int,
    make_socket: Callable[[int], socket.socket] = socket.socket,
    option: int = _OPTION,
) -> list[socket.socket]:
    """Bind 127.0.0.1 and ::1 at one port, which the system chooses where `port` is 0.

    They listen, as a socket that is only bound may be shared on some systems. Where there is no
    ::1, IPv4 alone will do. `option` is the socket option that is set first. Raises OSError where
    the port is taken.
    """

    def bind(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
        with ExitStack() as on_failure:
            sock = on_failure.enter_context(make_socket(family))
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
            sock.bind(address)
            sock.listen()
            on_failure.pop_all()
            return sock

    for _ in range(_ATTEMPTS):
        try:
            return _bind_both(port, bind)
        except OSError as fault:
            if port or fault.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, "no port is free on both 127.0.0.1 and ::1")


def _bind_both(
    port: int, bind: Callable[[socket.AddressFamily, tuple[str, int]], socket.socket]
) -> list[socket.socket]:
    first = bind(socket.AF_INET, ("127.0.0.1", port))
    try:
        return [first, bind(socket.AF_INET6, ("::1", first.getsockname()[1]))]
    except OSError as fault:
        if fault.errno in _NO_IPV6:
            return [first]
        first.close()
        raise
