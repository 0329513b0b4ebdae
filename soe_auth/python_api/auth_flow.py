"""The token in what httpx and its successors send, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from soe_auth.oauth.bearer import authorization, was_refused
from soe_auth.python_api.token_provider import TokenProvider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, MutableMapping
    from typing import Unpack

    from soe_auth.model.secret import Secret
    from soe_auth.oauth.bearer import Origin
    from soe_auth.python_api.token_provider import Options


class _Url(Protocol):
    @property
    def scheme(self) -> str: ...
    @property
    def raw_host(self) -> bytes: ...
    @property
    def port(self) -> int | None: ...


class _Request(Protocol):
    @property
    def url(self) -> _Url: ...
    @property
    def headers(self) -> MutableMapping[str, str]: ...
    @property
    def content(self) -> bytes: ...


class _Response(Protocol):
    status_code: int

    @property
    def request(self) -> _Request: ...


RequestT = TypeVar("RequestT", bound=_Request)
ResponseT = TypeVar("ResponseT", bound=_Response)


class AuthFlow(Generic[RequestT, ResponseT]):
    """What a library of httpx's kind calls for each request; a subclass is its `Auth` as well."""

    def __init__(self, profile: str | None = None, **options: Unpack[Options]) -> None:
        self._provider = TokenProvider(profile, **options)

    def sync_auth_flow(self, request: RequestT) -> Generator[RequestT, ResponseT, None]:
        """Send the request, and again if that may help. For the client to call."""
        origin = _origin(request.url)
        token = self._provider.token_for(origin)
        response = yield _carrying(token, request)
        if token and _worth_another(token, request, response):
            other = self._provider.token_for(origin, token)
            if other:
                yield _carrying(other, request)

    async def async_auth_flow(self, request: RequestT) -> AsyncGenerator[RequestT, ResponseT]:
        """Do as `sync_auth_flow`, on asyncio."""
        origin = _origin(request.url)
        token = await self._provider.atoken_for(origin)
        response = yield _carrying(token, request)
        if token and _worth_another(token, request, response):
            other = await self._provider.atoken_for(origin, token)
            if other:
                yield _carrying(other, request)


def _origin(url: _Url) -> Origin:
    return url.scheme, url.raw_host.decode("ascii"), url.port


def _carrying(token: Secret | None, request: RequestT) -> RequestT:
    if token:
        request.headers["Authorization"] = authorization(token)
    return request


def _worth_another(token: Secret, request: _Request, response: _Response) -> bool:
    """Whether the token was refused, and the request can be sent again: a stream is used up."""
    carried = response.request.headers.get("Authorization")
    if not was_refused(token, response.status_code, carried):
        return False
    try:
        _ = request.content
    except RuntimeError:  # the library's RequestNotRead
        return False
    return True
