"""The options that several commands share, and the settings and secrets given by them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from soe_auth.errors import SettingsError
from soe_auth.model.secret import Secret
from soe_auth.model.site import Site
from soe_auth.model.text import nearest, printable
from soe_auth.settings import PROFILE_VARIABLE
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.project_file import MAX_SHOWN_PATH
from soe_auth.settings.resolve import resolve
from soe_auth.settings.spec import CLIENT_ID, SCOPE, SITE
from soe_auth.storage import open_store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping
    from typing import Any

    from soe_auth.cli.console import Console
    from soe_auth.settings.settings import Settings
    from soe_auth.settings.spec import Setting
    from soe_auth.storage import Store

T = TypeVar("T")

_METAVARS = {
    "client_id": "ID",
    "redirect_host": "HOST",
    "browser": "COMMAND",
    "timeout": "DURATION",
    "min_ttl": "DURATION",
}


def add_settings(parser: argparse.ArgumentParser, *settings: Setting[Any]) -> None:
    """Add an option for each setting; values stay text until they are resolved."""
    for setting in settings:
        default = setting.text(setting.default)
        parser.add_argument(
            setting.flag,
            metavar=_METAVARS.get(setting.key, setting.key.upper()),
            dest=f"setting_{setting.key}",
            help=f"{setting.help}; default: {default}" if default else setting.help,
        )


def option_values(args: argparse.Namespace) -> dict[str, str]:
    """Return the values of the settings' options, as typed, by the keys of the settings."""
    return {
        name.removeprefix("setting_"): value
        for name, value in vars(args).items()
        if name.startswith("setting_") and value is not None
    }


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add an argument that can be used instead of -p or --site."""
    parser.add_argument("target", metavar="NAME", nargs="?", help="a profile, or else a site")


def take_target(args: argparse.Namespace, console: Console) -> None:
    """Use the argument, if given, as -p if there is such a profile, else as --site.

    Raises SettingsError if it is neither, and if it looks like a mistyped profile.
    """
    word = args.target
    if word is None:
        return
    configs = read_config_files(console.environ, tolerant=True)  # here only names matter
    try:
        site = None if word in configs.profiles else Site.parse(word)
    except ValueError as problem:
        raise SettingsError(
            f"There is no such profile or site: {problem}.",
            hint="`soe-auth profile list` shows the profiles.",
        ) from None
    key, name = ("setting_site", "site") if site else ("profile", "profile")
    if getattr(args, key, None):
        raise SettingsError(f"The {name} is named twice.", hint="Leave one of them out.")
    meant = nearest(word, configs.profiles) if word.isalnum() or "-" in word else None
    if site and meant and not configs.all_of(site) and not option_values(args):
        raise SettingsError(
            f"There is no profile {printable(word, 80)}.",
            hint=f"Did you mean {meant}? If not, name a site with --site.",
        )
    setattr(args, key, word)


def read_secret(
    what: str, console: Console, variable: str | None = None, check: Callable[[str], str] = str
) -> Secret:
    """Read one secret from its variable, a terminal (without echo) or a line of standard input.

    `check` raises ValueError for an impossible value. Raises SettingsError.
    """
    given = console.environ.get(variable, "") if variable else ""
    try:
        value = (given or _read_secret_line(what, console)).strip()
        if not value:
            raise ValueError("it is empty")
        return Secret(check(value))
    except ValueError as problem:
        raise SettingsError(
            f"Cannot read the {what}: {problem}.",
            hint=f"Give it {f'in {variable} or ' if variable else ''}as a line of standard input.",
        ) from None


def _read_secret_line(what: str, console: Console) -> str:
    """Read a line from a terminal, without echo, or from standard input. Raises ValueError."""
    try:
        if not console.can_ask:
            return sys.stdin.readline()
        from getpass import getpass

        return getpass(f"{what.capitalize()}: ")
    except OSError as problem:
        raise ValueError(problem.strerror) from None
    except (EOFError, UnicodeError):
        console.error("")  # ends the line of the prompt
        raise ValueError("type a line of UTF-8 text") from None


def describe_input(name: str) -> str:
    """Return what a message calls the file that `read_input` reads."""
    return "standard input" if name == "-" else printable(name, MAX_SHOWN_PATH)


def read_input(name: str, limit: int, hint: str) -> bytes:
    """Read at most `limit` bytes of a file, or of stdin for `-`. Raises SettingsError."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(limit)
        with Path(name).open("rb") as file:
            return file.read(limit)
    except OSError as problem:
        raise SettingsError(
            f"Cannot read {describe_input(name)}: {problem.strerror}.", hint=hint
        ) from None


