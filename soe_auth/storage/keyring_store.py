"""Tokens in the system's keyring, each with a file beside that says so.

An item is the whole token. The file `tokens/PROFILE.json` is marked from before the first write to
the keyring until after the last removal there, so that whatever cuts in between, no item is
forgotten; which token holds is for the item to say.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from soe_auth.storage.file_store import FileStore, report_once

if TYPE_CHECKING:
    from collections.abc import Callable
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
        in_file, mark = self._files.look(profile)
        if mark is None:
            self._files.write(profile, in_file or token, "copy" if in_file else "stub")
        self._keyring.set(self._item(profile), token)
        self._files.write(profile, token, "stub")

    def remove(self, profile: str) -> bool:
        """Remove the profile's token, from a file as well; return whether there was one."""
        there = self._keyring.delete(self._item(profile))
        return self._files.discard(profile) or there

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token file, sorted."""
        return self._files.profiles()

    def prepare(self, profile: str) -> None:
        """See that the keyring answers, and move a token there that still lies in a file."""
        self._files.check_writable(profile)
        in_keyring = self._keyring.get(self._item(profile))
        in_file, _ = self._files.look(profile)
        if in_file and (in_keyring is None or in_keyring.obtained_at <= in_file.obtained_at):
            self.save(profile, in_file)

    def _item(self, profile: str) -> str:
        return item_name(self._directory, profile)


def item_name(directory: Path, profile: str) -> str:
    """Return the name of a profile's item, which tells config directories apart."""
    name = f"{profile} ({os.path.realpath(directory)})"
    return name.encode("utf-8", "backslashreplace").decode()
