"""Load aiohttp and httpx in a thread, while the event loop redirects the browser to the site."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import ModuleType

    from soe_auth.actions.login_io import LoginIO, PendingAuthorization
    from soe_auth.loopback.server import CallbackServer
    from soe_auth.model.network import Network
    from soe_auth.model.site import Site
    from soe_auth.oauth.authorization_response import Stray
    from soe_auth.site_client.client import SiteConnection


def accelerate(io: LoginIO) -> LoginIO:
    """Return `io` with factories that load in a thread what they need.

    Only for a process that runs nothing but this command: see `_load_server`.
    """
    return replace(io, open_listener=open_listener, connect=connect_preloaded)


@asynccontextmanager
async def open_listener(
    pending: PendingAuthorization, on_stray: Callable[[Stray], None]
) -> AsyncIterator[CallbackServer]:
    """Serve the callback; the browser is redirected early, while aiohttp is loaded."""
    from soe_auth.fast.early_redirect import redirect_early
    from soe_auth.loopback.socket_owner import other_user
    from soe_auth.site_client.event_loop import in_thread

    sockets, request, launch_path = pending.sockets, pending.request, pending.launch_path
    assert sockets  # noqa: S101  # a login without them opens no listener
    with redirect_early(sockets, launch_path, request, other_user) as early:
        server = await in_thread(_load_server)
        connections = early.leave()
    paths = server.LocalPaths(launch_path, pending.result_path)
    serving = server.serve(sockets, request, paths, on_stray, accepted=connections)
    async with serving as listener:
        listener.browser_redirected = early.browser_redirected
        yield listener


@asynccontextmanager
async def connect_preloaded(site: Site, network: Network) -> AsyncIterator[SiteConnection]:
    """Open a connection to the site; httpx is loaded while the listener answers."""
    from soe_auth.site_client.event_loop import in_thread

    client = await in_thread(_load_client)
    async with client.connect(site, network=network) as connection:
        yield connection


def _load_server() -> ModuleType:
    """Load the callback server without the CAs that aiohttp reads for its client: 33 ms and 2 MB.

    No other code looks at the variable meanwhile; a client of aiohttp would be refused by it, not
    deceived.
    """
    with _set("SSL_CERT_FILE", os.devnull):
        from soe_auth.loopback import server
    return server


def _load_client() -> ModuleType:
    from soe_auth.site_client import client

    return client


@contextmanager
def _set(variable: str, value: str) -> Iterator[None]:
    before = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
