"""Print the stored token and a newline on stdout, and nothing else.

Without a token that serves: exit 3, and one line on stderr says what to type. A browser is opened
only with --login. SOE_AUTH_TOKEN, when set, is the answer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from soe_auth import access
from soe_auth.cli.options import add_settings, open_store, resolve_settings
from soe_auth.errors import LoginRequired
from soe_auth.table import MIN_TTL

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.console import Console
    from soe_auth.secret import Secret


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_settings(parser, MIN_TTL)
    parser.add_argument("--login", action="store_true", help="sign in first, if that is needed")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the token."""
    access_token = access.from_environment(console.environ) or _own(args, console)
    console.result(access_token.reveal())
    return 0


def _own(args: argparse.Namespace, console: Console) -> Secret:
    settings = resolve_settings(args, console)
    store = open_store(settings.paths, console)
    try:
        token = access.from_store(settings, store, now=time.time())
    except LoginRequired:
        if not args.login:
            raise
        from soe_auth.cli.effects import login_effects
        from soe_auth.signin import login_if_needed

        login_if_needed(settings, login_effects(settings, console))
        # A new token may fall short, too, of what was asked for.
        token = access.from_store(settings, store, now=time.time())
    for warning in token.warnings(time.time()):
        console.detail(warning)
    return token.access_token
