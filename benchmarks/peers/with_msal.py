"""A login with msal, to the site in the argument, which must use https."""

import sys
from pathlib import Path

import msal

cache = msal.SerializableTokenCache()
app = msal.PublicClientApplication("110", oidc_authority=f"{sys.argv[1]}/tenant", token_cache=cache)
answer = app.acquire_token_interactive(["write_access"])
Path("msal.json").write_text(cache.serialize(), encoding="utf-8")
sys.stdout.write(f"{answer['access_token']}\n")
