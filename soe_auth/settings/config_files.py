"""The config.toml files, the user's and the system's, and what they contain."""

from __future__ import annotations

import errno
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

from soe_auth.errors import SettingsError
from soe_auth.files.private_read import OtherUsersError, read_trusted
from soe_auth.model.site import Site
from soe_auth.model.text import nearest, printable, read_profile_name
from soe_auth.settings.settings import find_paths
from soe_auth.settings.spec import BY_KEY, DEFAULT_PROFILE, SCOPE, SITE, TRUSTED_SITES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from soe_auth.settings.spec import Setting

T = TypeVar("T")

CONFIG_KEYS = (DEFAULT_PROFILE.key, TRUSTED_SITES.key)

_TOML_EXAMPLE = 'Write lines such as site = "acme", each text in quotes.'
_MAX_INTEGER_BITS = 64  # str() refuses much longer integers
_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}


@dataclass(frozen=True, slots=True)
class TomlTable:
    """A table of settings in a file; the values are text, as a user types them.

    `file` is the printable path of the file, `text` its whole content, `path` the name of the table
    in it.
    """

    file: str
    text: str = field(repr=False)
    path: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def origin(self) -> str:
        """The file, and the profile if the table is a profile's."""
        is_profile = self.path[:1] == ("profile",)
        return origin_of(self.file, self.path[1] if is_profile else None)

    def place(self, *key: str) -> str:
        """Return the origin of a key, with its line."""
        from soe_auth.settings.toml_position import line_of

        line = line_of(self.text, *self.path, *key)
        return self.origin if line is None else f"{self.origin}, line {line}"

    def read(self, setting: Setting[T]) -> T:
        """Parse a setting that the table has. Raises SettingsError with the place."""
        return read_setting(setting, self.values[setting.key], lambda: self.place(setting.key))

    def check(self) -> None:
        """Parse every setting in the table. Raises SettingsError with the place."""
        for key in self.values:
            self.read(BY_KEY[key])

    def profile_name(self, value: object, *key: str) -> str:
        """Return the profile name at a key. Raises SettingsError with the place."""
        if not isinstance(value, str):
            raise _wrong_type(key[-1], self.place(*key), "a profile name in quotes")
        check_profile_name(value, lambda: self.place(*key))
        return value

    def with_values(
        self, values: Mapping[str, object], known: Collection[str], *, tolerant: bool = False
    ) -> TomlTable:
        """Return this table with its TOML values as text; keys that are not in `known` are refused.

        Raises SettingsError with the place; with `tolerant`, leaves such a key out.
        """
        texts = {}
        checked = suppress(SettingsError) if tolerant else nullcontext()
        for key, value in values.items():
            with checked:
                if key not in known:
                    raise no_such_key(key, known, self.place(key))
                texts[key] = self._as_text(key, value)
        return replace(self, values=texts)

    def _as_text(self, key: str, value: object) -> str:
        is_list = key == SCOPE.key  # the only key whose value may also be a list
        is_number = key != SITE.key
        match value:
            case str():
                return value
            case int() if (
                is_number
                and not isinstance(value, bool)
                and value.bit_length() <= _MAX_INTEGER_BITS
            ):
                return str(value)
            case list() if is_list and all(isinstance(item, str) for item in value):
                return ",".join(value)
        expected = "text in quotes" + (", or a list of such" if is_list else "")
        raise _wrong_type(key, self.place(key), expected)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The content of a config.toml; the values of its tables are not parsed yet."""

    top: TomlTable
    default_profile: str | None
    profiles: Mapping[str, TomlTable]
    trusted_sites: Sequence[Site]

    @property
    def tables(self) -> Sequence[TomlTable]:
        """All its tables of settings."""
        return [self.top, *self.profiles.values()]


@dataclass(frozen=True)
class Configs:
    """The config.toml files together, in order of precedence."""

    files: Sequence[ConfigFile]

    @cached_property
    def profiles(self) -> list[str]:
        """The names of all profiles, sorted."""
        return sorted({name for file in self.files for name in file.profiles})

    @property
    def default_profile(self) -> str | None:
        """The profile to use if none is named."""
        return next((f.default_profile for f in self.files if f.default_profile), None)

    @property
    def default_profile_place(self) -> str:
        """The file and line of `default_profile`; empty if no file sets it."""
        tops = (file.top for file in self.files if file.default_profile)
        return next((top.place(DEFAULT_PROFILE.key) for top in tops), "")

    @property
    def trusted_sites(self) -> list[Site]:
        """The sites outside the cloud that a project file may name without consent."""
        return [site for file in self.files for site in file.trusted_sites]

    def tables_of(self, profile: str) -> Iterator[TomlTable]:
        """Yield each table that applies to a profile, in order of precedence."""
        for file in self.files:
            if profile in file.profiles:
                yield file.profiles[profile]
            yield file.top

    def site_of(self, profile: str) -> str | None:
        """Return the site of a profile as text; None if the profile or its site is missing."""
        tables = self.tables_of(profile) if profile in self.profiles else ()
        return next((t.values[SITE.key] for t in tables if SITE.key in t.values), None)

    def value_of(self, profile: str, setting: Setting[T]) -> T | None:
        """Return a profile's value in the files, or the default; None if it cannot be parsed."""
        for table in self.tables_of(profile):
            if setting.key in table.values:
                try:
                    return setting.read(table.values[setting.key])
                except ValueError:
                    return None
        return setting.default

    def profiles_of(self, site: Site) -> list[str]:
        """Return the profile that is named after a site, else all profiles of that site.

        If there is none, return the name for its first profile.
        """
        names = [name for name in self.profiles if _is_site(self.site_of(name), site)]
        default = site.default_profile_name
        return [default] if default in names or not names else names

    def all_of(self, site: Site) -> list[str]:
        """Return all profiles of a site, with one that has its default name and no site."""
        return [
            name
            for name in self.profiles
            if _is_site(own := self.site_of(name), site)
            or (own is None and name == site.default_profile_name)
        ]

    def is_taken(self, profile: str, site: Site) -> bool:
        """Whether a profile of that name belongs to another site."""
        own = self.site_of(profile)
        return own is not None and not _is_site(own, site)

    def has_site(self, site: Site) -> bool:
        """Whether any file names a site: in a profile, at the top or in trusted_sites."""
        texts = [table.values.get(SITE.key) for file in self.files for table in file.tables]
        return any(_is_site(text, site) for text in texts) or site in self.trusted_sites

    def require_profile(self, profile: str) -> None:
        """Raise SettingsError, with the names of all profiles, if this one does not exist."""
        if profile not in self.profiles:
            names = ", ".join(self.profiles) or "none yet"
            raise SettingsError(
                f"There is no profile {printable(profile, 80)}.",
                hint=f"There are: {names}."
                " `soe-auth login -p NAME --site SITE --client-id ID` adds one.",
            )

    def require_own_profile(self, profile: str) -> None:
        """Raise SettingsError for a profile that is not in the user's config.toml alone."""
        self.require_profile(profile)
        if any(profile in file.profiles for file in self.files[1:]):
            raise SettingsError(
                f"Cannot change profile {profile}: it is in the system's config.toml.",
                hint="Ask an administrator; `soe-auth config path` prints where that file is.",
            )

    def check_own(self) -> None:
        """Parse every value in the user's config.toml. Raises SettingsError."""
        own = self.files[0]
        for table in own.tables:
            table.check()
        default = own.default_profile
        if default not in (None, *self.profiles):
            place = own.top.place(DEFAULT_PROFILE.key)
            raise SettingsError(
                f"Cannot read {DEFAULT_PROFILE.key} from {place}: there is no profile {default}.",
                hint="Set it to a profile that exists: `soe-auth profile use NAME`.",
            )


