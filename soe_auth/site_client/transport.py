"""Send requests to a site, on httpx, and read the answers.

Requests go through httpx's transport, below its client: no redirect is followed, no cookie stored,
no netrc read, and no URL logged, because one of them holds the token.

Some tools print tracebacks with their local variables. So a frame that raises SoeAuthError binds no
name to a secret in clear text.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from soe_auth.errors import MalformedResponse
from soe_auth.oauth.api_call import SiteResponse
from soe_auth.site_client.failure import (
    explain_failure,
    refuses_certificate,
)
from soe_auth.site_client.proxy_lookup import proxy_for
from soe_auth.site_client.tls import ssl_context
from soe_auth.version import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from soe_auth.model.network import Network, Proxy
    from soe_auth.model.site import Site

_MAX_BODY = 64 * 1024 * 1024  # bytes; an error of an API may be a whole web page
_in_request: ContextVar[bool] = ContextVar("in_request", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """Time limits in seconds.

    `connect` is for opening a connection, `read` for each wait for bytes; `pauses` are the waits
    before further attempts to connect. The others are for one call as a whole.
    """

    connect: float = 10.0
    read: float = 20.0
    pauses: tuple[float, ...] = (0.3, 1.0)
    exchange: float = 30.0
    look_up: float = 3.0  # the user waits for the result page
    verification: float = 10.0
    revocation: float = 10.0
    api_call: float = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send; everything but the method may hold a secret."""

    method: str
    path: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SiteTransport:
    """The transport to one site; made by `open_transport`.

    A request is passed as a function that makes it, so that its secrets are in clear text only
    while it is sent.
    """

    site: Site
    limits: TimeLimits
    network: Network
    proxy: Proxy | None
    tls: ssl.SSLContext
    transport: httpx.AsyncBaseTransport

    async def warm_up(self) -> None:
        """Load the modules that httpx needs for its first connection, which takes 14 ms.

        It connects to port 0, which no server has; no name server and no site is contacted.
        """
        limit = {"timeout": {"connect": 0.1}}
        request = httpx.Request("GET", "http://127.0.0.1:0", extensions=limit)
        with _unlogged(), suppress(httpx.TransportError):
            async with httpx.AsyncHTTPTransport(verify=self.tls) as transport:
                await transport.handle_async_request(request)

    async def send(
        self, make: Callable[[], Request], *, time_limit: float, max_body: int | None = _MAX_BODY
    ) -> SiteResponse:
        """Send a request once; return the answer, whatever its status.

        `time_limit` is in seconds; without `max_body`, only the head is read. Raises NetworkError;
        MalformedResponse if the body cannot be decompressed, or has more than `max_body` bytes.
        """
        status = None
        try:
            with _unlogged():
                async with asyncio.timeout(time_limit):
                    response = await self._open(make)
                    status = response.status_code
                    try:
                        answer = await _read_answer(response, max_body)
                    finally:
                        await response.aclose()
        except (TimeoutError, httpx.TransportError, httpx.InvalidURL) as problem:
            has_bundle = self.network.ca_bundle is not None
            error = explain_failure(
                problem, status, self.site.authority, proxy=self.proxy, has_bundle=has_bundle
            )
        else:
            if isinstance(answer, MalformedResponse):
                raise answer
            return answer
        # Outside the except block, so that the error has no context, which would hold the
        # request and its secrets.
        raise error

    async def _open(self, make: Callable[[], Request]) -> httpx.Response:
        """Send the request and wait for the head of the answer.

        Only a connection that failed is retried, as nothing was sent then: a code must not be used
        twice (RFC 6749 section 4.1.2). A retry cannot help if a certificate is not trusted,
        or after a time-out, as TCP has retried.
        """
        for pause in self.limits.pauses:
            try:
                return await self.transport.handle_async_request(self._complete(make()))
            except httpx.ConnectError as problem:
                if refuses_certificate(problem):
                    raise
            await asyncio.sleep(pause)
        return await self.transport.handle_async_request(self._complete(make()))

    def _complete(self, request: Request) -> httpx.Request:
        connect, read = self.limits.connect, self.limits.read
        timeouts = {"connect": connect, "read": read, "write": read, "pool": connect}
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
            extensions={"timeout": timeouts},
        )


@asynccontextmanager
async def open_transport(
    site: Site, limits: TimeLimits, network: Network
) -> AsyncIterator[SiteTransport]:
    """Open the transport to a site, with the proxy and the CAs of `network` or of the system.

    Raises SettingsError if `ca_bundle` cannot be used, NetworkError if the environment's proxy
    is invalid.
    """
    tls, proxy = ssl_context(network), proxy_for(site, network)
    transport = httpx.AsyncHTTPTransport(verify=tls, proxy=_httpx_proxy(proxy, tls))
    try:
        yield SiteTransport(site, limits, network, proxy, tls, transport)
    finally:
        with _unlogged():
            await transport.aclose()


@contextmanager
def _unlogged() -> Iterator[None]:
    """Drop the log records of httpcore inside the block, at any level, and no others.

    At DEBUG it logs the head of an answer, in which a site may repeat the path of a request, and
    lines that are not HTTP.
    """
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        if name.startswith("httpcore.") and _is_outside not in logger.filters:
            logger.filters.insert(0, _is_outside)  # before one that may write the record
    before = _in_request.set(True)
    try:
        yield
    finally:
        _in_request.reset(before)


def _is_outside(_record: logging.LogRecord) -> bool:
    return not _in_request.get()


def _httpx_proxy(proxy: Proxy | None, tls: ssl.SSLContext) -> httpx.Proxy | None:
    if proxy is None:
        return None
    secret = proxy.authorization
    return httpx.Proxy(
        str(proxy),
        ssl_context=tls if proxy.scheme == "https" else None,
        headers={"Proxy-Authorization": secret.reveal()} if secret else None,
    )


async def _read_answer(
    response: httpx.Response, max_body: int | None
) -> SiteResponse | MalformedResponse:
    """Read an answer up to the size limit, and decompress it; without a limit, read its head.

    An error is returned and not raised, because the body is in this frame.
    """
    status, headers = response.status_code, response.headers.multi_items()
    if max_body is None:
        return SiteResponse(status, headers, b"")
    raw, problem = bytearray(), ""
    async for chunk in response.aiter_raw():
        raw += chunk
        if len(raw) > max_body:
            break
    body = bytes(raw)
    # API v2.3 compresses every answer, whatever was requested.
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if len(body) <= max_body and encoding in {"gzip", "x-gzip", "deflate"}:
        try:
            body = _decompress(body, max_body)
        except zlib.error:
            problem = "cannot be decompressed"
    elif encoding not in {"", "identity"}:
        problem = "has an unknown compression"
    if len(body) > max_body:
        problem = "is too large"
    if problem:
        return MalformedResponse(f"The site's answer (HTTP {status}) {problem}.", status=status)
    return SiteResponse(status, headers, body)


def _decompress(body: bytes, limit: int) -> bytes:
    """Decompress gzip or deflate (RFC 9110 section 8.4.1), to one byte more than the limit at most.

    Raises zlib.error, also for a body that ends too soon.
    """
    if not body:  # an answer without content
        return body
    try:
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its header
        decoded = decoder.decompress(body, limit + 1)
    except zlib.error:  # some servers send deflate without zlib's header
        decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        decoded = decoder.decompress(body, limit + 1)
    if not decoder.eof and len(decoded) <= limit:
        raise zlib.error
    return decoded
