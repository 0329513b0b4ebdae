"""The site's own endpoints, on httpx: the token endpoint, and the few calls to its API.

Requests go through httpx's transport, below its client: so no redirect is followed, no cookie
kept, no netrc read, and no address is logged, in one of which the token has to ride.

Some tools print tracebacks with their local variables. So what holds a secret in clear is made in
a frame that raises nothing of ours, and never bound to a name in one that does.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from ipaddress import ip_address
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import truststore

from soe_auth.errors import MalformedResponse, NetworkError, SoeAuthError
from soe_auth.redeem import Answer
from soe_auth.text import printable
from soe_auth.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from soe_auth.secret import Secret
    from soe_auth.site import Site

_LARGEST_ANSWER = 64 * 1024

# X509_V_ERR_… of OpenSSL's x509_vfy.h; the certificate stores of other systems say it in words.
_UNKNOWN_AUTHORITY = "it comes from an authority that this machine does not know"
_CERTIFICATE_FAULTS = {
    9: "it is not valid yet, by this machine's clock",
    10: "it has expired, by this machine's clock",
    18: "it is signed by itself",
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    62: "it is for another name",
    64: "it is for another address",
}
_CERTIFICATE_HINT = (
    "Nothing was sent. If your company looks into TLS, its own CA belongs in the system's trust"
    " store, or in a file that SSL_CERT_FILE names."
)
_PROXY_HINT = "See HTTPS_PROXY and ALL_PROXY; NO_PROXY names the sites that need none."


class Ending(Enum):
    """What the site said when asked to end a token."""

    ENDED = "ended"
    ALREADY_INVALID = "already invalid"
    NOT_OFFERED = "not offered by this site"
    UNREACHABLE = "site not reachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """How long the site may take, in seconds.

    `connect` is for opening a connection, `read` for each wait for more bytes, `pauses` lie between
    the tries to open one; `exchange`, `look_up` and `invalidation` each are for a call as a whole.
    """

    connect: float = 10.0
    read: float = 20.0
    pauses: tuple[float, ...] = (0.3, 1.0)
    exchange: float = 30.0
    look_up: float = 3.0  # a person is waiting for the page
    invalidation: float = 10.0


_LIMITS = TimeLimits()


class SiteConnection:
    """Calls to one site; made by `connect`."""

    def __init__(self, site: Site, transport: httpx.AsyncBaseTransport, limits: TimeLimits) -> None:
        self._site = site
        self._transport = transport
        self._limits = limits

    async def exchange(self, form: Secret) -> Answer:
        """Post the form to the token endpoint, once; return what comes back, whatever it is.

        Raises NetworkError, and MalformedResponse for an answer that is compressed or of more than
        64 KiB.
        """
        return await self._send(
            lambda: self._request(
                "POST",
                "/oauth/access_token/json",
                {"Content-Type": "application/x-www-form-urlencoded"},
                form.reveal().encode("ascii"),
            ),
            within=self._limits.exchange,
        )

    async def account_name(self, access_token: Secret) -> str | None:
        """Ask API v3 whose token it is; None where it does not tell, or not in time."""
        try:
            answer = await self._send(
                lambda: self._request(
                    "GET",
                    "/api/v3/users/me",
                    {"Authorization": f"Bearer {access_token.reveal()}"},
                ),
                within=self._limits.look_up,
            )
            name = json.loads(answer.body)["name"]
        except (SoeAuthError, ValueError, LookupError, TypeError, RecursionError):
            return None
        if answer.status == HTTPStatus.OK and isinstance(name, str):
            return printable(name, 80) or None
        return None

    async def invalidate(self, access_token: Secret) -> Ending:
        """Ask API v2.3 to end the token (public Stack Exchange API; SOE may not offer it).

        The token rides in the path of the call, as that API wants it.
        """
        try:
            answer = await self._send(
                lambda: self._request(
                    "GET",
                    f"/api/2.3/access-tokens/{quote(access_token.reveal(), safe='')}/invalidate",
                ),
                within=self._limits.invalidation,
            )
            if answer.status == HTTPStatus.UNAUTHORIZED:
                return Ending.ALREADY_INVALID
            ended = json.loads(answer.body)["items"]
        except NetworkError:
            return Ending.UNREACHABLE
        except (SoeAuthError, ValueError, LookupError, TypeError, RecursionError):
            return Ending.NOT_OFFERED
        if answer.status != HTTPStatus.OK or not isinstance(ended, list):
            return Ending.NOT_OFFERED
        return Ending.ENDED if ended else Ending.ALREADY_INVALID

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        content: bytes | None = None,
    ) -> httpx.Request:
        connect, read = self._limits.connect, self._limits.read
        return httpx.Request(
            method,
            f"{self._site}{path}",
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"soe-auth/{__version__}",
                **headers,
            },
            content=content,
            extensions={
                "timeout": {"connect": connect, "read": read, "write": read, "pool": connect}
            },
        )

    async def _send(self, request: Callable[[], httpx.Request], *, within: float) -> Answer:
        status = None
        try:
            async with asyncio.timeout(within):
                response = await self._open(request)
                status = response.status_code
                try:
                    answer = Answer(status, await _read(response))
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TransportError, httpx.InvalidURL) as problem:
            # Not chained: the cause holds the request, and the request holds secrets.
            raise _failure(self._site.authority, status, problem) from None
        if response.headers.get("Content-Encoding", "") not in {"", "identity"}:
            raise _malformed(status, "is compressed, which was not asked for")
        if len(answer.body) > _LARGEST_ANSWER:
            raise _malformed(status, "is larger than an answer can be")
        return answer

    async def _open(self, request: Callable[[], httpx.Request]) -> httpx.Response:
        """Send the request and await the head of the answer.

        It is tried again only where no connection came about, so that nothing can have been sent:
        a code must not be used twice, and a site may end the token of one that is (RFC 6749
        section 4.1.2). A certificate that was refused is refused for good; a connection that took
        all its time has been tried again by TCP.
        """
        for pause in self._limits.pauses:
            try:
                return await self._transport.handle_async_request(request())
            except httpx.ConnectError as problem:
                if any(isinstance(e, ssl.SSLCertVerificationError) for e in _chain(problem)):
                    raise
            await asyncio.sleep(pause)
        return await self._transport.handle_async_request(request())


@asynccontextmanager
async def connect(site: Site, limits: TimeLimits = _LIMITS) -> AsyncIterator[SiteConnection]:
    """Open a connection to a site: the system's trust store, the environment's proxy.

    Raises NetworkError where the environment names a proxy that cannot be used.
    """
    tls = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        proxy = _proxy_for(site, tls)
    except (ValueError, KeyError, httpx.InvalidURL):
        # Not chained, nor quoted: its address may hold a password.
        raise NetworkError(
            "The proxy that the environment names is no http or https address.", hint=_PROXY_HINT
        ) from None
    async with httpx.AsyncHTTPTransport(verify=tls, proxy=proxy) as transport:
        yield SiteConnection(site, transport, limits)


def _proxy_for(site: Site, tls: ssl.SSLContext) -> httpx.Proxy | None:
    if _is_loopback(site.host) or proxy_bypass(site.authority):
        return None
    proxies = getproxies()
    address = proxies.get("https") or proxies.get("all")
    if not address:
        return None
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if not parts.hostname or parts.port == 0:  # to look at a port beyond 65535 is a ValueError, too
        raise ValueError
    contexts = {"http": None, "https": tls}
    return httpx.Proxy(parts.geturl(), ssl_context=contexts[parts.scheme])


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3


async def _read(response: httpx.Response) -> bytes:
    """Read the body as it came, no further than shows that it is too large."""
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            break
    return body


def _malformed(status: int, what: str) -> MalformedResponse:
    return MalformedResponse(f"The site's answer (HTTP {status}) {what}.", status=status)


def _failure(authority: str, status: int | None, problem: Exception) -> NetworkError:
    """Say what went wrong; the status is None until an answer has begun.

    What was received is not quoted, as it may repeat what was sent.
    """
    timed_out = isinstance(problem, TimeoutError | httpx.TimeoutException)
    if status is not None:
        how = "did not end its answer in time" if timed_out else "broke its answer off"
        return NetworkError(f"{authority} {how} (HTTP {status}).")
    if isinstance(problem, httpx.ConnectTimeout):
        return NetworkError(f"{authority} could not be reached in time.")
    if timed_out:
        return NetworkError(f"{authority} did not answer in time.")
    if isinstance(problem, httpx.ReadError | httpx.RemoteProtocolError):
        return NetworkError(f"{authority} hung up, or its answer is not HTTP.")
    reason, hint = _reason(problem)
    return NetworkError(f"{authority} could not be reached: {reason}.", hint=hint)


def _reason(problem: Exception) -> tuple[str, str | None]:
    """Find what a person can act on in a chain of wrapped errors, and a hint where there is one."""
    for inner in _chain(problem):
        if isinstance(inner, ssl.SSLCertVerificationError):
            fault = _CERTIFICATE_FAULTS.get(inner.verify_code) or printable(inner.verify_message)
            return f"its certificate is not trusted: {fault}", _CERTIFICATE_HINT
        if isinstance(inner, ssl.SSLError):
            how = (inner.reason or "no reason given").replace("_", " ").lower()
            return f"no secure connection came about ({printable(how)})", None
        if isinstance(inner, httpx.ProxyError):
            return f"the proxy answered {printable(str(inner))}", _PROXY_HINT
        if isinstance(inner, OSError) and inner.errno:
            # asyncio words a refused connection its own way; those of name look-up are below zero.
            words = os.strerror(inner.errno) if inner.errno > 0 else inner.strerror
            return printable(str(words)), None
    return printable(str(problem)), None


def _chain(problem: BaseException) -> list[BaseException]:
    """List an error and what it wraps, the innermost first."""
    wrapped = problem.__cause__ or problem.__context__
    inner = getattr(problem, "exceptions", [wrapped])[0]  # of a group, the first speaks for all
    return [*(_chain(inner) if inner else []), problem]
