"""The event loop of the commands: its end does not wait for a name server."""

import asyncio
import socket
import threading
import time
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import suppress
from threading import Event

import pytest

from soe_auth import Site
from soe_auth.site_client.client import connect
from soe_auth.site_client.event_loop import run_async


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """A system with a silent name server; yields the names that were looked up."""
    lookups: list[object] = []
    ended = Event()

    def getaddrinfo(host: object, *_: object) -> list[object]:
        lookups.append(host)
        ended.wait(10)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield lookups
    ended.set()


def test_a_silent_name_server_does_not_delay_the_end(silent: list[object]) -> None:
    async def look_up() -> str:
        with suppress(TimeoutError):
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.getaddrinfo("deaf.test", 443), 0.1)
        return "done"

    started = time.monotonic()
    assert run_async(look_up()) == "done"
    assert time.monotonic() - started < 2
    assert silent == ["deaf.test"]


def test_a_name_is_looked_up_and_its_error_raised() -> None:
    async def look_up(host: str) -> object:
        loop = asyncio.get_running_loop()
        return (await loop.getaddrinfo(host, 80, family=socket.AF_INET))[0][4]

    assert run_async(look_up("127.0.0.1")) == ("127.0.0.1", 80)
    for bad in ("no.such.host.invalid", "a" * 70):
        with pytest.raises((OSError, UnicodeError)):
            run_async(look_up(bad))


def test_warm_up_asks_no_name_server(silent: list[object]) -> None:
    async def warm_up() -> None:
        async with connect(Site.parse("acme")) as connection:
            await connection.warm_up()

    run_async(warm_up())
    assert silent == []


def test_inside_a_loop_a_coroutine_runs_in_a_thread_and_returns_or_raises() -> None:
    async def work(error: Exception | None = None) -> int:
        if error:
            raise error
        return threading.get_ident()

    async def outer() -> None:
        assert run_async(work()) != threading.get_ident()
        with pytest.raises(TimeoutError, match="of the work"):
            run_async(work(TimeoutError("of the work")))

    asyncio.run(outer())


def test_an_interrupt_inside_a_loop_cancels_the_coroutine_and_waits_for_it() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            interrupt_main()
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            ended.append("work")

    async def outer() -> None:
        with pytest.raises(KeyboardInterrupt):
            run_async(work())
        ended.append("wait")

    loop = asyncio.new_event_loop()  # as in a notebook: asyncio.run has a Ctrl-C of its own
    loop.run_until_complete(outer())
    loop.close()
    assert ended == ["work", "wait"]
