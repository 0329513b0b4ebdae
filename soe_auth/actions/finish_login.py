"""The second half of a login: await the answer, redeem it, keep the token, tell everybody.

It loads what is heavy, while the browser is on its way.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from soe_auth.actions.callback import open_callback_sources
from soe_auth.actions.registration import domain
from soe_auth.errors import LoginDenied, LoginTimedOut, SettingsError, SoeAuthError, StoreError
from soe_auth.loopback import pages
from soe_auth.model.duration import in_words
from soe_auth.oauth.authorization import Denied
from soe_auth.oauth.token_endpoint import parse_token_response, token_request_body
from soe_auth.settings.config_writer import remember

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from soe_auth.actions.callback import CallbackSources
    from soe_auth.actions.start_login import LoginIO, PendingAuthorization
    from soe_auth.model.secret import Secret
    from soe_auth.model.token import Token
    from soe_auth.oauth.authorization import AuthorizationRequest
    from soe_auth.settings.resolve import Settings
    from soe_auth.site_client.client import SiteConnection

_PULSE = 0.05  # seconds that the loop of a login sleeps at most
_LOOK = 0.1  # seconds between two looks at whether the browser command has failed
_PATIENCE = 30.0  # seconds after which a word about what may be wrong is welcome
_RETIREMENT = 2.0  # seconds in which the site may end a token that was replaced


async def finish(
    pending: PendingAuthorization,
    settings: Settings,
    effects: LoginIO,
    *,
    patience: float = _PATIENCE,
) -> Token:
    """Await the answer, redeem it, store the token; then tell the person, then the browser.

    Last of all, with the listener closed, the token that was replaced is ended on the site. When
    nothing has come for `patience` seconds, the person is told once what may be wrong.

    Raises LoginError, ServerError, NetworkError, StoreError; the browser has been told by then.
    """
    effects.disable_core_dumps()
    async with AsyncExitStack() as held:
        await held.enter_async_context(_wakeful())
        async with open_callback_sources(pending, effects) as doors:
            try:
                site = await held.enter_async_context(_connected(pending, settings))
                async with _company(pending, settings, effects, patience):
                    code = await _code(doors, settings)
                token = await _redeem(code, pending.request, site, effects)
                old = _stored_before(settings.profile, effects)
                effects.store.save(settings.profile, token)
            except SoeAuthError as problem:
                await doors.show_result(pages.not_signed_in(str(problem), problem.hint))
                raise
            effects.on_stored()
            with suppress(StoreError):  # the token itself is safe; the rest is for comfort
                effects.login_lock.clear_failure(settings.profile)
            token = replace(token, account=await site.account_name(token.access_token))
            lasts = token.describe_expiry(effects.now())
            who = f" as {token.account}" if token.account else ""
            effects.announce(f"Signed in to {token.site.authority}{who}. The token lasts {lasts}.")
            if words := token.lifetime_warning(settings.min_ttl):
                effects.announce(words)
            if old and (words := token.account_warning(old, settings.profile)):
                effects.announce(words)
            _remember(settings, effects)
            await asyncio.gather(
                doors.show_result(pages.signed_in(token.site.authority, token.account, lasts)),
                _store_account(settings.profile, token, effects),
            )
        if old and _is_to_be_ended(old, token, effects.now()):
            await _retire(old, site, effects)
    return token


@asynccontextmanager
async def _wakeful() -> AsyncIterator[None]:
    """Have the loop wake up often, so that it hears Ctrl-C at any moment.

    Python runs the handler of a signal between two of its own steps. One that comes just before the
    loop goes to sleep would not be heard before it wakes: when a name server gives up, for one.
    """

    async def wake_up() -> None:
        while True:  # noqa: ASYNC110  # nobody tells of a signal that is not heard
            await asyncio.sleep(_PULSE)

    pulse = asyncio.create_task(wake_up())
    try:
        yield
    finally:
        pulse.cancel()


@asynccontextmanager
async def _connected(
    pending: PendingAuthorization, settings: Settings
) -> AsyncIterator[SiteConnection]:
    """Make the way to the site ready, so that nothing is left to do when the answer comes."""
    connect = await asyncio.to_thread(_the_way_to_connect)
    async with connect(pending.request.site, network=settings.network) as site:
        await site.warm_up()
        yield site


def _the_way_to_connect() -> Callable[..., AbstractAsyncContextManager[SiteConnection]]:
    """Load what calls the site, in a thread, so that the browser is led on meanwhile."""
    from soe_auth.site_client.client import connect

    return connect


@asynccontextmanager
async def _company(
    pending: PendingAuthorization, settings: Settings, effects: LoginIO, patience: float
) -> AsyncIterator[None]:
    """Tell the person, while they are waited for, what they could not know."""

    async def see_that_the_browser_came_up() -> None:
        while not effects.browser_failed():  # noqa: ASYNC110  # a thread knows, and knows no loop
            await asyncio.sleep(_LOOK)
        effects.request(
            "The browser command ended with an error; open the address yourself:\n"
            f"  {pending.address}"
        )

    async def speak_of_the_domain() -> None:
        await asyncio.sleep(patience)
        effects.announce(
            "Nothing has come back yet. If the site shows an error about redirect_uri,"
            f" {_domain_needed(settings)}."
        )

    tasks = [asyncio.create_task(see_that_the_browser_came_up())]
    tasks.append(asyncio.create_task(speak_of_the_domain()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _code(doors: CallbackSources, settings: Settings) -> Secret:
    try:
        answer = await doors.wait(settings.timeout)
    except TimeoutError:
        raise LoginTimedOut(
            in_words(settings.timeout),
            doors.strays,
            doors.nothing,
            hint=_timed_out_hint(settings),
        ) from None
    if isinstance(answer, Denied):
        raise LoginDenied(answer.code, answer.description)
    return answer.code


def _timed_out_hint(settings: Settings) -> str:
    paste = ", and paste the whole address that it ends at"
    return (
        f"If the site showed an error about redirect_uri, {_domain_needed(settings)};"
        " then start again"
        f"{paste if settings.redirect == 'login_success' else ''}."
    )


def _domain_needed(settings: Settings) -> str:
    """Say which Domain the application on the site needs for this redirect."""
    site, _ = settings.require_site_and_client
    needed = domain(site, settings.redirect, settings.redirect_host)
    return f"the application's Domain there must be {needed}"


async def _redeem(
    code: Secret, request: AuthorizationRequest, site: SiteConnection, effects: LoginIO
) -> Token:
    now = effects.now()
    form = token_request_body(request.client_id, request.redirect_uri, code, request.code_verifier)
    answer = await site.exchange(form)
    token = parse_token_response(
        answer,
        site=request.site,
        client_id=request.client_id,
        scope=request.scope,
        now=now,
        sent=(code, request.code_verifier, request.state),
    )
    if words := token.scope_warning:
        effects.announce(words)
    return token


async def _store_account(profile: str, token: Token, effects: LoginIO) -> None:
    """Store the token again, with whose it is, in a thread: the browser comes for its page."""
    if token.account:
        with suppress(StoreError):
            await asyncio.to_thread(effects.store.save, profile, token)


def _stored_before(profile: str, effects: LoginIO) -> Token | None:
    """Return the token that is about to be replaced; what cannot be read, `save` complains of."""
    with suppress(StoreError):
        return effects.store.load(profile)
    return None


def _is_to_be_ended(old: Token, new: Token, now: float) -> bool:
    """Say whether the site should end the token that was replaced.

    A site may give the same token twice: that one must live. Another site's is not this one's to
    end.
    """
    if old.site != new.site or old.access_token == new.access_token:
        return False
    return not old.has_ended(now)


async def _retire(token: Token, site: SiteConnection, effects: LoginIO) -> None:
    """Ask the site to end a token that was replaced: nobody will log out of it any more.

    The login has succeeded by now: this may take a moment and no more, and may fail.
    """
    from soe_auth.site_client.client import Ending

    ending = await site.invalidate(token.access_token, within=_RETIREMENT)
    words = f"The token that was replaced: {ending.value}."
    if token.expires_at != "never" or ending in {Ending.ENDED, Ending.ALREADY_INVALID}:
        effects.detail(words)
    else:
        effects.announce(
            f"{words} It does not end by itself, so end it by hand:"
            f" sign in at {token.site}, open your avatar, Settings."
        )


def _remember(settings: Settings, effects: LoginIO) -> None:
    """Keep as a profile what flags have said, so that `soe-auth login` alone is enough.

    Where the site is a project file's word, there is nothing that would make a profile without it.
    """
    values = settings.profile_values
    if not settings.from_flags or not (settings.known or "site" in values):
        return
    try:
        changed = remember(settings.paths.config, settings.profile, values)
    except SettingsError as problem:
        effects.announce(f"The profile was not remembered. {problem}")
        return
    if changed:
        effects.announce(f"Remembered as profile {settings.profile}: {settings.paths.config}")
    if settings.scope.no_expiry and "scope" in settings.from_flags:
        effects.announce(
            "A no_expiry token does not end by itself: `soe-auth logout` once you are done with it."
        )
