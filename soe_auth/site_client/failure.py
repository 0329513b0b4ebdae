"""Explain a failed request by the cause of its transport error."""

from __future__ import annotations

import os
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from soe_auth.errors import NetworkError
from soe_auth.model.text import printable
from soe_auth.site_client.proxy_lookup import PROXY_HINT

if TYPE_CHECKING:
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
    "Nothing was sent. If your company inspects TLS, add its CA, which `soe-auth doctor` names, to"
    " the system's trust store, or to a file that ca_bundle or SSL_CERT_FILE names."
)
_LOGIN_NEEDED = "The proxy needs a user and a password: set proxy or HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT."
_LOGIN_REFUSED = "The proxy refused the user and password in its address; write a / in them as %2F."


def explain_failure(
    problem: Exception,
    status: int | None,
    authority: str,
    *,
    proxy: Proxy | None,
    has_bundle: bool,
) -> NetworkError:
    """Return the error for a transport error; `status` is None if no answer has begun.

    The answer is not quoted, as it may repeat a secret of the request. With `has_bundle`, only the
    CAs of a file are trusted.
    """
    timed_out = isinstance(problem, TimeoutError | httpx.TimeoutException)
    if status is not None:
        how = "did not finish its answer in time" if timed_out else "did not send its whole answer"
        return NetworkError(f"{authority} {how} (HTTP {status}).")
    unreached = f"Cannot reach {authority}{f' through the proxy {proxy}' if proxy else ''}"
    if isinstance(problem, httpx.ConnectTimeout):
        hint = PROXY_HINT if proxy else None
        return NetworkError(f"{unreached}: the connection timed out.", hint=hint)
    if timed_out:
        return NetworkError(f"{authority} did not answer in time.")
    if isinstance(problem, httpx.ReadError | httpx.RemoteProtocolError):
        return NetworkError(f"{authority} closed the connection, or its answer is not HTTP.")
    reason, hint = _find_cause(problem, proxy, has_bundle=has_bundle)
    return NetworkError(f"{unreached}: {reason}.", hint=hint)


def refuses_certificate(problem: Exception) -> bool:
    """Return whether the cause is a certificate that is not trusted."""
    return any(isinstance(inner, ssl.SSLCertVerificationError) for inner in _chain(problem))


def _find_cause(
    problem: Exception, proxy: Proxy | None, *, has_bundle: bool
) -> tuple[str, str | None]:
    """Find the error that a user can act on, in a chain of wrapped errors, and its hint."""
    for inner in _chain(problem):
        if isinstance(inner, ssl.SSLCertVerificationError):
            untrusted = "its certificate is not trusted"
            if inner.verify_code in _UNKNOWN_AUTHORITY:
                where = "is not in ca_bundle" if has_bundle else "this machine does not trust"
                return f"{untrusted}: it was issued by an authority that {where}", _CERTIFICATE_HINT
            fault = _CERTIFICATE_FAULTS.get(inner.verify_code) or printable(inner.verify_message)
            hint = _CERTIFICATE_HINT
            if "for another" in fault:  # as for a mistyped NAME.stackenterprise.co
                hint = f"Check the site's name first. {hint}"
            return f"{untrusted}: {fault}", hint
        if isinstance(inner, ssl.SSLError):
            reason = (inner.reason or "no reason given").replace("_", " ").lower()
            return f"the TLS handshake failed ({printable(reason)})", None
        if isinstance(inner, httpx.ProxyError):
            return f"it answered {printable(str(inner))}", _proxy_hint(str(inner), proxy)
        if isinstance(inner, OSError) and inner.errno:
            return printable(describe_os_error(inner)), PROXY_HINT if proxy else None
    return printable(str(problem)), None


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
