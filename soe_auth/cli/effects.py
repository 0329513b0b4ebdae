"""What a login started from the command line does to the world."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from soe_auth.browser import launch, recognise
from soe_auth.cli.options import open_store
from soe_auth.sendoff import Effects
from soe_auth.store.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from soe_auth.cli.console import Console
    from soe_auth.settings import Settings


def login_effects(settings: Settings, console: Console, *, browser: bool = True) -> Effects:
    """Return the real effects: this terminal, this desktop, this disk, this clock."""
    codes: list[int] = []

    def show(url: str) -> bool:
        return launch(url, settings.browser, console.environ, codes.append)

    return Effects(
        store=open_store(settings, console, with_a_person=True),
        turns=Turns(settings.paths.directory, report=console.say),
        announce=console.say,
        request=console.error,
        detail=console.detail,
        browser=show if browser else None,
        browser_failed=lambda: any(codes),
        place=recognise(console.environ),
        consent=console.confirm,
        pasted=_pasted if console.can_ask else None,
    )


def _pasted() -> AsyncIterator[str]:
    from soe_auth.cli.paste import pasted_lines

    return pasted_lines(sys.stdin.fileno())
