"""Sign in with your browser, and store the token for you alone.

The first login needs the site and the client ID. They are stored as a profile, so `soe-auth login`
alone is enough from then on.

For example:
  soe-auth login acme --client-id 110
  soe-auth login --if-needed --min-ttl 8h
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.actions.get_token import from_environment
from soe_auth.actions.login import login
from soe_auth.actions.login_if_needed import login_if_needed
from soe_auth.cli.options import (
    add_settings,
    add_target,
    read_option,
    read_secret,
    resolve_settings,
    take_target,
)
from soe_auth.cli.terminal_io import login_io
from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.model.duration import parse_duration
from soe_auth.model.site import VENDOR_DOMAIN
from soe_auth.model.token import visible_ascii
from soe_auth.settings.spec import BROWSER, MIN_TTL, PROFILE, TIMEOUT

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.console import Console
    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings

_REGISTRATION = """\
To sign in, soe-auth needs the client ID of an API application on {site}:

{steps}, and type it here:
       {command}
"""
_OTHER_DOMAIN = """\
With another Domain than localhost, add --redirect-host and that name; with the site's own, add
--redirect login_success. `soe-auth init` asks for all this.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_target(parser)
    add_settings(parser, *PROFILE, BROWSER, TIMEOUT, MIN_TTL)
    parser.add_argument("--no-browser", action="store_true", help="show the address, open nothing")
    parser.add_argument(
        "--if-needed", action="store_true", help="do nothing if a token stays valid for --min-ttl"
    )
    parser.add_argument(
        "--with-token",
        action="store_true",
        help="open no browser: store a token that you have, read from standard input",
    )
    parser.add_argument(
        "--expires",
        metavar="DURATION",
        help="with --with-token: how long it is valid from now; default: unknown",
    )
    parser.add_argument("--json", action="store_true", help="print account and expiry as JSON")


def run(args: argparse.Namespace, console: Console) -> int:
    """Log in, and print what is known about the token if that is asked for."""
    _check_options(args)
    take_target(args, console)
    profile, token = _log_in(args, console)
    if args.json:
        from soe_auth.cli.json_output import token_json

        console.result(token_json(profile, token))
    return 0


def _log_in(args: argparse.Namespace, console: Console) -> tuple[str | None, Token | None]:
    """Return the profile and its token; None if SOE_AUTH_TOKEN makes a login needless."""
    if args.if_needed and from_environment(console.environ):
        # A CI job has its token already, and no user can sign in there.
        console.say("SOE_AUTH_TOKEN is set: `soe-auth token` prints that token; no login needed.")
        return None, None
    try:
        settings = resolve_settings(args, console)
    except LoginRequired:
        raise SettingsError(
            "No site is set, and there is no profile yet.",
            hint=f"Type `soe-auth login --site NAME.{VENDOR_DOMAIN} --client-id ID`, or"
            " `soe-auth init`, which asks for both.",
        ) from None
    if args.with_token:
        from soe_auth.actions.store_given_token import store_given_token

        expires = args.expires
        lifetime = read_option("expires", parse_duration, expires) if expires else None
        io = login_io(settings, console, browser=False)

        def read() -> Secret:
            return read_secret("token", console, check=visible_ascii)

        return settings.profile, store_given_token(settings, read, lifetime, io)
    if settings.site and not settings.client_id and not settings.doubt:
        _explain_registration(settings.site, settings, console)
    io = login_io(settings, console, browser=not args.no_browser, by_pipe=not args.if_needed)
    if args.if_needed:
        token = login_if_needed(settings, io)
    else:
        token = login(settings, io, console.started)
    if not (args.if_needed or args.no_browser):
        console.observer.logged_in(settings)
    return settings.profile, token


def _check_options(args: argparse.Namespace) -> None:
    if args.expires and not args.with_token:
        raise SettingsError(
            "--expires needs --with-token: after a login, the site says when the token expires.",
            hint="Leave it out.",
        )
    if args.with_token and (args.if_needed or args.no_browser):
        raise SettingsError(
            "--with-token opens no browser.", hint="Leave --if-needed and --no-browser out."
        )


def _explain_registration(site: Site, settings: Settings, console: Console) -> None:
    from soe_auth.actions.registration import steps

    console.say(
        _REGISTRATION.format(
            site=site.authority,
            steps=steps(site, settings),
            command=settings.login_command.replace("--client-id ID", "--client-id 110"),
        )
    )
    if settings.redirect != "login_success":
        console.say(_OTHER_DOMAIN)
