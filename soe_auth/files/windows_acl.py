"""Which other users have access to a file on Windows, and how it becomes private.

Windows describes that in SDDL, a text of owner and access control list (DACL):
https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-definition-language
"""

from __future__ import annotations

import os
import re
import sys

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OWNER = re.compile(r"O:(S-[\d-]+|[A-Z]{2})")
# type, flags, rights, two object types, SID; a condition may follow, and is not evaluated
_ACE = re.compile(r"\((\w+);(\w*);(\w*);[^;()]*;[^;()]*;([\w-]+)")
_GRANTS = {"A", "XA", "OA", "ZA"}

# The administrators and the system itself, who can take any access: SYSTEM, Administrators, domain
# and enterprise administrators, TrustedInstaller. A package's SID (S-1-15) admits no one whom the
# rest of the list does not. "OW" is the owner, who is checked by itself.
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

# Rights, as bits and by the names that SDDL has for them. Harmless is to go through a directory, to
# see the attributes or the list itself, and to wait for the file.
_HARMLESS = 0x201200A8
_HARMLESS_NAMES = {"FX", "GX", "LO", "RC", "SW", "WP"}
_READ = 0x80000001
_READ_NAMES = {"CC", "FR", "GR", "KR", "KX"}
# To rename, to delete what is in it, or to take these rights.
_REPLACE = 0x100D0040
_REPLACE_NAMES = {"DT", "FA", "GA", "KA", "SD", "WD", "WO"}


def others_in(sddl: str, user: str, *, who_change: bool = False) -> list[str]:
    """Return who but the user (a SID) and the administrators may read or change it, by name.

    With `who_change`, only those who may change it. An entry that denies is not weighed, so that
    rather too many are named than too few.
    """
    is_meant = _changes if who_change else _reads_or_changes
    owner = _OWNER.match(sddl)
    sid = owner[1] if owner else "unknown"
    is_own = sid == user or _ADMINISTRATORS.fullmatch(sid)
    return [*([] if is_own else [f"the owner {sid}"]), *_granted(sddl, user, is_meant)]


def all_can_replace(sddl: str, user: str) -> bool:
    """Whether every user may rename or delete a directory, or what is in it."""
    return not _EVERY_USER.isdisjoint(_granted(sddl, user, _replaces))


def _granted(sddl: str, user: str, is_meant: Callable[[str], bool]) -> list[str]:
    """Return who but the user and the administrators has rights that are meant."""
    _, found, dacl = sddl.partition("D:")
    if not found or "NO_ACCESS_CONTROL" in dacl:  # without a list there is no protection
        return [_GROUPS["WD"]]
    names: dict[str, None] = {}
    for kind, flags, rights, sid in _ACE.findall(dacl):
        is_own = sid == user or _ADMINISTRATORS.fullmatch(sid)
        is_inherit_only = "IO" in _pairs(flags)
        if kind in _GRANTS and not is_inherit_only and not is_own and is_meant(rights):
            names[_GROUPS.get(sid, sid)] = None
    return list(names)


def _reads_or_changes(rights: str) -> bool:
    if rights.startswith("0x"):
        return bool(int(rights, 16) & ~_HARMLESS)
    return not _HARMLESS_NAMES.issuperset(_pairs(rights))


def _changes(rights: str) -> bool:
    if rights.startswith("0x"):
        return bool(int(rights, 16) & ~(_HARMLESS | _READ))
    return not (_HARMLESS_NAMES | _READ_NAMES).issuperset(_pairs(rights))


def _replaces(rights: str) -> bool:
    if rights.startswith("0x"):
        return bool(int(rights, 16) & _REPLACE)
    return not _REPLACE_NAMES.isdisjoint(_pairs(rights))


def _pairs(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]


