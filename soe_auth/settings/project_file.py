"""Project files: settings in a repository, which is not trusted.

A project file may set a site, a client ID, a scope and a profile, and nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

_PYPROJECT = "pyproject.toml"
_NAMES = (".soe-auth.toml", _PYPROJECT)
_MARK = ".git"  # a directory, or a file in work trees and submodules

PROJECT_KEYS = (SITE.key, CLIENT_ID.key, SCOPE.key, "profile")

MAX_SHOWN_PATH = 400  # characters
MAX_FILE = 256 * 1024
# tomllib's time grows with the dots of a header, times the keys below it and their dots.
_MAX_STEPS = 3_000_000


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """The content of a project file; `site` is the parsed one of its table."""

    table: TomlTable
    site: Site | None
    profile: str | None

    def profiles(self, configs: Configs) -> list[str]:
        """Return the profiles that the file may be for; none means any profile."""
        if self.profile is not None:
            return [self.profile]
        return [] if self.site is None else configs.profiles_of(self.site)

    def is_for(self, named: str, stated: Site | None, configs: Configs) -> bool:
        """Whether the file is for the profile and the site that the user has named, if any.

        All its values apply or none, so that none is used with a site or a profile that the file
        was not written for.
        """
        if self.site is not None and stated not in (None, self.site):
            return False
        own, site = self.profiles(configs), self.site or stated
        if (named or stated) and site and any(configs.is_taken(name, site) for name in own):
            return False
        return not named or not own or own == [named]


def find_project(cwd: Callable[[], Path]) -> ProjectFile | None:
    """Find the project file of a directory, from there up to the root of its repository.

    Outside a repository, only the directory itself is searched. A file of another user, other than
    root, is ignored: in /tmp, any user could place one. Raises SettingsError.
    """
    try:
        directory = str(cwd())
    except OSError:  # the directory was removed, or cannot be read
        return None
    for path in project_places(directory):
        try:
            # One byte more than the limit shows that the file is larger.
            data = read_trusted(path, MAX_FILE + 1, is_shared=True)
        except OSError:
            continue
        if (project := _parse_project(data, path)) is not None:
            return project
    return None


def parse_shared_config(data: bytes, origin: str) -> ProjectFile:
    """Parse a project file that the user has named, of any owner.

    `origin` is its printable path. Raises SettingsError.
    """
    values, text = _parse_untrusted(data, origin)
    return _project_file(TomlTable(origin, text), values)


def project_places(directory: str) -> list[str]:
    """Return the paths of possible project files of a directory, in order of precedence."""
    marks = repository_marks(directory)
    inside = os.path.lexists(marks[-1])
    directories = [os.path.dirname(mark) for mark in marks] if inside else [directory]
    return [os.path.join(each, name) for each in directories for name in _NAMES]


def repository_marks(directory: str) -> list[str]:
    """Return the paths of `.git` from a directory up to its repository's root, or to the top.

    Inside a repository only the last one exists, outside none.
    """
    marks = []
    while True:
        marks.append(os.path.join(directory, _MARK))
        parent = os.path.dirname(directory)
        if parent == directory or os.path.lexists(marks[-1]):
            return marks
        directory = parent


def _parse_project(data: bytes, path: str) -> ProjectFile | None:
    """Parse a file; None for a pyproject.toml without a table for soe-auth."""
    origin = printable(path, MAX_SHOWN_PATH)
    is_pyproject = path.endswith(_PYPROJECT)
    # A pyproject.toml that is not for soe-auth may be invalid.
    if is_pyproject and b"soe-auth" not in data:
        return None
    values, text = _parse_untrusted(data, origin)
    if not is_pyproject:
        return _project_file(TomlTable(origin, text), values)
    tool = values.get("tool")
    own = tool.get("soe-auth") if isinstance(tool, dict) else None
    if own is None:
        return None
    table = TomlTable(origin, text, ("tool", "soe-auth"))
    if not isinstance(own, dict):
        raise SettingsError(f"Cannot read {table.place()}: write it as a table, [tool.soe-auth].")
    return _project_file(table, own)


def _parse_untrusted(data: bytes, origin: str) -> tuple[dict[str, Any], str]:
    """Parse untrusted TOML. Raises SettingsError, also if it would take too much time."""
    dots = [line.count(b".") for line in data.splitlines()]
    if len(data) > MAX_FILE or max(dots, default=0) * (sum(dots) + len(dots)) > _MAX_STEPS:
        raise SettingsError(
            f"Cannot read {origin}: it is too large, or its keys are too long.",
            hint="Move the settings to a file of their own, .soe-auth.toml beside it.",
        )
    return parse_toml(data, origin)


def _project_file(table: TomlTable, values: dict[str, Any]) -> ProjectFile:
    for key in values:
        if key not in PROJECT_KEYS and key in (*BY_KEY, *CONFIG_KEYS):
            raise SettingsError(
                f"Cannot read {table.place(key)}: a project file may not set {key}.",
                hint=f"It may set {', '.join(PROJECT_KEYS)}; your config.toml may set everything.",
            )
    profile = values.pop("profile", None)
    table = table.with_values(values, PROJECT_KEYS)
    if CLIENT_ID.key in values and SITE.key not in values:
        raise SettingsError(
            f"Cannot read {table.place(CLIENT_ID.key)}: client_id needs a site in the same file.",
            hint="Add the site: a client ID belongs to one site.",
        )
    return ProjectFile(
        table,
        table.read(SITE) if SITE.key in values else None,
        None if profile is None else table.profile_name(profile, "profile"),
    )
