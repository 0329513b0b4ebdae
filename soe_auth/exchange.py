"""The site's own endpoints, on httpx: the token endpoint, and the few calls to its API.

Requests go through httpx's transport, below its client: so no redirect is followed, no cookie
kept, no netrc read, and no address is logged, in one of which the token has to ride.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from urllib.request import getproxies, proxy_bypass

import httpx
import truststore

from soe_auth.errors import MalformedResponse, NetworkError, SoeAuthError
from soe_auth.text import printable
from soe_auth.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from soe_auth.secret import Secret
    from soe_auth.site import Site

_LARGEST_ANSWER = 64 * 1024
_TIMEOUTS = {"connect": 10.0, "read": 20.0, "write": 10.0, "pool": 10.0}
_WHOLE_EXCHANGE = 30.0
_WHOLE_LOOK_UP = 3.0  # a person is waiting for the page
_WHOLE_INVALIDATION = 10.0


class Ending(Enum):
    """What the site said when asked to end a token."""

    ENDED = "ended"
    ALREADY_INVALID = "already invalid"
    NOT_OFFERED = "not offered by this site"
    UNREACHABLE = "site not reachable"


class SiteConnection:
    """Calls to one site; made by `connect`."""

    def __init__(self, site: Site, transport: httpx.AsyncBaseTransport) -> None:
        self._site = site
        self._transport = transport

    async def exchange(self, form: Mapping[str, str]) -> tuple[int, bytes]:
        """Post the form to the token endpoint, once; return HTTP status and body.

        Raises NetworkError, and MalformedResponse for an answer of more than 64 KiB.
        """
        return await self._send(
            "POST",
            "/oauth/access_token/json",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            content=urlencode(form).encode("ascii"),
            within=_WHOLE_EXCHANGE,
        )

    async def account_name(self, access_token: Secret) -> str | None:
        """Ask API v3 whose token it is; None where it does not tell within three seconds."""
        try:
            status, body = await self._send(
                "GET",
                "/api/v3/users/me",
                headers={"Authorization": f"Bearer {access_token.reveal()}"},
                within=_WHOLE_LOOK_UP,
            )
            name = json.loads(body)["name"]
        except (SoeAuthError, ValueError, LookupError, TypeError, RecursionError):
            return None
        if status == HTTPStatus.OK and isinstance(name, str):
            return printable(name, 80) or None
        return None

    async def invalidate(self, access_token: Secret) -> Ending:
        """Ask API v2.3 to end the token (public Stack Exchange API; SOE may not offer it).

        The token rides in the path of the call, as that API wants it.
        """
        path = f"/api/2.3/access-tokens/{quote(access_token.reveal(), safe='')}/invalidate"
        try:
            status, body = await self._send("GET", path, within=_WHOLE_INVALIDATION)
            if status == HTTPStatus.UNAUTHORIZED:
                return Ending.ALREADY_INVALID
            ended = json.loads(body)["items"]
        except NetworkError:
            return Ending.UNREACHABLE
        except (SoeAuthError, ValueError, LookupError, TypeError, RecursionError):
            return Ending.NOT_OFFERED
        if status != HTTPStatus.OK or not isinstance(ended, list):
            return Ending.NOT_OFFERED
        return Ending.ENDED if ended else Ending.ALREADY_INVALID

    async def _send(
        self,
        method: str,
        path: str,
        *,
        within: float,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> tuple[int, bytes]:
        request = httpx.Request(
            method,
            f"{self._site}{path}",
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"soe-auth/{__version__}",
                **(headers or {}),
            },
            content=content,
            extensions={"timeout": _TIMEOUTS},
        )
        try:
            async with asyncio.timeout(within):
                response = await self._transport.handle_async_request(request)
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise NetworkError(f"{self._site.authority} did not answer in time.") from None
        except httpx.TransportError as problem:
            # Not chained: the cause holds the request, and the request holds secrets.
            raise NetworkError(
                f"{self._site.authority} could not be reached: {_reason(problem)}."
            ) from None
        return response.status_code, body


@asynccontextmanager
async def connect(site: Site) -> AsyncIterator[SiteConnection]:
    """Open a connection to a site: the system's trust store, the environment's proxy."""
    loopback = site.scheme == "http"
    async with httpx.AsyncHTTPTransport(
        verify=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        proxy=None if loopback else _proxy_for(site),
    ) as transport:
        yield SiteConnection(site, transport)


def _proxy_for(site: Site) -> str | None:
    if proxy_bypass(site.authority):
        return None
    proxies = getproxies()
    return proxies.get("https") or proxies.get("all")


async def _read(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise MalformedResponse(
                f"The site's answer (HTTP {response.status_code}) is larger than an answer can be.",
                status=response.status_code,
            )
    return body


def _reason(problem: BaseException) -> str:
    """Find what a person can act on in a chain of wrapped errors, the innermost first."""
    chain = [problem]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    for inner in reversed(chain):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({printable(inner.verify_message)})"
        if isinstance(inner, OSError) and inner.strerror:
            return printable(inner.strerror)
    return printable(str(problem)) or type(problem).__name__
