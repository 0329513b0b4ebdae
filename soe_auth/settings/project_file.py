"""The file of a project, which comes with its repository, and so from anybody.

It may say which site is asked for what, and nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from soe_auth.errors import SettingsError
from soe_auth.files.private_read import read_trusted
from soe_auth.model.text import printable
from soe_auth.settings.config_files import CONFIG_KEYS, TomlTable, parse_toml
from soe_auth.settings.spec import BY_KEY, CLIENT_ID, SCOPE, SITE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from soe_auth.model.site import Site
    from soe_auth.settings.config_files import Configs

PYPROJECT = "pyproject.toml"
_NAMES = (".soe-auth.toml", PYPROJECT)
_MARK = ".git"  # a directory, or a file in work trees and submodules

PROJECT_KEYS = (SITE.key, CLIENT_ID.key, SCOPE.key, "profile")

_LONGEST_PATH = 400  # as it is shown
_LARGEST_FILE = 256 * 1024
# tomllib takes a step for each dot of a header, at each key below it, and at each dot of that.
_MOST_STEPS = 3_000_000


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """What a project file says; `site` is the one among the settings of its table."""

    table: TomlTable
    site: Site | None
    profile: str | None

    def profiles(self, configs: Configs) -> list[str]:
        """Return the profile that it means, or several if that cannot be told; none if any."""
        if self.profile is not None:
            return [self.profile]
        return [] if self.site is None else configs.profiles_of(self.site)

    def is_for(self, named: str | None, stated: Site | None, configs: Configs) -> bool:
        """Whether it means the profile and the site that a person has named, if they have.

        Its values stand or fall together, so that none of them meets a site or a profile that the
        file was not written for.
        """
        if named is None and stated is None:
            return True
        if self.site is not None and stated is not None and self.site != stated:
            return False
        own, site = self.profiles(configs), self.site or stated
        if site is not None and any(configs.is_taken(name, site) for name in own):
            return False
        return named is None or not own or own == [named]


def find_project(cwd: Callable[[], Path]) -> ProjectFile | None:
    """Find the project file that holds in a directory, from there up to its repository's root.

    Outside a repository only the directory itself is looked at. A file that is neither ours nor
    root's is left alone: any user who may write above, as in /tmp, could else set them.
    Raises SettingsError.
    """
    try:
        start = cwd()
    except OSError:  # it was removed, or we may not know it
        return None
    for place in project_places(str(start)):
        origin = printable(place, _LONGEST_PATH)
        if (found := _project_table(place, origin)) is not None:
            return _project_file(*found)
    return None


def read_shared_config(stream: BinaryIO, origin: str) -> ProjectFile:
    """Read a project file that a user has named, of any owner.

    `origin` is where it is from, fit to be shown. Raises SettingsError and OSError.
    """
    values, text = _parse(stream.read(_LARGEST_FILE + 1), origin)
    return _project_file(TomlTable(origin, text), values)


def _project_table(path: str, origin: str) -> tuple[TomlTable, dict[str, Any]] | None:
    """Return the table that is about us, and what is in it; None where there is none."""
    data, is_pyproject = _read_ours(path), path.endswith(PYPROJECT)
    # The marker comes first: other tools' files are none of our business, broken or not.
    if data is None or (is_pyproject and b"soe-auth" not in data):
        return None
    values, text = _parse(data, origin)
    if not is_pyproject:
        return TomlTable(origin, text), values
    tool = values.get("tool")
    own = tool.get("soe-auth") if isinstance(tool, dict) else None
    if own is None:
        return None
    table = TomlTable(origin, text, ("tool", "soe-auth"))
    if not isinstance(own, dict):
        raise SettingsError(f"{table.place()}: write the settings as a table, [tool.soe-auth].")
    return table, own


def _parse(data: bytes, origin: str) -> tuple[dict[str, Any], str]:
    """Parse what comes from anybody."""
    dots = [line.count(b".") for line in data.splitlines()]
    if len(data) > _LARGEST_FILE or max(dots, default=0) * (sum(dots) + len(dots)) > _MOST_STEPS:
        raise SettingsError(
            f"{origin} is too large, or has too long keys, to be read.",
            hint="Put the settings into a file of their own, a .soe-auth.toml beside it.",
        )
    return parse_toml(data, origin)


def _read_ours(path: str) -> bytes | None:
    """Read a file that, like a link to it, is ours or root's; None for any other, and a pipe.

    One byte more than the limit tells that there is more.
    """
    try:
        return read_trusted(path, _LARGEST_FILE + 1, is_shared=True)
    except OSError:
        return None


def _project_file(table: TomlTable, values: dict[str, Any]) -> ProjectFile:
    for key in values:
        if key not in PROJECT_KEYS and key in (*BY_KEY, *CONFIG_KEYS):
            raise SettingsError(
                f"{table.place(key)}: a project file may not set {key}.",
                hint=f"It may set {', '.join(PROJECT_KEYS)}; your own config.toml, all settings.",
            )
    profile = values.pop("profile", None)
    table = table.with_values(values, PROJECT_KEYS)
    if CLIENT_ID.key in values and SITE.key not in values:
        raise SettingsError(
            f"{table.place('client_id')}: client_id needs the site beside it.",
            hint="Write the site as well: a client ID means nothing to another one.",
        )
    return ProjectFile(
        table,
        table.read(SITE) if SITE.key in values else None,
        None if profile is None else table.profile_name(profile, "profile"),
    )


def project_places(directory: str) -> list[str]:
    """Return the paths at which its project file may be, the strongest first.

    They go up to the root of its repository; outside of one, only the directory itself counts.
    """
    marks = repository_marks(directory)
    inside = os.path.lexists(marks[-1])
    directories = [os.path.dirname(mark) for mark in marks] if inside else [directory]
    return [os.path.join(each, name) for each in directories for name in _NAMES]


def repository_marks(directory: str) -> list[str]:
    """Return the paths at which a mark decides where its repository begins; the last has one.

    Outside of a repository none has, up to the root of the file system.
    """
    marks = []
    while True:
        marks.append(os.path.join(directory, _MARK))
        parent = os.path.dirname(directory)
        if parent == directory or os.path.lexists(marks[-1]):
            return marks
        directory = parent
