"""Resolve the settings of a profile.

Strongest first: flag, `SOE_AUTH_*` variable (an empty one counts as unset), the project file, the
user's config.toml, the system's config.toml; in a config.toml, the profile's own table comes before
the top of the file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.settings import PROFILE_VARIABLE
from soe_auth.settings.config_files import (
    check_profile_name,
    error_context,
    find_paths,
    read_configs,
)
from soe_auth.settings.project_file import find_project
from soe_auth.settings.settings import Settings
from soe_auth.settings.spec import (
    BROWSER,
    BY_KEY,
    CA_BUNDLE,
    CLIENT_ID,
    MIN_TTL,
    PASTE,
    PORT,
    PROXY,
    REDIRECT,
    REDIRECT_HOST,
    SCOPE,
    SITE,
    STORE,
    TABLE,
    TIMEOUT,
    Setting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from soe_auth.model.site import Site
    from soe_auth.model.token import Scope
    from soe_auth.settings.config_files import ConfigFile, Configs, Paths, TomlTable
    from soe_auth.settings.project_file import ProjectFile

    FindProject = Callable[[Callable[[], Path]], ProjectFile | None]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Layer:
    """Values of one origin, as text.

    `origin` says where it has a setting's value from, and `place` the line as well.
    """

    values: Mapping[str, str] = field(repr=False)  # a proxy's password may be among them
    origin: Callable[[Setting[Any]], str]
    place: Callable[[Setting[Any]], str]

    def read(self, setting: Setting[T]) -> T:
        """Read a setting that it has. Raises SettingsError, which names the place."""
        with error_context(setting, lambda: self.place(setting)):
            return setting.read(self.values[setting.key])


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where the values of a profile are to be had, strongest first; none of them is read yet."""

    profile: str
    paths: Paths
    configs: Configs
    project: ProjectFile | None
    stated: Site | None
    layers: Sequence[_Layer]

    @property
    def only_project(self) -> bool:
        """Whether only the project file names the site."""
        site = self.project.site if self.project else None
        return site is not None and self.stated is None and not self.configs.name_site(site)


def resolve(
    flags: Mapping[str, str],
    *,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
    cwd: Callable[[], Path] = Path.cwd,
    configs: Configs | None = None,
    find: FindProject = find_project,
) -> Settings:
    """Resolve the settings of one profile; `flags` has keys as in files and values as typed.

    Without `profile`, it is the one that SOE_AUTH_PROFILE names, or that has the site, client ID
    and scope of flags and variables, or that is the project's own, or the default, or the only one.
    Where no profile has what is given, it is a new one: none is changed by what does not name it.
    Flags that give site and client ID give all: without a scope they mean none. `cwd` returns
    the directory whose project file counts. Where many profiles are resolved, `configs` is what
    `read_config_files` returned and `find` a cached `find_project`: no file is read for each.
    Raises SettingsError; LoginRequired where there is no profile at all and no site.
    """
    found = _find_sources(flags, profile, environ, cwd, configs, find)
    used: dict[str, _Layer] = {}

    def pick(setting: Setting[T]) -> T:
        for layer in found.layers:
            if setting.key in layer.values:
                used[setting.key] = layer
                return layer.read(setting)
        return setting.default

    def place(key: str) -> str:
        return used[key].place(BY_KEY[key]) if key in used else "default"

    site = pick(SITE)
    return Settings(
        profile=found.profile,
        paths=found.paths,
        profiles=found.configs.profiles,
        project=found.project.table.origin if found.project else None,
        only_project=found.only_project,
        project_names_profile=bool(found.project and found.project.profile == found.profile),
        trusts_site=site in found.configs.trusted_sites,
        site=site,
        client_id=pick(CLIENT_ID),
        scope=pick(SCOPE),
        redirect=pick(REDIRECT),
        redirect_host=pick(REDIRECT_HOST),
        port=pick(PORT),
        paste=pick(PASTE),
        browser=pick(BROWSER),
        timeout=pick(TIMEOUT),
        min_ttl=pick(MIN_TTL),
        ca_bundle=pick(CA_BUNDLE),
        proxy=pick(PROXY),
        store=pick(STORE),
        origins={s.key: used[s.key].origin(s) if s.key in used else "default" for s in TABLE},
        place=place,
    )


def choose_profile(
    profile: str | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: Callable[[], Path] = Path.cwd,
) -> str:
    """Return the name of the profile that `resolve` would choose, whose values may be wrong.

    Raises SettingsError and LoginRequired as it does.
    """
    return _find_sources({}, profile, environ, cwd).profile


def read_config_files(environ: Mapping[str, str] = os.environ) -> Configs:
    """Read the user's and the system's config.toml, as they stand there. Raises SettingsError."""
    return read_configs(find_paths(environ).files)


def check_config_file(file: ConfigFile, profiles: Sequence[str]) -> None:
    """Read every value of a config.toml; `profiles` are all there are. Raises SettingsError."""
    for table in file.tables:
        table.check()
    if file.default_profile not in (None, *profiles):
        raise SettingsError(
            f"default_profile (from {file.top.place('default_profile')}): there is no profile"
            f" {file.default_profile}.",
            hint="Name one that is there: `soe-auth profile use NAME`.",
        )


