"""Private files on disk: never seen by others, never half-written. Callers translate OSError."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, suppress
from errno import EINVAL, ENOSYS, ENOTSUP
from shlex import quote
from typing import TYPE_CHECKING

from soe_auth.files.lock import lock_directory, make_mode_private, wait_to_hold
from soe_auth.files.private_read import (
    NO_FOLLOW,
    check_replaceable,
    own_directory,
    patiently,
    read_private,
)

if sys.platform == "win32":
    from soe_auth.files.windows_acl import make_private, replaceable_by_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soe_auth.files.lock import Release

_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600
_CANNOT_FLUSH = {EINVAL, ENOSYS, ENOTSUP}  # of a directory, on SMB and in FUSE
_RANDOM = 8  # bytes, in the name of a file that is being written


def make_private_directory(path: Path) -> str:
    """Make path a private directory of this user; return who else had access, empty if none.

    Raises OSError as `own_directory` does.
    """
    make_directory(path)
    return own_directory(path)


def make_directory(path: Path) -> None:
    """Make a directory, and those missing above it: with mode 0700, on Windows a private ACL.

    One that is there stays as it is. Raises OSError.
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
                directory.chmod(_PRIVATE_DIRECTORY)  # an odd umask may have left us less


def exposed_parents(path: Path) -> list[tuple[Path, str]]:
    """Return the directories above path in which others could replace it, and how to end that.

    Not those with the sticky bit, as /tmp has it, in which each user can rename only their own.
    """
    elsewhere = "name another directory in SOE_AUTH_CONFIG_DIR"
    if sys.platform == "win32":
        return [(each, elsewhere) for each in path.resolve().parents if replaceable_by_all(each)]
    found = []
    for parent in path.resolve().parents:
        status = parent.stat()
        if status.st_uid not in {0, os.geteuid()}:
            found.append((parent, elsewhere))
        elif status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            found.append((parent, f"type `chmod o-w {quote(str(parent))}`"))
    return found


def write_private(
    path: Path, data: bytes, *, durable: bool = True, only_if: Callable[[], bool] | None = None
) -> bool:
    """Put data at path with mode 0600; a crash at any moment leaves the old file or the new one.

    What is not `durable` need not outlive a loss of power, and is written at once. `only_if` is
    asked while no other process changes the file; nothing is written, and False returned, where it
    returns False or finds no file. Raises OSError; PermissionError where what is there is not a
    private file of this user. The old file is then untouched, unless only the last flush of its
    directory failed.
    """
    check_replaceable(path)
    with _changing(path, durable=durable, only_if=only_if) as allowed:
        if not allowed:
            return False
        beside, file = _create_beside(path)
        try:
            with os.fdopen(file, "wb") as stream:
                if sys.platform == "win32":
                    make_private(beside)
                make_mode_private(file)
                stream.write(data)
                stream.flush()
                if durable:
                    os.fsync(file)
                if sys.platform != "win32":  # it is locked until it is there
                    beside.replace(path)
            if sys.platform == "win32":  # it replaces no file by one that is open
                patiently(lambda: beside.replace(path))
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    return True


def remove_private(
    path: Path, *, durable: bool = True, only_if: Callable[[], bool] | None = None
) -> bool:
    """Remove a file, `only_if` as in `write_private`; return whether it did. Raises OSError."""
    try:
        with _changing(path, durable=durable, only_if=only_if) as allowed:
            if allowed:
                patiently(path.unlink)
            return allowed
    except FileNotFoundError:
        return False


def quarantine(path: Path, data: bytes, limit: int, aside: Path) -> Path | None:
    """Rename path to a free name like aside, if `read_private` of it still gives that data.

    Returns the name, or None where another process has put something else there, or taken it away.
    Raises OSError.
    """
    with _changing(path, only_if=lambda: read_private(path, limit)[0] == data) as allowed:
        if not allowed:
            return None
        taken = 0
        free = aside
        while free.exists():
            taken += 1
            free = aside.with_name(f"{aside.name}-{taken}")
        return patiently(lambda: path.rename(free))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, in a private directory, which is made if needed.

    Raises OSError; TimeoutError after ten seconds.
    """
    make_private_directory(path.parent)
    release = wait_to_hold(path)
    try:
        yield
    finally:
        release()


@contextmanager
def _changing(
    path: Path, *, durable: bool = True, only_if: Callable[[], bool] | None = None
) -> Iterator[bool]:
    """Hold path's directory while an entry of it is changed, and make a durable change last.

    Yields whether it may be changed: what `only_if` says while no other process changes it.

    First, what writers of path that were killed have left there is removed, as it holds a secret.
    Changes share a lock on the directory, but for one with a condition, which is alone: so in a
    directory that is ours alone, as others could else hold the lock for ever. Windows locks no
    directory and flushes none: there, a lock file beside path has each one alone. Raises OSError;
    TimeoutError there, where another does not come to an end.
    """
    if sys.platform == "win32":
        with _alone(path):
            yield _holds(only_if)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # the change itself matters more
            _remove_stale(path)
        lock_directory(directory, shared=only_if is None)
        yield _holds(only_if)
        if durable:
            try:
                os.fsync(directory)
            except OSError as problem:
                if problem.errno not in _CANNOT_FLUSH:
                    raise
    finally:
        os.close(directory)


def _holds(condition: Callable[[], bool] | None) -> bool:
    try:
        return condition is None or condition()
    except FileNotFoundError:
        return False


if sys.platform == "win32":

    @contextmanager
    def _alone(path: Path) -> Iterator[None]:
        """Hold a lock file beside path, and sweep."""
        lock = path.with_name(f".{path.name}.lock")
        release: Release | None = None
        try:
            release = patiently(lambda: wait_to_hold(lock))
            _remove_stale(path)
        except TimeoutError:
            raise
        except OSError:  # the file system has no locks, or what is to come fails for the same cause
            pass
        try:
            yield
        finally:
            if release:
                release()
                with suppress(OSError):  # the next one has it open
                    lock.unlink()


def _create_beside(path: Path) -> tuple[Path, int]:
    """Create a file beside path to write to, and lock it for as long as it is open."""
    while True:
        beside = path.with_name(f".{path.name}.{os.urandom(_RANDOM).hex()}.new")
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW, _PRIVATE_FILE)
        try:
            is_kept = _try_flock(file) and os.fstat(file).st_nlink > 0
        except OSError:  # the file system has no locks, and so nothing is removed as stale
            is_kept = True
        if is_kept:
            return beside, file
        os.close(file)  # another process took it for stale before it was locked


def _remove_stale(path: Path) -> None:
    """Remove what writers of path that were killed have left: our files that are not locked.

    Other programs have names like these, such as `.env.local.new`.
    """
    for entry in list(path.parent.iterdir()):
        middle = entry.name.removeprefix(f".{path.name}.").removesuffix(".new")
        if entry.name == f".{path.name}.{middle}.new" and _is_random(middle):
            with suppress(OSError):
                _remove_unlocked(entry)


def _is_random(text: str) -> bool:
    return len(text) == 2 * _RANDOM and set(text) <= set("0123456789abcdef")


def _remove_unlocked(path: Path) -> None:
    if sys.platform == "win32":  # who sweeps is alone, and no open file is removed there
        path.unlink()
        return
    file = os.open(path, os.O_RDONLY | NO_FOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and _try_flock(file):
            path.unlink()
    finally:
        os.close(file)


def _try_flock(file: int) -> bool:
    """Lock an open file, and return whether it is not locked by another process.

    Raises OSError where the file system has no locks.
    """
    if sys.platform == "win32":  # where open files can be neither replaced nor removed
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
