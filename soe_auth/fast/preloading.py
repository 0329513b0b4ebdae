"""Load aiohttp and httpx in a thread, while the event loop redirects the browser to the site."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import ModuleType

    from soe_auth.actions.login_io import LoginIO, PendingAuthorization
    from soe_auth.loopback.server import CallbackServer
    from soe_auth.model.network import Network
    from soe_auth.model.site import Site
    from soe_auth.oauth.callback_check import Stray
    from soe_auth.site_client.client import SiteConnection


def accelerate(io: LoginIO) -> LoginIO:
    """Return `io` with factories that load their libraries in a thread.

    Only for a process that runs this command alone: see `_load_server`.
    """
    return replace(io, open_listener=open_listener, connect=connect_preloaded)


@asynccontextmanager
async def open_listener(
    pending: PendingAuthorization, on_stray: Callable[[Stray], None]
) -> AsyncIterator[CallbackServer]:
    """Serve the callback; redirect the browser early, while aiohttp is loaded."""
    from soe_auth.fast.early_redirect import redirect_early
    from soe_auth.site_client.event_loop import in_thread

    sockets, request, launch_path = pending.sockets, pending.request, pending.launch_path
    assert sockets  # noqa: S101  # a login without sockets opens no listener
    with redirect_early(sockets, launch_path, request) as early:
        server = await in_thread(_load_server)
        accepted = early.stop()
    paths = server.LocalPaths(launch_path, pending.result_path)
    async with server.serve(sockets, request, paths, on_stray, accepted=accepted) as listener:
        listener.browser_redirected = early.browser_redirected
        yield listener


@asynccontextmanager
async def connect_preloaded(site: Site, network: Network) -> AsyncIterator[SiteConnection]:
    """Open a connection to the site; httpx is loaded while the listener answers."""
    from soe_auth.site_client.event_loop import in_thread

    client = await in_thread(lambda: import_module("soe_auth.site_client.client"))
    async with client.connect(site, network=network) as connection:
        yield connection


def _load_server() -> ModuleType:
    """Load the callback server without the CAs that aiohttp reads for its client: 33 ms and 2 MB.

    No other code reads the variable meanwhile; with it, a client would refuse every certificate.
    """
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = os.devnull
    try:
        from soe_auth.loopback import server
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before
    return server
