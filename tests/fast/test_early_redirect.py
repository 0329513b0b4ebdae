"""The early redirect: it answers the browser before the server is loaded, and no other client."""

import asyncio
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from callback_server import no_more_files
from hypothesis import given, settings
from hypothesis import strategies as st

from soe_auth import Scope, Site
from soe_auth.fast.early_redirect import EarlyRedirect, parse_plain_request, redirect_early
from soe_auth.loopback.server import LocalPaths, serve
from soe_auth.loopback.socket_owner import other_user
from soe_auth.loopback.sockets import LoopbackSockets, bind
from soe_auth.oauth.authorization_request import (
    AuthorizationRequest,
    new_authorization_request,
    redirect_uri_for,
)
from soe_auth.oauth.callback_check import check_request

PATHS = LocalPaths(launch="/launchme", done="/alldone1")
PLAIN = (
    "GET /launchme HTTP/1.1",
    "Host: localhost:{port}",
    "Connection: keep-alive",
    'sec-ch-ua: "Chromium";v="156", "Not;A=Brand";v="99"',
    "Upgrade-Insecure-Requests: 1",
    "Accept: text/html,*/*;q=0.8",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Dest: document",
    "Accept-Language: en",
)


@dataclass
class Bound:
    """The sockets and the authorization request of a login."""

    sockets: LoopbackSockets
    request: AuthorizationRequest

    @asynccontextmanager
    async def listener(self, early: EarlyRedirect | None = None) -> AsyncIterator[None]:
        accepted = early.stop() if early else {}
        async with serve(self.sockets, self.request, PATHS, lambda _: None, accepted=accepted):
            yield

    def plain(self, *lines: str) -> bytes:
        text = "\r\n".join([*(lines or PLAIN), "", ""])
        return text.replace("{port}", str(self.sockets.port)).encode("latin-1")

    async def visit(self, data: bytes = b"") -> "Visit":
        streams = await asyncio.open_connection("127.0.0.1", self.sockets.port)
        visit = Visit(*streams)
        visit.writer.write(data)
        return visit


@dataclass
class Visit:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self, wait: float = 5) -> str:
        """Return the head of the answer; nothing if none comes in `wait` seconds."""
        try:
            async with asyncio.timeout(wait):
                head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            head = ""
        self.writer.close()
        return head


def listening() -> Bound:
    site, sockets = Site.parse("acme"), bind(0, "localhost")
    uri = redirect_uri_for(site, "localhost", sockets.port)
    return Bound(
        sockets, new_authorization_request(site, "110", Scope(), uri, lambda size: b"\xa5" * size)
    )


@asynccontextmanager
async def responding() -> AsyncIterator[tuple[Bound, EarlyRedirect]]:
    login = listening()
    with redirect_early(login.sockets, PATHS.launch, login.request, other_user) as early:
        yield login, early
    login.sockets.close()


def fields_of(head: str) -> dict[str, str]:
    """Parse the head of a redirect, without the fields that may differ between two answers."""
    status, *lines = head.strip().split("\r\n")
    fields = {name: value for name, _, value in (line.partition(": ") for line in lines)}
    for name in ("Date", "Content-Length", "Connection"):
        fields.pop(name, None)
    return {"status": status, **fields}


@pytest.mark.posix("the event loop of Windows watches no sockets for the early redirect")
async def test_the_early_redirect_answers_as_the_server_does() -> None:
    async with responding() as (login, early):
        first = [await (await login.visit(login.plain())).answer() for _ in range(20)]
        async with login.listener(early):
            then = await (await login.visit(login.plain())).answer()
    assert "303" in then
    assert all(fields_of(head) == fields_of(then) for head in first)
    assert fields_of(then)["Location"] == login.request.url


@pytest.mark.posix("the event loop of Windows watches no sockets for the early redirect")
async def test_an_unusual_or_incomplete_request_is_left_to_the_server() -> None:
    async with responding() as (login, early):
        silent, odd = await login.visit(), await login.visit(login.plain("GET / HTTP/1.0"))
        begun = await login.visit(login.plain(*PLAIN[:3])[:-2])
        assert "303" in await (await login.visit(login.plain())).answer()
        async with login.listener(early):
            begun.writer.write(login.plain(*PLAIN[3:]))
            silent.writer.write(login.plain())
            assert "421" in await odd.answer()
            assert "303" in await begun.answer()
            assert "303" in await silent.answer()


@pytest.mark.posix("the event loop of Windows watches no sockets for the early redirect")
async def test_a_request_of_another_user_is_left_to_the_server() -> None:
    login = listening()
    with redirect_early(login.sockets, PATHS.launch, login.request, lambda *_: 1234) as early:
        visit = await login.visit(login.plain())
        await asyncio.sleep(0.1)
        [(client, data)] = early.stop().items()
        client.close()
        assert data == login.plain()
    visit.writer.close()
    login.sockets.close()


class NoReaders(asyncio.SelectorEventLoop):
    """An event loop without socket readers, as that of Windows."""

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError

    def remove_reader(self, *_: object) -> bool:
        raise NotImplementedError


def test_without_socket_readers_the_browser_waits_for_the_server() -> None:
    async def visit_and_leave() -> int:
        async with responding() as (login, early):
            visit = await login.visit(login.plain())
            await asyncio.sleep(0.1)
            visit.writer.close()
            return len(early.stop())

    with asyncio.Runner(loop_factory=NoReaders) as runner:
        assert runner.run(visit_and_leave()) == 0


