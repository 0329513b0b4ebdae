"""Send the token with the requests of an HTTP client: aiohttp, requests, httpx or httpx2.

No token is cached: each request reads the store, so a login or logout of another process applies at
once. None of the libraries is loaded here.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar
from urllib.parse import urlsplit

from soe_auth.actions.get_token import (
    from_environment,
    from_store,
    site_of_environment,
)
from soe_auth.actions.login_if_needed import alogin_if_needed, login_if_needed
from soe_auth.actions.project_consent import require_consent
from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.oauth.bearer import authorization, belongs_to, is_fresh, was_refused
from soe_auth.python_api import functions
from soe_auth.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import Unpack

    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
    from requests import PreparedRequest, Response

    from soe_auth.actions.login_io import LoginIO
    from soe_auth.model.secret import Secret
    from soe_auth.oauth.bearer import Origin
    from soe_auth.storage import Store


class Options(TypedDict, total=False):
    """The options of an auth class, with the same meaning as for `soe_auth.login`.

    With `login`, a user logs in if that is needed, once for all requests at that time.
    """

    min_ttl: float | None
    login: bool
    store: Store | None
    browser: Callable[[str], bool] | None
    announce: Callable[[str], None] | None


@dataclass(frozen=True, slots=True)
class TokenProvider:
    """Provides the token of a profile to requests to its site, in any thread or task."""

    profile: str | None = None
    min_ttl: float | None = None
    login: bool = False
    store: Store | None = None
    browser: Callable[[str], bool] | None = None
    announce: Callable[[str], None] | None = None

    def token_for(self, origin: Origin, refused: Secret | None = None) -> Secret | None:
        """Return the token for a request to this origin; None if it must not have one.

        After a 401, `refused` is the token that was sent; None means that there is no other.
        Raises LoginRequired if a user has to log in, SettingsError, StoreError; with `login`, what
        a login raises.
        """
        found = self._find(origin, refused)
        if isinstance(found, Settings):
            return login_if_needed(found, self._login_io(found), refused=refused).access_token
        return found

    async def atoken_for(self, origin: Origin, refused: Secret | None = None) -> Secret | None:
        """Return the token as `token_for` does, without blocking the asyncio loop."""
        functions.require_asyncio("An async client with a token of soe-auth")
        import asyncio

        found = await asyncio.to_thread(self._find, origin, refused)
        if isinstance(found, Settings):
            io = self._login_io(found)
            return (await alogin_if_needed(found, io, refused=refused)).access_token
        return found

    def _find(self, origin: Origin, refused: Secret | None) -> Secret | Settings | None:
        """Return the token, or the settings for a login if one is needed and allowed."""
        variable = from_environment(os.environ)
        settings = functions.settings_for(self.profile, self.min_ttl)
        site = site_of_environment(settings) if variable else settings.require_site_and_client()[0]
        if not belongs_to(origin, site):
            return None
        # httpx and requests keep the header on a redirect from there to https on port 443.
        if site.scheme == "http" and site.port is None:
            raise SettingsError(
                f"Cannot send the token to {site}: a redirect could take it to https://{site.host}.",
                hint="Run the site on another port than 80.",
            )
        require_consent(settings, None, functions.ignore)
        if variable:
            return None if variable == refused else variable
        now = time.time()
        try:
            token = from_store(settings, functions.store_for(settings, self.store), now=now)
        except LoginRequired:
            if self.login:
                return settings
            if refused:
                return None
            raise
        if token.access_token != refused:
            return token.access_token
        login_is_useless = token.scope.is_for_team or is_fresh(token.obtained_at, now)
        return settings if self.login and not login_is_useless else None

    def _login_io(self, settings: Settings) -> LoginIO:
        return functions.login_io_for(settings, self.store, self.browser, self.announce)


RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class AuthFlow(Generic[RequestT, ResponseT]):
    """The hooks that httpx and httpx2 call for each request; a subclass is their `Auth` as well."""

    def __init__(self, profile: str | None = None, **options: Unpack[Options]) -> None:
        self._provider = TokenProvider(profile, **options)

    def sync_auth_flow(self, request: RequestT) -> Generator[RequestT, ResponseT, None]:
        """Send the request; after a refusal, once more with a newer token. The client calls it."""
        origin = _httpx_origin(request)
        token = self._provider.token_for(origin)
        response = yield _with_token(request, token)
        if token and _can_retry(token, request, response):
            newer = self._provider.token_for(origin, token)
            if newer:
                yield _with_token(request, newer)

    async def async_auth_flow(self, request: RequestT) -> AsyncGenerator[RequestT, ResponseT]:
        """Send the request as `sync_auth_flow` does, on asyncio."""
        origin = _httpx_origin(request)
        token = await self._provider.atoken_for(origin)
        response = yield _with_token(request, token)
        if token and _can_retry(token, request, response):
            newer = await self._provider.atoken_for(origin, token)
            if newer:
                yield _with_token(request, newer)


# Requests and responses of httpx and httpx2 have the same attributes, and no common type.
def _httpx_origin(request: Any) -> Origin:  # noqa: ANN401
    return request.url.scheme, request.url.raw_host.decode("ascii"), request.url.port


def _with_token(request: Any, token: Secret | None) -> Any:  # noqa: ANN401
    if token:
        request.headers["Authorization"] = authorization(token)
    return request


def _can_retry(token: Secret, request: Any, response: Any) -> bool:  # noqa: ANN401
    """Return whether the token was refused, and the body can be sent again: a stream cannot."""
    sent = response.request.headers.get("Authorization")
    if not was_refused(token, response.status_code, sent):
        return False
    try:
        _ = request.content
    except RuntimeError:  # RequestNotRead of the library
        return False
    return True


class AiohttpAuth:
    """Sends the profile's token with aiohttp requests to its own site, as `SoeAuth` for httpx.

    Use it as `aiohttp.ClientSession(middlewares=[AiohttpAuth()])`.
    """

    def __init__(self, profile: str | None = None, **options: Unpack[Options]) -> None:
        self._provider = TokenProvider(profile, **options)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request; after a refusal, once more with a newer token. The client calls it."""
        url = request.url
        origin = url.scheme, url.raw_host, url.port
        token = await self._provider.atoken_for(origin)
        if token is None:
            return await handler(request)
        request.headers["Authorization"] = authorization(token)
        response = await handler(request)
        if not was_refused(token, response.status, request.headers.get("Authorization")):
            return response
        if not isinstance(request.body, bytes) and request.body.consumed:  # a stream
            return response
        try:
            newer = await self._provider.atoken_for(origin, token)
        except BaseException:
            response.close()
            raise
        if newer is None:
            return response
        response.release()
        request.headers["Authorization"] = authorization(newer)
        return await handler(request)


