"""What must be known before we begin, and where each value came from.

Strongest first: flag, `SOE_AUTH_*` variable (an empty one counts as unset), the user's config.toml,
the system's config.toml; in a file, the profile's own table comes before the top of the file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from soe_auth.duration import parse_duration
from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.scope import Scope
from soe_auth.site import Site
from soe_auth.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

Redirect = Literal["loopback", "login_success"]
RedirectHost = Literal["localhost", "127.0.0.1"]

_PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_PORTS = range(1024, 65536)


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One setting: its key in files, how it is read (ValueError if it cannot be), what it is for.

    The settings that say who asks for what, and where the answer goes, make up a `profile`.
    """

    key: str
    read: Callable[[str], T]
    default: T
    help: str
    profile: bool = False

    @property
    def variable(self) -> str:
        """The environment variable of the same meaning."""
        return f"SOE_AUTH_{self.key.upper()}"

    @property
    def flag(self) -> str:
        """The command line option of the same meaning."""
        return "--" + self.key.replace("_", "-")


def _read_client_id(text: str) -> str:
    if re.fullmatch(r"[\w.-]{1,64}", text, re.ASCII):
        return text
    raise ValueError("a client ID is the number that the site shows for the application")


def _read_redirect(text: str) -> Redirect:
    match text:
        case "loopback" | "login_success":
            return text
        case _:
            raise ValueError("write loopback or login_success")


def _read_redirect_host(text: str) -> RedirectHost:
    match text:
        case "localhost" | "127.0.0.1":
            return text
        case _:
            raise ValueError("write localhost or 127.0.0.1, as the application's Domain has it")


def _read_port(text: str) -> int:
    if text == "0" or (text.isdecimal() and int(text) in _PORTS):
        return int(text)
    raise ValueError(f"write a port from {_PORTS[0]} to {_PORTS[-1]}, or 0 for any free one")


def _read_timeout(text: str) -> float:
    if seconds := parse_duration(text):
        return seconds
    raise ValueError("a login needs some time; write a duration such as 5m")


SITE: Setting[Site | None] = Setting(
    "site", Site.parse, None, "the SOE site: acme, acme.stackenterprise.co or its URL", profile=True
)
CLIENT_ID: Setting[str | None] = Setting(
    "client_id", _read_client_id, None, "the client ID of the site's API application", profile=True
)
SCOPE = Setting(
    "scope", Scope.parse, Scope(), "what to ask for: write_access, no_expiry, …", profile=True
)
REDIRECT: Setting[Redirect] = Setting(
    "redirect",
    _read_redirect,
    "loopback",
    "where the site sends the browser: loopback (this machine), or login_success (the site's own "
    "page, whose address you paste)",
    profile=True,
)
REDIRECT_HOST: Setting[RedirectHost] = Setting(
    "redirect_host",
    _read_redirect_host,
    "localhost",
    "the loopback's name in the redirect URI: localhost or 127.0.0.1",
    profile=True,
)
PORT = Setting("port", _read_port, 0, "the loopback port; 0 for any free one", profile=True)
BROWSER: Setting[str | None] = Setting("browser", str, None, "the command that opens a URL")
TIMEOUT = Setting("timeout", _read_timeout, 300.0, "how long to wait for the person: 5m")
MIN_TTL = Setting("min_ttl", parse_duration, 60.0, "the life that a token must have left: 10m")

TABLE = (SITE, CLIENT_ID, SCOPE, REDIRECT, REDIRECT_HOST, PORT, BROWSER, TIMEOUT, MIN_TTL)


