"""An SOE site, known by its base URL, and the ways a person may write it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CLOUD = ".stackenterprise.co"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_LONGEST_HOST = 253


@dataclass(frozen=True, slots=True)
class Site:
    """An SOE instance: scheme, host (lower case, IDN as punycode) and a port where it is odd.

    `surplus` is what was typed behind the host and is not part of a base URL.
    """

    scheme: str
    host: str
    port: int | None = None
    surplus: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read `acme`, `acme.stackenterprise.co` or a full URL.

        https always, but for a loopback host (RFC 9700 section 2.6). Raises ValueError.
        """
        text = text.strip()
        parts = urlsplit(text if "://" in text else f"https://{text}")
        if parts.scheme not in {"https", "http"}:
            raise ValueError(f"a site is an https address, not {parts.scheme}")
        if "@" in parts.netloc:
            raise ValueError("a site has no user name or password in its address")
        host = _canonical_host(parts.hostname or "")
        if "://" not in text and "." not in host and parts.port is None and host != "localhost":
            host += _CLOUD
        if parts.scheme == "http" and host not in _LOOPBACK:
            raise ValueError("plain http is for a loopback host only; write https://")
        port = None if parts.port == {"https": 443, "http": 80}[parts.scheme] else parts.port
        surplus = parts.path.strip("/") + ("?" if parts.query else "") + parts.query
        return cls(parts.scheme, host, port, surplus)

    @property
    def authority(self) -> str:
        """Host and odd port, as in a URL and as shown to a person."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def as_typed(self) -> str:
        """The shortest way to type it that means this site again."""
        return self.authority if Site.parse(self.authority) == self else str(self)

    @property
    def short_name(self) -> str:
        """A profile's name made of the site's: `acme` for `acme.stackenterprise.co`."""
        name = self.host.removesuffix(_CLOUD).replace(":", "-").strip("-")
        return name if self.port is None else f"{name}-{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def _canonical_host(host: str) -> str:
    host = host.lower().removesuffix(".")
    if ":" in host:
        from ipaddress import IPv6Address

        return str(IPv6Address(host))
    try:
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("this is no host name") from None
    labels = host.split(".")
    if len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("this is no host name; write a site such as acme.stackenterprise.co")
    if labels[-1].isdigit():
        from ipaddress import IPv4Address

        return str(IPv4Address(host))
    return host
