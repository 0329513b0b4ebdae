"""Write private files: no other user can read them, and a crash leaves none half written.

Callers turn OSError into an error with a hint.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from contextlib import contextmanager, suppress
from errno import EINVAL, ENOSYS, ENOTSUP
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from soe_auth.files.lock import flock, lock_directory, make_mode_private, wait_for_lock
from soe_auth.files.private_read import (
    NO_FOLLOW,
    PRIVATE_FILE,
    check_replaceable,
    read_private,
    retry_while_open,
    secure_directory,
)

if sys.platform == "win32":
    from soe_auth.files.windows_acl import make_private, replaceable_by_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from soe_auth.files.lock import Release

_PRIVATE_DIRECTORY = 0o700
_CANNOT_FLUSH = {EINVAL, ENOSYS, ENOTSUP}  # a directory, on SMB and FUSE
_RANDOM = 8  # bytes in the name of a temporary file


def make_private_directory(path: Path) -> str:
    """Create a directory, or make it private; return and raise as `secure_directory`."""
    make_directory(path)
    return secure_directory(path)


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents with mode 0700, on Windows with a private ACL.

    An existing directory is not changed. Raises OSError.
    """
    missing = [path, *path.parents]
    while missing and missing[-1].exists():
        missing.pop()
    for directory in reversed(missing):
        with suppress(FileExistsError):  # another process was faster
            directory.mkdir(mode=_PRIVATE_DIRECTORY)
            if sys.platform == "win32":
                make_private(directory)
            elif directory.stat().st_mode & 0o777 != _PRIVATE_DIRECTORY:
                directory.chmod(_PRIVATE_DIRECTORY)  # an unusual umask reduced it


def exposed_parents(path: Path) -> list[tuple[Path, str]]:
    """Return the parents of path in which other users could replace it, each with a remedy.

    A directory with the sticky bit, such as /tmp, is safe: users can rename only their own files.
    """
    elsewhere = "set SOE_AUTH_CONFIG_DIR to another directory"
    # `resolve` raises RuntimeError for a link to itself, before Python 3.13.
    parents = Path(os.path.realpath(path)).parents
    if sys.platform == "win32":
        return [(each, elsewhere) for each in parents if replaceable_by_all(each)]
    found = []
    for parent in parents:
        status = parent.stat()
        if status.st_uid not in {0, os.geteuid()}:
            found.append((parent, elsewhere))
        elif status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            found.append((parent, f"type `chmod o-w {quote(str(parent))}`"))
    return found


def write_private(
    path: Path, data: bytes, *, durable: bool = True, only_if: Callable[[], bool] | None = None
) -> bool:
    """Write data to path with mode 0600; a crash at any moment leaves the old file or the new one.

    Without `durable`, a loss of power may lose the change. `only_if` is called while no other
    process changes the file; if it returns False or finds no file, nothing is written and False is
    returned. Raises OSError: PermissionError if path is not a private file of this user. The old
    file is then unchanged, unless only the last flush of its directory failed.
    """
    check_replaceable(path)
    with _change(path, durable=durable, only_if=only_if) as is_allowed:
        if not is_allowed:
            return False
        temporary, file = _create_temporary(path)
        try:
            with os.fdopen(file, "wb") as stream:
                if sys.platform == "win32":
                    make_private(temporary)
                make_mode_private(file)
                stream.write(data)
                stream.flush()
                if durable:
                    os.fsync(file)
                if sys.platform != "win32":  # while it is locked, so that no process removes it
                    temporary.replace(path)
            if sys.platform == "win32":  # which cannot rename an open file
                retry_while_open(lambda: temporary.replace(path))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return True


def remove_private(
    path: Path, *, durable: bool = True, only_if: Callable[[], bool] | None = None
) -> bool:
    """Remove a file, `only_if` as in `write_private`; return whether it was removed.

    Raises OSError.
    """
    try:
        with _change(path, durable=durable, only_if=only_if) as is_allowed:
            if is_allowed:
                retry_while_open(path.unlink)
            return is_allowed
    except FileNotFoundError:
        return False


