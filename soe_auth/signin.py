"""The story of a login: a person, a browser, a token.

Its first half, quick and light, is `sendoff`. The second, `finish`, loads what is heavy while the
browser is on its way.
"""

from __future__ import annotations

import time
from contextlib import (
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
    suppress,
)
from dataclasses import replace
from typing import TYPE_CHECKING

from soe_auth.duration import in_words
from soe_auth.errors import (
    LoginBusy,
    LoginDenied,
    LoginRequired,
    LoginTimedOut,
    SettingsError,
    SoeAuthError,
    StoreError,
)
from soe_auth.profiles import remember
from soe_auth.protocol import Denied
from soe_auth.redeem import read_answer, redeem_form
from soe_auth.sendoff import (
    begin,
    company,
    domain_needed,
    open_browser,
    see_that_somebody_may_answer,
    tell_the_way,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from soe_auth.doors import Doors
    from soe_auth.exchange import SiteConnection
    from soe_auth.protocol import AuthorizationRequest
    from soe_auth.secret import Secret
    from soe_auth.sendoff import Effects, Pending
    from soe_auth.settings import Settings
    from soe_auth.tokens import Token

_POLL = 0.1  # seconds between two looks at a login lock that another holds
_PULSE = 0.05  # seconds that the loop of a login sleeps at most
_PATIENCE = 30.0  # seconds after which a word about what may be wrong is welcome
_RETIREMENT = 2.0  # seconds in which the site may end a token that was replaced


def login(settings: Settings, effects: Effects) -> Token:
    """Log in; the browser is sent off before an event loop is even loaded.

    Raises SettingsError, LoginError, ServerError, NetworkError, StoreError.
    """
    with effects.turns.take(settings.profile):
        return _login(settings, effects)


def login_if_needed(
    settings: Settings, effects: Effects, *, refused: Secret | None = None
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
        for pause in _knock(held, settings, effects):
            time.sleep(pause)
        still_stored = _if_still_needed(settings, effects, refused)
        return still_stored or _login(settings, effects, unasked=True)


async def alogin(settings: Settings, effects: Effects) -> Token:
    """Log in inside a running event loop. Raises as `login`."""
    with (
        effects.turns.take(settings.profile),
        _begun(settings, effects) as pending,
    ):
        return await finish(pending, settings, effects)


async def alogin_if_needed(
    settings: Settings, effects: Effects, *, refused: Secret | None = None
) -> Token:
    """Do as `login_if_needed` inside a running event loop, which goes on while this waits."""
    import asyncio

    if token := _stored(settings, effects, refused):
        return token
    with ExitStack() as held:
        for pause in _knock(held, settings, effects):
            await asyncio.sleep(pause)
        if token := _if_still_needed(settings, effects, refused):
            return token
        pending = held.enter_context(_begun(settings, effects, unasked=True))
        return await finish(pending, settings, effects)


async def finish(
    pending: Pending, settings: Settings, effects: Effects, *, patience: float = _PATIENCE
) -> Token:
    """Await the answer, redeem it, store the token; then tell the person, then the browser.

    Last of all, with the listener closed, the token that was replaced is ended on the site. When
    nothing has come for `patience` seconds, the person is told once what may be wrong.

    Raises LoginError, ServerError, NetworkError, StoreError; the browser has been told by then.
    """
    import asyncio

    from soe_auth import pages
    from soe_auth.doors import open_doors

    effects.harden()
    opening = open_doors(
        pending.request,
        pending.sockets,
        pending.launch_path,
        pending.done_path,
        pasted=effects.pasted,
        announce=effects.announce,
        detail=effects.detail,
        alone=effects.alone,
    )
    async with AsyncExitStack() as held:
        await held.enter_async_context(_wakeful())
        async with opening as doors:
            try:
                connect = await asyncio.to_thread(_the_way_to_connect)
                way = connect(pending.request.site, network=settings.network)
                site = await held.enter_async_context(way)
                await site.rehearse()
                async with company(pending, settings, effects, patience):
                    code = await _code(doors, settings)
                token = await _redeem(code, pending.request, site, effects)
                replaced = _to_retire(settings.profile, token, effects)
                effects.store.save(settings.profile, token)
            except SoeAuthError as problem:
                await doors.conclude(pages.not_signed_in(str(problem), problem.hint))
                raise
            effects.kept()
            with suppress(StoreError):  # the token itself is safe; the rest is for comfort
                effects.turns.forget_unanswered(settings.profile)
                if account := await site.account_name(token.access_token):
                    token = replace(token, account=account)
                    effects.store.save(settings.profile, token)
            lasts = token.lasts(effects.now())
            who = f" as {token.account}" if token.account else ""
            effects.announce(f"Signed in to {token.site.authority}{who}. The token lasts {lasts}.")
            if words := token.life_in_question(settings.min_ttl):
                effects.announce(words)
            _remember(settings, effects)
            await doors.conclude(pages.signed_in(token.site.authority, token.account, lasts))
        if replaced:
            await _retire(replaced, site, effects)
    return token


def _login(settings: Settings, effects: Effects, *, unasked: bool = False) -> Token:
    with _begun(settings, effects, unasked=unasked) as pending:
        import asyncio

        return asyncio.run(finish(pending, settings, effects))


@contextmanager
def _begun(settings: Settings, effects: Effects, *, unasked: bool = False) -> Iterator[Pending]:
    """Begin, send the browser off, and give all back at the end.

    One that nobody asked for is noted as unanswered as soon as somebody may answer it, until there
    is a token: so not even killing it makes room for the next tab.
    """
    turns, profile = effects.turns, settings.profile
    pending = begin(settings, effects)
    with closing(pending), turns.shown_as_waiting(profile, pending.address):
        opened = open_browser(pending, effects)
        if unasked:
            see_that_somebody_may_answer(settings, effects, opened=opened)
            turns.note_unanswered(profile)
        try:
            tell_the_way(pending, settings, effects, opened=opened)
            yield pending
        except BaseException:
            if unasked:
                with suppress(StoreError):
                    turns.note_unanswered(profile, again=True)  # the pause is from now on
            raise


def _knock(held: ExitStack, settings: Settings, effects: Effects) -> Iterator[float]:
    """Try for the login lock until it is held, yielding the seconds to pause before each new try.

    Raises LoginBusy once that has taken as long as a login may take.
    """
    give_up_at = effects.now() + settings.timeout
    told = False
    while True:
        try:
            held.enter_context(effects.turns.take(settings.profile))
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


def _if_still_needed(settings: Settings, effects: Effects, refused: Secret | None) -> Token | None:
    """Look again under the lock, as somebody may have been faster. Raises LoginRequired."""
    if token := _stored(settings, effects, refused):
        return token
    if (pause := effects.turns.held_back(settings.profile)) > 0:
        raise LoginRequired(
            f"The last login to profile {settings.profile} came to no token, so none is started by"
            f" itself for {in_words(pause)}; type `{settings.login_command}`."
        )
    return None


def _stored(settings: Settings, effects: Effects, refused: Secret | None) -> Token | None:
    site, client_id = settings.registration
    token = effects.store.load(settings.profile)
    if token is None or token.access_token == refused:
        return None
    if token.shortfall(
        site,
        client_id,
        settings.scope,
        min_ttl=token.worth_asking(settings.min_ttl),
        now=effects.now(),
    ):
        return None
    effects.announce(
        f"Signed in to {site.authority} already. The token lasts {token.lasts(effects.now())}."
    )
    if words := token.life_in_question(settings.min_ttl):
        effects.announce(words)
    return token


async def _code(doors: Doors, settings: Settings) -> Secret:
    try:
        answer = await doors.first_answer(settings.timeout)
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


@asynccontextmanager
async def _wakeful() -> AsyncIterator[None]:
    """Have the loop wake up often, so that it hears Ctrl-C at any moment.

    Python runs the handler of a signal between two of its own steps. One that comes just before the
    loop goes to sleep would not be heard before it wakes: when a name server gives up, for one.
    """
    import asyncio

    async def wake_up() -> None:
        while True:  # noqa: ASYNC110  # nobody tells of a signal that is not heard
            await asyncio.sleep(_PULSE)

    pulse = asyncio.create_task(wake_up())
    try:
        yield
    finally:
        pulse.cancel()


def _the_way_to_connect() -> Callable[..., AbstractAsyncContextManager[SiteConnection]]:
    """Load what calls the site, in a thread, so that the browser is led on meanwhile."""
    from soe_auth.exchange import connect

    return connect


async def _redeem(
    code: Secret, request: AuthorizationRequest, site: SiteConnection, effects: Effects
) -> Token:
    now = effects.now()
    form = redeem_form(request.client_id, request.redirect_uri, code, request.code_verifier)
    answer = await site.exchange(form)
    token = read_answer(
        answer,
        site=request.site,
        client_id=request.client_id,
        scope=request.scope,
        now=now,
        sent=(code, request.code_verifier, request.state),
    )
    if words := token.scope_in_question:
        effects.announce(words)
    return token


def _to_retire(profile: str, new: Token, effects: Effects) -> Token | None:
    """Return the token that the new one is about to replace, if the site should end it.

    A site may give the same token twice: that one must live. Another site's is not this one's to
    end. What cannot be read is for `save` to complain of.
    """
    with suppress(StoreError):
        old = effects.store.load(profile)
        if (
            old
            and old.site == new.site
            and old.access_token != new.access_token
            and not old.has_ended(effects.now())
        ):
            return old
    return None


async def _retire(token: Token, site: SiteConnection, effects: Effects) -> None:
    """Ask the site to end a token that was replaced: nobody will log out of it any more.

    The login has succeeded by now: this may take a moment and no more, and may fail.
    """
    from soe_auth.exchange import Ending

    ending = await site.invalidate(token.access_token, within=_RETIREMENT)
    words = f"The token that was replaced: {ending.value}."
    if token.expires_at != "never" or ending in {Ending.ENDED, Ending.ALREADY_INVALID}:
        effects.detail(words)
    else:
        effects.announce(
            f"{words} It does not end by itself, so end it by hand:"
            f" sign in at {token.site}, open your avatar, Settings."
        )


def _timed_out_hint(settings: Settings) -> str:
    paste = ", and paste the whole address that it ends at"
    return (
        f"If the site showed an error about redirect_uri, {domain_needed(settings)};"
        " then start again with `soe-auth login`"
        f"{paste if settings.redirect == 'login_success' else ''}."
    )


def _remember(settings: Settings, effects: Effects) -> None:
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
