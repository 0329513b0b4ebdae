"""A sandbox for callers that are not asynchronous."""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypedDict, Unpack

from soe_auth.sandbox.quirks import Quirks
from soe_auth.sandbox.redirect_uri import DomainRule
from soe_auth.sandbox.registry import Account, Application
from soe_auth.sandbox.server import Sandbox


class SandboxSettings(TypedDict, total=False):
    """The arguments of `Sandbox`."""

    port: int
    host: str
    applications: Sequence[Application]
    accounts: Sequence[Account]
    teams: Sequence[str]
    domain_rule: DomainRule
    strict: bool
    lifetime: int
    quirks: Quirks
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    narrate: Callable[[str], None]
    ssl_context: ssl.SSLContext | None
    tls: bool


@contextmanager
def running(**settings: Unpack[SandboxSettings]) -> Iterator[Sandbox]:
    """Run a `Sandbox` in a thread with its own event loop, and end both with the `with`.

    Takes the arguments of `Sandbox` and raises what entering it raises. `clock`, `entropy` and
    `narrate` are called in that thread.
    """
    site = Sandbox(**settings)
    over = asyncio.Event()
    ready: Future[asyncio.AbstractEventLoop] = Future()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="soe-sandbox") as thread:
        serving = thread.submit(lambda: asyncio.run(_serve(site, ready, over)))
        either: list[Future[Any]] = [serving, ready]
        wait(either, return_when=FIRST_COMPLETED)
        if not ready.done():
            serving.result()  # it failed to begin, and raises why
        try:
            yield site
        finally:
            ready.result().call_soon_threadsafe(over.set)
            serving.result()


async def _serve(
    site: Sandbox, ready: Future[asyncio.AbstractEventLoop], over: asyncio.Event
) -> None:
    async with site:
        ready.set_result(asyncio.get_running_loop())
        await over.wait()
