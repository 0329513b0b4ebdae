"""The use cases under their public names, for Python programs."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from soe_auth.actions import logout as _logout
from soe_auth.actions import status as _status
from soe_auth.actions.get_token import from_environment, from_store
from soe_auth.actions.login import alogin as _alogin
from soe_auth.actions.login import login as _login
from soe_auth.actions.login_if_needed import alogin_if_needed, login_if_needed
from soe_auth.python_api.defaults import (
    given_or_own_store,
    ignore,
    login_io_for,
    open_place,
    require_asyncio,
    settings_for,
)
from soe_auth.settings.settings import find_paths
from soe_auth.storage.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from soe_auth.actions.logout import LogoutResult
    from soe_auth.actions.status import ProfileStatus
    from soe_auth.model.secret import Secret
    from soe_auth.model.token import Token
    from soe_auth.storage import Store


def get_token(
    profile: str | None = None, *, min_ttl: float | None = None, store: Store | None = None
) -> Secret:
    """Return a token that lives for at least `min_ttl` seconds more; never opens a browser.

    SOE_AUTH_TOKEN, when set, is the answer; else the token of the profile, or of the default one.
    `min_ttl` defaults to the setting of that name. `store` is asked in place of the one that the
    settings name. The token shows itself by `.reveal()`.

    Raises LoginRequired if a person is needed, SettingsError, StoreError.
    """
    if access_token := from_environment(os.environ):
        return access_token
    settings = settings_for(profile, min_ttl)
    own = given_or_own_store(settings, store)
    return from_store(settings, own, now=time.time()).access_token


def login(
    profile: str | None = None,
    *,
    site: str | None = None,
    client_id: str | None = None,
    scope: str | None = None,
    if_needed: bool = False,
    min_ttl: float | None = None,
    browser: Callable[[str], bool] | None = None,
    announce: Callable[[str], None] | None = None,
    store: Store | None = None,
) -> Token:
    """Log in with a person and their browser; return the token, which is stored as well.

    `site`, `client_id` and `scope` are written as on the command line and remembered in the same
    way. With `if_needed`, a stored token that lives for `min_ttl` seconds more will do, and of many
    threads, tasks and processes that ask at once one logs in, and all get its token. `browser`
    shows a URL and returns False if it cannot; `announce` tells the person a sentence; by default
    the desktop's browser is used and nothing is told. `store` is used in place of the one that the
    settings name. From a login on, the process writes no core dump. Inside a running event loop, as
    in a notebook, it holds that loop up; `await alogin()` does not.

    Raises SettingsError, LoginError, ServerError, NetworkError, StoreError; with `if_needed`,
    LoginRequired where no browser can be started, or after a login that failed.
    """
    settings = settings_for(profile, min_ttl, site=site, client_id=client_id, scope=scope)
    log_in = login_if_needed if if_needed else _login
    return log_in(settings, login_io_for(settings, store, browser, announce))


async def alogin(
    profile: str | None = None,
    *,
    site: str | None = None,
    client_id: str | None = None,
    scope: str | None = None,
    if_needed: bool = False,
    min_ttl: float | None = None,
    browser: Callable[[str], bool] | None = None,
    announce: Callable[[str], None] | None = None,
    store: Store | None = None,
) -> Token:
    """Do as `login`, on asyncio; raises RuntimeError on another event loop, such as trio."""
    require_asyncio("alogin()")
    settings = settings_for(profile, min_ttl, site=site, client_id=client_id, scope=scope)
    log_in = alogin_if_needed if if_needed else _alogin
    return await log_in(settings, login_io_for(settings, store, browser, announce))


def logout(
    profile: str | None = None, *, local: bool = False, store: Store | None = None
) -> LogoutResult | None:
    """Ask the site to end the profile's token, and remove it from this machine.

    The copy here is kept, and `removed` is False, unless the token is dead; with `local` it goes
    without the site being asked. Returns the token and what the site said; None where there was no
    token. SOE_AUTH_TOKEN plays no part. Works inside a running event loop as well, and holds it up
    for as long as the site takes, ten seconds at most.

    Raises SettingsError, StoreError; LoginRequired where there is no profile at all.
    """
    from soe_auth.site_client.event_loop import run_async

    settings = settings_for(profile)
    stored = open_place(settings, store)
    return run_async(
        _logout.logout(settings.profile, stored, local=local, network=settings.network)
    )


def status(profile: str | None = None, *, store: Store | None = None) -> list[ProfileStatus]:
    """Return the status of every profile, sorted by name, or of the one that is named.

    No site is asked. SOE_AUTH_TOKEN plays no part.

    Raises SettingsError, StoreError; LoginRequired where there is no profile at all.
    """
    files = FileStore(find_paths(os.environ).directory, report=ignore)
    listed = (files if store is None else store).profiles
    now, found = time.time(), []
    for settings in _status.resolve_all(profile, listed, os.environ):
        token = given_or_own_store(settings, store).load(settings.profile)
        _status.require_profile_or_token(settings, token)
        found.append(_status.status_of(settings, token, now))
    return found
