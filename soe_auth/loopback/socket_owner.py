"""Find who owns a loopback socket (Linux): the process on a port, the user at the other end.

One sock_diag(7) query finds the user. `/proc/net/tcp` gives the same answer but takes a millisecond
or two, because the kernel lists every connection in it.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from soe_auth.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from soe_auth.loopback.sockets import Address

PROC = Path("/proc")
# The user number for an end of a connection that no process holds any more.
ORPHAN = -1
_ROOT = 0

# sock_diag(7): nlmsghdr, then inet_diag_req_v2 with inet_diag_sockid; the reply's inet_diag_msg.
_QUERY = struct.Struct("=IHHII BBBBI 4s16s16sIII")
_REPLY = struct.Struct("=4xH10x 4x4s44x12xII")  # message type; ports, user, inode
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1  # one socket, not a list
_ANY = 0xFFFFFFFF  # state, and each half of the cookie

# proc(5), /proc/net/tcp
_LOCAL, _REMOTE, _STATE, _USER, _INODE = 1, 2, 3, 7, 9
_TIME_WAIT = "06"
_NO_INODE = "0"  # no process holds the socket any more
_BLOCKING = ("127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1")  # noqa: S104  # only read


def find_user(end: Address, other_end: Address) -> int | None:
    """Return the user number of a connection's `end`; None if the kernel does not know it.

    For a closed end, return ORPHAN: older kernels give it to root, newer ones to its last user.
    An IPv4 connection is found even if its socket is an IPv6 one.
    """
    if sys.platform != "linux":  # pragma: no cover - other systems have no such sockets
        return None
    family = socket.AF_INET6 if ":" in end[0] else socket.AF_INET
    with (
        suppress(OSError, struct.error),
        socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel,
    ):
        ports = struct.pack("!HH", end[1], other_end[1])
        hosts = (socket.inet_pton(family, host) for host, _ in (end, other_end))
        header = (_QUERY.size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
        wanted = (family, socket.IPPROTO_TCP, 0, 0, _ANY)
        kernel.send(_QUERY.pack(*header, *wanted, ports, *hosts, 0, _ANY, _ANY))
        kind, found, user, inode = _REPLY.unpack_from(kernel.recv(4096, socket.MSG_DONTWAIT))
        # Without such a connection, the kernel may return a socket that listens on the port.
        if kind == _SOCK_DIAG_BY_FAMILY and found == ports:
            return int(user) if inode else ORPHAN
    return None


def other_user(
    peer: Address,
    own: Address,
    *,
    user: int | None = None,
    query: Callable[[Address, Address], int | None] = find_user,
    proc: Path = PROC,
) -> int | None:
    """Return the user number of the connection's other end, unless it is root's or `user`'s.

    `peer` and `own` are the two ends; `user` defaults to the current one. Root does not count, as
    port forwarders run as root. Returns ORPHAN if no process holds that end any more, and None if
    the owner is unknown: outside Linux, or if the connection has ended. The tables in `proc` are
    read if `query` returns None.
    """
    if user is None:
        if sys.platform == "win32":
            return None
        user = os.geteuid()
    found = query(peer, own)
    users = _users_in_tables(peer, own, proc) if found is None else {found}
    return next(iter(users - {_ROOT, user}), None)


def _users_in_tables(peer: Address, own: Address, proc: Path) -> set[int]:
    # The kernel lists an IPv4 connection of an IPv6 socket in the IPv6 table.
    users: set[int] = set()
    for table, prefix in [("tcp6", "")] if ":" in peer[0] else [("tcp", ""), ("tcp6", "::ffff:")]:
        with suppress(OSError, ValueError):
            ends = [_in_table_form(prefix + host, port) for host, port in (peer, own)]
            users |= {
                ORPHAN if row[_INODE] == _NO_INODE else int(row[_USER])
                for row in _read_table(proc, table)
                if row[_LOCAL : _REMOTE + 1] == ends
            }
    return users


def user_name(user: int) -> str:
    """Return `user NAME`, or `user NUMBER` if the number has no name; ORPHAN is unknown."""
    if user == ORPHAN:
        return "an unknown user"
    if sys.platform != "win32":
        from pwd import getpwuid

        with suppress(KeyError):
            return f"user {getpwuid(user).pw_name}"
    return f"user {user}"


def why_busy(port: int, *, proc: Path = PROC) -> str | None:
    """Return why a local TCP port is busy, as a phrase after its number; None if unknown."""
    wanted = {_in_table_form(host, port) for host in _BLOCKING}
    sockets: list[list[str]] = []
    for table in ("tcp", "tcp6"):
        with suppress(OSError, ValueError):
            sockets += [row for row in _read_table(proc, table) if row[_LOCAL] in wanted]
    if inode := next((row[_INODE] for row in sockets if row[_INODE] != _NO_INODE), None):
        return f"is in use by {_process(inode, proc) or 'a program of another user'}"
    # The kernel reserves an address for a minute after its last connection.
    if any(row[_STATE] == _TIME_WAIT for row in sockets):
        return "was used a moment ago, and is free again within a minute"
    return None


def _process(inode: str, proc: Path) -> str | None:
    """Describe the process that has a socket open; None if this user cannot see it."""
    for directory in proc.glob("[1-9]*"):
        with suppress(OSError):  # it has ended, or another user owns it
            files = (directory / "fd").iterdir()
            if any(str(file.readlink()) == f"socket:[{inode}]" for file in files):
                name = (directory / "comm").read_text(encoding="utf-8", errors="replace")
                return f"process {directory.name} ({printable(name, 40)})"
    return None


def _read_table(proc: Path, name: str) -> Iterator[list[str]]:
    """Yield the columns of each row of a table of TCP sockets. Raises OSError, ValueError."""
    with (proc / "net" / name).open(encoding="ascii") as rows:
        for row in rows:
            columns = row.split()
            if len(columns) > _INODE:
                yield columns


def _in_table_form(host: str, port: int) -> str:
    """Return an address as in /proc/net/tcp: words in the machine's byte order, in hex."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"
