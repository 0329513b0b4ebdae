"""A lock that ends with its holder, however that ends."""

from __future__ import annotations

import os
import sys
import time
from errno import EACCES, EAGAIN, EINVAL, ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP

from soe_auth.files.private_read import NO_FOLLOW, OTHERS

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Release = Callable[[], None]

_PRIVATE_FILE = 0o600
# What flock(2) says on network file systems and in user space, such as NFS, SMB, Lustre and FUSE.
_HAS_NO_LOCKS = {EINVAL, ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP}
_SHARING_VIOLATION = 32  # Windows: another process has it open exclusively
_FILE_SHARE_READ = 1
_OPEN_ALWAYS = 4
_PAUSE = 0.05  # in seconds
_TRIES = 200


def try_lock(path: Path | str, warn: Callable[[], None] = lambda: None) -> Release | None:
    """Lock a file, made if needed, until the release; return None where another has it locked.

    Where the file system has no such locks, `warn` is called, and nothing is locked. Raises
    OSError.
    """
    if sys.platform == "win32":
        return _hold_open(path)
    import fcntl

    file = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, _PRIVATE_FILE)
    try:
        make_mode_private(file)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        if problem.errno in _HAS_NO_LOCKS:
            warn()
            return lambda: os.close(file)
        os.close(file)
        if problem.errno in {EACCES, EAGAIN}:
            return None
        raise

    def release() -> None:
        # Unlock first: a program that is being started has a copy of the descriptor until its exec
        # closes that, and close(2) alone would leave the lock held until then.
        try:
            fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            os.close(file)

    return release


def make_mode_private(file: int) -> None:
    """Give an open file that we made mode 0600, which an odd umask may have left it without."""
    if sys.platform != "win32" and os.fstat(file).st_mode & 0o777 != _PRIVATE_FILE:
        os.fchmod(file, _PRIVATE_FILE)


def wait_to_hold(path: Path | str, *, wait: Callable[[float], None] = time.sleep) -> Release:
    """Do as `try_lock`, and wait for another; raises TimeoutError after ten seconds, OSError.

    `wait` sleeps for seconds.
    """
    for _ in range(_TRIES):
        if release := try_lock(path):
            return release
        wait(_PAUSE)
    raise TimeoutError("another process has been writing there for ten seconds")


def lock_directory(
    directory: int, *, shared: bool, wait: Callable[[float], None] = time.sleep
) -> None:
    """Lock an open directory until it is closed, if it is ours alone; Windows locks none.

    Anyone who may read a directory may lock it as well, and anyone who opened it before it was ours
    alone still may: so after ten seconds it is left unlocked.
    """
    if sys.platform == "win32":
        return
    import fcntl

    status = os.fstat(directory)
    if status.st_uid != os.geteuid() or status.st_mode & OTHERS:
        return
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    for _ in range(_TRIES):
        try:
            fcntl.flock(directory, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            wait(_PAUSE)
        except OSError:  # the file system has no such locks
            return
        else:
            return


if sys.platform == "win32":
    import _winapi

    from soe_auth.files.windows_acl import make_private

    def _hold_open(path: Path | str) -> Release | None:
        """Open a file so that no one else can for writing, which servers of files hold to as well.

        Not `msvcrt.locking`, as what it locks cannot be read, and its errors tell little.
        """
        try:
            file = _winapi.CreateFile(
                *(str(path), _winapi.GENERIC_WRITE, _FILE_SHARE_READ, _winapi.NULL),
                *(_OPEN_ALWAYS, 0, _winapi.NULL),
            )
        except OSError as problem:
            if problem.winerror == _SHARING_VIOLATION:
                return None
            raise
        make_private(path)
        return lambda: _winapi.CloseHandle(file)
