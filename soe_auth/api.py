"""The stories under their public names, for Python programs."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from soe_auth import access, signin
from soe_auth.browser import launch, recognise
from soe_auth.errors import LoginError
from soe_auth.sendoff import Effects
from soe_auth.settings import resolve
from soe_auth.store.file import FileStore
from soe_auth.store.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from soe_auth.secret import Secret
    from soe_auth.settings import Settings
    from soe_auth.store import Store
    from soe_auth.tokens import Token


def get_token(profile: str | None = None, *, min_ttl: float | None = None) -> Secret:
    """Return a token that lives for at least `min_ttl` seconds more; never opens a browser.

    SOE_AUTH_TOKEN, when set, is the answer; else the token of the profile, or of the default one.
    `min_ttl` defaults to the setting of that name. The token shows itself by `.reveal()`.

    Raises LoginRequired if a person is needed, SettingsError, StoreError.
    """
    if access_token := access.from_environment(os.environ):
        return access_token
    settings = _settings(profile, min_ttl)
    return access.from_store(settings, _store(settings, _ignore), now=time.time()).access_token


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
) -> Token:
    """Log in with a person and their browser; return the token, which is stored as well.

    `site`, `client_id` and `scope` are written as on the command line and remembered in the same
    way. With `if_needed`, a stored token that lives for `min_ttl` seconds more will do, and of many
    threads, tasks and processes that ask at once one logs in, and all get its token. `browser`
    shows a URL and returns False if it cannot; `announce` tells the person a sentence; by default
    the desktop's browser is used and nothing is told. From a login on, the process writes no core
    dump.

    Raises SettingsError, LoginError, ServerError, NetworkError, StoreError; with `if_needed`,
    LoginRequired where no browser can be started, or after a login that came to no token;
    RuntimeError inside a running event loop, where `alogin` is the one to await.
    """
    _refuse_inside_a_loop()
    settings = _settings(profile, min_ttl, site=site, client_id=client_id, scope=scope)
    log_in = signin.login_if_needed if if_needed else signin.login
    return log_in(settings, _effects(settings, browser, announce))


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
) -> Token:
    """Do as `login`, inside a running event loop."""
    settings = _settings(profile, min_ttl, site=site, client_id=client_id, scope=scope)
    log_in = signin.alogin_if_needed if if_needed else signin.alogin
    return await log_in(settings, _effects(settings, browser, announce))


def _refuse_inside_a_loop() -> None:
    """Raise RuntimeError before a browser is opened for a login that asyncio would not run."""
    if asyncio := sys.modules.get("asyncio"):
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise RuntimeError("login() cannot run inside an event loop; await alogin() instead")


def _settings(profile: str | None, min_ttl: float | None, **given: str | None) -> Settings:
    flags = {key: value for key, value in given.items() if value is not None}
    if min_ttl is not None:
        flags["min_ttl"] = f"{max(0, round(min_ttl))}s"
    return resolve(flags, profile=profile)


def _effects(
    settings: Settings,
    browser: Callable[[str], bool] | None,
    announce: Callable[[str], None] | None,
) -> Effects:
    codes: list[int] = []

    def show(url: str) -> bool:
        shown = launch(url, settings.browser, os.environ, codes.append)
        if not shown and announce is None:
            raise LoginError(
                "No browser could be started, and there is nobody to tell the address to.",
                hint="Pass announce=print, or a browser of your own.",
            )
        return shown

    tell = announce or _ignore
    return Effects(
        store=_store(settings, tell),
        turns=Turns(settings.paths.directory, report=tell),
        announce=tell,
        request=tell,
        detail=_ignore,
        browser=browser or show,
        browser_failed=lambda: any(codes),
        place=recognise(os.environ),
    )


def _store(settings: Settings, report: Callable[[str], None]) -> Store:
    return FileStore(settings.paths.directory, report=report)


def _ignore(_sentence: str) -> None:
    pass
