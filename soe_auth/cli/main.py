"""The command line: parse it, run the command, return its exit code.

Each command is a module in `commands`, which is imported only when it is called.
"""

from __future__ import annotations

import argparse
import os
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from soe_auth.cli.console import Console
from soe_auth.cli.exit_codes import USAGE, exit_code
from soe_auth.cli.help_format import Help
from soe_auth.cli.streams import write_stderr, write_stdout
from soe_auth.errors import SettingsError, SoeAuthError
from soe_auth.model.text import nearest, printable
from soe_auth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import ModuleType
    from typing import NoReturn

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
    "sandbox": "run a sandbox: a local SOE site for tests",
    "demo": "watch a whole login on a sandbox",
}
WITHOUT_PROFILE = frozenset({"profile", "completion", "pkce", "sandbox", "demo"})
# Commands of other tools, and what to type instead.
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
# The words that a message may repeat. Any other could be a token, a code or a password.
_HARMLESS = re.compile(r"-{0,2}[a-z][a-z,-]{0,19}|-[A-Z]")
_SHORT = 12  # characters; a shorter value of letters and digits may be repeated too
# The messages of argparse, and what to write instead.
_NAME = r"(?:\S+/)?(\S+)"  # of `-q/--quiet`, the last
_MESSAGES = (
    (rf"argument {_NAME}: not allowed with argument {_NAME}", r"Cannot use \1 with \2"),
    (rf"argument {_NAME}: expected one argument", r"\1 needs a value"),
    (rf"argument {_NAME}: ignored explicit argument.*", r"\1 takes no value"),
    (r"the following arguments are required: ([^,]+)", r"\1 is missing"),
    (r"the following arguments are required: (.+)", r"\1 are missing"),
    (r"one of the arguments (\S+) (\S+) is required", r"\1 or \2 is missing"),
)


def main(
    argv: Sequence[str],
    environ: Mapping[str, str] = os.environ,
    *,
    started: StartedLogin | None = None,
    accelerate: Callable[[LoginIO], LoginIO] = lambda io: io,
    observer: Observer | None = None,
) -> int:
    """Run one command and return its exit code; `started` is a login that was started early.

    `accelerate` may replace parts of a login by faster ones; `observer` is notified of outcomes.
    --help and --version raise SystemExit(0), and Ctrl-C KeyboardInterrupt.
    """
    try:
        overview = _overview()
        args = overview.parse(argv, argparse.Namespace())
        if not args.words:
            write_stderr(overview.format_help(), end="")
            return USAGE
        command = _parse_command(overview, args)
        console = Console(
            environ,
            verbose=args.verbose,
            quiet=args.quiet,
            # Messages of --verbose are not the same each time, so no outcome is recorded.
            observer=None if args.verbose else observer,
            started=started,
            accelerate=accelerate,
        )
        console.observer.begins()
        code: int = command.run(args, console)
    except SoeAuthError as error:
        console = Console(environ)
        console.fail(str(error))
        if error.hint:
            console.error(f"  {error.hint}")
        return exit_code(type(error))
    return code


