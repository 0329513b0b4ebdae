"""Check that the redirect arrives: bind the listener as a login does, and send it requests."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from ipaddress import ip_address

from soe_auth.doctor.finding import Finding, from_error
from soe_auth.errors import LoginError, LoopbackUnavailable
from soe_auth.loopback.server import LocalPaths, serve
from soe_auth.loopback.socket_owner import why_busy
from soe_auth.loopback.sockets import LoopbackSockets, bind, lookup_addresses
from soe_auth.model.network import Ports
from soe_auth.model.site import Site
from soe_auth.model.text import printable
from soe_auth.model.token import Scope
from soe_auth.oauth.authorization_request import new_authorization_request, redirect_uri_for
from soe_auth.site_client.failure import describe_os_error

_TIMEOUT = 3.0  # seconds; an answer takes a millisecond
_LAUNCH, _RESULT = "/check", "/result"
_FAMILIES = {"127.0.0.1": "IPv4", "::1": "IPv6"}


def check_loopback(
    ports: Ports,
    host: str,
    *,
    needed: bool = True,
    resolve_name: Callable[[str, int], tuple[str, ...]] = lookup_addresses,
) -> list[Finding]:
    """Bind the port, send a request to each address and to the host name, release the port.

    `resolve_name` returns the addresses of a name, or raises OSError. Where the redirect is the
    site's own page, the loopback is not `needed`, and a problem is a warning.
    """
    try:
        with closing(bind(ports.numbers, host, why_busy)) as bound:
            own = [listening.getsockname()[0] for listening in bound.sockets]
            names: dict[str, tuple[str, ...]] = {address: (address,) for address in own}
            if host not in names:
                try:
                    names[host] = resolve_name(host, bound.port)
                except OSError:
                    names[host] = ()
            found = asyncio.run(_probe_all(bound, names))
    except LoopbackUnavailable as problem:
        found = [from_error("loopback", problem)]
    else:
        for family in (_FAMILIES[address] for address in _FAMILIES if address not in names):
            says = f"no {family} on this machine; a login works without it"
            found.append(Finding("loopback", "warning", says))
    if needed:
        return found
    todo = "Not needed: the redirect login_success uses no loopback port."
    return [f if f.verdict == "ok" else Finding(f.name, "warning", f.says, todo) for f in found]


async def _probe_all(bound: LoopbackSockets, names: Mapping[str, tuple[str, ...]]) -> list[Finding]:
    site = Site.parse("localhost")  # not contacted: the redirect to it is not followed
    redirect_uri = redirect_uri_for(site, bound.host, bound.port)
    request = new_authorization_request(site, "0", Scope(), redirect_uri, os.urandom)
    paths = LocalPaths(_LAUNCH, _RESULT)
    async with serve(bound, request, paths, lambda _: None):
        return [
            finding_for(name, addresses, bound.port, await probe_port(addresses, bound.port))
            for name, addresses in names.items()
        ]


def finding_for(
    name: str, addresses: tuple[str, ...], port: int, problem: str | None = None
) -> Finding:
    """Return the finding about a name with these addresses; `problem` says why none answered."""
    shown = f"[{name}]" if ":" in name else name
    if not addresses:
        return Finding(
            "loopback",
            "warning",
            f"{shown} does not resolve on this machine",
            "Chrome, Edge and Firefox resolve it themselves; Safari and others may need"
            f" `127.0.0.1 {shown}` in the hosts file.",
        )
    if outside := [address for address in addresses if not ip_address(address).is_loopback]:
        return Finding(
            "loopback",
            "error",
            f"{shown} resolves to {outside[0]}, which is not this machine",
            "Correct the hosts file: the browser would send the code to that address.",
            LoginError,
        )
    if problem:
        return Finding(
            "loopback",
            "error",
            f"{shown} does not reach soe-auth's own port {port}: {problem}",
            "Look for a firewall or a program that filters connections on this machine.",
            LoginError,
        )
    resolved = "" if addresses == (name,) else f" ({', '.join(addresses)})"
    says = f"{shown}{resolved} answered at port {port}"
    if name in {*_FAMILIES, "localhost"} or name.endswith(".localhost"):
        return Finding("loopback", "ok", says)
    return Finding(
        "loopback",
        "warning",
        f"{says}; a browser resolves this name itself",
        "A browser with a proxy, DNS over HTTPS or HTTPS-only mode needs an exception for it.",
    )


async def probe_port(addresses: tuple[str, ...], port: int) -> str | None:
    """Send a request to each loopback address until one answers, as a browser does.

    Returns why none answered, or None.
    """
    problem = None
    for address in addresses:
        if not ip_address(address).is_loopback:
            continue
        try:
            async with asyncio.timeout(_TIMEOUT):
                problem = await _request(address, port)
        except OSError as caught:
            problem = (
                describe_os_error(caught) if caught.errno else f"no answer in {_TIMEOUT:.0f} s"
            )
        if problem is None:
            break
    return problem


async def _request(address: str, port: int) -> str | None:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(f"GET {_LAUNCH} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode("ascii"))
        head = await reader.readline()
    finally:
        # The side that closes first keeps its port in TIME-WAIT (RFC 9293 section 3.6.1). The
        # listener must not, as the next login needs its port.
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    if head.split()[1:2] == [b"303"]:  # the listener's redirect to the site
        return None
    if not head:
        return "connection closed without an answer"
    return f"another program answered {printable(head.decode('latin-1'))}"
