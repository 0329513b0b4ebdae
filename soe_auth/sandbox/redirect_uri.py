"""Whether a redirect URI lies under the Domain of its application."""

import ipaddress
import re
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

DomainRule = Literal["any", "tld"]
DOMAIN_RULES: Final[tuple[DomainRule, ...]] = ("any", "tld")
"""Which Domains the form takes: any host, or only names below a top-level domain."""

_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_DOMAIN: Final = re.compile(r"(https?://)?([A-Za-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?/?")
_UNDER_TLD: Final = re.compile(r"[a-z0-9.-]+\.[a-z][a-z0-9-]+")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:]*:[0-9a-f:.]*")
_URI: Final = re.compile(r"[!-~]+")


class NotUnderDomain(ValueError):
    """A redirect URI that cannot be trusted; the message is a sentence that says why."""


def read_domain(domain: str) -> tuple[str, int | None]:
    """Take a Domain apart into its host and its port; raises ValueError where it is neither."""
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"a Domain is a host, perhaps with a port; not {domain!r}")
    parts = urlsplit(domain if "://" in domain else f"//{domain}")
    return parts.hostname or "", parts.port


def is_under_tld(domain: str) -> bool:
    """Tell whether a Domain has a top-level domain, as `soe-auth.localhost` has."""
    return bool(domain and _UNDER_TLD.fullmatch(read_domain(domain)[0]))


def check_redirect(redirect_uri: str, domain: str, *, strict: bool) -> None:
    """Raise `NotUnderDomain` unless this redirect URI lies under the Domain.

    The Domain itself and its subdomains will do, the path is free. A port counts only where the
    Domain names one (RFC 8252 section 7.3 wants any port on loopback). With `strict`, plain http
    is for hosts that are loopback by their name (RFC 9700 section 2.6, RFC 6761 section 6.3).
    """
    target = _read(redirect_uri)
    host = target.hostname or ""
    is_loopback = host in _LOOPBACK_HOSTS or host.endswith(".localhost")
    if strict and target.scheme == "http" and not is_loopback:
        raise NotUnderDomain("The redirect_uri is plain http, which is for loopback hosts only.")
    allowed_host, allowed_port = read_domain(domain)
    if host != allowed_host and not _is_subdomain(host, allowed_host):
        raise NotUnderDomain(f"The host of the redirect_uri is not {allowed_host} or below it.")
    port = target.port or _DEFAULT_PORTS[target.scheme]
    if allowed_port not in {None, port}:
        raise NotUnderDomain(
            f"The Domain names port {allowed_port}, and the redirect_uri has another."
        )


def _read(redirect_uri: str) -> SplitResult:
    """Take a redirect URI apart, if its form is one to be trusted."""
    if not _URI.fullmatch(redirect_uri) or "\\" in redirect_uri:
        raise NotUnderDomain("The redirect_uri is missing, or holds characters that no URI has.")
    if "#" in redirect_uri:  # RFC 6749 section 3.1.2
        raise NotUnderDomain("The redirect_uri has a fragment.")
    try:
        target = urlsplit(redirect_uri)
        host, port = target.hostname or "", target.port
    except ValueError:
        raise NotUnderDomain("The redirect_uri is not a URI.") from None
    if target.scheme not in _DEFAULT_PORTS:
        raise NotUnderDomain("The redirect_uri is not an absolute http or https URI.")
    if "@" in target.netloc:
        raise NotUnderDomain("The redirect_uri has user-info before its host.")
    if not _HOST.fullmatch(host) or target.netloc.endswith(":") or port == 0:
        raise NotUnderDomain("The redirect_uri has no proper host and port.")
    return target


def _is_subdomain(host: str, parent: str) -> bool:
    """Tell whether a name lies below another; an IP address has nothing below it."""
    try:
        ipaddress.ip_address(parent)
    except ValueError:
        return host.endswith(f".{parent}")
    return False
