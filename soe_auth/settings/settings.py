"""The settings of one profile, with the origin of each, and the paths of the config files."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Literal

from soe_auth.errors import SettingsError
from soe_auth.model.network import Network
from soe_auth.model.site import VENDOR_DOMAIN
from soe_auth.model.text import nearest, printable
from soe_auth.settings import CONFIG_DIR_VARIABLE
from soe_auth.settings.spec import BROWSER, CLIENT_ID, PROFILE, SITE, TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from soe_auth.model.network import Ports, Proxy
    from soe_auth.model.site import Site
    from soe_auth.model.token import Scope, Token
    from soe_auth.settings.spec import Paste, Redirect, Stored, StoreKind

EXAMPLE_PORT = 8765  # shown if any port is allowed
_NO_FILE = Path(os.devnull, "config.toml")  # never exists


@dataclass(frozen=True, slots=True)
class Paths:
    """The user's config directory, None without a home directory, and the system's config.toml."""

    user_directory: Path | None
    system_config: Path

    @property
    def directory(self) -> Path:
        """The user's config directory. Raises SettingsError if there is none."""
        if self.user_directory is None:
            raise SettingsError(
                "Cannot find the config directory: your home directory is unknown.",
                hint=f"Set HOME, or set {CONFIG_DIR_VARIABLE} to a directory of your own.",
            )
        return self.user_directory

    @property
    def config(self) -> Path:
        """The user's config.toml. Raises SettingsError as `directory`."""
        return self.directory / "config.toml"

    @property
    def files(self) -> list[Path]:
        """Both config.toml files, the user's first."""
        return [self.config if self.user_directory else _NO_FILE, self.system_config]


