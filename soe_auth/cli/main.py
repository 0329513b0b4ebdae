"""The command line: argv in, exit code out. A file per command, loaded only when it is called."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from typing import TYPE_CHECKING

from soe_auth.cli.argument_parser import Parser
from soe_auth.cli.console import Console
from soe_auth.cli.exit_codes import USAGE, exit_code
from soe_auth.cli.streams import write_stderr
from soe_auth.errors import SoeAuthError
from soe_auth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from soe_auth.actions.login_io import LoginIO
    from soe_auth.actions.started_login import StartedLogin
    from soe_auth.cli.console import Observer

COMMANDS = {
    "init": "set up a site in a short conversation: start here",
    "login": "sign in with your browser and keep the token",
    "token": "print the token, for scripts; never opens a browser unless told to",
    "run": "run a command with the token in its environment",
    "api": "call the site's API with the token",
    "status": "show every profile: site, account, scope, time left",
    "logout": "end the token on the site and remove it here",
    "doctor": "find out why a login would fail here",
    "profile": "list, rename and remove profiles, and choose the default",
    "config": "see and change the settings, and where each comes from",
    "completion": "have your shell complete commands and names of profiles",
    "pkce": "by hand, step 1: make a code verifier and its challenge",
    "url": "by hand, step 2: make the authorization URL",
    "exchange": "by hand, step 3: turn a code into a token",
    "sandbox": "run a practice site on this machine",
    "demo": "see a whole login happen, on a practice site",
}


def main(
    argv: Sequence[str],
    environ: Mapping[str, str] = os.environ,
    *,
    started: StartedLogin | None = None,
    accelerate: Callable[[LoginIO], LoginIO] = lambda io: io,
    observer: Observer | None = None,
) -> int:
    """Run one command and return its exit code; `started` is a login that was started early.

    `accelerate` may replace what a login uses by what is faster, `observer` is told what is done.

    `--help` and `--version` raise SystemExit(0), and Ctrl-C KeyboardInterrupt; `__main__` makes an
    end of it.
    """
    console = Console(environ)
    try:
        return _run(argv, environ, {"started": started, "accelerate": accelerate}, observer)
    except SoeAuthError as error:
        console.fail(str(error))
        if error.hint:
            console.error(f"  {error.hint}")
        return exit_code(error)


def _run(
    argv: Sequence[str],
    environ: Mapping[str, str],
    given: Mapping[str, object],
    observer: Observer | None,
) -> int:
    overview = _overview()
    args = overview.parse_args(argv, argparse.Namespace(**given))
    if args.command is None:
        write_stderr(overview.format_help(), end="")
        return USAGE
    # What --verbose tells differs from one moment to the next.
    observer = None if args.verbose else observer
    console = Console(environ, verbose=args.verbose, quiet=args.quiet, observer=observer)
    console.observer.begins()
    code: int = args.command.run(args, console)
    return code


class _Command(argparse.Action):
    """A positional argument that loads the command it names, and has it parse all that follows."""

    def __call__(
        self,
        _: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[str] | None,
        __: str | None = None,
    ) -> None:
        name, *rest = values or ()
        namespace.command = import_module(f"soe_auth.cli.commands.{name}")
        parser = Parser(prog=f"soe-auth {name}", description=namespace.command.__doc__)
        namespace.command.configure(parser)
        add_common(parser)
        parser.parse_args(rest, namespace)
        if namespace.verbose and namespace.quiet:  # one of them stands before the command
            parser.error("argument -q/--quiet: not allowed with argument -v/--verbose")


def _overview() -> Parser:
    width = max(map(len, COMMANDS))
    parser = Parser(
        prog="soe-auth",
        usage="soe-auth [-p NAME] [-v | -q] COMMAND …",
        description="Browser login for Stack Overflow for Teams Enterprise.\n\ncommands:\n"
        + "\n".join(f"  {name:{width}}  {does}" for name, does in COMMANDS.items()),
        epilog="`soe-auth COMMAND --help` tells more of each."
        " New here? `soe-auth demo`, then `soe-auth init`.",
    )
    add_common(parser)
    parser.add_argument(
        "command",
        nargs=argparse.PARSER,
        action=_Command,
        choices=COMMANDS,
        help=argparse.SUPPRESS,
    ).required = False
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Give the parser what every command takes."""
    parser.add_argument("-p", "--profile", metavar="NAME", help="the profile to use")
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-v", "--verbose", action="store_true", help="tell more on stderr")
    loudness.add_argument("-q", "--quiet", action="store_true", help="tell errors only")
    parser.add_argument("--version", action="version", version=f"soe-auth {__version__}")


def add_actions(
    parser: argparse.ArgumentParser, actions: Mapping[str, str]
) -> dict[str, argparse.ArgumentParser]:
    """Give the parser actions, each with what it does; return their parsers by name."""
    made = {}
    each = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    for name, does in actions.items():
        made[name] = each.add_parser(
            name,
            help=does,
            description=f"{does[0].upper()}{does[1:]}.",
            argument_default=argparse.SUPPRESS,  # what was given before the action stays
        )
        add_common(made[name])
    return made
