"""Get a token without a login: from the environment or the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.errors import LoginRequired, SettingsError
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
    """Return the token in SOE_AUTH_TOKEN, or None. Raises SettingsError."""
    if not environ.get(TOKEN_VARIABLE):
        return None
    try:
        return Secret(visible_ascii(environ[TOKEN_VARIABLE]))
    except ValueError as problem:
        raise SettingsError(
            f"Cannot use {TOKEN_VARIABLE}: {problem}.",
            hint="Set it to the token alone, or unset it.",
        ) from None


def site_of_environment(settings: Settings) -> Site:
    """Return the site of the token in SOE_AUTH_TOKEN.

    Raises SettingsError if no setting names it, or only a project file does: project files are
    untrusted, and unlike a stored token, this one is not bound to a site.
    """
    if settings.only_project:
        raise no_site_of_environment(f"only {settings.project} says which site it is for")
    if settings.site is None:
        raise no_site_of_environment()
    return settings.site


def no_site_of_environment(reason: str = "no setting says which site it is for") -> SettingsError:
    """Return the error for a token in SOE_AUTH_TOKEN whose site is not known."""
    return SettingsError(f"Cannot use {TOKEN_VARIABLE}: {reason}.", hint="Set SOE_AUTH_SITE too.")


def from_store(settings: Settings, store: Store, *, now: float) -> Token:
    """Return the profile's token if it is valid for these settings and for `min_ttl`.

    Takes no lock. Raises LoginRequired; its message says what to type.
    """
    site, client_id = settings.require_site_and_client()
    token = store.load(settings.profile)
    if token is None:
        raise LoginRequired(
            f"Profile {settings.profile} has no token; type `{settings.login_command}`."
        )
    problem = token.why_unusable(site, client_id, settings.scope, min_ttl=settings.min_ttl, now=now)
    if problem is None:
        return token
    is_same = (token.site, token.client_id, token.scope) == (site, client_id, settings.scope)
    if not is_same and settings.from_project:
        problem += f" than {settings.project} requests"
    message = f"The token of profile {settings.profile} {problem}"
    warning = token.lifetime_warning(settings.min_ttl)
    if is_same and warning and token.remaining(now) > 0:  # a new token would not help
        raise LoginRequired(f"{message}. {warning}")
    raise LoginRequired(f"{message}; type `{settings.login_command}`.")
