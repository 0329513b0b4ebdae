"""Where tokens are kept, and whose turn it is to get a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from soe_auth.storage.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from soe_auth.model.token import Token
    from soe_auth.settings.spec import StoreKind


class Store(Protocol):
    """A place for tokens, one per profile. Each method raises StoreError where it cannot do so."""

    def load(self, profile: str) -> Token | None:
        """Return the profile's token, or None where there is none."""

    def save(self, profile: str, token: Token) -> None:
        """Keep the token in place of the profile's last one; return once it is safe."""

    def update(self, profile: str, token: Token) -> bool:
        """Store again a token that is stored, as its account is known now; return whether it was.

        Where another one or none is stored, nothing changes.
        """

    def remove(self, profile: str, token: Token | None) -> bool:
        """Remove the token that `load` returned; return whether it was there still.

        Where another one is stored by now, it stays.
        """

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token here, sorted."""

    def prepare(self, profile: str) -> None:
        """See that a token could be kept, before a person signs in for it."""


def open_store(
    directory: Path,
    place: StoreKind,
    *,
    report: Callable[[str], None],
    user_present: bool = False,
) -> Store:
    """Return the store below a config directory that keeps tokens in that place.

    `report` gets a sentence for each thing found wrong or put right. A keyring is asked for ten
    seconds at most; for a minute where a person is there who can unlock it.
    """
    if place == "file":
        return FileStore(directory, report=report)
    from soe_auth.storage.keyring_backend import QUICK, USER_PRESENT, KeyringBackend
    from soe_auth.storage.keyring_store import KeyringStore

    keyring = KeyringBackend(limit=USER_PRESENT if user_present else QUICK, report=report)
    return KeyringStore(directory, keyring, report=report)


def place_of(directory: Path, profile: str, *, report: Callable[[str], None]) -> StoreKind:
    """Return where the profile's token is, whatever the settings say. Raises StoreError."""
    return "keyring" if FileStore(directory, report=report).look(profile)[1] else "file"