def find_paths(environ: Mapping[str, str], *, platform: str = sys.platform) -> Paths:
    """Find the config directories: SOE_AUTH_CONFIG_DIR, else the platform's.

    Raises SettingsError if that variable depends on the current directory or Windows drive.
    """
    import platformdirs

    system = platformdirs.site_config_path("soe-auth", appauthor=False) / "config.toml"
    if not (directory := environ.get(CONFIG_DIR_VARIABLE)):
        try:
            user = platformdirs.user_config_path("soe-auth", appauthor=False)
            if not user.is_absolute():  # old platformdirs accept a relative XDG_CONFIG_HOME
                user = Path.home() / ".config" / "soe-auth"
        except RuntimeError:  # neither HOME nor the user database has a home directory
            return Paths(None, system)
        return Paths(user, system)
    # Unlike a shell, .env files, Docker and systemd do not expand "~".
    path = os.path.expanduser(directory)  # noqa: PTH111  # pathlib raises without a home directory
    pure = PureWindowsPath if platform == "win32" else PurePosixPath
    if not pure(path).is_absolute():
        example = r"C:\Users\you\soe-auth" if platform == "win32" else "~/soe-auth"
        raise SettingsError(
            f"Cannot use {CONFIG_DIR_VARIABLE}={printable(directory)}: it depends on the current"
            " directory.",
            hint=f"Set it to an absolute path, such as {example}.",
        )
    return Paths(Path(path), system)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one profile, and the origin of each value by its key.

    `is_named` is whether the user named the profile; `profiles` are the names of all profiles in
    config files. `project` is the printable path of the project file in use; `only_project` is
    whether no other source names the site, `trusts_site` whether it is in trusted_sites.
    `place(key)` is a value's origin with its line, if it is from a file; `profile_place()` that of
    the profile's name, empty if it is not from a variable or a file.
    """

    profile: str
    is_named: bool
    paths: Paths
    profiles: Sequence[str]
    project: str | None
    only_project: bool
    trusts_site: bool
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
    profile_place: Callable[[], str] = field(repr=False, compare=False)

    def require_site_and_client(self) -> tuple[Site, str]:
        """Return the site and the client ID. Raises SettingsError if one is missing."""
        if self.site is None:
            raise self.no_such_profile()
        if self.client_id is None:
            named = f", which {self.project} names" if SITE.key in self.from_project else ""
            raise SettingsError(
                f"No client ID is set for {self.site.authority}{named}.",
                hint=f"Set it: `{self.login_command}`.",
            )
        return self.site, self.client_id

    def no_such_profile(self) -> SettingsError:
        """Return the error for a profile that does not exist or has no site."""
        meant = None if self.known else nearest(self.profile, self.profiles)
        place = self.profile_place()
        which = f", which {place} names," if place else ""
        return SettingsError(
            f"Profile {self.profile}{which} has no site."
            if self.known
            else f"There is no profile {self.profile}{which.removesuffix(',')}.",
            hint=f"{f'Did you mean {meant}? If not, make' if meant else 'Make'} it with"
            f" `soe-auth login -p {self.profile} --site NAME --client-id ID`;"
            " `soe-auth status` lists the profiles.",
        )

    @property
    def known(self) -> bool:
        """Whether the profile is in a config.toml."""
        return self.profile in self.profiles

    @property
    def doubt(self) -> str:
        """Why the site needs the user's consent before any request or browser; else empty."""
        if self.site is None or self.site.in_cloud:
            return ""
        if self.only_project:
            return f"{self.project} names the site {self.site}"
        if self.site.imitates_vendor and not self.trusts_site:
            return f"{self.site} is not a site of {VENDOR_DOMAIN}, though it looks like one"
        return ""

    def untrusted_site(self, command: str) -> SettingsError:
        """Return the error for a site in `doubt`; `command` can name the site instead."""
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
        """Values needed to open the browser early: redirect host, first and last port, command.

        Empty if early launch is not allowed.
        """
        browser = self.browser or ""
        excluded = self.from_project or self.doubt or self.ca_bundle or not browser.isprintable()
        if excluded or self.redirect != "loopback":
            return []
        return [self.redirect_host, str(self.port.first), str(self.port.last), browser]

    @property
    def domain(self) -> str:
        """The application's Domain, the host that the browser returns to; empty without a site."""
        if self.redirect == "loopback":
            return self.redirect_host
        return self.site.authority if self.site else ""

    @property
    def redirect_uri(self) -> str:
        """The redirect URI of a login, with port 8765 if any port is allowed."""
        from soe_auth.oauth.authorization_request import login_success_uri, redirect_uri_for

        site, _ = self.require_site_and_client()
        if self.redirect == "login_success":
            return login_success_uri(site)
        return redirect_uri_for(site, self.redirect_host, self.port.first or EXAMPLE_PORT)

    @property
    def network(self) -> Network:
        """The CA bundle and the proxy for requests to the site."""
        return Network(self.ca_bundle, self.proxy)

    @property
    def from_flags(self) -> list[str]:
        """The keys of the profile's settings that were given as flags."""
        return [s.key for s in PROFILE if self.origins[s.key] == s.flag]

    @property
    def from_project(self) -> list[str]:
        """The keys of the settings that the project file gave."""
        return [s.key for s in TABLE if self.project and self.origins[s.key] == self.project]

    @property
    def project_request(self) -> str:
        """The requests of the project file, as a sentence; empty if there are none."""
        values = {
            "site": f"the site {self.site}",
            "client_id": f"the client ID {self.client_id}",
            "scope": f"the scope {self.scope.in_words()}",
        }
        requested = ", ".join(values[key] for key in self.from_project)
        return f"{self.project} requests {requested}." if requested else ""

    @property
    def profile_values(self) -> dict[str, Stored]:
        """The profile as config.toml holds it: no defaults, and nothing from the project file."""
        others = ("default", self.project)
        return {
            s.key: s.to_toml(getattr(self, s.key))
            for s in PROFILE
            if self.origins[s.key] not in others
        }

    @property
    def _in_a_file(self) -> bool:
        """Whether the profile is in a file, and not in variables alone."""
        return self.known or SITE.key in self.from_project

    def problem_of(self, token: Token, now: float) -> str | None:
        """Return why the token is not valid for this profile, or None.

        If the profile is in no file, only the expiry is checked.
        """
        own = self if self._in_a_file else token
        return token.why_unusable(own.site, own.client_id, own.scope, min_ttl=0, now=now)

    @property
    def login_command(self) -> str:
        """The command that logs in to this profile, with the options that the user gave.

        It has NAME and ID in place of a missing site and client ID.
        """
        from shlex import quote

        words = ["soe-auth login"]
        if self.is_named or self._in_a_file:
            words.append(f"-p {self.profile}")
        placeholders = {SITE.key: "NAME", CLIENT_ID.key: "ID"}
        for setting in (*PROFILE, BROWSER):
            value = getattr(self, setting.key)
            is_needed = setting.key in placeholders and (value is None or not self._in_a_file)
            is_given = self.origins[setting.key] == setting.flag
            if is_needed or is_given:
                text = self.site.as_typed if setting is SITE and self.site else setting.text(value)
                text = text or placeholders.get(setting.key, "")
                words.append(f"{setting.flag} {printable(quote(text))}")
        return " ".join(words)
