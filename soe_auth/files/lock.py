"""Lock files and directories; the system ends each lock with its process."""

from __future__ import annotations

import os
import sys
import time
from errno import EACCES, EAGAIN, EINVAL, ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP

from soe_auth.files.private_read import NO_FOLLOW, OTHERS, PRIVATE_FILE

if sys.platform == "win32":
    import _winapi

    from soe_auth.files.windows_acl import make_private

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Release = Callable[[], None]

# Errors of flock(2) on file systems without locks, such as some NFS, SMB, Lustre and FUSE.
_NO_LOCKS = {EINVAL, ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP}
_SHARING_VIOLATION = 32  # Windows: another process has the file open
_FILE_SHARE_READ = 1
_OPEN_ALWAYS = 4
_PAUSE = 0.05  # in seconds
_TRIES = 200


def try_lock(path: Path | str, warn: Callable[[], None] = lambda: None) -> Release | None:
    """Lock a file, which is created if needed; return None while another process has it locked.

    Call the result to unlock. Where the file system has no locks, nothing is locked, and `warn` is
    called. Raises OSError.
    """
    if sys.platform == "win32":
        # Not msvcrt.locking, with which other processes cannot read the file.
        try:
            handle = _winapi.CreateFile(
                *(str(path), _winapi.GENERIC_WRITE, _FILE_SHARE_READ, _winapi.NULL),
                *(_OPEN_ALWAYS, 0, _winapi.NULL),
            )
        except OSError as problem:
            if problem.winerror == _SHARING_VIOLATION:
                return None
            raise
        make_private(path)
        return lambda: _winapi.CloseHandle(handle)
    import fcntl

    file = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, PRIVATE_FILE)
    try:
        make_mode_private(file)
        is_locked = flock(file)
    except OSError as problem:
        if problem.errno in _NO_LOCKS:
            warn()
            return lambda: os.close(file)
        os.close(file)
        raise
    if not is_locked:
        os.close(file)
        return None

    def release() -> None:
        # A child that is being started holds a copy of the descriptor until its exec, so close(2)
        # alone would not unlock yet.
        try:
            fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            os.close(file)

    return release


def wait_for_lock(path: Path | str, *, wait: Callable[[float], None] = time.sleep) -> Release:
    """Lock a file as `try_lock` does, and wait up to ten seconds while another process has it.

    `wait` sleeps for seconds. Raises OSError: TimeoutError after ten seconds.
    """
    for _ in range(_TRIES):
        if release := try_lock(path):
            return release
        wait(_PAUSE)
    raise TimeoutError("another process has kept it locked for ten seconds")


def lock_directory(
    directory: int, *, shared: bool, wait: Callable[[float], None] = time.sleep
) -> None:
    """Lock an open directory until it is closed, if it is private; Windows cannot lock it.

    Any user who can read a directory can lock it, and one who opened it earlier still can: so wait
    no longer than ten seconds.
    """
    if sys.platform == "win32":
        return
    status = os.fstat(directory)
    if status.st_uid != os.geteuid() or status.st_mode & OTHERS:
        return
    try:
        for _ in range(_TRIES):
            if flock(directory, shared=shared):
                return
            wait(_PAUSE)
    except OSError:  # the file system has no locks
        return


def flock(file: int, *, shared: bool = False) -> bool:
    """Lock an open file; return False while another process has it locked.

    Raises OSError where the file system has no locks. Windows needs none here: it neither replaces
    nor removes an open file.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_NB | (fcntl.LOCK_SH if shared else fcntl.LOCK_EX))
    except OSError as problem:
        if problem.errno in {EACCES, EAGAIN}:
            return False
        raise
    return True


def make_mode_private(file: int) -> None:
    """Set mode 0600 on an open file that we created, as an unusual umask may have reduced it."""
    if sys.platform != "win32" and os.fstat(file).st_mode & 0o777 != PRIVATE_FILE:
        os.fchmod(file, PRIVATE_FILE)
