"""The files that settings are written in: the user's, the system's, and a project's own.

A project file comes with a repository, and so from anybody: it may say which site is asked for
what, and nothing else.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from soe_auth.errors import SettingsError
from soe_auth.profile_name import read_profile_name
from soe_auth.project_places import PYPROJECT, project_places
from soe_auth.site import Site
from soe_auth.text import printable
from soe_auth.toml_lines import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

PROJECT_KEYS = ("site", "client_id", "scope", "profile")

CONFIG_KEYS = ("default_profile", "trusted_sites")

_LIST_KEYS = ("scope",)  # what a person may write as a list as well
_LONGEST_PATH = 400  # as it is shown
_LARGEST_PROJECT_FILE = 256 * 1024
# tomllib takes time and memory with the square of a dotted key's length, and a key is one line.
_MOST_DOTS_IN_A_LINE = 500
_LONGEST_INTEGER = 64  # bits; the text of longer ones may be longer than Python will make
_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
_POSIX = os.name == "posix"
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # to open a pipe would else wait for who writes to it


@dataclass(frozen=True, slots=True)
class Table:
    """A table of settings; the values are text, as a person types them.

    `file` is the path of its file as it is shown, `text` all that stands there, `path` the name of
    the table in it.
    """

    file: str
    text: str = field(repr=False)
    path: tuple[str, ...]
    values: Mapping[str, str] = field(repr=False)

    @property
    def origin(self) -> str:
        """Where it is, for a person."""
        return (
            f"{self.file} [profile.{self.path[1]}]" if self.path[:1] == ("profile",) else self.file
        )

    def place(self, *key: str) -> str:
        """Where a key of it is, with the line."""
        line = line_of(self.text, *self.path, *key)
        return self.origin if line is None else f"{self.origin}, line {line}"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A config.toml, checked for shape."""

    path: Path
    top: Table
    default_profile: str | None
    profiles: Mapping[str, Table]
    trusted_sites: Sequence[Site]

    @property
    def tables(self) -> Sequence[Table]:
        """All its tables of settings."""
        return [self.top, *self.profiles.values()]


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

    @property
    def trusted_sites(self) -> list[Site]:
        """The sites outside the cloud that a project file may name without a question."""
        return [site for file in self.files for site in file.trusted_sites]

    def tables(self, profile: str) -> Iterator[Table]:
        """Yield each table that holds for a profile, strongest first."""
        for file in self.files:
            if profile in file.profiles:
                yield file.profiles[profile]
            yield file.top

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
        tables = [table for file in self.files for table in file.tables]
        named = any(_means(table.values.get("site"), site) for table in tables)
        return named or site in self.trusted_sites

    def _site(self, profile: str) -> str | None:
        return next((t.values["site"] for t in self.tables(profile) if "site" in t.values), None)


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """What a project file says; `site` is the one among the settings of its table."""

    table: Table
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
    for place in project_places(str(start)):
        origin = printable(place, _LONGEST_PATH)
        if (found := _project_table(place, origin)) is not None:
            return _project_file(*found, keys)
    return None


def read_handout(stream: BinaryIO, origin: str, keys: Sequence[str]) -> ProjectFile:
    """Read a project file that a person has named, whoever it belongs to.

    `origin` is where it is from, fit to be shown. Raises SettingsError and OSError.
    """
    values, text = _parse_bounded(stream.read(_LARGEST_PROJECT_FILE + 1), origin)
    return _project_file(Table(origin, text, (), {}), values, keys)


def check_profile_name(name: str) -> None:
    """Raise SettingsError if this cannot be a profile's name."""
    try:
        read_profile_name(name)
    except ValueError as problem:
        raise SettingsError(
            f"{printable(name, 80)!r} cannot be the name of a profile: {problem}."
        ) from None


def no_such_key(key: str, known: Iterable[str], place: str | None = None) -> SettingsError:
    """Return the error that says so, and names the nearest that there is."""
    from difflib import get_close_matches

    nearest = get_close_matches(key[:80], known, n=1)
    return SettingsError(
        f"{f'{place}: t' if place else 'T'}here is no setting {printable(key, 80)!r}.",
        hint=f"Did you mean {nearest[0]}?" if nearest else f"There are {', '.join(known)}.",
    )


def _config_file(path: Path, keys: Sequence[str]) -> ConfigFile:
    try:
        data = path.read_bytes()
    except OSError as problem:
        if problem.errno not in _NO_SUCH_FILE:
            raise SettingsError(f"{path} cannot be read: {problem.strerror}.") from None
        data = b""
    values, text = _parse(data, str(path))
    top = Table(str(path), text, (), {})
    profiles = values.pop("profile", {})
    default = values.pop("default_profile", None)
    trusted = values.pop("trusted_sites", [])
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise SettingsError(
            f"{top.place('profile')}: write each profile as a table, [profile.NAME]."
        )
    for name in profiles:
        _check_name(name, top, "profile", name)
    return ConfigFile(
        path,
        _checked(top, values, keys, CONFIG_KEYS),
        None if default is None else _profile(default, "default_profile", top),
        {
            name: _checked(Table(str(path), text, ("profile", name), {}), values, keys)
            for name, values in profiles.items()
        },
        _sites(trusted, top),
    )


