"""Values about the network: the loopback ports of the redirect, the proxy, the trusted CAs."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from soe_auth.model.secret import Secret
from soe_auth.model.site import DEFAULT_PORTS

if TYPE_CHECKING:
    from pathlib import Path

_HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f.:]*:[0-9a-f.:]*", re.ASCII)  # a name, or IPv6
_USABLE = range(1024, 65536)  # below, a program needs the system's leave


@dataclass(frozen=True, slots=True)
class Proxy:
    """An http or https proxy; as text it is its address, without user and password.

    `authorization` is what its Proxy-Authorization header has to say (RFC 7617 section 2).
    """

    scheme: str
    host: str
    port: int
    authorization: Secret | None = None

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Read an address, with or without `user:password@`; one without a scheme is http.

        Raises ValueError, whose text quotes nothing of what was typed.
        """
        wrong = ValueError(
            "write an http or https address, as in http://proxy.example:8080; the signs / ? # @ in"
            " a password are written %2F %3F %23 %40"
        )
        # urlsplit drops some of these in silence.
        if any(c in "\\ " or not c.isprintable() for c in text):
            raise wrong
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            usual = DEFAULT_PORTS[parts.scheme]
            port = usual if parts.port is None else parts.port
        except (ValueError, KeyError):
            raise wrong from None
        host = parts.hostname or ""
        # A slash in a password ends the address early: its beginning then stands in the host's
        # place, where everybody would see it, and its end behind it.
        rest = parts.path.strip("/") + parts.query + parts.fragment
        if rest or not port or not _HOST.fullmatch(host):
            raise wrong
        if not (parts.username or parts.password):
            return cls(parts.scheme, host, port)
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        return cls(parts.scheme, host, port, Secret(f"Basic {b64encode(login.encode()).decode()}"))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Network:
    """What the settings say of the way to a site; with neither, the system is asked.

    `ca_bundle` is a file of certificates in PEM: they alone are believed, in place of the system's.
    `proxy` is the one to use, or `none` to use none; it is stronger than the environment's.
    """

    ca_bundle: Path | None = None
    proxy: Proxy | Literal["none"] | None = None


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
