"""Print the stored token and a newline on stdout, and nothing else.

Without a valid token it exits with code 3; one line on stderr says what to type. It opens a browser
only with --login. If SOE_AUTH_TOKEN is set, it prints that token.

For example:
  soe-auth token --min-ttl 10m
  soe-auth token --format curl --for users/me | curl -K -
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from soe_auth.cli.console import Console
from soe_auth.cli.json_output import token_json
from soe_auth.cli.options import add_settings, read_option
from soe_auth.cli.token_source import find_site, find_token, wait_for_token
from soe_auth.errors import SettingsError
from soe_auth.files.atomic_write import write_private
from soe_auth.model.duration import parse_duration
from soe_auth.model.text import printable
from soe_auth.oauth.bearer import V2_HEADER, V3_HEADER
from soe_auth.settings import TOKEN_VARIABLE
from soe_auth.settings.spec import MIN_TTL

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.token_source import TokenSource
    from soe_auth.model.secret import Secret

# For each format, the option that goes with it.
_FORMATS = {"plain": None, "header": "api", "env": "shell", "json": None, "curl": "api"}
_HEADERS = {"v3": V3_HEADER, "v2.3": V2_HEADER}
# For each shell, the line that exports a variable, and the characters to escape in single quotes:
# POSIX.1-2017, XCU 2.2.2; "The fish language", Quotes; about_Quoting_Rules.
_EXPORTS: dict[str, tuple[str, dict[str, str | int | None]]] = {
    "sh": ("export {}='{}'", {"'": "'\\''"}),
    "fish": ("set -gx {} '{}'", {"\\": "\\\\", "'": "\\'"}),
    "powershell": ("$env:{} = '{}'", {"'": "''"}),
    "cmd": ('set "{}={}"', {}),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_settings(parser, MIN_TTL)
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument("--login", action="store_true", help="sign in first, if that is needed")
    waiting.add_argument(
        "--wait", metavar="DURATION", help="wait up to this long for a user to sign in"
    )
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        choices=_FORMATS,
        default="plain",
        help="how to write it: plain, header, env, json or curl; default: plain",
    )
    parser.add_argument(
        "--for",
        dest="url",
        metavar="URL",
        help="print it only if it is for the site of this URL; with --format curl, print the URL"
        " too, which may be a path of the site, such as users/me",
    )
    parser.add_argument(
        "--api",
        metavar="API",
        choices=_HEADERS,
        help="with --format header or curl, the API to call: v3 or v2.3; default: v3",
    )
    parser.add_argument(
        "--shell",
        metavar="SHELL",
        choices=_EXPORTS,
        help="with --format env, the shell that reads the line: sh, fish, powershell or cmd;"
        " default: sh, on Windows too",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write it to a file that only you can read"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the token, or write it to a file."""
    for option in ("api", "shell"):
        if getattr(args, option) is not None and _FORMATS[args.format] != option:
            formats = [name for name, needs in _FORMATS.items() if needs == option]
            raise SettingsError(
                f"--{option} cannot be used with --format {args.format}.",
                hint=f"Leave it out, or use --format {' or '.join(formats)}.",
            )
    url, api = _call(args, console) if args.url is not None else ("", args.api or "v3")
    printed: list[TokenSource] = []

    def output(source: TokenSource) -> None:
        text = _format(source, args, api)
        if url and args.format == "curl":
            text = f'globoff\nurl = "{url}"\n{text}'  # else curl expands [1-2] and {a,b} in it
        if args.output in {None, "-"}:
            console.result(text)
            if source.token and args.format != "json":  # JSON has the time left
                console.observer.prints(text, source.settings, source.token)
        else:
            _write_file(args.output, text)
        printed.append(source)

    if args.wait is not None:
        source = wait_for_token(args, console, read_option("wait", parse_duration, args.wait))
    else:
        # JSON has the account, which is known later.
        early = None if args.format == "json" else output
        source = find_token(args, console, login=args.login, on_stored=early)
    if not printed:
        output(source)
    return 0


def _call(args: argparse.Namespace, console: Console) -> tuple[str, str]:
    """Return the URL of --for, which must be of the token's site, and its API."""
    from soe_auth.oauth.api_call import new_api_call

    site, _ = find_site(args, Console(console.environ, quiet=True))
    try:
        if "://" not in args.url and args.format != "curl":
            raise ValueError("write the whole URL, with https://")
        call = new_api_call(args.url, site, args.api or "v3")
    except ValueError as problem:
        raise SettingsError(
            f"Cannot give the token for this URL: {problem}.",
            hint="Name the profile of its site with -p; `soe-auth status` shows all.",
        ) from None
    return f"{site}{call.path}", args.api or ("v2.3" if call.is_v2 else "v3")


def _format(source: TokenSource, args: argparse.Namespace, api: str) -> str:
    token, shell = source.access_token, args.shell or "sh"
    match args.format:
        case "plain":
            return token.reveal()
        case "header":
            return _HEADERS[api] + token.reveal()
        case "json":
            profile = source.settings.profile if source.settings else None
            return token_json(profile, source.token, token)
        case "curl":
            return curl_config(token, api)
        case _:
            try:
                return export(token, shell)
            except ValueError as problem:
                hint = "Run the program with the token in its environment: `soe-auth run -- CMD …`."
                raise SettingsError(
                    f"Cannot write the token for {shell}: {problem}.", hint=hint
                ) from None


def export(token: Secret, shell: str) -> str:
    """Return the line that, evaluated by the shell, sets and exports SOE_AUTH_TOKEN.

    A token is visible ASCII, with quotes, `$` and backslashes too. Between double quotes cmd keeps
    `&`, `|`, `<`, `>`, `^` and parentheses. How it reads `"`, `%` and `!` depends on the place of
    the line and on delayed expansion: raises ValueError for a token with one of them.
    """
    value = token.reveal()
    if shell == "cmd" and not {'"', "%", "!"}.isdisjoint(value):
        raise ValueError('it contains ", % or !, which cmd may change')
    line, escapes = _EXPORTS[shell]
    return line.format(TOKEN_VARIABLE, value.translate(str.maketrans(escapes)))


def curl_config(token: Secret, api: str) -> str:
    """Return the header as `curl -K -` reads it (curl(1), --config).

    API v2.3 compresses every response, so curl has to decompress it.
    """
    value = (_HEADERS[api] + token.reveal()).replace("\\", "\\\\").replace('"', '\\"')
    return f'header = "{value}"' + ("\ncompressed" if api == "v2.3" else "")


def _write_file(name: str, text: str) -> None:
    try:
        write_private(Path(name), f"{text}\n".encode())
    except OSError as problem:
        raise SettingsError(
            f"Cannot write the token to {printable(name)}: {problem.strerror or problem}.",
            hint="Name a new file or one of your own, in an existing directory.",
        ) from None
