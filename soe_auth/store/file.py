"""Tokens as files: the only room that touches them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

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
from soe_auth.store.directory import LARGEST_FILE, as_store_error, claim, once
from soe_auth.tokens import Token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
        self._report = once(report)
        self._now = now

    def load(self, profile: str) -> Token | None:
        """Return the profile's token, or None where there is none.

        A file that does not parse is set aside, never erased, and counts as none.
        """
        path = self._path(profile)
        with as_store_error(path, "read"):
            try:
                claim(self._tokens, own_directory, self._report)
                data, repaired = read_private(path, LARGEST_FILE)
            except FileNotFoundError:
                return None
            if repaired:
                self._report(f"Others could read {path}; its mode is 0600 again.")
            try:
                return Token.from_json(data)
            except ValueError as problem:
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now()))
                name = path.with_name(f"{path.name}.corrupt-{stamp}")
                aside = set_aside(path, data, LARGEST_FILE, name)
                if aside is None:  # somebody has put a new one there meanwhile
                    return self.load(profile)
                self._report(f"{path} was set aside as {aside.name}: {problem}.")
                return None

    def save(self, profile: str, token: Token) -> None:
        """Keep the token durably: after a crash there is the old one or this one, whole.

        A link, a foreign file or one with a second name in its place is refused, not replaced.
        """
        path = self._path(profile)
        with as_store_error(path, "written"):
            claim(self._tokens, make_private_directory, self._report)
            for parent in writable_by_all(self._tokens):
                self._report(
                    f"Every user of this machine can write to {parent}, and so put other files in"
                    f" place of yours; type `chmod o-w {parent}`."
                )
            write_private(path, token.to_json())

    def remove(self, profile: str) -> bool:
        """Remove the profile's token; return whether there was one."""
        path = self._path(profile)
        with as_store_error(path, "removed"):
            return remove_private(path)

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token file, sorted.

        A file whose name can be no profile's is none of ours, and left alone.
        """
        with as_store_error(self._tokens, "listed"):
            stems = [p.stem for p in self._tokens.glob("*.json") if not p.is_dir()]
        return sorted(stem for stem in stems if is_profile_name(stem))

    def prepare(self, profile: str) -> None:
        """See that a token could be kept, before a person signs in for it."""
        path = self._path(profile)
        with as_store_error(path, "written"):
            claim(self._tokens, make_private_directory, self._report)
            check_replaceable(path)

    def _path(self, profile: str) -> Path:
        return self._tokens / f"{profile}.json"
