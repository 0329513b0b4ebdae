"""Tokens move when the setting does that says where they are kept."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from soe_auth.errors import StoreError
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.keyring_backend import WITH_A_PERSON, KeyringBackend
from soe_auth.storage.keyring_store import KeyringStore
from soe_auth.storage.login_lock import LoginLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from soe_auth.settings.spec import StoreKind


@contextmanager
def moving(
    places: Mapping[str, StoreKind],
    directory: Path,
    *,
    report: Callable[[str], None],
) -> Iterator[list[str]]:
    """Move the token of each profile to its place; yields the profiles whose token is elsewhere.

    Inside the `with`, where the setting changes, each token is in both places; then it goes from
    the old one. If that change fails, all stays where it was. No login to these profiles runs
    meanwhile: raises LoginBusy, and StoreError.
    """
    files = FileStore(directory, report=report)
    login_lock = LoginLock(directory, report=report)
    vault = KeyringBackend(limit=WITH_A_PERSON, report=report)
    store = KeyringStore(directory, vault, report=report)
    copy = {"keyring": store.copy_in, "file": store.copy_out}
    leave = {"keyring": store.leave_keyring, "file": store.leave_file}
    old = {"keyring": "file", "file": "keyring"}
    misplaced = {name: place for name, place in places.items() if not _is_at(place, name, files)}
    with ExitStack() as held:
        for name in misplaced:
            held.enter_context(login_lock.acquire(name))
        begun: list[str] = []
        try:
            for name, place in misplaced.items():
                if files.look(name)[1] != "copy":  # what was in both places stays in both
                    begun.append(name)
                copy[place](name)
            yield list(misplaced)
        except BaseException:
            for name in begun:
                with suppress(StoreError):  # the file stays marked, and tells
                    leave[misplaced[name]](name)
            raise
        for name, place in misplaced.items():
            leave[old[place]](name)


def _is_at(place: StoreKind, profile: str, files: FileStore) -> bool:
    token, mark = files.look(profile)
    return token is None if place == "keyring" else mark is None
