"""A login of soe-auth that opens the authorization URL itself, as early as possible.

It measures the time to the sign-in page, and does not wait for the callback.
"""

import os
import sys
from hashlib import sha256

from soe_auth.desktop.browser import start_browser
from soe_auth.fast.command_cache import Cache
from soe_auth.files.lock import try_lock
from soe_auth.loopback.sockets import bind

site, *argv = sys.argv[1:]
cache = Cache(os.environ)
_, _, lock, *assumed = cache.lookup(cache.load(), argv)
_, host, first, last, browser = assumed
release = try_lock(lock)
sockets = bind(range(int(first), int(last) + 1), host)
state, verifier = os.urandom(32).hex(), os.urandom(32).hex()
url = (
    f"{site}/oauth?client_id=110&state={state}&code_challenge_method=S256"
    f"&redirect_uri=http%3A%2F%2F{host}%3A{sockets.port}%2Fcallback%2Facme"
    f"&code_challenge={sha256(verifier.encode()).hexdigest()}"
)
pid = start_browser(url, browser or None, os.environ)
if release is None or pid is None:
    sys.exit("the lock is taken, or there is no browser")

from soe_auth.actions.login_io import StartedLogin  # noqa: E402  # loaded after the browser has started
from soe_auth.cli.main import main  # noqa: E402  # as above

started = StartedLogin(assumed, release, sockets, "/nowhere", lambda: False)
sys.exit(main(argv, started=started))
