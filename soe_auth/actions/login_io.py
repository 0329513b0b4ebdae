"""The I/O of a login as arguments, and the values that its steps pass on."""

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
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from soe_auth.desktop.environment import Environment
    from soe_auth.files.lock import Release
    from soe_auth.loopback.server import CallbackServer
    from soe_auth.loopback.sockets import LoopbackSockets
    from soe_auth.model.network import Network
    from soe_auth.model.site import Site
    from soe_auth.oauth.authorization_request import AuthorizationRequest, Entropy
    from soe_auth.oauth.callback_check import Stray
    from soe_auth.settings.settings import Settings
    from soe_auth.site_client.client import SiteConnection
    from soe_auth.storage import Store


@dataclass(frozen=True, slots=True)
class PendingAuthorization:
    """An authorization request, and the loopback sockets for its callback.

    With `redirect = "login_success"` the callback is pasted: the sockets only redirect the browser
    to the site, and are None if no port could be bound. The browser reads the result of the login
    at `result_path`. `reads_paste` is whether a line of the terminal may be the callback, `opened`
    whether a browser was started.
    """

    request: AuthorizationRequest
    sockets: LoopbackSockets | None
    launch_path: str
    result_path: str
    reads_paste: bool = True
    opened: bool = False

    @property
    def address(self) -> str | None:
        """The short local address that redirects a browser on this computer to the site."""
        return self.sockets.url(self.launch_path) if self.sockets else None

    def open_in(self, open_browser: Callable[[str], bool] | None) -> bool:
        """Open the short local address; return whether a browser was started."""
        return bool(self.address and open_browser and open_browser(self.address))

    def close(self) -> None:
        """Close the sockets."""
        if self.sockets:
            self.sockets.close()


@dataclass(frozen=True, slots=True)
class StartedLogin:
    """A login whose browser was started before its settings were resolved; see soe_auth.fast.

    Its lock is held until `release`, and its port is bound. `assumed` are the settings used: the
    profile, then `Settings.of_browser`. `browser_failed` is as in LoginIO.
    """

    assumed: Sequence[str]
    release: Release
    sockets: LoopbackSockets
    launch_path: str
    browser_failed: Callable[[], bool]

    def cancel(self) -> None:
        """Free the port and the lock; the browser stays as it is."""
        self.sockets.close()
        self.release()


def open_callback_server(
    pending: PendingAuthorization, on_stray: Callable[[Stray], None]
) -> AbstractAsyncContextManager[CallbackServer]:
    """Serve the callback at the sockets of `pending`, which must exist, until the block ends."""
    from soe_auth.loopback.server import LocalPaths, serve

    assert pending.sockets  # noqa: S101  # without sockets no listener is opened
    paths = LocalPaths(pending.launch_path, pending.result_path)
    return serve(pending.sockets, pending.request, paths, on_stray)


def connect_to_site(site: Site, network: Network) -> AbstractAsyncContextManager[SiteConnection]:
    """Open a connection to the site. Raises SettingsError and NetworkError."""
    from soe_auth.site_client.client import connect

    return connect(site, network=network)


@dataclass(frozen=True, slots=True)
class LoginIO:
    """All I/O of a login. An optional function is None if it is not available.

    announce: shows a message.
    verbose: shows a message with `--verbose` only.
    instruct: shows what the user must do, even with `--quiet`.
    open_browser: opens a URL; returns False if it cannot.
    ask_consent: asks a yes/no question.
    pasted_lines: yields the lines that the user pastes.
    show_waiting: rewrites the last line of the terminal; "" removes it.
    enter_pressed: waits until the user presses Enter alone.
    read_clipboard: returns the text of the clipboard.
    browser_failed: returns whether the browser's command has failed.
    wake_on_signals: makes signals wake the event loop inside the block.
    disable_core_dumps: called before a code arrives.
    on_stored: called when the token is stored.
    warn_of_lifetime: whether to announce that even a new token expires within min_ttl.
    now: returns seconds since the epoch.
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
    warn_of_lifetime: bool = True
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
    """Return the LoginIO of this desktop, without a terminal.

    `announce` also shows what the user must do; `store` replaces that of the settings.
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
