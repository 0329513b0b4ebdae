"""The one place that writes config.toml: what a person has decided is kept, the rest stays."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from soe_auth.errors import SettingsError
from soe_auth.files.atomic_write import locked, make_directory, write_private
from soe_auth.files.private_read import retry_while_open
from soe_auth.settings import LOCKS
from soe_auth.settings.toml_position import with_table_renamed, without_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from soe_auth.model.site import Site
    from soe_auth.settings.spec import Stored

# Tables, arrays and texts within each other: a TOML document, or what the parser makes of one.
Document = MutableMapping[str, Any]


def remember(
    config: Path,
    profile: str,
    values: Mapping[str, Stored],
    *,
    preface: str = "",
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Set the given keys of a profile in config.toml; return whether that changed the file.

    Comments and all the rest stay; a link is followed, as people keep such files elsewhere. The
    first profile becomes the default. A file that is new begins with the preface, which is TOML.
    `check` is called under the lock, and raises what stands against the change. Raises
    SettingsError.
    """
    import tomlkit

    def change(document: Document) -> None:
        if "profile" not in document:
            document.setdefault("default_profile", profile)
            document["profile"] = tomlkit.table(is_super_table=True)
        document["profile"].setdefault(profile, tomlkit.table()).update(values)

    return _rewrite(config, change, preface, check=check)


def write_setting(
    config: Path, key: str, value: Stored, *, check: Callable[[], None] = lambda: None
) -> None:
    """Set a key at the top of config.toml, where it is for all profiles; `check` as above.

    Raises SettingsError.
    """
    _rewrite(config, lambda document: document.update({key: value}), check=check)


def remove_setting(config: Path, profile: str | None, key: str) -> bool:
    """Remove a key from a profile, or from the top; return whether it was there.

    Raises SettingsError.
    """

    def change(document: Document) -> None:
        profiles = document.get("profile", {})
        own = document if profile is None else profiles.get(profile, {})
        own.pop(key, None)

    return _rewrite(config, change)


def forget(config: Path, profile: str) -> bool:
    """Remove a profile, also as the default; return whether it was there. Raises SettingsError."""

    def change(document: Document) -> None:
        if document.get("default_profile") == profile:
            del document["default_profile"]
        profiles = document.get("profile", {})
        profiles.pop(profile, None)
        if not profiles:
            document.pop("profile", None)

    # The library counts the comments above the next table to this one, and they would go with it.
    return _rewrite(config, change, cut=lambda text: without_table(text, "profile", profile))


def rename_profile(config: Path, old: str, new: str, *, check: Callable[[], None]) -> None:
    """Rename a profile, also as the default; `check` as above. Raises SettingsError."""

    def change(document: Document) -> None:
        if document.get("default_profile") == old:
            document["default_profile"] = new
        profiles = document.get("profile", {})
        if old in profiles:
            profiles[new] = profiles.pop(old)

    # The library would put the table at the end, without the comments in it.
    renamed = partial(with_table_renamed, path=("profile", old), to=new)
    _rewrite(config, change, cut=renamed, check=check)


def begin(config: Path, text: str) -> None:
    """Make a config.toml of this text where there is none. Raises SettingsError."""
    _rewrite(config, lambda _: None, text)


def add_trusted_site(config: Path, site: Site) -> None:
    """Add a site to trusted_sites in config.toml. Raises SettingsError."""

    def change(document: Document) -> None:
        import tomlkit

        sites = document.setdefault("trusted_sites", tomlkit.array())
        if str(site) not in sites:
            sites.append(str(site))

    _rewrite(config, change)


def _rewrite(
    config: Path,
    change: Callable[[Document], None],
    preface: str = "",
    cut: Callable[[str], str] = str,
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Change config.toml in place, under a lock; return whether that changed it.

    `cut` does to the text what `change` would do to the document. `check` is called under the
    lock, before the change.
    """
    file = config.resolve()

    def texts() -> tuple[str, str]:
        before = (
            retry_while_open(lambda: file.read_text(encoding="utf-8-sig")) if file.exists() else ""
        )
        after = _changed(before or preface, change, cut)
        if after is None:
            raise SettingsError(
                f"{file} is written in a way that cannot be changed safely.",
                hint="Give each profile a table, [profile.NAME]: `soe-auth config edit`.",
            )
        return before, after

    try:
        before, after = texts()
        if after != before:
            make_directory(file.parent)
            with locked(config.parent / LOCKS / ".config.lock"):
                check()
                before, after = texts()  # another process may have been faster
                write_private(file, after.encode())
    except OSError as problem:
        raise SettingsError(
            f"{file} could not be written: {problem.strerror or problem}.",
            hint="See that the file and its directory are yours, and that the disk has room.",
        ) from None
    return after != before


def _changed(
    text: str, change: Callable[[Document], None], cut: Callable[[str], str]
) -> str | None:
    """Change a TOML document, and return it only if it says what it should say then.

    The library puts a key into the wrong table where one is spread over dotted keys.
    """
    import tomllib

    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document, meant = tomlkit.parse(cut(text)), tomllib.loads(text)
        change(document)
        change(meant)
        after = tomlkit.dumps(document)
        return after if tomllib.loads(after) == meant else None
    except (ValueError, TOMLKitError):
        return None
