"""Why no answer came, in words: what a person can act on in an error of the wire."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from soe_auth.model.text import printable
from soe_auth.site_client.proxy_lookup import PROXY_HINT

if TYPE_CHECKING:
    from soe_auth.model.network import Proxy

# X509_V_ERR_… of OpenSSL's x509_vfy.h; CERT_E_EXPIRED and CERT_E_CN_NO_MATCH of Windows.
_CERTIFICATE_FAULTS = {
    9: "it is not valid yet, by this machine's clock",
    10: "it has expired, by this machine's clock",
    18: "it is signed by itself",
    62: "it is for another name",
    64: "it is for another address",
    0x800B0101: "it has expired or is not valid yet, by this machine's clock",
    0x800B010F: "it is for another name or address",
}
# OpenSSL's two, CERT_E_UNTRUSTEDROOT and CERT_E_CHAINING of Windows, errSecNotTrusted of macOS.
_UNKNOWN_AUTHORITY = {19, 20, 0x800B0109, 0x800B010A, -67843}
# ERROR_CONNECTION_REFUSED of Windows, which Python takes for EINVAL, and WSAECONNREFUSED.
_WINDOWS_REFUSED = {1225, 10061}
_CERTIFICATE_HINT = (
    "Nothing was sent. If your company looks into TLS, put its own CA into the system's trust"
    " store, or into a file that ca_bundle or SSL_CERT_FILE names."
)
_LOGIN_WANTED = (
    "It wants a user and a password: http://USER:PASSWORD@HOST:PORT, in the setting proxy or in"
    " HTTPS_PROXY."
)
_LOGIN_REFUSED = "It did not take the user and password in its address; a / in them is written %2F."


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there was no answer, and what to do; `issuer` asks for the certificate's to be named."""

    says: str
    hint: str | None = None
    issuer: bool = False


def failure_of(
    problem: Exception, status: int | None, authority: str, proxy: Proxy | None
) -> Failure:
    """Say what went wrong; the status is None until an answer has begun.

    What was received is not quoted, as it may repeat what was sent.
    """
    timed_out = isinstance(problem, TimeoutError | httpx.TimeoutException)
    if status is not None:
        if timed_out:
            return Failure(f"{authority} did not end its answer in time (HTTP {status})")
        return Failure(f"{authority} broke its answer off (HTTP {status})")
    unreached = f"{authority} could not be reached"
    if proxy:
        unreached = f"{authority} could not be reached through the proxy {proxy}"
    if isinstance(problem, httpx.ConnectTimeout):
        return Failure(f"{unreached} in time", PROXY_HINT if proxy else None)
    if timed_out:
        return Failure(f"{authority} did not answer in time")
    if isinstance(problem, httpx.ReadError | httpx.RemoteProtocolError):
        return Failure(f"{authority} hung up, or its answer is not HTTP")
    reason = _reason(problem, proxy)
    return replace(reason, says=f"{unreached}: {reason.says}")


def refuses_certificate(problem: Exception) -> bool:
    """Whether it was a certificate that was not believed."""
    return any(isinstance(inner, ssl.SSLCertVerificationError) for inner in _chain(problem))


def _reason(problem: Exception, proxy: Proxy | None) -> Failure:
    """Find what a person can act on in a chain of wrapped errors, and a hint where there is one."""
    for inner in _chain(problem):
        if isinstance(inner, ssl.SSLCertVerificationError):
            says = "its certificate is not trusted"
            if inner.verify_code in _UNKNOWN_AUTHORITY:
                return Failure(says, _CERTIFICATE_HINT, issuer=True)
            fault = _CERTIFICATE_FAULTS.get(inner.verify_code) or printable(inner.verify_message)
            hint = _CERTIFICATE_HINT
            if "for another" in fault:  # a NAME.stackenterprise.co that is mistyped answers so
                hint = f"See first that the site's name is right. {hint}"
            return Failure(f"{says}: {fault}", hint)
        if isinstance(inner, ssl.SSLError):
            how = (inner.reason or "no reason given").replace("_", " ").lower()
            return Failure(f"no secure connection came about ({printable(how)})")
        if isinstance(inner, httpx.ProxyError):
            return Failure(f"it answered {printable(str(inner))}", _proxy_hint(str(inner), proxy))
        if isinstance(inner, OSError) and inner.errno:
            return Failure(printable(describe_os_error(inner)), PROXY_HINT if proxy else None)
    return Failure(printable(str(problem)))


def describe_os_error(problem: OSError) -> str:
    """Return what the system says of a connection that failed."""
    windows = getattr(problem, "winerror", None)  # whose errno, if any, strerror does not know
    if windows in _WINDOWS_REFUSED:
        return "Connection refused"
    # asyncio words a refused connection its own way; those of name look-up are below zero.
    number = problem.errno or 0
    return os.strerror(number) if number > 0 and not windows else str(problem.strerror)


def _proxy_hint(answer: str, proxy: Proxy | None) -> str:
    if not answer.startswith(str(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value)):
        return PROXY_HINT
    return _LOGIN_REFUSED if proxy and proxy.authorization else _LOGIN_WANTED


def _chain(problem: BaseException) -> list[BaseException]:
    """List an error and what it wraps, the innermost first."""
    wrapped = problem.__cause__ or problem.__context__
    inner = getattr(problem, "exceptions", [wrapped])[0]  # of a group, the first speaks for all
    return [*(_chain(inner) if inner else []), problem]
