"""Print the stored token and a newline on stdout, and nothing else.

Without a token that serves: exit 3, and one line on stderr says what to type. A browser is opened
only with --login. SOE_AUTH_TOKEN, when set, is the answer.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from soe_auth.cli.console import Console
from soe_auth.cli.json_output import source_report
from soe_auth.cli.options import add_settings, read_option
from soe_auth.cli.token_formats import APIS, SHELLS, written
from soe_auth.cli.token_source import find_site, find_token, wait_for_token
from soe_auth.errors import SettingsError
from soe_auth.files.atomic_write import write_private
from soe_auth.model.duration import parse_duration
from soe_auth.model.text import printable
from soe_auth.settings.spec import MIN_TTL

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.token_formats import Api
    from soe_auth.cli.token_source import TokenSource

# For each format, the option that goes with it.
_FORMATS = {"plain": None, "header": "api", "env": "shell", "json": None, "curl": "api"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_settings(parser, MIN_TTL)
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument("--login", action="store_true", help="sign in first, if that is needed")
    waiting.add_argument(
        "--wait", metavar="SPAN", help="wait that long, at most, until a user has signed in"
    )
    parser.add_argument(
        "--format", choices=_FORMATS, default="plain", help="how to write it; default: plain"
    )
    parser.add_argument(
        "--for",
        dest="url",
        metavar="URL",
        help="print it only if it is for this URL's site; with --format curl, the URL as well, or a"
        " path of the site, such as users/me",
    )
    parser.add_argument(
        "--api",
        choices=APIS,
        help="whose header it is, with --format header or curl; default: v3",
    )
    parser.add_argument(
        "--shell",
        choices=SHELLS,
        help="the shell that reads the line, with --format env; default: sh, on Windows too",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write it to a file that only you can read"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the token, or write it to a file."""
    _see_that_options_fit(args)
    url, api = ("", args.api or APIS[0]) if args.url is None else _call(args, console)
    given: list[TokenSource] = []

    def give(found: TokenSource) -> None:
        text = _written(found, args, api)
        if url and args.format == "curl":
            text = f'url = "{url}"\n{text}'
        if args.output in {None, "-"}:
            console.result(text)
            if found.token and args.format != "json":  # which has the time left
                console.observer.prints(text, found.settings, found.token)
        else:
            _write(args.output, text)
        given.append(found)

    if args.wait is None:
        at_once = None if args.format == "json" else give  # which tells the account as well
        found = find_token(args, console, login=args.login, at_once=at_once)
    else:
        found = wait_for_token(args, console, read_option("wait", parse_duration, args.wait))
    if not given:
        give(found)
    return 0


def _see_that_options_fit(args: argparse.Namespace) -> None:
    for option in ("api", "shell"):
        if getattr(args, option) is not None and _FORMATS[args.format] != option:
            fitting = [name for name, needs in _FORMATS.items() if needs == option]
            raise SettingsError(
                f"--{option} has no meaning with --format {args.format}.",
                hint=f"Leave it out, or ask for --format {' or '.join(fitting)}.",
            )


def _call(args: argparse.Namespace, console: Console) -> tuple[str, Api]:
    """Return the URL of --for, which the token may go to, and its API. Raises SettingsError."""
    from soe_auth.oauth.api_call import new_api_call

    site, _ = find_site(args, Console(console.environ, quiet=True))
    try:
        if "://" not in args.url and args.format != "curl":
            raise ValueError("write the whole URL, with https://")
        call = new_api_call(args.url, site, args.api or APIS[0])
    except ValueError as problem:
        raise SettingsError(
            f"Cannot give the token for this URL: {problem}.",
            hint="Name the profile that is for it, with -p; `soe-auth status` shows each.",
        ) from None
    return f"{site}{call.path}", args.api or ("v2.3" if call.is_v2 else "v3")


def _written(found: TokenSource, args: argparse.Namespace, api: Api) -> str:
    if args.format == "json":
        return json.dumps(source_report(found, time.time()), indent=2)
    shell = args.shell or SHELLS[0]
    try:
        return written(found.access_token, args.format, api=api, shell=shell)
    except ValueError as problem:
        raise SettingsError(
            f"Cannot write the token for {shell}: {problem}.",
            hint="Start the program with the token in its environment: `soe-auth run -- CMD …`.",
        ) from None


def _write(name: str, text: str) -> None:
    try:
        write_private(Path(name), f"{text}\n".encode())
    except OSError as problem:
        raise SettingsError(
            f"The token was not written to {printable(name)}: {problem.strerror or problem}.",
            hint="Name a file of your own, or a new one, in a directory that is there.",
        ) from None
