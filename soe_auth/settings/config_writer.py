"""Write config.toml: only the given values change; comments and everything else stay."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soe_auth.errors import SettingsError
from soe_auth.files.atomic_write import locked, make_directory, write_private
from soe_auth.files.private_read import retry_while_open
from soe_auth.settings import LOCKS
from soe_auth.settings.toml_position import with_table_renamed, without_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from soe_auth.model.site import Site
    from soe_auth.settings.spec import Stored

Document = MutableMapping[str, Any]  # a TOML document of tomlkit, or a dict of tomllib


def write_settings(
    config: Path,
    profile: str | None,
    values: Mapping[str, Stored],
    *,
    preface: str = "",
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Set keys of a profile, or of the top for None; return whether that changed config.toml.

    The first profile becomes the default. A new file begins with `preface`, which is TOML. `check`
    is called under the lock and may raise to prevent the change. Raises SettingsError.
    """
    import tomlkit

    def change(document: Document) -> None:
        if profile is None:
            document.update(values)
            return
        if "profile" not in document:
            document.setdefault("default_profile", profile)
            document["profile"] = tomlkit.table(is_super_table=True)
        document["profile"].setdefault(profile, tomlkit.table()).update(values)

    return _rewrite(config, change, preface, check=check)


def remove_setting(config: Path, profile: str | None, key: str) -> bool:
    """Remove a key from a profile, or from the top for None; return whether it existed.

    A table is not removed. Raises SettingsError.
    """

    def change(document: Document) -> None:
        profiles = document.get("profile", {})
        table = document if profile is None else profiles.get(profile, {})
        if not isinstance(table.get(key), Mapping):
            table.pop(key, None)

    return _rewrite(config, change)


def remove_profile(config: Path, profile: str) -> bool:
    """Remove a profile, also as the default; return whether it existed. Raises SettingsError."""

    def change(document: Document) -> None:
        if document.get("default_profile") == profile:
            del document["default_profile"]
        profiles = document.get("profile", {})
        profiles.pop(profile, None)
        if not profiles:
            document.pop("profile", None)

    # tomlkit would also remove the comments above the next table.
    return _rewrite(config, change, edit=lambda text: without_table(text, "profile", profile))


def rename_profile(config: Path, old: str, new: str, *, check: Callable[[], None]) -> None:
    """Rename a profile, also the default; `check` as in `write_settings`. Raises SettingsError."""

    def change(document: Document) -> None:
        if document.get("default_profile") == old:
            document["default_profile"] = new
        profiles = document.get("profile", {})
        if old in profiles:
            profiles[new] = profiles.pop(old)

    # tomlkit would move the table to the end, without its comments.
    edit = partial(with_table_renamed, path=("profile", old), to=new)
    _rewrite(config, change, edit=edit, check=check)


def create_config(config: Path, text: str) -> None:
    """Create config.toml with this text unless it exists. Raises SettingsError."""
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
    edit: Callable[[str], str] = str,
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Change config.toml under a lock; return whether that changed it.

    `edit` changes the text before `change`, where tomlkit alone would lose comments. A symbolic
    link is followed: users keep such files elsewhere.
    """
    # `resolve` raises RuntimeError for a link to itself, before Python 3.13.
    file = Path(os.path.realpath(config))

    def texts() -> tuple[str, str]:
        before = ""
        with suppress(FileNotFoundError):
            before = retry_while_open(lambda: file.read_text(encoding="utf-8-sig"))
        after = _changed(before or preface, change, edit)
        if after is None:
            raise SettingsError(
                f"Cannot change {file} safely: a profile has no table of its own.",
                hint="Give each profile a table, [profile.NAME]: `soe-auth config edit`.",
            )
        return before, after

    try:
        before, after = texts()
        if after != before:
            make_directory(file.parent)
            with locked(config.parent / LOCKS / ".config.lock"):
                check()
                before, after = texts()  # another process may have changed it meanwhile
                write_private(file, after.encode())
    except OSError as problem:
        raise SettingsError(
            f"Cannot write {file}: {problem.strerror or problem}.",
            hint="Check that the file and its directory are yours, and that the disk is not full.",
        ) from None
    return after != before


def _changed(
    text: str, change: Callable[[Document], None], edit: Callable[[str], str]
) -> str | None:
    """Return the changed TOML document; None if its content is not the expected one.

    tomlkit puts a key into the wrong table where a table is spread over dotted keys.
    """
    import tomllib

    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document, expected = tomlkit.parse(edit(text)), tomllib.loads(text)
        change(document)
        change(expected)
        after = tomlkit.dumps(document)
        return after if tomllib.loads(after) == expected else None
    except (ValueError, TOMLKitError):
        return None