def quarantine(path: Path, data: bytes, limit: int, target: Path) -> Path | None:
    """Rename path to target, or a free name like it, if `read_private` still returns that data.

    Return the new name; None if another process has replaced or removed the file. Raises OSError.
    """
    with _change(path, only_if=lambda: read_private(path, limit)[0] == data) as is_allowed:
        if not is_allowed:
            return None
        number, free = 0, target
        while free.exists():
            number += 1
            free = target.with_name(f"{target.name}-{number}")
        return retry_while_open(lambda: path.rename(free))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, which is created in a private directory.

    Raises OSError: TimeoutError after ten seconds.
    """
    make_private_directory(path.parent)
    release = wait_for_lock(path)
    try:
        yield
    finally:
        release()


@contextmanager
def _change(
    path: Path, *, durable: bool = True, only_if: Callable[[], bool] | None = None
) -> Iterator[bool]:
    """Remove stale temporary files of path and lock it; yield whether `only_if` allows a change.

    A change with a condition is exclusive; others share the lock. Raises OSError.
    """
    if sys.platform == "win32":
        lock = _locked_beside(path)
    else:
        lock = _locked_directory(path, durable=durable, shared=only_if is None)
    with lock:
        try:
            is_allowed = only_if is None or only_if()
        except FileNotFoundError:
            is_allowed = False
        yield is_allowed


if sys.platform == "win32":

    @contextmanager
    def _locked_beside(path: Path) -> Iterator[None]:
        """Hold a lock file beside path, as Windows cannot lock a directory. Raises TimeoutError."""
        lock = path.with_name(f".{path.name}.lock")
        release: Release | None = None
        try:
            release = retry_while_open(lambda: wait_for_lock(lock))
            _remove_stale(path)
        except TimeoutError:
            raise
        except OSError:  # no locks on this file system, or the change itself will fail as well
            pass
        try:
            yield
        finally:
            if release:
                release()
                with suppress(OSError):  # the next process has it open
                    lock.unlink()

else:

    @contextmanager
    def _locked_directory(path: Path, *, durable: bool, shared: bool) -> Iterator[None]:
        """Lock path's directory, and flush it after a durable change. Raises OSError."""
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(OSError):  # the change itself can still succeed
                _remove_stale(path)
            lock_directory(directory, shared=shared)
            yield
            if durable:
                try:
                    os.fsync(directory)
                except OSError as problem:
                    if problem.errno not in _CANNOT_FLUSH:
                        raise
        finally:
            os.close(directory)


def _create_temporary(path: Path) -> tuple[Path, int]:
    """Create a file beside path, locked while it is open."""
    while True:
        temporary = path.with_name(f".{path.name}.{os.urandom(_RANDOM).hex()}.new")
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW, PRIVATE_FILE)
        try:
            is_ours = flock(file) and os.fstat(file).st_nlink > 0
        except OSError:  # no locks on this file system, so no process removes it as stale
            is_ours = True
        if is_ours:
            return temporary, file
        os.close(file)  # another process removed it as stale before it was locked


def _remove_stale(path: Path) -> None:
    """Remove temporary files that killed writers of path left, as they may hold a secret.

    Other programs use similar names, such as `.env.local.new`: only our pattern is removed.
    """
    stale = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{{2 * _RANDOM}}}\.new")
    for entry in list(path.parent.iterdir()):
        if not stale.fullmatch(entry.name):
            continue
        with suppress(OSError):
            if sys.platform == "win32":  # the caller has the lock, and an open file stays
                entry.unlink()
                continue
            file = os.open(entry, os.O_RDONLY | NO_FOLLOW | os.O_NONBLOCK)
            try:
                status = os.fstat(file)
                is_own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
                if is_own and flock(file):
                    entry.unlink()
            finally:
                os.close(file)
