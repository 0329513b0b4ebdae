"""Log out: ask the site to revoke the token, and remove it here if it is dead or with `local`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soe_auth.errors import NetworkError, SettingsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from soe_auth.model.network import Network
    from soe_auth.model.token import Token
    from soe_auth.oauth.revocation import RevocationResult
    from soe_auth.storage import Store


@dataclass(frozen=True, slots=True)
class LogoutResult:
    """The result of a logout: the token that was stored, and the result on its site.

    `on_site` is None if the site was not asked. `removed` is False if the token is still stored
    here, so that it can be revoked later. `newer` is whether a login has stored another token
    meanwhile, which stays.
    """

    token: Token
    on_site: RevocationResult | None
    removed: bool = True
    newer: bool = False


async def logout(
    profile: str,
    store: Store,
    *,
    network: Network,
    local: bool = False,
    now: Callable[[], float] = time.time,
) -> LogoutResult | None:
    """Ask the site to revoke the profile's token, then remove it here.

    The token stays stored unless it is dead: revoked, invalid or expired. With `local`, the site is
    not asked, and the token is removed. Temporary files of a killed process are removed, too.
    Returns None if there was no token. Raises StoreError.
    """
    token = store.load(profile)
    if token is None:
        store.remove(profile, None)
        return None
    on_site = None
    if not local:
        from soe_auth.oauth.revocation import RevocationResult
        from soe_auth.site_client.client import connect

        try:
            async with connect(token.site, network=network) as site:
                on_site = await site.revoke(token.access_token, for_team=token.scope.is_for_team)
        except (NetworkError, SettingsError):  # SettingsError: of the network settings
            on_site = RevocationResult.UNREACHABLE
        if not (on_site.is_dead or token.has_ended(now())):
            return LogoutResult(token, on_site, removed=False)
    try:
        removed = store.remove(profile, token)
    except StoreError as problem:
        if local:
            raise
        message = f"{problem} It is no longer valid on {token.site.authority}."
        raise StoreError(message, hint=problem.hint) from problem
    return LogoutResult(token, on_site, newer=not removed and store.load(profile) is not None)
