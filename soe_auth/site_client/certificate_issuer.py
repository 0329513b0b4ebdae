"""Who issued a certificate that is not trusted, so that a person sees who looks into their TLS."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from soe_auth.model.text import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from soe_auth.model.network import Proxy

_CHUNK = 2**14  # bytes
_NAMED_BY = ("commonName", "organizationName", "organizationalUnitName")


async def issuer_of(
    host: str, port: int, *, proxy: Proxy | None, tls: ssl.SSLContext, within: float = 3.0
) -> str | None:
    """Return the name of who issued the certificate that is shown for a host, fit to be shown.

    None where that is not to be learned within so many seconds. It is what the certificate says of
    itself, and proves nothing. `tls` checks the certificate of an https proxy on the way.
    """
    # Neither handshake makes anything trusted: no request ever goes through them, and each is
    # dropped, half-made as a rule, as soon as it has shown the certificate.
    try:
        async with asyncio.timeout(within):
            unchecked = _context()
            unchecked.verify_mode = ssl.CERT_NONE
            async with _handshake(host, port, proxy, tls, unchecked) as shown:
                certificate = shown.getpeercert(binary_form=True)
            # Only a certificate that was checked is taken apart for us: so this one is checked,
            # against itself.
            itself = _context()
            itself.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            itself.load_verify_locations(cadata=certificate or b"")
            async with _handshake(host, port, proxy, tls, itself) as shown:
                return issuer_in(shown)
    except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):  # a time-out is an OSError
        return None


def issuer_in(tls: ssl.SSLObject) -> str | None:
    """Return what best names the issuer of a connection's certificate, fit to be shown.

    That is its own name and its organization's, or what there is of them; None where the
    certificate was not checked, or the system checks it in its own way.
    """
    certificate: Mapping[str, Any] = tls.getpeercert() or {}
    said = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    names = [said[key] for key in _NAMED_BY if key in said][:2]
    return printable(", ".join(dict.fromkeys(names)), 80) or None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return context


@asynccontextmanager
async def _handshake(
    host: str, port: int, proxy: Proxy | None, tls: ssl.SSLContext, context: ssl.SSLContext
) -> AsyncIterator[ssl.SSLObject]:
    """Shake hands, through the proxy if there is one, and drop the connection at the end."""
    if proxy is None:
        first_hop = asyncio.open_connection(host, port)
    else:
        outer = tls if proxy.scheme == "https" else None
        first_hop = asyncio.open_connection(proxy.host, proxy.port, ssl=outer)
    reader, writer = await first_hop
    try:
        if proxy:
            writer.write(_request(host, port, proxy))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
                raise ConnectionError
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        shown = context.wrap_bio(incoming, outgoing, server_hostname=host)
        while not _is_done(shown):
            writer.write(outgoing.read())
            data = await reader.read(_CHUNK)
            if not data:
                raise ConnectionError
            incoming.write(data)
        yield shown
    finally:
        writer.transport.abort()


def _is_done(handshake: ssl.SSLObject) -> bool:
    try:
        handshake.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _request(host: str, port: int, proxy: Proxy) -> bytes:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization.reveal()}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")