def read_option(name: str, read: Callable[[str], T], text: str) -> T:
    """Return the value of an option. Raises SettingsError with its name."""
    try:
        return read(text)
    except ValueError as problem:
        flag = name.replace("_", "-")
        raise SettingsError(f"Cannot read {name} from --{flag}: {problem}.") from None


def resolve_settings(args: argparse.Namespace, console: Console) -> Settings:
    """Resolve the settings with the options; report an ignored part of the site's URL."""
    settings = resolve(option_values(args), profile=args.profile, environ=console.environ)
    if settings.site:
        report_ignored_suffix(settings.site, console)
    return settings


def resolve_by_hand(args: argparse.Namespace, console: Console) -> Settings:
    """Resolve the settings from options and variables, and from a profile only if it is named.

    Without a name, the default profile, other profiles of the site and a project file have no
    effect. Asks for consent to a site in doubt. Raises SettingsError.
    """
    from soe_auth.actions.project_consent import require_consent

    is_named = args.profile or console.environ.get(PROFILE_VARIABLE)
    settings = (resolve_settings if is_named else _resolve_without_profile)(args, console)
    require_consent(settings, console.confirm, console.say)
    return settings


def _resolve_without_profile(args: argparse.Namespace, console: Console) -> Settings:
    configs = read_config_files(console.environ)
    unused = (f"by-hand-{number}" for number in range(len(configs.profiles) + 1))
    settings = resolve(
        option_values(args),
        profile=next(name for name in unused if name not in configs.profiles),
        environ=console.environ,
        configs=configs,
        find=lambda _: None,
    )
    if settings.site is None or settings.client_id is None:
        raise SettingsError(
            "The steps by hand need a site and a client ID.",
            hint="Give --site and --client-id, or name a profile with -p.",
        )
    report_ignored_suffix(settings.site, console)
    return settings


def report_ignored_suffix(site: Site, console: Console) -> None:
    """Report the part of a site's URL that is ignored, if any."""
    if site.ignored_suffix:
        console.say(f"The site is {site}; “{printable(site.ignored_suffix, 80)}” is ignored.")


def open_profile_store(settings: Settings, console: Console) -> Store:
    """Open the token store of a profile: beside the user's config.toml, or the keyring."""
    return open_store(settings.paths.directory, settings.store, report=console.say)


def add_by_hand(parser: argparse.ArgumentParser) -> None:
    """Add the options of the steps by hand that make a URL or use its code."""
    add_settings(parser, SITE, CLIENT_ID, SCOPE)
    parser.add_argument(
        "--redirect-uri",
        metavar="URI",
        help="where the site sends the browser, the same in every step; default: its own page"
        " /oauth/login_success",
    )


def redirect_uri_of(site: Site, args: argparse.Namespace) -> str:
    """Return the redirect URI of the option, else that of the site's own page."""
    from soe_auth.oauth.authorization_request import login_success_uri, read_redirect_uri

    uri = args.redirect_uri or login_success_uri(site)
    return read_option("redirect_uri", read_redirect_uri, uri)


def state_variable(environ: Mapping[str, str]) -> Secret | None:
    """Return the state of SOE_AUTH_STATE, if it is set. Raises SettingsError."""
    state = environ.get("SOE_AUTH_STATE", "")
    if not (state.isascii() and state.isprintable()):  # RFC 6749 appendix A.5
        raise SettingsError(
            "Cannot use SOE_AUTH_STATE: a state is printable ASCII.",
            hint="Unset it, and `soe-auth url` draws one.",
        )
    return Secret(state) if state else None
