"""What a call from Python stands on where its arguments say nothing: settings, store, effects."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from soe_auth.actions.login_io import system_login_io
from soe_auth.errors import LoginError
from soe_auth.settings.resolve import resolve
from soe_auth.storage import find_store_kind, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from soe_auth.actions.login_io import LoginIO
    from soe_auth.settings.settings import Settings
    from soe_auth.storage import Store


def ignore(_sentence: str) -> None:
    """Tell nothing."""


def settings_for(
    profile: str | None, min_ttl: float | None = None, **given: str | None
) -> Settings:
    """Resolve the settings; what is given counts as a flag. Raises as `resolve` does."""
    flags = {key: value for key, value in given.items() if value is not None}
    if min_ttl is not None:
        flags["min_ttl"] = f"{max(0, round(min_ttl))}s"
    return resolve(flags, profile=profile)


def given_or_own_store(settings: Settings, given: Store | None) -> Store:
    """Return the store that was given, or else open the one that the settings name."""
    if given is not None:
        return given
    return open_store(settings.paths.directory, settings.store, report=ignore)


def open_place(settings: Settings, given: Store | None) -> Store:
    """Return the store that was given, or else open the one that has the token now."""
    if given is not None:
        return given
    directory = settings.paths.directory
    place = find_store_kind(directory, settings.profile, report=ignore)
    return open_store(directory, place, report=ignore, user_present=True)


def require_asyncio(what: str) -> None:
    """Raise RuntimeError, which says what works, where no asyncio loop is running, as on trio."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            f"{what} needs asyncio; on trio, use the sync one in trio.to_thread.run_sync()"
        ) from None


def login_io_for(
    settings: Settings,
    store: Store | None,
    browser: Callable[[str], bool] | None,
    announce: Callable[[str], None] | None,
) -> LoginIO:
    """Return what a login does to the world; a LoginError comes where no user could see it."""
    io = system_login_io(settings, os.environ, announce or ignore, store)
    show = browser or io.open_browser

    def show_or_raise(url: str) -> bool:
        if show and show(url):
            return True
        raise LoginError(
            "No browser could be started, and there is no user to tell the address to.",
            hint="Pass announce=print, or a browser of your own.",
        )

    return replace(io, open_browser=show if browser or announce else show_or_raise)
