"""Store tokens as JSON files in a private directory."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Literal

from soe_auth.errors import StoreError
from soe_auth.files.atomic_write import (
    exposed_parents,
    make_private_directory,
    quarantine,
    remove_private,
    write_private,
)
from soe_auth.files.private_read import check_replaceable, read_private, secure_directory
from soe_auth.model.secret import Secret
from soe_auth.model.site import Site
from soe_auth.model.text import is_profile_name, printable
from soe_auth.model.token import Scope, Token, visible_ascii
from soe_auth.settings import TOKENS

if sys.platform == "win32":
    from soe_auth.files.windows_acl import other_users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LARGEST_FILE = 64 * 1024
FILE_VERSION = 1
_LATEST = 253402300799  # the end of the year 9999, the last that datetime has

# A file with a mark: only the keyring has the token, or the file and perhaps the keyring have it.
Mark = Literal["in_keyring", "in_both"]


def token_to_json(token: Token, mark: Mark | None = None) -> bytes:
    """Encode a token as its file, without its secret if only the keyring has it."""
    import json  # a first login opens the browser without it

    fields = {
        "version": FILE_VERSION,
        "site": str(token.site),
        "client_id": token.client_id,
        "scope": str(token.scope),
        "granted_scope": str(token.granted_scope),
        "obtained_at": token.obtained_at,
        "expires_at": token.expires_at,
        "account": token.account,
    }
    if mark:
        fields["kept_in"] = "keyring"
    if mark != "in_keyring":
        fields["access_token"] = token.access_token.reveal()
    # Not escaped: the command cache reads the token by its position. An account's name may hold
    # lone surrogates.
    text = json.dumps(fields, indent=1, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def token_from_json(data: bytes) -> Token:
    """Decode a token file. Raises ValueError for anything that `token_to_json` does not write."""
    import json

    try:
        try:
            fields = json.loads(data)
        except ValueError:
            raise ValueError("it is not JSON") from None
        if fields["version"] != FILE_VERSION:
            raise ValueError(f"its format version is not {FILE_VERSION}")
        expires_at, account = fields["expires_at"], fields["account"]
        return Token(
            access_token=Secret(visible_ascii(fields["access_token"])),
            site=Site.parse(_text(fields["site"])),
            client_id=_text(fields["client_id"]),
            scope=Scope.parse(_text(fields["scope"])),
            granted_scope=Scope.parse(_text(fields["granted_scope"])),
            obtained_at=_time(fields["obtained_at"]),
            expires_at=expires_at if expires_at in ("never", "unknown") else _time(expires_at),
            account=None if account is None else _text(account),
        )
    except (KeyError, TypeError, RecursionError):
        # Not chained: the cause may quote the file, and so the token.
        raise ValueError("it is not a token file") from None


def mark_of(data: bytes) -> Mark | None:
    """Return the mark of a token file; None if it has none or cannot be parsed."""
    import json

    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.get("kept_in") != "keyring":
        return None
    return "in_both" if "access_token" in fields else "in_keyring"


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _time(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LATEST:
        return float(value)
    raise TypeError


def report_access(path: Path, others: str, report: Callable[[str], None]) -> None:
    """Report which other users had access to path, and on Windows whether they still have it."""
    if sys.platform == "win32" and others and other_users(path):
        report(
            f"{others} have access to {path}, and its ACL cannot be changed; set"
            " SOE_AUTH_CONFIG_DIR to another directory."
        )
    elif others:
        report(f"{others} had access to {path}; it is private now.")


@contextmanager
def as_store_error(verb: str, path: Path) -> Iterator[None]:
    """Raise StoreError in place of OSError: "Cannot VERB PATH: reason."."""
    try:
        yield
    except OSError as problem:
        raise StoreError(
            f"Cannot {verb} {printable(str(path))}: {problem.strerror or problem}.",
            hint="Check that the directory is yours, is writable and has free space.",
        ) from None


class FileStore:
    """Tokens as files, one per profile: `tokens/PROFILE.json` below the config directory.

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
        self._tokens = directory / TOKENS
        self._report = cache(report)
        self._now = now

    def load(self, profile: str) -> Token | None:
        """Return the profile's token, or None. A file that cannot be parsed is renamed."""
        token, mark = self.load_with_mark(profile)
        if mark == "in_keyring":
            self._report(
                f"The token of profile {profile} is in the keyring, but the setting is store ="
                f" file. To revoke it, type `soe-auth logout -p {profile}`."
            )
        return token

    def load_with_mark(self, profile: str) -> tuple[Token | None, Mark | None]:
        """Return what `load` returns, and the file's mark."""
        path = self.path(profile)
        with as_store_error("read", path):
            try:
                report_access(self._tokens, secure_directory(self._tokens), self._report)
                data, others, _ = read_private(path, LARGEST_FILE)
            except FileNotFoundError:
                return None, None
            report_access(path, others, self._report)
            mark = mark_of(data)
            try:
                return None if mark == "in_keyring" else token_from_json(data), mark
            except ValueError as problem:
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now()))
                name = path.with_name(f"{path.name}.corrupt-{stamp}")
                renamed = quarantine(path, data, LARGEST_FILE, name)
                if renamed is None:  # another process has replaced it
                    return self.load_with_mark(profile)
                self._report(f"{path} was renamed to {renamed.name}: {problem}.")
                return None, None

    def save(self, profile: str, token: Token) -> None:
        """Store the token durably: after a crash, the file holds the old token or the new one.

        Raises StoreError for a link, a hard link, another user's file or a file with a mark.
        """
        self._check_unmarked(profile)
        self.write(profile, token, None)

    def update(self, profile: str, token: Token) -> bool:
        """Save a stored token again, with its account; return False if it is no longer stored."""
        self._check_unmarked(profile)
        return self.write(profile, token, None, over=token)

    def write(
        self, profile: str, token: Token, mark: Mark | None, *, over: Token | None = None
    ) -> bool:
        """Write the token with that mark; with `over`, only if the file holds that token now."""
        path = self.path(profile)
        with as_store_error("write", path):
            self._make_directory()
            for parent, remedy in exposed_parents(self._tokens):
                self._report(f"Other users can replace your files in {parent}; {remedy}.")
            only_if = None if over is None else lambda: self._has(profile, over)
            return write_private(path, token_to_json(token, mark), only_if=only_if)

    def remove(self, profile: str, token: Token | None) -> bool:
        """Remove that token of the profile; return False if it is no longer stored.

        Raises StoreError for a file with a mark, as the keyring may hold the token.
        """
        path = self.path(profile)

        def is_stored() -> bool:
            self._check_unmarked(profile)
            return self._has(profile, token)

        with as_store_error("remove", path):
            return remove_private(path, only_if=is_stored)

    def discard(self, profile: str) -> bool:
        """Remove the profile's file without reading it; return whether there was one."""
        path = self.path(profile)
        with as_store_error("remove", path):
            return remove_private(path)

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token file, sorted."""
        with as_store_error("list", self._tokens):
            stems = [p.stem for p in self._tokens.glob("*.json") if not p.is_dir()]
        return sorted(stem for stem in stems if is_profile_name(stem))

    def prepare(self, profile: str) -> None:
        """Check, before the user signs in, that a token can be stored."""
        self.check_writable(profile)
        self._check_unmarked(profile)

    def check_writable(self, profile: str) -> None:
        """Check that the profile's file can be written, with any mark."""
        path = self.path(profile)
        with as_store_error("write", path):
            self._make_directory()
            check_replaceable(path)

    def path(self, profile: str) -> Path:
        """Return the path of the profile's token file."""
        return self._tokens / f"{profile}.json"

    def _make_directory(self) -> None:
        report_access(self._tokens, make_private_directory(self._tokens), self._report)

    def _has(self, profile: str, token: Token | None) -> bool:
        """Return whether the profile's file holds that token, with any mark. Raises OSError."""
        try:
            stored = token_from_json(read_private(self.path(profile), LARGEST_FILE)[0])
        except ValueError:
            return False
        return stored.is_same_as(token)

    def _check_unmarked(self, profile: str) -> None:
        path = self.path(profile)
        with suppress(OSError):  # a file that cannot be read has no mark
            if mark_of(read_private(path, LARGEST_FILE)[0]):
                raise StoreError(
                    f"Cannot use a file for profile {profile}: the keyring may hold its token.",
                    hint=f"Type `soe-auth logout -p {profile}` first; if that keyring no longer"
                    f" exists, remove {path}.",
                )
