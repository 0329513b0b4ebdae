"""What is asked of the site: the exchange of a code, and the few calls to its API."""

from __future__ import annotations

import json
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from soe_auth.errors import NetworkError, SoeAuthError
from soe_auth.model.network import Network
from soe_auth.model.text import printable
from soe_auth.model.token import Scope
from soe_auth.oauth.authorization_request import new_authorization_request
from soe_auth.oauth.bearer import V2_HEADER, V3_HEADER, authorization
from soe_auth.site_client.transport import Request, Timeouts, open_transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site
    from soe_auth.oauth.api_call import ApiCall, ApiResponse
    from soe_auth.oauth.authorization_request import AuthorizationRequest
    from soe_auth.oauth.token_endpoint import TokenResponse
    from soe_auth.settings.settings import Settings
    from soe_auth.site_client.transport import ResponseHead, SiteTransport

WHO_AM_I = "/api/v3/users/me"
_NO_SUCH_CALL = {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.GONE,
    HTTPStatus.NOT_IMPLEMENTED,
}


_OUTSIDE_ITS_TEAM = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_FOR_ITS_TEAM = "With access_team, a token is good in its own team only, which was not asked."


class TokenValidity(Enum):
    """What the site said when asked whether a token is good."""

    GOOD = "good"
    NO_LONGER_GOOD = "no longer good"
    UNCLEAR = "no answer that can be read"
    UNREACHABLE = "not reachable"


@dataclass(frozen=True, slots=True)
class Verification:
    """A token's validity at its site: whose it is if it is good, else in `reason` what came."""

    validity: TokenValidity
    account: str | None = None
    reason: str = ""

    @property
    def is_good(self) -> bool | None:
        """Whether the token is good; None where the site did not say."""
        return {TokenValidity.GOOD: True, TokenValidity.NO_LONGER_GOOD: False}.get(self.validity)


class RevocationResult(Enum):
    """What the site said when asked to end a token."""

    ENDED = "ended"
    ALREADY_INVALID = "already invalid"
    NOT_OFFERED = "not offered by this site"
    UNCLEAR = "no answer that can be read"
    UNREACHABLE = "site not reachable"

    @property
    def is_dead(self) -> bool:
        """Whether the token is certainly no longer valid."""
        return self in {RevocationResult.ENDED, RevocationResult.ALREADY_INVALID}