@dataclass(frozen=True, slots=True)
class Paths:
    """The user's config directory, and the system's config.toml."""

    directory: Path
    system_config: Path

    @property
    def config(self) -> Path:
        """The user's config.toml."""
        return self.directory / "config.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one profile, and for each key the place that its value came from."""

    profile: str
    paths: Paths
    known: bool
    site: Site | None
    client_id: str | None
    scope: Scope
    redirect: Redirect
    redirect_host: RedirectHost
    port: int
    browser: str | None
    timeout: float
    min_ttl: float
    origins: Mapping[str, str]

    @property
    def registration(self) -> tuple[Site, str]:
        """Site and client ID, which have no default. Raises SettingsError if one is missing."""
        if self.site is None:
            raise SettingsError(
                f"Profile {self.profile} has no site."
                if self.known
                else f"There is no profile {self.profile}.",
                hint=f"Make it with `soe-auth login -p {self.profile} --site NAME --client-id ID`;"
                " `soe-auth status` shows what there is.",
            )
        if self.client_id is None:
            raise SettingsError(
                f"No client ID is set for {self.site.authority}.",
                hint=f"Say which: `soe-auth login --site {self.site.as_typed} --client-id ID`.",
            )
        return self.site, self.client_id

    @property
    def from_flags(self) -> list[str]:
        """The keys of a profile's settings that were given as flags."""
        return [s.key for s in TABLE if s.profile and self.origins[s.key] == s.flag]

    @property
    def profile_values(self) -> dict[str, str | int]:
        """The profile as it is written in config.toml: all that is not default."""
        values: dict[str, str | int] = {
            "site": str(self.site),
            "client_id": self.client_id or "",
            "scope": str(self.scope),
            "redirect": self.redirect,
            "redirect_host": self.redirect_host,
            "port": self.port,
        }
        return {key: value for key, value in values.items() if self.origins[key] != "default"}

    @property
    def login_command(self) -> str:
        """What a person types to log in to this profile."""
        if not self.known:
            return "soe-auth login --site NAME --client-id ID"
        return f"soe-auth login -p {self.profile}"


@dataclass(frozen=True, slots=True)
class _Layer:
    """Values of one origin, as text; `origin` says where it has a setting's value from."""

    origin: Callable[[Setting[Any]], str]
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _File:
    """A config.toml, checked for shape: its own values, its default profile, its profiles."""

    path: Path
    values: Mapping[str, str]
    default_profile: str | None
    profiles: Mapping[str, Mapping[str, str]]

    def layers(self, profile: str) -> tuple[_Layer, _Layer]:
        return (
            _Layer(lambda _: f"{self.path} [profile.{profile}]", self.profiles.get(profile, {})),
            _Layer(lambda _: str(self.path), self.values),
        )


def find_paths(environ: Mapping[str, str]) -> Paths:
    """Find the config directories: SOE_AUTH_CONFIG_DIR, else what the platform says."""
    import platformdirs

    if directory := environ.get("SOE_AUTH_CONFIG_DIR"):
        user = Path(directory).absolute()
    else:
        user = platformdirs.user_config_path("soe-auth", appauthor=False)
    return Paths(user, platformdirs.site_config_path("soe-auth", appauthor=False) / "config.toml")


