"""The state that all routes of a running sandbox share."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from soe_auth.sandbox.applications import Account, Application
from soe_auth.sandbox.browser_sessions import BrowserSessions
from soe_auth.sandbox.http_answer import HttpAnswer, send
from soe_auth.sandbox.quirks import Quirks
from soe_auth.sandbox.token_issuer import TokenIssuer


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request to the token endpoint; its repr has only the method and the outcome.

    `fields` are the parameters as pairs in the order sent, empty if they could not be parsed.
    `query` is the raw query string. `headers` ignore case. `granted` says whether a token was
    issued, even if the answer never arrived.
    """

    method: str
    fields: list[tuple[str, str]] = field(repr=False)
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState:
    """Settings, memory and callbacks of a site. `closing` is set when the site stops."""

    url: str
    host: str
    port: int
    strict: bool
    lifetime: int
    applications: Mapping[str, Application]
    accounts: Mapping[int, Account]
    teams: Sequence[str]
    issuer: TokenIssuer
    sessions: BrowserSessions
    exchanges: list[Exchange]
    quirks: Callable[[], Quirks]
    narrate: Callable[[str], None]
    closing: asyncio.Event

    def warn(self, *warnings: str) -> None:
        """Narrate parameters that were accepted, although clients should not send them."""
        for warning in warnings:
            self.narrate(f"Accepted, but bad practice: {warning}.")

    async def send(
        self, request: web.Request, answer: HttpAnswer, quirk: str = "ok"
    ) -> web.StreamResponse:
        """Send an answer, changed by the quirk if that is one of DELIVERIES."""
        return await send(request, answer, quirk, self.quirks().delay, self.closing)
