"""A login of soe-auth's that launches the authorize URL itself, as early as that can be done.

It is for the time until the sign-in page, and leads no further: nobody waits for the answer.
"""

import os
import sys
from hashlib import sha256

from soe_auth.actions.started_login import StartedLogin
from soe_auth.desktop.browser import start
from soe_auth.fast.cache import CacheKey, asked
from soe_auth.files.lock import try_lock
from soe_auth.loopback.sockets import bind

question = CacheKey(os.environ, asked("bench", ""))
profile, site, client_id, _, _, *of_browser = question.lookup()
host, first, last, browser = of_browser
release = try_lock(f"{question.directory}/locks/{profile}.lock")
sockets = bind(range(int(first), int(last) + 1), host)
state, verifier = os.urandom(32).hex(), os.urandom(32).hex()
url = (
    f"{site}/oauth?client_id={client_id}&state={state}&code_challenge_method=S256"
    f"&redirect_uri=http%3A%2F%2F{host}%3A{sockets.port}%2Fcallback%2Facme"
    f"&code_challenge={sha256(verifier.encode()).hexdigest()}"
)
pid = start(url, browser or None, os.environ)
if release is None or pid is None:
    sys.exit("the lock is taken, or there is no browser")

from soe_auth.cli.main import main  # noqa: E402  # all the rest comes when the browser is off

started = StartedLogin([profile, *of_browser], release, sockets, "/nowhere", lambda: False)
sys.exit(main(["login", "-p", profile], started=started))
