"""What must be known before we begin, and where each value came from.

Strongest first: flag, `SOE_AUTH_*` variable (an empty one counts as unset), the project file, the
user's config.toml, the system's config.toml; in a config.toml, the profile's own table comes before
the top of the file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from soe_auth.config_files import check_profile_name, find_project, read_configs
from soe_auth.duration import parse_duration
from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.scope import Scope
from soe_auth.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from soe_auth.config_files import Configs, ProjectFile

T = TypeVar("T")

Redirect = Literal["loopback", "login_success"]
RedirectHost = Literal["localhost", "127.0.0.1"]

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
_KEYS = tuple(setting.key for setting in TABLE)


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
    """All settings of one profile, and for each key the place that its value came from.

    `known` says whether a config.toml has the profile, `project` is the project file that was
    heeded, as it is shown. `needs_consent` is true of a site that only that file names, outside
    *.stackenterprise.co: nothing may be sent or opened there until the person has agreed.
    """

    profile: str
    paths: Paths
    known: bool
    project: str | None
    needs_consent: bool
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
    def from_project(self) -> list[str]:
        """The keys of the settings that the project file gave."""
        return [s.key for s in TABLE if self.project and self.origins[s.key] == self.project]

    @property
    def profile_values(self) -> dict[str, str | int]:
        """The profile as it is written in config.toml: all but the defaults and the project's."""
        values: dict[str, str | int] = {
            "site": str(self.site),
            "client_id": self.client_id or "",
            "scope": str(self.scope),
            "redirect": self.redirect,
            "redirect_host": self.redirect_host,
            "port": self.port,
        }
        others = ("default", self.project)
        return {key: value for key, value in values.items() if self.origins[key] not in others}

    @property
    def login_command(self) -> str:
        """What a person types to log in to this profile."""
        if not self.known and "site" not in self.from_project:
            return "soe-auth login --site NAME --client-id ID"
        return f"soe-auth login -p {self.profile}"


@dataclass(frozen=True, slots=True)
class _Layer:
    """Values of one origin, as text; `origin` says where it has a setting's value from."""

    origin: Callable[[Setting[Any]], str]
    values: Mapping[str, str]


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
    cwd: Callable[[], Path] = Path.cwd,
) -> Settings:
    """Resolve the settings of one profile; `flags` has keys as in files and values as typed.

    Without `profile`, it is the one that SOE_AUTH_PROFILE names, or that belongs to the site of a
    flag or variable, or that is the project's own, or the default, or the only one. `cwd` returns
    the directory whose project file counts. Raises SettingsError; LoginRequired where there is no
    profile at all and no site.
    """
    paths = find_paths(environ)
    configs = _read_configs(paths)
    variables = {s.key: environ[s.variable] for s in TABLE if environ.get(s.variable)}
    given = [
        _Layer(lambda setting: setting.flag, flags),
        _Layer(lambda setting: setting.variable, variables),
    ]
    origins: dict[str, str] = {}

    def pick(setting: Setting[T], layers: Sequence[_Layer]) -> T:
        for layer in layers:
            if setting.key in layer.values:
                origins[setting.key] = origin = layer.origin(setting)
                try:
                    return setting.read(layer.values[setting.key])
                except ValueError as problem:
                    raise SettingsError(f"{setting.key} (from {origin}): {problem}.") from None
        origins[setting.key] = "default"
        return setting.default

    named, stated = profile or environ.get("SOE_AUTH_PROFILE"), pick(SITE, given)
    project = find_project(cwd, _KEYS)
    if project and not project.is_for(named, stated, configs):
        project = None
    name = named or _choose_profile(stated, project, configs, paths)
    check_profile_name(name)
    tables = [(project.origin, project.values)] if project else []
    tables += configs.tables(name)
    layers = [*given, *(_table_layer(place, values) for place, values in tables)]
    site = pick(SITE, layers)
    return Settings(
        profile=name,
        paths=paths,
        known=name in configs.profiles,
        project=project.origin if project else None,
        needs_consent=(
            project is not None
            and project.site is not None
            and stated is None
            and not project.site.in_cloud
            and not configs.name_site(project.site)
        ),
        site=site,
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
    return _read_configs(find_paths(environ)).profiles


def no_profile_yet() -> LoginRequired:
    """Return the error that says so, and what to type."""
    return LoginRequired(
        "No profile yet; type `soe-auth login --site NAME.stackenterprise.co --client-id ID`."
    )


def _table_layer(place: str, values: Mapping[str, str]) -> _Layer:
    return _Layer(lambda _: place, values)


def _read_configs(paths: Paths) -> Configs:
    return read_configs([paths.config, paths.system_config], _KEYS)


def _choose_profile(
    stated: Site | None, project: ProjectFile | None, configs: Configs, paths: Paths
) -> str:
    """Choose the profile where none was named."""
    if project and (names := project.profiles(configs)):
        if project.site is None:
            return names[0]
        hint = f"{project.origin} names it for {project.site}; -p {names[0]} sets that file aside."
        return _only_one(names, project.site, configs, hint)
    if stated is not None:
        hint = "Give this one a name with -p NAME."
        return _only_one(configs.profiles_of(stated), stated, configs, hint)
    if configs.default_profile:
        return configs.default_profile
    match configs.profiles:
        case []:
            raise no_profile_yet()
        case [name]:
            return name
        case names:
            raise SettingsError(
                f"Several profiles ({', '.join(names)}) and no default.",
                hint=f"Name one with -p, or set default_profile in {paths.config}.",
            )


def _only_one(names: Sequence[str], site: Site, configs: Configs, if_taken: str) -> str:
    """Return the one profile of a site; `if_taken` is the hint where it is another site's."""
    if len(names) > 1:
        raise SettingsError(
            f"Several profiles belong to {site.authority}: {', '.join(names)}.",
            hint="Name one with -p.",
        )
    if configs.is_taken(names[0], site):
        raise SettingsError(f"Profile {names[0]} belongs to another site.", hint=if_taken)
    return names[0]
