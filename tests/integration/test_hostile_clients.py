"""Hostile requests to the loopback port: a login succeeds in spite of them.

Each case is sent to a callback server in process, and followed by the genuine callback. All of them
together are sent to the installed command, which then signs its user in.
"""

import asyncio
import re
import socket
import struct
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest
from approve_in_browser import approve
from callback_server import PAGE, PATHS, ends_well, waiting
from conftest import Command
from hostile_requests import MEGABYTE, REFUSED, REQUESTS, Target, good_request, target_of
from yarl import URL

from soe_auth import Secret
from soe_auth.oauth.callback_check import Granted
from soe_auth.sandbox import Sandbox
from soe_auth.sandbox.scripted_browser import visit

if sys.platform != "win32":
    import resource

pytestmark = pytest.mark.alone


@contextmanager
def reset_at_once(port: int) -> Iterator[socket.socket]:
    """A connection that is reset in place of closed."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        yield connection


@asynccontextmanager
async def held_open(t: Target, count: int, *parts: bytes) -> AsyncIterator[None]:
    """Connections that send parts of a request with pauses, and then stay open."""
    connections = [await asyncio.open_connection("127.0.0.1", t.port) for _ in range(count)]
    for part in parts:
        for _, writer in connections:
            writer.write(part)
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        for _, writer in connections:
            writer.transport.abort()


async def reset_in_mid_answer(t: Target) -> None:
    for _ in range(20):
        with reset_at_once(t.port) as connection:
            connection.sendall(t.request("/favicon.ico"))


async def idle(t: Target, stack: AsyncExitStack) -> None:
    await stack.enter_async_context(held_open(t, 200))


async def slow(t: Target, stack: AsyncExitStack) -> None:
    drops = [bytes([byte]) for byte in t.request(t.good)[:20]]
    await stack.enter_async_context(held_open(t, 20, *drops))


async def half(t: Target, stack: AsyncExitStack) -> None:
    await stack.enter_async_context(held_open(t, 20, t.request(t.good)[:-2]))


async def resets(t: Target, _: AsyncExitStack) -> None:
    await reset_in_mid_answer(t)


# Connections that stay open while the login continues.
HELD: dict[str, Callable[[Target, AsyncExitStack], Awaitable[None]]] = {
    "hundreds of idle connections": idle,
    "a byte at a time": slow,
    "a request that is never finished": half,
    "resets in mid-answer": resets,
}


@pytest.mark.rfc("9700-2.1", "9700-4.16", "DNS rebinding")
@pytest.mark.parametrize("name", REQUESTS)
async def test_a_hostile_request_does_not_end_the_login(name: str) -> None:
    async with waiting() as login:
        target = target_of(login)
        answer = await target.send(REQUESTS[name](target))
        assert REFUSED.match(answer), answer[:100]
        assert len(answer) < 8192
        assert b"owned" not in answer
        assert b"aiohttp" not in answer
        assert login.request.url.encode() not in answer
        waiting_task = asyncio.create_task(login.listener.wait_for_callback())
        await asyncio.sleep(0)
        assert not waiting_task.done()
        waiting_task.cancel()
        assert await ends_well(login)


@pytest.mark.rfc("an oversized request")
@pytest.mark.parametrize("name", HELD)
async def test_open_connections_delay_neither_the_login_nor_its_end(name: str) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(5), waiting() as login:
        await HELD[name](target_of(login), stack)
        assert await ends_well(login)


async def test_a_repeated_callback_sees_the_same_result_and_its_code_is_not_exchanged() -> None:
    async with waiting() as login:
        target = target_of(login)
        first = asyncio.create_task(target.send(good_request(target)))
        granted = await login.listener.wait_for_callback()
        other_code = target.good.replace("code=x", "code=y")
        second = asyncio.create_task(target.send(target.request(other_code)))
        third = asyncio.create_task(target.send(good_request(target)))
        await asyncio.sleep(0)
        await login.listener.show_result(PAGE)
        assert await login.listener.wait_for_callback() == granted == Granted(Secret("x"))
        assert b" 303 " in (await second)[:20]
        assert b" 303 " in (await first)[:20]
        assert b" 303 " in (await third)[:20]


async def test_a_reload_of_the_result_page_shows_it_again() -> None:
    async with waiting() as login:
        target = target_of(login)
        tab = asyncio.create_task(target.send(good_request(target)))
        granted = await login.listener.wait_for_callback()
        showing = asyncio.create_task(login.listener.show_result(PAGE))
        await tab
        for _ in range(3):
            assert b"Signed in as Jane Doe" in await target.send(target.request(PATHS.done))
            assert b" 303 " in (await target.send(good_request(target)))[:20]
        await showing
        assert await login.listener.wait_for_callback() == granted


# --- the installed command ---


@asynccontextmanager
async def waiting_command(
    command: Command, site: Sandbox, *options: str
) -> AsyncIterator[tuple[Process, str, Target]]:
    """A login of the installed command, its authorize URL, and its target."""
    login = await asyncio.create_subprocess_exec(
        command.path,
        *("login", "--site", site.url, "--client-id", "110", "--no-browser", *options),
        env=command.environ,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert login.stderr
    address = ""
    while "/oauth?" not in address:
        line = await login.stderr.readline()
        assert line, "it ended before it waited"
        address = line.decode().strip()
    query = parse_qs(urlsplit(address).query)
    redirect = urlsplit(query["redirect_uri"][0])
    yield login, address, Target(redirect.port or 0, redirect.path, query["state"][0])
    if login.returncode is None:
        login.kill()
        await login.wait()


async def messages_of(login: Process) -> str:
    assert login.stderr
    return (await login.stderr.read()).decode()


@pytest.mark.rfc("an oversized request")
@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
@pytest.mark.timeout(120)
async def test_the_command_survives_all_hostile_requests_at_once(soe_auth: Command) -> None:
    async with (
        Sandbox(strict=True) as site,
        AsyncExitStack() as stack,
        waiting_command(soe_auth, site) as (login, address, target),
    ):
        await target.send(target.request("/favicon.ico"))
        before = await settled_memory_of(login.pid)
        for attack in HELD.values():
            await attack(target, stack)
        for _ in range(3):
            for request in REQUESTS.values():
                answer = await target.send(request(target))
                assert REFUSED.match(answer), answer[:100]
        assert memory_of(login.pid) - before < 16 * MEGABYTE
        page = await visit(address)
        assert "Signed in as Jane Doe" in page.text
        async with asyncio.timeout(2):  # with hundreds of connections still open
            assert await login.wait() == 0
        messages = await messages_of(login)
        assert "Traceback" not in messages
        assert "owned" not in messages
        assert (
            len(messages.splitlines()) == len(set(messages.splitlines())) < 20
        )  # each reason once
        assert len(site.exchanges) == 1


@pytest.mark.rfc("an oversized request")
@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
async def test_more_connections_than_file_descriptors_do_not_block_the_browser(
    soe_auth: Command,
) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux limits a process from outside")
    async with (
        Sandbox(strict=True) as site,
        waiting_command(soe_auth, site) as (login, address, target),
    ):
        resource.prlimit(login.pid, resource.RLIMIT_NOFILE, (256, 256))
        held = [await asyncio.open_connection("127.0.0.1", target.port) for _ in range(400)]
        async with asyncio.timeout(5):
            page = await visit(address)
            assert await login.wait() == 0
        assert "Signed in as Jane Doe" in page.text
        signed_in, saved = (await messages_of(login)).splitlines()
        assert signed_in.startswith("Signed in")
        assert saved.startswith("Saved profile")
        for _, writer in held:
            writer.transport.abort()


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
async def test_verbose_reports_the_kind_of_a_stray_and_not_its_content(
    soe_auth: Command,
) -> None:
    async with (
        Sandbox(strict=True) as site,
        waiting_command(soe_auth, site, "-v", "--timeout", "6s") as (login, _, target),
    ):
        for request in ("/canary?canary=1", f"{target.path}?code=canary&state=canary"):
            await target.send(target.request(request, "X-Canary: canary"), wait=5)
        await target.send(target.request("/", host="Host: canary"), wait=5)
        await target.send(b"canary canary canary\r\n\r\n", wait=5)
        assert await login.wait() == 4
        messages = await messages_of(login)
        for kind in (
            "the path is not that of the redirect URI",
            "the state is not this login's",
            "the Host header names another host",
            "it was not valid HTTP",
        ):
            assert f"Ignored a request to the listener: {kind}. Still waiting." in messages
            assert f"{kind} (1)" in messages  # and again at the end
        assert "canary" not in messages.lower()


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
async def test_a_login_finishes_after_the_browser_has_disconnected(soe_auth: Command) -> None:
    async with (
        Sandbox(strict=True) as site,
        waiting_command(soe_auth, site) as (login, address, target),
    ):
        redirect = urlsplit(await asyncio.to_thread(approve, address))
        with reset_at_once(target.port) as connection:
            connection.sendall(target.request(f"{redirect.path}?{redirect.query}"))
        async with asyncio.timeout(5):
            assert await login.wait() == 0
        assert "Signed in to localhost" in await messages_of(login)
    assert soe_auth("token").returncode == 0


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
async def test_a_refusal_is_shown_without_control_sequences_and_markup(
    soe_auth: Command,
) -> None:
    async with (
        Sandbox(strict=True) as site,
        waiting_command(soe_auth, site) as (login, _, target),
    ):
        words = quote("\x1b]0;owned\x07<script>alert(1)</script>\u202e\r\nsoe-auth: fine")
        query = f"error=access_denied&error_description={words}&state={target.state}"
        async with aiohttp.ClientSession() as browser:
            url = URL(f"http://localhost:{target.port}{target.path}?{query}", encoded=True)
            page = await (await browser.get(url)).text()
        assert await login.wait() == 4
        messages = await messages_of(login)
        assert "You chose Cancel on the site (" in messages
        assert all(line.isprintable() for line in messages.splitlines())
        assert not any(line.startswith("soe-auth: fine") for line in messages.splitlines())
        assert "<script" not in page
        assert "&lt;script&gt;" in page
        assert "\u202e" not in page


async def settled_memory_of(pid: int) -> int:
    """Return the resident bytes of a process once they no longer grow."""
    before, now = 0, memory_of(pid)
    while now != before:
        await asyncio.sleep(0.5)
        before, now = now, memory_of(pid)
    return now


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]  # it is there