def _project_table(path: str, origin: str) -> tuple[Table, dict[str, Any]] | None:
    """Return the table that is about us, and what is in it; None where there is none."""
    data, is_pyproject = _read_ours(path), path.endswith(PYPROJECT)
    # The marker comes first: other tools' files are none of our business, broken or not.
    if data is None or (is_pyproject and b"soe-auth" not in data):
        return None
    values, text = _parse_bounded(data, origin)
    if not is_pyproject:
        return Table(origin, text, (), {}), values
    tool = values.get("tool")
    own = tool.get("soe-auth") if isinstance(tool, dict) else None
    if own is None:
        return None
    table = Table(origin, text, ("tool", "soe-auth"), {})
    if not isinstance(own, dict):
        raise SettingsError(f"{table.place()}: write the settings as a table, [tool.soe-auth].")
    return table, own


def _parse_bounded(data: bytes, origin: str) -> tuple[dict[str, Any], str]:
    """Parse what comes from anybody."""
    if len(data) > _LARGEST_PROJECT_FILE or any(
        line.count(b".") > _MOST_DOTS_IN_A_LINE for line in data.splitlines()
    ):
        raise SettingsError(f"{origin} is too large, or has too long a key, to be read.")
    return _parse(data, origin)


def _read_ours(path: str) -> bytes | None:
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


def _project_file(table: Table, values: dict[str, Any], keys: Sequence[str]) -> ProjectFile:
    for key in values:
        if key not in PROJECT_KEYS and key in (*keys, *CONFIG_KEYS):
            raise SettingsError(
                f"{table.place(key)}: a project file may not set {key}.",
                hint=f"It may set {', '.join(PROJECT_KEYS)}; your own config.toml, all settings.",
            )
    profile = values.pop("profile", None)
    table = _checked(table, values, PROJECT_KEYS)
    site = table.values.get("site")
    if "client_id" in values and site is None:
        raise SettingsError(
            f"{table.place('client_id')}: client_id needs the site beside it.",
            hint="A client ID is a number that one site has given, and means nothing to another.",
        )
    return ProjectFile(
        table,
        None if site is None else _site(site, table, "site"),
        None if profile is None else _profile(profile, "profile", table),
    )


def _parse(data: bytes, origin: str) -> tuple[dict[str, Any], str]:
    """Return what a TOML file says, and its text."""
    import tomllib

    try:
        text = data.decode()
        return tomllib.loads(text), text
    except RecursionError:
        raise SettingsError(f"{origin} is nested too deep to be read.") from None
    except ValueError as problem:
        raise SettingsError(f"{origin} is not valid TOML: {printable(str(problem))}.") from None


def _check_name(name: str, table: Table, *key: str) -> None:
    try:
        check_profile_name(name)
    except SettingsError as problem:
        raise SettingsError(f"{table.place(*key)}: {problem}") from None


def _profile(value: object, key: str, table: Table) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{table.place(key)}: {key} is the name of a profile, in quotes.")
    _check_name(value, table, key)
    return value


def _sites(value: object, table: Table) -> list[Site]:
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return [_site(text, table, "trusted_sites") for text in value]
    place = table.place("trusted_sites")
    raise SettingsError(f"trusted_sites (from {place}): write a list of sites, each in quotes.")


def _site(text: str, table: Table, key: str) -> Site:
    try:
        return Site.parse(text)
    except ValueError as problem:
        raise SettingsError(f"{key} (from {table.place(key)}): {problem}.") from None


def _checked(
    table: Table, values: Mapping[str, object], known: Sequence[str], others: Sequence[str] = ()
) -> Table:
    """Check the keys of a table, and return it with its values as a person would type them.

    `others` are keys that it may have and that are no settings; they have been taken out.
    """
    for key in values:
        if key not in known:
            raise no_such_key(key, (*known, *others), table.place(key))
    return replace(table, values={key: _as_text(key, values[key], table) for key in values})


def _as_text(key: str, value: object, table: Table) -> str:
    match value:
        case str():
            return value
        case int() if not isinstance(value, bool) and value.bit_length() <= _LONGEST_INTEGER:
            return str(value)
        case list() if key in _LIST_KEYS and all(isinstance(item, str) for item in value):
            return ",".join(value)
    or_list = ", or as a list of such" if key in _LIST_KEYS else ""
    raise SettingsError(f"{key} (from {table.place(key)}): write it as text in quotes{or_list}.")


def _means(text: str | None, site: Site) -> bool:
    try:
        return text is not None and Site.parse(text) == site
    except ValueError:
        return False
