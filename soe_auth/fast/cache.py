"""The cache of outcomes: what command lines came to, while nothing that decided it has changed.

An entry is found by the words of a command line, our version, the user, the current directory and
the variables. It lists each file that had an influence, and what that file was; so a reader needs
no rule about which files those are. No secret is in it: of a token, its place in its own file.
"""

from __future__ import annotations

import os
import sys

from soe_auth.files.private_read import read_private
from soe_auth.settings import CONFIG_DIR_VARIABLE, TOKEN_VARIABLE, VARIABLE_PREFIX
from soe_auth.version import __version__

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "recall"
_MAX_ENTRIES = 64  # newest first
_MAX_ENTRY = 8 * 1024  # bytes
_MAX_FILE = _MAX_ENTRIES * (_MAX_ENTRY + 1) + 1

# An entry is a key and values. Before each entry, and behind the last, stands _ENTRY, so that one
# which was cut short is known; between key and values stands _VALUES, between the parts of either
# _NEXT. The first value says how many parts follow, the second how many of them are about files.
_ENTRY, _VALUES, _NEXT = b"\1", b"\2", b"\0"

_DIRECTORIES = {"HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"}
_SECRETS = (TOKEN_VARIABLE, f"{VARIABLE_PREFIX}PROXY")  # the latter may hold a password

_MARKS = ("there", "not there")


class Cache:
    """The cache of one user, as a process with these variables sees it."""

    __slots__ = ("_situation", "directory")

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Raise ValueError where nothing may be cached, OSError."""
        self._situation: list[str]  # the platforms that raise below have no other word of its type
        if sys.platform != "linux" or any(environ.get(name) for name in _SECRETS):
            raise ValueError
        home = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '~')}/.config"
        self.directory: str = environ.get(CONFIG_DIR_VARIABLE) or f"{home}/soe-auth"
        if not self.directory.startswith("/"):
            raise ValueError
        names = (n for n in environ if n.startswith(VARIABLE_PREFIX) or n in _DIRECTORIES)
        variables = [f"{name}={environ[name]}" for name in sorted(names)]
        self._situation = [__version__, str(os.geteuid()), os.getcwd(), *variables]

    def load(self) -> bytes:
        """Return all entries. Raises OSError."""
        data, others, _ = read_private(f"{self.directory}/{NAME}", _MAX_FILE, repair=False)
        return b"" if others else data  # what others could write is neither used nor kept

    def lookup(self, data: bytes, words: Sequence[str]) -> list[str]:
        """Return the outcome of these words; nothing where there is none, or a file has changed.

        Raises ValueError and OSError.
        """
        _, _, found = data.partition(_ENTRY + self._key(words) + _VALUES)
        values, closed, _ = found.partition(_ENTRY)
        if not closed:
            return []
        total, about_files, *parts = os.fsdecode(values).split("\0")
        # A crash may leave zeros where something was written, and each would be one part more.
        if total != str(len(parts)):
            raise ValueError
        count = int(about_files)
        for path, state in zip(parts[:count:2], parts[1:count:2], strict=True):
            if (mark_state if state in _MARKS else file_state)(path) != state:
                return []
        return parts[count:]

    def store(self, words: Sequence[str], files: Mapping[str, str], outcome: Sequence[str]) -> None:
        """Keep an outcome. Raises OSError, and ValueError for what cannot be kept."""
        from pathlib import Path

        from soe_auth.files.atomic_write import locked, write_private
        from soe_auth.settings import LOCKS

        about_files = [part for pair in files.items() for part in pair]
        parts = [*about_files, *outcome]
        key = self._key(words)
        own = key + _VALUES + _joined([str(len(parts)), str(len(about_files)), *parts])
        if len(own) > _MAX_ENTRY or own in self._entries():
            return
        with locked(Path(self.directory, LOCKS, f".{NAME}.lock")):
            entries = self._entries()
            others = [e for e in entries if len(e) <= _MAX_ENTRY and e.partition(_VALUES)[0] != key]
            kept = [own, *others][:_MAX_ENTRIES]
            data = _ENTRY + _ENTRY.join(kept) + _ENTRY
            write_private(Path(self.directory, NAME), data, durable=False)

    def _entries(self) -> list[bytes]:
        try:
            return self.load().split(_ENTRY)[1:-1]
        except FileNotFoundError:
            return []

    def _key(self, words: Sequence[str]) -> bytes:
        return _joined([str(len(words)), *words, *self._situation])


def file_state(path: str) -> str:
    """Return which file is at path, and when it changed; nothing where there is none."""
    try:
        return identity(os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return ""


def mark_state(path: str) -> str:
    """Return whether anything is at path, which is all that counts of a `.git`."""
    return _MARKS[not os.path.lexists(path)]


def identity(status: os.stat_result) -> str:
    """Return a text that differs between files, and before and after a change.

    It includes ctime, because an edit can keep the size and reset mtime.
    """
    return " ".join(map(str, (*status[:7], status.st_mtime_ns, status.st_ctime_ns)))


def _joined(parts: Sequence[str]) -> bytes:
    """Return the parts of a key or of values; raises ValueError where a separator is in one."""
    encoded = [os.fsencode(part) for part in parts]
    if any(mark in part for part in encoded for mark in (_ENTRY, _VALUES, _NEXT)):
        raise ValueError
    return _NEXT.join(encoded)
