"""The proxy that a site is reached by: the settings', or the environment's."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

from soe_auth.errors import NetworkError
from soe_auth.model.proxy import Proxy

if TYPE_CHECKING:
    from soe_auth.model.proxy import Network
    from soe_auth.model.site import Site

PROXY_HINT = (
    "See the setting proxy, HTTPS_PROXY and ALL_PROXY; NO_PROXY names the sites that need none."
)


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
