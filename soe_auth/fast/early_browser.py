"""Start the browser of a known login before the settings are read.

The cache has what that takes. The kernel's backlog holds the browser until the login listens; state
and verifier are drawn then.
"""

from __future__ import annotations

import os

from soe_auth.actions.started_login import StartedLogin
from soe_auth.desktop.browser import start, watch
from soe_auth.errors import LoopbackUnavailable
from soe_auth.fast.cache import CacheKey, asked
from soe_auth.fast.replay import read_command_line
from soe_auth.files.lock import try_lock
from soe_auth.files.private_read import check_replaceable, own_directory
from soe_auth.loopback.sockets import bind, local_path

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soe_auth.files.lock import Release


def start_early(argv: Sequence[str], environ: Mapping[str, str]) -> StartedLogin | None:
    """Start the login of `soe-auth login`, if its settings are in the cache.

    Return None, with nothing done, where anything is unusual: the login itself reports it.
    """
    try:
        directory, known = _what_is_known(argv, environ)
        profile, host, first, last, browser = known
        release = _lock(directory, profile)
    except (OSError, ValueError):
        return None
    if release is None:
        return None
    try:
        sockets = bind(range(int(first), int(last) + 1), host)
    except LoopbackUnavailable:
        release()
        return None
    path = local_path(os.urandom)
    pid = start(sockets.url(path), browser or None, environ)
    if pid is None:
        sockets.close()
        release()
        return None
    codes: list[int] = []
    watch(pid, codes.append)
    return StartedLogin(known, release, sockets, path, browser_failed=lambda: any(codes))


def _what_is_known(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the config directory; and the profile with what its browser is sent off by.

    Raises ValueError where that is not known, or no login is asked for; OSError.
    """
    command, options, _ = read_command_line(argv)
    if command != "login":
        raise ValueError
    question = CacheKey(environ, asked(options.get("profile", ""), ""))
    profile, _, _, _, _, *of_browser = question.lookup()
    return question.directory, [profile, *of_browser]


def _lock(directory: str, profile: str) -> Release | None:
    """Take the profile's login lock; None where another has it.

    Raises ValueError where a token could not be kept as it has to be, OSError.
    """
    locks, tokens = f"{directory}/locks", f"{directory}/tokens"
    if own_directory(locks, repair=False) or own_directory(tokens, repair=False):
        raise ValueError
    check_replaceable(f"{tokens}/{profile}.json")
    return try_lock(f"{locks}/{profile}.lock")