def resolve(
    flags: Mapping[str, str],
    *,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Resolve the settings of one profile; `flags` has keys as in files and values as typed.

    Without `profile`, it is the one that SOE_AUTH_PROFILE names, or that belongs to the site of a
    flag or variable, or the default, or the only one. Raises SettingsError; LoginRequired where
    there is no profile at all and no site.
    """
    paths = find_paths(environ)
    files = [_read_file(path) for path in (paths.config, paths.system_config)]
    variables = {s.key: environ[s.variable] for s in TABLE if environ.get(s.variable)}
    given = [
        _Layer(lambda setting: setting.flag, flags),
        _Layer(lambda setting: setting.variable, variables),
    ]
    origins: dict[str, str] = {}

    def pick(setting: Setting[T], layers: list[_Layer]) -> T:
        for layer in layers:
            if setting.key in layer.values:
                origins[setting.key] = origin = layer.origin(setting)
                try:
                    return setting.read(layer.values[setting.key])
                except ValueError as problem:
                    raise SettingsError(f"{setting.key} (from {origin}): {problem}.") from None
        origins[setting.key] = "default"
        return setting.default

    name = profile or environ.get("SOE_AUTH_PROFILE") or _find_profile(pick(SITE, given), files)
    if not _PROFILE_NAME.fullmatch(name):
        raise SettingsError(
            f"{printable(name, 80)!r} cannot be the name of a profile.",
            hint="Use letters, digits, dots, dashes and underscores, 64 at most.",
        )
    layers = [*given, *(layer for file in files for layer in file.layers(name))]
    return Settings(
        profile=name,
        paths=paths,
        known=any(name in file.profiles for file in files),
        site=pick(SITE, layers),
        client_id=pick(CLIENT_ID, layers),
        scope=pick(SCOPE, layers),
        redirect=pick(REDIRECT, layers),
        redirect_host=pick(REDIRECT_HOST, layers),
        port=pick(PORT, layers),
        browser=pick(BROWSER, layers),
        timeout=pick(TIMEOUT, layers),
        min_ttl=pick(MIN_TTL, layers),
        origins=origins,
    )


def profile_names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of all profiles in the config files, sorted. Raises SettingsError."""
    paths = find_paths(environ)
    files = (_read_file(path) for path in (paths.config, paths.system_config))
    return sorted({name for file in files for name in file.profiles})


def no_profile_yet() -> LoginRequired:
    """Return the error that says so, and what to type."""
    return LoginRequired(
        "No profile yet; type `soe-auth login --site NAME.stackenterprise.co --client-id ID`."
    )


def _find_profile(site: Site | None, files: list[_File]) -> str:
    profiles = {name: table for file in reversed(files) for name, table in file.profiles.items()}
    if site is not None:
        return _profile_of(site, profiles)
    for file in files:
        if file.default_profile:
            return file.default_profile
    match list(profiles):
        case []:
            raise no_profile_yet()
        case [name]:
            return name
        case names:
            raise SettingsError(
                f"Several profiles ({', '.join(sorted(names))}) and no default.",
                hint=f"Name one with -p, or set default_profile in {files[0].path}.",
            )


def _profile_of(site: Site, profiles: Mapping[str, Mapping[str, str]]) -> str:
    """Find the one profile of a site, or make a name for the first one."""

    def belongs(name: str) -> bool:
        try:
            return Site.parse(profiles[name].get("site", "")) == site
        except ValueError:
            return False

    names = [name for name in profiles if belongs(name)]
    own = site.short_name
    if own in names or not names:
        if own in profiles and own not in names:
            raise SettingsError(
                f"Profile {own} belongs to another site.", hint="Give this one a name with -p NAME."
            )
        return own
    if len(names) > 1:
        raise SettingsError(
            f"Several profiles belong to {site.authority}: {', '.join(sorted(names))}.",
            hint="Name one with -p.",
        )
    return names[0]


def _read_file(path: Path) -> _File:
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        table = {}
    except OSError as problem:
        raise SettingsError(f"{path} cannot be read: {problem.strerror}.") from None
    except ValueError as problem:
        raise SettingsError(f"{path} is not valid TOML: {problem}.") from None
    profiles = table.pop("profile", {})
    default = table.pop("default_profile", None)
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise SettingsError(f"{path}: write each profile as a table, [profile.NAME].")
    if not isinstance(default, str | None):
        raise SettingsError(f"{path}: default_profile is the name of a profile, in quotes.")
    return _File(
        path,
        _texts(table, str(path)),
        default,
        {name: _texts(values, f"{path} [profile.{name}]") for name, values in profiles.items()},
    )


def _texts(table: Mapping[str, object], origin: str) -> dict[str, str]:
    """Check the keys of a TOML table, and return its values as a person would type them."""
    known = [setting.key for setting in TABLE]
    for key in table:
        if key not in known:
            from difflib import get_close_matches

            nearest = get_close_matches(key, known, n=1)
            raise SettingsError(
                f"{origin}: there is no setting {key!r}.",
                hint=f"Did you mean {nearest[0]}?" if nearest else f"There are {', '.join(known)}.",
            )
    return {key: _as_text(key, value, origin) for key, value in table.items()}


def _as_text(key: str, value: object, origin: str) -> str:
    match value:
        case str():
            return value
        case int() if not isinstance(value, bool):
            return str(value)
        case list() if all(isinstance(item, str) for item in value):
            return ",".join(value)
    raise SettingsError(f"{key} (from {origin}): write it as text in quotes.")
