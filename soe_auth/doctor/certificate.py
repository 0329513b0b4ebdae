"""Find the issuer of a site's certificate: the name of a system that inspects TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from soe_auth.model.network import Proxy
from soe_auth.model.text import printable

_NAME_FIELDS = ("commonName", "organizationName", "organizationalUnitName")


async def find_issuer(
    host: str, port: int, *, proxy: Proxy | None, tls: ssl.SSLContext, time_limit: float = 3.0
) -> str | None:
    """Return the printable name of the issuer of a host's certificate.

    None if it cannot be found in `time_limit` seconds. The certificate claims the name, and proves
    nothing. `tls` checks the certificate of an https proxy.
    """
    # Neither handshake makes a site trusted: no request is sent, and each connection is aborted
    # as soon as the certificate is known.
    try:
        async with asyncio.timeout(time_limit):
            unchecked = _new_context()
            unchecked.verify_mode = ssl.CERT_NONE
            async with _handshake(host, port, proxy, tls, unchecked) as connection:
                certificate = connection.getpeercert(binary_form=True)
            # Python parses only a verified certificate, so this handshake trusts it as a root.
            itself = _new_context()
            itself.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            itself.load_verify_locations(cadata=certificate or b"")
            async with _handshake(host, port, proxy, tls, itself) as connection:
                return _issuer_name(connection)
    except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):  # TimeoutError is an OSError
        return None


def _issuer_name(connection: ssl.SSLObject) -> str | None:
    """Return the printable name and organization of the issuer of a connection's certificate.

    None if the certificate was not verified, or if the system verified it in place of OpenSSL.
    """
    certificate: Mapping[str, Any] = connection.getpeercert() or {}
    issuer = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    names = [issuer[key] for key in _NAME_FIELDS if key in issuer][:2]
    return printable(", ".join(dict.fromkeys(names)), 80) or None


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return context


@asynccontextmanager
async def _handshake(
    host: str, port: int, proxy: Proxy | None, tls: ssl.SSLContext, context: ssl.SSLContext
) -> AsyncIterator[ssl.SSLObject]:
    """Make a TLS handshake, through the proxy if there is one; abort the connection at the end."""
    address = (proxy.host, proxy.port) if proxy else (host, port)
    outer = tls if proxy and proxy.scheme == "https" else None
    reader, writer = await asyncio.open_connection(*address, ssl=outer)
    try:
        if proxy:
            writer.write(_connect_request(host, port, proxy))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
                raise ConnectionError
        await writer.start_tls(context, server_hostname=host)
        yield writer.get_extra_info("ssl_object")
    finally:
        writer.transport.abort()


def _connect_request(host: str, port: int, proxy: Proxy) -> bytes:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization.reveal()}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")
