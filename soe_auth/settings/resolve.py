"""Resolve the settings of a profile.

Precedence: flag, `SOE_AUTH_*` variable (an empty one counts as unset), project file, user's
config.toml, system's config.toml; in a config.toml, the table of the profile before the top.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.model.network import Network
from soe_auth.settings import PROFILE_VARIABLE
from soe_auth.settings.config_files import check_profile_name, read_configs, read_setting
from soe_auth.settings.project_file import find_project
from soe_auth.settings.settings import Settings, find_paths
from soe_auth.settings.spec import BY_KEY, CA_BUNDLE, CLIENT_ID, PROXY, SCOPE, SITE, TABLE, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from soe_auth.model.site import Site
    from soe_auth.model.token import Scope
    from soe_auth.settings.config_files import Configs, TomlTable
    from soe_auth.settings.project_file import ProjectFile
    from soe_auth.settings.settings import Paths

    FindProject = Callable[[Callable[[], Path]], ProjectFile | None]

T = TypeVar("T")

NO_PROFILE = "none"  # the name to resolve if there is no profile


@dataclass(frozen=True, slots=True)
class _Layer:
    """The values of one source, as text; `origin` and `place` return where a setting comes from."""

    values: Mapping[str, str] = field(repr=False)  # may hold a proxy's password
    origin: Callable[[Setting[Any]], str]
    place: Callable[[Setting[Any]], str]

    def read(self, setting: Setting[T]) -> T:
        """Parse a setting that the source has. Raises SettingsError with the place."""
        return read_setting(setting, self.values[setting.key], lambda: self.place(setting))


class _Stated(NamedTuple):
    """The site, client ID and scope of flags and variables; None if not given."""

    site: Site | None
    client_id: str | None
    scope: Scope | None


@dataclass(frozen=True, slots=True)
class _Sources:
    """The sources of a profile's settings, in order of precedence, not parsed yet."""

    profile: str
    paths: Paths
    configs: Configs
    project: ProjectFile | None
    stated: Site | None
    layers: Sequence[_Layer]
    profile_place: Callable[[], str]


def resolve(
    flags: Mapping[str, str],
    *,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
    cwd: Callable[[], Path] = Path.cwd,
    configs: Configs | None = None,
    find: FindProject = find_project,
) -> Settings:
    """Resolve the settings of one profile.

    `flags` maps keys of settings to values as typed. `cwd` returns the directory that the project
    file belongs to. To resolve many profiles without reading the files for each, pass `configs`
    from `read_config_files` and a cached `find_project` as `find`.

    The profile is `profile`, or the one in SOE_AUTH_PROFILE, or the one with the site, client ID
    and scope of flags and variables, or the project file's, or the default, or the only one. If no
    profile has the given values, it is a new one, so that no existing profile is changed by
    accident. Flags with both site and client ID but no scope request the default scope.

    Raises SettingsError; LoginRequired if there is neither a profile nor a site.
    """
    sources = _find_sources(flags, profile, environ, cwd, configs, find)
    used = {key: layer for layer in reversed(sources.layers) for key in layer.values}

    def place(key: str) -> str:
        return used[key].place(BY_KEY[key]) if key in used else "default"

    values: dict[str, Any] = {
        key: used[key].read(setting) if key in used else setting.default
        for key, setting in BY_KEY.items()
    }
    project, configs, site = sources.project, sources.configs, values[SITE.key]
    return Settings(
        profile=sources.profile,
        is_named=bool(profile or environ.get(PROFILE_VARIABLE)),
        paths=sources.paths,
        profiles=configs.profiles,
        project=project.table.origin if project else None,
        only_project=bool(
            project
            and project.site
            and sources.stated is None
            and not configs.has_site(project.site)
        ),
        trusts_site=site in configs.trusted_sites,
        origins={s.key: used[s.key].origin(s) if s.key in used else "default" for s in TABLE},
        place=place,
        profile_place=sources.profile_place,
        **values,
    )


def choose_profile(
    environ: Mapping[str, str],
    profile: str | None = None,
    *,
    flags: Mapping[str, str] | None = None,
    configs: Configs | None = None,
) -> str:
    """Return the profile that `resolve` chooses, without parsing all its values.

    If `profile` names it, no file is read. Raises SettingsError and LoginRequired as `resolve`.
    """
    if profile is not None:
        check_profile_name(profile)
        return profile
    return _find_sources(flags or {}, None, environ, Path.cwd, configs).profile


def find_network(profile: str, environ: Mapping[str, str], configs: Configs) -> Network:
    """Return the `network` of a profile's settings, whose other values may be invalid.

    Raises SettingsError.
    """
    layers = [_layer_of_variables(environ), *map(_layer_of, configs.tables_of(profile))]
    return Network(_first(layers, CA_BUNDLE), _first(layers, PROXY))


def no_profile_yet() -> LoginRequired:
    """Return the error for a user without any profile."""
    return LoginRequired("No profile yet; type `soe-auth init`.")


