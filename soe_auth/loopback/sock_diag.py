"""Asks Linux who has one TCP connection: sock_diag(7), which looks nothing else up.

`/proc/net/tcp` tells the same, and takes a millisecond or two, as the kernel lists all that it has.
"""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soe_auth.loopback.sockets import Address

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY, the type of the question and of its answer
_IS_QUESTION = 1  # NLM_F_REQUEST; an answer about one socket, not a list
_ANY_STATE = 0xFFFFFFFF
_ANY_COOKIE = 0xFFFFFFFF

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, number, sender
_QUESTION = struct.Struct("=BBBBI")  # inet_diag_req_v2: family, protocol, two unused, states
# inet_diag_sockid: the ports of both ends; behind them the addresses; then interface and cookie.
_PORTS = struct.Struct("!HH")
_REST = struct.Struct("=III")
_ANSWER = struct.Struct("=4x 4s 44x 12x I")  # inet_diag_msg: the ports, and the user


def owner_of(end: Address, other_end: Address) -> int | None:
    """Return the user whose `end` of a connection is; None where the kernel does not tell.

    An end that was closed already is root's; newer kernels still name its last user. One over IPv4
    is found as well if it is of a socket for IPv6.
    """
    if sys.platform != "linux":  # pragma: no cover - other systems have no such sockets
        return None
    family = socket.AF_INET6 if ":" in end[0] else socket.AF_INET
    ports = _PORTS.pack(end[1], other_end[1])
    with (
        suppress(OSError, struct.error),
        socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel,
    ):
        hosts = (socket.inet_pton(family, host).ljust(16, b"\0") for host, _ in (end, other_end))
        question = b"".join(
            (
                _QUESTION.pack(family, socket.IPPROTO_TCP, 0, 0, _ANY_STATE),
                ports,
                *hosts,
                _REST.pack(0, _ANY_COOKIE, _ANY_COOKIE),
            )
        )
        length = _HEADER.size + len(question)
        kernel.send(_HEADER.pack(length, _BY_FAMILY, _IS_QUESTION, 0, 0) + question)
        answer = kernel.recv(4096, socket.MSG_DONTWAIT)
        _, kind, *_ = _HEADER.unpack_from(answer)
        found, user = _ANSWER.unpack_from(answer, _HEADER.size)
        # Where there is no such connection, it may tell of who listens at the port.
        if kind == _BY_FAMILY and found == ports:
            return int(user)
    return None
