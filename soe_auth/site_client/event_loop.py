"""Run a coroutine in an event loop whose end no name server can hold up.

asyncio looks names up in the threads of its default executor, and `asyncio.run` waits for those
threads: where a name server is silent, ten seconds and more after the work is done or given up. A
look-up cannot be cut short, so here each has a thread of its own, which is not waited for.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from concurrent import futures
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

_Result = TypeVar("_Result")

_INTERRUPT_COMES = 0.2  # seconds between two looks for it

if sys.platform == "win32":
    from asyncio import ProactorEventLoop as SystemLoop
else:
    from asyncio import SelectorEventLoop as SystemLoop


def run_async(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end, as `asyncio.run` does, and wait for no look-up of a name.

    Inside a running event loop, as in a notebook, it runs in a thread and holds that loop up. What
    interrupts the wait, such as Ctrl-C, cancels it.
    """
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def start() -> _Result:
        task = asyncio.current_task()
        assert task  # noqa: S101  # a coroutine runs in one
        started.set_result((asyncio.get_running_loop(), task))
        return await work

    def run() -> _Result:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            return runner.run(start())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    result: Future[_Result] = Future()

    def run_in_thread() -> None:
        try:
            result.set_result(run())
        except BaseException as problem:  # noqa: BLE001  # it is raised where it is waited for
            result.set_exception(problem)

    thread = Thread(target=run_in_thread, daemon=True)
    try:
        thread.start()
        # On Windows, nothing interrupts a wait without an end.
        while futures.wait([result], _INTERRUPT_COMES).not_done:
            pass
    except BaseException:
        if thread.is_alive():
            loop, task = started.result()
            with suppress(RuntimeError):  # it has ended by now
                loop.call_soon_threadsafe(task.cancel)
            thread.join()
        raise
    return result.result()


class _Loop(SystemLoop):
    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  # asyncio's own signature
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        return await in_thread(partial(socket.getaddrinfo, host, port, family, type, proto, flags))


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Call `work` in a thread of its own, or in this one where none can be started."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Result] = loop.create_future()

    def settle(result: _Result | None, problem: Exception | None) -> None:
        if answer.done():  # it was given up
            return
        if problem:
            answer.set_exception(problem)
        else:
            answer.set_result(result)  # type: ignore[arg-type]  # there is one where no problem is

    def ask() -> None:
        result, problem = None, None
        try:
            result = work()
        except Exception as caught:  # noqa: BLE001  # it is raised where it is waited for
            problem = caught
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, problem)

    try:
        Thread(target=ask, daemon=True).start()
    except RuntimeError:  # none can be started
        ask()
    return await answer
