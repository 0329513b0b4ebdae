"""The config.toml files that settings are written in: the user's, and the system's."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

from soe_auth.errors import SettingsError
from soe_auth.files.private_read import OtherUsersError, read_trusted
from soe_auth.model.site import Site
from soe_auth.model.text import nearest, printable, read_profile_name
from soe_auth.settings import CONFIG_DIR_VARIABLE
from soe_auth.settings.spec import BY_KEY, DEFAULT_PROFILE, SCOPE, SITE, TRUSTED_SITES
from soe_auth.settings.toml_position import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from soe_auth.settings.spec import Setting

T = TypeVar("T")

CONFIG_KEYS = (DEFAULT_PROFILE.key, TRUSTED_SITES.key)

_LIST_KEYS = (SCOPE.key,)  # what a person may write as a list as well
_WRITE_LINES = 'Write lines such as site = "acme", each text in quotes.'
_LONGEST_INTEGER = 64  # bits; the text of longer ones may be longer than Python will make
_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}


_NO_FILE = Path(os.devnull, "config.toml")  # it cannot be there


@dataclass(frozen=True, slots=True)
class Paths:
    """The user's config directory, None where there is no home, and the system's config.toml."""

    user_directory: Path | None
    system_config: Path

    @property
    def directory(self) -> Path:
        """The user's config directory. Raises SettingsError where there is none."""
        if self.user_directory is None:
            raise SettingsError(
                "Your home directory is not known, and so no place for settings and tokens.",
                hint=f"Set HOME, or {CONFIG_DIR_VARIABLE} to a directory of your own.",
            )
        return self.user_directory

    @property
    def config(self) -> Path:
        """The user's config.toml. Raises SettingsError as `directory`."""
        return self.directory / "config.toml"

    @property
    def files(self) -> list[Path]:
        """Both config.toml, the stronger one first."""
        return [self.config if self.user_directory else _NO_FILE, self.system_config]


def find_paths(environ: Mapping[str, str], *, platform: str = sys.platform) -> Paths:
    """Find the config directories: SOE_AUTH_CONFIG_DIR, else what the platform says.

    Raises SettingsError for one that is another with each current directory, or drive of Windows.
    """
    import platformdirs

    system = platformdirs.site_config_path("soe-auth", appauthor=False) / "config.toml"
    if not (directory := environ.get(CONFIG_DIR_VARIABLE)):
        try:
            user = platformdirs.user_config_path("soe-auth", appauthor=False)
            if not user.is_absolute():  # of older versions, by an XDG_CONFIG_HOME that is ignored
                user = Path.home() / ".config" / "soe-auth"
        except RuntimeError:  # neither HOME nor the list of users says where home is
            return Paths(None, system)
        return Paths(user, system)
    # What comes from a .env file, Docker or systemd has passed no shell.
    path = os.path.expanduser(directory)  # noqa: PTH111  # pathlib raises where there is no home
    pure = PureWindowsPath if platform == "win32" else PurePosixPath
    if not pure(path).is_absolute():
        example = r"C:\Users\you\soe-auth" if platform == "win32" else "~/soe-auth"
        raise SettingsError(
            f"{CONFIG_DIR_VARIABLE} is {printable(directory)}, which depends on the current"
            " directory.",
            hint=f"Set it to a whole path, such as {example}.",
        )
    return Paths(Path(path), system)


