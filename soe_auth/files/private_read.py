"""Read files that only this user can change, and refuse those that others could have put there."""

from __future__ import annotations

import os
import stat
import sys
import time
from errno import ELOOP

if sys.platform == "win32":
    from soe_auth.files.windows_acl import make_private, other_users

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")

# Windows has neither flag: there a link needs a privilege, and no directory can have a pipe.
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_READ = os.O_RDONLY | NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)  # do not wait for a pipe's writer
OTHERS = 0o077
PRIVATE_FILE = 0o600
_MAX_LINKS = 40  # as in Linux
_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5)  # in seconds, 1.13 in total


class OtherUsersError(PermissionError):
    """Another user can change a file or its links; the text says how."""


def secure_directory(path: Path | str, *, repair: bool = True) -> str:
    """Remove other users' access to a directory; return which users had it, empty if none.

    Without `repair`, only report it. On Windows the repair may fail: check `other_users`. Raises
    OSError: FileNotFoundError, or PermissionError for a link, a file or another user's directory.
    """
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise PermissionError(f"{path} is a link or a file, not a directory")
    return _remove_access(path, status, repair=repair)


def read_private(
    path: Path | str, limit: int, *, repair: bool = True
) -> tuple[bytes, str, os.stat_result]:
    """Read at most `limit` bytes of this user's file, and remove other users' access to it.

    Return the data, which users had access as in `secure_directory`, and the status of the open
    file. Raises OSError: FileNotFoundError, or PermissionError for a file that is not private.
    """
    if sys.platform == "win32":  # os.open follows links there, and cannot open a directory
        _refuse_unusual(os.lstat(path))
    try:
        file = retry_while_open(lambda: os.open(path, _READ))
    except OSError as problem:
        if problem.errno == ELOOP:
            raise PermissionError("it is a link") from None
        raise
    with os.fdopen(file, "rb") as stream:
        status = os.fstat(file)
        _refuse_unusual(status)
        # Windows reads and sets an ACL by the file's name.
        target = path if sys.platform == "win32" else file
        return stream.read(limit), _remove_access(target, status, repair=repair), status


def read_trusted(path: Path | str, limit: int = -1, *, is_shared: bool = False) -> bytes:
    """Read at most `limit` bytes of a file that only this user and the administrator can change.

    Links are followed if this user or the administrator owns them. With `is_shared`, others may
    write to the file. Raises OSError: FileNotFoundError or OtherUsersError.
    """
    name = os.fspath(path)

    def open_file() -> int:
        return os.open(name, _READ)

    for _ in range(_MAX_LINKS):
        try:
            file = retry_while_open(open_file)
            break
        except OSError as problem:
            if problem.errno != ELOOP:
                raise
        _refuse_other_owner(os.lstat(name), "a link to it")
        name = os.path.join(os.path.dirname(name), os.readlink(name))
    else:
        raise OSError(ELOOP, os.strerror(ELOOP))
    with os.fdopen(file, "rb") as stream:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError("it is not a regular file")
        _refuse_other_owner(status, "it")
        if not is_shared and (others := _users_who_can_change(path, status)):
            raise OtherUsersError(f"{others} can change it")
        return stream.read(limit)


def check_replaceable(path: Path | str) -> None:
    """Raise PermissionError if path exists and is read-only or not a private file of this user."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    _refuse_unusual(status)
    _require_own(status)
    # On POSIX, replacing a file needs no permission for the file itself.
    if sys.platform == "win32" and not status.st_mode & stat.S_IWRITE:
        raise PermissionError(f'it is read-only; type `attrib -r "{path}"`')


def retry_while_open(
    act: Callable[[], T],
    *,
    wait: Callable[[float], None] = time.sleep,
    platform: str = sys.platform,
) -> T:
    """Call `act`; on Windows, repeat it for about a second while another program has the file open.

    There, a reader or a virus scanner blocks replacing, renaming and removing. `wait` sleeps for
    seconds. Raises OSError: PermissionError with an explanation if a second was not enough.
    """
    if platform != "win32":
        return act()
    for pause in _PAUSES:
        try:
            return act()
        except PermissionError:
            wait(pause)
    try:
        return act()
    except PermissionError as problem:
        raise PermissionError(
            f"another program has it open, or Windows denies you access ({problem.strerror})"
        ) from None


def _refuse_unusual(status: os.stat_result) -> None:
    """Raise PermissionError for a link, a special file or a file with a hard link."""
    if stat.S_ISLNK(status.st_mode):
        raise PermissionError("it is a link")
    if not stat.S_ISREG(status.st_mode):
        raise PermissionError("it is not a regular file")
    if status.st_nlink > 1:
        raise PermissionError("it has a second name (a hard link), by which it can be changed")


def _require_own(status: os.stat_result) -> None:
    if sys.platform != "win32" and status.st_uid != os.geteuid():
        raise PermissionError("it belongs to another user")


def _refuse_other_owner(status: os.stat_result, subject: str) -> None:
    if sys.platform != "win32" and status.st_uid not in {0, os.geteuid()}:
        raise OtherUsersError(f"{subject} belongs to another user")


def _users_who_can_change(path: Path | str, status: os.stat_result) -> str:
    """Return which other users can change a file of this user or the administrator."""
    if sys.platform == "win32":
        others = other_users(path, can_change=True)
        return others[:1].lower() + others[1:]
    if status.st_mode & stat.S_IWOTH:
        return "every user of this machine"
    if status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid):
        return "its group"
    return ""


def _is_private_group(gid: int) -> bool:
    """Return whether only this user is in the group; many systems create one for each user.

    Group 0 never counts, as containers run other users in it.
    """
    if sys.platform == "win32":
        return False
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    is_own = gid == user.pw_gid and group.gr_name == user.pw_name
    return gid != 0 and is_own and {*group.gr_mem} <= {user.pw_name}


def _remove_access(path: Path | str | int, status: os.stat_result, *, repair: bool) -> str:
    """Refuse another user's file, remove other users' access; return which users had it."""
    if sys.platform == "win32":
        others = other_users(str(path))
        if others and repair:
            make_private(str(path))
        return others
    _require_own(status)
    if not status.st_mode & OTHERS:
        return ""
    if repair:
        try:
            os.chmod(path, stat.S_IMODE(status.st_mode) & ~OTHERS)
            reason = "its file system keeps it" if os.stat(path).st_mode & OTHERS else ""
        except OSError as problem:
            reason = problem.strerror or str(problem)
        if reason:
            raise PermissionError(
                f"others may read it, and its mode cannot be changed ({reason});"
                " set SOE_AUTH_CONFIG_DIR to another directory"
            )
    return "Other users"
