"""Private files on disk: never seen by others, never half-written. Callers translate OSError."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600
_OTHERS = 0o077
# Windows has neither flag: its links need a privilege, and its user profiles are private.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_POSIX = os.name == "posix"


def private_directory(path: Path) -> bool:
    """Make sure that path is a directory of ours with mode 0700; return whether it was repaired.

    Raises OSError, PermissionError among them where it is a link or belongs to somebody else.
    """
    path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{path} is a link or a file, not a directory")
    return _claim(path, status)


def write_private(path: Path, data: bytes) -> None:
    """Put data at path with mode 0600; a crash at any moment leaves the old file or the new one.

    Raises OSError; the old file is then untouched.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.new")
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, _PRIVATE_FILE)
    try:
        with os.fdopen(file, "wb") as stream:
            if _POSIX:  # pragma: no branch - Windows has no fchmod
                os.fchmod(file, _PRIVATE_FILE)  # an odd umask may have left us less
            stream.write(data)
            stream.flush()
            os.fsync(file)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def read_private(path: Path, limit: int) -> tuple[bytes, bool]:
    """Return at most limit bytes of a file of ours, and whether its mode had to be repaired.

    Raises OSError, FileNotFoundError and PermissionError among them.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | _NO_FOLLOW), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(f"{path} is not a regular file")
        return stream.read(limit), _claim(stream.fileno(), status)


def remove_private(path: Path) -> bool:
    """Remove a file durably; return whether there was one. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    _sync_directory(path.parent)
    return True


def _claim(path: Path | int, status: os.stat_result) -> bool:
    """Refuse a foreign owner, take away what others may do; return whether that was needed."""
    if not _POSIX:
        return False  # pragma: no cover - Windows: the user profile's own protection holds
    if status.st_uid != os.geteuid():
        raise PermissionError("it belongs to another user")
    if not status.st_mode & _OTHERS:
        return False
    os.chmod(path, stat.S_IMODE(status.st_mode) & ~_OTHERS)  # noqa: PTH101  # path may be an open file
    return True


def _sync_directory(path: Path) -> None:
    """Make a rename or removal last (POSIX; Windows keeps such changes by itself)."""
    if not _POSIX:
        return  # pragma: no cover - Windows
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
