"""Reads files that are ours alone, and refuses what others could have put there."""

from __future__ import annotations

import os
import stat
import sys
import time
from errno import ELOOP

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")

# Windows has none of these flags: its links need a privilege, and it has no such special files.
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # to open a pipe would else wait for who writes to it
OTHERS = 0o077
_MAX_LINKS = 40  # as Linux follows
_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5)  # in seconds, 1.13 in all


class OtherUsersError(PermissionError):
    """Other users can change a file, or decide which one is read; the text says in what way."""


def own_directory(path: Path | str, *, repair: bool = True) -> str:
    """Take away what others may do with this user's directory; return who they were, empty if none.

    Without `repair` it is left as it is. On Windows that may fail, which `acl.other_users` tells.
    Raises OSError: FileNotFoundError, and PermissionError where it is a link, a file or, but on
    Windows, belongs to another user.
    """
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise PermissionError(f"{path} is a link or a file, not a directory")
    return _claim(path, status, repair=repair)


def read_private(path: Path | str, limit: int, *, repair: bool = True) -> tuple[bytes, str]:
    """Return at most limit bytes of this user's file, and who else had access, as `own_directory`.

    Without `repair` the file is left as it is. Raises OSError: FileNotFoundError, and
    PermissionError where it is not a private file of this user.
    """
    data, others, _ = read_with_status(path, limit, repair=repair)
    return data, others


def read_with_status(
    path: Path | str, limit: int, *, repair: bool = True
) -> tuple[bytes, str, os.stat_result]:
    """Do as `read_private`, and return the status that the very file had which was read."""
    if sys.platform == "win32":  # it can open no directory, and has no flag to follow no link
        _refuse_odd(os.lstat(path))
    try:
        file = patiently(lambda: os.open(path, os.O_RDONLY | NO_FOLLOW | _NO_WAIT))
    except OSError as problem:
        if problem.errno == ELOOP:
            raise PermissionError("it is a link") from None
        raise
    with os.fdopen(file, "rb") as stream:
        status = os.fstat(file)
        _refuse_odd(status)
        # On Windows, an ACL is read and set by the name.
        place = path if sys.platform == "win32" else file
        return stream.read(limit), _claim(place, status, repair=repair), status


def read_trusted(path: Path | str, limit: int = -1, *, is_shared: bool = False) -> bytes:
    """Return at most limit bytes of a file that only we and the administrator can change.

    Links to it are followed where they are ours or the administrator's as well. With `is_shared`
    others may write to it. Raises OSError: FileNotFoundError, and OtherUsersError.
    """
    name, flags = os.fspath(path), os.O_RDONLY | NO_FOLLOW | _NO_WAIT
    for _ in range(_MAX_LINKS):

        def attempt(name: str = name) -> int:
            return os.open(name, flags)

        try:
            file = patiently(attempt)
            break
        except OSError as problem:
            if problem.errno != ELOOP:
                raise
        _refuse_untrusted(os.lstat(name), "a link to it")
        name = os.path.join(os.path.dirname(name), os.readlink(name))
    else:
        raise OSError(ELOOP, os.strerror(ELOOP))
    with os.fdopen(file, "rb") as stream:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError("it is not a regular file")
        _refuse_untrusted(status, "it")
        if not is_shared and (others := _who_can_change(path, status)):
            raise OtherUsersError(f"{others} can change it")
        return stream.read(limit)


def check_replaceable(path: Path | str) -> None:
    """Raise PermissionError if path exists and is read-only or not a private file of this user."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    _refuse_odd(status)
    _refuse_foreign(status)
    # On POSIX the mode of a file says nothing of its name, which is all that changes.
    if sys.platform == "win32" and not status.st_mode & stat.S_IWRITE:
        raise PermissionError(f'it is read-only; `attrib -r "{path}"` changes that')


def patiently(
    act: Callable[[], T],
    *,
    wait: Callable[[float], None] = time.sleep,
    platform: str = sys.platform,
) -> T:
    """Do it again, for about a second, where Windows refuses as a program has the file open.

    One that does, such as a reader or a virus scanner, keeps a file there from being replaced,
    renamed and removed. `wait` sleeps for seconds. Raises OSError, which is a PermissionError in
    words of our own where that second was not enough.
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


def _refuse_odd(status: os.stat_result) -> None:
    """Refuse what could lead elsewhere, or be read and written under another name."""
    if stat.S_ISLNK(status.st_mode):
        raise PermissionError("it is a link")
    if not stat.S_ISREG(status.st_mode):
        raise PermissionError("it is not a regular file")
    if status.st_nlink > 1:
        raise PermissionError("it has a second name (a hard link), by which it can be changed")


def _refuse_foreign(status: os.stat_result) -> None:
    if sys.platform != "win32" and status.st_uid != os.geteuid():
        raise PermissionError("it belongs to another user")


def _refuse_untrusted(status: os.stat_result, what: str) -> None:
    if sys.platform != "win32" and status.st_uid not in {0, os.geteuid()}:
        raise OtherUsersError(f"{what} belongs to another user")


def _who_can_change(path: Path | str, status: os.stat_result) -> str:
    """Return which other users can change a file that is ours or the administrator's."""
    if sys.platform == "win32":
        from soe_auth.files.windows_acl import other_users

        others = other_users(path, who_change=True)
        return others[:1].lower() + others[1:]
    if status.st_mode & stat.S_IWOTH:
        return "every user of this machine"
    if status.st_mode & stat.S_IWGRP and not _is_of_one_user(status.st_gid):
        return "its group"
    return ""


def _is_of_one_user(gid: int) -> bool:
    """Whether only this user is in a group, as where each has one and a umask of 002.

    Not group 0, which containers run other users in.
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


def _claim(path: Path | str | int, status: os.stat_result, *, repair: bool) -> str:
    """Refuse a foreign owner, take away what others may do; return who they were, empty if none."""
    if sys.platform == "win32":
        from soe_auth.files.windows_acl import make_private, other_users

        others = other_users(str(path))
        if others and repair:
            make_private(str(path))
        return others
    _refuse_foreign(status)
    if not status.st_mode & OTHERS:
        return ""
    if not repair:
        return "Others"
    try:
        os.chmod(path, stat.S_IMODE(status.st_mode) & ~OTHERS)
        why = "its file system keeps it" if os.stat(path).st_mode & OTHERS else ""
    except OSError as problem:
        why = problem.strerror or str(problem)
    if why:
        raise PermissionError(
            f"others may read it, and its mode cannot be changed ({why});"
            " SOE_AUTH_CONFIG_DIR names another directory"
        )
    return "Others"
