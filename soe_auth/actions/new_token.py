"""The steps after a site has issued a token: store it, announce it, revoke the replaced one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from soe_auth.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from soe_auth.actions.login_io import LoginIO
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings
    from soe_auth.site_client.client import SiteConnection

_REVOCATION_TIMEOUT = 2.0  # seconds: the user waits for the command to end


def store_new_token(profile: str, token: Token, io: LoginIO) -> Token | None:
    """Store the token; return the one that it replaces, if that can be read. Raises StoreError."""
    replaced = None
    with suppress(StoreError):  # `save` reports it
        replaced = io.store.load(profile)
    io.store.save(profile, token)
    io.on_stored()
    with suppress(StoreError):
        io.login_lock.clear_failure(profile)
    return replaced


async def store_account(profile: str, token: Token, io: LoginIO) -> None:
    """Store the token again with its account, in a thread, unless a logout has removed it."""
    from soe_auth.site_client.event_loop import in_thread

    if token.account:
        with suppress(StoreError):
            await in_thread(lambda: io.store.update(profile, token))


def announce_signed_in(
    token: Token, replaced: Token | None, settings: Settings, io: LoginIO
) -> None:
    """Announce the login with its warnings, and store its flags as a profile."""
    account = f" as {token.account}" if token.account else ""
    io.announce(
        f"Signed in to {token.site.authority}{account}, profile {settings.profile}."
        f" The token is valid {token.describe_expiry(io.now())}."
    )
    if io.warn_of_lifetime and (warning := token.lifetime_warning(settings.min_ttl)):
        io.announce(warning)
    if replaced and (warning := token.account_warning(replaced, settings.profile)):
        io.announce(warning)
    _remember_profile(settings, io)


def _remember_profile(settings: Settings, io: LoginIO) -> None:
    """Store the flags as a profile, so that `soe-auth login` alone is enough next time.

    An existing profile gets the values of flags, not of variables; each change is shown with the
    command that undoes it. Nothing is stored if the site comes from a project file.
    """
    from soe_auth.actions.registration import changes
    from soe_auth.settings.config_files import read_configs
    from soe_auth.settings.config_writer import write_settings

    values = settings.profile_values
    if settings.known:
        values = {key: value for key, value in values.items() if key in settings.from_flags}
    if not settings.from_flags or not (settings.known or "site" in values):
        return
    try:
        configs = read_configs(settings.paths.files)
        changed = write_settings(settings.paths.config, settings.profile, values)
    except SettingsError as problem:
        io.announce(f"Cannot save the profile: {problem}")
        return
    if changed and not settings.known:
        redirect = f" with redirect {settings.redirect}" if settings.redirect != "loopback" else ""
        io.announce(f"Saved profile {settings.profile}{redirect}: {settings.paths.config}")
    for change in changes(settings, configs) if changed and settings.known else ():
        if change.key in values:
            io.announce(
                f"Saved in profile {settings.profile}: {change}."
                f" `{change.undo(settings.profile)}` undoes it."
            )
    if settings.scope.no_expiry and "scope" in settings.from_flags:
        io.announce(
            "A no_expiry token never expires. When you no longer need it, type"
            f" `soe-auth logout -p {settings.profile}`."
        )


async def revoke_replaced(
    replaced: Token | None, token: Token, site: SiteConnection, io: LoginIO
) -> None:
    """Ask the site to revoke the token that `token` replaces; a failure is only announced.

    It is not revoked if the site issued the same token twice, or if it is for another site.
    """
    if (
        replaced is None
        or replaced.site != token.site
        or replaced.access_token == token.access_token
        or replaced.has_ended(io.now())
    ):
        return
    result = await site.revoke(
        replaced.access_token, for_team=replaced.scope.is_for_team, time_limit=_REVOCATION_TIMEOUT
    )
    if result.is_dead:
        io.verbose(f"The replaced token: {result.value}.")
        return
    io.announce(
        f"Cannot revoke the replaced token: {result.value}. It is valid"
        f" {replaced.describe_expiry(io.now())}. To revoke it, sign in at {token.site} and open"
        " your avatar, Settings."
    )
