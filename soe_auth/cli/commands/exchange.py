"""By hand, step 3: turn a code and its verifier into a token, and print the token.

Secrets never stand in the command line, where every process could read them: the code and the
verifier are read from SOE_AUTH_CODE and SOE_AUTH_CODE_VERIFIER, or from standard input, a line
each, the code first. On a terminal they are asked for. In place of the code the whole address that
the browser ended at may be given; if SOE_AUTH_STATE is set, it must be, and carry that state.
Nothing is stored.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

from soe_auth.actions import consent
from soe_auth.cli.json_output import FORMAT_VERSION, token_report
from soe_auth.cli.options import (
    add_redirect_uri,
    add_settings,
    given_redirect_uri,
    given_state,
    read_secret,
    resolve_given,
)
from soe_auth.errors import SettingsError
from soe_auth.model.secret import Secret, disable_core_dumps
from soe_auth.oauth.authorization_request import AuthorizationRequest
from soe_auth.oauth.authorization_response import parse_pasted_code
from soe_auth.oauth.token_endpoint import parse_token_response, token_request_body
from soe_auth.settings.spec import CLIENT_ID, SCOPE, SITE
from soe_auth.site_client.client import connect
from soe_auth.site_client.event_loop import run_async

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.console import Console
    from soe_auth.model.network import Network
    from soe_auth.model.site import Site
    from soe_auth.oauth.token_endpoint import TokenResponse

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)  # RFC 7636 section 4.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_settings(parser, SITE, CLIENT_ID, SCOPE)
    add_redirect_uri(parser)
    parser.add_argument("--json", action="store_true", help="print token and life as JSON")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the token."""
    settings = resolve_given(args, console)
    consent.require_consent(settings, console.confirm, console.say)
    site, client_id = settings.require_site_and_client
    redirect_uri = given_redirect_uri(site, args)
    disable_core_dumps()
    code = _code(read_secret("code", console, "SOE_AUTH_CODE"), site, redirect_uri, console)
    code_verifier = read_secret("code verifier", console, "SOE_AUTH_CODE_VERIFIER")
    if not _VERIFIER.fullmatch(code_verifier.reveal()):
        raise SettingsError(
            "The code verifier is 43 to 128 characters, from A-Z a-z 0-9 - . _ ~.",
            hint="Give the one that `soe-auth pkce` printed beside the challenge.",
        )
    state = given_state(console.environ) or Secret("")
    request = AuthorizationRequest(
        site, client_id, settings.scope, redirect_uri, state, code_verifier
    )
    now = time.time()
    response = run_async(_exchange(site, token_request_body(request, code), settings.network))
    token = parse_token_response(response, request, code, now=now)
    if words := token.scope_warning:
        console.say(words)
    if args.json:
        report = token_report(args.profile, token, time.time())
        report["access_token"] = token.access_token.reveal()
        console.result(json.dumps({"version": FORMAT_VERSION, **report}, indent=2))
    else:
        console.result(token.access_token.reveal())
    return 0


async def _exchange(site: Site, form: Secret, network: Network) -> TokenResponse:
    async with connect(site, network=network) as connection:
        return await connection.exchange(form)


def _code(given: Secret, site: Site, redirect_uri: str, console: Console) -> Secret:
    state = given_state(console.environ)
    try:
        return parse_pasted_code(given, site=site, redirect_uri=redirect_uri, state=state)
    except ValueError as problem:
        raise SettingsError(
            f"The address with the code is not the right one: {problem}.",
            hint="Copy it whole from the browser's address bar, from the page it ended at.",
        ) from None
