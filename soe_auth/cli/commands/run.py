"""Run a command with the token in its environment.

The command gets the token in SOE_AUTH_TOKEN and the site's URL in SOE_AUTH_SITE. It replaces this
process: signals, the terminal and the exit code are its own. Without a valid token it is not
started: the exit code is 3, and one line on stderr says what to type.

For example:
  soe-auth run -- ./report.py
  soe-auth run --min-ttl 10m --env API_TOKEN -- make upload
"""

from __future__ import annotations

import argparse
import re
import sys
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
        help=f"the variable for the token; default: {TOKEN_VARIABLE}",
    )
    parser.add_argument(
        "cmd", metavar="CMD", nargs=argparse.REMAINDER, help="the command, with its arguments"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Replace this process with the command; return only if that fails."""
    command = args.cmd[1:] if args.cmd[:1] == ["--"] else args.cmd
    if not command or not command[0]:
        raise SettingsError(
            "There is no command to run.", hint="Put it last: `soe-auth run -- CMD …`."
        )
    is_reserved = args.env == SITE.variable
    if is_reserved or not _NAME.fullmatch(args.env):
        reason = "is reserved for the site" if is_reserved else "cannot hold the token"
        raise SettingsError(
            f"Cannot read env from --env: {printable(args.env, 40)} {reason}.",
            hint="Write another name, of letters, digits and _, such as API_TOKEN.",
        )
    environ = _environ(args, console, command)
    try:
        exec_command(command, environ)
    except OSError as problem:
        console.fail(f"Cannot run {printable(command[0])}: {problem.strerror}.")
        return NOT_FOUND if isinstance(problem, FileNotFoundError) else CANNOT_RUN


def _environ(args: argparse.Namespace, console: Console, command: list[str]) -> dict[str, str]:
    """Return the environment of the command, with the token and its site."""
    if sys.platform != "win32":
        import resource

        core_limit = resource.getrlimit(resource.RLIMIT_CORE)
    found = find_token(args, console, login=args.login)
    environ = child_environment(
        found.access_token, _site(found, args, console), console.environ, args.env
    )
    if found.settings and found.token:
        console.observer.executes(command, args.env, found.settings, found.token)
    if sys.platform != "win32":  # find_token has disabled core dumps; the command inherits that
        resource.setrlimit(resource.RLIMIT_CORE, core_limit)
    return environ


def _site(found: TokenSource, args: argparse.Namespace, console: Console) -> str | None:
    """Return the URL of the token's site; if that is unknown, of the settings' site, if any.

    Raises SettingsError as `resolve` and `site_of_environment`.
    """
    if found.token:
        return str(found.token.site)
    try:
        settings = resolve_settings(args, console)
    except LoginRequired:  # there is no profile
        return None
    return str(site_of_environment(settings)) if settings.site else None
