"""Which process holds a loopback port, as /proc tells it (Linux)."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from soe_auth.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soe_auth.loopback.sockets import Address

PROC = Path("/proc")
_TIME_WAIT = "06"  # the state's number in the kernel's tables
_IN_THE_WAY = ("127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1")  # noqa: S104  # only read
NO_SOCKET = "0"  # the inode that a connection has when no program holds it any more


def why_busy(port: int, *, proc: Path = PROC) -> str | None:
    """Say what keeps a local TCP port from being bound, in words that go on after its number.

    None where that cannot be known.
    """
    closing = False
    for state, inode in _sockets_at(port, proc):
        if inode != NO_SOCKET:
            holder = _holder(inode, proc)
            return f"is held by {holder or 'a program of another user'}"
        closing |= state == _TIME_WAIT
    # The system keeps the address for a minute after its last connection, an earlier login's too;
    # we do not ask to share it, as another program could do so as well.
    return "was used a moment ago, and will be free within a minute" if closing else None


def _sockets_at(port: int, proc: Path) -> Iterator[tuple[str, str]]:
    """Yield state and inode of every TCP socket that has the port on the loopback."""
    wanted = {in_kernels_form((host, port)) for host in _IN_THE_WAY}
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


def in_kernels_form(address: Address) -> str:
    """Write an address as /proc/net/tcp does: words of the machine's byte order, in hexadecimal."""
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    packed = socket.inet_pton(family, host)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"
