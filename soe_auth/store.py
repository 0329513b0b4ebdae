"""The token store: the only room that touches the token files."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soe_auth.errors import LoginBusy, StoreError
from soe_auth.files import private_directory, read_private, remove_private, write_private
from soe_auth.tokens import Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LARGEST_FILE = 64 * 1024

# How long the next automatic login is held back after one that nobody answered: enough for the
# other hooks of one commit, and at last so rare that a night of them opens a handful of tabs.
_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 3600.0


class FileStore:
    """Tokens as files, one per profile, `tokens/PROFILE.json` below the config directory.

    `report` gets a sentence for each thing found wrong and put right; `now` gives seconds since the
    epoch. Every method raises StoreError when the disk does not do as asked.
    """

    def __init__(
        self,
        directory: Path,
        *,
        report: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = directory / "tokens"
        self._locks = directory / "locks"
        self._report = report
        self._now = now

    def load(self, profile: str) -> Token | None:
        """Return the profile's token, or None where there is none.

        A file that does not parse is set aside, never erased, and counts as none.
        """
        path = self._path(profile)
        with _as_store_error(path, "read"):
            try:
                data, repaired = read_private(path, _LARGEST_FILE)
            except FileNotFoundError:
                return None
            if repaired:
                self._report(f"Others could read {path}; its mode is 0600 again.")
            try:
                return Token.from_json(data)
            except ValueError as problem:
                self._set_aside(path, str(problem))
                return None

    def save(self, profile: str, token: Token) -> None:
        """Keep the token durably: after a crash there is the old one or this one, whole."""
        path = self._path(profile)
        with _as_store_error(path, "written"):
            self._claim(self._tokens)
            write_private(path, token.to_json())

    def remove(self, profile: str) -> bool:
        """Remove the profile's token; return whether there was one."""
        path = self._path(profile)
        with _as_store_error(path, "removed"):
            return remove_private(path)

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token file, sorted."""
        with _as_store_error(self._tokens, "listed"):
            return sorted(p.stem for p in self._tokens.glob("*.json") if not p.is_dir())

    @contextmanager
    def login_lock(self, profile: str, wait: float) -> Iterator[None]:
        """Hold the profile's login lock, waiting at most `wait` seconds for its holder.

        It is apart from the token file: reading and saving take no lock. Raises LoginBusy.
        """
        from filelock import FileLock, Timeout

        path = self._locks / f"{profile}.lock"
        with _as_store_error(path, "locked"):
            self._claim(self._locks)
            lock = FileLock(path, mode=0o600, thread_local=False)
            try:
                lock.acquire(timeout=wait)
            except Timeout:
                raise LoginBusy(
                    f"Another login to profile {profile} is waiting for a person.",
                    hint="Finish it in the browser, or end it, then try again.",
                ) from None
        try:
            yield
        finally:
            lock.release()

    def held_back(self, profile: str) -> float:
        """Return for how many seconds no automatic login should start, after unanswered ones."""
        path = self._unanswered_path(profile)
        with _as_store_error(path, "read"):
            try:
                count, at = map(int, read_private(path, _LARGEST_FILE)[0].split())
            except (FileNotFoundError, ValueError):
                return 0.0
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(count - 1, 10))
        # A clock that was set back must not hold for longer than the pause itself.
        return min(pause, at + pause - self._now())

    def note_unanswered(self, profile: str) -> None:
        """Count one more automatic login that nobody answered; each doubles the pause."""
        path = self._unanswered_path(profile)
        with _as_store_error(path, "written"):
            try:
                count = int(read_private(path, _LARGEST_FILE)[0].split()[0])
            except (FileNotFoundError, ValueError, IndexError):
                count = 0
            write_private(path, f"{count + 1} {self._now():.0f}\n".encode())

    def forget_unanswered(self, profile: str) -> None:
        """Somebody has answered: the next automatic login may start at once."""
        path = self._unanswered_path(profile)
        with _as_store_error(path, "removed"):
            remove_private(path)

    def _unanswered_path(self, profile: str) -> Path:
        return self._locks / f"{profile}.unanswered"

    def _path(self, profile: str) -> Path:
        return self._tokens / f"{profile}.json"

    def _claim(self, directory: Path) -> None:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if private_directory(directory):
            self._report(f"Others could look into {directory}; its mode is 0700 again.")

    def _set_aside(self, path: Path, problem: str) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now()))
        aside = path.with_name(f"{path.name}.corrupt-{stamp}")
        path.replace(aside)
        self._report(f"{path} was set aside as {aside.name}: {problem}.")


@contextmanager
def _as_store_error(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StoreError(
            f"{path} could not be {what}: {problem.strerror or problem}.",
            hint="See that the directory is yours, writable, and has room.",
        ) from None
