"""Consent: report what a project file requests, and ask before its site is used.

Project files are untrusted. A site does not ask again once a user has approved the application,
even for a wider scope, so here the user sees what the file requests.
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
Report = Callable[[str], None]


def review_project_request(
    settings: Settings, stored: Token | None, ask: Ask | None, report: Report
) -> None:
    """Report what the project file requests, and check that the login may continue.

    `stored` is the token that the login would replace. Raises SettingsError if that token is for
    another site, and as `require_consent`.
    """
    if request := settings.project_request:
        report(request)
    require_consent(settings, ask, report)
    if "site" in settings.from_project and stored and stored.site != settings.site:
        raise SettingsError(
            f"{settings.project} would replace the token of profile {settings.profile} for"
            f" {stored.site} by one for {settings.site}.",
            hint="Name another profile in that file, or log out of this one first:"
            f" `soe-auth logout -p {settings.profile}`.",
        )


def require_consent(settings: Settings, ask: Ask | None, report: Report) -> None:
    """Ask for consent to the site unless it is trusted, and store the consent.

    `ask` is None if there is no user. Raises SettingsError without consent.
    """
    if settings.site is None or not settings.doubt:
        return
    outside = f", outside https://*.{VENDOR_DOMAIN}" if settings.only_project else ""
    if ask is None or not ask(f"{settings.doubt}{outside}.\nSign in there? [y/N] "):
        raise settings.untrusted_site("soe-auth login")
    from soe_auth.settings.config_writer import add_trusted_site

    try:
        add_trusted_site(settings.paths.config, settings.site)
    except SettingsError as problem:
        report(f"Cannot store your consent: {problem}")