def _parse_command(overview: Parser, args: argparse.Namespace) -> ModuleType:
    """Load the command of `args.words`, parse its options into `args`, and return its module."""
    name, *rest = args.words
    is_help = name == "help"
    if is_help:
        name, *rest = rest or ["help"]
    if name in {"help", "--help"}:
        overview.print_help()
        overview.exit()
    if near := _ALIASES.get(name):
        commands = " or ".join(f"`soe-auth {words}`" for words in near)
        raise SettingsError(f"Unknown command {name!r}.", hint=f"Type {commands}.")
    if name not in COMMANDS:
        short = "`soe-auth help` lists the commands."
        hint = short if nearest(name, COMMANDS) else f"Choose {_listed(COMMANDS)}."
        overview.reject("command", name, COMMANDS, hint)
    named = args.profile or any(
        word.startswith("-p") or word.partition("=")[0] == "--profile" for word in rest
    )
    if named and name in WITHOUT_PROFILE:
        raise SettingsError(f"`soe-auth {name}` uses no profile.", hint="Leave -p out.")
    command = import_module(f"soe_auth.cli.commands.{name}")
    description, _, examples = (command.__doc__ or "").partition("\n\nFor example:\n")
    parser = Parser(prog=f"soe-auth {name}", description=description)
    command.configure(parser)
    add_common(parser, profile=name not in WITHOUT_PROFILE)
    if examples:
        parser.epilog = f"examples:\n{examples.rstrip()}\n\n{parser.epilog or ''}"
    parser.parse(parser.words_for_help(rest) if is_help else rest, args)
    if args.profile is not None:  # `-p "$NAME"` without a NAME is an error, not the default profile
        from soe_auth.settings.config_files import check_profile_name

        check_profile_name(args.profile)
    if args.verbose and args.quiet:  # one of them was given before the command
        parser.error("argument -q/--quiet: not allowed with argument -v/--verbose")
    return command


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
    words = parser.add_argument("words", nargs=argparse.PARSER, help=argparse.SUPPRESS)
    words.required = False
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
    actions: Mapping[str, tuple[Callable[[argparse.Namespace, Console], object], str]],
    *,
    profile: bool = True,
) -> dict[str, argparse.ArgumentParser]:
    """Add actions with their common options; return the parsers by name.

    Each action is a function, which the parsed options have as `act`, and its help.
    """
    made = {}
    each = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    for name, (act, does) in actions.items():
        made[name] = each.add_parser(
            name,
            help=does,
            description=f"{does[0].upper()}{does[1:]}.",
            argument_default=argparse.SUPPRESS,  # keeps options given before the action
        )
        made[name].set_defaults(act=act)
        add_common(made[name], profile=profile)
    return made


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes no shortened options, and raises SettingsError."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # they are argparse's
        # "resolve", as the sandbox defines its own --help.
        super().__init__(
            formatter_class=Help, allow_abbrev=False, conflict_handler="resolve", **options
        )
        self._positionals.title = "arguments"

    def parse(self, words: Sequence[str], namespace: argparse.Namespace) -> argparse.Namespace:
        """Parse all words into `namespace`. Raises SettingsError."""
        namespace, unexpected = self.parse_known_args(words, namespace)
        if unexpected:
            self._reject_unexpected(unexpected[0], words.index(unexpected[0]) + 1)
        return namespace

    def format_help(self) -> str:
        """Write the help; its usage line has required options and arguments only."""
        words = [self.prog, "[options]", *map(_usage, self._actions)]
        self.usage: str | None = self.usage or " ".join(filter(None, words))
        return super().format_help()

    def _print_message(self, message: str, file: object = None) -> None:
        """Print the help or the version; argparse would not report a full disk."""
        del file  # it is stdout: `error` prints nothing
        write_stdout(message, end="")

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError; argparse would exit."""
        # After a quote, argparse repeats the user's input.
        sentence = printable(message.partition(" '")[0])
        for pattern, better in _MESSAGES:
            if match := re.fullmatch(pattern, sentence):
                sentence = match.expand(better).replace(", ", " and ")
                break
        hint = self._hint
        if sentence.endswith(" missing"):
            for action in self._actions:
                if action.required and action.option_strings and action.help:
                    hint = f"Add {_usage(action)}, {action.help}."
                elif action.choices and not action.option_strings:
                    hint = f"Choose {_listed(action.choices)}."
        sentence = sentence.removeprefix("argument ")
        raise SettingsError(f"{sentence[0].upper()}{sentence[1:]}.", hint=hint)

    def words_for_help(self, about: list[str]) -> list[str]:
        """Return the words that show the help of this command, or of one of its actions or topics.

        Raises SettingsError if `about` has a second word, or the command no such word.
        """
        topics = self._option_string_actions["--help"].choices
        actions = any(each.choices and not each.option_strings for each in self._actions)
        if len(about) > bool(topics or actions):
            hint = f"Type `soe-auth help {self.prog.split()[-1]}`."
            raise SettingsError("The last word after `soe-auth help` is one too many.", hint=hint)
        return ["--help", *about] if topics else [*about, "--help"]

    def reject(
        self,
        what: str,
        word: str,
        known: Iterable[str],
        hint: str,
        *,
        harmless: bool = False,
    ) -> NoReturn:
        """Raise SettingsError for a word that is not among the known ones.

        The message repeats the word only if it is `harmless`, or looks so.
        """
        if not harmless and not _HARMLESS.fullmatch(word):
            raise SettingsError(f"Unknown {what}.", hint=hint)
        meant = nearest(word.lower(), known, cutoff=0.7 if what == "option" else 0.6)
        hint = f"Did you mean {meant}? {hint}" if meant else hint
        raise SettingsError(f"Unknown {what} {word!r}.", hint=hint)

    @property
    def _hint(self) -> str:
        return f"`{self.prog} --help` lists the options."

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401  # argparse's
        if action.choices is not None and value not in action.choices:
            what = max(action.option_strings, key=len, default=action.dest)
            hint = f"Choose {_listed(action.choices)}."
            harmless = len(value) < _SHORT and value.isascii() and value.isalnum()
            self.reject(what, value, action.choices, hint, harmless=harmless)

    def _reject_unexpected(self, word: str, position: int) -> NoReturn:
        name = word.partition("=")[0]
        options = self._option_string_actions
        if name.startswith("-"):
            # Others are rarely meant: a mistyped option has its first letter right.
            likely = {
                each for each in options if each.startswith(name[:3]) and len(each) > len("-p")
            }
            self.reject("option", name, likely - {"--help", "--version"}, self._hint)
        arguments = [each for each in self._actions if not each.option_strings]
        hint = "Name a profile with -p." if "-p" in options and not arguments else self._hint
        if "--site" in options:
            hint = "Name a site with --site, a profile with -p."
        if _HARMLESS.fullmatch(name):
            raise SettingsError(f"Unexpected argument {name!r}.", hint=hint)
        raise SettingsError(
            f"Unexpected argument: word {position} after `{self.prog}`."
            " It is not shown, as it may be secret.",
            hint=hint,
        )


def _usage(action: argparse.Action) -> str:
    metavar = str(action.metavar or action.dest.upper())
    if action.option_strings:
        return f"{action.option_strings[-1]} {metavar}" if action.required else ""
    if action.help == argparse.SUPPRESS:
        return ""
    if action.nargs == argparse.PARSER:
        return f"{metavar} …"
    return f"[{metavar}]" if action.nargs == argparse.OPTIONAL else metavar


def _listed(choices: Iterable[str]) -> str:
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last
