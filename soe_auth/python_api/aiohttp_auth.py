"""The token in what aiohttp sends: a middleware for its client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.oauth.bearer import authorization, was_refused
from soe_auth.python_api.token_provider import TokenProvider

if TYPE_CHECKING:
    from typing import Unpack

    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from soe_auth.python_api.token_provider import Options


class AiohttpAuth:
    """Has aiohttp send the profile's token to its own site, as `SoeAuth` does for httpx.

    It is a client middleware: `aiohttp.ClientSession(middlewares=[AiohttpAuth()])`.
    """

    def __init__(self, profile: str | None = None, **options: Unpack[Options]) -> None:
        self._provider = TokenProvider(profile, **options)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send the request, and again if that may help. For aiohttp to call, for each redirect."""
        url = request.url
        origin = url.scheme, url.raw_host, url.port
        token = await self._provider.atoken_for(origin)
        if token is None:
            return await handler(request)
        request.headers["Authorization"] = authorization(token)
        response = await handler(request)
        if not was_refused(token, response.status, request.headers.get("Authorization")):
            return response
        if not isinstance(request.body, bytes) and request.body.consumed:  # a stream, used up
            return response
        try:
            other = await self._provider.atoken_for(origin, token)
        except BaseException:
            response.close()
            raise
        if other is None:
            return response
        response.release()
        request.headers["Authorization"] = authorization(other)
        return await handler(request)
