"""The story of a login: a person, a browser, a token.

It comes in two halves. `begin` is quick and light: it binds the port, draws the secrets and sends
the browser off. `finish` loads what is heavy while the browser is on its way.
"""

from __future__ import annotations

import os
import time
from base64 import urlsafe_b64encode
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from soe_auth import protocol
from soe_auth.duration import in_words
from soe_auth.errors import (
    LoginDenied,
    LoginError,
    LoginRequired,
    LoginTimedOut,
    SettingsError,
    SoeAuthError,
    StoreError,
)
from soe_auth.profiles import remember
from soe_auth.protocol import Denied, Granted, Stray
from soe_auth.sockets import LoopbackSockets, bind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from soe_auth.browser import Place
    from soe_auth.exchange import SiteConnection
    from soe_auth.loopback import Loopback
    from soe_auth.protocol import AuthorizationRequest, Entropy
    from soe_auth.secret import Secret
    from soe_auth.settings import Settings
    from soe_auth.store import FileStore
    from soe_auth.tokens import Token

_LOCAL_PATH_BYTES = 6  # 48 bits: not to be guessed through a loopback within a login's time


@dataclass(frozen=True, slots=True)
class Effects:
    """What a login does to the world, each thing an argument.

    `announce` tells the person a sentence, `detail` one that only the curious want, and `request`
    one that they have to act on, so that it may not be left out. `browser` shows a URL and returns
    False where it cannot; None opens nothing. `pasted` gives the lines that a person pastes; None
    where there is no terminal. `harden` is called once the browser is off, before a code arrives.
    `now` is in seconds since the epoch.
    """

    store: FileStore
    announce: Callable[[str], None]
    request: Callable[[str], None]
    detail: Callable[[str], None]
    browser: Callable[[str], bool] | None
    place: Place
    pasted: Callable[[], AsyncIterator[str]] | None = None
    harden: Callable[[], None] | None = None
    now: Callable[[], float] = time.time
    entropy: Entropy = os.urandom


@dataclass(frozen=True, slots=True)
class Pending:
    """A login that has begun: our question, and the sockets that wait for its answer.

    Without sockets (`redirect = "login_success"`) the answer can only be pasted.
    """

    request: AuthorizationRequest
    sockets: LoopbackSockets | None
    launch_path: str
    done_path: str

    def close(self) -> None:
        """Give the port back."""
        if self.sockets:
            self.sockets.close()


def login(settings: Settings, effects: Effects) -> Token:
    """Log in; the browser is sent off before an event loop is even loaded.

    Raises SettingsError, LoginError, ServerError, NetworkError, StoreError.
    """
    with effects.store.login_lock(settings.profile, wait=0):
        return _login(settings, effects)


def login_if_needed(settings: Settings, effects: Effects) -> Token:
    """Return the stored token if it serves, else log in; waits for a login begun elsewhere.

    After a login that nobody answered, the next is held back for a while, growing each time: many
    tools that ask through a night must not fill a screen with tabs. Raises LoginRequired then, else
    as `login`.
    """
    if token := _stored(settings, effects):
        return token
    store, profile = effects.store, settings.profile
    with store.login_lock(profile, wait=settings.timeout):
        if token := _stored(settings, effects):  # somebody was faster
            return token
        if (pause := store.held_back(profile)) > 0:
            raise LoginRequired(
                f"The last login to profile {profile} was not answered, so none is started by"
                f" itself for {in_words(pause)}; type `{settings.login_command}`."
            )
        try:
            return _login(settings, effects)
        except LoginTimedOut:
            store.note_unanswered(profile)
            raise


async def alogin(settings: Settings, effects: Effects) -> Token:
    """Log in inside a running event loop. Raises as `login`."""
    with effects.store.login_lock(settings.profile, wait=0):
        pending = begin(settings, effects)
        try:
            return await finish(pending, settings, effects)
        finally:
            pending.close()


