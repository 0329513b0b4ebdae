"""What a login started from the command line does to the world."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from soe_auth.browser import launch, recognise
from soe_auth.cli.options import open_store
from soe_auth.signin import Effects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from soe_auth.cli.console import Console
    from soe_auth.settings import Settings


def login_effects(settings: Settings, console: Console, *, browser: bool = True) -> Effects:
    """Return the real effects: this terminal, this desktop, this disk, this clock."""

    def show(url: str) -> bool:
        return launch(url, settings.browser, console.environ)

    return Effects(
        store=open_store(settings.paths, console),
        announce=console.say,
        request=console.error,
        detail=console.detail,
        browser=show if browser else None,
        place=recognise(console.environ),
        pasted=_pasted if console.can_ask else None,
        harden=None if sys.platform == "win32" else no_core_dumps,
    )


def no_core_dumps() -> None:
    """Have no crash of this process write its memory, secrets and all, anywhere.

    A limit of one byte, as Linux takes none for a crash handler's pipe at its word (core(5)).
    """
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0 if hard == 0 else 1, hard))


def _pasted() -> AsyncIterator[str]:
    from soe_auth.cli.paste import pasted_lines

    return pasted_lines(sys.stdin.fileno())
