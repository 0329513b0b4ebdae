"""An SOE site: its base URL, parsed from the forms that users type."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

VENDOR_DOMAIN = "stackenterprise.co"  # the parent domain of sites that the vendor hosts
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_PORTS = {"https": 443, "http": 80}
_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]%]+)\]|([^\[\]%:]+))(?::([^:]*))?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# A browser parses a host with such a last label as an IPv4 address, even if it is octal,
# hexadecimal or has fewer than four parts (URL Standard, "ends in a number").
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_MAX_HOST = 253
_MAX_PORT = 65535
_MAX_SECOND_LEVEL = 3  # characters, as co in co.uk
_MIN_SIMILARITY = 0.85  # two of fifteen letters may differ
_OTHER_SERVICES = {
    "stackoverflowteams.com": "stackoverflowteams.com (Basic, Business) uses personal access"
    " tokens, which you create on the site; soe-auth is for Enterprise sites",
    "stackinternal.com": "stackinternal.com is another service with its own tokens, such as the"
    f" vendor's MCP server; write a site such as acme.{VENDOR_DOMAIN}",
}
_NOT_A_HOST = f"not a host name; write a site such as acme.{VENDOR_DOMAIN}"


@dataclass(frozen=True, slots=True)
class Site:
    """An SOE instance: scheme, host (lower case, IDN as punycode) and port, None if the default.

    `ignored_suffix` is the path and query that were typed after the host.
    """

    scheme: str
    host: str
    port: int | None = None
    ignored_suffix: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Site:
        """Parse `acme`, `acme.stackenterprise.co` or a full URL.

        The scheme is https, unless the host is loopback (RFC 9700 section 2.6). Raises ValueError,
        without the text in its message.
        """
        text = text.strip()
        # Browsers and urlsplit silently drop or change some of these characters, so that the same
        # text would lead to different hosts.
        if any(c in "\\ " or not c.isprintable() for c in text):
            raise ValueError("a site has no spaces, backslashes or invisible characters")
        try:
            parts = urlsplit(text if "://" in text else f"https://{text}")
        except ValueError:
            raise ValueError(_NOT_A_HOST) from None
        if parts.scheme not in DEFAULT_PORTS:
            raise ValueError("a site is an https URL; write https:// or leave the scheme out")
        if "@" in parts.netloc:
            raise ValueError("a site has no user name or password in its URL")
        split = _HOST_AND_PORT.fullmatch(parts.netloc)
        if split is None:
            raise ValueError(_NOT_A_HOST)
        v6, name, typed_port = split.groups()
        host = _ipv6(v6) if v6 else _host(name)
        port = None if typed_port is None else _port(typed_port)
        if name and port is None and "://" not in text and "." not in host and host != "localhost":
            host += f".{VENDOR_DOMAIN}"
        if parts.scheme == "http" and host not in _LOOPBACK:
            raise ValueError("http is for a loopback host only; write https://")
        if port == DEFAULT_PORTS[parts.scheme]:
            port = None
        ignored_suffix = parts.path.strip("/") + ("?" if parts.query else "") + parts.query
        return cls(parts.scheme, host, port, ignored_suffix)

    @property
    def in_cloud(self) -> bool:
        """Whether the vendor hosts it: https, default port, below the vendor's domain."""
        return (
            self.scheme == "https" and self.port is None and self.host.endswith(f".{VENDOR_DOMAIN}")
        )

    @property
    def imitates_vendor(self) -> bool:
        """Whether its domain is not the vendor's but looks like it."""
        own, labels = f".{VENDOR_DOMAIN}", self.host.split(".")
        if f".{self.host}".endswith(own) or len(labels) == 1:
            return False
        if f"{own}." in f".{self.host}":
            return True
        from difflib import SequenceMatcher

        name = VENDOR_DOMAIN.partition(".")[0]
        # The second-last label may belong to the public suffix, as in co.uk.
        *above, middle, _ = labels
        label = above[-1] if above and len(middle) <= _MAX_SECOND_LEVEL else middle
        if label.startswith("xn--"):  # non-ASCII letters are encoded after the last hyphen
            label = label.removeprefix("xn--").rpartition("-")[0]
        return name in label or SequenceMatcher(None, label, name).ratio() >= _MIN_SIMILARITY

    @property
    def connect_port(self) -> int:
        """The port to connect to."""
        return self.port or DEFAULT_PORTS[self.scheme]

    @property
    def authority(self) -> str:
        """The host, with the port unless it is the default, as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def as_typed(self) -> str:
        """The shortest text that parses to this site."""
        return self.authority if Site.parse(self.authority) == self else str(self)

    @property
    def default_profile_name(self) -> str:
        """The name of its first profile: `acme` for `acme.stackenterprise.co`."""
        name = self.host.removesuffix(f".{VENDOR_DOMAIN}").replace(":", "-").strip("-")
        return name if self.port is None else f"{name}-{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def _ipv6(text: str) -> str:
    from ipaddress import IPv6Address

    try:
        return str(IPv6Address(text))
    except ValueError:
        raise ValueError("not an IPv6 address") from None


def _host(text: str) -> str:
    try:
        host = text if text.isascii() else text.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(_NOT_A_HOST) from None
    host = host.lower().removesuffix(".")
    for domain, why in _OTHER_SERVICES.items():
        if f".{host}".endswith(f".{domain}"):
            raise ValueError(why)
    labels = host.split(".")
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(_NOT_A_HOST)
    if _NUMBER.fullmatch(labels[-1]):
        from ipaddress import IPv4Address

        try:
            return str(IPv4Address(host))
        except ValueError:
            raise ValueError("not an IPv4 address; write one as four decimal numbers") from None
    return host


def _port(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= _MAX_PORT:
        return int(text)
    raise ValueError("a port is a number from 1 to 65535")
