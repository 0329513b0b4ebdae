"""The one place that writes config.toml: a profile is remembered, all the rest stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.errors import SettingsError
from soe_auth.files import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def remember(config: Path, profile: str, values: Mapping[str, str | int]) -> bool:
    """Set the given keys of a profile in config.toml; return whether that changed the file.

    Comments and all the rest stay; a link is followed, as people keep such files elsewhere. The
    first profile becomes the default. Raises SettingsError.
    """
    import tomlkit
    from tomlkit.items import Table

    try:
        config = config.resolve()
        before = config.read_text(encoding="utf-8") if config.exists() else ""
        document = tomlkit.parse(before)
        if "profile" not in document:
            document.setdefault("default_profile", profile)
            document["profile"] = tomlkit.table(is_super_table=True)
        profiles = document["profile"]
        assert isinstance(profiles, Table)  # noqa: S101  # settings.py has checked its shape
        profiles.setdefault(profile, tomlkit.table()).update(values)
        after = tomlkit.dumps(document)
        if after != before:
            config.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(config, after.encode())
    except OSError as problem:
        raise SettingsError(f"{config} could not be written: {problem.strerror}.") from None
    return after != before
