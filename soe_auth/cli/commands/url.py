"""By hand, step 2: make the authorization URL, to be opened in a browser where you are signed in.

The state is new unless SOE_AUTH_STATE holds one. It stands in the URL: compare it with the
one in the address that the browser ends at.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from soe_auth.actions import consent
from soe_auth.cli.options import (
    add_redirect_uri,
    add_settings,
    given_redirect_uri,
    given_state,
    resolve_given,
)
from soe_auth.errors import SettingsError
from soe_auth.oauth.authorization_request import authorize_url, draw_secret
from soe_auth.settings.spec import CLIENT_ID, SCOPE, SITE

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.console import Console

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_settings(parser, SITE, CLIENT_ID, SCOPE)
    parser.add_argument("--code-challenge", required=True, help="from `soe-auth pkce`")
    add_redirect_uri(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the URL."""
    settings = resolve_given(args, console)
    site, client_id = settings.require_site_and_client
    consent.require_consent(settings, console.confirm, console.say)
    if not _CHALLENGE.fullmatch(args.code_challenge):
        raise SettingsError(
            "code_challenge (from --code-challenge): it is 43 characters, from A-Z a-z 0-9 - _.",
            hint="Make one with `soe-auth pkce`.",
        )
    console.result(
        authorize_url(
            site,
            client_id,
            settings.scope,
            given_redirect_uri(site, args),
            state=given_state(console.environ) or draw_secret(os.urandom),
            code_challenge=args.code_challenge,
        )
    )
    return 0
