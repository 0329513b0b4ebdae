"""The first half of a login, quick and light: bind the port, draw the secrets, open the browser.

What a person is told meanwhile is here as well.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soe_auth.actions.consent import tell_of_project
from soe_auth.errors import LoginRequired, LoopbackUnavailable, SettingsError
from soe_auth.loopback.peer_user import why_busy
from soe_auth.loopback.sockets import LoopbackSockets, bind, local_path
from soe_auth.model.secret import no_core_dumps
from soe_auth.oauth import authorization

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from soe_auth.desktop.environment import Environment
    from soe_auth.fast.early_browser import StartedLogin
    from soe_auth.oauth.authorization import AuthorizationRequest, Entropy
    from soe_auth.settings.resolve import Settings
    from soe_auth.storage import Store
    from soe_auth.storage.login_lock import LoginLock


@dataclass(frozen=True, slots=True)
class LoginIO:
    """What a login does to the world, each thing an argument.

    `announce` tells the person a sentence, `detail` one that only the curious want, and `request`
    one that they have to act on, so that it may not be left out. `consent` puts a question to them
    and returns whether they said yes; None where there is nobody to ask. `browser` shows a URL and
    returns False where it cannot; None opens nothing. `browser_failed` says, after that, whether it
    has turned out that it could not. `pasted` gives the lines that a person pastes; None where
    there is no terminal. `ahead` is what has been done of the login already. `alone` says that
    nobody else's program runs in this process. `disable_core_dumps` is called once the browser is
    off, before a code arrives, `on_stored` as soon as the token is safe. `now` is in seconds since
    the epoch.
    """

    store: Store
    login_lock: LoginLock
    announce: Callable[[str], None]
    request: Callable[[str], None]
    detail: Callable[[str], None]
    browser: Callable[[str], bool] | None
    place: Environment
    consent: Callable[[str], bool] | None = None
    pasted: Callable[[], AsyncIterator[str]] | None = None
    browser_failed: Callable[[], bool] = lambda: False
    ahead: StartedLogin | None = None
    alone: bool = False
    disable_core_dumps: Callable[[], None] = no_core_dumps
    on_stored: Callable[[], None] = lambda: None
    now: Callable[[], float] = time.time
    entropy: Entropy = os.urandom


@dataclass(frozen=True, slots=True)
class PendingAuthorization:
    """A login that has begun: our question, and the sockets at which its answer may come.

    With `redirect = "login_success"` the answer can only be pasted; the sockets then only lead the
    browser to the site, and may be missing.
    """

    request: AuthorizationRequest
    sockets: LoopbackSockets | None
    launch_path: str
    result_path: str

    @property
    def address(self) -> str | None:
        """The short local address that leads a browser on this machine to the site."""
        if self.sockets is None:
            return None
        return self.sockets.url(self.launch_path)

    def close(self) -> None:
        """Give the port back."""
        if self.sockets:
            self.sockets.close()


def begin(settings: Settings, effects: LoginIO) -> PendingAuthorization:
    """Bind the sockets, draw state and verifier; nothing that a project file chose goes unsaid.

    Raises SettingsError, LoopbackUnavailable, StoreError.
    """
    site, client_id = settings.require_site_and_client
    ahead = effects.ahead
    if settings.ca_bundle:
        from soe_auth.site_client.tls_and_proxy import ssl_context

        ssl_context(settings.network)  # to hear it before anyone signs in, if it is no good
    effects.store.prepare(settings.profile)
    stored = effects.store.load(settings.profile) if settings.from_project else None
    tell_of_project(settings, stored, effects.consent, effects.announce)
    sockets: LoopbackSockets | None
    if settings.redirect == "login_success":
        sockets = _bind_for_the_way_there(settings, effects)
        redirect_uri = authorization.login_success_uri(site)
    else:
        sockets = (
            ahead.sockets
            if ahead
            else bind(settings.port.numbers, settings.redirect_host, why_busy)
        )
        redirect_uri = authorization.redirect_uri_for(site, sockets.host, sockets.port)
    return PendingAuthorization(
        authorization.begin(site, client_id, settings.scope, redirect_uri, effects.entropy),
        sockets,
        launch_path=ahead.path if ahead else local_path(effects.entropy),
        result_path=local_path(effects.entropy),
    )


def open_browser(pending: PendingAuthorization, effects: LoginIO) -> bool:
    """Open the short local address; return whether a browser was started."""
    if effects.ahead:
        return True
    here = pending.address
    return here is not None and effects.browser is not None and effects.browser(here)


def see_that_somebody_may_answer(settings: Settings, effects: LoginIO, *, opened: bool) -> None:
    """Raise LoginRequired where a login that nobody typed would only wait for its time-out."""
    can_paste = effects.pasted is not None
    if why := effects.place.why_nobody_answers(opened=opened, can_paste=can_paste):
        raise LoginRequired(f"{why}; type `{settings.login_command}`, or set SOE_AUTH_TOKEN.")


def tell_the_way(
    pending: PendingAuthorization, settings: Settings, effects: LoginIO, *, opened: bool
) -> None:
    """Say what a person needs to go on if no browser comes up."""
    here, paste_only = pending.address, settings.redirect == "login_success"
    if opened:
        effects.announce(f"Opening {here} in your browser …")
    elif effects.browser:
        effects.announce("No browser could be started here.")
    port = pending.sockets.port if pending.sockets and not paste_only else None
    if sentence := effects.place.sentence(port):
        effects.announce(sentence)
    tell = effects.announce if opened else effects.request
    to_offer = here if not opened and not paste_only else None
    if to_offer:
        tell(f"Open this address in a browser on this machine:\n  {to_offer}")
        tell(f"Or this one in a browser anywhere:\n  {pending.request.url}")
    elif not opened:
        tell(f"Open this address in a browser anywhere:\n  {pending.request.url}")
    elif effects.place.remote_reason or paste_only:
        tell(f"Open this address if no browser comes up:\n  {pending.request.url}")
    if effects.pasted:
        tell(
            "Paste the address that the browser ends at"
            + (":" if paste_only else ", if it cannot come back by itself:")
        )


def _bind_for_the_way_there(settings: Settings, effects: LoginIO) -> LoopbackSockets | None:
    """Bind a port, if it can be had, that keeps the state out of the browser's command line."""
    if effects.pasted is None:
        raise SettingsError(
            "redirect login_success needs a terminal or a pipe, to paste an address into.",
            hint="Run `soe-auth login` on a terminal, or use --redirect loopback.",
        )
    if effects.browser:
        with suppress(LoopbackUnavailable):
            return bind(0, settings.redirect_host)
    return None