def begin(settings: Settings, effects: Effects) -> Pending:
    """Bind the sockets, draw state and verifier, send the browser off.

    Raises SettingsError, LoopbackUnavailable.
    """
    site, client_id = settings.registration
    if settings.redirect == "login_success":
        if effects.pasted is None:
            raise SettingsError(
                "redirect login_success needs a terminal, to paste an address into.",
                hint="Run `soe-auth login` on a terminal, or use --redirect loopback.",
            )
        sockets = None
        redirect_uri = protocol.login_success_uri(site)
    else:
        sockets = bind(settings.port, settings.redirect_host)
        redirect_uri = protocol.redirect_uri_for(site, settings.redirect_host, sockets.port)
    try:
        pending = Pending(
            protocol.begin(site, client_id, settings.scope, redirect_uri, effects.entropy),
            sockets,
            launch_path=_local_path(effects.entropy),
            done_path=_local_path(effects.entropy),
        )
        _send_off(pending, settings, effects)
    except BaseException:
        if sockets:
            sockets.close()
        raise
    return pending


async def finish(pending: Pending, settings: Settings, effects: Effects) -> Token:
    """Await the answer, redeem it, store the token; then tell the person, then the browser.

    Raises LoginError, ServerError, NetworkError, StoreError; the browser has been told by then.
    """
    from soe_auth import exchange, pages

    if effects.harden:
        effects.harden()
    connecting = exchange.connect(pending.request.site)
    async with _listening(pending, effects) as listener, connecting as site:
        try:
            code = await _first_answer(listener, pending.request, settings, effects)
            token = await _redeem(code, pending.request, site, effects)
            effects.store.save(settings.profile, token)
            effects.store.forget_unanswered(settings.profile)
        except SoeAuthError as problem:
            if listener:
                await listener.conclude(pages.not_signed_in(str(problem), problem.hint))
            raise
        if account := await site.account_name(token.access_token):
            token = replace(token, account=account)
            with suppress(StoreError):  # the token itself is safe; only its owner's name is not
                effects.store.save(settings.profile, token)
        lasts = token.lasts(effects.now())
        effects.announce(
            f"Signed in to {token.site.authority}{f' as {account}' if account else ''}."
            f" The token lasts {lasts}."
        )
        _remember(settings, effects)
        if listener:
            await listener.conclude(pages.signed_in(token.site.authority, account, lasts))
    return token


def _login(settings: Settings, effects: Effects) -> Token:
    pending = begin(settings, effects)
    try:
        import asyncio

        return asyncio.run(finish(pending, settings, effects))
    finally:
        pending.close()


def _stored(settings: Settings, effects: Effects) -> Token | None:
    site, client_id = settings.registration
    token = effects.store.load(settings.profile)
    if token is None or token.shortfall(
        site, client_id, settings.scope, min_ttl=settings.min_ttl, now=effects.now()
    ):
        return None
    effects.announce(
        f"Signed in to {site.authority} already. The token lasts {token.lasts(effects.now())}."
    )
    return token


def _local_path(entropy: Entropy) -> str:
    return "/" + urlsafe_b64encode(entropy(_LOCAL_PATH_BYTES)).decode("ascii")


def _send_off(pending: Pending, settings: Settings, effects: Effects) -> None:
    """Open the browser, and say what a person needs to go on if it does not come up."""
    request, sockets = pending.request, pending.sockets
    here = request.url
    if sockets:
        here = f"http://{settings.redirect_host}:{sockets.port}{pending.launch_path}"
    opened = effects.browser is not None and effects.browser(here)
    if opened:
        effects.announce(f"Opening {here if sockets else request.site} in your browser …")
    elif effects.browser:
        effects.announce("No browser could be started here.")
    if effects.place.remote:
        effects.announce(f"This is {effects.place.remote}: your browser may be on another machine.")
    tell = effects.announce if opened else effects.request
    if sockets and not opened:
        tell(f"Open this address in a browser on this machine:\n  {here}")
    if not opened or effects.place.remote:
        tell(
            f"{'Or this one' if sockets and not opened else 'Open this address'}"
            f"{' if no browser comes up' if opened else ' in a browser anywhere'}:\n"
            f"  {request.url}"
        )
    if effects.pasted:
        tell(
            "Paste the address that the browser ends at"
            + (", if it cannot come back by itself:" if sockets else ":")
        )


