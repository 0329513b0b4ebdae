"""The status of every profile: its token, and why that is not usable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from soe_auth.errors import NetworkError, SettingsError
from soe_auth.settings import CONFIG_DIR_VARIABLE
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.project_file import find_project
from soe_auth.settings.resolve import no_profile_yet, resolve
from soe_auth.settings.spec import CA_BUNDLE, PROXY, STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from soe_auth.model.network import Network
    from soe_auth.model.site import Site
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings
    from soe_auth.site_client.client import Verification


@dataclass(frozen=True, slots=True)
class ProfileStatus:
    """A profile and its stored token, not verified on the site.

    `site` is the token's, or without a token that of the settings. `problem` is why the profile has
    no valid token, such as "expired 3 h ago", or None.
    """

    profile: str
    site: Site | None
    token: Token | None
    problem: str | None


def resolve_all(
    chosen: str | None, stored: Callable[[], Iterable[str]], environ: Mapping[str, str]
) -> list[Settings]:
    """Resolve the settings of the chosen profile, or of all, including those with a token only.

    Raises SettingsError; LoginRequired if there is no profile.
    """
    configs = read_config_files(environ)
    names = {chosen} if chosen is not None else {*configs.profiles, *stored()}
    if not names:
        raise no_profile_yet()
    # Other variables override a profile for one command; these are needed to reach site and store.
    allowed = {CONFIG_DIR_VARIABLE, CA_BUNDLE.variable, PROXY.variable, STORE.variable}
    plain = {name: value for name, value in environ.items() if name in allowed}
    find = cache(find_project)
    return [
        resolve({}, profile=name, environ=plain, configs=configs, find=find)
        for name in sorted(names)
    ]


def require_profile_or_token(settings: Settings, token: Token | None) -> None:
    """Raise SettingsError if there is neither such a profile nor a token."""
    if not settings.known and token is None:
        settings.require_site_and_client()


def status_of(settings: Settings, token: Token | None, now: float) -> ProfileStatus:
    """Return the profile's status; `now` is in seconds since the epoch."""
    if token is None:
        return ProfileStatus(settings.profile, settings.site, None, "has no token")
    return ProfileStatus(settings.profile, token.site, token, settings.problem_of(token, now))


async def verify(tokens: Iterable[tuple[Token, Network]]) -> list[Verification]:
    """Verify each token on its own site, all at the same time."""
    import asyncio

    return await asyncio.gather(*(_verify_at_site(token, network) for token, network in tokens))


async def _verify_at_site(token: Token, network: Network) -> Verification:
    from soe_auth.site_client.client import TokenValidity, Verification, connect

    try:
        async with connect(token.site, network=network) as site:
            return await site.verify(token.access_token, for_team=token.scope.is_for_team)
    except (NetworkError, SettingsError) as problem:
        return Verification(TokenValidity.UNREACHABLE, reason=str(problem))
