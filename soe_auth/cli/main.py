"""The command line: parse it, run the command, return its exit code.

Each command is a module in `commands`, which is imported only when it is called.
"""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from typing import TYPE_CHECKING

from soe_auth.cli.argument_parser import Parser, listed
from soe_auth.cli.console import Console
from soe_auth.cli.exit_codes import USAGE, exit_code
from soe_auth.cli.streams import write_stderr
from soe_auth.errors import SettingsError, SoeAuthError
from soe_auth.model.text import nearest
from soe_auth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from soe_auth.actions.login_io import LoginIO, StartedLogin
    from soe_auth.cli.console import Observer

COMMANDS = {
    "init": "set up a site step by step: start here",
    "login": "sign in with your browser and store the token",
    "token": "print the stored token, for scripts",
    "run": "run a command with the token in its environment",
    "api": "call the site's API with the token",
    "status": "show each profile: site, account, scope, time left",
    "logout": "revoke the token on the site and delete it here",
    "doctor": "find out why a login would fail here",
    "profile": "list, rename and remove profiles; choose the default",
    "config": "show and change settings, and where each comes from",
    "completion": "print a completion script for your shell",
    "pkce": "by hand, step 1: make a code verifier and its challenge",
    "url": "by hand, step 2: make the authorization URL",
    "exchange": "by hand, step 3: exchange a code for a token",
    "sandbox": "run a practice site on this machine",
    "demo": "try a whole login on a practice site",
}
WITHOUT_PROFILE = frozenset({"profile", "completion", "pkce", "sandbox", "demo"})
# Commands of other tools, and what to type here.
_ALIASES = {
    **dict.fromkeys(("auth", "signin", "sign-in", "authorize"), ("login",)),
    **dict.fromkeys(("refresh", "renew"), ("login --if-needed", "token --login")),
    **dict.fromkeys(("revoke", "signout", "sign-out"), ("logout",)),
    **dict.fromkeys(("whoami", "who", "show", "info"), ("status",)),
    **dict.fromkeys(("list", "ls", "profiles"), ("status", "profile list")),
    **dict.fromkeys(("switch", "use"), ("profile use NAME",)),
    **dict.fromkeys(("setup", "configure"), ("init",)),
    **dict.fromkeys(("exec", "env"), ("run -- CMD",)),
    "settings": ("config list",),
    "check": ("status --check", "doctor"),
    "curl": ("api PATH",),
    "version": ("--version",),
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

    `accelerate` may replace parts of a login by faster ones; `observer` is notified. --help and
    --version raise SystemExit(0), and Ctrl-C KeyboardInterrupt.
    """
    try:
        overview = _overview()
        namespace = argparse.Namespace(started=started, accelerate=accelerate)
        args = overview.parse(argv, namespace)
        if args.command is None:
            write_stderr(overview.format_help(), end="")
            return USAGE
        # Messages of --verbose are not the same each time, so no outcome is recorded.
        observer = None if args.verbose else observer
        console = Console(environ, verbose=args.verbose, quiet=args.quiet, observer=observer)
        console.observer.begins()
        code: int = args.command.run(args, console)
    except SoeAuthError as error:
        console = Console(environ)
        console.fail(str(error))
        if error.hint:
            console.error(f"  {error.hint}")
        return exit_code(error)
    return code


class _Command(argparse.Action):
    """A positional argument that loads the command it names, which parses all that follows."""

    def __call__(
        self,
        overview: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[str] | None,
        _: str | None = None,
    ) -> None:
        name, *rest = values or ()
        if name == "help":
            name, *rest = [*rest, "--help"]
        if name == "--help":
            overview.print_help()
            overview.exit()
        assert isinstance(overview, Parser)  # noqa: S101  # there is no other
        if near := _ALIASES.get(name):
            commands = " or ".join(f"`soe-auth {words}`" for words in near)
            raise SettingsError(f"Unknown command {name!r}.", hint=f"Type {commands}.")
        if name not in COMMANDS:
            short = "`soe-auth help` lists the commands."
            hint = short if nearest(name, COMMANDS) else f"Choose {listed(COMMANDS)}."
            overview.reject("command", name, COMMANDS, hint)
        if namespace.profile and name in WITHOUT_PROFILE:
            raise SettingsError(f"`soe-auth {name}` uses no profile.", hint="Leave -p out.")
        namespace.command = import_module(f"soe_auth.cli.commands.{name}")
        description, _, examples = namespace.command.__doc__.partition("\n\nFor example:\n")
        parser = Parser(prog=f"soe-auth {name}", description=description)
        namespace.command.configure(parser)
        add_common(parser, profile=name not in WITHOUT_PROFILE)
        if examples:
            parser.epilog = f"examples:\n{examples.rstrip()}\n\n{parser.epilog or ''}"
        parser.parse(rest, namespace)
        if namespace.verbose and namespace.quiet:  # one of them stands before the command
            parser.error("argument -q/--quiet: not allowed with argument -v/--verbose")


def _overview() -> Parser:
    width = max(map(len, COMMANDS))
    parser = Parser(
        prog="soe-auth",
        usage="soe-auth [options] COMMAND …",
        description="Browser login for Stack Overflow for Teams Enterprise.\n\ncommands:\n"
        + "\n".join(f"  {name:{width}}  {does}" for name, does in COMMANDS.items()),
        epilog="`soe-auth help COMMAND` shows the options and examples of a command."
        " New here? `soe-auth demo`, then `soe-auth init`.",
    )
    add_common(parser)
    parser.add_argument(
        "command", nargs=argparse.PARSER, action=_Command, help=argparse.SUPPRESS
    ).required = False
    return parser


def add_common(parser: argparse.ArgumentParser, *, profile: bool = True) -> None:
    """Add the options of every command; -p only with `profile`."""
    if profile:
        parser.add_argument("-p", "--profile", metavar="NAME", help="use this profile")
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument("-v", "--verbose", action="store_true", help="print details on stderr")
    verbosity.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    parser.add_argument(
        "-V",
        "--version",
        action="version",
        version=f"soe-auth {__version__}",
        help="show the version and exit",
    )


def add_actions(
    parser: argparse.ArgumentParser,
    actions: Mapping[str, str],
    *,
    without_profile: Collection[str] = (),
) -> dict[str, argparse.ArgumentParser]:
    """Add actions, given with their help, and the common options; return the parsers by name.

    Those `without_profile` take no -p.
    """
    made = {}
    each = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    for name, does in actions.items():
        made[name] = each.add_parser(
            name,
            help=does,
            description=f"{does[0].upper()}{does[1:]}.",
            argument_default=argparse.SUPPRESS,  # keeps options that stand before the action
        )
        add_common(made[name], profile=name not in without_profile)
    return made
