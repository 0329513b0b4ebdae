"""Log out: ask the site to end the token, and remove it here once it is dead or `local` says so."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soe_auth.errors import NetworkError, SettingsError
from soe_auth.model.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from soe_auth.model.token import Token
    from soe_auth.site_client.client import RevocationResult
    from soe_auth.storage import Store


@dataclass(frozen=True, slots=True)
class LogoutResult:
    """How a log-out ended: the token that was stored, and what its site said of ending it.

    `on_site` is None where the site was not asked. `removed` is False where the token is kept here,
    so that it can still be ended. `newer` says that a login has stored another one meanwhile, which
    stays.
    """

    token: Token
    on_site: RevocationResult | None
    removed: bool = True
    newer: bool = False


_SYSTEM = Network()


async def logout(
    profile: str,
    store: Store,
    *,
    local: bool = False,
    network: Network = _SYSTEM,
    now: Callable[[], float] = time.time,
) -> LogoutResult | None:
    """Remove the profile's token, after asking the site it was given for to end it.

    The local copy is kept unless the token is dead: ended, invalid or expired. Else it would
    have a token that is still valid. With `local` the site is not asked, and the copy goes, and
    with it what a writer that was killed has left. Returns None if there was none; raises
    StoreError.
    """
    token = store.load(profile)
    if token is None:
        store.remove(profile, None)
        return None
    on_site = None
    if not local:
        from soe_auth.site_client.client import RevocationResult, connect

        try:
            async with connect(token.site, network=network) as site:
                on_site = await site.invalidate(
                    token.access_token, for_team=token.scope.is_for_team
                )
        except (NetworkError, SettingsError):  # of the network; they hold nothing up here
            on_site = RevocationResult.UNREACHABLE
        dead = on_site.is_dead or token.has_ended(now())
        if not dead:
            return LogoutResult(token, on_site, removed=False)
    removed = store.remove(profile, token)
    newer = not removed and store.load(profile) is not None
    return LogoutResult(token, on_site, newer=newer)
