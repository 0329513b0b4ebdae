"""Wait for the callback, from the listener or from a line pasted into the terminal.

Both are open at once, and the first valid one wins. Its code is exchanged here as well.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from soe_auth.actions.login_messages import instruct, timed_out_hint
from soe_auth.errors import LoginDenied, LoginError, LoginTimedOut
from soe_auth.loopback.socket_owner import ORPHAN, user_name
from soe_auth.model.duration import in_words
from soe_auth.oauth.authorization_request import login_success_uri, new_authorization_request
from soe_auth.oauth.authorization_response import (
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
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from soe_auth.actions.login_io import LoginIO, PendingAuthorization
    from soe_auth.loopback.pages import Page
    from soe_auth.loopback.server import CallbackServer
    from soe_auth.model.secret import Secret
    from soe_auth.model.token import Token
    from soe_auth.oauth.authorization_request import AuthorizationRequest
    from soe_auth.settings.settings import Settings
    from soe_auth.site_client.client import SiteConnection


_LOOK = 0.5  # seconds between two looks at the clipboard


async def wait_for_code(sources: CallbackSources) -> Secret:
    """Return the first valid callback's code. Raises LoginTimedOut, LoginDenied, LoginError."""
    try:
        callback = await sources.wait(sources.settings.timeout)
    except TimeoutError:
        raise LoginTimedOut(
            in_words(sources.settings.timeout),
            sources.strays,
            sources.nothing,
            hint=timed_out_hint(sources.settings),
        ) from None
    if isinstance(callback, Denied):
        raise LoginDenied(callback.code, callback.description)
    return callback.code


async def exchange_code(
    code: Secret, request: AuthorizationRequest, site: SiteConnection, io: LoginIO
) -> Token:
    """Exchange the code for a token (RFC 6749 section 4.1.3). Raises ServerError, NetworkError."""
    now = io.now()
    body = token_request_body(request.client_id, request.redirect_uri, code, request.code_verifier)
    token = parse_token_response(
        await site.exchange(body),
        site=request.site,
        client_id=request.client_id,
        scope=request.scope,
        now=now,
        sent=(code, request.code_verifier, request.state),
    )
    if words := token.scope_warning:
        io.announce(words)
    return token


@asynccontextmanager
async def open_callback_sources(
    pending: PendingAuthorization, settings: Settings, io: LoginIO
) -> AsyncIterator[CallbackSources]:
    """Open the listener and the paste line, where there are such, until the block ends."""
    if pending.sockets is None:
        yield CallbackSources(pending, settings, io, None)
        return
    told: set[str] = set()
    host = pending.sockets.host
    advice = {
        LAUNCH_REFUSED: f"If it is yours, open this address in it:\n  {pending.request.url}",
        TOO_LARGE: f"If it was your tab, delete the browser's cookies for {host}, or start again"
        " with `--redirect-host 127.0.0.1`, if the application's Domain on the site is that.",
    }

    def on_stray(stray: Stray) -> None:
        # Once for each reason: other programs must not be able to fill the terminal.
        loud = stray.notable and stray.reason not in told
        told.add(stray.reason)
        tell = io.announce if loud else io.verbose
        tell(f"Something else came to the listener: {stray.reason}. Still waiting.")
        if loud and stray in advice:
            io.instruct(advice[stray])

    async with io.open_listener(pending, on_stray) as listener:
        yield CallbackSources(pending, settings, io, listener)


