"""Where a command has its token from: the environment, else the store, else a login if asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soe_auth import access
from soe_auth.cli.console import Console
from soe_auth.cli.options import open_store, resolve_settings
from soe_auth.duration import in_words
from soe_auth.errors import LoginRequired

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from soe_auth.secret import Secret
    from soe_auth.settings import Settings
    from soe_auth.tokens import Token

_POLL = 0.5  # seconds between two looks for a login that somebody is waited for


@dataclass(frozen=True, slots=True)
class Supply:
    """A token, and what is known of it; of one that the environment gave, nothing is."""

    access_token: Secret
    profile: str | None = None
    token: Token | None = None


def supply(args: argparse.Namespace, console: Console, *, login: bool = False) -> Supply:
    """Return a token that serves; with `login`, a person is asked for one if that is needed.

    Raises LoginRequired if a person is needed, SettingsError, StoreError, and what a login raises.
    """
    if access_token := access.from_environment(console.environ):
        return Supply(access_token)
    settings = resolve_settings(args, console)
    try:
        return _stored(settings, console)
    except LoginRequired:
        if not login:
            raise
    from soe_auth.cli.effects import login_effects
    from soe_auth.signin import login_if_needed

    login_if_needed(settings, login_effects(settings, console))
    # A new token may fall short, too, of what was asked for.
    return _stored(settings, console)


def await_supply(args: argparse.Namespace, console: Console, span: float) -> Supply:
    """Return a token that serves, once somebody has logged in; wait for `span` seconds at most.

    Raises LoginRequired if nobody has by then, SettingsError, StoreError.
    """
    try:
        return supply(args, console)
    except LoginRequired as missing:
        console.error(f"{missing} Waiting for that, {in_words(span)} at most …")
    quiet = Console(console.environ, quiet=True)  # what is odd about the settings is told already
    return look_until(lambda: _stored(resolve_settings(args, quiet), console), span)


def look_until(
    look: Callable[[], Supply],
    span: float,
    *,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Supply:
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


def _stored(settings: Settings, console: Console) -> Supply:
    now = time.time()
    token = access.from_store(settings, open_store(settings, console), now=now)
    for warning in token.warnings(now):
        console.detail(warning)
    return Supply(token.access_token, settings.profile, token)
