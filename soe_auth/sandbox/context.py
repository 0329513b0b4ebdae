"""What all routes of one running sandbox share."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from soe_auth.sandbox.grants import Grants
from soe_auth.sandbox.quirks import Quirks
from soe_auth.sandbox.recorded_requests import Exchange
from soe_auth.sandbox.registry import Account, Application
from soe_auth.sandbox.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The site's registry, memory and effects. `closing` is set when the site goes away."""

    url: str
    host: str
    port: int
    lifetime: int
    applications: Mapping[str, Application]
    accounts: Mapping[int, Account]
    grants: Grants
    sessions: Sessions
    exchanges: list[Exchange]
    quirks: Callable[[], Quirks]
    narrate: Callable[[str], None]
    closing: asyncio.Event
