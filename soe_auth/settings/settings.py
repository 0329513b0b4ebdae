"""The settings of one profile, resolved: their values, and where each came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from soe_auth.errors import SettingsError
from soe_auth.model.network import Network
from soe_auth.model.site import VENDOR_DOMAIN
from soe_auth.model.text import nearest
from soe_auth.settings.spec import PROFILE, SITE, TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from soe_auth.model.network import Ports, Proxy
    from soe_auth.model.site import Site
    from soe_auth.model.token import Scope
    from soe_auth.settings.config_files import Paths
    from soe_auth.settings.spec import Paste, Redirect, Stored, StoreKind


EXAMPLE_PORT = 8765  # where none is fixed


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one profile, and for each key the place that its value came from.

    `profiles` are the names of all that the config.toml have, `project` is the project file that
    was heeded, as it is shown, `only_project` whether nothing else names the site, and
    `trusts_site` whether it is one of the trusted sites. `project_names_profile` is whether that
    file names the profile. `place(key)` is a value's origin with the line of the file, if it is
    from one.
    """

    profile: str
    paths: Paths
    profiles: Sequence[str]
    project: str | None
    only_project: bool
    trusts_site: bool
    project_names_profile: bool
    site: Site | None
    client_id: str | None
    scope: Scope
    redirect: Redirect
    redirect_host: str
    port: Ports
    paste: Paste
    browser: str | None
    timeout: float
    min_ttl: float
    ca_bundle: Path | None
    proxy: Proxy | Literal["none"] | None
    store: StoreKind
    origins: Mapping[str, str]
    place: Callable[[str], str] = field(repr=False, compare=False)

    @property
    def require_site_and_client(self) -> tuple[Site, str]:
        """Site and client ID, which have no default. Raises SettingsError if one is missing."""
        if self.site is None:
            raise self.no_such_profile()
        if self.client_id is None:
            named = f", which {self.project} names" if SITE.key in self.from_project else ""
            raise SettingsError(
                f"No client ID is set for {self.site.authority}{named}.",
                hint=f"Say which: `soe-auth login --site {self.site.as_typed} --client-id ID`.",
            )
        return self.site, self.client_id

    def no_such_profile(self) -> SettingsError:
        """Return the error that says that the profile is not there, or has no site."""
        meant = None if self.known else nearest(self.profile, self.profiles)
        named = f", which {self.project} names" if self.project_names_profile else ""
        return SettingsError(
            f"Profile {self.profile}{named}{',' * bool(named)} has no site."
            if self.known
            else f"There is no profile {self.profile}{named}.",
            hint=f"{f'Did you mean {meant}? If not, make' if meant else 'Make'} it with"
            f" `soe-auth login -p {self.profile} --site NAME --client-id ID`;"
            " `soe-auth status` shows what there is.",
        )

    @property
    def known(self) -> bool:
        """Whether a config.toml has the profile."""
        return self.profile in self.profiles

    @property
    def doubt(self) -> str:
        """Why nothing may be sent to the site or opened there until the user agrees; or empty."""
        if self.site is None or self.site.in_cloud:
            return ""
        if self.only_project:
            return f"{self.project} names the site {self.site}"
        if self.site.imitates_vendor and not self.trusts_site:
            return f"{self.site} is not a site of {VENDOR_DOMAIN}, though it looks like one"
        return ""

    def untrusted_site(self, command: str) -> SettingsError:
        """Return the error for a site in `doubt`; `command` is what may name the site instead."""
        client_id = f" --client-id {self.client_id}" if self.client_id else ""
        return SettingsError(
            f"{self.doubt}, and you have not agreed to it.",
            hint=f"If you trust it, name it yourself: `{command} --site {self.site}{client_id}`."
            if self.only_project
            else "Check its name. If you trust it, add it to trusted_sites:"
            " `soe-auth config edit`.",
        )

    @property
    def of_browser(self) -> list[str]:
        """What a browser can be sent off by, before anything else is known; empty if it cannot.

        The redirect's host, the first port and the last, and the browser's command.
        """
        browser = self.browser or ""
        odd = self.from_project or self.doubt or self.ca_bundle or not browser.isprintable()
        if odd or self.redirect != "loopback":
            return []
        return [self.redirect_host, str(self.port.first), str(self.port.last), browser]

    @property
    def redirect_uri(self) -> str:
        """The redirect URI as a login has it, where its port, if any will do, is 8765."""
        from soe_auth.oauth.authorization_request import login_success_uri, redirect_uri_for

        site, _ = self.require_site_and_client
        if self.redirect == "login_success":
            return login_success_uri(site)
        return redirect_uri_for(site, self.redirect_host, self.port.first or EXAMPLE_PORT)

    @property
    def network(self) -> Network:
        """What the settings say of the way to the site."""
        return Network(self.ca_bundle, self.proxy)

    @property
    def from_flags(self) -> list[str]:
        """The keys of a profile's settings that were given as flags."""
        return [s.key for s in PROFILE if self.origins[s.key] == s.flag]

    @property
    def from_project(self) -> list[str]:
        """The keys of the settings that the project file gave."""
        return [s.key for s in TABLE if self.project and self.origins[s.key] == self.project]

    @property
    def project_request(self) -> str:
        """What the project file asks for, as a sentence; empty where it gave nothing."""
        asked = {
            "site": f"the site {self.site}",
            "client_id": f"the client ID {self.client_id}",
            "scope": f"the scope {self.scope.in_words()}",
        }
        asks = ", ".join(asked[key] for key in self.from_project)
        return f"{self.project} asks for {asks}." if asks else ""

    @property
    def profile_values(self) -> dict[str, Stored]:
        """The profile as it is written in config.toml: all but the defaults and the project's."""
        others = ("default", self.project)
        return {
            s.key: s.to_toml(getattr(self, s.key))
            for s in PROFILE
            if self.origins[s.key] not in others
        }

    @property
    def in_a_file(self) -> bool:
        """Whether a file has the profile, and not variables alone."""
        return self.known or "site" in self.from_project

    @property
    def login_command(self) -> str:
        """What a person types to log in to this profile."""
        if not self.in_a_file:
            site = self.site.as_typed if self.site else "NAME"
            return f"soe-auth login --site {site} --client-id {self.client_id or 'ID'}"
        return f"soe-auth login -p {self.profile}"