def origin_of(file: Path | str, profile: str | None) -> str:
    """Return the text for the table of a profile in a file, or for the top of the file."""
    return f"{file} [profile.{profile}]" if profile else str(file)


def read_config_files(environ: Mapping[str, str], *, tolerant: bool = False) -> Configs:
    """Read the user's and the system's config.toml. Raises SettingsError.

    With `tolerant`, leave out unknown keys and values of a wrong type, so that the command that
    corrects or removes them can run.
    """
    return read_configs(find_paths(environ).files, tolerant=tolerant)


def read_configs(paths: Sequence[Path], *, tolerant: bool = False) -> Configs:
    """Read config.toml files in order of precedence; a missing file counts as empty.

    The first is the user's own; `tolerant` as in `read_config_files`. Raises SettingsError with the
    file and the problem.
    """
    return Configs(
        [_read_config(path, editable=path == paths[0], tolerant=tolerant) for path in paths]
    )


def parse_toml(data: bytes, origin: str) -> tuple[dict[str, Any], str]:
    """Return the content of a TOML file, and its text. Raises SettingsError."""
    if not data:  # as for a missing file; importing tomllib is slow
        return {}, ""
    import tomllib

    try:
        text = data.decode("utf-8-sig")  # editors on Windows write a byte order mark
        return tomllib.loads(text), text
    except RecursionError:
        problem = "it is nested too deeply"
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    except ValueError as error:
        problem = f"it is not valid TOML: {printable(str(error))}"
    raise SettingsError(f"Cannot read {origin}: {problem}.", hint=_TOML_EXAMPLE)