@asynccontextmanager
async def _listening(pending: Pending, effects: Effects) -> AsyncIterator[Loopback | None]:
    """Serve the redirect on the sockets, where there are any."""
    bound = pending.sockets
    if bound is None:
        yield None
        return
    from soe_auth.loopback import LocalPaths, serve
    from soe_auth.peers import is_stranger

    told: set[str] = set()

    def tell(stray: Stray) -> None:
        # Once for each reason: who can knock must not be able to fill the terminal.
        loud = stray.notable and stray.reason not in told
        told.add(stray.reason)
        say = effects.announce if loud else effects.detail
        say(f"Something else came to the listener: {stray.reason}. Still waiting.")

    paths = LocalPaths(pending.launch_path, pending.done_path)
    serving = serve(bound.sockets, bound.port, pending.request, paths, tell, is_stranger)
    async with serving as listener:
        yield listener


async def _first_answer(
    listener: Loopback | None,
    request: AuthorizationRequest,
    settings: Settings,
    effects: Effects,
) -> Secret:
    """Wait at both doors, the redirect and the paste; the first genuine answer wins."""
    import asyncio

    doors: list[Coroutine[None, None, Granted | Denied]] = []
    if listener:
        doors.append(listener.redirect())
    if effects.pasted:
        doors.append(_pasted_answer(effects.pasted(), request, effects))
    tasks = [asyncio.create_task(door) for door in doors]
    try:
        answered, _ = await asyncio.wait(
            tasks, timeout=settings.timeout, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if not answered:
        raise LoginTimedOut(
            in_words(settings.timeout),
            listener.strays if listener else 0,
            hint=_timed_out_hint(settings),
        )
    answer = answered.pop().result()
    if isinstance(answer, Denied):
        raise LoginDenied(answer.code, answer.description)
    return answer.code


async def _pasted_answer(
    lines: AsyncIterator[str], request: AuthorizationRequest, effects: Effects
) -> Granted | Denied:
    async for line in lines:
        if not line.strip():
            continue
        match protocol.judge_paste(line, request):
            case Stray(reason=reason):
                effects.announce(f"That is not the answer: {reason}.")
            case answer:
                return answer
    if request.redirect_uri == protocol.login_success_uri(request.site):
        raise LoginError("The terminal was closed before an address was pasted.")
    # The other door stays open: wait for what never comes.
    import asyncio

    never: asyncio.Future[Granted | Denied] = asyncio.get_running_loop().create_future()
    return await never


async def _redeem(
    code: Secret, request: AuthorizationRequest, site: SiteConnection, effects: Effects
) -> Token:
    sent = effects.now()
    form = protocol.redeem_form(
        request.client_id, request.redirect_uri, code, request.code_verifier
    )
    status, body = await site.exchange(form)
    token = protocol.read_answer(
        status,
        body,
        site=request.site,
        client_id=request.client_id,
        scope=request.scope,
        now=sent,
    )
    if token.granted_scope != token.scope:
        effects.announce(
            f"The site granted {token.granted_scope.in_words()}"
            f" where {token.scope.in_words()} was asked for."
        )
    return token


def _timed_out_hint(settings: Settings) -> str:
    if settings.redirect == "login_success":
        return "Start again with `soe-auth login`, and paste the whole address that it ends at."
    return (
        "If the site showed an error, see that the application's Domain there is"
        f" {settings.redirect_host}; then start again with `soe-auth login`."
    )


def _remember(settings: Settings, effects: Effects) -> None:
    """Keep as a profile what flags have said, so that `soe-auth login` alone is enough."""
    if not settings.from_flags:
        return
    try:
        changed = remember(settings.paths.config, settings.profile, settings.profile_values)
    except SettingsError as problem:
        effects.announce(f"The profile was not remembered. {problem}")
        return
    if changed:
        effects.announce(f"Remembered as profile {settings.profile}: {settings.paths.config}")
    if settings.scope.no_expiry and "scope" in settings.from_flags:
        effects.announce(
            "A no_expiry token does not end by itself: `soe-auth logout` once you are done with it."
        )
