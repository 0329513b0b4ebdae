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

from soe_auth.own_files import read_private
from soe_auth.project_places import project_places
from soe_auth.secret import TOKEN_VARIABLE
from soe_auth.version import __version__

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NAME = "recall"
_MOST = 32  # keys that are kept, newest first
_LARGEST_FILE = 256 * 1024

# What a key begins with, what its values begin with, and what stands between the parts of either.
# The last can be in no path and no variable; a key with one of the others in it is not kept.
_KEY, _VALUES, _NEXT = b"\1", b"\2", b"\0"

_VARIABLES = ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS")
_MAY_BE_SECRET = (TOKEN_VARIABLE, "SOE_AUTH_PROXY")

# A file may change twice in one tick of the clock that its times are from, and the second change
# leave no trace: one that changed just now is not vouched for. Some file systems tick in 2 seconds.
_SETTLED = 3 * 10**9  # nanoseconds


class Question:
    """What settings are made of, as it is now; two that are equal have the same answer.

    `directory` is the user's config directory, `system` the system's; `options` are the settings
    given on the command line, as typed.
    """

    __slots__ = ("_asked", "_changed", "_key", "directory", "options", "system")

    def __init__(
        self,
        environ: Mapping[str, str],
        options: Sequence[str],
        *,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """Look at variables and files. Raises ValueError where it is not simple, OSError."""
        if sys.platform != "linux" or any(environ.get(name) for name in _MAY_BE_SECRET):
            raise ValueError
        self.options = options
        self._asked, self._changed = now(), 0
        self.directory, self.system = _directories(environ)
        variables = [
            f"{name}={value}"
            for name, value in sorted(environ.items())
            if name.startswith("SOE_AUTH_") or name in _VARIABLES
        ]
        files = [self._state(f"{each}/config.toml") for each in (self.directory, self.system)]
        # Without those that are not there, directories without a project file ask the same.
        places = [(path, self._state(path)) for path in project_places(os.getcwd())]
        project = [part for place in places if place[1] for part in place]
        parts = [__version__, str(os.geteuid()), *options, *variables, *files, *project]
        self._key = _NEXT.join(map(os.fsencode, parts))
        if _KEY in self._key or _VALUES in self._key:
            raise ValueError

    def _state(self, path: str) -> str:
        """Return which file is at path, and when it changed; nothing where there is none."""
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        times = status.st_mtime_ns, status.st_ctime_ns
        self._changed = max(self._changed, *times)
        return " ".join(map(str, (*status[:7], *times)))

    def recall(self) -> list[str]:
        """Return the answer that was kept. Raises ValueError where there is none, OSError."""
        data, loose = read_private(f"{self.directory}/{_NAME}", _LARGEST_FILE, repair=False)
        _, found, after = data.partition(_KEY + self._key + _VALUES)
        if loose or not found:
            raise ValueError
        return os.fsdecode(after.partition(_KEY)[0]).split("\0")

    def keep(self, answer: Sequence[str], again: Question) -> None:
        """Keep the answer that was found between this question and `again`, the next of its kind.

        It is not kept where something changed meanwhile, or shortly before. Raises OSError.
        """
        if again._key != self._key or self._changed > self._asked - _SETTLED:
            return
        from pathlib import Path

        from soe_auth.files import write_private

        try:
            data, _ = read_private(f"{self.directory}/{_NAME}", _LARGEST_FILE)
        except FileNotFoundError:
            data = b""
        others = [e for e in data.split(_KEY)[1:] if e.partition(_VALUES)[0] != self._key]
        own = self._key + _VALUES + _NEXT.join(map(os.fsencode, answer))
        if len(own) >= _LARGEST_FILE // _MOST:
            return
        kept = b"".join(_KEY + each for each in [own, *others[: _MOST - 1]])
        write_private(Path(self.directory, _NAME), kept, durable=False)


def _directories(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the user's config directory and the system's, as platformdirs has them on Linux.

    Raises ValueError where that is not simple.
    """
    home = environ.get("XDG_CONFIG_HOME") or environ.get("HOME", "") + "/.config"
    user = environ.get("SOE_AUTH_CONFIG_DIR") or f"{home}/soe-auth"
    system = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").partition(":")[0] + "/soe-auth"
    if not (user.startswith("/") and system.startswith("/")):
        raise ValueError
    return user, system
