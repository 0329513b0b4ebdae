"""Launch the browser of a recorded login before its settings are read.

The kernel's backlog holds the browser's connection until the login serves the port. State and
verifier are made only then.
"""

from __future__ import annotations

import os

from soe_auth.desktop.browser import start_browser, watch_process
from soe_auth.errors import LoopbackUnavailable
from soe_auth.fast.command_cache import Cache
from soe_auth.files.lock import try_lock
from soe_auth.files.private_read import check_replaceable, secure_directory
from soe_auth.loopback.sockets import bind, local_path

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soe_auth.actions.login_io import StartedLogin


def start_early(argv: Sequence[str], environ: Mapping[str, str]) -> StartedLogin | None:
    """Start the login of a command line, if a login with the same words has finished before.

    Return None, with nothing done, if anything is unusual: the login itself reports it.
    """
    try:
        cache = Cache(environ)
        kind, token, lock, *assumed = cache.lookup(cache.load(), argv)
        _, host, first, last, browser = assumed
        ports = range(int(first), int(last) + 1)
        is_exposed = any(
            secure_directory(os.path.dirname(each), repair=False) for each in (token, lock)
        )
        if kind != "login" or is_exposed:
            return None
        check_replaceable(token)
        release = try_lock(lock)
    except (OSError, ValueError):
        return None
    if release is None:
        return None
    try:
        sockets = bind(ports, host)
    except LoopbackUnavailable:
        release()
        return None
    path = local_path(os.urandom)
    pid = start_browser(sockets.url(path), browser or None, environ)
    if pid is None:
        sockets.close()
        release()
        return None
    from soe_auth.actions.login_io import StartedLogin  # takes time; the browser starts meanwhile

    codes: list[int] = []
    watch_process(pid, codes.append)
    return StartedLogin(assumed, release, sockets, path, browser_failed=lambda: any(codes))
