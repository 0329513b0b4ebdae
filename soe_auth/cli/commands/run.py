"""Run a command with the token in its environment, and nowhere else.

It finds SOE_AUTH_TOKEN there, and the site's URL in SOE_AUTH_SITE. It takes the place of this
process, so that signals, the terminal and the exit code are its own. Without a token that serves it
is not started: exit 3, and one line on stderr says what to type.
"""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soe_auth.actions.get_token import site_of_environment
from soe_auth.cli.exit_codes import CANNOT_RUN, NOT_FOUND
from soe_auth.cli.options import add_settings, resolve_settings
from soe_auth.cli.token_source import find_token
from soe_auth.desktop.process import child_environment, exec_command
from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.model.text import printable
from soe_auth.settings import TOKEN_VARIABLE
from soe_auth.settings.spec import MIN_TTL, SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soe_auth.cli.console import Console
    from soe_auth.cli.token_source import TokenSource

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)  # POSIX.1-2017, XBD 3.235


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.usage = "soe-auth run [options] [--] CMD …"
    add_settings(parser, MIN_TTL)
    parser.add_argument("--login", action="store_true", help="sign in first, if that is needed")
    parser.add_argument(
        "--env",
        metavar="NAME",
        default=TOKEN_VARIABLE,
        help=f"the token's variable; default: {TOKEN_VARIABLE}",
    )
    parser.add_argument("cmd", nargs=argparse.REMAINDER, help="the command, with its arguments")


def run(args: argparse.Namespace, console: Console) -> int:
    """Become the command; return only if that fails."""
    command, variable = _command(args.cmd), _variable(args.env)
    with _core_limit_kept():
        found = find_token(args, console, login=args.login)
        site = _site(found, args, console)
        environ = child_environment(found.access_token, site, console.environ, variable)
        if found.settings and found.token:
            console.observer.executes(command, variable, found.settings, found.token)
    try:
        exec_command(command, environ)
    except OSError as problem:
        console.fail(f"{printable(command[0])} could not be run: {problem.strerror}.")
        return NOT_FOUND if isinstance(problem, FileNotFoundError) else CANNOT_RUN


def _command(words: list[str]) -> list[str]:
    command = words[1:] if words[:1] == ["--"] else words
    if not command or not command[0]:
        raise SettingsError(
            "There is no command to run.", hint="Put it last: `soe-auth run -- CMD …`."
        )
    return command


def _variable(name: str) -> str:
    if name == SITE.variable or not _NAME.fullmatch(name):
        raise SettingsError(
            f"env (from --env): {printable(name, 40)} cannot be the token's variable.",
            hint="Write a name of letters, digits and _, such as API_TOKEN.",
        )
    return name


def _site(found: TokenSource, args: argparse.Namespace, console: Console) -> str | None:
    """Return the URL of the token's site, or where that is unknown, of the settings' site, if any.

    Raises SettingsError as `resolve` and `site_of_environment`.
    """
    if found.token:
        return str(found.token.site)
    try:
        settings = resolve_settings(args, console)
    except LoginRequired:  # there is no profile
        return None
    site = site_of_environment(settings)
    return str(site) if site else None


@contextmanager
def _core_limit_kept() -> Iterator[None]:
    """Give back what holding a token has taken from this process, for the command to inherit."""
    if sys.platform == "win32":  # it has no such limits
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_CORE)
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)
