"""The token in what httpx sends, sync and async: an `auth` for its clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from soe_auth.oauth.bearer import authorization, was_refused
from soe_auth.python_api.token_provider import TokenProvider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from typing import Unpack

    from soe_auth.model.secret import Secret
    from soe_auth.oauth.bearer import Origin
    from soe_auth.python_api.token_provider import Options


class SoeAuth(httpx.Auth):
    """Has httpx send the profile's token to its own site, and to no other address.

    For `httpx.Client` and `httpx.AsyncClient`, of many threads and tasks. Each request asks the
    store; after a 401, it is sent again once if there is another token by then and its body is
    still there. No person is asked to log in unless `login` is True.

    Requests to the site raise LoginRequired if a person is needed, SettingsError, StoreError; with
    `login`, what `soe_auth.login` raises.
    """

    def __init__(self, profile: str | None = None, **options: Unpack[Options]) -> None:
        self._carrier = TokenProvider(profile, **options)

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request, and again if that may help. For httpx to call."""
        origin = _origin(request.url)
        token = self._carrier.token_for(origin)
        response = yield _carrying(token, request)
        if token and _worth_another(token, request, response):
            other = self._carrier.token_for(origin, token)
            if other:
                yield _carrying(other, request)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do as `sync_auth_flow`, on asyncio."""
        origin = _origin(request.url)
        token = await self._carrier.atoken_for(origin)
        response = yield _carrying(token, request)
        if token and _worth_another(token, request, response):
            other = await self._carrier.atoken_for(origin, token)
            if other:
                yield _carrying(other, request)


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.raw_host.decode("ascii"), url.port


def _carrying(token: Secret | None, request: httpx.Request) -> httpx.Request:
    if token:
        request.headers["Authorization"] = authorization(token)
    return request


def _worth_another(token: Secret, request: httpx.Request, response: httpx.Response) -> bool:
    """Whether the token was refused, and the request can be sent again: a stream is used up."""
    carried = response.request.headers.get("Authorization")
    is_whole = isinstance(request.stream, httpx.ByteStream)
    return is_whole and was_refused(token, response.status_code, carried)
