"""How a site is reached, as values: by which proxy, and whose certificates are believed."""

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
