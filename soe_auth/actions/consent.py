"""What a project file asks for is told, and a site that only it names is agreed to first.

A repository comes from anybody. Who has approved the application before is not asked by the site
again, whatever the scope: so this is where a user can see what another person has put into one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from soe_auth.errors import SettingsError
from soe_auth.model.site import VENDOR_DOMAIN

if TYPE_CHECKING:
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings

Ask = Callable[[str], bool]
Tell = Callable[[str], None]


def tell_of_project(
    settings: Settings, stored: Token | None, ask: Ask | None, announce: Tell
) -> None:
    """Say what a project file asks a login for, and return only if that may go on.

    `stored` is the token that the login would replace. Raises SettingsError where it is another
    site's, and as `settle`.
    """
    if asked := settings.project_request:
        announce(asked)
    settle(settings, ask, announce)
    if "site" in settings.from_project and stored and stored.site != settings.site:
        raise SettingsError(
            f"{settings.project} would put a token of {settings.site} in the place of profile"
            f" {settings.profile}'s, which is of {stored.site}.",
            hint="Have it name another profile, or log out of this one first:"
            f" `soe-auth logout -p {settings.profile}`.",
        )


def settle(settings: Settings, ask: Ask | None, announce: Tell) -> None:
    """Return only if there is no doubt about the site, or the user agrees to it.

    `ask` puts a question to the person, whose yes is kept in config.toml; None where there is
    no user to ask. Raises SettingsError for a no.
    """
    doubt = settings.doubt
    if settings.site is None or not doubt:
        return
    outside = f", outside https://*.{VENDOR_DOMAIN}" if settings.only_project else ""
    if ask is None or not ask(f"{doubt}{outside}.\nSign in there? [y/N] "):
        client_id = f" --client-id {settings.client_id}" if settings.client_id else ""
        raise SettingsError(
            f"{doubt}, and you have not agreed to it.",
            hint="If you trust it, name it yourself:"
            f" `soe-auth login --site {settings.site}{client_id}`."
            if settings.only_project
            else "See that its name is right. If you trust it, add it to trusted_sites:"
            " `soe-auth config edit`.",
        )
    from soe_auth.settings.config_writer import add_trusted_site

    try:
        add_trusted_site(settings.paths.config, settings.site)
    except SettingsError as problem:
        announce(f"Your answer was not kept. {problem}")
