"""Which user owns the other end of a loopback connection, where the system tells (Linux).

One sock_diag(7) query looks up that connection. `/proc/net/tcp` tells the same and takes a
millisecond or two, as the kernel lists all connections in it.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from soe_auth.loopback.port_owner import NO_SOCKET, PROC, in_kernels_form

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from soe_auth.loopback.sockets import Address

_ROOT = 0

# Whose a connection is that no program holds any more: what it sent may be anybody's.
ORPHAN = -1

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
_ANSWER = struct.Struct("=4x 4s 44x 12x II")  # inet_diag_msg: the ports, the user, the inode


def owner_of(end: Address, other_end: Address) -> int | None:
    """Return the user whose `end` of a connection is; None where the kernel does not tell.

    An end that was closed already is an ORPHAN: older kernels name root for it, newer ones its last
    user, and none of them a program. One over IPv4 is found as well if it is of a socket for IPv6.
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
        found, user, inode = _ANSWER.unpack_from(answer, _HEADER.size)
        # Where there is no such connection, it may tell of who listens at the port.
        if kind == _BY_FAMILY and found == ports:
            return int(user) if inode else ORPHAN
    return None


def other_user(
    peer: Address,
    own: Address,
    *,
    user: int | None = None,
    ask: Callable[[Address, Address], int | None] = owner_of,
    proc: Path = PROC,
) -> int | None:
    """Return whose the connection's other end is, if it is neither root's nor `user`'s.

    `peer` and `own` are the two ends as host and port; `user` defaults to our own. Root is no other
    user: forwarders run as root. An end that no program holds any more is an ORPHAN's. None also
    where it cannot be known: outside Linux, and for a connection that is gone. Where `ask` knows
    nothing, the tables in `proc` are looked through.
    """
    if user is None:
        if sys.platform == "win32":
            return None
        user = os.geteuid()
    asked = ask(peer, own)
    owners = _owners(peer, own, proc) if asked is None else {asked}
    return next(iter(owners - {None, _ROOT, user}), None)


def _owners(peer: Address, own: Address, proc: Path) -> set[int | None]:
    if ":" in peer[0]:
        return {_owner("tcp6", peer, own, proc)}
    # A socket for IPv6 reaches IPv4 as well, and the kernel lists it among its own kind.
    mapped, own_mapped = ((f"::ffff:{host}", port) for host, port in (peer, own))
    return {_owner("tcp", peer, own, proc), _owner("tcp6", mapped, own_mapped, proc)}


def _owner(table: str, peer: Address, own: Address, proc: Path) -> int | None:
    """Return the user whose the connection's other end is; None where a table does not tell."""
    with (
        suppress(OSError, ValueError, LookupError),
        (proc / "net" / table).open(encoding="ascii") as rows,
    ):
        wanted = f"{in_kernels_form(peer)} {in_kernels_form(own)}"
        columns = next((row.split() for row in rows if wanted in row), [])
        return ORPHAN if columns[9] == NO_SOCKET else int(columns[7])
    return None


def user_name(user: int) -> str:
    """Name a user of this machine by their number, which is all that some have."""
    if sys.platform != "win32":
        from pwd import getpwuid

        with suppress(KeyError):
            return f"user {getpwuid(user).pw_name}"
    return f"user {user}"
