"""What a login started from the command line does to the world."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from soe_auth.actions.login_io import system_login_io
from soe_auth.cli.wake_on_signals import wake_on_signals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

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
        wake_on_signals=wake_on_signals,
        on_stored=on_stored,
    )
    if not browser:
        io = replace(io, open_browser=None)
    return accelerate(io)
