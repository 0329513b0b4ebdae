"""Rename a profile, with its token: neither is ever without the other."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from soe_auth.errors import SettingsError, StoreError
from soe_auth.settings.config_files import check_profile_name, read_configs
from soe_auth.settings.config_writer import rename_profile
from soe_auth.storage import find_store_kind, open_store
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.login_lock import LoginLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from soe_auth.settings.settings import Paths


def rename(old: str, new: str, paths: Paths, *, report: Callable[[str], None]) -> None:
    """Rename a profile of the user's config.toml, and move its token.

    A login to either name is kept out meanwhile. The token is under both names until the file is
    written, so that it cannot be lost. Raises SettingsError, StoreError and LoginBusy.
    """
    lock = LoginLock(paths.directory, report=report)
    stored = FileStore(paths.directory, report=report).profiles
    _check(old, new, paths, stored())
    with lock.acquire(old), lock.acquire(new):
        check = partial(_check, old, new, paths, stored())
        check()
        place = find_store_kind(paths.directory, old, report=report)
        store = open_store(paths.directory, place, report=report, user_present=True)
        token = store.load(old)
        if token:
            store.save(new, token)
        try:
            rename_profile(paths.config, old, new, check=check)
        except BaseException:
            with suppress(StoreError):
                store.remove(new, token)
            raise
        store.remove(old, token)


def _check(old: str, new: str, paths: Paths, stored: list[str]) -> None:
    configs = read_configs(paths.files)
    configs.require_own_profile(old)
    check_profile_name(new)
    # Some systems have one file for names that differ by their case alone.
    taken = {name.casefold(): name for name in (*configs.profiles, *stored)}
    if name := taken.get(new.casefold()):
        raise SettingsError(f"There is a profile {name} already.", hint="Choose another name.")
