"""Wait for the callback, from the listener, a pasted line or the clipboard, then exchange its code.

All sources are open at once; the first valid callback wins.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from soe_auth.actions.login_messages import command_to_start_again, instruct, timed_out
from soe_auth.errors import LoginDenied, LoginError
from soe_auth.loopback.socket_owner import user_name
from soe_auth.oauth.authorization_request import login_success_uri, new_authorization_request
from soe_auth.oauth.callback_check import (
    LAUNCH_REFUSED,
    TOO_LARGE,
    Denied,
    Granted,
    Stray,
    check_pasted_url,
    clean_paste,
)
from soe_auth.oauth.token_endpoint import parse_token_response, token_request_body
from soe_auth.settings.spec import REDIRECT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from soe_auth.actions.login_io import LoginIO, PendingAuthorization
    from soe_auth.loopback.pages import Page
    from soe_auth.loopback.server import CallbackServer
    from soe_auth.model.secret import Secret
    from soe_auth.model.token import Token
    from soe_auth.oauth.authorization_request import AuthorizationRequest
    from soe_auth.settings.settings import Settings
    from soe_auth.site_client.client import SiteConnection

_CLIPBOARD_POLL = 0.5  # seconds


async def exchange_code(
    code: Secret, request: AuthorizationRequest, site: SiteConnection, io: LoginIO
) -> Token:
    """Exchange the code for a token (RFC 6749 section 4.1.3). Raises ServerError, NetworkError."""
    now = io.now()
    response = await site.exchange(token_request_body(request, code))
    token = parse_token_response(response, request, code, now=now)
    if warning := token.scope_warning:
        io.announce(warning)
    return token


@asynccontextmanager
async def open_callback_sources(
    pending: PendingAuthorization, settings: Settings, io: LoginIO
) -> AsyncIterator[CallbackSources]:
    """Open the listener, if there are sockets, and the other sources until the block ends."""
    if pending.sockets is None:
        yield CallbackSources(pending, settings, io, None)
        return
    reported: set[str] = set()
    advice = {
        LAUNCH_REFUSED: f"If it is your browser, open this address in it:\n  {pending.request.url}",
        TOO_LARGE: "If it was your browser, delete its cookies for"
        f" {pending.sockets.host}; or, if the application's Domain on the site is 127.0.0.1, start"
        " again with `--redirect-host 127.0.0.1`.",
    }

    def on_stray(stray: Stray) -> None:
        # Once for each reason, so that other programs cannot fill the terminal.
        is_shown = stray.notable and stray.reason not in reported
        reported.add(stray.reason)
        show = io.announce if is_shown else io.verbose
        show(f"Ignored a request to the listener: {stray.reason}. Still waiting.")
        if is_shown and stray in advice:
            io.instruct(advice[stray])

    async with io.open_listener(pending, on_stray) as listener:
        yield CallbackSources(pending, settings, io, listener)


class CallbackSources:
    """The sources of one login's callback.

    `pending` and `settings` are those of the current authorization request: pressing Enter replaces
    it with one that has the site's own page as redirect URI.
    """

    def __init__(
        self,
        pending: PendingAuthorization,
        settings: Settings,
        io: LoginIO,
        listener: CallbackServer | None,
    ) -> None:
        self.pending: PendingAuthorization = pending
        self.settings: Settings = settings
        self.listener: CallbackServer | None = listener
        self._io = io
        self._lines = io.pasted_lines() if io.pasted_lines and pending.reads_paste else None

    @property
    def can_switch(self) -> bool:
        """Whether Enter switches to the site's own page as the redirect URI."""
        return self._io.enter_pressed is not None and self.settings.redirect == "loopback"

    async def wait(self) -> Secret:
        """Return the first valid callback's code. Raises LoginTimedOut, LoginDenied, LoginError."""
        sources: list[Coroutine[None, None, Granted | Denied]] = []
        if self.listener:
            sources.append(self.listener.wait_for_callback())
        if self._lines or self.can_switch:
            sources.append(self._read_terminal())
        if self._io.read_clipboard:
            sources.append(self._read_clipboard(self._io.read_clipboard))
        tasks = [asyncio.create_task(source) for source in sources]
        try:
            # Unlike asyncio.timeout, this keeps a callback that arrives at the last moment.
            done, _ = await asyncio.wait(
                tasks, timeout=self.settings.timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not done:
            raise timed_out(self.pending, self.settings, self._io, self.listener)
        callback = done.pop().result()
        if callback.other_user is not None:
            user = user_name(callback.other_user)
            self._io.instruct(f"The callback came from a program of {user}.")
        if isinstance(callback, Denied):
            command = command_to_start_again(self.settings, self._io)
            raise LoginDenied(callback.code, callback.description, command)
        return callback.code

    async def show_result(self, page: Page) -> None:
        """Show the result of the login in the browser that sent the callback, if one did."""
        if self.listener:
            await self.listener.show_result(page)

    async def _read_terminal(self) -> Granted | Denied:
        lines = self._lines
        if lines is None and self._io.enter_pressed and self._io.pasted_lines:
            await self._io.enter_pressed()
            self._switch_to_own_page()
            lines = self._io.pasted_lines()
        assert lines  # noqa: S101  # `wait` calls this only with a terminal
        async for line in lines:
            if line.strip():
                match check_pasted_url(line, self.pending.request):
                    case Stray(reason=reason):
                        self._io.instruct(f"Cannot use this address: {reason}.")
                    case callback:
                        return callback
            elif self.can_switch:
                self._switch_to_own_page()
            else:
                self._io.instruct("Paste the address of the browser's last page, then press Enter:")
        if self.settings.redirect == "login_success":
            command = command_to_start_again(self.settings, self._io)
            raise LoginError(
                "Cannot sign in: the input ended before an address was pasted.",
                hint=f"Start again: `{command}`, and keep the terminal or the pipe open.",
            )
        # The listener stays open: wait for a future that never gets a result.
        never: asyncio.Future[Granted | Denied] = asyncio.get_running_loop().create_future()
        return await never

    async def _read_clipboard(self, read: Callable[[], str]) -> Granted | Denied:
        """Poll the clipboard for the address of the site's own page with this login's state."""
        from soe_auth.site_client.event_loop import in_thread

        while True:
            await asyncio.sleep(_CLIPBOARD_POLL)
            if self.settings.redirect == "login_success":
                text = clean_paste(await in_thread(read))
                if text.startswith(self.pending.request.redirect_uri):
                    callback = check_pasted_url(text, self.pending.request)
                    if not isinstance(callback, Stray):
                        return callback

    def _switch_to_own_page(self) -> None:
        """Continue as with `--redirect login_success`, with a new request."""
        old = self.pending.request
        request = new_authorization_request(
            old.site, old.client_id, old.scope, login_success_uri(old.site), self._io.entropy
        )
        origins = {**self.settings.origins, REDIRECT.key: REDIRECT.flag}
        self.settings = replace(self.settings, redirect="login_success", origins=origins)
        if self.listener:
            self.listener.request = request
        opened = self.pending.open_in(self._io.open_browser)
        self.pending = replace(self.pending, request=request, reads_paste=True, opened=opened)
        instruct(self.pending, self.settings, self._io)
