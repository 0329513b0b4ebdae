"""Change the setting that says where tokens are kept, and move them with it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from soe_auth.errors import SettingsError, StoreError
from soe_auth.settings.config_files import Configs
from soe_auth.settings.spec import STORE
from soe_auth.storage.keyring_backend import USER_PRESENT, KeyringBackend
from soe_auth.storage.keyring_store import KeyringStore
from soe_auth.storage.login_lock import LoginLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soe_auth.cli.console import Console
    from soe_auth.settings.spec import StoreKind


_OTHER: dict[StoreKind, StoreKind] = {"keyring": "file", "file": "keyring"}


@contextmanager
def tokens_move_with(
    owner: str | None, place: StoreKind | None, configs: Configs, directory: Path, console: Console
) -> Iterator[None]:
    """Move tokens to where `store` will say they are, once it has been changed inside the `with`.

    Inside it each token is in both places. If the change fails, all stays where it was.
    `owner` is the profile in whose table it changes, None for the top of the file; `place` is its
    new value there, None for none. Raises SettingsError, StoreError and LoginBusy.
    """
    if console.environ.get(STORE.variable):
        raise SettingsError(
            f"{STORE.variable} is set, and comes before what you change.",
            hint="Unset it first, so that the tokens can move with the setting.",
        )
    keyring = KeyringBackend(limit=USER_PRESENT, report=console.say)
    store = KeyringStore(directory, keyring, report=console.say)
    places = {
        name: to
        for name in store.profiles()
        if owner in (None, name)
        and not store.is_at(to := _place_after(name, owner, place, configs), name)
    }
    if place == "keyring":
        keyring.ask()
    with ExitStack() as held:
        for name in places:
            held.enter_context(LoginLock(directory, report=console.say).acquire(name))
        begun: list[tuple[str, StoreKind]] = []
        try:
            for name, to in places.items():
                if store.is_at(old := _OTHER[to], name):  # what was in both places stays in both
                    begun.append((name, old))
                store.copy(name)
            yield
        except BaseException:
            for name, old in begun:
                with suppress(StoreError):  # the file stays marked, and tells
                    store.keep_in(old, name)
            raise
        for name, to in places.items():
            store.keep_in(to, name)
            console.say(f"The token of profile {name} has moved to the {to}.")


def _place_after(
    profile: str, owner: str | None, place: StoreKind | None, configs: Configs
) -> StoreKind:
    """Return what `store` will say for a profile, in whose table, or at the top, it changes."""
    file, *weaker = configs.files
    *own, top = [table.values.get(STORE.key) for table in Configs([file]).tables_of(profile)]
    if owner:
        own = [place]
    else:
        top = place
    others = [table.values.get(STORE.key) for table in Configs(weaker).tables_of(profile)]
    said = next(filter(None, [*own, top, *others]), None)
    try:
        return STORE.read(said) if said else STORE.default
    except ValueError as problem:
        raise SettingsError(f"{STORE.key} of profile {profile}: {problem}.") from None