@dataclass(frozen=True, slots=True)
class TomlTable:
    """A table of settings in a file; the values are text, as a person types them.

    `file` is the path of its file as it is shown, `text` all that stands there, `path` the name of
    the table in it.
    """

    file: str
    text: str = field(repr=False)
    path: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def origin(self) -> str:
        """Where it is, for a person."""
        match self.path:
            case ("profile", name):
                return f"{self.file} [profile.{name}]"
            case _:
                return self.file

    def place(self, *key: str) -> str:
        """Where a key of it is, with the line."""
        line = line_of(self.text, *self.path, *key)
        return self.origin if line is None else f"{self.origin}, line {line}"

    def read(self, setting: Setting[T]) -> T:
        """Read a setting that it has. Raises SettingsError, which names the place."""
        with error_context(setting, lambda: self.place(setting.key)):
            return setting.read(self.values[setting.key])

    def check(self) -> None:
        """Read every setting that it has. Raises SettingsError, which names the place."""
        for key in self.values:
            self.read(BY_KEY[key])

    def profile_name(self, value: object, *key: str) -> str:
        """Return the profile's name that stands at a key. Raises SettingsError."""
        if not isinstance(value, str):
            raise SettingsError(
                f"{self.place(*key)}: write {key[-1]} as the name of a profile, in quotes."
            )
        try:
            check_profile_name(value)
        except SettingsError as problem:
            raise SettingsError(f"{self.place(*key)}: {problem}") from None
        return value

    def with_values(self, values: Mapping[str, object], known: Collection[str]) -> TomlTable:
        """Return it with these values, as text. Raises SettingsError, which names the place.

        `known` are the keys that it may have.
        """
        for key in values:
            if key not in known:
                raise no_such_key(key, known, self.place(key))
        return replace(self, values={key: self._as_text(key, values[key]) for key in values})

    def _as_text(self, key: str, value: object) -> str:
        """Return a value as a person would type it."""
        match value:
            case str():
                return value
            case int() if not isinstance(value, bool) and value.bit_length() <= _LONGEST_INTEGER:
                return str(value)
            case list() if key in _LIST_KEYS and all(isinstance(item, str) for item in value):
                return ",".join(value)
        or_list = ", or as a list of such" if key in _LIST_KEYS else ""
        raise SettingsError(f"{key} (from {self.place(key)}): write it as text in quotes{or_list}.")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A config.toml, checked for shape."""

    path: Path
    top: TomlTable
    default_profile: str | None
    profiles: Mapping[str, TomlTable]
    trusted_sites: Sequence[Site]

    @property
    def tables(self) -> Sequence[TomlTable]:
        """All its tables of settings."""
        return [self.top, *self.profiles.values()]


@dataclass(frozen=True, slots=True)
class Configs:
    """The config.toml files together, strongest first, and what they say of profiles and sites.

    `profiles` are the names of all profiles, sorted.
    """

    files: Sequence[ConfigFile]
    profiles: list[str] = field(init=False)

    def __post_init__(self) -> None:
        names = sorted({name for file in self.files for name in file.profiles})
        object.__setattr__(self, "profiles", names)  # once: it is asked for each of a thousand

    @property
    def own(self) -> ConfigFile:
        """The user's own."""
        return self.files[0]

    @property
    def default_profile(self) -> str | None:
        """The profile that is used where none is named."""
        return next((f.default_profile for f in self.files if f.default_profile), None)

    @property
    def trusted_sites(self) -> list[Site]:
        """The sites outside the cloud that a project file may name without a question."""
        return [site for file in self.files for site in file.trusted_sites]

    def tables_of(self, profile: str) -> Iterator[TomlTable]:
        """Yield each table that holds for a profile, strongest first."""
        for file in self.files:
            if profile in file.profiles:
                yield file.profiles[profile]
            yield file.top

    def profiles_of(self, site: Site) -> list[str]:
        """Return the profiles of a site: the one that has its name, or all there are.

        A site without any gets one of its name.
        """
        names = [name for name in self.profiles if _means(self.site_of(name), site)]
        return (
            [site.default_profile_name]
            if site.default_profile_name in names or not names
            else names
        )

    def all_of(self, site: Site) -> list[str]:
        """Return every profile of a site, and the one that has its name but names no site yet."""
        return [
            name
            for name in self.profiles
            if _means(self.site_of(name), site)
            or (name == site.default_profile_name and self.site_of(name) is None)
        ]

    def value_of(self, profile: str, setting: Setting[T]) -> T | None:
        """Return what the files say of a profile's setting, or the default; None if unreadable."""
        for table in self.tables_of(profile):
            if setting.key in table.values:
                try:
                    return setting.read(table.values[setting.key])
                except ValueError:
                    return None
        return setting.default

    def is_taken(self, profile: str, site: Site) -> bool:
        """Whether there is a profile of that name for another site."""
        own = self.site_of(profile)
        return own is not None and not _means(own, site)

    def name_site(self, site: Site) -> bool:
        """Whether the files name a site, in a profile, at their top, or as a trusted one."""
        tables = [table for file in self.files for table in file.tables]
        named = any(_means(table.values.get("site"), site) for table in tables)
        return named or site in self.trusted_sites

    def require_profile(self, profile: str) -> None:
        """Raise SettingsError, which says what there is, for a profile that is not there."""
        if profile not in self.profiles:
            names = ", ".join(self.profiles) or "none yet"
            raise SettingsError(
                f"There is no profile {printable(profile, 80)}.",
                hint=f"There are: {names}. `soe-auth login -p NAME --site SITE` makes one.",
            )

    def require_own_profile(self, profile: str) -> None:
        """Raise SettingsError for a profile that the user's config.toml cannot change."""
        self.require_profile(profile)
        if any(profile in file.profiles for file in self.files[1:]):
            raise SettingsError(
                f"Profile {profile} is in the system's config.toml.",
                hint="Only an administrator can change it there; `soe-auth config path` says where"
                " it is.",
            )

    def site_of(self, profile: str) -> str | None:
        """Return the site of a profile, as it is written; None for one that is not there."""
        tables = self.tables_of(profile) if profile in self.profiles else ()
        return next((t.values[SITE.key] for t in tables if SITE.key in t.values), None)


