"""Tokens in the system's keyring, each with a file beside that says so.

An item is the whole token. The file `tokens/PROFILE.json` is marked from before the first write to
the keyring until after the last removal there, so that whatever cuts in between, no item is
forgotten; which token holds is for the item to say.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from soe_auth.files.atomic_write import locked
from soe_auth.settings import LOCKS
from soe_auth.storage.file_store import FileStore, as_store_error, report_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soe_auth.model.token import Token
    from soe_auth.storage.keyring_backend import KeyringBackend


class KeyringStore:
    """Tokens in a keyring, one item per profile and config directory.

    `report` gets a sentence, once, for each thing found wrong or put right. Every method raises
    StoreError when the keyring or the disk does not do as asked; nothing is kept in a file then.
    """

    def __init__(
        self, directory: Path, keyring: KeyringBackend, *, report: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self._keyring = keyring
        self._report = report_once(report)
        self._files = FileStore(directory, report=report)

    def load(self, profile: str) -> Token | None:
        """Return the profile's token, or None where the keyring has none; a file's is not taken."""
        token = self._keyring.get(self._item(profile))
        if self._files.look(profile)[0]:
            self._report(
                f"The token of profile {profile} is in a file, and is not used, as the settings say"
                f" store = keyring; `soe-auth login -p {profile}` replaces it."
            )
        return token

    def save(self, profile: str, token: Token) -> None:
        """Keep the token in the keyring, read back and compared."""
        with self._lock(profile):
            self._save(profile, token)

    def update(self, profile: str, token: Token) -> bool:
        """Store the token again, with its account; not where another one or none is stored now."""
        with self._lock(profile):
            stored = token.is_same_as(self._keyring.get(self._item(profile)))
            if stored:
                self._save(profile, token)
            return stored

    def _save(self, profile: str, token: Token) -> None:
        in_file, mark = self._files.look(profile)
        if mark is None:
            self._files.write(profile, in_file or token, "copy" if in_file else "stub")
        self._keyring.set(self._item(profile), token)
        self._files.write(profile, token, "stub")

    def remove(self, profile: str, token: Token | None) -> bool:
        """Remove that token of the profile, from a file as well; return whether it was there.

        A later one stays, and so does another one in the file, which is then told.
        """
        with self._lock(profile):
            stored = self._keyring.get(self._item(profile))
            if stored and not stored.is_same_as(token):
                return False
            there = self._keyring.delete(self._item(profile))
            in_file, _ = self._files.look(profile)
            if in_file is None or in_file.is_same_as(token):
                return self._files.discard(profile) or there
            self._files.write(profile, in_file, None)
            self._report(f"Another token of profile {profile} lies in a file, and stays there.")
            return there

    @contextmanager
    def _lock(self, profile: str) -> Iterator[None]:
        """Let no other process change the profile's item or file; wait ten seconds at most."""
        path = self._directory / LOCKS / f".{profile}.keyring.lock"
        with ExitStack() as held:
            with as_store_error(path, "locked"):
                held.enter_context(locked(path))
            yield

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token file, sorted."""
        return self._files.profiles()

    def prepare(self, profile: str) -> None:
        """See that the keyring answers, and move a token there that still lies in a file."""
        self._files.check_writable(profile)
        with self._lock(profile):
            in_keyring = self._keyring.get(self._item(profile))
            in_file, _ = self._files.look(profile)
            if (
                in_file
                and (in_keyring is None or in_keyring.obtained_at <= in_file.obtained_at)
                and self._files.write(profile, in_file, "copy", over=in_file)
            ):
                self._save(profile, in_file)

    def _item(self, profile: str) -> str:
        return item_name(self._directory, profile)


def item_name(directory: Path, profile: str) -> str:
    """Return the name of a profile's item, which tells config directories apart."""
    name = f"{profile} ({os.path.realpath(directory)})"
    return name.encode("utf-8", "backslashreplace").decode()