@pytest.mark.posix("limits how many files a process may open")
async def test_without_file_descriptors_connections_are_left_to_the_server() -> None:
    async with responding() as (login, early):
        with socket.socket() as client:
            with no_more_files():
                client.connect(("127.0.0.1", login.sockets.port))
                await asyncio.sleep(0.01)  # lets the loop accept them
            assert early.stop() == {}
            async with login.listener():
                client.sendall(login.plain())
                assert b"303" in await asyncio.to_thread(client.recv, 4096)


@pytest.mark.posix("the event loop of Windows watches no sockets for the early redirect")
async def test_accepted_connections_are_closed_if_the_server_does_not_start() -> None:
    async with responding() as (login, early):
        visits = [await login.visit() for _ in range(4)]
        await asyncio.sleep(0.01)  # lets the loop accept them
        accepted = early.stop()
        assert len(accepted) == 4

        async def listen() -> None:
            serving = serve(login.sockets, login.request, PATHS, lambda _: None, accepted=accepted)
            async with serving:
                await asyncio.Event().wait()

        task = asyncio.create_task(listen())
        for _ in range(2):  # until it has begun to connect them
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for visit in visits:
            assert await visit.answer() == ""
    assert all(client.fileno() == -1 for client in accepted)


async def test_few_connections_are_accepted_early_and_unused_ones_are_closed() -> None:
    async with responding() as (login, _):
        clients = [await login.visit(b"x") for _ in range(60)]
    for visit in clients:
        assert await visit.answer() == ""


ODD = (
    "POST /launchme HTTP/1.1",
    "GET /launchme HTTP/1.0",
    "GET http://localhost:{port}/launchme HTTP/1.1",
    "GET /launchme?x HTTP/1.1",
    "GET /launchme# HTTP/1.1",
    "GET  /launchme HTTP/1.1",
    "GET /alldone1 HTTP/1.1",
    "Host: evil.example",
    "host: 127.0.0.1:{port}",
    "Host : localhost:{port}",
    "Host:localhost:{port}",
    " folded: x",
    "Sec-Purpose: prefetch",
    "Sec-Fetch-Dest: iframe",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Upgrade: websocket",
    "X: \x01",
    "X: ä",
    "X:",
    "",
    "no colon",
)


@st.composite
def heads(draw: st.DrawFn) -> list[str]:
    """Draw a plain request in which some lines are replaced, missing, or moved."""
    first, *fields = PLAIN
    lines = [first, *draw(st.permutations(fields))[: draw(st.integers(len(fields) - 2, 99))]]
    for line in draw(st.lists(st.sampled_from([*ODD, *PLAIN, "DNT: 1"]), max_size=1)):
        at = draw(st.integers(0, len(lines)))
        lines[at : at + draw(st.integers(0, 1))] = [line]
    return lines


def test_the_early_redirect_answers_only_what_the_server_would_redirect() -> None:
    seen = Counter[bool]()
    login = listening()

    async def answer_of_listener(data: bytes) -> str:
        return await (await login.visit(data)).answer()

    with asyncio.Runner() as runner:
        serving = login.listener()
        runner.run(serving.__aenter__())

        @settings(max_examples=300, deadline=None, database=None)
        @given(heads())
        def both(lines: list[str]) -> None:
            data = login.plain(*lines)
            received = parse_plain_request(data)
            redirects = (
                received is not None
                and check_request(received, login.sockets.host, login.sockets.port) is None
                and received.target.matches(PATHS.launch)
            )
            seen[redirects] += 1
            if redirects:
                assert "303" in runner.run(answer_of_listener(data)).partition("\r\n")[0]

        both()
        runner.run(serving.__aexit__(None, None, None))
    login.sockets.close()
    assert min(seen.values()) > 30


# --- loading ---

LOADED = """
import asyncio, os, sys
from soe_auth.actions import login_io
from soe_auth.fast import preloading
from soe_auth.actions.login_io import PendingAuthorization
from soe_auth.loopback.sockets import bind
from soe_auth.oauth.authorization_request import new_authorization_request
from soe_auth import Scope, Site

async def main():
    alone = sys.argv[1] == "alone"
    open_listener = preloading.open_listener if alone else login_io.open_callback_server
    site, uri = Site.parse("acme"), "http://localhost:1/x"
    request = new_authorization_request(site, "110", Scope(), uri, os.urandom)
    pending = PendingAuthorization(request, bind(0, "localhost"), "/launch", "/result")
    async with open_listener(pending, print):
        pass
    from aiohttp.connector import _SSL_CONTEXT_VERIFIED
    print(_SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"], os.environ.get("SSL_CERT_FILE"))

asyncio.run(main())
"""


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command login")
@pytest.mark.process
@pytest.mark.parametrize("known", [True, False])
def test_only_the_command_line_loads_aiohttp_without_cas(tmp_path: Path, *, known: bool) -> None:
    bundle = tmp_path / "cas.pem"
    trustme.CA().cert_pem.write_to_path(bundle)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("COVERAGE_", "SSL_"))}
    if known:
        environ["SSL_CERT_FILE"] = str(bundle)

    def loaded(where: str) -> list[str]:
        command = [sys.executable, "-c", LOADED, where]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert loaded("alone") == ["0", str(bundle) if known else "None"]
    if known:
        assert loaded("a client") == ["1", str(bundle)]
