"""By hand, step 2: make the authorization URL, to open in a browser.

Its state is new unless SOE_AUTH_STATE is set. Compare it with the state in the address at which the
browser ends.

For example:
  soe-auth url --site acme --client-id 110 --code-challenge CHALLENGE
"""

import argparse
import os
import re

from soe_auth.cli.console import Console
from soe_auth.cli.options import add_by_hand, redirect_uri_of, resolve_by_hand, state_variable
from soe_auth.errors import SettingsError
from soe_auth.oauth.authorization_request import authorize_url, draw_secret


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_by_hand(parser)
    parser.add_argument(
        "--code-challenge", metavar="CHALLENGE", required=True, help="from `soe-auth pkce`"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the URL."""
    settings = resolve_by_hand(args, console)
    site, client_id = settings.require_site_and_client()
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", args.code_challenge, re.ASCII):
        raise SettingsError(
            "Cannot read code_challenge from --code-challenge: write 43 characters of A-Z, a-z,"
            " 0-9, - and _.",
            hint="Make one with `soe-auth pkce`.",
        )
    url = authorize_url(
        site,
        client_id,
        settings.scope,
        redirect_uri_of(site, args),
        state=state_variable(console.environ) or draw_secret(os.urandom),
        code_challenge=args.code_challenge,
    )
    console.result(url)
    return 0
