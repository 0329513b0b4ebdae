"""Explain a failed request: the cause of a transport error, the issuer of a certificate."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from soe_auth.model.text import printable
from soe_auth.site_client.proxy_lookup import PROXY_HINT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from soe_auth.model.network import Proxy

# X509_V_ERR_… of OpenSSL's x509_vfy.h; CERT_E_EXPIRED and CERT_E_CN_NO_MATCH of Windows.
_CERTIFICATE_FAULTS = {
    9: "it is not valid yet, by this machine's clock",
    10: "it has expired, by this machine's clock",
    18: "it is self-signed",
    62: "it is for another name",
    64: "it is for another address",
    0x800B0101: "it has expired or is not valid yet, by this machine's clock",
    0x800B010F: "it is for another name or address",
}
# OpenSSL's two, CERT_E_UNTRUSTEDROOT and CERT_E_CHAINING of Windows, errSecNotTrusted of macOS.
_UNKNOWN_AUTHORITY = {19, 20, 0x800B0109, 0x800B010A, -67843}
# ERROR_CONNECTION_REFUSED of Windows, for which Python sets EINVAL, and WSAECONNREFUSED.
_WINDOWS_REFUSED = {1225, 10061}
_CERTIFICATE_HINT = (
    "Nothing was sent. If your company inspects TLS, add its CA to the system's trust store, or to"
    " a file that ca_bundle or SSL_CERT_FILE names."
)
_LOGIN_NEEDED = "The proxy needs a user and a password: set proxy or HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT."
_LOGIN_REFUSED = "The proxy refused the user and password in its address; write a / in them as %2F."

_NAME_FIELDS = ("commonName", "organizationName", "organizationalUnitName")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed; with `needs_issuer`, the message names the certificate's issuer."""

    reason: str
    hint: str | None = None
    needs_issuer: bool = False


def explain_failure(
    problem: Exception, status: int | None, authority: str, proxy: Proxy | None
) -> Failure:
    """Explain a transport error; `status` is None if no answer has begun.

    The answer is not quoted, as it may repeat a secret of the request.
    """
    timed_out = isinstance(problem, TimeoutError | httpx.TimeoutException)
    if status is not None:
        how = "did not finish its answer in time" if timed_out else "did not send its whole answer"
        return Failure(f"{authority} {how} (HTTP {status})")
    unreached = f"Cannot reach {authority}{f' through the proxy {proxy}' if proxy else ''}"
    if isinstance(problem, httpx.ConnectTimeout):
        return Failure(f"{unreached}: the connection timed out", PROXY_HINT if proxy else None)
    if timed_out:
        return Failure(f"{authority} did not answer in time")
    if isinstance(problem, httpx.ReadError | httpx.RemoteProtocolError):
        return Failure(f"{authority} closed the connection, or its answer is not HTTP")
    cause = _find_cause(problem, proxy)
    return replace(cause, reason=f"{unreached}: {cause.reason}")


def refuses_certificate(problem: Exception) -> bool:
    """Return whether the cause is a certificate that is not trusted."""
    return any(isinstance(inner, ssl.SSLCertVerificationError) for inner in _chain(problem))


def _find_cause(problem: Exception, proxy: Proxy | None) -> Failure:
    """Find the error that a user can act on, in a chain of wrapped errors, and its hint."""
    for inner in _chain(problem):
        if isinstance(inner, ssl.SSLCertVerificationError):
            untrusted = "its certificate is not trusted"
            if inner.verify_code in _UNKNOWN_AUTHORITY:
                return Failure(untrusted, _CERTIFICATE_HINT, needs_issuer=True)
            fault = _CERTIFICATE_FAULTS.get(inner.verify_code) or printable(inner.verify_message)
            hint = _CERTIFICATE_HINT
            if "for another" in fault:  # as for a mistyped NAME.stackenterprise.co
                hint = f"Check the site's name first. {hint}"
            return Failure(f"{untrusted}: {fault}", hint)
        if isinstance(inner, ssl.SSLError):
            reason = (inner.reason or "no reason given").replace("_", " ").lower()
            return Failure(f"the TLS handshake failed ({printable(reason)})")
        if isinstance(inner, httpx.ProxyError):
            return Failure(f"it answered {printable(str(inner))}", _proxy_hint(str(inner), proxy))
        if isinstance(inner, OSError) and inner.errno:
            return Failure(printable(describe_os_error(inner)), PROXY_HINT if proxy else None)
    return Failure(printable(str(problem)))


def describe_os_error(problem: OSError) -> str:
    """Return the system's message for a failed connection."""
    windows = getattr(problem, "winerror", None)  # strerror does not know its errno, if any
    if windows in _WINDOWS_REFUSED:
        return "Connection refused"
    # asyncio has its own message for a refused connection; look-up errors are below zero.
    number = problem.errno or 0
    return os.strerror(number) if number > 0 and not windows else str(problem.strerror)


def _proxy_hint(answer: str, proxy: Proxy | None) -> str:
    if not answer.startswith(str(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value)):
        return PROXY_HINT
    return _LOGIN_REFUSED if proxy and proxy.authorization else _LOGIN_NEEDED


def _chain(problem: BaseException) -> list[BaseException]:
    """List an error and the errors that it wraps, the innermost first."""
    wrapped = problem.__cause__ or problem.__context__
    inner = getattr(problem, "exceptions", [wrapped])[0]  # the first of a group stands for all
    return [*(_chain(inner) if inner else []), problem]


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
                return issuer_name(connection)
    except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):  # TimeoutError is an OSError
        return None


def issuer_name(connection: ssl.SSLObject) -> str | None:
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
