"""What a login started from the command line does to the world."""

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
    accelerate: Callable[[LoginIO], LoginIO],
    on_stored: Callable[[], None] = lambda: None,
) -> LoginIO:
    """Return the real effects: this terminal, this desktop, this disk, this clock.

    With `by_pipe`, the address that redirect login_success needs may come through a pipe as well.
    `accelerate` is given to `main`; `on_stored` is called as soon as the token is stored.
    """
    # What a pipe holds may be for a hook or for a command to run, so it is read where nothing but
    # that can be meant.
    reads_pipe = by_pipe and settings.redirect == "login_success" and console.has_pipe
    # Before the address is shown there is no answer to paste: what waits is for the shell.
    typed_ahead = settings.redirect != "login_success" and console.typed_ahead

    async def pressed() -> None:
        from soe_auth.cli.terminal_paste import enter_pressed

        await enter_pressed(sys.stdin.fileno())

    def pasted() -> AsyncIterator[str] | None:
        if typed_ahead:
            console.error("Lines typed ahead are left for the shell, so none can be pasted here.")
            return None
        from soe_auth.cli.terminal_paste import pasted_lines

        return pasted_lines(sys.stdin.fileno())

    io = replace(
        system_login_io(settings, console.environ, console.say),
        instruct=console.error,
        verbose=console.detail,
        ask_consent=console.confirm,
        pasted_lines=pasted if console.can_ask or reads_pipe else None,
        show_waiting=console.show_waiting,
        enter_pressed=pressed if console.can_ask and not typed_ahead else None,
        read_clipboard=_clipboard(settings, console),
        wake_on_signals=wake_on_signals,
        on_stored=on_stored,
    )
    if not browser:
        io = replace(io, open_browser=None)
    return accelerate(io)


def _clipboard(settings: Settings, console: Console) -> Callable[[], str] | None:
    """Return what reads the clipboard, where that is set and it is the one of the browser."""
    if settings.paste != "clipboard" or detect(console.environ).remote_reason:
        return None
    from soe_auth.desktop.clipboard import clipboard_reader

    return clipboard_reader(console.environ)


@contextmanager
def wake_on_signals() -> Iterator[None]:
    """Have each signal wake the running event loop, so that Python runs its handler at once.

    A signal that comes just before the loop goes to sleep would else be handled only when it wakes:
    when a name server gives up, for one. On Windows the loop does this by itself.
    """
    if sys.platform == "win32":
        yield
        return
    import asyncio

    loop = asyncio.get_running_loop()
    reader, writer = socket.socketpair()
    with reader, writer:
        for end in (reader, writer):
            end.setblocking(False)  # noqa: FBT003  # the socket module's own signature
        loop.add_reader(reader, _drain, reader)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reader)


def _drain(reader: socket.socket) -> None:
    """Take the numbers of the signals that came; a loop that is ending may call it for none."""
    with suppress(BlockingIOError):
        reader.recv(64)