def read_setting(setting: Setting[T], text: str, place: Callable[[], str]) -> T:
    """Parse the text of a setting. Raises SettingsError with the place that it comes from."""
    try:
        return setting.read(text)
    except ValueError as problem:
        quoted = setting.quote(text)  # empty for a password
        del text  # a traceback could show it
        name = f"{setting.key} {quoted}" if quoted else setting.key
        raise SettingsError(f"Cannot read {name} from {place()}: {problem}.") from None


def check_profile_name(name: str, place: Callable[[], str] | None = None) -> None:
    """Raise SettingsError, with the place if given, if the profile name is not valid."""
    try:
        read_profile_name(name)
    except ValueError as problem:
        source = place() if place else ""
        origin = f" from {source}" if source else ""
        raise SettingsError(
            f"Cannot use profile name {printable(name, 80)!r}{origin}: {problem}."
        ) from None


def no_such_key(key: str, known: Iterable[str], place: str | None = None) -> SettingsError:
    """Return an error for an unknown setting, with the nearest known one."""
    meant = nearest(key, known)
    name = printable(key, 80)
    return SettingsError(
        f"Cannot read {place}: there is no setting {name!r}."
        if place
        else f"There is no setting {name!r}.",
        hint=f"Did you mean {meant}?" if meant else f"There are {', '.join(known)}.",
    )


def _read_config(path: Path, *, editable: bool, tolerant: bool) -> ConfigFile:
    data = _read_bytes(path)
    try:
        return _parse_config(path, data, tolerant=tolerant)
    except SettingsError as problem:
        if not editable:
            raise
        hint = f"{problem.hint} `soe-auth config edit` opens the file.".lstrip()
        raise SettingsError(str(problem), hint=hint) from None


def _parse_config(path: Path, data: bytes, *, tolerant: bool) -> ConfigFile:
    values, text = parse_toml(data, str(path))
    top = TomlTable(str(path), text)
    profiles = values.pop("profile", {})
    default = values.pop(DEFAULT_PROFILE.key, None)
    trusted = values.pop(TRUSTED_SITES.key, [])
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise _wrong_type("profile", top.place("profile"), "one table per profile, [profile.NAME]")
    for name in profiles:
        top.profile_name(name, "profile", name)
    default_profile, trusted_sites = None, list[Site]()
    checked = suppress(SettingsError) if tolerant else nullcontext()
    with checked:
        if default is not None:
            default_profile = top.profile_name(default, DEFAULT_PROFILE.key)
    with checked:
        trusted_sites = _parse_trusted_sites(trusted, top)
    return ConfigFile(
        top.with_values(values, (*BY_KEY, *CONFIG_KEYS), tolerant=tolerant),
        default_profile,
        {
            name: replace(top, path=("profile", name)).with_values(
                values, BY_KEY, tolerant=tolerant
            )
            for name, values in profiles.items()
        },
        trusted_sites,
    )


def _read_bytes(path: Path) -> bytes:
    """Return the content of a file; empty if it is missing.

    A file that others can change is refused: it names the site and the browser command. On Windows,
    any user can create the system's directory in ProgramData.
    """
    try:
        return read_trusted(path)
    except OtherUsersError as problem:
        is_windows = sys.platform == "win32"
        command = f'icacls "{path}"' if is_windows else f"chmod go-w {quote(str(path))}"
        raise SettingsError(
            f"Cannot use {path}, which sets your site and browser: {problem}.",
            hint=f"Read it; then let only you or an administrator change it: `{command}`.",
        ) from None
    except OSError as problem:
        if problem.errno in _NO_SUCH_FILE:
            return b""
        raise SettingsError(
            f"Cannot read {path}: {problem.strerror or problem}.",
            hint="Check that it is a file and that you may read it.",
        ) from None


def _parse_trusted_sites(value: object, table: TomlTable) -> list[Site]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        place = table.place(TRUSTED_SITES.key)
        raise _wrong_type(TRUSTED_SITES.key, place, "a list of sites, each in quotes")
    try:
        return [Site.parse(text) for text in value]
    except ValueError as problem:
        place = table.place(TRUSTED_SITES.key)
        raise SettingsError(f"Cannot read {TRUSTED_SITES.key} from {place}: {problem}.") from None


def _wrong_type(key: str, place: str, expected: str) -> SettingsError:
    return SettingsError(f"Cannot read {key} from {place}: write it as {expected}.")


def _is_site(text: str | None, site: Site) -> bool:
    try:
        return text is not None and Site.parse(text) == site
    except ValueError:
        return False
