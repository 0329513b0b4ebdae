"""Whose program is at the other end of a loopback connection, where the system tells (Linux)."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

Address = tuple[str, int]

_PROC_NET = Path("/proc/net")
_ROOT = 0


def is_stranger(
    peer: Address, own: Address, *, user: int | None = None, proc_net: Path = _PROC_NET
) -> bool:
    """Return whether the connection's other end belongs to another ordinary user than `user`.

    `peer` and `own` are the two ends as host and port; `user` defaults to our own. Root is no
    stranger: forwarders run as root. False also where nobody can tell: outside Linux, and for an
    end that was closed already, which can send but no longer read what it is answered.
    """
    table = proc_net / ("tcp6" if ":" in peer[0] else "tcp")
    try:
        wanted = f"{_in_kernels_form(peer)} {_in_kernels_form(own)}"
        with table.open(encoding="ascii") as rows:
            owner = next((int(row.split()[7]) for row in rows if wanted in row), None)
    except (OSError, ValueError):
        return False
    return owner not in {None, _ROOT, os.geteuid() if user is None else user}


def _in_kernels_form(address: Address) -> str:
    """Write an address as /proc/net/tcp does: words of the machine's byte order, in hexadecimal."""
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    packed = socket.inet_pton(family, host)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"
