"""The command that takes the place of this process, with a token in its environment.

Only what is light is imported here.
"""

from __future__ import annotations

import os
import signal

from soe_auth.secret import TOKEN_VARIABLE

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from soe_auth.secret import Secret

_SITE_VARIABLE = "SOE_AUTH_SITE"


def environment_with(
    token: Secret, site: str | None, environ: Mapping[str, str], variable: str = TOKEN_VARIABLE
) -> dict[str, str]:
    """Return the environment with the token in a variable, and the site's URL if it is known."""
    changed = {name: value for name, value in environ.items() if name != TOKEN_VARIABLE}
    changed[variable] = token.reveal()
    if site:
        changed[_SITE_VARIABLE] = site
    return changed


def become(command: list[str], environ: Mapping[str, str]) -> NoReturn:
    """Have the command take the place of this process, as if it had been called itself.

    Raises OSError where that cannot be.
    """
    for number in signal.valid_signals():
        # The system gives a caught signal its default in what we become, but one that came while we
        # do would be lost.
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and nobody else does
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(command[0], command, environ)  # noqa: S606  # what the person asked for; no shell
