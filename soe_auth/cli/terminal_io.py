"""Connect a login to this terminal, desktop and disk."""

from __future__ import annotations

import signal
import socket
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from soe_auth.actions.login_io import system_login_io
from soe_auth.desktop.environment import detect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from soe_auth.actions.login_io import LoginIO
    from soe_auth.cli.console import Console
    from soe_auth.settings.settings import Settings


def login_io(
    settings: Settings,
    console: Console,
    *,
    browser: bool = True,
    by_pipe: bool = False,
    on_stored: Callable[[], None] = lambda: None,
) -> LoginIO:
    """Return the LoginIO of the command line.

    With `by_pipe`, the address that redirect login_success needs can be read from a pipe.
    `on_stored` is called as soon as the token is stored.
    """
    # A pipe may be meant for a hook or a command to run, so it is read for an address only.
    reads_pipe = by_pipe and settings.redirect == "login_success" and console.has_pipe
    # Lines typed before the address is shown cannot be an answer; they are for the shell.
    typed_ahead = settings.redirect != "login_success" and console.typed_ahead

    async def pressed() -> None:
        from soe_auth.cli.terminal_paste import enter_pressed

        await enter_pressed(sys.stdin.fileno())

    def pasted() -> AsyncIterator[str] | None:
        if typed_ahead:
            console.error("Cannot read a pasted address: lines typed ahead are for the shell.")
            return None
        from soe_auth.cli.terminal_paste import pasted_lines

        return pasted_lines(sys.stdin.fileno())

    def read_clipboard() -> Callable[[], str] | None:
        # The clipboard of a remote machine is not that of the browser.
        if settings.paste != "clipboard" or detect(console.environ).remote_reason:
            return None
        from soe_auth.desktop.clipboard import clipboard_reader

        return clipboard_reader(console.environ)

    io = replace(
        system_login_io(settings, console.environ, console.say),
        instruct=console.error,
        verbose=console.detail,
        ask_consent=console.confirm,
        pasted_lines=pasted if console.can_ask or reads_pipe else None,
        show_waiting=console.show_waiting,
        enter_pressed=pressed if console.can_ask and not typed_ahead else None,
        read_clipboard=read_clipboard(),
        wake_on_signals=wake_on_signals,
        on_stored=on_stored,
    )
    return console.accelerate(io if browser else replace(io, open_browser=None))


@contextmanager
def wake_on_signals() -> Iterator[None]:
    """Make each signal wake the running event loop, so that Python runs its handler at once.

    A signal just before the loop sleeps would otherwise wait until the loop wakes, for example
    until a name server times out. On Windows the loop does this by itself.
    """
    if sys.platform == "win32":
        yield
        return
    import asyncio

    loop = asyncio.get_running_loop()
    reader, writer = socket.socketpair()

    def drain() -> None:
        with suppress(BlockingIOError):  # a loop that is ending may call it for no signal
            reader.recv(64)

    with reader, writer:
        for end in (reader, writer):
            end.setblocking(False)  # noqa: FBT003  # the socket module's own signature
        loop.add_reader(reader, drain)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reader)
