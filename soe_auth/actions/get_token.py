"""The story of a token without a person: what the environment or the store already has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.model.duration import in_words
from soe_auth.model.secret import Secret
from soe_auth.model.token import visible_ascii
from soe_auth.settings import TOKEN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soe_auth.model.site import Site
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings
    from soe_auth.storage import Store


def from_environment(environ: Mapping[str, str]) -> Secret | None:
    """Return the token that SOE_AUTH_TOKEN holds, if it is set: that is how a CI job is fed.

    Raises SettingsError if what it holds can be no token.
    """
    if not environ.get(TOKEN_VARIABLE):
        return None
    try:
        return Secret(visible_ascii(environ[TOKEN_VARIABLE]))
    except ValueError as problem:
        raise SettingsError(
            f"access_token (from {TOKEN_VARIABLE}): {problem}.",
            hint=f"Set {TOKEN_VARIABLE} to the token and nothing else, or unset it.",
        ) from None


def site_of_environment(settings: Settings) -> Site | None:
    """Return the site that the token of SOE_AUTH_TOKEN is for; None where nothing says.

    A token of the store is bound to its site. This one may be any site's, and a project file may be
    anybody's: its word alone does not say where a token goes. Raises SettingsError.
    """
    if settings.only_project:
        raise SettingsError(
            f"SOE_AUTH_TOKEN is set, and only {settings.project} says which site it is for.",
            hint="Set SOE_AUTH_SITE as well.",
        )
    return settings.site


def no_site_of_environment() -> SettingsError:
    """Return the error that says so, and what to set."""
    return SettingsError(
        "SOE_AUTH_TOKEN is set, and nothing says which site it is for.",
        hint="Set SOE_AUTH_SITE as well.",
    )


def from_store(settings: Settings, store: Store, *, now: float) -> Token:
    """Return the profile's token, if it serves these settings and lives long enough.

    Takes no lock. Raises LoginRequired, whose message says which command to type.
    """
    site, client_id = settings.require_site_and_client
    token = store.load(settings.profile)
    if token is None:
        raise LoginRequired(
            f"Profile {settings.profile} has no token; type `{settings.login_command}`."
        )
    if problem := token.why_unusable(
        site, client_id, settings.scope, min_ttl=settings.min_ttl, now=now
    ):
        if (token.site, token.client_id, token.scope) != (site, client_id, settings.scope):
            problem += f" than {settings.project} asks for" if settings.from_project else ""
        if token.lifetime_warning(settings.min_ttl):
            raise LoginRequired(
                f"The token of profile {settings.profile} {problem}; type"
                f" `{settings.login_command}`, and ask for less: the site gave"
                f" {in_words(token.life)} in all."
            )
        raise LoginRequired(
            f"The token of profile {settings.profile} {problem}; type `{settings.login_command}`."
        )
    return token
