"""Find out which users have access to a file on Windows, and make a file private.

Windows writes owner and access control list (DACL) as SDDL text:
https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-definition-language
"""

from __future__ import annotations

import os
import re
import sys

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from pathlib import Path

_OWNER = re.compile(r"O:(S-[\d-]+|[A-Z]{2})")
# type; flags; rights; two object types; SID. A condition may follow, and is ignored.
_ACE = re.compile(r"\((\w+);(\w*);(\w*);[^;()]*;[^;()]*;([\w-]+)")
_GRANTS = {"A", "XA", "OA", "ZA"}

# SYSTEM and administrators can take any access: SYSTEM, Administrators, domain and enterprise
# administrators, TrustedInstaller. "OW" is the owner, which is checked separately. A package's SID
# (S-1-15) grants nothing that the rest of the list does not.
_ADMINISTRATORS = re.compile(
    r"SY|BA|LA|DA|EA|OW|AC|S-1-5-18|S-1-5-32-544|S-1-5-21-[\d-]+-(?:500|512|519)|S-1-3-4"
    r"|S-1-15-[\d-]+|S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
)
_GROUPS = {
    "WD": "Everyone",
    "AN": "Anonymous",
    "AU": "Authenticated Users",
    "BG": "Guests",
    "BU": "Users",
    "DU": "Domain Users",
    "IU": "Interactive",
    "NU": "Network",
}
_EVERY_USER = {"Everyone", "Authenticated Users", "Users", "Interactive"}

# The bits of each right that SDDL names, by the first bit of a row of single bits.
_NAMED_BITS = {0: "CC DC LC SW RP WP DT LO CR", 16: "SD RC WD WO", 28: "GA GX GW GR"}
_RIGHTS = {"FA": 0x1F01FF, "FR": 0x120089, "FW": 0x120116, "FX": 0x1200A0} | {
    name: 1 << first + index
    for first, names in _NAMED_BITS.items()
    for index, name in enumerate(names.split())
}
_ALL = 0xFFFFFFFF
# To traverse a directory, see attributes or the list itself, and wait for the file.
_HARMLESS = 0x201200A8
_READ_OR_CHANGE = _ALL & ~_HARMLESS
_CHANGE = _READ_OR_CHANGE & ~0x80000001
# To rename, to delete what is in it, or to take these rights.
_REPLACE = 0x100D0040


def others_in(sddl: str, user: str, *, can_change: bool = False) -> list[str]:
    """Return the users who can read or change the file, except `user` and administrators.

    `user` is a SID. With `can_change`, return only the users who can change it. Entries that deny
    access are ignored, so the list may be too long, but never too short.
    """
    owner = _OWNER.match(sddl)
    sid = owner[1] if owner else "unknown"
    others = _grantees(sddl, user, _CHANGE if can_change else _READ_OR_CHANGE)
    return others if _has_full_access(sid, user) else [f"the owner {sid}", *others]


def all_can_replace(sddl: str, user: str) -> bool:
    """Return whether every user can rename or delete a directory, or its entries."""
    return not _EVERY_USER.isdisjoint(_grantees(sddl, user, _REPLACE))


def _grantees(sddl: str, user: str, rights: int) -> list[str]:
    """Return the users and groups with one of the rights, except `user` and administrators."""
    _, found, dacl = sddl.partition("D:")
    if not found or "NO_ACCESS_CONTROL" in dacl:  # without a list, everyone has access
        return [_GROUPS["WD"]]
    names = {
        _GROUPS.get(sid, sid): None
        for kind, flags, granted, sid in _ACE.findall(dacl)
        if kind in _GRANTS and "IO" not in _pairs(flags)  # inherit only
        if not _has_full_access(sid, user) and _bits(granted) & rights
    }
    return list(names)


def _has_full_access(sid: str, user: str) -> bool:
    return sid == user or bool(_ADMINISTRATORS.fullmatch(sid))


def _bits(rights: str) -> int:
    """Return the bits of the rights of an entry: all bits if a name is unknown."""
    if rights.startswith("0x"):
        return int(rights, 16)
    bits = 0
    for name in _pairs(rights):
        bits |= _RIGHTS.get(name, _ALL)
    return bits


def _pairs(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]


