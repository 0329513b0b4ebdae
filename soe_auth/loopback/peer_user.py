"""Whose program is behind a loopback connection or port, where the system tells (Linux)."""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from soe_auth.loopback.sock_diag import owner_of
from soe_auth.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from soe_auth.loopback.sockets import Address

_PROC = Path("/proc")
_ROOT = 0
_TIME_WAIT = "06"  # the state's number in the kernel's tables
_IN_THE_WAY = ("127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1")  # noqa: S104  # only read
_NO_SOCKET = "0"  # the inode that a connection has when no program holds it any more


def is_other_user(
    peer: Address,
    own: Address,
    *,
    user: int | None = None,
    ask: Callable[[Address, Address], int | None] = owner_of,
    proc: Path = _PROC,
) -> bool:
    """Return whether the connection's other end belongs to another ordinary user than `user`.

    `peer` and `own` are the two ends as host and port; `user` defaults to our own. Root is no
    stranger: forwarders run as root. False also where nobody can tell: outside Linux, and by older
    kernels for an end that was closed already, which can send but no longer read what it is
    answered. Where `ask` knows nothing, the tables in `proc` are looked through.
    """
    if user is None:
        if sys.platform == "win32":
            return False
        user = os.geteuid()
    asked = ask(peer, own)
    owners = _owners(peer, own, proc) if asked is None else {asked}
    return not owners <= {None, _ROOT, user}


def _owners(peer: Address, own: Address, proc: Path) -> set[int | None]:
    if ":" in peer[0]:
        return {_owner("tcp6", peer, own, proc)}
    # A socket for IPv6 reaches IPv4 as well, and the kernel lists it among its own kind.
    mapped, own_mapped = ((f"::ffff:{host}", port) for host, port in (peer, own))
    return {_owner("tcp", peer, own, proc), _owner("tcp6", mapped, own_mapped, proc)}


def _owner(table: str, peer: Address, own: Address, proc: Path) -> int | None:
    """Return the user whose the connection's other end is; None where a table does not tell."""
    with suppress(OSError, ValueError), (proc / "net" / table).open(encoding="ascii") as rows:
        wanted = f"{_in_kernels_form(peer)} {_in_kernels_form(own)}"
        return next((int(row.split()[7]) for row in rows if wanted in row), None)
    return None


def why_busy(port: int, *, proc: Path = _PROC) -> str | None:
    """Say what keeps a local TCP port from being bound, in words that go on after its number.

    None where nobody can tell.
    """
    closing = False
    for state, inode in _sockets_at(port, proc):
        if inode != _NO_SOCKET:
            holder = _holder(inode, proc)
            return f"is held by {holder or 'a program of another user'}"
        closing |= state == _TIME_WAIT
    # The system keeps the address for a minute after its last connection, an earlier login's too;
    # we do not ask to share it, as another program could do so as well.
    return "was used a moment ago, and will be free within a minute" if closing else None


def _sockets_at(port: int, proc: Path) -> Iterator[tuple[str, str]]:
    """Yield state and inode of every TCP socket that has the port on the loopback."""
    wanted = {_in_kernels_form((host, port)) for host in _IN_THE_WAY}
    for name in ("tcp", "tcp6"):
        with suppress(OSError, ValueError), (proc / "net" / name).open(encoding="ascii") as rows:
            for row in rows:
                columns = row.split()
                if len(columns) > 9 and columns[1] in wanted:  # noqa: PLR2004  # as proc(5)
                    yield columns[3], columns[9]


def _holder(inode: str, proc: Path) -> str | None:
    """Name the process that has a socket open; None where it is not ours to see."""
    for directory in proc.glob("[1-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if any(
                str(open_file.readlink()) == f"socket:[{inode}]"
                for open_file in (directory / "fd").iterdir()
            ):
                name = (directory / "comm").read_text(encoding="utf-8", errors="replace")
                return f"process {directory.name} ({printable(name, 40)})"
    return None


def _in_kernels_form(address: Address) -> str:
    """Write an address as /proc/net/tcp does: words of the machine's byte order, in hexadecimal."""
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    packed = socket.inet_pton(family, host)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"
