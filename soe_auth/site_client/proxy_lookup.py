"""The proxy that a site is reached by: the settings', or the environment's."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

from soe_auth.errors import NetworkError
from soe_auth.model.network import Proxy

if TYPE_CHECKING:
    from soe_auth.model.network import Network
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
    proxies = getproxies()
    if proxy_bypass(site.authority) or _is_excepted(site, proxies.get("no", "")):
        return None
    address = proxies.get("https") or proxies.get("all")
    return Proxy.parse(address) if address else None


def _is_excepted(site: Site, no_proxy: str) -> bool:
    """Read NO_PROXY as curl: names, addresses and networks, separated by commas or blanks."""
    entries = [entry.strip(".").lower() for entry in no_proxy.replace(",", " ").split()]
    return any(
        f".{site.host}".endswith(f".{entry}") or _is_in(site.host, entry.strip("[]"))
        for entry in entries
    )


def _is_in(host: str, network: str) -> bool:
    with suppress(ValueError):
        return ip_address(host) in ip_network(network, strict=False)
    return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3
