"""An SOE site, known by its base URL, and the ways a person may write it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

VENDOR_DOMAIN = "stackenterprise.co"  # below it the vendor hosts its sites
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_PORTS = {"https": 443, "http": 80}
_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]%]+)\]|([^\[\]%:]+))(?::([^:]*))?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# A browser takes a host whose last label looks like this for an IPv4 address, in any of the ways
# of old: octal, hexadecimal, fewer than four parts (URL Standard, "ends in a number").
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_LONGEST_HOST = 253
_LARGEST_PORT = 65535
_LONGEST_OF_ENDING = 3  # characters
_ALIKE = 0.85  # two of fifteen letters may differ
_NOT_OURS = {
    "stackoverflowteams.com": "stackoverflowteams.com (Basic, Business) takes personal access"
    " tokens, which you make on a page of its own; soe-auth is for Enterprise sites",
    "stackinternal.com": "stackinternal.com is another service, such as the vendor's MCP server,"
    f" with tokens of its own; write a site such as acme.{VENDOR_DOMAIN}",
}
_NO_HOST_NAME = f"this is no host name; write a site such as acme.{VENDOR_DOMAIN}"


@dataclass(frozen=True, slots=True)
class Site:
    """An SOE instance: scheme, host (lower case, IDN as punycode) and a port where it is odd.

    `ignored_suffix` is what was typed behind the host and is not part of a base URL.
    """

    scheme: str
    host: str
    port: int | None = None
    ignored_suffix: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read `acme`, `acme.stackenterprise.co` or a full URL.

        https always, but for a loopback host (RFC 9700 section 2.6). Raises ValueError, whose text
        quotes nothing of what was typed.
        """
        text = text.strip()
        # Browsers and urlsplit drop or turn some of these in silence, so that two who read the same
        # text would go to different hosts.
        if any(c in "\\ " or not c.isprintable() for c in text):
            raise ValueError("a site has no blanks, backslashes or invisible characters in it")
        try:
            parts = urlsplit(text if "://" in text else f"https://{text}")
        except ValueError:
            raise ValueError(_NO_HOST_NAME) from None
        if parts.scheme not in DEFAULT_PORTS:
            raise ValueError("a site is an https address; write https://, or nothing before it")
        if "@" in parts.netloc:
            raise ValueError("a site has no user name or password in its address")
        split = _HOST_AND_PORT.fullmatch(parts.netloc)
        if split is None:
            raise ValueError(_NO_HOST_NAME)
        v6, name, typed_port = split.groups()
        host = _ipv6(v6) if v6 else _host(name)
        port = None if typed_port is None else _port(typed_port)
        if name and port is None and "://" not in text and "." not in host and host != "localhost":
            host += f".{VENDOR_DOMAIN}"
        if parts.scheme == "http" and host not in _LOOPBACK:
            raise ValueError("plain http is for a loopback host only; write https://")
        if port == DEFAULT_PORTS[parts.scheme]:
            port = None
        ignored_suffix = parts.path.strip("/") + ("?" if parts.query else "") + parts.query
        return cls(parts.scheme, host, port, ignored_suffix)

    @property
    def in_cloud(self) -> bool:
        """Whether it is an https site below the vendor's domain."""
        return (
            self.scheme == "https" and self.port is None and self.host.endswith(f".{VENDOR_DOMAIN}")
        )

    @property
    def imitates_vendor(self) -> bool:
        """Whether its domain is not the vendor's, and can be taken for it."""
        own, labels = f".{VENDOR_DOMAIN}", self.host.split(".")
        if f".{self.host}".endswith(own) or len(labels) == 1:
            return False
        if f"{own}." in f".{self.host}":
            return True
        from difflib import SequenceMatcher

        name = VENDOR_DOMAIN.partition(".")[0]
        # Of three labels the middle one may belong to the ending, as in co.uk.
        *above, middle, _ = labels
        label = above[-1] if above and len(middle) <= _LONGEST_OF_ENDING else middle
        if label.startswith("xn--"):  # the letters of another alphabet stand behind the last hyphen
            label = label.removeprefix("xn--").rpartition("-")[0]
        return name in label or SequenceMatcher(None, label, name).ratio() >= _ALIKE

    @property
    def connect_port(self) -> int:
        """The port to connect to, also where it is the scheme's default."""
        return self.port or DEFAULT_PORTS[self.scheme]

    @property
    def authority(self) -> str:
        """Host, and port unless it is the default, as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def as_typed(self) -> str:
        """The shortest way to type it that means this site again."""
        return self.authority if Site.parse(self.authority) == self else str(self)

    @property
    def default_profile_name(self) -> str:
        """A profile's name made of the site's: `acme` for `acme.stackenterprise.co`."""
        name = self.host.removesuffix(f".{VENDOR_DOMAIN}").replace(":", "-").strip("-")
        return name if self.port is None else f"{name}-{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def _ipv6(text: str) -> str:
    from ipaddress import IPv6Address

    try:
        return str(IPv6Address(text))
    except ValueError:
        raise ValueError("this is no IPv6 address") from None


def _host(text: str) -> str:
    try:
        host = text if text.isascii() else text.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(_NO_HOST_NAME) from None
    host = host.lower().removesuffix(".")
    for domain, why in _NOT_OURS.items():
        if f".{host}".endswith(f".{domain}"):
            raise ValueError(why)
    labels = host.split(".")
    if len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(_NO_HOST_NAME)
    if _NUMBER.fullmatch(labels[-1]):
        from ipaddress import IPv4Address

        try:
            return str(IPv4Address(host))
        except ValueError:
            raise ValueError("this is no IPv4 address; write one as four numbers") from None
    return host


def _port(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= _LARGEST_PORT:
        return int(text)
    raise ValueError("a port is a number from 1 to 65535")
