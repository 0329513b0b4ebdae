"""Store tokens in the system's keyring, each with a marked file.

The item in the keyring holds the whole token. The file `tokens/PROFILE.json` has a mark from before
the first write to the keyring until after the last removal: no crash leaves an item without a mark.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING

from soe_auth.files.atomic_write import locked
from soe_auth.settings import LOCKS
from soe_auth.storage.file_store import FileStore, as_store_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soe_auth.model.token import Token
    from soe_auth.storage.keyring_backend import KeyringBackend


class KeyringStore:
    """Tokens in a keyring: one item for each profile and config directory.

    `report` is called once with each sentence about a problem found or repaired. Every method
    raises StoreError if the keyring or the disk fails; a token never goes to a file instead.
    """

    def __init__(
        self, directory: Path, keyring: KeyringBackend, *, report: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self._keyring = keyring
        self._report = cache(report)
        self._files = FileStore(directory, report=report)

    def load(self, profile: str) -> Token | None:
        """Return the profile's token in the keyring, or None; a token in a file is not used."""
        token = self._keyring.get(self._item(profile))
        if self._files.load_with_mark(profile)[0]:
            self._report(
                f"The token of profile {profile} is in a file, but the setting is store = keyring."
                f" To replace it, type `soe-auth login -p {profile}`."
            )
        return token

    def save(self, profile: str, token: Token) -> None:
        """Store the token in the keyring, read it back and compare."""
        with self._lock(profile):
            self._save(profile, token)

    def update(self, profile: str, token: Token) -> bool:
        """Save a stored token again, with its account; return False if it is no longer stored."""
        with self._lock(profile):
            is_stored = token.is_same_as(self._keyring.get(self._item(profile)))
            if is_stored:
                self._save(profile, token)
            return is_stored

    def remove(self, profile: str, token: Token | None) -> bool:
        """Remove that token from keyring and file; return False if it is no longer stored.

        Another token in the file is reported, and not removed.
        """
        with self._lock(profile):
            stored = self._keyring.get(self._item(profile))
            if stored and not stored.is_same_as(token):
                return False
            is_removed = self._keyring.delete(self._item(profile))
            in_file, _ = self._files.load_with_mark(profile)
            if in_file is None or in_file.is_same_as(token):
                return self._files.discard(profile) or is_removed
            self._files.write(profile, in_file, None)
            self._report(f"Another token of profile {profile} is in a file, and was not removed.")
            return is_removed

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token file, sorted."""
        return self._files.profiles()

    def prepare(self, profile: str) -> None:
        """Check that the keyring answers, and move a token from the file to the keyring."""
        self._files.check_writable(profile)
        with self._lock(profile):
            in_keyring = self._keyring.get(self._item(profile))
            in_file, _ = self._files.load_with_mark(profile)
            if (
                in_file
                and (in_keyring is None or in_keyring.obtained_at <= in_file.obtained_at)
                and self._files.write(profile, in_file, "in_both", over=in_file)
            ):
                self._save(profile, in_file)

    def _save(self, profile: str, token: Token) -> None:
        in_file, mark = self._files.load_with_mark(profile)
        if mark is None:
            self._files.write(profile, in_file or token, "in_both" if in_file else "in_keyring")
        self._keyring.set(self._item(profile), token)
        self._files.write(profile, token, "in_keyring")

    @contextmanager
    def _lock(self, profile: str) -> Iterator[None]:
        """Lock the profile's item and file; wait at most ten seconds for another process."""
        path = self._directory / LOCKS / f".{profile}.keyring.lock"
        with ExitStack() as stack:
            with as_store_error("lock", path):
                stack.enter_context(locked(path))
            yield

    def _item(self, profile: str) -> str:
        return item_name(self._directory, profile)


def item_name(directory: Path, profile: str) -> str:
    """Return the name of a profile's item, which includes the config directory."""
    name = f"{profile} ({os.path.realpath(directory)})"
    return name.encode("utf-8", "backslashreplace").decode()
