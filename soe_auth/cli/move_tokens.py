"""Change the setting that says where tokens are kept, and move them with it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from soe_auth.errors import SettingsError
from soe_auth.settings.config_files import Configs
from soe_auth.settings.spec import STORE
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.keyring_backend import WITH_A_PERSON, KeyringBackend
from soe_auth.storage.migration import moving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soe_auth.cli.console import Console
    from soe_auth.settings.spec import StoreKind


@contextmanager
def tokens_move_with(
    owner: str | None, place: StoreKind | None, configs: Configs, directory: Path, console: Console
) -> Iterator[None]:
    """Move tokens to where `store` will say they are, once it has been changed inside the `with`.

    `owner` is the profile in whose table it changes, None for the top of the file; `place` is its
    new value there, None for none. Raises SettingsError, StoreError and LoginBusy.
    """
    if console.environ.get(STORE.variable):
        raise SettingsError(
            f"{STORE.variable} is set, and comes before what you change.",
            hint="Unset it first, so that the tokens can move with the setting.",
        )
    files = FileStore(directory, report=console.say)
    names = [name for name in files.profiles() if owner in (None, name)]
    places = {name: _place_after(name, owner, place, configs) for name in names}
    if place == "keyring":
        KeyringBackend(limit=WITH_A_PERSON, report=console.say).ask()
    with moving(places, directory, report=console.say) as moved:
        yield
    for name in moved:
        console.say(f"The token of profile {name} has moved to the {places[name]}.")


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
