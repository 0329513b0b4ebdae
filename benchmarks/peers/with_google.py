"""A login with google-auth-oauthlib, to the site in the argument."""

import os
import sys
from pathlib import Path

from google_auth_oauthlib.flow import InstalledAppFlow

site = sys.argv[1]
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the site may be on http
client = {
    "client_id": "110",
    "client_secret": "none",
    "auth_uri": f"{site}/oauth",
    "token_uri": f"{site}/oauth/access_token/json",
}
flow = InstalledAppFlow.from_client_config({"installed": client}, scopes=["write_access"])
credentials = flow.run_local_server(port=0, authorization_prompt_message=None)
Path("google.json").write_text(credentials.to_json(), encoding="utf-8")
sys.stdout.write(f"{credentials.token}\n")