class RequestsAuth:
    """Sends the profile's token with requests to its own site, as `SoeAuth` for httpx."""

    def __init__(self, profile: str | None = None, **options: Unpack[Options]) -> None:
        self._provider = TokenProvider(profile, **options)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the token to a request to its site. The client calls it."""
        if token := self._provider.token_for(_requests_origin(request)):
            request.headers["Authorization"] = authorization(token)
            retry = partial(self._retry, token)
            request.register_hook("response", retry)  # type: ignore[no-untyped-call]  # untyped in its stubs
        return request

    def _retry(self, token: Secret, response: Response, **options: Any) -> Response:  # noqa: ANN401 - requests' own
        """Send a refused request once more, if there is a newer token."""
        request = response.request
        if not was_refused(token, response.status_code, request.headers.get("Authorization")):
            return response
        if not isinstance(request.body, bytes | str | None):  # a stream cannot be sent again
            return response
        try:
            newer = self._provider.token_for(_requests_origin(request), token)
        except BaseException:
            response.close()
            raise
        if newer is None:
            return response
        _ = response.content  # read to its end, so that its connection is free
        response.close()
        again = request.copy()
        again.headers["Authorization"] = authorization(newer)
        # Sent below the session, as by HTTPDigestAuth: no hook sees it, so it is the last attempt.
        answer: Response = response.connection.send(again, **options)
        answer.history.append(response)
        answer.request = again
        return answer


def _requests_origin(request: PreparedRequest) -> Origin:
    """Read the URL as requests does when it opens the connection."""
    parts = urlsplit(request.url or "")
    return parts.scheme, parts.hostname, parts.port
