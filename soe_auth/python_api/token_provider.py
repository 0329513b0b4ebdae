"""The story of a token that goes with a program's requests, whatever client sends them.

It holds no token: each request asks the store, and so sees at once what another process has done.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from soe_auth.actions.consent import require_consent
from soe_auth.actions.get_token import (
    from_environment,
    from_store,
    no_site_of_environment,
    site_of_environment,
)
from soe_auth.actions.login_if_needed import alogin_if_needed, login_if_needed
from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.oauth.bearer import belongs_to, is_fresh
from soe_auth.python_api.defaults import (
    given_or_own_store,
    ignore,
    login_io_for,
    require_asyncio,
    settings_for,
)
from soe_auth.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from soe_auth.actions.login_io import LoginIO
    from soe_auth.model.secret import Secret
    from soe_auth.oauth.bearer import Origin
    from soe_auth.storage import Store


class Options(TypedDict, total=False):
    """What may be said of where tokens come from; each has the meaning that it has for `login`.

    `login` True has a person log in where that is needed, one for all who ask at once.
    """

    min_ttl: float | None
    login: bool
    store: Store | None
    browser: Callable[[str], bool] | None
    announce: Callable[[str], None] | None


@dataclass(frozen=True, slots=True)
class TokenProvider:
    """Gives the token of a profile to requests that go to its site, from any thread or task."""

    profile: str | None = None
    min_ttl: float | None = None
    login: bool = False
    store: Store | None = None
    browser: Callable[[str], bool] | None = None
    announce: Callable[[str], None] | None = None

    def token_for(self, origin: Origin, refused: Secret | None = None) -> Secret | None:
        """Return the token that a request to this origin may carry; None if it may carry none.

        After a 401, `refused` is the token that was sent: None then says that there is no other.
        Raises LoginRequired if a person is needed, SettingsError, StoreError; with `login`, what a
        login raises.
        """
        found = self._look(origin, refused)
        if isinstance(found, Settings):
            effects = self._effects(found)
            return login_if_needed(found, effects, refused=refused).access_token
        return found

    async def atoken_for(self, origin: Origin, refused: Secret | None = None) -> Secret | None:
        """Do as `token_for`, on asyncio; the loop goes on while a store takes its time."""
        require_asyncio("An async client with a token of soe-auth")
        import asyncio

        found = await asyncio.to_thread(self._look, origin, refused)
        if isinstance(found, Settings):
            effects = self._effects(found)
            return (await alogin_if_needed(found, effects, refused=refused)).access_token
        return found

    def _look(self, origin: Origin, refused: Secret | None) -> Secret | Settings | None:
        """Find the token; where a login is needed and wanted, return the settings for it."""
        given = from_environment(os.environ)
        settings = settings_for(self.profile, self.min_ttl)
        site = site_of_environment(settings) if given else settings.require_site_and_client[0]
        if site is None:
            raise no_site_of_environment()
        if not belongs_to(origin, site):
            return None
        # httpx and requests let a header follow a redirect from there to https on port 443.
        if site.scheme == "http" and site.port is None:
            raise SettingsError(
                f"{site} may lead a client to https://{site.host} with the token.",
                hint="Have it listen at another port than 80.",
            )
        require_consent(settings, None, ignore)
        if given:
            return None if given == refused else given
        now = time.time()
        try:
            token = from_store(settings, given_or_own_store(settings, self.store), now=now)
        except LoginRequired:
            if self.login:
                return settings
            if refused:
                return None
            raise
        if token.access_token != refused:
            return token.access_token
        is_no_cure = token.scope.is_for_team or is_fresh(token.obtained_at, now)
        return settings if self.login and not is_no_cure else None

    def _effects(self, settings: Settings) -> LoginIO:
        return login_io_for(settings, self.store, self.browser, self.announce)
