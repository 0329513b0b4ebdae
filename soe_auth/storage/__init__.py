"""Store tokens in files or in the system's keyring, and allow one login at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from soe_auth.storage.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from soe_auth.model.token import Token
    from soe_auth.settings.spec import StoreKind


class Store(Protocol):
    """A store with one token per profile. Each method raises StoreError if it fails."""

    def load(self, profile: str) -> Token | None:
        """Return the profile's token, or None."""

    def save(self, profile: str, token: Token) -> None:
        """Store the profile's token durably, in place of an earlier one."""

    def update(self, profile: str, token: Token) -> bool:
        """Save a stored token again, with its account; return False if it is no longer stored."""

    def remove(self, profile: str, token: Token | None) -> bool:
        """Remove the token that `load` returned; return False if it is no longer stored."""

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token here, sorted."""

    def prepare(self, profile: str) -> None:
        """Check, before the user signs in, that a token can be stored."""


def open_store(
    directory: Path, kind: StoreKind, *, report: Callable[[str], None], user_present: bool = False
) -> Store:
    """Open the store of that kind in a config directory.

    `report` is called with a sentence for each problem found or repaired. A call to the keyring
    takes 10 seconds at most; 60 with `user_present`, as the user may have to unlock it.
    """
    if kind == "file":
        return FileStore(directory, report=report)
    from soe_auth.storage.keyring_store import USER_TIMEOUT, KeyringBackend, KeyringStore

    keyring = KeyringBackend(report, USER_TIMEOUT) if user_present else KeyringBackend(report)
    return KeyringStore(directory, keyring, report=report)


def find_store_kind(directory: Path, profile: str, *, report: Callable[[str], None]) -> StoreKind:
    """Return which store has the profile's token, by its file's mark. Raises StoreError."""
    _, mark = FileStore(directory, report=report).load_with_mark(profile)
    return "keyring" if mark else "file"
