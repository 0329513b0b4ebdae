"""What all routes of one running sandbox share, and what tests may look at afterwards."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from soe_auth.sandbox.grants import Grants
from soe_auth.sandbox.quirks import Quirks
from soe_auth.sandbox.registry import Account, Application
from soe_auth.sandbox.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to the token endpoint; all but its method and outcome stay out of the repr.

    `fields` is the form body as pairs in the order sent (empty where it could not be read),
    `query` the raw query string, `headers` are found in any case, and `granted` tells whether a
    token was issued, whatever became of the answer.
    """

    method: str
    fields: list[tuple[str, str]] = field(repr=False)
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The site's registry, memory and effects. `closing` is set when the site goes away."""

    url: str
    host: str
    port: int
    strict: bool
    lifetime: int
    applications: Mapping[str, Application]
    accounts: Mapping[int, Account]
    teams: Sequence[str]
    grants: Grants
    sessions: Sessions
    exchanges: list[Exchange]
    quirks: Callable[[], Quirks]
    narrate: Callable[[str], None]
    closing: asyncio.Event

    def narrate_bad_style(self, faults: Iterable[str]) -> None:
        """Narrate what was taken, as a site takes it, and what no one should send."""
        for fault in faults:
            self.narrate(f"Bad style, though taken: {fault}.")
