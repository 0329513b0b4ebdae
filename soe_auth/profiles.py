"""The one place that writes config.toml: what a person has decided is kept, the rest stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.errors import SettingsError
from soe_auth.files import write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tomlkit import TOMLDocument

    from soe_auth.site import Site


def remember(config: Path, profile: str, values: Mapping[str, str | int]) -> bool:
    """Set the given keys of a profile in config.toml; return whether that changed the file.

    Comments and all the rest stay; a link is followed, as people keep such files elsewhere. The
    first profile becomes the default. Raises SettingsError.
    """
    import tomlkit
    from tomlkit.items import Table

    def change(document: TOMLDocument) -> None:
        if "profile" not in document:
            document.setdefault("default_profile", profile)
            document["profile"] = tomlkit.table(is_super_table=True)
        profiles = document["profile"]
        assert isinstance(profiles, Table)  # noqa: S101  # config_files.py has checked its shape
        profiles.setdefault(profile, tomlkit.table()).update(values)

    return _rewrite(config, change)


def trust(config: Path, site: Site) -> None:
    """Add a site to trusted_sites in config.toml. Raises SettingsError."""

    def change(document: TOMLDocument) -> None:
        import tomlkit

        document.setdefault("trusted_sites", tomlkit.array()).append(str(site))

    _rewrite(config, change)


def _rewrite(config: Path, change: Callable[[TOMLDocument], None]) -> bool:
    """Change config.toml in place; return whether that changed it."""
    import tomlkit

    try:
        config = config.resolve()
        before = config.read_text(encoding="utf-8") if config.exists() else ""
        document = tomlkit.parse(before)
        change(document)
        after = tomlkit.dumps(document)
        if after != before:
            config.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(config, after.encode())
    except OSError as problem:
        raise SettingsError(
            f"{config} could not be written: {problem.strerror or problem}."
        ) from None
    return after != before
