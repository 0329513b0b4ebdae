"""Choose the profile that a command is for, where none is named: none is changed unasked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.settings.spec import CLIENT_ID, SCOPE, SITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soe_auth.model.scope import Scope
    from soe_auth.model.site import Site
    from soe_auth.settings.config_files import Configs, TomlTable
    from soe_auth.settings.project_file import ProjectFile


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
