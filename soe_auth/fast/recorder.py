"""Record the outcomes of command lines, for `command_cache` and `early_browser`.

An outcome is recorded only if the same command line must have the same outcome until a file, a
variable or the token changes: nothing was written to stderr, and no file changed meanwhile or
shortly before.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from soe_auth.fast.command_cache import Cache, file_state, identity, mark_state
from soe_auth.files.private_read import read_private
from soe_auth.settings import CONFIG_DIR_VARIABLE, PROFILE_VARIABLE, TOKEN_VARIABLE, VARIABLE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings

# A file may change twice within one tick of its time stamps: then the second change is not visible.
# Some file systems have ticks of 2 seconds.
_SETTLED = 3 * 10**9  # nanoseconds


class Recorder:
    """Records the outcomes of one command line; a `cli.console.Observer`.

    `clock` returns nanoseconds since the epoch. An outcome that cannot be recorded is ignored.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._argv = list(argv)
        self._environ = environ
        self._clock = clock
        self._has_message = False
        self._cache: Cache | None = None
        self._files: Mapping[str, str] = {}
        self._latest = 0

    def begins(self) -> None:
        """Read the state of the files that decide the settings, before the settings are read."""
        with suppress(ValueError, OSError):
            cache = Cache(self._environ)
            self._latest = self._clock() - _SETTLED
            self._files = _read_states(cache, self._environ)
            self._cache = cache

    def writes_message(self) -> None:
        """Note a message on stderr, which replay would not repeat."""
        self._has_message = True

    def prints(
        self, text: str | None, settings: Settings | None = None, token: Token | None = None
    ) -> None:
        """Record the printed text, or None, and the position of the token in it."""
        with self._recording() as record:
            if settings and token:
                source = self._source(settings, token)
                before, found, after = (text or "").partition(token.access_token.reveal())
                if text is None:
                    record(self._argv, ["nothing", *source])
                elif found:  # the text has the token unchanged
                    record(self._argv, ["print", *source, before, after])
            elif text is not None:
                record(self._argv, ["text", text])

    def executes(
        self, command: Sequence[str], variable: str, settings: Settings, token: Token
    ) -> None:
        """Record that the command at the end of the command line is executed with the token.

        Its words are not part of the key: they may be secret, and may differ each time.
        """
        count = len(self._argv) - len(command)
        with self._recording() as record:
            if self._argv[count:] == list(command):
                source = self._source(settings, token)
                record(self._argv[:count], ["exec", *source, variable, str(token.site)])

    def logged_in(self, settings: Settings) -> None:
        """Record a login, if its browser can be launched early next time."""
        from soe_auth.storage.file_store import FileStore
        from soe_auth.storage.login_lock import LoginLock

        site, directory, profile = settings.site, settings.paths.directory, settings.profile
        with self._recording() as record:
            # A message about an ignored suffix precedes the browser.
            has_note = site is None or site.ignored_suffix
            if settings.of_browser and settings.store == "file" and not has_note:
                token = FileStore(directory, report=_ignore).path(profile)
                lock = LoginLock(directory, report=_ignore).path(profile)
                assumed = [profile, *settings.of_browser]
                record(self._argv, ["login", str(token), str(lock), *assumed])

    @contextmanager
    def _recording(self) -> Iterator[Callable[[Sequence[str], Sequence[str]], None]]:
        def record(words: Sequence[str], outcome: Sequence[str]) -> None:
            is_settled = all(map(self._is_settled, self._files.values()))
            if cache and is_settled and _read_states(cache, self._environ) == self._files:
                cache.store(words, self._files, outcome)

        cache = self._cache
        with suppress(ValueError, OSError):
            yield record

    def _source(self, settings: Settings, token: Token) -> list[str]:
        """Return the token's expiry and its position in its file. Raises ValueError, OSError."""
        from soe_auth.storage.file_store import LARGEST_FILE, FileStore, token_from_json

        path = FileStore(settings.paths.directory, report=_ignore).path(settings.profile)
        data, others, status = read_private(path, LARGEST_FILE, repair=False)
        secret, state = token.access_token.reveal().encode(), identity(status)
        is_unusual = others or self._has_message or settings.store != "file" or secret not in data
        if is_unusual or not self._is_settled(state) or token_from_json(data) != token:
            raise ValueError
        valid_until = token.ends_at(token.obtained_at) - settings.min_ttl
        return [repr(valid_until), str(path), state, str(data.rindex(secret)), str(len(secret))]

    def _is_settled(self, state: str) -> bool:
        """Return whether the time stamps at the end of a file's state are old enough."""
        times = [int(part) for part in state.split()[-2:] if part.isdigit()]
        return max(times, default=0) <= self._latest


def _read_states(cache: Cache, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the state of each file that decides the settings, by path.

    Raises OSError; ValueError if the settings are not those of the cache's key.
    """
    from pathlib import Path

    from soe_auth.settings.project_file import project_places, repository_marks
    from soe_auth.settings.settings import find_paths
    from soe_auth.settings.spec import TABLE

    paths, here = find_paths(environ), os.getcwd()
    known = {setting.variable for setting in TABLE}
    known |= {CONFIG_DIR_VARIABLE, PROFILE_VARIABLE, TOKEN_VARIABLE}
    ours = {name for name in environ if name.startswith(VARIABLE_PREFIX)}
    if paths.directory != Path(cache.directory) or ours - known:  # another may hold a secret
        raise ValueError
    return {
        **{path: file_state(path) for path in [*map(str, paths.files), *project_places(here)]},
        **{path: mark_state(path) for path in repository_marks(here)},
    }


def _ignore(_: str) -> None:
    """Report nothing."""
