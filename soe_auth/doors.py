"""The two doors of a login: the redirect to a listener, and a line pasted into the terminal.

Both are open at once, and the first genuine answer through either one wins.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from soe_auth.errors import LoginError
from soe_auth.protocol import Denied, Granted, Stray, judge_paste, login_success_uri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from soe_auth.loopback import Loopback
    from soe_auth.pages import Page
    from soe_auth.protocol import AuthorizationRequest
    from soe_auth.sockets import LoopbackSockets


class Doors:
    """The doors of one login, made by `open_doors`: a listener, a terminal, or both."""

    def __init__(
        self,
        request: AuthorizationRequest,
        listener: Loopback | None,
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

    async def first_answer(self, timeout: float) -> Granted | Denied:  # noqa: ASYNC109  # a late answer must not be lost
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

    async def conclude(self, page: Page) -> None:
        """Show how the login ended to the browser that brought the answer, if one did."""
        if self._listener:
            await self._listener.conclude(page)

    async def _answer_among(self, lines: AsyncIterator[str]) -> Granted | Denied:
        async for line in lines:
            if not line.strip():
                continue
            match judge_paste(line, self._request):
                case Stray(reason=reason):
                    self._announce(f"That is not the answer: {reason}.")
                case answer:
                    return answer
        if self._request.redirect_uri == login_success_uri(self._request.site):
            raise LoginError("The terminal was closed before an address was pasted.")
        # The other door stays open: wait for what never comes.
        never: asyncio.Future[Granted | Denied] = asyncio.get_running_loop().create_future()
        return await never


@asynccontextmanager
async def open_doors(
    request: AuthorizationRequest,
    sockets: LoopbackSockets | None,
    launch_path: str,
    done_path: str,
    *,
    pasted: Callable[[], AsyncIterator[str]] | None,
    announce: Callable[[str], None],
    detail: Callable[[str], None],
) -> AsyncIterator[Doors]:
    """Open the doors that there are, until the block ends.

    `announce` is told once of each kind of stray that concerns the person, `detail` of every other.
    """
    lines = pasted() if pasted else None
    if sockets is None:
        yield Doors(request, None, lines, announce)
        return
    from soe_auth.loopback import LocalPaths, serve
    from soe_auth.peers import is_stranger

    told: set[str] = set()

    def tell(stray: Stray) -> None:
        # Once for each reason: who can knock must not be able to fill the terminal.
        loud = stray.notable and stray.reason not in told
        told.add(stray.reason)
        say = announce if loud else detail
        say(f"Something else came to the listener: {stray.reason}. Still waiting.")

    paths = LocalPaths(launch_path, done_path)
    async with serve(sockets.sockets, sockets.port, request, paths, tell, is_stranger) as listener:
        yield Doors(request, listener, lines, announce)
