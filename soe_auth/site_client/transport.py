"""The wire to a site, on httpx: a request goes out, and an answer comes back.

Requests go through httpx's transport, below its client: so no redirect is followed, no cookie
kept, no netrc read, and no address is logged, in one of which the token has to ride.

Some tools print tracebacks with their local variables. So what holds a secret in clear is made in
a frame that raises no SoeAuthError, and never bound to a name in one that does.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
import zlib
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import httpx

from soe_auth.errors import MalformedResponse, NetworkError
from soe_auth.oauth.api_call import ApiResponse
from soe_auth.oauth.token_endpoint import TokenResponse
from soe_auth.site_client.certificate_issuer import issuer_in, issuer_of
from soe_auth.site_client.failure import failure_of, refuses_certificate
from soe_auth.site_client.proxy_lookup import proxy_for
from soe_auth.site_client.tls import ssl_context
from soe_auth.version import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from soe_auth.model.network import Network, Proxy
    from soe_auth.model.site import Site
    from soe_auth.site_client.failure import Failure

_Read = TypeVar("_Read")

_is_ours: ContextVar[bool] = ContextVar("is_ours", default=False)

_LARGEST_ANSWER = 64 * 1024
_LARGEST_API_ANSWER = 64 * 1024 * 1024
_AT_ONCE = {"timeout": {"connect": 0.1}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long the wire may take, in seconds.

    `connect` is for opening a connection, `read` for each wait for more bytes; `pauses` lie between
    the tries to open one.
    """

    connect: float = 10.0
    read: float = 20.0
    pauses: tuple[float, ...] = (0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent; all of it but the method may hold a secret."""

    method: str
    path: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What the head of an answer showed: its status, whether JSON comes, and where it leads to.

    `date` is the site's own as it was sent, `issuer` who signed its certificate, where that is
    known.
    """

    status: int
    is_json: bool
    location: str
    date: str | None
    issuer: str | None

    @property
    def requires_token(self) -> bool:
        """Whether it turns away who asks without a token."""
        return self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


@dataclass(frozen=True, slots=True)
class SiteTransport:
    """The wire to one site, and what it was made of; made by `open_transport`.

    A request is given as a function that writes it, so that it is in clear only while it is sent.
    """

    site: Site
    waits: Timeouts
    network: Network
    proxy: Proxy | None
    tls: ssl.SSLContext
    transport: httpx.AsyncBaseTransport

    async def warm_up(self) -> None:
        """Try to connect to port 0, where nothing listens, so that all of httpx is loaded.

        What httpx loads at its first connection takes 14 ms: it is better that they come while the
        user is away. No port has the number 0, so no server is asked for anything, no name server
        either, and the site hears nothing of it.
        """
        codecs.lookup("utf-8-sig")  # in which its answers are read
        nowhere = httpx.Request("GET", "http://127.0.0.1:0", extensions=_AT_ONCE)
        with _unlogged(), suppress(httpx.TransportError):
            async with httpx.AsyncHTTPTransport(verify=self.tls) as transport:
                await transport.handle_async_request(nowhere)

    async def send(self, write: Callable[[], Request], *, within: float) -> TokenResponse:
        """Send a request once, and return what comes back, whatever it is.

        Raises NetworkError, and MalformedResponse for an answer that cannot be decompressed or has
        more than 64 KiB.
        """
        answer = await self._receive(write, _whole, within)
        if isinstance(answer, MalformedResponse):
            raise answer
        return answer

    async def call(self, write: Callable[[], Request], *, within: float) -> ApiResponse:
        """Send a call of the API, as `send`, and return what comes back, of 64 MiB at most."""
        answer = await self._receive(write, _api_response, within)
        if isinstance(answer, MalformedResponse):
            raise answer
        return answer

    async def fetch_head(self, path: str, *, within: float) -> ResponseHead:
        """Get a path without any token and look at the head of the answer. Raises NetworkError."""
        return await self._receive(lambda: Request("GET", path), _head, within)

    async def _receive(
        self,
        write: Callable[[], Request],
        read: Callable[[httpx.Response], Awaitable[_Read]],
        within: float,
    ) -> _Read:
        """Send a request, and return what is read of the answer. Raises NetworkError."""
        status = None
        try:
            with _unlogged():
                async with asyncio.timeout(within):
                    response = await self._open(write)
                    status = response.status_code
                    try:
                        return await read(response)
                    finally:
                        await response.aclose()
        except (TimeoutError, httpx.TransportError, httpx.InvalidURL) as problem:
            failure = failure_of(problem, status, self.site.authority, self.proxy)
        # Out here nothing hangs on the cause: it holds the request, and the request holds secrets.
        raise await self._error(failure)

    async def _open(self, write: Callable[[], Request]) -> httpx.Response:
        """Send the request and await the head of the answer.

        It is tried again only where no connection came about, so that nothing can have been sent:
        a code must not be used twice, and a site may end the token of one that is (RFC 6749
        section 4.1.2). A certificate that was refused is refused for good; a connection that took
        all its time has been tried again by TCP.
        """
        for pause in self.waits.pauses:
            try:
                return await self.transport.handle_async_request(self._in_full(write()))
            except httpx.ConnectError as problem:
                if refuses_certificate(problem):
                    raise
            await asyncio.sleep(pause)
        return await self.transport.handle_async_request(self._in_full(write()))

    def _in_full(self, request: Request) -> httpx.Request:
        connect, read = self.waits.connect, self.waits.read
        headers = httpx.Headers(
            {
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"soe-auth/{__version__}",
            }
        )
        headers.update(request.headers)
        return httpx.Request(
            request.method,
            f"{self.site}{request.path}",
            headers=headers,
            content=request.content,
            extensions={
                "timeout": {"connect": connect, "read": read, "write": read, "pool": connect}
            },
        )

    async def _error(self, failure: Failure) -> NetworkError:
        """Return the error to raise, after a look at who issued the certificate, if it asks so."""
        says = failure.says
        if failure.issuer:
            issuer = await issuer_of(
                self.site.host, self.site.connect_port, proxy=self.proxy, tls=self.tls
            )
            bundle = self.network.ca_bundle
            which = "is not in ca_bundle" if bundle else "this machine does not know"
            if issuer:
                says = f"{says}: it was issued by “{issuer}”, which {which}"
            else:
                says = f"{says}: it comes from an authority that {which}"
        return NetworkError(f"{says}.", hint=failure.hint)


@asynccontextmanager
async def open_transport(
    site: Site, waits: Timeouts, network: Network
) -> AsyncIterator[SiteTransport]:
    """Open the wire to a site, in the way that the settings say, or else the system's own.

    Raises SettingsError where `ca_bundle` cannot be used, NetworkError where the environment names
    a proxy that cannot be.
    """
    tls, proxy = ssl_context(network), proxy_for(site, network)
    through = _for_httpx(proxy, tls) if proxy else None
    transport = httpx.AsyncHTTPTransport(verify=tls, proxy=through)
    try:
        yield SiteTransport(site, waits, network, proxy, tls, transport)
    finally:
        with _unlogged():
            await transport.aclose()


@contextmanager
def _unlogged() -> Iterator[None]:
    """Drop what httpcore logs within, whatever levels the program has set, and no other record.

    At DEBUG it logs the head of an answer, in which a site may repeat the path of a request, and
    the line that is no HTTP.
    """
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        if name.startswith("httpcore.") and _is_not_ours not in logger.filters:
            logger.filters.insert(0, _is_not_ours)  # before one that may write the record down
    before = _is_ours.set(True)
    try:
        yield
    finally:
        _is_ours.reset(before)


def _is_not_ours(_record: logging.LogRecord) -> bool:
    return not _is_ours.get()


def _for_httpx(proxy: Proxy, tls: ssl.SSLContext) -> httpx.Proxy:
    sealed = proxy.authorization
    return httpx.Proxy(
        str(proxy),
        ssl_context=tls if proxy.scheme == "https" else None,
        headers={"Proxy-Authorization": sealed.reveal()} if sealed else None,
    )


async def _whole(response: httpx.Response) -> TokenResponse | MalformedResponse:
    """Read an answer to the exchange, or to a question about a token.

    An error is returned and not raised, since the body is in this frame.
    """
    body = await _body(response, _LARGEST_ANSWER)
    return (
        body if isinstance(body, MalformedResponse) else TokenResponse(response.status_code, body)
    )


async def _api_response(response: httpx.Response) -> ApiResponse | MalformedResponse:
    """Read an answer of the API, as `_whole`."""
    body = await _body(response, _LARGEST_API_ANSWER)
    if isinstance(body, MalformedResponse):
        return body
    return ApiResponse(response.status_code, response.headers.multi_items(), body)


async def _body(response: httpx.Response, largest: int) -> bytes | MalformedResponse:
    """Read a body, no further than shows that it is too large, and decompress it."""
    status, parts, size = response.status_code, [], 0
    async for chunk in response.aiter_raw():
        parts.append(chunk)
        size += len(chunk)
        if size > largest:
            return _malformed(status, "is larger than an answer can be")
    body = b"".join(parts)
    # API v2.3 compresses every answer, whatever is asked for.
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding in {"gzip", "x-gzip", "deflate"}:
        try:
            body = _decompress(body, largest)
        except zlib.error:
            return _malformed(status, "cannot be decompressed")
    elif encoding not in {"", "identity"}:
        return _malformed(status, "is compressed in a way that was not asked for")
    return _malformed(status, "is larger than an answer can be") if len(body) > largest else body


def _decompress(body: bytes, largest: int) -> bytes:
    """Decompress gzip or deflate (RFC 9110 section 8.4.1), a byte beyond the limit at most.

    Raises zlib.error, also for a body that ends too soon.
    """
    if not body:  # as of an answer without content
        return body
    try:
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its header
        decoded = decoder.decompress(body, largest + 1)
    except zlib.error:  # some servers send deflate without zlib's header
        decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        decoded = decoder.decompress(body, largest + 1)
    if not decoder.eof and len(decoded) <= largest:
        raise zlib.error
    return decoded


def _malformed(status: int, what: str) -> MalformedResponse:
    return MalformedResponse(f"The site's answer (HTTP {status}) {what}.", status=status)


async def _head(response: httpx.Response) -> ResponseHead:
    headers = response.headers
    return ResponseHead(
        response.status_code,
        "json" in headers.get("Content-Type", ""),
        headers.get("Location", ""),
        headers.get("Date"),
        _issuer(response),
    )


def _issuer(response: httpx.Response) -> str | None:
    stream = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream else None
    return issuer_in(tls) if tls else None
