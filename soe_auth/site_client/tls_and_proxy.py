"""The way to a site: whose certificates are believed, and which proxy is asked, if any."""

from __future__ import annotations

import ssl
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import truststore

from soe_auth.errors import NetworkError, SettingsError
from soe_auth.model.proxy import Proxy
from soe_auth.model.text import printable

if TYPE_CHECKING:
    from soe_auth.model.proxy import Network
    from soe_auth.model.site import Site

PROXY_HINT = (
    "See the setting proxy, HTTPS_PROXY and ALL_PROXY; NO_PROXY names the sites that need none."
)

_LONGEST_PATH = 400  # as it is shown
_BUNDLE_HINT = "Name a file in ca_bundle that holds the CAs to believe, in PEM, or leave it out."


def ssl_context(network: Network) -> ssl.SSLContext:
    """Return the TLS context that believes the CAs of `ca_bundle`, or else those of the system.

    Raises SettingsError where that file cannot be read, or has no certificate in it.
    """
    if network.ca_bundle is None:
        return _of_the_system()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whoever names a file believes what is in it, be it a root or not; so does curl.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    problem = "holds no certificate in PEM, or a broken one"
    try:
        context.load_verify_locations(cafile=network.ca_bundle)
    except ssl.SSLError:
        pass
    except (OSError, ValueError) as fault:  # ValueError: no path can be like that
        problem = f"cannot be read: {getattr(fault, 'strerror', None) or 'it is no path'}"
    else:
        if context.cert_store_stats()["x509"]:  # there may be nothing but revocation lists
            return context
    path = printable(str(network.ca_bundle), _LONGEST_PATH)
    raise SettingsError(f"ca_bundle {path} {problem}.", hint=_BUNDLE_HINT)


def _of_the_system() -> ssl.SSLContext:
    """Return a context that believes whom the system believes.

    Where OpenSSL finds a file of CAs, they are read here, once, while a person is away: truststore
    would read the same file for each connection, which takes 20 ms after the redirect.
    """
    if sys.platform not in {"darwin", "win32"}:  # pragma: no branch - they have other stores
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        if context.cert_store_stats()["x509"]:
            return context
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def proxy_for(site: Site, network: Network) -> Proxy | None:
    """Return the proxy of the settings, or else of the environment; none for a loopback site.

    Raises NetworkError where the environment names one that cannot be used.
    """
    if _is_loopback(site.host) or network.proxy == "none":
        return None
    if network.proxy:
        return network.proxy
    try:
        return _of_the_environment(site)
    except ValueError:
        # Not chained, nor quoted: its address may hold a password.
        raise NetworkError(
            "The proxy that the environment names is no http or https address.", hint=PROXY_HINT
        ) from None


def _of_the_environment(site: Site) -> Proxy | None:
    if proxy_bypass(site.authority):
        return None
    proxies = getproxies()
    address = proxies.get("https") or proxies.get("all")
    return Proxy.parse(address) if address else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3
