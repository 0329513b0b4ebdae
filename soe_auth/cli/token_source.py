"""Where a command has its token from: the environment, else the store, else a login if asked."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
from soe_auth.model.secret import no_core_dumps
from soe_auth.settings import TOKEN_VARIABLE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings

_POLL = 0.5  # seconds between two looks for a user's login


@dataclass(frozen=True, slots=True)
class TokenSource:
    """A token, and what is known of it; of one that the environment gave, nothing is."""

    access_token: Secret
    settings: Settings | None = None
    token: Token | None = None


def find_token(
    args: argparse.Namespace,
    console: Console,
    *,
    login: bool = False,
    at_once: Callable[[TokenSource], None] | None = None,
) -> TokenSource:
    """Return a token that serves; with `login`, a person is asked for one if that is needed.

    `at_once` is given the token of a login as soon as it is safe, while the rest of the login is
    still under way, and only if nothing is in the way of that.
    Raises LoginRequired if a person is needed, SettingsError, StoreError, and what a login raises.
    """
    if access_token := from_environment(console.environ):
        no_core_dumps()
        return TokenSource(access_token)
    with _advising_a_job(console):
        settings = resolve_settings(args, console)
        try:
            return stored(settings, console)
        except LoginRequired:
            if not login:
                raise
    from soe_auth.actions.login_if_needed import login_if_needed
    from soe_auth.cli.login_io import login_io

    def hand_over() -> None:
        if at_once:
            with suppress(SoeAuthError, OSError):  # which is for the end of the login to tell
                at_once(stored(settings, Console(console.environ, quiet=True)))

    io = login_io(settings, console, accelerate=args.accelerate, on_stored=hand_over)
    login_if_needed(settings, io)
    # A new token may fall short, too, of what was asked for.
    return stored(settings, console)


def find_site(args: argparse.Namespace, console: Console) -> tuple[Site, Settings]:
    """Return the site that the token of `find_token` is for, and the settings.

    Raises SettingsError where nothing says it, or a project file alone says it of SOE_AUTH_TOKEN;
    LoginRequired.
    """
    if not console.environ.get(TOKEN_VARIABLE):
        with _advising_a_job(console):
            settings = resolve_settings(args, console)
            return settings.require_site_and_client[0], settings
    try:
        settings = resolve_settings(args, console)
    except LoginRequired:  # there is no profile
        raise no_site_of_environment() from None
    if site := site_of_environment(settings):
        return site, settings
    raise no_site_of_environment()


@contextmanager
def _advising_a_job(console: Console) -> Iterator[None]:
    """Have an error end with what to do in a CI job, if this is one."""
    try:
        yield
    except (LoginRequired, SettingsError) as missing:
        if job := ci_job(console.environ):
            advice = f"This is {job}: give it a token in SOE_AUTH_TOKEN."
            missing.hint = f"{missing.hint} {advice}".strip()
        raise


def wait_for_token(args: argparse.Namespace, console: Console, span: float) -> TokenSource:
    """Return a valid token, once a user has logged in; wait for `span` seconds at most.

    Raises LoginRequired if no user has by then, SettingsError, StoreError.
    """
    try:
        return find_token(args, console)
    except LoginRequired as missing:
        console.error(f"{missing} Waiting for that, {in_words(span)} at most …")
    quiet = Console(console.environ, quiet=True)  # what is odd about the settings is told already
    return retry_until(lambda: stored(resolve_settings(args, quiet), console), span)


def retry_until(
    look: Callable[[], TokenSource],
    span: float,
    *,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> TokenSource:
    """Look again and again, for `span` seconds; return what is found, or raise LoginRequired."""
    give_up_at = now() + span
    while True:
        try:
            return look()
        except LoginRequired:
            left = give_up_at - now()
            if left <= 0:
                raise
        pause(min(_POLL, left))


def stored(settings: Settings, console: Console) -> TokenSource:
    """Return the stored token, if it is valid for the settings. Raises LoginRequired, StoreError.

    From then on the process writes no core dump; before, it may still start a browser, which would
    inherit that.
    """
    now = time.time()
    token = from_store(settings, open_profile_store(settings, console), now=now)
    no_core_dumps()
    for warning in token.warnings(now):
        console.detail(warning)
    return TokenSource(token.access_token, settings, token)