class CallbackSources:
    """The sources of one login's callback: a listener, a terminal, or both.

    `request` and `settings` are those of the authorization request that is waited for: once the
    user has pressed Enter, one by the site's own page.
    """

    def __init__(
        self,
        pending: PendingAuthorization,
        settings: Settings,
        io: LoginIO,
        listener: CallbackServer | None,
    ) -> None:
        self.settings: Settings = settings
        self._pending = pending
        self._io = io
        self._listener = listener
        reads = io.pasted_lines is not None and pending.reads_paste
        self._lines = io.pasted_lines() if io.pasted_lines and reads else None

    @property
    def request(self) -> AuthorizationRequest:
        """The authorization request whose answer is waited for."""
        return self._pending.request

    @property
    def can_ask_again(self) -> bool:
        """Whether Enter goes on with the site's own page as the redirect URI."""
        return self._io.enter_pressed is not None and self.settings.redirect == "loopback"

    @property
    def strays(self) -> Mapping[str, int]:
        """How often something came to the listener that was not the answer, by the reason why."""
        return self._listener.strays if self._listener else {}

    @property
    def nothing(self) -> str:
        """Say in what way nothing came."""
        if self._listener and not self._listener.browser_redirected:
            return "no browser came to the address above"
        return "nothing came back from the site"

    async def wait(self, timeout: float) -> Granted | Denied:  # noqa: ASYNC109  # a late answer must not be lost
        """Wait for the first valid callback.

        Raises TimeoutError after that many seconds, and LoginError where no source is left.
        """
        waiting: list[Coroutine[None, None, Granted | Denied]] = []
        if self._listener:
            waiting.append(self._listener.wait_for_callback())
        if self._lines or self.can_ask_again:
            waiting.append(self._answer_at_terminal())
        if self._io.read_clipboard:
            waiting.append(self._answer_copied(self._io.read_clipboard))
        tasks = [asyncio.create_task(source) for source in waiting]
        try:
            # Not asyncio.timeout: an answer that has come at the same moment is not thrown away.
            answered, _ = await asyncio.wait(
                tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not answered:
            raise TimeoutError
        answer = answered.pop().result()
        if answer.other_user is not None:
            unknown = answer.other_user == ORPHAN
            whose = "an unknown user" if unknown else user_name(answer.other_user)
            self._io.instruct(f"The answer was brought by a program of {whose}.")
        return answer

    async def show_result(self, page: Page) -> None:
        """Show how the login ended to the browser that brought the answer, if one did."""
        if self._listener:
            await self._listener.show_result(page)

    async def _answer_at_terminal(self) -> Granted | Denied:
        lines = self._lines
        if lines is None and self._io.enter_pressed and self._io.pasted_lines:
            await self._io.enter_pressed()
            self._ask_again()
            lines = self._io.pasted_lines()
        assert lines  # noqa: S101  # there is a terminal, or it would not be waited for
        async for line in lines:
            if line.strip():
                match check_pasted_url(line, self.request):
                    case Stray(reason=reason):
                        self._io.instruct(f"That is not the answer: {reason}.")
                    case answer:
                        return answer
            elif self.can_ask_again:
                self._ask_again()
            else:
                self._io.instruct("Paste the address of the browser's last page, then press Enter:")
        if self.settings.redirect == "login_success":
            raise LoginError(
                "The input ended before an address was pasted.",
                hint="Start again, and leave the terminal or the pipe open until then.",
            )
        # The listener stays open: wait for what never comes.
        never: asyncio.Future[Granted | Denied] = asyncio.get_running_loop().create_future()
        return await never

    async def _answer_copied(self, read: Callable[[], str]) -> Granted | Denied:
        """Look at the clipboard for an address of the site's own page with our state in it."""
        from soe_auth.site_client.event_loop import in_thread

        while True:
            await asyncio.sleep(_LOOK)
            if self.settings.redirect == "login_success":
                text = clean_paste(await in_thread(read))
                if text.startswith(self.request.redirect_uri):
                    verdict = check_pasted_url(text, self.request)
                    if not isinstance(verdict, Stray):
                        return verdict

    def _ask_again(self) -> None:
        """Go on as if `--redirect login_success` had been given, with a new request."""
        old = self.request
        own_page = login_success_uri(old.site)
        request = new_authorization_request(
            old.site, old.client_id, old.scope, own_page, self._io.entropy
        )
        origins = {**self.settings.origins, REDIRECT.key: REDIRECT.flag}
        self.settings = replace(self.settings, redirect="login_success", origins=origins)
        self._pending = replace(self._pending, request=request, reads_paste=True)
        if self._listener:
            self._listener.request = request
        opened = self._pending.open_in(self._io.open_browser)
        instruct(self._pending, self.settings, self._io, opened=opened)
