"""Call the site's API with the token, and print the response.

PATH is relative to the API: `users/me` is https://SITE/api/v3/users/me. It can be a URL of the site
as well. The token is sent to no other address, and no redirect is followed.

For example:
  soe-auth api users/me
  soe-auth api questions --paginate -f sort=activity
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from soe_auth.actions.call_api import call_pages, raise_for_status
from soe_auth.cli.options import add_settings, describe_input, read_input
from soe_auth.cli.streams import is_terminal, write_stdout
from soe_auth.cli.token_source import find_site, find_token
from soe_auth.errors import SettingsError
from soe_auth.model.text import printable
from soe_auth.oauth.api_call import BASES, new_api_call
from soe_auth.settings import TOKEN_VARIABLE
from soe_auth.settings.spec import MIN_TTL
from soe_auth.site_client.client import connect
from soe_auth.site_client.event_loop import run_async

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.console import Console
    from soe_auth.model.secret import Secret
    from soe_auth.oauth.api_call import SiteResponse

_LARGEST_INPUT = 64 * 1024 * 1024


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "path", metavar="PATH", help="a path such as users/me, or a URL of the site"
    )
    parser.add_argument("-X", "--method", metavar="METHOD", help="default: GET; with --input, POST")
    parser.add_argument(
        "-f",
        "--field",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a field of the query, or of a JSON body if the method is not GET; repeatable",
    )
    parser.add_argument(
        "-H",
        "--header",
        metavar="NAME:VALUE",
        action="append",
        default=[],
        help="a header to add; repeatable",
    )
    parser.add_argument("--input", metavar="FILE", help="send this file as the body; - is stdin")
    parser.add_argument("-i", "--include", action="store_true", help="print status and headers too")
    parser.add_argument("--paginate", action="store_true", help="get and print all pages")
    parser.add_argument(
        "--api",
        metavar="API",
        choices=BASES,
        default="v3",
        help="the API to call: v3 or v2.3; default: v3",
    )
    add_settings(parser, MIN_TTL)


def run(args: argparse.Namespace, console: Console) -> int:
    """Call the API and print its responses."""
    site, settings = find_site(args, console)
    try:
        call = new_api_call(
            args.path,
            site,
            args.api,
            method=args.method,
            fields=args.field,
            headers=args.header,
            content=_input(args.input),
        )
    except ValueError as problem:
        raise SettingsError(
            f"Cannot call the API: {problem}.",
            hint="`soe-auth api --help` shows examples.",
        ) from None
    token = find_token(args, console).access_token
    advice = f"Type `{settings.login_command}`"
    if console.environ.get(TOKEN_VARIABLE):
        advice = "Set SOE_AUTH_TOKEN again"

    async def print_pages() -> None:
        async with connect(site, network=settings.network) as connection:
            pages = call_pages(call, token, connection, paginate=args.paginate, sleep=asyncio.sleep)
            async for response in pages:
                _print(response, token, include=args.include)
                raise_for_status(response, token, site.authority, advice=advice)

    run_async(print_pages())
    return 0


def _print(response: SiteResponse, token: Secret, *, include: bool) -> None:
    """Print the body unchanged; on a terminal, indent JSON and escape control characters."""
    if include:
        fields = (f"{name}: {value}" for name, value in response.headers)
        for line in (f"HTTP {response.status}", *fields):
            write_stdout(printable(token.redact_in(line), 4000))
        write_stdout()
    body = response.body
    if not is_terminal(sys.stdout):
        if body:
            write_stdout(body if body.endswith(b"\n") else body + b"\n")
        return
    text = body.decode("utf-8", "replace")
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    if text:
        shown = (c if c.isprintable() or c in "\n\t" else f"\\u{ord(c):04x}" for c in text)
        write_stdout("".join(shown))


def _input(name: str | None) -> bytes | None:
    """Read the body from a file, or from stdin for `-`. Raises SettingsError."""
    if name is None:
        return None
    content = read_input(name, _LARGEST_INPUT + 1, hint="Name a file for --input.")
    if len(content) > _LARGEST_INPUT:
        raise SettingsError(f"Cannot send {describe_input(name)}: it has more than 64 MiB.")
    return content
