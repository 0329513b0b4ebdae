"""Store a token that the user already has, after its site has accepted it."""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from soe_auth.actions.login_io import LoginIO
from soe_auth.actions.new_token import announce_signed_in, revoke_replaced, store_new_token
from soe_auth.actions.project_consent import require_consent
from soe_auth.errors import NetworkError, ServerError, SettingsError
from soe_auth.model.secret import Secret
from soe_auth.model.token import Token
from soe_auth.oauth.token_endpoint import parse_expiry
from soe_auth.settings.settings import Settings
from soe_auth.site_client.client import TokenValidity
from soe_auth.site_client.event_loop import run_async


def store_given_token(
    settings: Settings, read: Callable[[], Secret], lifetime: float | None, io: LoginIO
) -> Token:
    """Verify the token on its site, and store it; it replaces the profile's token.

    `lifetime` is in seconds from now, or None if unknown. The token is never sent to a site that
    only a project file names. If it raises SettingsError, ServerError, NetworkError, StoreError or
    LoginBusy, nothing is stored.
    """
    site, client_id = settings.require_site_and_client()
    if settings.only_project:
        raise SettingsError(
            f"Cannot send the token to {site}: only {settings.project} names that site.",
            hint=f"Name it yourself: `soe-auth login --with-token --site {site.as_typed}`.",
        )
    require_consent(settings, io.ask_consent, io.announce)
    with io.login_lock.acquire(settings.profile):
        io.store.prepare(settings.profile)
        io.disable_core_dumps()
        now = io.now()
        token = Token(
            access_token=read(),
            site=site,
            client_id=client_id,
            scope=settings.scope,
            granted_scope=settings.scope,
            obtained_at=now,
            expires_at=parse_expiry(lifetime, settings.scope, now),
        )
        return run_async(_verify_and_store(token, settings, io))


async def _verify_and_store(token: Token, settings: Settings, io: LoginIO) -> Token:
    profile, authority = settings.profile, token.site.authority
    async with io.connect(token.site, settings.network) as site:
        found = await site.verify(token.access_token, for_team=token.scope.is_for_team)
        if found.validity is TokenValidity.INVALID:
            raise ServerError(
                f"{authority} refused the token.",
                hint="Nothing is stored. Is it complete, valid, and for this site?",
                status=HTTPStatus.UNAUTHORIZED,
            )
        if found.validity is TokenValidity.UNREACHABLE:
            raise NetworkError(f"{found.reason} Nothing is stored.")
        if found.validity is TokenValidity.UNCLEAR:
            io.announce(f"The site did not name the account of the token: {found.reason}")
        token = replace(token, account=found.account)
        replaced = store_new_token(profile, token, io)
        announce_signed_in(token, replaced, settings, io)
        await revoke_replaced(replaced, token, site, io)
    return token
