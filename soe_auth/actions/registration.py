"""The texts for registering the application on the site, for config.toml and for sharing."""

from collections.abc import Iterable
from dataclasses import dataclass

from soe_auth.model.site import Site
from soe_auth.settings import spec
from soe_auth.settings.config_files import Configs
from soe_auth.settings.settings import Settings

_STEPS = """\
  1. Open {url}
     then your avatar, Settings, API applications (under "Apps & integrations").
     If you do not see that page, ask an administrator.
  2. Open an application, or create one:
       Name     soe-auth
       Domain   {domain}
       Status   Read-only, or Read-write for tokens that write
     Domain must not stay empty, though the form calls it optional.
     Ignore the secret and the key: they are for servers.
  3. Copy its Client ID, a number such as 110"""
_PREFACE = """\
# Settings of soe-auth. Your changes and comments here are kept.
# `soe-auth status` shows the profiles, `soe-auth login -p NAME` signs in to one.
# docs/reference/settings.md explains each key, and what overrides this file.
#
# default_profile is the profile to use if none is named.
# These keys can be at the top, for all profiles, or in the table of a profile:
{keys}
#
"""
_WIDTH = 72  # columns of a comment


@dataclass(frozen=True, slots=True)
class Change:
    """A key of a profile in config.toml, its new TOML value, and both values as typed."""

    key: str
    value: spec.Stored
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.key} from {self.before or 'none'} to {self.after or 'none'}"

    def undo(self, profile: str) -> str:
        """Return the command that restores the profile's value in config.toml."""
        from shlex import quote

        setting = spec.BY_KEY[self.key]
        if self.before in ("", setting.text(setting.default)):
            return f"soe-auth config unset {self.key} -p {profile}"
        return f"soe-auth config set {self.key} {quote(self.before)} -p {profile}"


def changes(settings: Settings, configs: Configs) -> list[Change]:
    """Return the changes that store the settings; a new profile always gets site and client ID."""
    new = settings.profile not in configs.profiles
    found = []
    for setting in spec.PROFILE:
        before = configs.value_of(settings.profile, setting)
        value = getattr(settings, setting.key)
        if before != value or (new and setting in (spec.SITE, spec.CLIENT_ID)):
            texts = setting.text(before), setting.text(value)
            found.append(Change(setting.key, setting.to_toml(value), *texts))
    return found


def preface() -> str:
    """Return the comment at the top of a new config.toml, with every setting."""
    from textwrap import wrap

    width = max(map(len, spec.BY_KEY))
    keys = [
        line
        for setting in spec.TABLE
        for line in wrap(
            setting.help,
            100,
            initial_indent=f"#   {setting.key:{width}}  ",
            subsequent_indent="#" + " " * (width + 5),
        )
    ]
    return _PREFACE.format(keys="\n".join(keys))


def steps(site: Site, settings: Settings) -> str:
    """Return the steps to register the application, without a full stop at the end."""
    needed = settings.domain
    if needed == spec.REDIRECT_HOST.default:
        choices = (
            "localhost",
            "127.0.0.1",
            "soe-auth.localhost",
            "a name of your company that resolves to 127.0.0.1",
            f"{site.authority} (you then paste an address at each login)",
        )
        needed = "the first of these that the form accepts:"
        needed += "".join(f"\n{'':18}{choice}" for choice in choices)
    return _STEPS.format(url=site, domain=needed)


def texts_to_share(settings: Settings) -> str:
    """Return a project file whose comments are for a colleague and for an administrator.

    Raises SettingsError without a site or a client ID.
    """
    from shlex import join

    site, client_id = settings.require_site_and_client()
    words = ["soe-auth", "init", "--site", site.as_typed, "--client-id", client_id]
    for setting in (spec.SCOPE, spec.REDIRECT, spec.REDIRECT_HOST, spec.PORT, spec.PASTE):
        if (value := getattr(settings, setting.key)) != setting.default:
            words += [setting.flag, setting.text(value)]
    for_colleague = [
        "For a colleague: this command. For a repository: all of this as its .soe-auth.toml.",
        f"  {join([*words, '--yes', '--login'])}",
    ]
    defaults = spec.REDIRECT.default, spec.REDIRECT_HOST.default
    if (settings.redirect, settings.redirect_host) != defaults:
        for_colleague.append(
            "A project file cannot set the redirect, so each colleague needs the command once."
        )
    # Parsing has refused quotes and backslashes in these values.
    values = [f'site = "{site}"', f'client_id = "{client_id}"']
    if settings.scope.names:
        values.append(f'scope = "{settings.scope}"')
    texts = [_comment(for_colleague), *values, "", administrator_text(settings, site)]
    return "\n".join(texts)


def administrator_text(settings: Settings, site: Site) -> str:
    """Return what to send to the administrator who registers the application."""
    needed = settings.domain
    others = [
        f"  {'':9}or the next that the form accepts: 127.0.0.1, soe-auth.localhost,",
        f"  {'':9}{site.authority}; then tell us which one",
    ]
    scope = settings.scope
    place = "the site's own page" if settings.redirect == "login_success" else "the user's machine"
    expiry = "never expire" if scope.no_expiry else "expire after a day"
    lines = [
        f"For the administrator of {site.authority}: please register this application.",
        f"  Page     {site}/enterprise/api, or avatar, Settings, API applications",
        "  Name     soe-auth",
        f"  Domain   {needed}",
        *(others if needed == spec.REDIRECT_HOST.default else []),
        f"  Status   {'Read-write' if 'write_access' in scope.names else 'Read-only'}",
        "soe-auth gets each user an API token of their own, by a login in their browser.",
        f"Domain is where the browser returns: {place}. It must not stay empty.",
        f"Scope of the tokens: {scope.in_words()}. They {expiry}.",
        "It is a public client and uses PKCE (S256).",
        "It does not need the secret and the key, which are for servers.",
        "Please send us the Client ID that the site then shows.",
    ]
    return _comment(lines)


def _comment(lines: Iterable[str]) -> str:
    """Return lines as TOML comments; an indented line is not wrapped, as it is copied."""
    from textwrap import wrap

    return "\n".join(
        f"# {part}"
        for line in lines
        for part in ([line] if line[0] == " " else wrap(line, _WIDTH - 2, break_on_hyphens=False))
    )
