"""Log in unless there is a valid token; wait for another process that logs in already."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from soe_auth.actions.login import finish_login, start_login
from soe_auth.errors import LoginBusy, LoginRequired
from soe_auth.model.duration import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soe_auth.actions.login_io import LoginIO
    from soe_auth.model.secret import Secret
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings

_LOCK_POLL = 0.1  # seconds


def login_if_needed(settings: Settings, io: LoginIO, *, refused: Secret | None = None) -> Token:
    """Return the stored token if it is valid for long enough, else log in.

    Waits for another process's login to the same profile. After a failed automatic login, the next
    one is delayed, longer each time, so that unattended jobs open few tabs. `refused` is a token
    that the site refused: it is not returned again.
    Raises LoginRequired during that delay, else as `login`.
    """
    if token := _valid_token(settings, io, refused):
        return token
    with ExitStack() as stack:
        for pause in _wait_for_lock(stack, settings, io):
            time.sleep(pause)
        if token := _valid_token_under_lock(settings, io, refused):
            return token
        pending = stack.enter_context(start_login(settings, io, automatic=True))
        from soe_auth.site_client.event_loop import run_async

        return run_async(finish_login(pending, settings, io))


async def alogin_if_needed(
    settings: Settings, io: LoginIO, *, refused: Secret | None = None
) -> Token:
    """Run `login_if_needed` inside a running event loop, without blocking it."""
    import asyncio

    if token := _valid_token(settings, io, refused):
        return token
    with ExitStack() as stack:
        for pause in _wait_for_lock(stack, settings, io):
            await asyncio.sleep(pause)
        if token := _valid_token_under_lock(settings, io, refused):
            return token
        pending = stack.enter_context(start_login(settings, io, automatic=True))
        return await finish_login(pending, settings, io)


def _wait_for_lock(stack: ExitStack, settings: Settings, io: LoginIO) -> Iterator[float]:
    """Try to acquire the login lock; yield the seconds to pause before each new try.

    Raises LoginBusy after the timeout of a login.
    """
    waited = 0.0  # not by a clock, which may be set back meanwhile
    while True:
        try:
            stack.enter_context(io.login_lock.acquire(settings.profile))
        except LoginBusy as busy:
            if waited >= settings.timeout:
                raise
            if not waited:
                where = f" at {busy.address}" if busy.address else ""
                io.announce(f"Waiting for another login in progress{where} …")
            waited += _LOCK_POLL
            yield _LOCK_POLL
        else:
            return


def _valid_token_under_lock(
    settings: Settings, io: LoginIO, refused: Secret | None
) -> Token | None:
    """Look again, as another process may have logged in. Raises LoginRequired."""
    if token := _valid_token(settings, io, refused):
        return token
    if (delay := io.login_lock.retry_delay(settings.profile)) > 0:
        raise LoginRequired(
            f"The last automatic login to profile {settings.profile} failed; the next is allowed in"
            f" {in_words(delay)}. To log in now, type `{settings.login_command}`."
        )
    return None


def _valid_token(settings: Settings, io: LoginIO, refused: Secret | None) -> Token | None:
    """Return the stored token, and announce it, if it is valid for `min_ttl` more."""
    site, client_id = settings.require_site_and_client()
    token = io.store.load(settings.profile)
    if token is None or token.access_token == refused:
        return None
    min_ttl = token.effective_min_ttl(settings.min_ttl)
    if token.why_unusable(site, client_id, settings.scope, min_ttl=min_ttl, now=io.now()):
        return None
    io.announce(
        f"Already signed in to {site.authority}, profile {settings.profile}."
        f" The token is valid {token.describe_expiry(io.now())}."
    )
    if io.warn_of_lifetime and (warning := token.lifetime_warning(settings.min_ttl)):
        io.announce(warning)
    return token