def _find_sources(
    flags: Mapping[str, str],
    profile: str | None,
    environ: Mapping[str, str],
    cwd: Callable[[], Path],
    configs: Configs | None = None,
    find: FindProject = find_project,
) -> _Sources:
    paths = find_paths(environ)
    if configs is None:
        configs = read_configs(paths.files)
    variables = {s.key: environ[s.variable] for s in TABLE if environ.get(s.variable)}
    given = [
        _Layer(flags, lambda setting: setting.flag, lambda setting: setting.flag),
        _Layer(variables, lambda setting: setting.variable, lambda setting: setting.variable),
    ]
    named = profile or environ.get(PROFILE_VARIABLE)
    stated = _stated(given, of_profile=not named)
    project = find(cwd)
    if project and not project.is_for(named, stated.site, configs):
        project = None
    if SITE.key in flags and CLIENT_ID.key in flags and stated.scope is None and not named:
        stated = replace(stated, scope=_scope_of_none(project, configs))
    name, own = choose(stated, project, configs) if not named else (named, None)
    check_profile_name(name)
    own = list(configs.tables_of(name)) if own is None else own
    tables = [*([project.table] if project else []), *own]
    layers = [*given, *map(_table_layer, tables)]
    return _Sources(name, paths, configs, project, stated.site, layers)


def _stated(given: Sequence[_Layer], *, of_profile: bool) -> Stated:
    """Read what is given; where that does not choose `of_profile`, the rest is read later."""

    def read(setting: Setting[T]) -> T | None:
        return next((layer.read(setting) for layer in given if setting.key in layer.values), None)

    return Stated(
        read(SITE), read(CLIENT_ID) if of_profile else None, read(SCOPE) if of_profile else None
    )


def _scope_of_none(project: ProjectFile | None, configs: Configs) -> Scope:
    """Return the scope that a profile has which says nothing of it."""
    tables = [*([project.table] if project else []), *(file.top for file in configs.files)]
    return next((table.read(SCOPE) for table in tables if SCOPE.key in table.values), SCOPE.default)


def _table_layer(table: TomlTable) -> _Layer:
    return _Layer(table.values, lambda _: table.origin, lambda setting: table.place(setting.key))


@dataclass(frozen=True, slots=True)
class Stated:
    """The site, client ID and scope that flags and variables give; None where they do not."""

    site: Site | None
    client_id: str | None
    scope: Scope | None


def choose(
    stated: Stated, project: ProjectFile | None, configs: Configs
) -> tuple[str, list[TomlTable] | None]:
    """Return the profile that has what is stated, or the name of a new one.

    A new one comes with its tables where it takes what is not stated from another profile.
    Raises SettingsError where several fit; LoginRequired where there is no profile and no site.
    """
    if stated.client_id is None and stated.scope is None:
        return _of_site(stated.site, project, configs), None
    site = stated.site or (project.site if project else None)
    likely = project.profile if project else None
    if site is None:
        likely = _of_site(None, project, configs)
        site = configs.value_of(likely, SITE)
    of_site = configs.all_of(site) if site else []
    if site is None or (not of_site and likely):
        return likely or _of_site(site, project, configs), None
    fitting = [name for name in of_site if _fits(name, stated, configs)]
    if not fitting:
        return _new_profile(site, stated, of_site, likely, configs)
    first = (likely, site.default_profile_name, configs.default_profile)
    chosen = next((name for name in first if name in fitting), None)
    origin = project.table.origin if project and project.site == site else ""
    return chosen or _only_one(fitting, site, configs, "", origin), None


def no_profile_yet() -> LoginRequired:
    """Return the error that says so, and what to type."""
    return LoginRequired("No profile yet; type `soe-auth init`.")


def _fits(profile: str, stated: Stated, configs: Configs) -> bool:
    client_id, scope = configs.value_of(profile, CLIENT_ID), configs.value_of(profile, SCOPE)
    return stated.client_id in (None, client_id) and stated.scope in (None, scope)


def _new_profile(
    site: Site, stated: Stated, of_site: Sequence[str], likely: str | None, configs: Configs
) -> tuple[str, list[TomlTable] | None]:
    """Make up a profile: what is not stated is as in the likely one, or in all of the site."""
    first = site.default_profile_name
    names = [first, *([f"{first}-{stated.client_id}"] if stated.client_id else [])]
    names += (f"{first}-{number}" for number in range(2, len(configs.profiles) + 3))
    name = next(name for name in names if name not in configs.profiles)
    client_ids = {configs.value_of(other, CLIENT_ID) for other in of_site}
    base = likely or (of_site[0] if len(client_ids) == 1 else None)
    if base is None:
        return name, None
    tables = list(configs.tables_of(base))
    if stated.client_id:  # another application's redirect need not be this one's
        tables = [_site_alone(table) if table.path else table for table in tables]
    return name, tables


def _site_alone(table: TomlTable) -> TomlTable:
    return replace(table, values={k: v for k, v in table.values.items() if k == SITE.key})


def _of_site(stated: Site | None, project: ProjectFile | None, configs: Configs) -> str:
    """Choose the profile where none was named."""
    if project and (names := project.profiles(configs)):
        if project.site is None:
            return names[0]
        origin = project.table.origin
        hint = f"{origin} names it for {project.site}; -p {names[0]} sets that file aside."
        return _only_one(names, project.site, configs, hint, origin)
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
                hint="Name one with -p, or make one the default: `soe-auth profile use NAME`.",
            )


def _only_one(
    names: Sequence[str], site: Site, configs: Configs, if_taken: str, origin: str = ""
) -> str:
    """Return the one profile of a site; `if_taken` is the hint where it is another site's.

    `origin` is the project file that names the site, if one does.
    """
    if len(names) > 1:
        named = f", which {origin} names" if origin else ""
        raise SettingsError(
            f"Several profiles belong to {site.authority}{named}: {', '.join(names)}.",
            hint="Name one with -p.",
        )
    if configs.is_taken(names[0], site):
        raise SettingsError(f"Profile {names[0]} belongs to another site.", hint=if_taken)
    return names[0]
