"""A login with a simulated browser.

The browser follows its address to the site, where a simulated user takes one second. Then it
follows the redirect back, and loads the page after it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks.place import Pipe
from benchmarks.runner import BenchmarkError
from benchmarks.site import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.place import Place
    from benchmarks.runner import Cost, Job, Spawner
    from benchmarks.site import Site

AWAY = 1.0  # seconds that the user takes at the site
_LISTENER = "127.0.0.1"


# --- the browser ---


@dataclass(frozen=True, slots=True)
class Callback:
    """The callback that the browser sends after the sign-in."""

    port: int
    target: str
    form: str = ""  # the body, if the callback is a form

    @classmethod
    def of(cls, authorize: str) -> Callback:
        """Return the callback for an authorization URL."""
        query = parse_qs(urlsplit(authorize).query)
        redirect = urlsplit(query["redirect_uri"][0])
        state = [("state", value) for value in query.get("state", [])]
        answer = urlencode([("code", "made-up"), *state])
        port, path = redirect.port or 80, redirect.path or "/"
        if query.get("response_mode") == ["form_post"]:
            return cls(port, path, answer)
        return cls(port, f"{path}?{answer}")


async def fetch(
    port: int, target: str, form: str = "", *, on_connected: Callable[[], None] = lambda: None
) -> str | None:
    """Get a page of a local listener, or post a form to it; return its redirect's address.

    `on_connected` is called between the connection and the request.
    """
    reader, writer = await asyncio.open_connection(_LISTENER, port)
    on_connected()
    method, length = ("POST", f"Content-Length: {len(form)}\r\n") if form else ("GET", "")
    writer.write(
        f"{method} {target} HTTP/1.1\r\nHost: localhost:{port}\r\n{length}"
        f"Connection: close\r\n\r\n{form}".encode()
    )
    answer = (await reader.read()).decode()
    writer.close()
    for line in answer.partition("\r\n\r\n")[0].splitlines():
        name, _, value = line.partition(": ")
        if name.lower() == "location":
            return value
    return None


async def to_site(address: str, site: Site) -> Callback:
    """Follow an address to the site; return the callback."""
    if not address.startswith(site.url):
        parts = urlsplit(address)
        address = await fetch(parts.port or 80, parts.path) or ""
    if not address.startswith(site.url):
        raise BenchmarkError(f"The browser was redirected to {address!r}, which is not the site.")
    return Callback.of(address)


async def send_callback(callback: Callback, on_connected: Callable[[], None]) -> None:
    """Send the callback, and load the page to which it redirects."""
    if page := await fetch(
        callback.port, callback.target, callback.form, on_connected=on_connected
    ):
        await fetch(callback.port, urlsplit(page).path)


# --- one login ---


@dataclass(frozen=True, slots=True)
class Login:
    """The figures of one login: seconds from the redirect, and the cost of the whole process."""

    exchange_left: float
    token_written: float
    gone: float
    cost: Cost


async def no_attack(_: Callback, __: AsyncExitStack) -> None:
    """Send the listener no other requests."""


async def sign_in(
    job: Job,
    place: Place,
    spawner: Spawner,
    away: float = AWAY,
    meanwhile: Callable[[Callback, AsyncExitStack], Awaitable[None]] = no_attack,
) -> Login:
    """Run a whole login; `meanwhile` runs while the user is at the site."""
    output = Pipe(place.directory / "output")
    async with AsyncExitStack() as stack:
        stack.callback(output.path.unlink)
        stack.callback(output.close)
        running = await spawner.start(replace(job, stdout=output.path))
        address, _ = await place.browser.read(running)
        callback = await to_site(address, place.site)
        await meanwhile(callback, stack)
        await asyncio.sleep(away)
        sent: list[float] = []
        tab = asyncio.create_task(send_callback(callback, lambda: sent.append(time.monotonic())))
        token, written_at = await output.read(running)
        if token != TOKEN:
            raise running.failure("did not print the token")
        await tab
        [cost] = await spawner.costs(running)
    [redirected_at] = sent
    return Login(
        exchange_left=place.site.requested_at - redirected_at,
        token_written=written_at - redirected_at,
        gone=cost.ended_at - redirected_at,
        cost=cost,
    )
