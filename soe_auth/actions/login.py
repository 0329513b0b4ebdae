"""The story of a login: a person, a browser, a token; and whose turn it is.

Its first half, quick and light, is `start_login`. The second, `finish_login`, is loaded while the
browser is on its way.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING

from soe_auth.actions.start_login import (
    begin,
    open_browser,
    see_that_somebody_may_answer,
    tell_the_way,
)
from soe_auth.errors import LoginBusy, LoginRequired, StoreError
from soe_auth.model.duration import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soe_auth.actions.start_login import LoginIO, PendingAuthorization
    from soe_auth.model.secret import Secret
    from soe_auth.model.token import Token
    from soe_auth.settings.resolve import Settings

_POLL = 0.1  # seconds between two looks at a login lock that another holds


def login(settings: Settings, effects: LoginIO) -> Token:
    """Log in; the browser is sent off before an event loop is even loaded.

    Raises SettingsError, LoginError, ServerError, NetworkError, StoreError.
    """
    with effects.login_lock.acquire(settings.profile):
        return _login(settings, effects)


def login_if_needed(
    settings: Settings, effects: LoginIO, *, refused: Secret | None = None
) -> Token:
    """Return the stored token if it serves, else log in; waits for a login begun elsewhere.

    After a login of this kind that came to no token, the next is held back for a while, growing
    each time: many tools that ask through a night must not fill a screen with tabs. `refused`
    is a token that the site no longer takes: where it is the stored one, that does not serve.
    Raises LoginRequired while held back, else as `login`.
    """
    if token := _stored(settings, effects, refused):
        return token
    with ExitStack() as held:
        for pause in _wait_for_lock(held, settings, effects):
            time.sleep(pause)
        still_stored = _if_still_needed(settings, effects, refused)
        return still_stored or _login(settings, effects, unasked=True)


async def alogin(settings: Settings, effects: LoginIO) -> Token:
    """Log in inside a running event loop. Raises as `login`."""
    with (
        effects.login_lock.acquire(settings.profile),
        _begun(settings, effects) as pending,
    ):
        return await _land(pending, settings, effects)


async def alogin_if_needed(
    settings: Settings, effects: LoginIO, *, refused: Secret | None = None
) -> Token:
    """Do as `login_if_needed` inside a running event loop, which goes on while this waits."""
    import asyncio

    if token := _stored(settings, effects, refused):
        return token
    with ExitStack() as held:
        for pause in _wait_for_lock(held, settings, effects):
            await asyncio.sleep(pause)
        if token := _if_still_needed(settings, effects, refused):
            return token
        pending = held.enter_context(_begun(settings, effects, unasked=True))
        return await _land(pending, settings, effects)


def _login(settings: Settings, effects: LoginIO, *, unasked: bool = False) -> Token:
    with _begun(settings, effects, unasked=unasked) as pending:
        import asyncio

        return asyncio.run(_land(pending, settings, effects))


async def _land(pending: PendingAuthorization, settings: Settings, effects: LoginIO) -> Token:
    """Load the second half, now that the browser is off, and go through it."""
    from soe_auth.actions.finish_login import finish

    return await finish(pending, settings, effects)


@contextmanager
def _begun(
    settings: Settings, effects: LoginIO, *, unasked: bool = False
) -> Iterator[PendingAuthorization]:
    """Begin, send the browser off, and give all back at the end.

    One that nobody asked for is noted as unanswered as soon as somebody may answer it, until there
    is a token: so not even killing it makes room for the next tab.
    """
    login_lock, profile = effects.login_lock, settings.profile
    pending = begin(settings, effects)
    with closing(pending), login_lock.shown_as_waiting(profile, pending.address):
        opened = open_browser(pending, effects)
        if unasked:
            see_that_somebody_may_answer(settings, effects, opened=opened)
            login_lock.record_failure(profile)
        try:
            tell_the_way(pending, settings, effects, opened=opened)
            yield pending
        except BaseException:
            if unasked:
                with suppress(StoreError):
                    login_lock.record_failure(profile, again=True)  # the pause is from now on
            raise


def _wait_for_lock(held: ExitStack, settings: Settings, effects: LoginIO) -> Iterator[float]:
    """Try for the login lock until it is held, yielding the seconds to pause before each new try.

    Raises LoginBusy once that has taken as long as a login may take.
    """
    give_up_at = effects.now() + settings.timeout
    told = False
    while True:
        try:
            held.enter_context(effects.login_lock.acquire(settings.profile))
        except LoginBusy as busy:
            if effects.now() >= give_up_at:
                raise
            if not told:
                where = f" at {busy.address}" if busy.address else ""
                effects.announce(f"Waiting for the login that is under way already{where} …")
                told = True
            yield _POLL
        else:
            return


def _if_still_needed(settings: Settings, effects: LoginIO, refused: Secret | None) -> Token | None:
    """Look again under the lock, as somebody may have been faster. Raises LoginRequired."""
    if token := _stored(settings, effects, refused):
        return token
    if (pause := effects.login_lock.retry_delay(settings.profile)) > 0:
        raise LoginRequired(
            f"The last login to profile {settings.profile} came to no token, so none is started by"
            f" itself for {in_words(pause)}; type `{settings.login_command}`."
        )
    return None


def _stored(settings: Settings, effects: LoginIO, refused: Secret | None) -> Token | None:
    site, client_id = settings.require_site_and_client
    token = effects.store.load(settings.profile)
    if token is None or token.access_token == refused:
        return None
    if token.why_unusable(
        site,
        client_id,
        settings.scope,
        min_ttl=token.effective_min_ttl(settings.min_ttl),
        now=effects.now(),
    ):
        return None
    effects.announce(
        f"Signed in to {site.authority} already."
        f" The token lasts {token.describe_expiry(effects.now())}."
    )
    if words := token.lifetime_warning(settings.min_ttl):
        effects.announce(words)
    return token
