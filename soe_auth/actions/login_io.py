"""What a login needs from outside: every effect is an argument."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soe_auth.desktop.browser import launch
from soe_auth.desktop.environment import detect
from soe_auth.model.secret import disable_core_dumps
from soe_auth.storage import open_store
from soe_auth.storage.login_lock import LoginLock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from soe_auth.desktop.environment import Environment
    from soe_auth.loopback.server import CallbackServer
    from soe_auth.loopback.sockets import LoopbackSockets
    from soe_auth.model.network import Network
    from soe_auth.model.site import Site
    from soe_auth.oauth.authorization_request import AuthorizationRequest
    from soe_auth.oauth.authorization_response import Stray
    from soe_auth.oauth.pkce import Entropy
    from soe_auth.settings.settings import Settings
    from soe_auth.site_client.client import SiteConnection
    from soe_auth.storage import Store


@dataclass(frozen=True, slots=True)
class PendingAuthorization:
    """An authorization request, and the loopback sockets at which its callback may arrive.

    With `redirect = "login_success"` the callback can only be pasted; the sockets then only
    redirect the browser to the site, and are None where no port could be bound. `result_path` is
    where the browser reads how the login ended. `reads_paste` says whether a line of the terminal
    may be the callback.
    """

    request: AuthorizationRequest
    sockets: LoopbackSockets | None
    launch_path: str
    result_path: str
    reads_paste: bool = True

    @property
    def address(self) -> str | None:
        """The short local address that redirects a browser on this machine to the site."""
        return self.sockets.url(self.launch_path) if self.sockets else None

    def open_in(self, open_browser: Callable[[str], bool] | None) -> bool:
        """Open the short local address; return whether a browser was started."""
        return bool(self.address and open_browser and open_browser(self.address))

    def close(self) -> None:
        """Free the port."""
        if self.sockets:
            self.sockets.close()


def open_callback_server(
    pending: PendingAuthorization, on_stray: Callable[[Stray], None]
) -> AbstractAsyncContextManager[CallbackServer]:
    """Serve the callback at the sockets of `pending`, which it must have, until the block ends."""
    from soe_auth.loopback.server import LocalPaths, serve

    assert pending.sockets  # noqa: S101  # a login without them opens no listener
    paths = LocalPaths(pending.launch_path, pending.result_path)
    return serve(pending.sockets, pending.request, paths, on_stray)


def connect_to_site(site: Site, network: Network) -> AbstractAsyncContextManager[SiteConnection]:
    """Open a connection to the site. Raises SettingsError and NetworkError."""
    from soe_auth.site_client.client import connect

    return connect(site, network=network)


@dataclass(frozen=True, slots=True)
class LoginIO:
    """Every effect of a login.

    `announce` tells the user a sentence, `verbose` one that only `--verbose` shows, and `instruct`
    one that they have to act on, which `--quiet` does not hide. `ask_consent` puts a question and
    returns whether they said yes; None where there is no user to ask. `open_browser` shows a URL
    and returns False where it cannot; None opens nothing. `browser_failed` says later whether the
    browser's command has failed. `pasted_lines` yields the lines that the user pastes; None where
    there is no terminal. `show_waiting` shows a line that is rewritten, and removes it for ""; None
    shows none. `enter_pressed` waits until Enter alone is pressed there. `read_clipboard` returns
    the text of the clipboard; None where it is not to be looked at. `wake_on_signals` has signals
    wake the event loop while it is entered.
    `disable_core_dumps` is called before a code arrives, `on_stored` as soon as the token is
    stored. `now` is in seconds since the epoch.
    """

    store: Store
    login_lock: LoginLock
    announce: Callable[[str], None]
    instruct: Callable[[str], None]
    verbose: Callable[[str], None]
    open_browser: Callable[[str], bool] | None
    environment: Environment
    ask_consent: Callable[[str], bool] | None = None
    pasted_lines: Callable[[], AsyncIterator[str] | None] | None = None
    show_waiting: Callable[[str], None] | None = None
    enter_pressed: Callable[[], Awaitable[None]] | None = None
    read_clipboard: Callable[[], str] | None = None
    browser_failed: Callable[[], bool] = lambda: False
    wake_on_signals: Callable[[], AbstractContextManager[None]] = nullcontext
    disable_core_dumps: Callable[[], None] = disable_core_dumps
    on_stored: Callable[[], None] = lambda: None
    now: Callable[[], float] = time.time
    entropy: Entropy = os.urandom
    open_listener: Callable[
        [PendingAuthorization, Callable[[Stray], None]],
        AbstractAsyncContextManager[CallbackServer],
    ] = open_callback_server
    connect: Callable[[Site, Network], AbstractAsyncContextManager[SiteConnection]] = (
        connect_to_site
    )


def system_login_io(
    settings: Settings,
    environ: Mapping[str, str],
    announce: Callable[[str], None],
    store: Store | None = None,
) -> LoginIO:
    """Return the effects of a login on this desktop and disk, without a terminal.

    `announce` also tells what the user has to act on; `store` is used in place of the settings'.
    """
    codes: list[int] = []
    directory = settings.paths.directory
    if store is None:
        store = open_store(directory, settings.store, report=announce, user_present=True)
    return LoginIO(
        store=store,
        login_lock=LoginLock(directory, report=announce),
        announce=announce,
        instruct=announce,
        verbose=lambda _: None,
        open_browser=lambda url: launch(url, settings.browser, environ, codes.append),
        browser_failed=lambda: any(codes),
        environment=detect(environ),
    )
