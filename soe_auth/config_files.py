"""The files that settings are written in: the user's, the system's, and a project's own.

A project file comes with a repository, and so from anybody: it may say which site is asked for
what, and nothing else.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soe_auth.errors import SettingsError
from soe_auth.profile_name import read_profile_name
from soe_auth.site import Site
from soe_auth.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

PROJECT_KEYS = ("site", "client_id", "scope", "profile")

_CONFIG_KEYS = ("default_profile", "trusted_sites")
_PYPROJECT = "pyproject.toml"
_PROJECT_FILES = (".soe-auth.toml", _PYPROJECT)
_LONGEST_PATH = 400  # as it is shown
_LARGEST_PROJECT_FILE = 256 * 1024
# tomllib takes time and memory with the square of a dotted key's length, and a key is one line.
_MOST_DOTS_IN_A_LINE = 500
_LONGEST_INTEGER = 64  # bits; the text of longer ones may be longer than Python will make
_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
_POSIX = os.name == "posix"
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # to open a pipe would else wait for who writes to it


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A config.toml, checked for shape; the values of settings are text, as a person types them."""

    path: Path
    values: Mapping[str, str]
    default_profile: str | None
    profiles: Mapping[str, Mapping[str, str]]
    trusted_sites: Sequence[Site]


@dataclass(frozen=True, slots=True)
class Configs:
    """The config.toml files together, strongest first, and what they say of profiles and sites."""

    files: Sequence[ConfigFile]

    @property
    def profiles(self) -> list[str]:
        """The names of all profiles, sorted."""
        return sorted({name for file in self.files for name in file.profiles})

    @property
    def default_profile(self) -> str | None:
        """The profile that is used where none is named."""
        return next((f.default_profile for f in self.files if f.default_profile), None)

    def tables(self, profile: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield each table that holds for a profile, strongest first, behind its place."""
        for file in self.files:
            yield f"{file.path} [profile.{profile}]", file.profiles.get(profile, {})
            yield str(file.path), file.values

    def profiles_of(self, site: Site) -> list[str]:
        """Return the profiles of a site: the one that has its name, or all there are.

        A site without any gets one of its name.
        """
        names = [name for name in self.profiles if _means(self._site(name), site)]
        return [site.short_name] if site.short_name in names or not names else names

    def is_taken(self, profile: str, site: Site) -> bool:
        """Whether there is a profile of that name for another site."""
        own = self._site(profile) if profile in self.profiles else None
        return own is not None and not _means(own, site)

    def name_site(self, site: Site) -> bool:
        """Whether the files name a site, in a profile, at their top, or as a trusted one."""
        tables = [t for file in self.files for t in (file.values, *file.profiles.values())]
        return any(_means(table.get("site"), site) for table in tables) or any(
            site in file.trusted_sites for file in self.files
        )

    def _site(self, profile: str) -> str | None:
        return next((t["site"] for _, t in self.tables(profile) if "site" in t), None)


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """What a project file says; `origin` is its path, fit to be shown.

    `values` are those of settings, as text; `site` is the one among them.
    """

    origin: str
    values: Mapping[str, str]
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


def read_configs(paths: Sequence[Path], keys: Sequence[str]) -> Configs:
    """Read the config.toml files, strongest first, in which settings have these keys.

    One that is not there is empty. Raises SettingsError, which names the file and what is wrong.
    """
    return Configs([_config_file(path, keys) for path in paths])


def find_project(cwd: Callable[[], Path], keys: Sequence[str]) -> ProjectFile | None:
    """Find the project file that holds in a directory, from there up to its repository's root.

    Outside a repository only the directory itself is looked at. A file that is neither ours nor
    root's is left alone: whoever may write somewhere above, as in /tmp, would else speak for us.
    `keys` are those of all settings. Raises SettingsError.
    """
    try:
        start = cwd()
    except OSError:  # it was removed, or we may not know it
        return None
    for directory in _up_to_the_root(start):
        for name in _PROJECT_FILES:
            path = directory / name
            origin = printable(str(path), _LONGEST_PATH)
            if (table := _project_table(path, origin)) is not None:
                return _project_file(table, origin, keys)
    return None


def check_profile_name(name: str, place: str = "") -> None:
    """Raise SettingsError if this cannot be a profile's name; `place` is put before its text."""
    try:
        read_profile_name(name)
    except ValueError as problem:
        raise SettingsError(
            f"{place}{printable(name, 80)!r} cannot be the name of a profile: {problem}."
        ) from None


def _config_file(path: Path, keys: Sequence[str]) -> ConfigFile:
    try:
        table = _parse(path.read_bytes(), str(path))
    except OSError as problem:
        if problem.errno not in _NO_SUCH_FILE:
            raise SettingsError(f"{path} cannot be read: {problem.strerror}.") from None
        table = {}
    profiles = table.pop("profile", {})
    default = table.pop("default_profile", None)
    trusted = table.pop("trusted_sites", [])
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise SettingsError(f"{path}: write each profile as a table, [profile.NAME].")
    for name in profiles:
        check_profile_name(name, f"{path}: ")
    return ConfigFile(
        path,
        _texts(table, str(path), keys),
        None if default is None else _profile(default, "default_profile", str(path)),
        {name: _texts(p, f"{path} [profile.{name}]", keys) for name, p in profiles.items()},
        _sites(trusted, f"trusted_sites (from {path})"),
    )


def _up_to_the_root(start: Path) -> Sequence[Path]:
    directories = [start, *start.parents]
    for count, directory in enumerate(directories, 1):
        if os.path.lexists(directory / ".git"):  # a file in work trees and submodules
            return directories[:count]
    return [start]


def _project_table(path: Path, origin: str) -> dict[str, Any] | None:
    """Return the table that is about us, or None where the file has none or is not there."""
    data = _read_ours(path)
    # The marker comes first: other tools' files are none of our business, broken or not.
    if data is None or (path.name == _PYPROJECT and b"soe-auth" not in data):
        return None
    if len(data) > _LARGEST_PROJECT_FILE or any(
        line.count(b".") > _MOST_DOTS_IN_A_LINE for line in data.splitlines()
    ):
        raise SettingsError(f"{origin} is too large, or has too long a key, to be read.")
    table = _parse(data, origin)
    if path.name != _PYPROJECT:
        return table
    tool = table.get("tool")
    own = tool.get("soe-auth") if isinstance(tool, dict) else None
    if own is None or isinstance(own, dict):
        return own
    raise SettingsError(f"{origin}: write the settings as a table, [tool.soe-auth].")


def _read_ours(path: Path) -> bytes | None:
    """Read a file that is ours or root's; None for any other, for a pipe, and for none at all.

    One byte more than the limit tells that there is more.
    """

    def without_waiting(name: str, flags: int) -> int:
        return os.open(name, flags | _NO_WAIT)

    try:
        with open(path, "rb", opener=without_waiting) as stream:
            status = os.fstat(stream.fileno())
            trusted = not _POSIX or status.st_uid in (os.geteuid(), 0)
            if not stat.S_ISREG(status.st_mode) or not trusted:
                return None
            return stream.read(_LARGEST_PROJECT_FILE + 1)
    except OSError:
        return None


def _project_file(table: dict[str, Any], origin: str, keys: Sequence[str]) -> ProjectFile:
    for key in table:
        if key not in PROJECT_KEYS and key in (*keys, *_CONFIG_KEYS):
            raise SettingsError(
                f"{origin}: a project file may not set {key}.",
                hint=f"It may set {', '.join(PROJECT_KEYS)}; your own config.toml, all settings.",
            )
    profile = table.pop("profile", None)
    values = _texts(table, origin, PROJECT_KEYS)
    if "client_id" in values and "site" not in values:
        raise SettingsError(
            f"{origin}: client_id needs the site beside it.",
            hint="A client ID is a number that one site has given, and means nothing to another.",
        )
    return ProjectFile(
        origin,
        values,
        _site(values["site"], f"site (from {origin})") if "site" in values else None,
        None if profile is None else _profile(profile, "profile", origin),
    )


def _parse(data: bytes, origin: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(data.decode())
    except RecursionError:
        raise SettingsError(f"{origin} is nested too deep to be read.") from None
    except ValueError as problem:
        raise SettingsError(f"{origin} is not valid TOML: {printable(str(problem))}.") from None


def _profile(value: object, key: str, origin: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{origin}: {key} is the name of a profile, in quotes.")
    check_profile_name(value, f"{origin}: ")
    return value


def _sites(value: object, origin: str) -> list[Site]:
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return [_site(text, origin) for text in value]
    raise SettingsError(f"{origin}: write a list of sites, each in quotes.")


def _site(text: str, origin: str) -> Site:
    try:
        return Site.parse(text)
    except ValueError as problem:
        raise SettingsError(f"{origin}: {problem}.") from None


def _texts(table: Mapping[str, object], origin: str, known: Sequence[str]) -> dict[str, str]:
    """Check the keys of a TOML table, and return its values as a person would type them."""
    for key in table:
        if key not in known:
            from difflib import get_close_matches

            nearest = get_close_matches(key[:80], known, n=1)
            raise SettingsError(
                f"{origin}: there is no setting {printable(key, 80)!r}.",
                hint=f"Did you mean {nearest[0]}?" if nearest else f"There are {', '.join(known)}.",
            )
    return {key: _as_text(key, value, origin) for key, value in table.items()}


def _as_text(key: str, value: object, origin: str) -> str:
    match value:
        case str():
            return value
        case int() if not isinstance(value, bool) and value.bit_length() <= _LONGEST_INTEGER:
            return str(value)
        case list() if all(isinstance(item, str) for item in value):
            return ",".join(value)
    raise SettingsError(f"{key} (from {origin}): write it as text in quotes.")


def _means(text: str | None, site: Site) -> bool:
    try:
        return text is not None and Site.parse(text) == site
    except ValueError:
        return False
