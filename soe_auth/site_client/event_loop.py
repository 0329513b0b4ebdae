"""Run coroutines in an event loop that ends without waiting for name servers.

asyncio looks names up in threads that `asyncio.run` waits for: ten seconds and more after the work
has ended. A look-up cannot be interrupted, so here each runs in its own daemon thread.
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

_POLL_INTERVAL = 0.2  # seconds; on Windows, Ctrl-C does not interrupt a wait without a limit

if sys.platform == "win32":
    from asyncio import ProactorEventLoop as SystemLoop
else:
    from asyncio import SelectorEventLoop as SystemLoop


def run_async(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end, as `asyncio.run` does.

    Inside a running event loop, as in a notebook, it runs in a thread and blocks that loop. An
    exception that interrupts the wait, such as KeyboardInterrupt, cancels it.
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
    thread = Thread(target=_complete, args=(result, run), daemon=True)
    try:
        thread.start()
        while futures.wait([result], _POLL_INTERVAL).not_done:
            pass
    except BaseException:
        if thread.is_alive():
            loop, task = started.result()
            with suppress(RuntimeError):  # the loop has ended by now
                loop.call_soon_threadsafe(task.cancel)
            thread.join()
        raise
    return result.result()


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Call `work` in a new thread, or in this one if none can be started."""
    future: Future[_Result] = Future()
    future.set_running_or_notify_cancel()  # the thread continues if the wait is cancelled
    try:
        Thread(target=_complete, args=(future, work), daemon=True).start()
    except RuntimeError:
        _complete(future, work)
    return await asyncio.wrap_future(future)


def _complete(future: Future[_Result], work: Callable[[], _Result]) -> None:
    """Set the result of `work`, or its exception, on a future."""
    try:
        future.set_result(work())
    except BaseException as problem:  # noqa: BLE001  # the waiting code raises it
        future.set_exception(problem)


class _Loop(SystemLoop):
    async def getaddrinfo(self, *args: Any, **kwargs: Any) -> list[Any]:  # noqa: ANN401  # as socket's
        return await in_thread(partial(socket.getaddrinfo, *args, **kwargs))
