"""The token store: the only room that touches the token files."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from soe_auth.errors import LoginBusy, StoreError
from soe_auth.files import (
    check_replaceable,
    make_private_directory,
    own_directory,
    read_private,
    remove_private,
    set_aside,
    writable_by_all,
    write_private,
)
from soe_auth.profile_name import is_profile_name
from soe_auth.text import printable
from soe_auth.tokens import Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LARGEST_FILE = 64 * 1024

# How long the next automatic login is held back after one that came to no token: enough for the
# other hooks of one commit, and at last so rare that a night of them opens a handful of tabs.
_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 3600.0


class FileStore:
    """Tokens as files, one per profile, `tokens/PROFILE.json` below the config directory.

    `report` gets a sentence, once, for each thing found wrong or put right; `now` gives seconds
    since the epoch. Every method raises StoreError when the disk does not do as asked.
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
        self._tell = report
        self._told: set[str] = set()
        self._now = now

    def load(self, profile: str) -> Token | None:
        """Return the profile's token, or None where there is none.

        A file that does not parse is set aside, never erased, and counts as none.
        """
        path = self._path(profile)
        with _as_store_error(path, "read"):
            try:
                self._claim(self._tokens, own_directory)
                data, repaired = read_private(path, _LARGEST_FILE)
            except FileNotFoundError:
                return None
            if repaired:
                self._report(f"Others could read {path}; its mode is 0600 again.")
            try:
                return Token.from_json(data)
            except ValueError as problem:
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now()))
                name = path.with_name(f"{path.name}.corrupt-{stamp}")
                aside = set_aside(path, data, _LARGEST_FILE, name)
                if aside is None:  # somebody has put a new one there meanwhile
                    return self.load(profile)
                self._report(f"{path} was set aside as {aside.name}: {problem}.")
                return None

    def save(self, profile: str, token: Token) -> None:
        """Keep the token durably: after a crash there is the old one or this one, whole.

        A link, a foreign file or one with a second name in its place is refused, not replaced.
        """
        path = self._path(profile)
        with _as_store_error(path, "written"):
            self._claim(self._tokens, make_private_directory)
            for parent in writable_by_all(self._tokens):
                self._report(
                    f"Every user of this machine can write to {parent}, and so put other files in"
                    f" place of yours; type `chmod o-w {parent}`."
                )
            write_private(path, token.to_json())

    def remove(self, profile: str) -> bool:
        """Remove the profile's token; return whether there was one."""
        path = self._path(profile)
        with _as_store_error(path, "removed"):
            return remove_private(path)

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token file, sorted.

        A file whose name can be no profile's is none of ours, and left alone.
        """
        with _as_store_error(self._tokens, "listed"):
            stems = [p.stem for p in self._tokens.glob("*.json") if not p.is_dir()]
        return sorted(stem for stem in stems if is_profile_name(stem))

    @contextmanager
    def login_lock(self, profile: str) -> Iterator[None]:
        """Hold the profile's login lock; it is free again when its holder ends, however it ends.

        It is apart from the token file: reading and saving take none. A place where no token could
        be stored is refused here, before anybody has signed in. Raises LoginBusy, StoreError.
        """
        from filelock import FileLock, Timeout

        path = self._locks / f"{profile}.lock"
        with _as_store_error(path, "locked"):
            self._claim(self._locks, make_private_directory)
            lock = FileLock(path, mode=0o600, thread_local=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise LoginBusy(profile, self._waiting_at(profile)) from None
        try:
            with suppress(OSError):  # one who was killed may have left it
                remove_private(self._waiting_path(profile), durable=False)
            with _as_store_error(self._path(profile), "written"):
                self._claim(self._tokens, make_private_directory)
                check_replaceable(self._path(profile))
            yield
        finally:
            lock.release()

    @contextmanager
    def shown_as_waiting(self, profile: str, address: str | None) -> Iterator[None]:
        """Let whoever finds the login lock taken know the address that its holder waits at."""
        path = self._waiting_path(profile)
        with _as_store_error(path, "written"):
            if address:
                write_private(path, address.encode(), durable=False)
        try:
            yield
        finally:
            with suppress(OSError):  # whoever holds the lock next takes it away
                remove_private(path, durable=False)

    def _waiting_at(self, profile: str) -> str | None:
        try:
            address, _ = read_private(self._waiting_path(profile), _LARGEST_FILE)
        except OSError:
            return None
        return printable(address.decode("utf-8", "replace"))

    def held_back(self, profile: str) -> float:
        """Return for how many seconds no automatic login should start, after those in vain."""
        path = self._unanswered_path(profile)
        with _as_store_error(path, "read"):
            try:
                count, at = map(int, read_private(path, _LARGEST_FILE)[0].split())
            except (FileNotFoundError, ValueError):
                return 0.0
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(count - 1, 10))
        # A clock that was set back must not hold for longer than the pause itself.
        return min(pause, at + pause - self._now())

    def note_unanswered(self, profile: str, *, again: bool = False) -> None:
        """Count one more automatic login that came to no token; each doubles the pause.

        `again` counts none, and has the pause begin anew.
        """
        path = self._unanswered_path(profile)
        with _as_store_error(path, "written"):
            try:
                count = int(read_private(path, _LARGEST_FILE)[0].split()[0])
            except (FileNotFoundError, ValueError, IndexError):
                count = 0
            count = max(1, count if again else count + 1)
            write_private(path, f"{count} {self._now():.0f}\n".encode(), durable=False)

    def forget_unanswered(self, profile: str) -> None:
        """There is a token: the next automatic login may start at once."""
        path = self._unanswered_path(profile)
        with _as_store_error(path, "removed"):
            remove_private(path, durable=False)

    def _waiting_path(self, profile: str) -> Path:
        return self._locks / f"{profile}.waiting"

    def _unanswered_path(self, profile: str) -> Path:
        return self._locks / f"{profile}.unanswered"

    def _path(self, profile: str) -> Path:
        return self._tokens / f"{profile}.json"

    def _report(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._tell(sentence)

    def _claim(self, directory: Path, claim: Callable[[Path], bool]) -> None:
        if claim(directory):
            self._report(f"Others could look into {directory}; its mode is 0700 again.")


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing in the store as it was found.

    `loose` says that its mode lets others in, `problem` why it cannot be used. A `token` is there
    where the kind is "token" and there is no problem.
    """

    path: Path
    kind: Literal["directory", "token", "half written", "set aside", "lock"]
    loose: bool = False
    problem: str | None = None
    token: Token | None = None


