"""Choose the proxy for a site, from the settings or the environment."""

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
    "Check the setting proxy, and the variables HTTPS_PROXY and ALL_PROXY. NO_PROXY lists the sites"
    " that need none."
)


def proxy_for(site: Site, network: Network) -> Proxy | None:
    """Return the proxy of the settings, or of the environment; None for a loopback site.

    Raises NetworkError if the environment's proxy is invalid.
    """
    if _is_loopback(site.host) or network.proxy == "none":
        return None
    if network.proxy:
        return network.proxy
    try:
        return _environment_proxy(site)
    except ValueError:
        # Neither chained nor quoted: the address may hold a password.
        raise NetworkError(
            "Cannot use the proxy of the environment: it is not an http or https address.",
            hint=PROXY_HINT,
        ) from None


def _environment_proxy(site: Site) -> Proxy | None:
    proxies = getproxies()
    if proxy_bypass(site.authority) or _is_in_no_proxy(site.host, proxies.get("no", "")):
        return None
    address = proxies.get("https") or proxies.get("all")
    return Proxy.parse(address) if address else None


def _is_in_no_proxy(host: str, no_proxy: str) -> bool:
    """Read NO_PROXY as curl does: names, addresses and networks, separated by commas or blanks."""
    for entry in no_proxy.replace(",", " ").split():
        name = entry.strip(".").lower()
        if f".{host}".endswith(f".{name}"):
            return True
        with suppress(ValueError):  # it is a name
            if ip_address(host) in ip_network(name.strip("[]"), strict=False):
                return True
    return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3
