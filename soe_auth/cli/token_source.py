"""Find the token for a command: in the environment, else in the store, else by a login."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from soe_auth.actions.get_token import (
    from_environment,
    from_store,
    no_site_of_environment,
    site_of_environment,
)
from soe_auth.cli.console import Console
from soe_auth.cli.options import open_profile_store, resolve_settings
from soe_auth.desktop.detect import ci_job
from soe_auth.errors import LoginRequired, SettingsError, SoeAuthError
from soe_auth.model.duration import in_words
from soe_auth.model.secret import disable_core_dumps
from soe_auth.settings import TOKEN_VARIABLE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings

_POLL = 0.5  # seconds between two checks for a user's login


@dataclass(frozen=True, slots=True)
class TokenSource:
    """An access token, with its facts; these are None for SOE_AUTH_TOKEN."""

    access_token: Secret
    settings: Settings | None = None
    token: Token | None = None


def find_token(
    args: argparse.Namespace,
    console: Console,
    *,
    login: bool = False,
    on_stored: Callable[[TokenSource], None] | None = None,
) -> TokenSource:
    """Return a valid token; with `login`, start a login if there is none.

    `on_stored` is called with the token of a login as soon as it is stored, while the login looks
    up the account; not if that fails. Raises LoginRequired if a user is needed, SettingsError,
    StoreError, and the errors of a login.
    """
    if access_token := from_environment(console.environ):
        disable_core_dumps()
        return TokenSource(access_token)
    with _ci_hint(console):
        settings = resolve_settings(args, console)
        try:
            return stored_token(settings, console)
        except LoginRequired:
            if not login:
                raise
    from soe_auth.actions.login_if_needed import login_if_needed
    from soe_auth.cli.terminal_io import login_io

    def notify() -> None:
        if on_stored:
            with suppress(SoeAuthError, OSError):  # the end of the login reports it
                on_stored(stored_token(settings, Console(console.environ, quiet=True)))

    io = login_io(settings, console, on_stored=notify)
    # The error of stored_token has the warning, too.
    login_if_needed(settings, replace(io, warn_of_lifetime=False))
    return stored_token(settings, console)  # even a new token may not be valid for the settings


def find_site(args: argparse.Namespace, console: Console) -> tuple[Site, Settings]:
    """Return the site that the token of `find_token` is for, and the settings.

    Raises LoginRequired; SettingsError if no site is set, or if a project file alone names one for
    SOE_AUTH_TOKEN.
    """
    if not console.environ.get(TOKEN_VARIABLE):
        with _ci_hint(console):
            settings = resolve_settings(args, console)
            return settings.require_site_and_client()[0], settings
    try:
        settings = resolve_settings(args, console)
    except LoginRequired:  # there is no profile
        raise no_site_of_environment() from None
    return site_of_environment(settings), settings


@contextmanager
def _ci_hint(console: Console) -> Iterator[None]:
    """In a CI job, add to an error's hint what to do there."""
    try:
        yield
    except (LoginRequired, SettingsError) as error:
        if job := ci_job(console.environ):
            error.hint = f"{error.hint} This is {job}: give it a token in SOE_AUTH_TOKEN.".strip()
        raise


def wait_for_token(args: argparse.Namespace, console: Console, timeout: float) -> TokenSource:
    """Return a valid token; wait up to `timeout` seconds until a user has logged in.

    Raises LoginRequired if no user has by then, SettingsError, StoreError.
    """
    try:
        return find_token(args, console)
    except LoginRequired as missing:
        console.error(f"{missing} Waiting up to {in_words(timeout)} for a login …")
    quiet = Console(console.environ, quiet=True)  # warnings about settings are printed already
    return retry_until(lambda: stored_token(resolve_settings(args, quiet), console), timeout)


def retry_until(
    look: Callable[[], TokenSource],
    timeout: float,
    *,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> TokenSource:
    """Call `look` until it returns a token; after `timeout` seconds raise its LoginRequired."""
    give_up_at = now() + timeout
    while True:
        try:
            return look()
        except LoginRequired:
            left = give_up_at - now()
            if left <= 0:
                raise
        pause(min(_POLL, left))


def stored_token(settings: Settings, console: Console) -> TokenSource:
    """Return the stored token, if it is valid for the settings. Raises LoginRequired, StoreError.

    It disables core dumps, but not earlier: a browser started before would inherit that.
    """
    now = time.time()
    token = from_store(settings, open_profile_store(settings, console), now=now)
    disable_core_dumps()
    for warning in token.warnings(now):
        console.detail(warning)
    return TokenSource(token.access_token, settings, token)
