"""The token in what requests sends; that library is known by its ways, and need not be there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from soe_auth.oauth.bearer import authorization, was_refused
from soe_auth.python_api.token_provider import TokenProvider

if TYPE_CHECKING:
    from typing import Unpack

    from requests import PreparedRequest, Response

    from soe_auth.model.secret import Secret
    from soe_auth.oauth.bearer import Origin
    from soe_auth.python_api.token_provider import Options


class RequestsAuth:
    """Has requests send the profile's token to its own site, as `SoeAuth` does for httpx."""

    def __init__(self, profile: str | None = None, **options: Unpack[Options]) -> None:
        self._provider = TokenProvider(profile, **options)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Give the request its token, if it may carry one. For requests to call."""
        if token := self._provider.token_for(_origin(request)):
            request.headers["Authorization"] = authorization(token)
            again = partial(self._again, token)
            request.register_hook("response", again)  # type: ignore[no-untyped-call]  # as its stubs have it
        return request

    def _again(self, token: Secret, response: Response, **options: Any) -> Response:  # noqa: ANN401 - requests' own
        """Send a request that was refused once more, if there is another token by then."""
        request = response.request
        if not was_refused(token, response.status_code, request.headers.get("Authorization")):
            return response
        if not isinstance(request.body, bytes | str | None):  # a stream, which is used up
            return response
        try:
            other = self._provider.token_for(_origin(request), token)
        except BaseException:
            response.close()
            raise
        if other is None:
            return response
        _ = response.content  # read to its end, so that its connection is free
        response.close()
        again = request.copy()
        again.headers["Authorization"] = authorization(other)
        # Below the session, as requests' own HTTPDigestAuth: no hook sees it, so it is the last.
        answer: Response = response.connection.send(again, **options)
        answer.history.append(response)
        answer.request = again
        return answer


def _origin(request: PreparedRequest) -> Origin:
    """Read the URL as requests' own adapter does when it opens the connection."""
    parts = urlsplit(request.url or "")
    return parts.scheme, parts.hostname, parts.port
