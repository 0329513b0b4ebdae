"""Replay the recorded outcome of a command line, while nothing that decided it has changed.

The key of an entry is the words of a command line, our version, the user, the current directory and
the variables. The entry lists each file that had an influence, and its state, so a reader needs no
rule about which files those are. It holds no secret: of a token, only its position in its file.

`recorder` fills the cache. Without an entry, the command itself runs; it alone reports errors and
warnings.
"""

from __future__ import annotations

import os
import sys
import time

from soe_auth.files.private_read import read_private, secure_directory
from soe_auth.settings import CONFIG_DIR_VARIABLE, TOKEN_VARIABLE, VARIABLE_PREFIX
from soe_auth.version import __version__

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    # The text to print, or the command to execute and its environment. The exit code is 0.
    Answer = tuple[str, list[str], Mapping[str, str]]

NAME = "recall"
_MAX_ENTRIES = 64  # newest first
_MAX_ENTRY = 8 * 1024  # bytes
_MAX_FILE = _MAX_ENTRIES * (_MAX_ENTRY + 1) + 1
_MAX_WORDS = 12  # of a command line, without those of a child's command

# An entry is a key and values. _ENTRY is before each entry and after the last, so that a truncated
# one is recognised. _VALUES separates key and values, _NEXT the parts of either. The first value is
# the number of parts that follow, the second the number of those about files.
_ENTRY, _VALUES, _NEXT = b"\1", b"\2", b"\0"

_DIRECTORIES = {"HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"}
_SECRETS = (TOKEN_VARIABLE, f"{VARIABLE_PREFIX}PROXY")  # the latter may hold a password

_MARKS = ("there", "not there")


def replay(
    argv: Sequence[str], environ: Mapping[str, str], now: Callable[[], float] = time.time
) -> Answer | None:
    """Answer a command line from the cache; return None if the command has to run.

    `now` returns seconds since the epoch.
    """
    try:
        cache = Cache(environ)
        data = cache.load()
        for count in range(1, min(len(argv), _MAX_WORDS) + 1):
            words, child = list(argv[:count]), list(argv[count:])
            match cache.lookup(data, words):
                case ["text", text] if not child:
                    return f"{text}\n", [], {}
                case ["print", *source, before, after] if not child:
                    return f"{before}{_read_token(source, now)}{after}\n", [], {}
                case ["nothing", *source] if not child:
                    _read_token(source, now)
                    return "", [], {}
                # A word that begins with a dash may be an option of `run`.
                case ["exec", *source, variable, site] if child and child[0][:1] not in {"", "-"}:
                    from soe_auth.desktop.process import child_environment
                    from soe_auth.model.secret import Secret

                    token = Secret(_read_token(source, now))
                    return "", child, child_environment(token, site, environ, variable)
                case _:
                    pass
    except (OSError, ValueError):
        pass
    return None


def _read_token(source: Sequence[str], now: Callable[[], float]) -> str:
    """Read a token. Raises OSError; ValueError if it may be another one, or no longer valid."""
    valid_until, path, known, start, length = source
    if not now() < float(valid_until) or secure_directory(os.path.dirname(path), repair=False):
        raise ValueError
    end = int(start) + int(length)
    data, others, status = read_private(path, end, repair=False)
    if others or identity(status) != known:
        raise ValueError
    return data[int(start) :].decode("ascii")


class Cache:
    """The cache of one user, as seen by a process with these variables."""

    __slots__ = ("_situation", "directory")

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Raise ValueError if nothing may be cached; OSError."""
        self._situation: list[str]  # mypy sees no assignment on the platforms that raise below
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
        return b"" if others else data  # others could have written it

    def lookup(self, data: bytes, words: Sequence[str]) -> list[str]:
        """Return the outcome of these words; an empty list if there is none, or a file has changed.

        Raises ValueError and OSError.
        """
        _, _, found = data.partition(_ENTRY + self._key(words) + _VALUES)
        values, closed, _ = found.partition(_ENTRY)
        if not closed:
            return []
        total, about_files, *parts = os.fsdecode(values).split("\0")
        # A crash may leave zeros in place of data, and each would be one part more.
        if total != str(len(parts)):
            raise ValueError
        count = int(about_files)
        for path, state in zip(parts[:count:2], parts[1:count:2], strict=True):
            if (mark_state if state in _MARKS else file_state)(path) != state:
                return []
        return parts[count:]

    def store(self, words: Sequence[str], files: Mapping[str, str], outcome: Sequence[str]) -> None:
        """Store an outcome. Raises OSError; ValueError if it cannot be stored."""
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
            stored = [own, *others][:_MAX_ENTRIES]
            data = _ENTRY + _ENTRY.join(stored) + _ENTRY
            write_private(Path(self.directory, NAME), data, durable=False)

    def _entries(self) -> list[bytes]:
        try:
            return self.load().split(_ENTRY)[1:-1]
        except FileNotFoundError:
            return []

    def _key(self, words: Sequence[str]) -> bytes:
        return _joined([str(len(words)), *words, *self._situation])


def file_state(path: str) -> str:
    """Return the identity of the file at a path; empty if there is none."""
    try:
        return identity(os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return ""


def mark_state(path: str) -> str:
    """Return whether a path exists; the content of a `.git` has no influence."""
    return _MARKS[not os.path.lexists(path)]


def identity(status: os.stat_result) -> str:
    """Return a text that differs for each file, and after each change of a file.

    An edit that keeps the size and resets the modification time still changes ctime.
    """
    return " ".join(map(str, (*status[:7], status.st_mtime_ns, status.st_ctime_ns)))


def _joined(parts: Sequence[str]) -> bytes:
    """Join the parts of a key or of values. Raises ValueError if one holds a separator."""
    encoded = [os.fsencode(part) for part in parts]
    if any(mark in part for part in encoded for mark in (_ENTRY, _VALUES, _NEXT)):
        raise ValueError
    return _NEXT.join(encoded)
