"""The story of a log-out: ask the site to end the token, remove it here, tell each result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soe_auth.errors import NetworkError

if TYPE_CHECKING:
    from soe_auth.exchange import Ending
    from soe_auth.store import FileStore
    from soe_auth.tokens import Token


@dataclass(frozen=True, slots=True)
class Goodbye:
    """How a log-out ended: the token that was stored, and what its site said of ending it.

    `on_site` is None where the site was not asked.
    """

    token: Token
    on_site: Ending | None


async def logout(profile: str, store: FileStore, *, local: bool = False) -> Goodbye | None:
    """Remove the profile's token, after asking the site it was given for to end it.

    The local copy goes whatever the site says. Returns None if there was none; raises StoreError.
    """
    token = store.load(profile)
    if token is None:
        return None
    on_site = None
    if not local:
        from soe_auth.exchange import Ending, connect

        try:
            async with connect(token.site) as site:
                on_site = await site.invalidate(token.access_token)
        except NetworkError:
            on_site = Ending.UNREACHABLE
    store.remove(profile)
    return Goodbye(token, on_site)
