"""The loopback ports that a redirect may come to, as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_USABLE = range(1024, 65536)  # below, a program needs the system's leave


@dataclass(frozen=True, slots=True)
class Ports:
    """One port, or a range of them to try in order; port 0 stands for any free one."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Ports:
        """Read `8765`, `8000-8010` or `0`. Raises ValueError."""
        first, dash, last = text.partition("-")
        if not dash:
            port = read_port(text)
            return cls(port, port)
        ports = cls(_read_usable(first), _read_usable(last))
        if ports.first > ports.last:
            raise ValueError(f"a range begins with the lower port: {ports.last}-{ports.first}")
        return ports

    def __str__(self) -> str:
        return str(self.first) if self.is_one else f"{self.first}-{self.last}"

    @property
    def numbers(self) -> range:
        """The ports to try, in order."""
        return range(self.first, self.last + 1)

    @property
    def is_one(self) -> bool:
        """Whether there is nothing to choose from."""
        return self.first == self.last


ANY_PORT = Ports(0, 0)


def read_port(text: str) -> int:
    """Read a single port, or 0 for any free one. Raises ValueError."""
    return 0 if text == "0" else _read_usable(text)


def _read_usable(text: str) -> int:
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,5}", text) and int(text) in _USABLE:
        return int(text)
    raise ValueError(
        f"write a port from {_USABLE[0]} to {_USABLE[-1]}, a range such as 8000-8010,"
        " or 0 for any free one"
    )
