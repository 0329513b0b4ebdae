"""A lock that ends with its holder, however that ends. Only what is light is imported here."""

from __future__ import annotations

import os
import sys
import time
from errno import EACCES, EAGAIN

from soe_auth.own_files import NO_FOLLOW

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Release = Callable[[], None]

_PRIVATE_FILE = 0o600
_PAUSE = 0.05  # in seconds
_TRIES = 200


def hold(path: Path | str) -> Release | None:
    """Lock a file, made if needed, until the release; return None where another has it locked.

    Raises OSError.
    """
    if sys.platform == "win32":
        return by_filelock(path)
    import fcntl

    # No child inherits the lock.
    file = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, _PRIVATE_FILE)
    try:
        os.fchmod(file, _PRIVATE_FILE)  # an odd umask may have left us less
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(file)
        if problem.errno in {EACCES, EAGAIN}:
            return None
        raise
    return lambda: os.close(file)


def wait_to_hold(path: Path | str, *, wait: Callable[[float], None] = time.sleep) -> Release:
    """Do as `hold`, and wait for another; raises TimeoutError after ten seconds, OSError.

    `wait` sleeps for seconds.
    """
    for _ in range(_TRIES):
        if release := hold(path):
            return release
        wait(_PAUSE)
    raise TimeoutError("another process has been writing there for ten seconds")


def by_filelock(path: Path | str) -> Release | None:
    """Do as `hold`, on any system, by a library that is not light."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, mode=_PRIVATE_FILE, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock.release