def _find_sources(
    flags: Mapping[str, str],
    profile: str | None,
    environ: Mapping[str, str],
    cwd: Callable[[], Path],
    configs: Configs | None = None,
    find: FindProject = find_project,
) -> _Sources:
    if profile is not None:  # an empty name is an error, not the default profile
        check_profile_name(profile)
    paths = find_paths(environ)
    configs = configs or read_configs(paths.files)
    typed = [
        _Layer(flags, lambda setting: setting.flag, lambda setting: setting.flag),
        _layer_of_variables(environ),
    ]
    name, tables = profile or environ.get(PROFILE_VARIABLE) or "", None
    # Only the site decides whether the project file applies to a profile that is named.
    stated = _Stated(_first(typed, SITE), None, None)
    if not name:
        scope = _first(typed, SCOPE) if any(SCOPE.key in each.values for each in typed) else None
        stated = _Stated(stated.site, _first(typed, CLIENT_ID), scope)
    project = find(cwd)
    if project and not project.is_for(name, stated.site, configs):
        project = None
    own = [project.table] if project else []
    if not name:
        if {SITE.key, CLIENT_ID.key} <= flags.keys() and stated.scope is None:
            tops = map(_layer_of, [*own, *(file.top for file in configs.files)])
            stated = stated._replace(scope=_first(tops, SCOPE))
        name, tables = _choose(stated, project, configs)

    def profile_place() -> str:
        if project and project.profile == name:
            return project.table.origin
        if profile:
            return ""
        if environ.get(PROFILE_VARIABLE):
            return PROFILE_VARIABLE
        return configs.default_profile_place if configs.default_profile == name else ""

    check_profile_name(name, profile_place)
    stored = map(_layer_of, [*own, *(tables or configs.tables_of(name))])
    layers = [*typed, *stored]
    return _Sources(name, paths, configs, project, stated.site, layers, profile_place)


def _layer_of_variables(environ: Mapping[str, str]) -> _Layer:
    values = {s.key: environ[s.variable] for s in TABLE if environ.get(s.variable)}
    return _Layer(values, lambda setting: setting.variable, lambda setting: setting.variable)


def _first(layers: Iterable[_Layer], setting: Setting[T]) -> T:
    """Return the setting's value in the first layer that has it, or its default."""
    found = (layer.read(setting) for layer in layers if setting.key in layer.values)
    return next(found, setting.default)


def _layer_of(table: TomlTable) -> _Layer:
    return _Layer(table.values, lambda _: table.origin, lambda setting: table.place(setting.key))


def _choose(
    stated: _Stated, project: ProjectFile | None, configs: Configs
) -> tuple[str, list[TomlTable] | None]:
    """Return the profile that has the stated values, or the name of a new one.

    A new profile comes with the tables that it takes other values from, if any. Raises
    SettingsError if several match; LoginRequired if there is neither a profile nor a site.
    """
    if stated.client_id is None and stated.scope is None:
        return _profile_of_site(stated.site, project, configs), None
    site = stated.site or (project.site if project else None)
    likely = project.profile if project else None
    if site is None:
        likely = _profile_of_site(None, project, configs)
        site = configs.value_of(likely, SITE)
    of_site = configs.all_of(site) if site else []
    if site is None or (not of_site and likely):
        return likely or _profile_of_site(site, project, configs), None
    matching = [
        name
        for name in of_site
        if stated.client_id in (None, configs.value_of(name, CLIENT_ID))
        and stated.scope in (None, configs.value_of(name, SCOPE))
    ]
    if not matching:
        return _new_profile(site, stated, of_site, likely, configs)
    preferred = (likely, site.default_profile_name, configs.default_profile)
    chosen = next((name for name in preferred if name in matching), None)
    origin = project.table.origin if project and project.site == site else ""
    return chosen or _only_one(matching, site, configs, "", origin), None


def _new_profile(
    site: Site, stated: _Stated, of_site: Sequence[str], likely: str | None, configs: Configs
) -> tuple[str, list[TomlTable] | None]:
    """Name a new profile; other values are those of the likely one, or of the site's only app."""
    first = site.default_profile_name
    names = [first, *([f"{first}-{stated.client_id}"] if stated.client_id else [])]
    names += (f"{first}-{number}" for number in range(2, len(configs.profiles) + 3))
    name = next(name for name in names if name not in configs.profiles)
    client_ids = {configs.value_of(other, CLIENT_ID) for other in of_site}
    base = likely or (of_site[0] if len(client_ids) == 1 else None)
    if base is None:
        return name, None
    tables = list(configs.tables_of(base))
    if stated.client_id:  # another application may have another redirect, so keep the site only
        tables = [
            replace(t, values={k: v for k, v in t.values.items() if k == SITE.key}) if t.path else t
            for t in tables
        ]
    return name, tables


def _profile_of_site(stated: Site | None, project: ProjectFile | None, configs: Configs) -> str:
    """Choose a profile by site alone, or the default one."""
    if project and (names := project.profiles(configs)):
        if project.site is None:
            return names[0]
        origin = project.table.origin
        hint = f"{origin} names it for {project.site}; with -p {names[0]}, that file is ignored."
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
                f"Cannot choose a profile: there are several ({', '.join(names)}) and no default.",
                hint="Name one with -p, or set the default: `soe-auth profile use NAME`.",
            )


def _only_one(
    names: Sequence[str], site: Site, configs: Configs, if_taken: str, origin: str = ""
) -> str:
    """Return the only profile of a site.

    `if_taken` is the hint if it belongs to another site, `origin` the project file that names the
    site, if any.
    """
    if len(names) > 1:
        named = f", which {origin} names" if origin else ""
        raise SettingsError(
            f"Cannot choose a profile of {site.authority}{named}: there are {', '.join(names)}.",
            hint="Name one with -p.",
        )
    if configs.is_taken(names[0], site):
        raise SettingsError(
            f"Cannot use profile {names[0]} for {site.authority}: it belongs to another site.",
            hint=if_taken,
        )
    return names[0]
