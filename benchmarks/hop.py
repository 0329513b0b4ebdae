"""The cost of the short local address: from the start of a login to the sign-in page.

A real Chromium, which is already running, shows the page in a new tab. It gets the address at once;
the command of a desktop would take longer, in which time the listener becomes ready.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from benchmarks.place import PEERS
from benchmarks.table import Figure, Row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from benchmarks.place import World
    from benchmarks.runner import Rounds

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--remote-debugging-port=0",
    "--no-first-run",
    # Without these, Chromium makes requests of its own to other machines.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium's own sandbox refuses root
)
_WHAT = "login: start to sign-in page"
_LOOK = 0.02  # seconds between two checks whether the browser has started


async def measure(world: World, rounds: Rounds) -> list[Row]:
    """Measure the time to the page, by the short address and by the authorization URL itself."""
    place = world.http
    contenders = {
        _WHAT: place.soe_auth("login", "-p", "bench"),
        f"{_WHAT}; authorize URL itself": place.bare(
            str(PEERS / "direct.py"), place.site.url, "login", "-p", "bench"
        ),
    }
    seconds: dict[str, list[float]] = {what: [] for what in contenders}
    if chromium := next(filter(None, map(shutil.which, _NAMES)), None):
        async with _running(chromium, place.directory / "chromium") as port:
            async for counts in rounds.each():
                for what, job in contenders.items():
                    running = await rounds.spawner.start(job)
                    address, _ = await place.browser.read(running)
                    await _open_tab(port, address)
                    shown_at = await place.site.shown()
                    running.kill()
                    await rounds.spawner.costs(running, killed=True)
                    if counts:
                        seconds[what].append(shown_at - running.started_at[0])
    return [
        Row(what=what, wall=Figure(taken, "ms") if taken else None)
        for what, taken in seconds.items()
    ]


@asynccontextmanager
async def _running(chromium: str, directory: Path) -> AsyncIterator[int]:
    """Run a browser with a new profile; yield the port of its DevTools."""
    browser = await asyncio.create_subprocess_exec(
        *(chromium, *_FLAGS, f"--user-data-dir={directory}", "about:blank"),
        stderr=asyncio.subprocess.PIPE,
    )
    gone = asyncio.create_task(
        browser.communicate()
    )  # until its last process, as each holds stderr
    try:
        port_file = directory / "DevToolsActivePort"
        while not (port_file.exists() and port_file.stat().st_size):  # noqa: ASYNC110  # a file
            await asyncio.sleep(_LOOK)
        yield int(port_file.read_text(encoding="utf-8").split()[0])
    finally:
        browser.terminate()
        await gone


async def _open_tab(port: int, address: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"PUT /json/new?{address} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await reader.readline()
    writer.close()
