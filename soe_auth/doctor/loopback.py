"""Whether the redirect would arrive: our own listener, bound as a login binds it, really asked."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from soe_auth.doctor.finding import Finding, error, from_error, ok, warning
from soe_auth.errors import LoginError, LoopbackUnavailable
from soe_auth.loopback.server import LocalPaths, serve
from soe_auth.loopback.socket_owner import why_busy
from soe_auth.loopback.sockets import LoopbackSockets, bind, lookup_addresses
from soe_auth.model.site import Site
from soe_auth.model.text import printable
from soe_auth.model.token import Scope
from soe_auth.oauth.authorization_request import new_authorization_request, redirect_uri_for
from soe_auth.site_client.failure import describe_os_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from soe_auth.model.network import Ports
    from soe_auth.oauth.pkce import Entropy

_WITHIN = 3.0  # seconds, for what takes a millisecond
_LAUNCH, _DONE = "/look", "/done"
_FAMILIES = {"127.0.0.1": "IPv4", "::1": "IPv6"}


@dataclass(frozen=True, slots=True)
class LoopbackProbe:
    """A request to our own listener: by which name, at which addresses, and why it came to nothing.

    Without addresses the name does not resolve here.
    """

    name: str
    addresses: tuple[str, ...]
    problem: str | None = None


def look_at_loopback(
    ports: Ports,
    host: str,
    entropy: Entropy,
    *,
    needed: bool = True,
    known: Callable[[str, int], tuple[str, ...]] = lookup_addresses,
) -> list[Finding]:
    """Bind the port, ask it on both families and by name, and give it back.

    `known` returns the addresses of a name here, or raises OSError. Where the redirect is the
    site's own page, the loopback is not `needed`, and nothing about it is wrong.
    """
    found = _look(ports, host, entropy, known)
    if needed:
        return found
    todo = "The redirect login_success does without it."
    return [f if f.verdict == "ok" else warning(f.name, f.says, todo) for f in found]


def _look(
    ports: Ports, host: str, entropy: Entropy, known: Callable[[str, int], tuple[str, ...]]
) -> list[Finding]:
    try:
        bound = bind(ports.numbers, host, why_busy)
    except LoopbackUnavailable as problem:
        return [from_error("loopback", problem)]
    with closing(bound):
        own = [listening.getsockname()[0] for listening in bound.sockets]
        names: dict[str, tuple[str, ...]] = {name: (name,) for name in own}
        if host not in names:
            names[host] = _addresses(host, bound.port, known)
        probes = asyncio.run(_probe_all(bound, names, entropy))
    absent = [family for address, family in _FAMILIES.items() if address not in names]
    return [
        *(check_probe(probe, bound.port) for probe in probes),
        *(
            warning("loopback", f"this machine has no {family}; a login does without it")
            for family in absent
        ),
    ]


def check_probe(probe: LoopbackProbe, port: int) -> Finding:
    """Say whether a request by that name arrived."""
    name = f"[{probe.name}]" if ":" in probe.name else probe.name
    if not probe.addresses:
        return warning(
            "loopback",
            f"this machine does not know the name {name}",
            "Chrome, Edge and Firefox know it by themselves; Safari and others may need"
            f" `127.0.0.1 {name}` in the hosts file.",
        )
    if elsewhere := [a for a in probe.addresses if not _is_loopback(a)]:
        return error(
            "loopback",
            LoginError,
            f"{name} is {elsewhere[0]} here, which is not this machine's loopback",
            "Put it right in the hosts file: the redirect, code and all, would go there.",
        )
    if probe.problem:
        return error(
            "loopback",
            LoginError,
            f"{name} was asked at port {port}, which is ours, and {probe.problem}",
            "See what stands between: a firewall, or a program that watches connections.",
        )
    means = "" if probe.addresses == (probe.name,) else f" ({', '.join(probe.addresses)})"
    answered = f"{name}{means} answered at port {port}"
    if probe.name in {*_FAMILIES, "localhost"} or name.endswith(".localhost"):
        return ok("loopback", answered)
    return warning(
        "loopback",
        f"{answered}, and browsers look that name up themselves",
        "One that uses a proxy, DNS over HTTPS or HTTPS only needs an exception for it.",
    )


async def _probe_all(
    bound: LoopbackSockets, names: Mapping[str, tuple[str, ...]], entropy: Entropy
) -> list[LoopbackProbe]:
    site = Site.parse("localhost")  # not contacted: the answer is read here, and dropped
    redirect_uri = redirect_uri_for(site, bound.host, bound.port)
    request = new_authorization_request(site, "0", Scope(), redirect_uri, entropy)
    paths = LocalPaths(_LAUNCH, _DONE)
    async with serve(bound, request, paths, lambda _: None):
        return [
            LoopbackProbe(name, addresses, await probe_port(addresses, bound.port))
            for name, addresses in names.items()
        ]


def _addresses(
    name: str, port: int, known: Callable[[str, int], tuple[str, ...]]
) -> tuple[str, ...]:
    try:
        return known(name, port)
    except OSError:
        return ()


async def probe_port(addresses: tuple[str, ...], port: int) -> str | None:
    """Ask at each address until one answers, as a browser does; return why none did, or None.

    Only this machine itself is asked.
    """
    problem = None
    for address in filter(_is_loopback, addresses):
        try:
            async with asyncio.timeout(_WITHIN):
                problem = await _ask(address, port)
        except OSError as caught:
            said = describe_os_error(caught) if caught.errno else "nothing came in time"
            problem = f"did not answer: {said}"
        if problem is None:
            break
    return problem


def _is_loopback(address: str) -> bool:
    return ip_address(address).is_loopback


async def _ask(address: str, port: int) -> str | None:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(f"GET {_LAUNCH} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode("ascii"))
        head = await reader.readline()
    finally:
        # We hang up first: who does so has to wait (TIME-WAIT, RFC 9293 section 3.6.1), and the
        # port of the listener must be free for the login that comes next.
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    status = head.split()[1:2]
    if status == [b"303"]:  # the listener's own way to the site
        return None
    return f"answered {printable(head.decode('latin-1')) or 'nothing'}"
