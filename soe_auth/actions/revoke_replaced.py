"""Revoke the token that a login has replaced, as no one will log out of it any more."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from soe_auth.errors import StoreError

if TYPE_CHECKING:
    from soe_auth.actions.login_io import LoginIO
    from soe_auth.model.token import Token
    from soe_auth.site_client.client import SiteConnection

_LIMIT = 2.0  # seconds for the site: the user is waiting for the command to end


def load_replaced(profile: str, io: LoginIO) -> Token | None:
    """Return the stored token; None where there is none, or where it cannot be read."""
    with suppress(StoreError):  # `save` tells of it
        return io.store.load(profile)
    return None


def is_to_be_revoked(old: Token, new: Token, now: float) -> bool:
    """Return whether the site has to end the old token.

    A site may give the same token twice: that one must live. Another site's is not this one's to
    end.
    """
    if old.site != new.site or old.access_token == new.access_token:
        return False
    return not old.has_ended(now)


async def revoke(token: Token, site: SiteConnection, io: LoginIO) -> None:
    """Ask the site to end the token. The login has succeeded by now, so this may fail."""
    result = await site.invalidate(
        token.access_token, for_team=token.scope.is_for_team, within=_LIMIT
    )
    if result.is_dead:
        io.verbose(f"The token that was replaced: {result.value}.")
        return
    io.announce(
        f"The token that was replaced was not ended ({result.value}), and lasts"
        f" {token.describe_expiry(io.now())}. To end it, sign in at {token.site}, open your avatar,"
        " Settings."
    )