if sys.platform == "win32":
    import ctypes
    from contextlib import suppress
    from ctypes import wintypes
    from functools import cache

    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    _kernel32.CloseHandle.argtypes = [wintypes.HANDLE]
    _kernel32.LocalFree.argtypes = [ctypes.c_void_p]
    _advapi32.OpenProcessToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, ctypes.c_void_p]
    _advapi32.GetTokenInformation.argtypes = [
        *(wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD, ctypes.c_void_p)
    ]
    _advapi32.ConvertSidToStringSidW.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    _advapi32.GetNamedSecurityInfoW.argtypes = [
        *(wintypes.LPCWSTR, ctypes.c_int, wintypes.DWORD, ctypes.c_void_p, ctypes.c_void_p),
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
    ]
    _advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW.argtypes = [
        *(ctypes.c_void_p, wintypes.DWORD, wintypes.DWORD, ctypes.c_void_p, ctypes.c_void_p)
    ]
    _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = [
        *(wintypes.LPCWSTR, wintypes.DWORD, ctypes.c_void_p, ctypes.c_void_p)
    ]
    _advapi32.SetFileSecurityW.argtypes = [wintypes.LPCWSTR, wintypes.DWORD, ctypes.c_void_p]

    _FILE_OBJECT = 1
    _OWNER_AND_DACL = 1 | 4
    _PROTECTED_DACL = 4 | 0x80000000
    _TOKEN_QUERY = 8
    _TOKEN_USER = 1
    _REVISION = 1
    _LARGEST_TOKEN_USER = 128  # two pointers and a SID of 68 bytes at most

    def other_users(path: Path | str, *, who_change: bool = False) -> str:
        """Say who but us and the administrators may read or change path; empty if no one may.

        With `who_change`, only those who may change it. It is "Other users" with their names, or
        with the reason why that cannot be known.
        """
        try:
            others = others_in(read_sddl(path), _user(), who_change=who_change)
        except OSError as problem:
            return f"Other users, perhaps (its ACL cannot be read: {problem.strerror or problem}),"
        return f"Other users ({', '.join(others)})" if others else ""

    def replaceable_by_all(path: Path | str) -> bool:
        """Whether every user may rename or delete a directory, or what is in it.

        Of one whose list is kept from us, as a part of a network share may be, that is not known.
        """
        try:
            return all_can_replace(read_sddl(path), _user())
        except OSError:
            return False

    def make_private(path: Path | str) -> None:
        """Admit only this user, SYSTEM and Administrators to a file or directory, where it can be.

        What is made in the directory from now on inherits that; nothing from above it is inherited.
        What has come of it, `other_users` tells: a disk may have no ACLs.
        """
        with suppress(OSError):
            inherited = "OICI" if os.path.isdir(path) else ""
            sids = (_user(), "SY", "BA")
            write_dacl(path, "D:P" + "".join(f"(A;{inherited};FA;;;{sid})" for sid in sids))

    def write_dacl(path: Path | str, sddl: str) -> None:
        """Replace the DACL of a file or directory. Raises OSError."""
        descriptor = ctypes.c_void_p()
        _check(
            _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW(
                sddl, _REVISION, ctypes.byref(descriptor), None
            )
        )
        try:
            _check(_advapi32.SetFileSecurityW(str(path), _PROTECTED_DACL, descriptor))
        finally:
            _kernel32.LocalFree(descriptor)

    def read_sddl(path: Path | str) -> str:
        """Return owner and DACL of a file or directory in SDDL. Raises OSError."""
        descriptor, text = ctypes.c_void_p(), wintypes.LPWSTR()
        failed: int = _advapi32.GetNamedSecurityInfoW(
            *(str(path), _FILE_OBJECT, _OWNER_AND_DACL, None, None, None, None),
            ctypes.byref(descriptor),
        )
        if failed:
            raise ctypes.WinError(failed)
        try:
            _check(
                _advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW(
                    descriptor, _REVISION, _OWNER_AND_DACL, ctypes.byref(text), None
                )
            )
            return _taken(text)
        finally:
            _kernel32.LocalFree(descriptor)

    @cache
    def _user() -> str:
        """Return the SID of the user that this process runs as."""
        token, size, text = wintypes.HANDLE(), wintypes.DWORD(), wintypes.LPWSTR()
        _check(
            _advapi32.OpenProcessToken(
                _kernel32.GetCurrentProcess(), _TOKEN_QUERY, ctypes.byref(token)
            )
        )
        try:
            answer = (ctypes.c_void_p * (_LARGEST_TOKEN_USER // ctypes.sizeof(ctypes.c_void_p)))()
            _check(
                _advapi32.GetTokenInformation(
                    *(token, _TOKEN_USER, answer, _LARGEST_TOKEN_USER), ctypes.byref(size)
                )
            )
            _check(_advapi32.ConvertSidToStringSidW(answer[0], ctypes.byref(text)))
            return _taken(text)
        finally:
            _kernel32.CloseHandle(token)

    def _taken(text: wintypes.LPWSTR) -> str:
        """Return a text that the system has allocated for us, and free it."""
        try:
            return text.value or ""
        finally:
            _kernel32.LocalFree(text)

    def _check(succeeded: int) -> None:
        if not succeeded:
            raise ctypes.WinError(ctypes.get_last_error())
