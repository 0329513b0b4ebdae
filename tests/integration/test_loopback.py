"""The callback server on real sockets."""

import asyncio
import http.client
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
from callback_server import PAGE, PATHS, Login, no_more_files, raw, waiting

from soe_auth import Secret
from soe_auth.loopback.pages import not_signed_in
from soe_auth.oauth.callback_check import (
    FROM_OTHER_USER,
    LAUNCH_REFUSED,
    TOO_LARGE,
    Denied,
    Granted,
)


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.rfc("9700-4.12")
async def test_the_launch_path_redirects_to_the_site_each_time(
    browser: aiohttp.ClientSession,
) -> None:
    async with waiting() as login:
        for _ in range(2):
            answer = await browser.get(login.origin + PATHS.launch, allow_redirects=False)
            assert answer.status == 303
            assert answer.headers["Location"] == login.request.url
            assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert login.strays == []


@pytest.mark.rfc("6749-3.1.2.5")
async def test_the_browser_waits_for_the_result_and_sees_it_at_a_clean_address(
    browser: aiohttp.ClientSession,
) -> None:
    async with waiting() as login:
        tab = asyncio.create_task(browser.get(login.good))
        assert await login.listener.wait_for_callback() == Granted(Secret("c(o)de"))
        assert not tab.done()
        await login.listener.show_result(PAGE)
        answer = await tab
        assert str(answer.url) == login.origin + PATHS.done
        assert "Signed in as Jane Doe" in await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_a_denial_is_returned_and_shown_in_the_browser(
    browser: aiohttp.ClientSession,
) -> None:
    async with waiting() as login:
        url = login.good.replace("code=", "error=access_denied&error_description=")
        tab = asyncio.create_task(browser.get(url))
        assert await login.listener.wait_for_callback() == Denied("access_denied", "c(o)de")
        await login.listener.show_result(not_signed_in("It was refused.", "Try again."))
        assert "It was refused." in await (await tab).text()


async def test_strays_are_answered_and_counted_and_do_not_end_the_login(
    browser: aiohttp.ClientSession,
) -> None:
    async with waiting() as login:
        for path, status in (("/favicon.ico", 404), (PATHS.done, 404), ("/", 404)):
            answer = await browser.get(login.origin + path)
            assert answer.status == status
            assert "This page has expired" in await answer.text()
        wrong = await browser.get(login.good.replace("state=", "state=x"))
        assert wrong.status == 400
        post = await browser.post(login.good, data=b"x" * 100)
        assert post.status == 405
        assert login.listener.strays.total() == len(login.strays) == 5
        tab = asyncio.create_task(browser.get(login.good))
        assert isinstance(await login.listener.wait_for_callback(), Granted)
        await login.listener.show_result(PAGE)
        assert (await tab).status == 200


async def test_a_browser_that_disconnects_after_its_redirect_does_not_delay_the_login() -> None:
    async with waiting() as login:
        _, writer = await asyncio.open_connection("127.0.0.1", login.sockets.port)
        target = login.good.removeprefix(login.origin)
        host = f"localhost:{login.sockets.port}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await login.listener.wait_for_callback()
        writer.transport.abort()
        async with asyncio.timeout(1):
            await asyncio.sleep(0.05)  # the reset has to arrive, as it does during an exchange
            await login.listener.show_result(PAGE)


@pytest.mark.slow
@pytest.mark.rfc("8252-8.3")
async def test_a_browser_that_does_not_fetch_the_page_is_waited_for_briefly(
    browser: aiohttp.ClientSession,
) -> None:
    async with waiting() as login:
        tab = asyncio.create_task(browser.get(login.good, allow_redirects=False))
        await login.listener.wait_for_callback()
        async with asyncio.timeout(3):
            await login.listener.show_result(PAGE)
        assert (await tab).status == 303


async def test_without_a_callback_show_result_does_not_wait() -> None:
    async with waiting() as login, asyncio.timeout(0.2):
        await login.listener.show_result(PAGE)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_both_loopback_addresses_answer(address: str) -> None:
    async with waiting() as login:
        host = f"localhost:{login.sockets.port}"
        answer = await raw(
            login.sockets.port,
            f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode(),
            address,
        )
        assert answer.startswith(b"HTTP/1.1 404")


@pytest.mark.rfc("another user of the machine")
async def test_another_users_browser_is_not_redirected_and_gets_instructions(
    browser: aiohttp.ClientSession,
) -> None:
    async with waiting(lambda _peer, _own: 1234) as login:
        answer = await browser.get(login.origin + PATHS.launch, allow_redirects=False)
        assert answer.status == 403
        assert "Location" not in answer.headers
        page = await answer.text()
        assert "open the address that the terminal shows" in page
        assert login.request.state.reveal() not in page
        assert not login.listener.browser_redirected
        assert login.strays == [LAUNCH_REFUSED]


async def test_another_users_callback_without_the_state_is_refused(
    browser: aiohttp.ClientSession,
) -> None:
    async with waiting(lambda _peer, _own: 1234) as login:
        answer = await browser.get(login.good.replace("state=", "state=x"))
        assert answer.status == 403
        assert login.strays == [FROM_OTHER_USER]


async def test_another_users_callback_with_the_state_is_accepted_and_reported(
    browser: aiohttp.ClientSession,
) -> None:
    async with waiting(lambda _peer, _own: 1234) as login:
        tab = asyncio.create_task(browser.get(login.good))
        assert await login.listener.wait_for_callback() == Granted(
            Secret("c(o)de"), other_user=1234
        )
        await login.listener.show_result(PAGE)
        assert "Signed in as Jane Doe" in await (await tab).text()
        assert login.strays == []


