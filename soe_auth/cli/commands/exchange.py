"""By hand, step 3: exchange a code and its verifier for a token, and print the token.

The code and the verifier are read from SOE_AUTH_CODE and SOE_AUTH_CODE_VERIFIER, or as lines of
standard input, the code first; a terminal shows a prompt. They are not options, because other
processes can read a command line. Instead of the code you can give the address of the browser's
last page; if SOE_AUTH_STATE is set, the address is required, with that state. Nothing is stored.

For example:
  soe-auth exchange --site acme --client-id 110
"""

import argparse
import re
import time

from soe_auth.cli.console import Console
from soe_auth.cli.json_output import token_json
from soe_auth.cli.options import (
    add_by_hand,
    read_secret,
    redirect_uri_of,
    resolve_by_hand,
    state_variable,
)
from soe_auth.errors import ExchangeRefused, LoginError, SettingsError, authorization_hint
from soe_auth.model.secret import Secret, disable_core_dumps
from soe_auth.oauth.api_call import SiteResponse
from soe_auth.oauth.authorization_request import AuthorizationRequest
from soe_auth.oauth.callback_check import Denied, parse_pasted_callback
from soe_auth.oauth.token_endpoint import parse_token_response, token_request_body
from soe_auth.site_client.client import connect
from soe_auth.site_client.event_loop import run_async

_PREVIOUS_STEP = "soe-auth url"
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)  # RFC 7636 section 4.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_by_hand(parser)
    parser.add_argument("--json", action="store_true", help="print token and expiry as JSON")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the token."""
    settings = resolve_by_hand(args, console)
    site, client_id = settings.require_site_and_client()
    redirect_uri = redirect_uri_of(site, args)
    disable_core_dumps()
    code_or_url = read_secret("code", console, "SOE_AUTH_CODE")
    state = state_variable(console.environ)
    try:
        verdict = parse_pasted_callback(
            code_or_url, site=site, redirect_uri=redirect_uri, state=state
        )
    except ValueError as problem:
        raise SettingsError(
            f"Cannot use the address with the code: {problem}.",
            hint="Copy the whole address of the browser's last page from the address bar.",
        ) from None
    if isinstance(verdict, Denied):
        words = f" ({verdict.description})" if verdict.description else ""
        raise LoginError(
            f"Cannot exchange a code: the site answered {verdict.code}{words}.",
            hint=authorization_hint(verdict.code, _PREVIOUS_STEP),
        )
    code_verifier = read_secret("code verifier", console, "SOE_AUTH_CODE_VERIFIER")
    if not _VERIFIER.fullmatch(code_verifier.reveal()):
        raise SettingsError(
            "The code verifier is 43 to 128 characters, from A-Z a-z 0-9 - . _ ~.",
            hint="Give the one that `soe-auth pkce` printed with the challenge.",
        )

    request = AuthorizationRequest(
        site, client_id, settings.scope, redirect_uri, state or Secret(""), code_verifier
    )

    async def send() -> SiteResponse:
        async with connect(site, network=settings.network) as connection:
            return await connection.exchange(token_request_body(request, verdict.code))

    now = time.time()
    try:
        token = parse_token_response(run_async(send()), request, verdict.code, now=now)
    except ExchangeRefused as refused:
        refused.hint = f"A code works once, for a few minutes. Start again: `{_PREVIOUS_STEP}`."
        raise
    if warning := token.scope_warning:
        console.say(warning)
    secret = token.access_token
    console.result(token_json(args.profile, token, secret) if args.json else secret.reveal())
    return 0
