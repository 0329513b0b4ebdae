"""A login with httpx-auth, to the site in the argument."""

import sys
from pathlib import Path

import httpx
from httpx_auth import OAuth2AuthorizationCodePKCE

site = sys.argv[1]
auth = OAuth2AuthorizationCodePKCE(
    f"{site}/oauth", f"{site}/oauth/access_token/json", client_id="110", scope="write_access"
)
request = next(auth.auth_flow(httpx.Request("GET", site)))
token = request.headers["Authorization"].removeprefix("Bearer ")
Path("httpx-auth.txt").write_text(token, encoding="utf-8")
sys.stdout.write(f"{token}\n")
