"""Log in with a browser. The functions are in the order in which they run.

`start_login` opens the browser before the slow imports: event loop, aiohttp, httpx. `finish_login`
needs them, and loads them while the browser works.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from soe_auth.actions import login_messages as messages
from soe_auth.actions.login_io import PendingAuthorization
from soe_auth.actions.project_consent import review_project_request
from soe_auth.errors import LoopbackUnavailable, SettingsError, SoeAuthError, StoreError
from soe_auth.loopback.socket_owner import why_busy
from soe_auth.loopback.sockets import bind, local_path
from soe_auth.oauth.authorization_request import (
    login_success_uri,
    new_authorization_request,
    redirect_uri_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soe_auth.actions.login_io import LoginIO, StartedLogin
    from soe_auth.loopback.sockets import LoopbackSockets
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings

_ADVICE_AFTER = 30.0  # seconds without a callback before the advice about the Domain


def login(settings: Settings, io: LoginIO, started: StartedLogin | None = None) -> Token:
    """Log in; store and return the token.

    `started` is a login that was started early; it is cancelled if it assumed other settings.
    Raises SettingsError, LoginError, ServerError, NetworkError, StoreError.
    """
    if started and list(started.assumed) != [settings.profile, *settings.of_browser]:
        started.cancel()
        started = None
    if started:
        io = replace(io, browser_failed=started.browser_failed)
    with (
        io.login_lock.acquire(settings.profile, started.release if started else None),
        start_login(settings, io, started) as pending,
    ):
        from soe_auth.site_client.event_loop import run_async

        return run_async(finish_login(pending, settings, io))


async def alogin(settings: Settings, io: LoginIO) -> Token:
    """Log in inside a running event loop. Raises as `login`."""
    with io.login_lock.acquire(settings.profile), start_login(settings, io) as pending:
        return await finish_login(pending, settings, io)


@contextmanager
def start_login(
    settings: Settings,
    io: LoginIO,
    started: StartedLogin | None = None,
    *,
    automatic: bool = False,
) -> Iterator[PendingAuthorization]:
    """Bind the port, make the authorization request, open the browser; then clean up.

    The caller holds the login lock. An `automatic` login counts as failed from its start until it
    stores a token, so that even a killed one delays the next.
    Raises SettingsError, LoopbackUnavailable, StoreError; LoginRequired if no user can answer.
    """
    if settings.ca_bundle:
        from soe_auth.site_client.tls import ssl_context

        ssl_context(settings.network)  # reports an unusable bundle before the browser opens
    io.store.prepare(settings.profile)
    if settings.from_project or settings.doubt:
        stored = io.store.load(settings.profile)
        review_project_request(settings, stored, io.ask_consent, io.announce)
    pending = request_authorization(settings, io, started)
    with closing(pending), io.login_lock.publish_address(settings.profile, pending.address):
        opened = started is not None or pending.open_in(io.open_browser)
        reads_paste = messages.reads_paste(settings, io, opened=opened)
        pending = replace(pending, reads_paste=reads_paste, opened=opened)
        if automatic:
            messages.require_user(settings, io, opened=opened)
            io.login_lock.record_failure(settings.profile)
        try:
            messages.instruct(pending, settings, io)
            yield pending
        except BaseException:
            if automatic:  # restart the delay
                with suppress(StoreError):
                    io.login_lock.record_failure(settings.profile, again=True)
            raise


def request_authorization(
    settings: Settings, io: LoginIO, started: StartedLogin | None = None
) -> PendingAuthorization:
    """Bind the loopback sockets, unless `started` has them, and draw state and verifier.

    Raises SettingsError, LoopbackUnavailable.
    """
    site, client_id = settings.require_site_and_client()
    sockets: LoopbackSockets | None
    if settings.redirect == "login_success":
        sockets = _bind_for_launch(settings, io)
        redirect_uri = login_success_uri(site)
    else:
        ports = settings.port.numbers
        sockets = started.sockets if started else bind(ports, settings.redirect_host, why_busy)
        redirect_uri = redirect_uri_for(site, sockets.host, sockets.port)
    return PendingAuthorization(
        new_authorization_request(site, client_id, settings.scope, redirect_uri, io.entropy),
        sockets,
        launch_path=started.launch_path if started else local_path(io.entropy),
        result_path=local_path(io.entropy),
    )


def _bind_for_launch(settings: Settings, io: LoginIO) -> LoopbackSockets | None:
    """Bind any free port: its short address keeps the state out of the browser's command line."""
    if io.pasted_lines is None:
        raise SettingsError(
            "Cannot use redirect login_success: it needs a terminal or a pipe for the address.",
            hint=f"Type `{messages.command_to_start_again(settings, io)}` in a terminal, or use"
            " `--redirect loopback`.",
        )
    if io.open_browser:
        with suppress(LoopbackUnavailable):
            return bind(0, settings.redirect_host)
    return None


async def finish_login(
    pending: PendingAuthorization,
    settings: Settings,
    io: LoginIO,
    *,
    advice_after: float = _ADVICE_AFTER,
) -> Token:
    """Wait for the callback, exchange its code, store the token; then show the result.

    The token that it replaces is revoked last, after the listener is closed.
    Raises LoginError, ServerError, NetworkError, StoreError; the browser shows the message, too.
    """
    import asyncio

    from soe_auth.actions import new_token
    from soe_auth.actions.callback_sources import exchange_code, open_callback_sources
    from soe_auth.loopback import pages

    io.disable_core_dumps()
    async with AsyncExitStack() as stack:
        stack.enter_context(io.wake_on_signals())
        async with open_callback_sources(pending, settings, io) as sources:
            try:
                connection = io.connect(pending.request.site, settings.network)
                site = await stack.enter_async_context(connection)
                await site.warm_up()
                async with messages.advise(pending, sources, io, advice_after):
                    code = await sources.wait()
                token = await exchange_code(code, sources.pending.request, site, io)
                replaced = new_token.store_new_token(settings.profile, token, io)
            except SoeAuthError as problem:
                page = pages.not_signed_in(str(problem), problem.hint)
                await sources.show_result(page)
                raise
            token = replace(token, account=await site.account_name(token.access_token))
            new_token.announce_signed_in(token, replaced, sources.settings, io)
            expiry, project = token.describe_expiry(io.now()), settings.project_request
            page = pages.signed_in(token.site.authority, token.account, expiry, project)
            await asyncio.gather(
                sources.show_result(page), new_token.store_account(settings.profile, token, io)
            )
        await new_token.revoke_replaced(replaced, token, site, io)
    return token
