"""The two doors of a login: the redirect to a listener, and a line pasted into the terminal.

Both are open at once, and the first genuine answer through either one wins.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from soe_auth.errors import LoginError
from soe_auth.oauth.authorization import Denied, Granted, Stray, check_pasted_url, login_success_uri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
    from types import ModuleType

    from soe_auth.actions.start_login import LoginIO, PendingAuthorization
    from soe_auth.loopback.pages import Page
    from soe_auth.loopback.server import CallbackServer
    from soe_auth.oauth.authorization import AuthorizationRequest


class CallbackSources:
    """The doors of one login, made by `open_callback_sources`: a listener, a terminal, or both."""

    def __init__(
        self,
        request: AuthorizationRequest,
        listener: CallbackServer | None,
        pasted: AsyncIterator[str] | None,
        announce: Callable[[str], None],
    ) -> None:
        self._request = request
        self._listener = listener
        self._pasted = pasted
        self._announce = announce

    @property
    def strays(self) -> Mapping[str, int]:
        """How often something came to the listener that was not the answer, by the reason why."""
        return self._listener.strays if self._listener else {}

    @property
    def nothing(self) -> str:
        """Say in what way nothing came."""
        if self._listener and not self._listener.browser_redirected:
            return "no browser came to the address above"
        return "nothing came back from the site"

    async def wait(self, timeout: float) -> Granted | Denied:  # noqa: ASYNC109  # a late answer must not be lost
        """Wait for the first genuine answer.

        Raises TimeoutError after that many seconds, and LoginError where no door is left.
        """
        doors: list[Coroutine[None, None, Granted | Denied]] = []
        if self._listener:
            doors.append(self._listener.redirect())
        if self._pasted:
            doors.append(self._answer_among(self._pasted))
        tasks = [asyncio.create_task(door) for door in doors]
        try:
            # Not asyncio.timeout: an answer that has come at the same moment is not thrown away.
            answered, _ = await asyncio.wait(
                tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not answered:
            raise TimeoutError
        return answered.pop().result()

    async def show_result(self, page: Page) -> None:
        """Show how the login ended to the browser that brought the answer, if one did."""
        if self._listener:
            await self._listener.show_result(page)

    async def _answer_among(self, lines: AsyncIterator[str]) -> Granted | Denied:
        async for line in lines:
            if not line.strip():
                continue
            match check_pasted_url(line, self._request):
                case Stray(reason=reason):
                    self._announce(f"That is not the answer: {reason}.")
                case answer:
                    return answer
        if self._request.redirect_uri == login_success_uri(self._request.site):
            raise LoginError(
                "The input ended before an address was pasted.",
                hint="Start again, and leave the terminal or the pipe open until then.",
            )
        # The other door stays open: wait for what never comes.
        never: asyncio.Future[Granted | Denied] = asyncio.get_running_loop().create_future()
        return await never


@asynccontextmanager
async def open_callback_sources(
    pending: PendingAuthorization, effects: LoginIO
) -> AsyncIterator[CallbackSources]:
    """Open the doors that there are, until the block ends."""
    lines = effects.pasted() if effects.pasted else None
    async with _listening(pending, effects) as listener:
        yield CallbackSources(pending.request, listener, lines, effects.request)


@asynccontextmanager
async def _listening(
    pending: PendingAuthorization, effects: LoginIO
) -> AsyncIterator[CallbackServer | None]:
    """Listen at the login's sockets, behind an usher at first; None where it has none."""
    request, sockets, launch_path = pending.request, pending.sockets, pending.launch_path
    if sockets is None:
        yield None
        return
    from soe_auth.fast.early_redirect import redirect_early
    from soe_auth.loopback.peer_user import is_other_user

    told: set[str] = set()

    def tell(stray: Stray) -> None:
        # Once for each reason: who can knock must not be able to fill the terminal.
        loud = stray.notable and stray.reason not in told
        told.add(stray.reason)
        say = effects.announce if loud else effects.detail
        say(f"Something else came to the listener: {stray.reason}. Still waiting.")

    with redirect_early(sockets, launch_path, request, is_other_user) as usher:
        server = await asyncio.to_thread(_the_listener, alone=effects.alone)
        connections = usher.leave()
    paths = server.LocalPaths(launch_path, pending.result_path)
    serving = server.serve(sockets, request, paths, tell, is_other_user, connections)
    async with serving as listener:
        listener.browser_redirected = usher.browser_redirected
        yield listener


def _the_listener(*, alone: bool) -> ModuleType:
    """Load the listener, in a thread, so that the browser is led on meanwhile.

    aiohttp reads all CAs as it is loaded, for a client that we do not use: 33 ms and 2 MB. In a
    process that is ours alone it finds none. There nobody else looks at the variable meanwhile, and
    whoever used that client would be refused by it, not deceived.
    """
    with _set("SSL_CERT_FILE", os.devnull) if alone else nullcontext():
        from soe_auth.loopback import server
    return server


@contextmanager
def _set(variable: str, value: str) -> Iterator[None]:
    before = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
