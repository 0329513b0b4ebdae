"""Whose turn it is to log in, and when no login should start by itself."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from soe_auth.errors import LoginBusy
from soe_auth.files.atomic_write import make_private_directory, remove_private, write_private
from soe_auth.files.lock import try_lock
from soe_auth.files.private_read import read_private
from soe_auth.model.text import printable
from soe_auth.settings import LOCKS
from soe_auth.storage.file_store import LARGEST_FILE, as_store_error, ensure_private, report_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soe_auth.files.lock import Release

# How long the next automatic login is held back after one that came to no token: enough for the
# other hooks of one commit, and at last so rare that a night of them opens a handful of tabs.
_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 3600.0


class LoginLock:
    """One login at a time for each profile, by files in `locks` below the config directory.

    They are apart from the tokens: reading and saving take no lock. `report` gets a sentence, once,
    for each thing put right; `now` gives seconds since the epoch. Every method raises StoreError
    when the disk does not do as asked.
    """

    def __init__(
        self,
        directory: Path,
        *,
        report: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._locks = directory / LOCKS
        self._report = report_once(report)
        self._now = now

    @contextmanager
    def acquire(self, profile: str, held: Release | None = None) -> Iterator[None]:
        """Hold the profile's login lock; it is free again when its holder ends, however it ends.

        `held` is what frees the lock where it is held already. Raises LoginBusy where another
        process holds it.
        """
        path = self.path(profile)
        with as_store_error(path, "locked"):
            ensure_private(self._locks, make_private_directory, self._report)
            release = held or try_lock(path, self._warn)
        if release is None:
            raise LoginBusy(profile, self._waiting_at(profile))
        try:
            with suppress(OSError):  # one who was killed may have left it
                remove_private(self._waiting_path(profile), durable=False)
            yield
        finally:
            release()

    def _warn(self) -> None:
        self._report(
            f"The file system of {self._locks} has no locks: logins that run at the same time do"
            " not wait for each other."
        )

    @contextmanager
    def shown_as_waiting(self, profile: str, address: str | None) -> Iterator[None]:
        """Tell a process that finds the login lock taken the address that its holder waits at."""
        path = self._waiting_path(profile)
        with as_store_error(path, "written"):
            if address:
                write_private(path, address.encode(), durable=False)
        try:
            yield
        finally:
            with suppress(OSError):  # the next holder of the lock removes it
                remove_private(path, durable=False)

    def retry_delay(self, profile: str) -> float:
        """Return for how many seconds no automatic login should start, after those that failed."""
        path = self._failure_path(profile)
        with as_store_error(path, "read"):
            count, at = _counted(path)
        since = self._now() - at
        if not count or since < 0:  # the clock was set back since
            return 0.0
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(count - 1, 10)) - since

    def record_failure(self, profile: str, *, again: bool = False) -> None:
        """Count one more automatic login that came to no token; each doubles the pause.

        `again` counts none, and restarts the pause.
        """
        path = self._failure_path(profile)
        with as_store_error(path, "written"):
            count, _ = _counted(path)
            count = max(1, count if again else count + 1)
            write_private(path, f"{count} {int(self._now())}\n".encode(), durable=False)

    def clear_failure(self, profile: str) -> None:
        """There is a token: the next automatic login may start at once."""
        path = self._failure_path(profile)
        with as_store_error(path, "removed"):
            remove_private(path, durable=False)

    def path(self, profile: str) -> Path:
        """Return the file that is locked."""
        return self._locks / f"{profile}.lock"

    def _waiting_at(self, profile: str) -> str | None:
        try:
            address, _ = read_private(self._waiting_path(profile), LARGEST_FILE)
        except OSError:
            return None
        return printable(address.decode("utf-8", "replace"))

    def _waiting_path(self, profile: str) -> Path:
        return self._locks / f"{profile}.waiting"

    def _failure_path(self, profile: str) -> Path:
        return self._locks / f"{profile}.unanswered"


def _counted(path: Path) -> tuple[int, int]:
    """Return how many logins failed, and when the last one was; none for what is no count."""
    try:
        count, at = map(int, read_private(path, LARGEST_FILE)[0].split())
    except (FileNotFoundError, ValueError):
        return 0, 0
    return count, at