def inspect(directory: Path) -> list[Seen]:
    """Look at the store below a config directory, and change nothing there.

    No mode is repaired, no file set aside, no lock taken. What is not ours is left out.
    """
    return [
        seen
        for name, look in (("tokens", _look_at_token), ("locks", _look_at_lock))
        for seen in _look_into(directory / name, look)
    ]


def _look_into(directory: Path, look: Callable[[Path], Seen | None]) -> list[Seen]:
    try:
        loose = own_directory(directory, repair=False)
        entries = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as problem:
        return [Seen(directory, "directory", problem=problem.strerror or str(problem))]
    return [Seen(directory, "directory", loose), *filter(None, map(look, entries))]


def _look_at_token(path: Path) -> Seen | None:
    if path.name.startswith(".") and path.name.endswith(".new"):
        return Seen(path, "half written")
    if ".json.corrupt-" in path.name:
        return Seen(path, "set aside")
    if path.suffix != ".json" or not is_profile_name(path.stem):
        return None
    try:
        data, loose = read_private(path, _LARGEST_FILE, repair=False)
    except FileNotFoundError:  # pragma: no cover - it was removed between two looks
        return None
    except OSError as problem:
        return Seen(path, "token", problem=problem.strerror or str(problem))
    try:
        return Seen(path, "token", loose, token=Token.from_json(data))
    except ValueError as problem:
        return Seen(path, "token", loose, problem=str(problem))


def _look_at_lock(path: Path) -> Seen | None:
    try:
        _, loose = read_private(path, _LARGEST_FILE, repair=False)
    except FileNotFoundError:  # pragma: no cover - as above
        return None
    except OSError as problem:
        return Seen(path, "lock", problem=problem.strerror or str(problem))
    return Seen(path, "lock", loose)


@contextmanager
def _as_store_error(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StoreError(
            f"{printable(str(path))} could not be {what}: {problem.strerror or problem}.",
            hint="See that the directory is yours, writable, and has room.",
        ) from None
