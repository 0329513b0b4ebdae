"""The site's own endpoints, on httpx: the token endpoint, and the few calls to its API.

Requests go through httpx's transport, below its client: so no redirect is followed, no cookie
kept, no netrc read, and no address is logged, in one of which the token has to ride.

Some tools print tracebacks with their local variables. So what holds a secret in clear is made in
a frame that raises nothing of ours, and never bound to a name in one that does.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from soe_auth.errors import MalformedResponse, NetworkError, SoeAuthError
from soe_auth.issuer import issuer_in, issuer_of
from soe_auth.network import Network
from soe_auth.redeem import Answer
from soe_auth.route import PROXY_HINT, proxy_for, trust
from soe_auth.text import printable
from soe_auth.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from soe_auth.network import Proxy
    from soe_auth.secret import Secret
    from soe_auth.site import Site

_LARGEST_ANSWER = 64 * 1024

# X509_V_ERR_… of OpenSSL's x509_vfy.h; the certificate stores of other systems say it in words.
_CERTIFICATE_FAULTS = {
    9: "it is not valid yet, by this machine's clock",
    10: "it has expired, by this machine's clock",
    18: "it is signed by itself",
    62: "it is for another name",
    64: "it is for another address",
}
# OpenSSL's two, CERT_E_UNTRUSTEDROOT and CERT_E_CHAINING of Windows, errSecNotTrusted of macOS.
_UNKNOWN_AUTHORITY = {19, 20, 0x800B0109, 0x800B010A, -67843}
_CERTIFICATE_HINT = (
    "Nothing was sent. If your company looks into TLS, put its own CA into the system's trust"
    " store, or into a file that ca_bundle or SSL_CERT_FILE names."
)
_LOGIN_WANTED = (
    "It wants a user and a password: http://USER:PASSWORD@HOST:PORT, in the setting proxy or in"
    " HTTPS_PROXY."
)
_LOGIN_REFUSED = "It did not take the user and password in its address; a / in them is written %2F."


class Standing(Enum):
    """What the site said when asked whether a token is good."""

    GOOD = "good"
    NO_LONGER_GOOD = "no longer good"
    UNCLEAR = "no answer that can be read"
    UNREACHABLE = "not reachable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A token's standing at its site: whose it is if it is good, else in `reason` what came."""

    standing: Standing
    account: str | None = None
    reason: str = ""

    @property
    def is_good(self) -> bool | None:
        """Whether the token is good; None where the site did not say."""
        return {Standing.GOOD: True, Standing.NO_LONGER_GOOD: False}.get(self.standing)


class Ending(Enum):
    """What the site said when asked to end a token."""

    ENDED = "ended"
    ALREADY_INVALID = "already invalid"
    NOT_OFFERED = "not offered by this site"
    UNREACHABLE = "site not reachable"


@dataclass(frozen=True, slots=True)
class Glance:
    """What the head of an answer showed: its status, whether JSON comes, and where it leads to.

    `date` is the site's own as it was sent, `issuer` who signed its certificate, where that is
    known.
    """

    status: int
    is_json: bool
    location: str
    date: str | None
    issuer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """How long the site may take, in seconds.

    `connect` is for opening a connection, `read` for each wait for more bytes, `pauses` lie between
    the tries to open one; `exchange`, `look_up`, `verification` and `invalidation` each are for a
    call as a whole.
    """

    connect: float = 10.0
    read: float = 20.0
    pauses: tuple[float, ...] = (0.3, 1.0)
    exchange: float = 30.0
    look_up: float = 3.0  # a person is waiting for the page
    verification: float = 10.0
    invalidation: float = 10.0


_LIMITS = TimeLimits()
_SYSTEM = Network()
_USUAL_PORT = 443
_AT_ONCE = {"timeout": {"connect": 0.1}}  # where localhost has to be looked for elsewhere


@dataclass(frozen=True, slots=True)
class _Way:
    """The way to a site: its transport, and what that was made of."""

    network: Network
    proxy: Proxy | None
    tls: ssl.SSLContext
    transport: httpx.AsyncBaseTransport


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there was no answer, and what to do; `issuer` asks for the certificate's to be named."""

    says: str
    hint: str | None = None
    issuer: bool = False


