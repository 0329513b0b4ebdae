"""What is registered on the site, what is kept here, and what is handed on: the words for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soe_auth.settings.spec import (
    BY_KEY,
    CLIENT_ID,
    PASTE,
    PORT,
    PROFILE,
    REDIRECT,
    REDIRECT_HOST,
    SITE,
    TABLE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from soe_auth.model.site import Site
    from soe_auth.model.token import Scope
    from soe_auth.settings.config_files import Configs
    from soe_auth.settings.settings import Settings
    from soe_auth.settings.spec import Redirect, Setting, Stored

_STEPS = """\
  1. Open {url}
     then your avatar, Settings, API applications (under "Apps & integrations").
     Some sites show that page to administrators only: then ask one.
  2. Open an application that you may use, or make one:
       Name     soe-auth
       Domain   {domain}
       Status   Read-only; Read-write if tokens are to write
     Domain must not stay empty, though the form calls it optional.
     Leave the secret and the key that the page shows: they are for servers.
  3. Copy its Client ID, a number such as 110"""
_PREFACE = """\
# Settings of soe-auth. What you write here stays, comments too.
# `soe-auth status` shows the profiles, `soe-auth login -p NAME` signs in to one.
# docs/reference/settings.md tells of each key, and of what comes before this file.
#
# default_profile is the one that is used where none is named.
# At the top of the file, for all profiles, or in the table of one, there may be:
{keys}
#
"""
_WIDTH = 72


@dataclass(frozen=True, slots=True)
class Change:
    """A key of a profile in config.toml, its new value there, and both values as typed."""

    key: str
    value: Stored
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.key} from {self.before or 'none'} to {self.after or 'none'}"

    def undo(self, profile: str) -> str:
        """Return the command that takes it back, for the profile's own value in config.toml."""
        from shlex import quote

        if self.before in ("", BY_KEY[self.key].text(BY_KEY[self.key].default)):
            return f"soe-auth config unset {self.key} -p {profile}"
        return f"soe-auth config set {self.key} {quote(self.before)} -p {profile}"


def domain(site: Site, redirect: Redirect, redirect_host: str) -> str:
    """Return what the application's Domain has to be, so that the browser may come back."""
    return site.authority if redirect == "login_success" else redirect_host


def domains(site: Site) -> dict[str, str]:
    """Return each Domain that will do, by a name, in the order to try in the site's form."""
    return {
        "localhost": "localhost",
        "127.0.0.1": "127.0.0.1",
        "soe-auth.localhost": "soe-auth.localhost",
        "another": "a name of your company's that means 127.0.0.1",
        "own": f"{site.authority}, and then you paste an address at each login",
    }


def steps(site: Site, settings: Settings) -> str:
    """Say what to click and write on the site; ends in the client ID, without a full stop."""
    needed = domain(site, settings.redirect, settings.redirect_host)
    if needed == REDIRECT_HOST.default:
        each = (f"\n{'':16}  {words}" for words in domains(site).values())
        needed = f"the first of these that the form takes:{''.join(each)}"
    return _STEPS.format(url=site, domain=needed)


def preface() -> str:
    """Return the comment that a new config.toml begins with, made of the table of settings."""
    from textwrap import wrap

    width = max(len(setting.key) for setting in TABLE)
    keys = [
        line
        for setting in TABLE
        for line in wrap(
            setting.help,
            100,
            initial_indent=f"#   {setting.key:{width}}  ",
            subsequent_indent="#" + " " * (width + 5),
        )
    ]
    return _PREFACE.format(keys="\n".join(keys))


def changes(settings: Settings, configs: Configs) -> list[Change]:
    """Return what the config files do not say yet of a profile.

    One that is new gets its site and its client ID in any case.
    """
    new = settings.profile not in configs.profiles
    found = []
    for setting in PROFILE:
        before = configs.value_of(settings.profile, setting)
        value = getattr(settings, setting.key)
        if before != value or (new and setting in (SITE, CLIENT_ID)):
            found.append(
                Change(
                    setting.key, setting.to_toml(value), setting.text(before), setting.text(value)
                )
            )
    return found


