"""Sign in with your browser, and keep the token for this user of this machine.

The first login names the site and the client ID, as in `soe-auth login acme --client-id 110`; they
are remembered as a profile, so that from then on `soe-auth login` alone is enough.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from soe_auth.actions.get_token import from_environment
from soe_auth.actions.login import login
from soe_auth.actions.login_if_needed import login_if_needed
from soe_auth.cli.login_io import login_io
from soe_auth.cli.options import (
    add_settings,
    add_target,
    read_option,
    read_secret,
    resolve_settings,
    take_target,
)
from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.model.duration import parse_duration
from soe_auth.model.token import visible_ascii
from soe_auth.settings.spec import BROWSER, MIN_TTL, PROFILE, TIMEOUT

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.console import Console
    from soe_auth.model.site import Site
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings

_REGISTRATION = """\
To sign in, soe-auth needs the client ID of an API application on {site}:

{steps}, and type it here:
       soe-auth login --site {typed} --client-id 110{flags}
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
        "--if-needed", action="store_true", help="do nothing if the token lives for --min-ttl"
    )
    parser.add_argument(
        "--with-token",
        action="store_true",
        help="store a token that you have, read from standard input; no browser",
    )
    parser.add_argument(
        "--expires",
        metavar="DURATION",
        help="with --with-token: how long it lives from now; default: not known",
    )
    parser.add_argument("--json", action="store_true", help="print who signed in, as JSON")


def run(args: argparse.Namespace, console: Console) -> int:
    """Log in; the exit code tells how it ended."""
    _check_options(args)
    take_target(args, console)
    if args.if_needed and from_environment(console.environ):
        # In a CI job no user can sign in, and what it needs is there already.
        console.say(
            "SOE_AUTH_TOKEN is set: `soe-auth token` answers with that one, so no login is needed."
        )
        return _report(args, console)
    try:
        settings = resolve_settings(args, console)
    except LoginRequired:
        raise SettingsError(
            "No site is set, and there is no profile yet.",
            hint="Say which: `soe-auth login --site NAME.stackenterprise.co --client-id ID`,"
            " or be asked: `soe-auth init`.",
        ) from None
    if args.with_token:
        return _store_given_token(args, settings, console)
    if settings.site and not settings.client_id and not settings.doubt:
        _explain_registration(settings.site, settings, console)
    io = login_io(
        settings,
        console,
        browser=not args.no_browser,
        by_pipe=not args.if_needed,
        accelerate=args.accelerate,
    )
    token = login_if_needed(settings, io) if args.if_needed else login(settings, io, args.started)
    if not (args.if_needed or args.no_browser):
        console.observer.logged_in(settings)
    return _report(args, console, settings.profile, token)


def _check_options(args: argparse.Namespace) -> None:
    if args.expires and not args.with_token:
        raise SettingsError(
            "--expires is for --with-token: the site says how long a token of a login lives.",
            hint="Leave it out.",
        )
    if args.with_token and (args.if_needed or args.no_browser):
        raise SettingsError(
            "--with-token opens no browser.", hint="Leave --if-needed and --no-browser out."
        )


def _store_given_token(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    from soe_auth.actions.store_given_token import store_given_token

    life = read_option("expires", parse_duration, args.expires) if args.expires else None
    io = login_io(settings, console, browser=False, accelerate=args.accelerate)
    token = store_given_token(
        settings, lambda: read_secret("token", console, check=visible_ascii), life, io
    )
    return _report(args, console, settings.profile, token)


def _report(
    args: argparse.Namespace, console: Console, profile: str = "", token: Token | None = None
) -> int:
    if args.json:
        import json

        from soe_auth.cli.json_output import FORMAT_VERSION, no_report, token_report

        report = token_report(profile, token, time.time()) if token else no_report()
        console.result(json.dumps({"version": FORMAT_VERSION, **report}, indent=2))
    return 0


def _explain_registration(site: Site, settings: Settings, console: Console) -> None:
    from soe_auth.actions.registration import steps

    own_page = settings.redirect == "login_success"
    console.say(
        _REGISTRATION.format(
            site=site.authority,
            steps=steps(site, settings),
            typed=site.as_typed,
            flags=" --redirect login_success" if own_page else "",
        )
    )
    if not own_page:
        console.say(_OTHER_DOMAIN)
