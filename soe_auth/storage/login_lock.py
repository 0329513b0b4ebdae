"""Allow one login at a time for each profile, and delay the next after a failed one."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

from soe_auth.errors import LoginBusy
from soe_auth.files.atomic_write import make_private_directory, remove_private, write_private
from soe_auth.files.lock import try_lock
from soe_auth.files.private_read import read_private
from soe_auth.model.text import printable
from soe_auth.settings import LOCKS
from soe_auth.storage.file_store import LARGEST_FILE, as_store_error, report_access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soe_auth.files.lock import Release

# Delay after a failed automatic login, in seconds: it doubles, so that unattended jobs open few
# tabs. The first is long enough for the other hooks of a commit to end.
_FIRST_DELAY = 60.0
_LONGEST_DELAY = 3600.0


class LoginLock:
    """The login locks of the profiles, in `locks` below the config directory.

    `report` is called once with each sentence about a problem found or repaired; `now` returns
    seconds since the epoch. Every method raises StoreError if the disk fails.
    """

    def __init__(
        self,
        directory: Path,
        *,
        report: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._locks = directory / LOCKS
        self._report = cache(report)
        self._now = now

    @contextmanager
    def acquire(self, profile: str, held: Release | None = None) -> Iterator[None]:
        """Hold the profile's login lock; the system frees it if the process ends.

        `held` frees a lock that this process already holds. Raises LoginBusy if another process
        holds it.
        """
        path = self.path(profile)
        with as_store_error("lock", path):
            report_access(self._locks, make_private_directory(self._locks), self._report)
            release = held or try_lock(path, self._warn)
        if release is None:
            raise LoginBusy(profile, self._published_address(profile))
        try:
            with suppress(OSError):  # a killed process may have left it
                remove_private(self.path(profile, "waiting"), durable=False)
            yield
        finally:
            release()

    @contextmanager
    def publish_address(self, profile: str, address: str | None) -> Iterator[None]:
        """Publish the address of this login, for processes that find its lock held."""
        path = self.path(profile, "waiting")
        with as_store_error("write", path):
            if address:
                write_private(path, address.encode(), durable=False)
        try:
            yield
        finally:
            with suppress(OSError):  # the next holder of the lock removes it
                remove_private(path, durable=False)

    def retry_delay(self, profile: str) -> float:
        """Return how many seconds the next automatic login has to wait; 0 or less for none."""
        path = self.path(profile, "unanswered")
        with as_store_error("read", path):
            count, failed_at = _read_failures(path)
        elapsed = self._now() - failed_at
        if not count or elapsed < 0:  # the clock was set back
            return 0.0
        return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(count - 1, 10)) - elapsed

    def record_failure(self, profile: str, *, again: bool = False) -> None:
        """Count a failed automatic login; with `again`, only restart the delay."""
        path = self.path(profile, "unanswered")
        with as_store_error("write", path):
            count, _ = _read_failures(path)
            count = max(1, count if again else count + 1)
            write_private(path, f"{count} {int(self._now())}\n".encode(), durable=False)

    def clear_failure(self, profile: str) -> None:
        """Allow the next automatic login at once."""
        path = self.path(profile, "unanswered")
        with as_store_error("remove", path):
            remove_private(path, durable=False)

    def path(self, profile: str, kind: str = "lock") -> Path:
        """Return the path of the profile's lock file, or of its file of another kind."""
        return self._locks / f"{profile}.{kind}"

    def _warn(self) -> None:
        self._report(
            f"The file system of {self._locks} has no locks: logins that run at the same time do"
            " not wait for each other."
        )

    def _published_address(self, profile: str) -> str | None:
        try:
            address = read_private(self.path(profile, "waiting"), LARGEST_FILE)[0]
        except OSError:
            return None
        return printable(address.decode("utf-8", "replace"))


def _read_failures(path: Path) -> tuple[int, int]:
    """Return the number of failed logins and the time of the last one; 0, 0 if unreadable."""
    try:
        count, failed_at = map(int, read_private(path, LARGEST_FILE)[0].split())
    except (FileNotFoundError, ValueError):
        return 0, 0
    return count, failed_at