async def test_another_users_connections_do_not_evict_ours() -> None:
    others: list[bool] = [False]
    async with waiting(lambda _peer, _own: 1234 if others[0] else None) as login:
        ours = await asyncio.open_connection("127.0.0.1", login.sockets.port)
        await asyncio.sleep(0.05)
        others[0] = True
        theirs = [
            await asyncio.open_connection("127.0.0.1", login.sockets.port) for _ in range(120)
        ]
        await asyncio.sleep(0.05)
        ours[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 421 " in await asyncio.wait_for(ours[0].readline(), 5)
        for _, writer in (ours, *theirs):
            writer.transport.abort()


async def test_an_internal_error_does_not_end_the_login(browser: aiohttp.ClientSession) -> None:
    async with waiting() as login:
        await login.listener.show_result(None)  # type: ignore[arg-type]  # the error
        answer = await browser.get(login.origin + PATHS.done)
        assert answer.status == 500
        assert [stray.reason for stray in login.strays] == ["soe-auth failed on it"]


def headed(login: Login, target: str, *fields: str) -> bytes:
    host = f"Host: localhost:{login.sockets.port}"
    lines = [f"GET {target} HTTP/1.1", host, "Connection: close", *fields, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.slow
async def test_many_cookies_of_localhost_are_accepted() -> None:
    cookies = "Cookie: " + "; ".join(f"name{n}={'x' * 3000}" for n in range(40))
    assert 2**16 < len(cookies) < 2**17
    async with waiting() as login:
        assert (
            b" 303 " in (await raw(login.sockets.port, headed(login, PATHS.launch, cookies)))[:20]
        )
        target = login.good.removeprefix(login.origin)
        tab = asyncio.create_task(raw(login.sockets.port, headed(login, target, cookies)))
        assert await login.listener.wait_for_callback() == Granted(Secret("c(o)de"))
        await login.listener.show_result(PAGE)
        assert b" 303 " in (await tab)[:20]
        assert login.strays == []


@pytest.mark.parametrize(
    "fields",
    [
        ["Cookie: " + "x" * 300_000],
        [f"Cookie: {'x' * 100_000}"] * 3,
        [f"X{n}: {'x' * 5000}" for n in range(100)],
    ],
    ids=["one field", "a few", "many"],
)
async def test_a_request_that_is_too_large_gets_one_431_page(fields: list[str]) -> None:
    async with waiting() as login:
        answer = await raw(login.sockets.port, headed(login, PATHS.launch, *fields))
        assert answer.startswith(b"HTTP/1.0 431 ")
        assert b"Too many cookies" in answer
        assert login.strays == [TOO_LARGE]


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [b"&x=" + b"y" * 9000, "&user=Jürgen".encode(), b"&user=J%FCrgen", b"&x=1&x=2", b"&a" * 50],
    ids=["long", "raw UTF-8", "Latin-1", "twice", "many"],
)
async def test_unknown_parameters_of_a_callback_are_ignored(more: bytes) -> None:
    async with waiting() as login:
        target = login.good.removeprefix(login.origin).encode() + more
        request = headed(login, "TARGET").replace(b"TARGET", target)
        tab = asyncio.create_task(raw(login.sockets.port, request))
        assert await asyncio.wait_for(login.listener.wait_for_callback(), 2) == Granted(
            Secret("c(o)de")
        )
        await login.listener.show_result(PAGE)
        await tab


@pytest.mark.slow
@pytest.mark.posix("limits how many files a process may open")
async def test_without_file_descriptors_the_server_reports_it_and_continues(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with waiting() as login:
        clients = [socket.socket() for _ in range(4)]
        with no_more_files():
            for connection in clients:
                connection.connect(("127.0.0.1", login.sockets.port))
            await asyncio.sleep(0.01)  # lets the loop accept them
        for connection in clients:
            connection.close()
        assert set(login.listener.strays) == {"this process cannot open more connections"}
        answer = await raw(login.sockets.port, b"GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 421 " in answer
    await asyncio.sleep(1.2)  # an asyncio server would try again by now, and log a traceback
    assert caplog.records == []


@pytest.mark.parametrize("steps", range(6))
async def test_a_connection_accepted_just_before_the_end_is_closed(steps: int) -> None:
    with socket.socket() as late:
        async with waiting() as login:
            late.connect(("127.0.0.1", login.sockets.port))
            for _ in range(steps):  # of the event loop; each takes the connection one step further
                await asyncio.sleep(0)
        late.settimeout(2)
        with suppress(ConnectionResetError):
            assert await asyncio.to_thread(late.recv, 1) == b""


@pytest.mark.rfc("8252-8.3", "9700-4.2.4")
async def test_the_port_is_closed_once_the_login_has_ended() -> None:
    async with waiting() as login:
        port = login.sockets.port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with pytest.raises(ConnectionRefusedError):
        connection.connect()


@pytest.mark.rfc("a log")
async def test_nothing_of_a_request_is_logged(
    browser: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    async with waiting() as login:
        await browser.get(login.good.replace("state=", "state=canary"))
        await raw(login.sockets.port, b"GET /canary HTTP/9.9\r\ncanary\r\n\r\n")
    assert "canary" not in caplog.text