# The answers after which the token may have ended all the same.
_TO_BE_CHECKED = {RevocationResult.UNCLEAR, RevocationResult.UNREACHABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits(Timeouts):
    """How long the site may take, in seconds: the transport, and each call as a whole."""

    exchange: float = 30.0
    look_up: float = 3.0  # a person is waiting for the page
    verification: float = 10.0
    invalidation: float = 10.0
    api_call: float = 120.0


# One try for each look: what fails now and then is to be seen, not to be got over.
FIRST_LOOK = TimeLimits(connect=5.0, read=5.0, pauses=(), look_up=8.0)

_LIMITS = TimeLimits()
_SYSTEM = Network()


class SiteConnection:
    """Calls to one site; made by `connect`."""

    def __init__(self, transport: SiteTransport, limits: TimeLimits) -> None:
        self._transport = transport
        self._limits = limits

    async def warm_up(self) -> None:
        """Have all loaded that the first call needs; the site hears nothing of it."""
        await self._transport.warm_up()

    async def exchange(self, form: Secret) -> TokenResponse:
        """Post the form to the token endpoint, once; return what comes back, whatever it is.

        Raises NetworkError and MalformedResponse, as `SiteTransport.send`.
        """
        return await self._transport.send(
            lambda: Request(
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

    async def verify(self, access_token: Secret, *, for_team: bool = False) -> Verification:
        """Ask whether a token is good, and whose it is; see `Scope.is_for_team`."""
        return await self._introduction(access_token, self._limits.verification, for_team=for_team)

    async def _introduction(
        self, access_token: Secret, within: float, *, for_team: bool = False
    ) -> Verification:
        """Ask API v3 who we are, by this token."""
        try:
            answer = await self._transport.send(
                lambda: Request("GET", WHO_AM_I, {"Authorization": authorization(access_token)}),
                within=within,
            )
        except NetworkError as problem:
            return Verification(TokenValidity.UNREACHABLE, reason=str(problem))
        except SoeAuthError as problem:
            return Verification(TokenValidity.UNCLEAR, reason=str(problem))
        if for_team and answer.status in _OUTSIDE_ITS_TEAM:
            return Verification(TokenValidity.UNCLEAR, reason=_FOR_ITS_TEAM)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return Verification(TokenValidity.NO_LONGER_GOOD)
        name = _field(answer, "name")
        if not isinstance(name, str):
            site = self._transport.site.authority
            reason = f"{site} answered without a name (HTTP {answer.status})."
            return Verification(TokenValidity.UNCLEAR, reason=reason)
        return Verification(TokenValidity.GOOD, printable(name, 80) or None)

    async def invalidate(
        self, access_token: Secret, *, for_team: bool = False, within: float | None = None
    ) -> RevocationResult:
        """Ask API v2.3 to end the token (public Stack Exchange API; SOE may not offer it).

        Where the answer is unclear or lost, API v3 is asked whether the token is good still.
        `within` overrides the limit for both calls together, in seconds.
        """
        until = time.monotonic() + (within or self._limits.invalidation)
        result = await self._ask_to_end(access_token, until - time.monotonic())
        left = until - time.monotonic()
        if result in _TO_BE_CHECKED and left > 0:
            seen = await self._introduction(access_token, left, for_team=for_team)
            if seen.validity is TokenValidity.NO_LONGER_GOOD:
                return RevocationResult.ENDED
        return result

    async def _ask_to_end(self, access_token: Secret, within: float) -> RevocationResult:
        """Send the call, with the token in its path, as that API wants it."""
        try:
            answer = await self._transport.send(
                lambda: Request(
                    "GET",
                    f"/api/2.3/access-tokens/{quote(access_token.reveal(), safe='')}/invalidate",
                ),
                within=within,
            )
        except NetworkError:
            return RevocationResult.UNREACHABLE
        except SoeAuthError:
            return RevocationResult.UNCLEAR
        ended = _field(answer, "items")
        if isinstance(ended, list):
            return RevocationResult.ENDED if ended else RevocationResult.ALREADY_INVALID
        is_unknown = _field(answer, "error_name", answer.status) == "no_method"
        if answer.status in _NO_SUCH_CALL or is_unknown:
            return RevocationResult.NOT_OFFERED
        return RevocationResult.UNCLEAR

    async def refuses(self, request: AuthorizationRequest) -> bool:
        """Whether the site refuses a request at once, asked without a session: see `is_refused`."""
        path = request.url.removeprefix(str(request.site))
        answer = await self._transport.send(
            lambda: Request("GET", path, {"Accept": "text/html"}), within=self._limits.look_up
        )
        named = b"redirect_uri" in answer.body or b"client_id" in answer.body
        is_bad = answer.status == HTTPStatus.BAD_REQUEST and named
        return is_bad or b"redirect_uri is not configured" in answer.body

    async def call(self, call: ApiCall, access_token: Secret) -> ApiResponse:
        """Send a call of the API, with the token in the header that this API wants.

        Raises NetworkError, and MalformedResponse as `SiteTransport.send`.
        """

        def write() -> Request:
            header = V2_HEADER if call.is_v2 else V3_HEADER
            name, _, scheme = header.partition(": ")
            own = {name: scheme + access_token.reveal()}
            return Request(call.method, call.path, {**call.headers, **own}, call.content)

        return await self._transport.call(write, within=self._limits.api_call)

    async def fetch_head(self, path: str) -> ResponseHead:
        """Get a path without any token and look at the head of the answer. Raises NetworkError."""
        return await self._transport.fetch_head(path, within=self._limits.look_up)


@asynccontextmanager
async def connect(
    site: Site, limits: TimeLimits = _LIMITS, *, network: Network = _SYSTEM
) -> AsyncIterator[SiteConnection]:
    """Open a connection to a site, in the way that the settings ask for, or else the system's own.

    Raises SettingsError and NetworkError, as `open_transport`.
    """
    async with open_transport(site, limits, network) as transport:
        yield SiteConnection(transport, limits)


async def is_refused(settings: Settings) -> bool:
    """Whether the site refuses the client ID and the redirect URI before anyone signs in.

    False says nothing, as a site may ask for a sign-in first; nothing is followed. Raises
    SettingsError, NetworkError, and MalformedResponse as `SiteTransport.send`.
    """
    site, client_id = settings.require_site_and_client
    request = new_authorization_request(site, client_id, Scope(), settings.redirect_uri, os.urandom)
    async with connect(site, FIRST_LOOK, network=settings.network) as connection:
        return await connection.refuses(request)


def _field(answer: TokenResponse, name: str, status: int = HTTPStatus.OK) -> object:
    """Return a field of the JSON that came with this status; None where there is none."""
    if answer.status != status:
        return None
    try:
        return json.loads(answer.body)[name]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