class SiteConnection:
    """Calls to one site; made by `connect`."""

    def __init__(self, site: Site, way: _Way, limits: TimeLimits) -> None:
        self._site = site
        self._way = way
        self._limits = limits

    async def rehearse(self) -> None:
        """Try to connect to where nobody can be, so that the first call finds all of httpx loaded.

        What httpx loads at its first connection, and the thread that looks names up, take 14 ms: it
        is better that they come while the person is away. No port has the number 0, so nobody is
        asked for anything, and the site hears nothing of it.
        """
        codecs.lookup("utf-8-sig")  # in which its answers are read
        nowhere = httpx.Request("GET", "http://localhost:0", extensions=_AT_ONCE)
        async with httpx.AsyncHTTPTransport(verify=self._way.tls) as transport:
            with suppress(httpx.TransportError):
                await transport.handle_async_request(nowhere)

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
        """Ask whose token it is; None where the site does not tell, or not in time."""
        return (await self._introduction(access_token, self._limits.look_up)).account

    async def verify(self, access_token: Secret) -> Verdict:
        """Ask whether a token is good, and whose it is."""
        return await self._introduction(access_token, self._limits.verification)

    async def _introduction(self, access_token: Secret, within: float) -> Verdict:
        """Ask API v3 who we are, by this token."""
        try:
            answer = await self._send(
                lambda: self._request(
                    "GET",
                    "/api/v3/users/me",
                    {"Authorization": f"Bearer {access_token.reveal()}"},
                ),
                within=within,
            )
        except NetworkError as problem:
            return Verdict(Standing.UNREACHABLE, reason=str(problem))
        except SoeAuthError as problem:
            return Verdict(Standing.UNCLEAR, reason=str(problem))
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return Verdict(Standing.NO_LONGER_GOOD)
        name = _name_in(answer)
        if name is None:
            reason = f"{self._site.authority} answered without a name (HTTP {answer.status})."
            return Verdict(Standing.UNCLEAR, reason=reason)
        return Verdict(Standing.GOOD, printable(name, 80) or None)

    async def invalidate(self, access_token: Secret, *, within: float | None = None) -> Ending:
        """Ask API v2.3 to end the token (public Stack Exchange API; SOE may not offer it).

        The token rides in the path of the call, as that API wants it. `within` is in seconds, for
        who cannot wait for as long as the limits have it.
        """
        try:
            answer = await self._send(
                lambda: self._request(
                    "GET",
                    f"/api/2.3/access-tokens/{quote(access_token.reveal(), safe='')}/invalidate",
                ),
                within=within or self._limits.invalidation,
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

    async def glance(self, path: str) -> Glance:
        """Get a path without any token and look at the head of the answer. Raises NetworkError."""
        try:
            async with asyncio.timeout(self._limits.look_up):
                response = await self._open(lambda: self._request("GET", path))
                issuer = _issuer(response)
                await response.aclose()
        except (TimeoutError, httpx.TransportError, httpx.InvalidURL) as problem:
            failure = self._failure(None, problem)
        else:
            return Glance(
                response.status_code,
                "json" in response.headers.get("Content-Type", ""),
                response.headers.get("Location", ""),
                response.headers.get("Date"),
                issuer,
            )
        raise await self._error(failure)

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
            failure = self._failure(status, problem)
        else:
            if response.headers.get("Content-Encoding", "") not in {"", "identity"}:
                raise _malformed(status, "is compressed, which was not asked for")
            if len(answer.body) > _LARGEST_ANSWER:
                raise _malformed(status, "is larger than an answer can be")
            return answer
        # Out here nothing hangs on the cause: it holds the request, and the request holds secrets.
        raise await self._error(failure)

    async def _open(self, request: Callable[[], httpx.Request]) -> httpx.Response:
        """Send the request and await the head of the answer.

        It is tried again only where no connection came about, so that nothing can have been sent:
        a code must not be used twice, and a site may end the token of one that is (RFC 6749
        section 4.1.2). A certificate that was refused is refused for good; a connection that took
        all its time has been tried again by TCP.
        """
        for pause in self._limits.pauses:
            try:
                return await self._way.transport.handle_async_request(request())
            except httpx.ConnectError as problem:
                if any(isinstance(e, ssl.SSLCertVerificationError) for e in _chain(problem)):
                    raise
            await asyncio.sleep(pause)
        return await self._way.transport.handle_async_request(request())

    def _failure(self, status: int | None, problem: Exception) -> _Failure:
        """Say what went wrong; the status is None until an answer has begun.

        What was received is not quoted, as it may repeat what was sent.
        """
        authority, proxy = self._site.authority, self._way.proxy
        timed_out = isinstance(problem, TimeoutError | httpx.TimeoutException)
        if status is not None:
            if timed_out:
                return _Failure(f"{authority} did not end its answer in time (HTTP {status})")
            return _Failure(f"{authority} broke its answer off (HTTP {status})")
        unreached = f"{authority} could not be reached"
        if proxy:
            unreached = f"{authority} could not be reached through the proxy {proxy}"
        if isinstance(problem, httpx.ConnectTimeout):
            return _Failure(f"{unreached} in time", PROXY_HINT if proxy else None)
        if timed_out:
            return _Failure(f"{authority} did not answer in time")
        if isinstance(problem, httpx.ReadError | httpx.RemoteProtocolError):
            return _Failure(f"{authority} hung up, or its answer is not HTTP")
        reason = _reason(problem, proxy)
        return replace(reason, says=f"{unreached}: {reason.says}")

    async def _error(self, failure: _Failure) -> NetworkError:
        """Return the error to raise, after a look at who issued the certificate, if it asks so."""
        way, says = self._way, failure.says
        if failure.issuer:
            port = self._site.port or _USUAL_PORT
            issuer = await issuer_of(self._site.host, port, proxy=way.proxy, tls=way.tls)
            which = "is not in ca_bundle" if way.network.ca_bundle else "this machine does not know"
            if issuer:
                says = f"{says}: it was issued by “{issuer}”, which {which}"
            else:
                says = f"{says}: it comes from an authority that {which}"
        return NetworkError(f"{says}.", hint=failure.hint)


@asynccontextmanager
async def connect(
    site: Site, limits: TimeLimits = _LIMITS, *, network: Network = _SYSTEM
) -> AsyncIterator[SiteConnection]:
    """Open a connection to a site, in the way that the settings say, or else the system's own.

    Raises SettingsError where `ca_bundle` cannot be used, NetworkError where the environment names
    a proxy that cannot be.
    """
    tls, proxy = trust(network), proxy_for(site, network)
    through = _for_httpx(proxy, tls) if proxy else None
    async with httpx.AsyncHTTPTransport(verify=tls, proxy=through) as transport:
        yield SiteConnection(site, _Way(network, proxy, tls, transport), limits)


def _for_httpx(proxy: Proxy, tls: ssl.SSLContext) -> httpx.Proxy:
    sealed = proxy.authorization
    return httpx.Proxy(
        str(proxy),
        ssl_context=tls if proxy.scheme == "https" else None,
        headers={"Proxy-Authorization": sealed.reveal()} if sealed else None,
    )


def _issuer(response: httpx.Response) -> str | None:
    stream = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream else None
    return issuer_in(tls) if tls else None


async def _read(response: httpx.Response) -> bytes:
    """Read the body as it came, no further than shows that it is too large."""
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            break
    return body


def _name_in(answer: Answer) -> str | None:
    try:
        name = json.loads(answer.body)["name"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return name if answer.status == HTTPStatus.OK and isinstance(name, str) else None


def _malformed(status: int, what: str) -> MalformedResponse:
    return MalformedResponse(f"The site's answer (HTTP {status}) {what}.", status=status)


def _reason(problem: Exception, proxy: Proxy | None) -> _Failure:
    """Find what a person can act on in a chain of wrapped errors, and a hint where there is one."""
    for inner in _chain(problem):
        if isinstance(inner, ssl.SSLCertVerificationError):
            says = "its certificate is not trusted"
            if inner.verify_code in _UNKNOWN_AUTHORITY:
                return _Failure(says, _CERTIFICATE_HINT, issuer=True)
            fault = _CERTIFICATE_FAULTS.get(inner.verify_code) or printable(inner.verify_message)
            return _Failure(f"{says}: {fault}", _CERTIFICATE_HINT)
        if isinstance(inner, ssl.SSLError):
            how = (inner.reason or "no reason given").replace("_", " ").lower()
            return _Failure(f"no secure connection came about ({printable(how)})")
        if isinstance(inner, httpx.ProxyError):
            return _Failure(f"it answered {printable(str(inner))}", _proxy_hint(str(inner), proxy))
        if isinstance(inner, OSError) and inner.errno:
            # asyncio words a refused connection its own way; those of name look-up are below zero.
            words = os.strerror(inner.errno) if inner.errno > 0 else inner.strerror
            return _Failure(printable(str(words)), PROXY_HINT if proxy else None)
    return _Failure(printable(str(problem)))


def _proxy_hint(answer: str, proxy: Proxy | None) -> str:
    if not answer.startswith(str(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value)):
        return PROXY_HINT
    return _LOGIN_REFUSED if proxy and proxy.authorization else _LOGIN_WANTED


def _chain(problem: BaseException) -> list[BaseException]:
    """List an error and what it wraps, the innermost first."""
    wrapped = problem.__cause__ or problem.__context__
    inner = getattr(problem, "exceptions", [wrapped])[0]  # of a group, the first speaks for all
    return [*(_chain(inner) if inner else []), problem]
