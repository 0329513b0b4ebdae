"""Network values of the settings: loopback ports, proxy, and the CA certificates to trust."""

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
_PROXY_FORM = (
    "write an http or https URL such as http://proxy.example:8080, with / ? # @ in a password as"
    " %2F %3F %23 %40"
)
_USER_PORTS = range(1024, 65536)  # lower ones need a privilege


@dataclass(frozen=True, slots=True)
class Ports:
    """A loopback port, or a range of them to try in order; port 0 means any free one."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Ports:
        """Parse `8765`, `8000-8010` or `0`. Raises ValueError."""
        first, dash, last = text.partition("-")
        if not dash:
            port = read_port(text)
            return cls(port, port)
        ports = cls(_read_user_port(first), _read_user_port(last))
        if ports.first > ports.last:
            raise ValueError(f"the lower port comes first: {ports.last}-{ports.first}")
        return ports

    def __str__(self) -> str:
        return str(self.first) if self.is_one else f"{self.first}-{self.last}"

    @property
    def numbers(self) -> range:
        """The ports to try, in order."""
        return range(self.first, self.last + 1)

    @property
    def is_one(self) -> bool:
        """Whether it is a single port."""
        return self.first == self.last


ANY_PORT = Ports(0, 0)


def read_port(text: str) -> int:
    """Parse a single port, or 0 for any free one. Raises ValueError."""
    return 0 if text == "0" else _read_user_port(text)


def _read_user_port(text: str) -> int:
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,5}", text) and int(text) in _USER_PORTS:
        return int(text)
    raise ValueError(
        f"valid ports are {_USER_PORTS[0]} to {_USER_PORTS[-1]}, a range such as 8000-8010, and 0"
        " for any free one"
    )


@dataclass(frozen=True, slots=True)
class Proxy:
    """An http or https proxy; its text is its URL without user and password.

    `authorization` is the value of the Proxy-Authorization header (RFC 7617 section 2).
    """

    scheme: str
    host: str
    port: int
    authorization: Secret | None = None

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Parse a URL, with or without `user:password@`; the default scheme is http.

        Raises ValueError, without the text in its message.
        """
        # urlsplit silently drops some of these characters.
        if any(c in "\\ " or not c.isprintable() for c in text):
            raise ValueError(_PROXY_FORM)
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            default = DEFAULT_PORTS[parts.scheme]
            port = default if parts.port is None else parts.port
        except (ValueError, KeyError):
            raise ValueError(_PROXY_FORM) from None
        host = parts.hostname or ""
        # A slash in a password ends the authority: the first part of the password is then parsed as
        # the host, which messages show, and the rest as the path.
        rest = parts.path.strip("/") + parts.query + parts.fragment
        if rest or not port or not _HOST.fullmatch(host):
            raise ValueError(_PROXY_FORM)
        if not (parts.username or parts.password):
            return cls(parts.scheme, host, port)
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        return cls(parts.scheme, host, port, Secret(f"Basic {b64encode(login.encode()).decode()}"))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Network:
    """How to reach a site; a value that is None is taken from the system.

    `ca_bundle` is a PEM file; only its certificates are trusted. `proxy` overrides the
    environment; `none` means no proxy.
    """

    ca_bundle: Path | None = None
    proxy: Proxy | Literal["none"] | None = None
