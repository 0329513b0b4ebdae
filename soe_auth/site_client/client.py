"""Call a site: exchange a code, look up an account, verify and revoke a token, call the API."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING

from soe_auth.errors import NetworkError, SoeAuthError
from soe_auth.model.network import Network
from soe_auth.model.text import printable
from soe_auth.model.token import Scope
from soe_auth.oauth.authorization_request import new_authorization_request
from soe_auth.oauth.bearer import V2_HEADER, V3_HEADER, authorization
from soe_auth.oauth.revocation import (
    RevocationResult,
    parse_revocation_response,
    revocation_path,
)
from soe_auth.oauth.token_endpoint import EXCHANGE_PATH
from soe_auth.site_client.transport import Request, TimeLimits, open_transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site
    from soe_auth.oauth.api_call import ApiCall, SiteResponse
    from soe_auth.settings.settings import Settings
    from soe_auth.site_client.transport import SiteTransport

WHO_AM_I = "/api/v3/users/me"
_OUTSIDE_ITS_TEAM = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_MAX_TOKEN_RESPONSE = 64 * 1024  # bytes


class TokenValidity(Enum):
    """Whether a token is valid, by its site's answer."""

    VALID = "valid"
    INVALID = "no longer valid"
    UNCLEAR = "no answer that can be read"
    UNREACHABLE = "not reachable"


@dataclass(frozen=True, slots=True)
class Verification:
    """A token's validity at its site: the account if it is valid, else the `reason`."""

    validity: TokenValidity
    account: str | None = None
    reason: str = ""

    @property
    def is_valid(self) -> bool | None:
        """Whether the token is valid; None if the site did not say."""
        return {TokenValidity.VALID: True, TokenValidity.INVALID: False}.get(self.validity)


# For diagnosis: no call is repeated, so that an intermittent failure shows.
ONE_ATTEMPT = TimeLimits(connect=5.0, read=5.0, pauses=(), look_up=8.0)

_LIMITS = TimeLimits()
_SYSTEM = Network()


class SiteConnection:
    """Calls to one site; made by `connect`."""

    def __init__(self, transport: SiteTransport) -> None:
        self._transport = transport
        self._limits = transport.limits

    async def warm_up(self) -> None:
        """Load all modules that the first call needs, without contacting the site."""
        await self._transport.warm_up()

    async def exchange(self, form: Secret) -> SiteResponse:
        """Post the form to the token endpoint once; return the answer, whatever its status.

        Raises NetworkError, and MalformedResponse as `SiteTransport.send`.
        """
        return await self._transport.send(
            lambda: Request(
                "POST",
                EXCHANGE_PATH,
                {"Content-Type": "application/x-www-form-urlencoded"},
                form.reveal().encode("ascii"),
            ),
            time_limit=self._limits.exchange,
            max_body=_MAX_TOKEN_RESPONSE,
        )

    async def account_name(self, access_token: Secret) -> str | None:
        """Return the account of a token; None if the site does not answer with one in time."""
        limit = self._limits.look_up
        return (await self.verify(access_token, time_limit=limit)).account

    async def verify(
        self, access_token: Secret, *, for_team: bool = False, time_limit: float | None = None
    ) -> Verification:
        """Ask the site whether a token is valid; for `for_team` see `Scope.is_for_team`."""
        try:
            answer = await self._transport.send(
                lambda: Request("GET", WHO_AM_I, {"Authorization": authorization(access_token)}),
                time_limit=time_limit or self._limits.verification,
            )
        except NetworkError as problem:
            return Verification(TokenValidity.UNREACHABLE, reason=str(problem))
        except SoeAuthError as problem:
            return Verification(TokenValidity.UNCLEAR, reason=str(problem))
        if for_team and answer.status in _OUTSIDE_ITS_TEAM:
            reason = (
                "A token with access_team is valid only for its team's API, which was not called."
            )
            return Verification(TokenValidity.UNCLEAR, reason=reason)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return Verification(TokenValidity.INVALID)
        name = answer.fields.get("name") if answer.status == HTTPStatus.OK else None
        if not isinstance(name, str):
            site = self._transport.site.authority
            reason = f"{site} answered without a name (HTTP {answer.status})."
            return Verification(TokenValidity.UNCLEAR, reason=reason)
        return Verification(TokenValidity.VALID, printable(name, 80) or None)

    async def revoke(
        self, access_token: Secret, *, for_team: bool = False, time_limit: float | None = None
    ) -> RevocationResult:
        """Revoke a token by API v2.3 (of the public Stack Exchange API; SOE may lack it).

        If the answer is unclear or lost, `verify` checks whether the token is still valid.
        `time_limit` is for both calls together, in seconds.
        """
        limit = time_limit or self._limits.revocation
        deadline = time.monotonic() + limit
        try:
            answer = await self._transport.send(
                lambda: Request("GET", revocation_path(access_token).reveal()), time_limit=limit
            )
        except NetworkError:
            result = RevocationResult.UNREACHABLE
        except SoeAuthError:
            result = RevocationResult.UNCLEAR
        else:
            result = parse_revocation_response(answer.status, answer.fields)
        remaining = deadline - time.monotonic()
        if result in {RevocationResult.UNCLEAR, RevocationResult.UNREACHABLE} and remaining > 0:
            verification = await self.verify(access_token, for_team=for_team, time_limit=remaining)
            if verification.validity is TokenValidity.INVALID:
                return RevocationResult.ENDED
        return result

    async def call(self, call: ApiCall, access_token: Secret) -> SiteResponse:
        """Call the API, with the token in the header of its version.

        Raises NetworkError, and MalformedResponse as `SiteTransport.send`.
        """

        def make() -> Request:
            name, _, scheme = (V2_HEADER if call.is_v2 else V3_HEADER).partition(": ")
            headers = {**call.headers, name: scheme + access_token.reveal()}
            return Request(call.method, call.path, headers, call.content)

        return await self._transport.send(make, time_limit=self._limits.api_call)

    async def fetch_head(self, path: str) -> SiteResponse:
        """Get a path without a token; return the answer without its body. Raises NetworkError."""
        return await self._transport.send(
            lambda: Request("GET", path), time_limit=self._limits.look_up, max_body=None
        )


@asynccontextmanager
async def connect(
    site: Site, limits: TimeLimits = _LIMITS, *, network: Network = _SYSTEM
) -> AsyncIterator[SiteConnection]:
    """Open a connection to a site. Raises SettingsError and NetworkError, as `open_transport`."""
    async with open_transport(site, limits, network) as transport:
        yield SiteConnection(transport)


async def is_refused(settings: Settings) -> bool:
    """Return whether the site refuses the client ID and the redirect URI before a sign-in.

    False proves nothing, as a site may require a sign-in first. Raises SettingsError, NetworkError,
    and MalformedResponse as `SiteTransport.send`.
    """
    site, client_id = settings.require_site_and_client()
    request = new_authorization_request(site, client_id, Scope(), settings.redirect_uri, os.urandom)
    path = request.url.removeprefix(str(site))
    async with open_transport(site, ONE_ATTEMPT, settings.network) as transport:
        answer = await transport.send(
            lambda: Request("GET", path, {"Accept": "text/html"}), time_limit=ONE_ATTEMPT.look_up
        )
    names_cause = b"redirect_uri" in answer.body or b"client_id" in answer.body
    is_bad = answer.status == HTTPStatus.BAD_REQUEST and names_cause
    return is_bad or b"redirect_uri is not configured" in answer.body
