"""A login whose browser is played.

It is given an address, follows it to the site, and is a person there for a second; then it follows
the redirect back, and shows the page that it is led to.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks.place import Pipe
from benchmarks.runner import Failed
from benchmarks.site import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.place import Place
    from benchmarks.runner import Cost, Job, Spawner
    from benchmarks.site import Site

AWAY = 1.0  # seconds that the person takes at the site
_LISTENER = "127.0.0.1"


# --- the browser ---


@dataclass(frozen=True, slots=True)
class Return:
    """Where the browser is sent back to with the answer."""

    port: int
    target: str
    form: str = ""  # where the answer is to come in a form

    @classmethod
    def of(cls, authorize: str) -> Return:
        """Read it from an authorize URL."""
        query = parse_qs(urlsplit(authorize).query)
        redirect = urlsplit(query["redirect_uri"][0])
        state = [("state", value) for value in query.get("state", [])]
        answer = urlencode([("code", "made-up"), *state])
        port, path = redirect.port or 80, redirect.path or "/"
        if query.get("response_mode") == ["form_post"]:
            return cls(port, path, answer)
        return cls(port, f"{path}?{answer}")


async def fetch(
    port: int, target: str, form: str = "", *, begun: Callable[[], None] = lambda: None
) -> str | None:
    """Get a page of a listener on this machine, or send it a form; return where it redirects to.

    `begun` is called when the connection is there and the request about to leave.
    """
    reader, writer = await asyncio.open_connection(_LISTENER, port)
    begun()
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


async def to_site(address: str, site: Site) -> Return:
    """Follow an address to the site; return the way back."""
    if not address.startswith(site.url):
        parts = urlsplit(address)
        address = await fetch(parts.port or 80, parts.path) or ""
    if not address.startswith(site.url):
        raise Failed(f"The browser was led to {address!r}, which is not the site.")
    return Return.of(address)


async def come_back(back: Return, begun: Callable[[], None]) -> None:
    """Bring the answer, and look at the page that it leads to, if it leads on."""
    if page := await fetch(back.port, back.target, back.form, begun=begun):
        await fetch(back.port, urlsplit(page).path)


# --- one login ---


@dataclass(frozen=True, slots=True)
class Login:
    """What one login took: seconds from the redirect, and the costs of the whole process."""

    exchange_left: float
    token_written: float
    gone: float
    cost: Cost


async def nobody_else(_: Return, __: AsyncExitStack) -> None:
    """Leave the listener alone."""


async def sign_in(
    job: Job,
    place: Place,
    spawner: Spawner,
    away: float = AWAY,
    meanwhile: Callable[[Return, AsyncExitStack], Awaitable[None]] = nobody_else,
) -> Login:
    """Play a whole login; `meanwhile` is done to the listener while the person is away."""
    output = Pipe(place.directory / "output")
    async with AsyncExitStack() as stack:
        stack.callback(output.path.unlink)
        stack.callback(output.close)
        running = await spawner.start(replace(job, stdout=output.path))
        address, _ = await place.browser.told(running)
        back = await to_site(address, place.site)
        await meanwhile(back, stack)
        await asyncio.sleep(away)
        left: list[float] = []
        tab = asyncio.create_task(come_back(back, lambda: left.append(time.monotonic())))
        token, written_at = await output.told(running)
        if token != TOKEN:
            raise running.failure("printed something else than the token")
        await tab
        [cost] = await spawner.costs(running)
    [redirected_at] = left
    return Login(
        exchange_left=place.site.asked_at - redirected_at,
        token_written=written_at - redirected_at,
        gone=cost.ended_at - redirected_at,
        cost=cost,
    )
