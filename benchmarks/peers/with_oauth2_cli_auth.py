"""A login with oauth2-cli-auth, to the site in the argument.

It equals `get_access_token_with_browser_open`, without the address on stdout.
"""

import sys
from pathlib import Path

from oauth2_cli_auth import (
    OAuth2ClientInfo,
    OAuthCallbackHttpServer,
    exchange_code_for_access_token,
    get_auth_url,
    open_browser,
)

site = sys.argv[1]
client = OAuth2ClientInfo(
    client_id="110",
    client_secret=None,
    authorization_url=f"{site}/oauth",
    token_url=f"{site}/oauth/access_token/json",
    scopes=["write_access"],
)
listener = OAuthCallbackHttpServer(0)
open_browser(get_auth_url(client, listener.callback_url), print_open_browser_instruction=None)
code = listener.wait_for_code()
token = exchange_code_for_access_token(client, listener.callback_url, code)
Path("oauth2-cli-auth.txt").write_text(token, encoding="utf-8")
sys.stdout.write(f"{token}\n")
