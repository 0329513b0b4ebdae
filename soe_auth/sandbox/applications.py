"""Applications and accounts of the site, and the check of a redirect URI against a Domain."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

DomainRule = Literal["any", "tld"]
DOMAIN_RULES: Final[tuple[DomainRule, ...]] = ("any", "tld")
"""Domains that the registration form accepts: any host, or only hosts with a top-level domain."""

OWN_DOMAIN: Final = "(this site)"
"""As a Domain: the sandbox's own host and port, which are known after its start."""

_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_DOMAIN: Final = re.compile(r"(https?://)?([A-Za-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?/?")
_HAS_TLD: Final = re.compile(r"[a-z0-9.-]+\.[a-z][a-z0-9-]+")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:]*:[0-9a-f:.]*")
_URI: Final = re.compile(r"[!-\[\]-~]+")


def _split_domain(domain: str) -> tuple[str, int | None]:
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"a Domain is a host with an optional port, not {domain!r}")
    parts = urlsplit(domain if "://" in domain else f"//{domain}")
    return parts.hostname or "", parts.port


@dataclass(frozen=True, slots=True)
class Application:
    """An API application, as registered in the site's settings.

    `domain` is a host with an optional scheme and port, or `OWN_DOMAIN`. It may be empty; then no
    login works. `status` says whether its tokens may write. Raises ValueError for a malformed
    Domain.
    """

    client_id: str
    name: str
    domain: str
    status: Literal["read-only", "read-write"] = "read-write"

    def __post_init__(self) -> None:
        if self.domain not in {"", OWN_DOMAIN}:
            _split_domain(self.domain)

    @property
    def key(self) -> str:
        """The key for API v2.3; it identifies the application and is not secret."""
        return f"practice-key-{self.client_id}"


@dataclass(frozen=True, slots=True)
class Account:
    """An account; `id` is the user's on this site, `account_id` is the same for all teams."""

    id: int
    account_id: int
    name: str
    email: str
    role: str


DEFAULT_APPLICATIONS: Final = (
    Application("110", "Loopback tools", "localhost"),
    Application("111", "Loopback tools (IP)", "127.0.0.1"),
    Application("112", "Guide", OWN_DOMAIN),
    Application("113", "Forgotten domain", ""),
    Application("114", "Loopback tools (name)", "soe-auth.localhost"),
    Application("115", "Reader", "localhost", "read-only"),
)

DEFAULT_ACCOUNTS: Final = (
    Account(1, 101, "Jane Doe", "jane.doe@example.com", "developer"),
    Account(2, 102, "John Doe", "john.doe@example.com", "moderator"),
    Account(3, 103, "Site Admin", "site.admin@example.com", "administrator"),
)

DEFAULT_TEAMS: Final = ("platform", "research")
"""Slugs of the private teams; every account is a member of each."""


class InvalidRedirectUri(ValueError):
    """A redirect URI that must not be used; the message is a sentence with the reason."""


class NotUnderDomain(InvalidRedirectUri):
    """A redirect URI that is not under the application's Domain."""


def has_top_level_domain(domain: str) -> bool:
    """Return whether a Domain has a top-level domain; `soe-auth.localhost` counts."""
    return bool(domain and _HAS_TLD.fullmatch(_split_domain(domain)[0]))


def check_redirect_uri(redirect_uri: str, domain: str, *, strict: bool) -> None:
    """Raise `InvalidRedirectUri` unless this redirect URI is valid and under the Domain.

    The host is the Domain's or a subdomain of it; the path is free. The port is compared only if
    the Domain has one (RFC 8252 section 7.3: any port on loopback). With `strict`, plain http is
    for loopback hosts only (RFC 9700 section 2.6, RFC 6761 section 6.3).
    """
    target = _split_redirect_uri(redirect_uri)
    host = target.hostname or ""
    is_loopback = host in _LOOPBACK_HOSTS or host.endswith(".localhost")
    if strict and target.scheme == "http" and not is_loopback:
        raise InvalidRedirectUri(
            "The redirect_uri is plain http, which is for loopback hosts only."
        )
    domain_host, domain_port = _split_domain(domain)
    if host != domain_host and not _is_subdomain(host, domain_host):
        raise NotUnderDomain(
            f"The host of the redirect_uri is not {domain_host} or a subdomain of it."
        )
    if domain_port not in {None, target.port or _DEFAULT_PORTS[target.scheme]}:
        raise NotUnderDomain(f"The Domain has port {domain_port}, the redirect_uri has another.")


def _split_redirect_uri(redirect_uri: str) -> SplitResult:
    if not _URI.fullmatch(redirect_uri):
        raise InvalidRedirectUri("The redirect_uri is missing or has invalid characters.")
    if "#" in redirect_uri:  # RFC 6749 section 3.1.2
        raise InvalidRedirectUri("The redirect_uri has a fragment.")
    try:
        target = urlsplit(redirect_uri)
        host, port = target.hostname or "", target.port
    except ValueError:
        raise InvalidRedirectUri("The redirect_uri is not a URI.") from None
    if target.scheme not in _DEFAULT_PORTS:
        raise InvalidRedirectUri("The redirect_uri is not an absolute http or https URI.")
    if "@" in target.netloc:
        raise InvalidRedirectUri("The redirect_uri has user information before its host.")
    if not _HOST.fullmatch(host) or target.netloc.endswith(":") or port == 0:
        raise InvalidRedirectUri("The redirect_uri has no valid host and port.")
    return target


def _is_subdomain(host: str, parent: str) -> bool:
    try:
        ipaddress.ip_address(parent)  # an address has no subdomains
    except ValueError:
        return host.endswith(f".{parent}")
    return False
