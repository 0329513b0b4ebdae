"""The command line: argv in, exit code out. A file per command, loaded only when it is called."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from soe_auth.cli.console import Console
from soe_auth.cli.exit_codes import READER_GONE, SIGNALLED, USAGE, exit_code
from soe_auth.errors import SoeAuthError
from soe_auth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMANDS = {
    "login": "sign in with your browser and keep the token",
    "token": "print the token, for scripts; never opens a browser unless told to",
    "status": "show every profile: site, account, scope, time left",
    "logout": "end the token on the site and remove it here",
    "pkce": "by hand, step 1: make a code verifier and its challenge",
    "url": "by hand, step 2: make the authorization URL",
    "exchange": "by hand, step 3: turn a code into a token",
    "sandbox": "run a practice site on this machine",
    "demo": "see a whole login happen, on a practice site",
}


def entry_point() -> None:
    """Run the command of sys.argv and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal whose encoding lacks a character gets another one, not a traceback.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # it is a TextIOWrapper
    told_to_end = _end_as_ctrl_c_does()
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`soe-auth status | head -1`): the interpreter must not try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = READER_GONE
    sys.exit(SIGNALLED + told_to_end[0] if told_to_end else code)


def _end_as_ctrl_c_does() -> list[int]:
    """Have SIGTERM and SIGHUP put everything away as well; return where they leave their number.

    They are passed on as SIGINT rather than raised: asyncio takes that one by cancelling its task,
    while an exception out of a handler may land anywhere in its inner workings and be lost.
    """
    came: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        came.append(number)
        signal.raise_signal(signal.SIGINT)

    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, pass_on)
    return came


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run one command and return its exit code; usage errors raise SystemExit(2)."""
    console = Console(environ)
    try:
        return _run(argv, environ)
    except SoeAuthError as error:
        console.error(f"soe-auth: {error}")
        if error.hint:
            console.error(f"  {error.hint}")
        return exit_code(error)
    except KeyboardInterrupt:
        console.error("\nsoe-auth: interrupted.")
        return SIGNALLED + signal.SIGINT


def _run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    overview = _overview()
    chosen = overview.parse_args(argv)
    if chosen.command is None:
        overview.print_help(sys.stderr)
        return USAGE
    command = import_module(f"soe_auth.cli.{chosen.command}")
    parser = argparse.ArgumentParser(
        prog=f"soe-auth {chosen.command}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.configure(parser)
    _add_common(parser)
    leading = argv[: len(argv) - len(chosen.rest) - 1]
    args = parser.parse_args([*leading, *chosen.rest])
    code: int = command.run(args, Console(environ, verbose=args.verbose, quiet=args.quiet))
    return code


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="soe-auth",
        usage="soe-auth [-p NAME] [-v | -q] COMMAND …",
        description="Browser login for Stack Overflow for Teams Enterprise.\n\ncommands:\n"
        + "\n".join(f"  {name:{width}}  {does}" for name, does in COMMANDS.items()),
        epilog="`soe-auth COMMAND --help` tells more of each. New here? `soe-auth demo`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_common(parser)
    parser.add_argument("command", nargs="?", choices=COMMANDS, help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-p", "--profile", metavar="NAME", help="the profile to use")
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-v", "--verbose", action="store_true", help="tell more on stderr")
    loudness.add_argument("-q", "--quiet", action="store_true", help="tell errors only")
    parser.add_argument("--version", action="version", version=f"soe-auth {__version__}")