if sys.platform == "win32":
    import ctypes
    from contextlib import suppress
    from ctypes import byref, c_void_p, wintypes
    from functools import cache

    # Every argument is a ctypes object, a text, None or a small number: no prototypes are needed.
    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)

    _FILE_OBJECT = 1
    _OWNER_AND_DACL = 1 | 4
    _PROTECTED_DACL = 4 | 0x80000000
    _THIS_PROCESS = -1
    _TOKEN_QUERY = 8
    _TOKEN_USER = 1
    _REVISION = 1
    _LARGEST_TOKEN_USER = 128  # two pointers and a SID of 68 bytes at most

    def other_users(path: Path | str, *, can_change: bool = False) -> str:
        """Return which users can read or change path, except this one and administrators.

        With `can_change`, return only the users who can change it. The text is "Other users" with
        their names or with the reason why they are unknown; empty if there are none.
        """
        try:
            others = others_in(read_sddl(path), _current_user(), can_change=can_change)
        except OSError as problem:
            return f"Other users, perhaps (its ACL cannot be read: {problem.strerror or problem}),"
        return f"Other users ({', '.join(others)})" if others else ""

    def replaceable_by_all(path: Path | str) -> bool:
        """Return whether every user can rename or delete a directory or its entries.

        False if its ACL cannot be read, as for a part of a network share.
        """
        try:
            return all_can_replace(read_sddl(path), _current_user())
        except OSError:
            return False

    def make_private(path: Path | str) -> None:
        """Grant access to this user, SYSTEM and Administrators alone, if the disk has ACLs.

        New entries of a directory inherit this. Nothing is inherited from above. To see whether
        that succeeded, call `other_users`.
        """
        with suppress(OSError):
            inherited = "OICI" if os.path.isdir(path) else ""
            sids = (_current_user(), "SY", "BA")
            write_dacl(path, "D:P" + "".join(f"(A;{inherited};FA;;;{sid})" for sid in sids))

    def write_dacl(path: Path | str, sddl: str) -> None:
        """Replace the DACL of a file or directory. Raises OSError."""
        descriptor = c_void_p()
        _check(
            _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW(
                sddl, _REVISION, byref(descriptor), None
            )
        )
        try:
            _check(
                _advapi32.SetFileSecurityW(str(path), wintypes.DWORD(_PROTECTED_DACL), descriptor)
            )
        finally:
            _kernel32.LocalFree(descriptor)

    def read_sddl(path: Path | str) -> str:
        """Return owner and DACL of a file or directory as SDDL. Raises OSError."""
        descriptor, text = c_void_p(), wintypes.LPWSTR()
        code: int = _advapi32.GetNamedSecurityInfoW(
            str(path), _FILE_OBJECT, _OWNER_AND_DACL, None, None, None, None, byref(descriptor)
        )
        if code:
            raise ctypes.WinError(code)
        try:
            _check(
                _advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW(
                    descriptor, _REVISION, _OWNER_AND_DACL, byref(text), None
                )
            )
            return _take(text)
        finally:
            _kernel32.LocalFree(descriptor)

    @cache
    def _current_user() -> str:
        """Return the SID of the user that this process runs as."""
        token, size, text = wintypes.HANDLE(), wintypes.DWORD(), wintypes.LPWSTR()
        process = wintypes.HANDLE(_THIS_PROCESS)
        _check(_advapi32.OpenProcessToken(process, _TOKEN_QUERY, byref(token)))
        try:
            user = (c_void_p * (_LARGEST_TOKEN_USER // ctypes.sizeof(c_void_p)))()
            _check(
                _advapi32.GetTokenInformation(
                    token, _TOKEN_USER, user, _LARGEST_TOKEN_USER, byref(size)
                )
            )
            _check(_advapi32.ConvertSidToStringSidW(c_void_p(user[0]), byref(text)))
            return _take(text)
        finally:
            _kernel32.CloseHandle(token)

    def _take(text: wintypes.LPWSTR) -> str:
        """Return a text that Windows has allocated, and free its memory."""
        try:
            return text.value or ""
        finally:
            _kernel32.LocalFree(text)

    def _check(succeeded: int) -> None:
        if not succeeded:
            raise ctypes.WinError(ctypes.get_last_error())