def read_configs(paths: Sequence[Path]) -> Configs:
    """Read the config.toml files, strongest first; the last is the system's.

    One that is not there is empty. Raises SettingsError, which names the file and what is wrong.
    """
    return Configs([_config_file(path) for path in paths])


def parse_toml(data: bytes, origin: str) -> tuple[dict[str, Any], str]:
    """Return what a TOML file says, and its text. Raises SettingsError."""
    if not data:  # there is no file, as on most machines for one of the two
        return {}, ""
    import tomllib

    try:
        text = data.decode("utf-8-sig")  # as editors of Windows write it
        return tomllib.loads(text), text
    except RecursionError:
        raise SettingsError(f"{origin} is nested too deep to be read.", hint=_WRITE_LINES) from None
    except ValueError as problem:
        raise SettingsError(
            f"{origin} is not valid TOML: {printable(str(problem))}.", hint=_WRITE_LINES
        ) from None


@contextmanager
def error_context(setting: Setting[Any], place: Callable[[], str]) -> Iterator[None]:
    """Read a setting within. Raises SettingsError, which names the place that its text is from.

    The text is not handed over: it may hold a password, and would stand in this frame.
    """
    try:
        yield
    except ValueError as problem:
        raise SettingsError(f"{setting.key} (from {place()}): {problem}.") from None


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
    meant = nearest(key, known)
    return SettingsError(
        f"{f'{place}: t' if place else 'T'}here is no setting {printable(key, 80)!r}.",
        hint=f"Did you mean {meant}?" if meant else f"There are {', '.join(known)}.",
    )


def _config_file(path: Path) -> ConfigFile:
    values, text = parse_toml(_bytes_of(path), str(path))
    top = TomlTable(str(path), text)
    profiles = values.pop("profile", {})
    default = values.pop(DEFAULT_PROFILE.key, None)
    trusted = values.pop(TRUSTED_SITES.key, [])
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise SettingsError(
            f"{top.place('profile')}: write each profile as a table, [profile.NAME]."
        )
    for name in profiles:
        top.profile_name(name, "profile", name)
    return ConfigFile(
        path,
        top.with_values(values, (*BY_KEY, *CONFIG_KEYS)),
        None if default is None else top.profile_name(default, DEFAULT_PROFILE.key),
        {
            name: TomlTable(str(path), text, ("profile", name)).with_values(values, BY_KEY)
            for name, values in profiles.items()
        },
        _sites(trusted, top),
    )


def _bytes_of(path: Path) -> bytes:
    """Return what is in a file; nothing where there is none.

    Not where others can change it, as it names the site and the browser's command. On Windows, any
    user can make the directory in ProgramData for the system's.
    """
    try:
        return read_trusted(path)
    except OtherUsersError as problem:
        look = f'icacls "{path}"' if sys.platform == "win32" else f"chmod go-w {quote(str(path))}"
        raise SettingsError(
            f"{path} chooses your site and browser, and is not used: {problem}.",
            hint=f"Read it; then see that only you or an administrator can change it: `{look}`.",
        ) from None
    except OSError as problem:
        if problem.errno in _NO_SUCH_FILE:
            return b""
        raise SettingsError(
            f"{path} cannot be read: {problem.strerror or problem}.",
            hint="See that it is a file, and that you may read it.",
        ) from None


def _sites(value: object, table: TomlTable) -> list[Site]:
    key = TRUSTED_SITES.key
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        place = table.place(key)
        raise SettingsError(f"trusted_sites (from {place}): write a list of sites, each in quotes.")
    try:
        return [Site.parse(text) for text in value]
    except ValueError as problem:
        raise SettingsError(f"{key} (from {table.place(key)}): {problem}.") from None


def _means(text: str | None, site: Site) -> bool:
    try:
        return text is not None and Site.parse(text) == site
    except ValueError:
        return False
