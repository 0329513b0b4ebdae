"""What the settings came to the last time, good while nothing that they were made of has changed.

To read the config files takes longer than all the rest of `soe-auth token`. So what they came to is
kept beside them, under a key that says all that it was made of: the variables, the options, and of
each file that was read, which one it was and when it last changed. No secret is kept. Only what is
light is imported here.
"""

from __future__ import annotations

import os
import sys
import time

from soe_auth.files.private_read import read_private
from soe_auth.settings.project_paths import project_places
from soe_auth.version import __version__

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NAME = "recall"
_KNOWN_PLACES: bool = sys.platform == "linux"  # other systems keep config files elsewhere
_MOST = 32  # entries that are kept, newest first
_LONGEST = 8 * 1024  # bytes of an entry

# An entry is a key and values, of which the first says how many follow. Before each entry, and
# behind the last, stands _ENTRY, so that one which was cut short is known; between key and values
# stands _VALUES, between the parts of either _NEXT.
_ENTRY, _VALUES, _NEXT = b"\1", b"\2", b"\0"
_LARGEST_FILE = _MOST * (_LONGEST + 1) + 1

_SETTINGS = (
    "SOE_AUTH_PROFILE",
    "SOE_AUTH_SITE",
    "SOE_AUTH_CLIENT_ID",
    "SOE_AUTH_SCOPE",
    "SOE_AUTH_REDIRECT",
    "SOE_AUTH_REDIRECT_HOST",
    "SOE_AUTH_PORT",
    "SOE_AUTH_BROWSER",
    "SOE_AUTH_TIMEOUT",
    "SOE_AUTH_MIN_TTL",
    "SOE_AUTH_CA_BUNDLE",
    "SOE_AUTH_STORE",
)
# All that settings are made of, and no other variable: a secret may be in any.
VARIABLES = ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "SOE_AUTH_CONFIG_DIR", *_SETTINGS)
# A password may be in it; where it is set, nothing is kept.
MAY_BE_SECRET = "SOE_AUTH_PROXY"  # noqa: S105  # the name of a variable

# A file may change twice in one tick of the clock that its times are from, and the second change
# leave no trace: one that changed just now is not vouched for. Some file systems tick in 2 seconds.
_SETTLED = 3 * 10**9  # nanoseconds

# The options of the question which profiles there are. No other has one only. Every other is
# answered with profile, site, client ID, scope, min_ttl, and then `Settings.of_browser`.
PROFILES = ("profiles",)


class CacheKey:
    """What settings are made of, as it is now; two that are equal have the same answer.

    `directory` is the user's config directory, `system` the system's; `options` are the settings
    given on the command line, as typed.
    """

    __slots__ = ("_asked", "_changed", "_key", "directory", "options", "system")

    directory: str
    system: str

    def __init__(
        self,
        environ: Mapping[str, str],
        options: Sequence[str],
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Look at variables and files. Raises ValueError where it is not simple, OSError.

        `clock` gives nanoseconds since the epoch.
        """
        if not _KNOWN_PLACES or environ.get(MAY_BE_SECRET):
            raise ValueError
        self.options: Sequence[str] = options
        self._asked, self._changed = clock(), 0
        self.directory, self.system = _directories(environ)
        variables = [f"{name}={environ[name]}" for name in VARIABLES if name in environ]
        files = [self._state(f"{each}/config.toml") for each in (self.directory, self.system)]
        # Without those that are not there, directories without a project file ask the same.
        places = [(path, self._state(path)) for path in project_places(os.getcwd())]
        project = [part for place in places if place[1] for part in place]
        us = __version__, _user(), str(len(options))
        self._key = _joined([*us, *options, *variables, *files, *project])

    def _state(self, path: str) -> str:
        """Return which file is at path, and when it changed; nothing where there is none."""
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        times = status.st_mtime_ns, status.st_ctime_ns
        self._changed = max(self._changed, *times)
        return " ".join(map(str, (*status[:7], *times)))

    def lookup(self) -> list[str]:
        """Return the answer that was kept. Raises ValueError where there is none, OSError."""
        data, too_permissive = read_private(
            f"{self.directory}/{_NAME}", _LARGEST_FILE, repair=False
        )
        _, _, found = data.partition(_ENTRY + self._key + _VALUES)
        values, closed, _ = found.partition(_ENTRY)
        count, *answer = os.fsdecode(values).split("\0")
        # A crash may leave zeros where something was written, and each would be one part more.
        if too_permissive or not closed or count != str(len(answer)):
            raise ValueError
        return answer

    def store(self, answer: Sequence[str], again: CacheKey) -> None:
        """Keep the answer that was found between this question and `again`, the next of its kind.

        It is not kept where something changed meanwhile, or shortly before. Raises OSError, and
        ValueError for an answer that cannot be kept.
        """
        if again._key != self._key or self._changed > self._asked - _SETTLED:
            return
        from pathlib import Path

        from soe_auth.files.atomic_write import write_private

        path = Path(self.directory, _NAME)
        try:
            data, too_permissive = read_private(path, _LARGEST_FILE, repair=False)
        except FileNotFoundError:
            data, too_permissive = b"", ""
        # Where others could write, what is there is not handed on.
        entries = [] if too_permissive else data.split(_ENTRY)[1:-1]
        own = self._key + _VALUES + _joined([str(len(answer)), *answer])
        if len(own) > _LONGEST or own in entries:
            return
        others = [e for e in entries if len(e) <= _LONGEST and e.partition(_VALUES)[0] != self._key]
        kept = [own, *others][:_MOST]
        write_private(path, _ENTRY + _ENTRY.join(kept) + _ENTRY, durable=False)


def asked(profile: str, min_ttl: str, check: str = "") -> tuple[str, ...]:
    """Return the options of a question. One may be empty: that is as if it were not given.

    `check` is not the same as `min_ttl`, as it leaves what else says `min_ttl` to be read.
    """
    return (profile, min_ttl, check) if check else (profile, min_ttl)


def _user() -> str:
    if sys.platform == "win32":
        return ""
    return str(os.geteuid())


def _joined(parts: Sequence[str]) -> bytes:
    """Return the parts of a key or of values; raises ValueError where a mark of ours is in one."""
    encoded = [os.fsencode(part) for part in parts]
    if any(mark in part for part in encoded for mark in (_ENTRY, _VALUES, _NEXT)):
        raise ValueError
    return _NEXT.join(encoded)


def _directories(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the user's config directory and the system's, as platformdirs has them on Linux.

    Raises ValueError where that is not simple.
    """
    home = environ.get("XDG_CONFIG_HOME") or (environ.get("HOME") or "~") + "/.config"
    user = environ.get("SOE_AUTH_CONFIG_DIR") or f"{home}/soe-auth"
    system = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").partition(":")[0]
    if not (user.startswith("/") and system.startswith("/")):
        raise ValueError
    return user, f"{system}/soe-auth"
