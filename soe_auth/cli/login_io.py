"""What a login started from the command line does to the world."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from soe_auth.actions.start_login import LoginIO
from soe_auth.cli.options import open_store
from soe_auth.desktop.browser import launch, watch
from soe_auth.desktop.environment import detect
from soe_auth.storage.login_lock import LoginLock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from soe_auth.cli.console import Console
    from soe_auth.fast.early_browser import StartedLogin
    from soe_auth.settings.resolve import Settings


def login_effects(
    settings: Settings,
    console: Console,
    *,
    browser: bool = True,
    by_pipe: bool = False,
    ahead: StartedLogin | None = None,
    on_stored: Callable[[], None] = lambda: None,
) -> LoginIO:
    """Return the real effects: this terminal, this desktop, this disk, this clock.

    With `by_pipe`, the address that redirect login_success needs may come through a pipe as well.
    `ahead` is a head start that was taken; one for other settings is given up. `on_stored` is
    called as soon as the token is safe.
    """
    codes: list[int] = []
    if ahead and ahead.known != [settings.profile, *settings.of_browser]:
        ahead.give_up()
        ahead = None
    if ahead:
        watch(ahead.pid, codes.append)
    held = {settings.profile: ahead.release} if ahead else {}

    def show(url: str) -> bool:
        return launch(url, settings.browser, console.environ, codes.append)

    # What a pipe holds may be for a hook or for a command to run, so it is read where nothing but
    # that can be meant.
    reads_pipe = by_pipe and settings.redirect == "login_success" and console.has_pipe
    return LoginIO(
        store=open_store(settings, console, with_a_person=True),
        login_lock=LoginLock(settings.paths.directory, report=console.say, held=held),
        announce=console.say,
        request=console.error,
        detail=console.detail,
        browser=show if browser else None,
        browser_failed=lambda: any(codes),
        place=detect(console.environ),
        consent=console.confirm,
        pasted=_pasted if console.can_ask or reads_pipe else None,
        ahead=ahead,
        alone=True,
        on_stored=on_stored,
    )


def _pasted() -> AsyncIterator[str]:
    from soe_auth.cli.terminal_paste import pasted_lines

    return pasted_lines(sys.stdin.fileno())
