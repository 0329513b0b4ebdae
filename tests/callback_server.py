"""A callback server that waits for the callback of one login, and ports for it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import aiohttp

from soe_auth import LoopbackUnavailable, Scope, Site
from soe_auth.loopback.pages import signed_in
from soe_auth.loopback.server import CallbackServer, LocalPaths, serve
from soe_auth.loopback.socket_owner import other_user
from soe_auth.loopback.sockets import Address, LoopbackSockets, bind
from soe_auth.model.network import Ports
from soe_auth.oauth.authorization_request import (
    AuthorizationRequest,
    new_authorization_request,
    redirect_uri_for,
)
from soe_auth.oauth.callback_check import Granted, Stray

if sys.platform != "win32":
    import resource

PATHS = LocalPaths(launch="/launchme", done="/alldone1")
PAGE = signed_in("acme.stackenterprise.co", "Jane Doe", "until it is revoked")


@dataclass
class Login:
    """A callback server, its authorization request, and the strays that it reported."""

    listener: CallbackServer
    sockets: LoopbackSockets
    request: AuthorizationRequest
    strays: list[Stray] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.sockets.port}"

    @property
    def good(self) -> str:
        return f"{self.request.redirect_uri}?code=c%28o%29de&state={self.request.state.reveal()}"


async def ends_well(login: Login) -> bool:
    """Whether the genuine callback is accepted, and its tab shows the result."""
    async with asyncio.timeout(5), aiohttp.ClientSession() as browser:
        tab = asyncio.create_task(browser.get(login.good))
        callback = await login.listener.wait_for_callback()
        await login.listener.show_result(PAGE)
        return isinstance(callback, Granted) and (await tab).status == 200


@asynccontextmanager
async def waiting(
    find_other_user: Callable[[Address, Address], int | None] = other_user,
) -> AsyncIterator[Login]:
    site = Site.parse("acme")
    sockets = bind(0, "localhost")
    uri = redirect_uri_for(site, "localhost", sockets.port)
    request = new_authorization_request(site, "110", Scope(), uri, lambda size: b"\xa5" * size)
    strays: list[Stray] = []
    serving = serve(sockets, request, PATHS, strays.append, other_user=find_other_user)
    async with serving as listener:
        yield Login(listener, sockets, request, strays)


async def raw(port: int, data: bytes, address: str = "127.0.0.1") -> bytes:
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


def three_free_ports() -> Ports:
    """Return three free ports in a row, below those that the system assigns by itself."""
    for first in range(20_000, 30_000, 3):
        try:
            for port in range(first, first + 3):
                bind(port, "localhost").close()
        except LoopbackUnavailable:
            continue
        return Ports(first, first + 2)
    raise AssertionError("no three free ports")


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no more file descriptors inside the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(next_one := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
