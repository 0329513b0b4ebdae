"""The public functions for Python programs, and the defaults of their arguments."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from soe_auth.actions import logout as logout_action
from soe_auth.actions import status as status_action
from soe_auth.actions.get_token import from_environment, from_store
from soe_auth.actions.login import alogin as alogin_once
from soe_auth.actions.login import login as login_once
from soe_auth.actions.login_if_needed import alogin_if_needed, login_if_needed
from soe_auth.actions.login_io import system_login_io
from soe_auth.errors import LoginError
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.resolve import choose_profile, find_network, resolve
from soe_auth.settings.settings import find_paths
from soe_auth.storage import find_store_kind, open_store
from soe_auth.storage.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from soe_auth.actions.login_io import LoginIO
    from soe_auth.actions.logout import LogoutResult
    from soe_auth.actions.status import ProfileStatus
    from soe_auth.model.secret import Secret
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings
    from soe_auth.storage import Store


def get_token(
    profile: str | None = None, *, min_ttl: float | None = None, store: Store | None = None
) -> Secret:
    """Return a token that is valid for at least `min_ttl` more seconds; never open a browser.

    SOE_AUTH_TOKEN is returned if it is set, else the token of the profile, or of the default one.
    `min_ttl` defaults to its setting, `store` to the store of the settings. `.reveal()` returns
    the token as text.

    Raises LoginRequired if a user has to log in, SettingsError, StoreError.
    """
    if access_token := from_environment(os.environ):
        return access_token
    settings = settings_for(profile, min_ttl)
    return from_store(settings, store_for(settings, store), now=time.time()).access_token


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
    """Log in with a user and their browser; store the token and return it.

    `site`, `client_id` and `scope` are as on the command line, and remembered in the same way. With
    `if_needed`, a stored token that is valid for `min_ttl` more seconds is returned; of many
    threads, tasks and processes at once, one logs in and all get its token. `browser` opens a URL
    and returns False if it cannot; `announce` shows a sentence to the user. By default, the
    desktop's browser is used and nothing is shown. `store` defaults to the store of the settings.
    After a login has begun, the process writes no core dump. Inside a running event loop, as in a
    notebook, this blocks the loop; `await alogin()` does not.

    Raises SettingsError, LoginError, ServerError, NetworkError, StoreError; with `if_needed`,
    LoginRequired if no browser can be started, or after a login that failed.
    """
    settings = settings_for(profile, min_ttl, site=site, client_id=client_id, scope=scope)
    log_in = login_if_needed if if_needed else login_once
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
    """Log in as `login` does, on asyncio; raise RuntimeError on another event loop, as of trio."""
    require_asyncio("alogin()")
    settings = settings_for(profile, min_ttl, site=site, client_id=client_id, scope=scope)
    log_in = alogin_if_needed if if_needed else alogin_once
    return await log_in(settings, login_io_for(settings, store, browser, announce))


def logout(
    profile: str | None = None, *, local: bool = False, store: Store | None = None
) -> LogoutResult | None:
    """Revoke the profile's token on the site, and remove it from this machine.

    Unless the site confirms that the token is invalid, the token is not removed, and `removed` is
    False. With `local`, it is removed and the site is not contacted. Returns the token and the
    site's answer; None if there was no token. SOE_AUTH_TOKEN is ignored. Inside a running event
    loop, this blocks the loop for at most ten seconds.

    Raises SettingsError, StoreError; LoginRequired if there is no profile at all.
    """
    from soe_auth.site_client.event_loop import run_async

    # Other invalid settings do not prevent the logout of a named profile.
    configs = read_config_files(os.environ, tolerant=profile is not None)
    name = choose_profile(os.environ, profile, configs=configs)
    network = find_network(name, os.environ, configs)
    if store is None:
        directory = find_paths(os.environ).directory
        kind = find_store_kind(directory, name, report=ignore)
        store = open_store(directory, kind, report=ignore, user_present=True)
    return run_async(logout_action.logout(name, store, local=local, network=network))


def status(profile: str | None = None, *, store: Store | None = None) -> list[ProfileStatus]:
    """Return the status of every profile, sorted by name, or of the named one.

    No site is contacted. SOE_AUTH_TOKEN is ignored.

    Raises SettingsError, StoreError; LoginRequired if there is no profile at all.
    """
    files = FileStore(find_paths(os.environ).directory, report=ignore)
    listed = (files if store is None else store).profiles
    now, found = time.time(), []
    for settings in status_action.resolve_all(profile, listed, os.environ):
        token = store_for(settings, store).load(settings.profile)
        status_action.require_profile_or_token(settings, token)
        found.append(status_action.status_of(settings, token, now))
    return found


def ignore(_sentence: str) -> None:
    """Report nothing."""


def settings_for(
    profile: str | None, min_ttl: float | None = None, **options: str | None
) -> Settings:
    """Resolve the settings, with the options as flags. Raises as `resolve` does."""
    flags = {key: value for key, value in options.items() if value is not None}
    if min_ttl is not None:
        flags["min_ttl"] = f"{max(min_ttl, 0):.0f}s"
    return resolve(flags, profile=profile)


def store_for(settings: Settings, store: Store | None) -> Store:
    """Return the caller's own store, or open the one of the settings."""
    if store is not None:
        return store
    return open_store(settings.paths.directory, settings.store, report=ignore)


def require_asyncio(caller: str) -> None:
    """Raise RuntimeError with a remedy if no asyncio loop is running, as on trio."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            f"{caller} needs asyncio; on trio, use the sync one in trio.to_thread.run_sync()"
        ) from None


def login_io_for(
    settings: Settings,
    store: Store | None,
    browser: Callable[[str], bool] | None,
    announce: Callable[[str], None] | None,
) -> LoginIO:
    """Return the I/O of a login, which raises LoginError if no user can see its URL."""
    io = system_login_io(settings, os.environ, announce or ignore, store)
    show = browser or io.open_browser

    def show_or_raise(url: str) -> bool:
        if show and show(url):
            return True
        raise LoginError(
            "Cannot start a browser, and there is no user to show the address to.",
            hint="Pass announce=print, or a browser of your own.",
        )

    return replace(io, open_browser=show if browser or announce else show_or_raise)
