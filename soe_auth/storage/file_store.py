"""Store tokens as files, in a directory of this user alone, and say what went wrong there."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from soe_auth.errors import StoreError
from soe_auth.files.atomic_write import (
    exposed_parents,
    make_private_directory,
    quarantine,
    remove_private,
    write_private,
)
from soe_auth.files.private_read import check_replaceable, own_directory, read_private
from soe_auth.model.text import is_profile_name, printable
from soe_auth.settings import TOKENS
from soe_auth.storage.token_format import mark_of, token_from_json, token_to_json

if sys.platform == "win32":
    from soe_auth.files.windows_acl import other_users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soe_auth.model.token import Token
    from soe_auth.storage.token_format import Mark

LARGEST_FILE = 64 * 1024


def report_once(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Return what tells a sentence the first time only."""
    told: set[str] = set()

    def tell_once(sentence: str) -> None:
        if sentence not in told:
            told.add(sentence)
            tell(sentence)

    return tell_once


def ensure_private(
    directory: Path, by: Callable[[Path], str], report: Callable[[str], None]
) -> None:
    """Make a directory ours alone, by a function that says who else had access."""
    others = by(directory)
    if sys.platform == "win32":
        report_access(directory, others, report)
    elif others:
        report(f"Others could look into {directory}; its mode is 0700 again.")


if sys.platform == "win32":

    def report_access(path: Path, others: str, report: Callable[[str], None]) -> None:
        """Tell who had access to path, and whether its ACL keeps them out now."""
        if others and other_users(path):
            report(
                f"{others} have access to {path}, and its ACL cannot be changed; name another"
                " directory in SOE_AUTH_CONFIG_DIR."
            )
        elif others:
            report(f"{others} had access to {path}; its ACL is private now.")


@contextmanager
def as_store_error(path: Path, what: str) -> Iterator[None]:
    """Raise StoreError for OSError: what could not be done to path, such as “read”."""
    try:
        yield
    except OSError as problem:
        raise StoreError(
            f"{printable(str(path))} could not be {what}: {problem.strerror or problem}.",
            hint="See that the directory is yours, writable, and has room.",
        ) from None


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
        self._tokens = directory / TOKENS
        self._report = report_once(report)
        self._now = now

    def load(self, profile: str) -> Token | None:
        """Return the profile's token, or None where there is none.

        A file that does not parse is set aside, never erased, and counts as none.
        """
        token, mark = self.look(profile)
        if mark == "stub":
            self._report(
                f"The token of profile {profile} is in the keyring, and is not used, as the"
                f" settings say store = file; `soe-auth logout -p {profile}` ends it."
            )
        return token

    def look(self, profile: str) -> tuple[Token | None, Mark | None]:
        """Return what `load` returns, and what the file says of the keyring."""
        path = self.path(profile)
        with as_store_error(path, "read"):
            try:
                ensure_private(self._tokens, own_directory, self._report)
                data, others = read_private(path, LARGEST_FILE)
            except FileNotFoundError:
                return None, None
            if sys.platform == "win32":
                report_access(path, others, self._report)
            elif others:
                self._report(f"Others could read {path}; its mode is 0600 again.")
            mark = mark_of(data)
            if mark == "stub":
                return None, mark
            try:
                return token_from_json(data), mark
            except ValueError as problem:
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now()))
                name = path.with_name(f"{path.name}.corrupt-{stamp}")
                aside = quarantine(path, data, LARGEST_FILE, name)
                if aside is None:  # another process has put a new one there
                    return self.look(profile)
                self._report(f"{path} was set aside as {aside.name}: {problem}.")
                return None, None

    def save(self, profile: str, token: Token) -> None:
        """Keep the token durably: after a crash there is the old one or this one, whole.

        A link, a foreign file or one with a second name in its place is refused, not replaced; so
        is a file that is marked, as the keyring's token would be forgotten.
        """
        path = self.path(profile)
        with as_store_error(path, "written"):
            check_replaceable(path)
        self._check_unmarked(profile)
        self.write(profile, token, None)

    def update(self, profile: str, token: Token) -> bool:
        """Store the token again, with its account; not where another one or none is stored now."""
        self._check_unmarked(profile)
        return self.write(profile, token, None, over=token)

    def write(
        self, profile: str, token: Token, mark: Mark | None, *, over: Token | None = None
    ) -> bool:
        """Do as `save`, with that mark in the file; only `over` that token, if one is given."""
        path = self.path(profile)
        with as_store_error(path, "written"):
            ensure_private(self._tokens, make_private_directory, self._report)
            for parent, remedy in exposed_parents(self._tokens):
                self._report(
                    f"Other users can put files of theirs in place of yours in {parent}; {remedy}."
                )
            only_if = None if over is None else lambda: self._has(profile, over)
            return write_private(path, token_to_json(token, mark), only_if=only_if)

    def remove(self, profile: str, token: Token | None) -> bool:
        """Remove that token of the profile, not a later one; return whether it was there.

        Raises StoreError for a file that is marked, as the keyring may hold the token.
        """
        path = self.path(profile)

        def is_there() -> bool:
            self._check_unmarked(profile)
            return self._has(profile, token)

        with as_store_error(path, "removed"):
            return remove_private(path, only_if=is_there)

    def _has(self, profile: str, token: Token | None) -> bool:
        """Whether that token is in the profile's file, whatever its mark. Raises OSError."""
        data, _ = read_private(self.path(profile), LARGEST_FILE)
        try:
            return token_from_json(data).is_same_as(token)
        except ValueError:
            return False

    def discard(self, profile: str) -> bool:
        """Remove the profile's file, whatever it says; return whether there was one."""
        path = self.path(profile)
        with as_store_error(path, "removed"):
            return remove_private(path)

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token file, sorted.

        A file whose name cannot be a profile's is left alone.
        """
        with as_store_error(self._tokens, "listed"):
            stems = [p.stem for p in self._tokens.glob("*.json") if not p.is_dir()]
        return sorted(stem for stem in stems if is_profile_name(stem))

    def prepare(self, profile: str) -> None:
        """See that a token could be kept, before a user signs in for it."""
        self.check_writable(profile)
        self._check_unmarked(profile)

    def check_writable(self, profile: str) -> None:
        """Do as `prepare`, whatever the file says of the keyring."""
        path = self.path(profile)
        with as_store_error(path, "written"):
            ensure_private(self._tokens, make_private_directory, self._report)
            check_replaceable(path)

    def _check_unmarked(self, profile: str) -> None:
        path = self.path(profile)
        with suppress(OSError):  # what cannot be read has no mark
            if mark_of(read_private(path, LARGEST_FILE)[0]):
                raise StoreError(
                    f"The keyring may hold a token of profile {profile}, and the settings say"
                    " store = file.",
                    hint=f"Type `soe-auth logout -p {profile}` first; if that keyring no longer"
                    f" exists, remove {path}.",
                )

    def path(self, profile: str) -> Path:
        """Return where the profile's token is, or would be."""
        return self._tokens / f"{profile}.json"