def texts_to_share(settings: Settings, *, width: int = _WIDTH) -> str:
    """Return what a colleague and an administrator need: a project file, and comments in it.

    Raises SettingsError without a site or a client ID.
    """
    site, client_id = settings.require_site_and_client
    for_colleague = [
        "For a colleague, this line; or, for a repository, all this as its .soe-auth.toml:",
        f"  {_command(settings)}",
    ]
    if settings.redirect != REDIRECT.default or settings.redirect_host != REDIRECT_HOST.default:
        for_colleague.append(
            "Such a file cannot say how the browser comes back, so everybody needs the line once."
        )
    # None of these can hold a quote or a backslash: see model/site.py, model/token.py and
    # settings/spec.py.
    lines = [f'site = "{site}"', f'client_id = "{client_id}"']
    if settings.scope.names:
        lines.append(f'scope = "{settings.scope}"')
    return "\n".join(
        [
            *_comments(for_colleague, width),
            *lines,
            "",
            *_comments(_for_administrator(settings, site), width),
        ]
    )


def administrator_text(settings: Settings, site: Site) -> str:
    """Return what to send to the administrator who registers the application."""
    return "\n".join(_comments(_for_administrator(settings, site), _WIDTH))


def _command(settings: Settings) -> str:
    """Return the command line with which another user makes this profile."""
    from shlex import join

    site, client_id = settings.require_site_and_client
    words = ["soe-auth", "init", "--site", site.as_typed, "--client-id", client_id]
    if settings.scope.names:
        words += ["--scope", str(settings.scope)]
    table: Sequence[Setting[Any]] = (REDIRECT, REDIRECT_HOST, PORT, PASTE)
    for setting in table:
        if (value := getattr(settings, setting.key)) != setting.default:
            words += [setting.flag, setting.text(value)]
    return join([*words, "--yes", "--login"])


def _for_administrator(settings: Settings, site: Site) -> list[str]:
    own_page = settings.redirect == "login_success"
    where = "a page of the site itself" if own_page else "the user's own machine"
    needed = domain(site, settings.redirect, settings.redirect_host)
    others = [f"  {'':9}or the next that the form takes: 127.0.0.1, soe-auth.localhost,"]
    others += [f"  {'':9}{site.authority}; then tell us which one"]
    return [
        f"For the administrator of {site.authority}, who registers the application:",
        f"  Where    {site}/enterprise/api, or avatar, Settings, API applications",
        "  Name     soe-auth",
        f"  Domain   {needed}",
        *(others if needed == REDIRECT_HOST.default else []),
        f"  Status   {'Read-write' if 'write_access' in settings.scope.names else 'Read-only'}",
        "With soe-auth, people get API tokens of their own by a login in their own browser.",
        f"Domain is where the browser comes back to: {where}. It must not stay empty.",
        f"Its tokens: {_in_words(settings.scope)}.",
        "It is a public client, and guards each login by PKCE (S256).",
        "The secret and the key that the page shows are for servers: leave them there.",
        "What we need is the Client ID that the site then shows.",
    ]


def _in_words(scope: Scope) -> str:
    """Say what a token of this scope may do, and for how long."""
    may = f"the scopes {scope.in_words()}" if scope.names else "read only, as no scope is asked for"
    return f"{may}; {'without end' if scope.no_expiry else 'good for a day'}"


def _comments(lines: list[str], width: int) -> Iterator[str]:
    """Yield lines as comments, no wider than that; what is indented is to be copied, so whole."""
    from textwrap import wrap

    for line in lines:
        to_copy = line.startswith("  ")
        parts = [line] if to_copy else wrap(line, width - 2, break_on_hyphens=False)
        yield from (f"# {part}" for part in parts)
