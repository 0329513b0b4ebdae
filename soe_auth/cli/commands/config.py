"""See and change the settings: what holds here, where it comes from, and what is kept for you.

A person's settings are in config.toml; `soe-auth config path` tells where that is.
"""

from __future__ import annotations

import json
from contextlib import suppress
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

from soe_auth.cli.config_editor import edit_config
from soe_auth.cli.console import fitted
from soe_auth.cli.json_output import FORMAT_VERSION
from soe_auth.cli.main import add_actions
from soe_auth.cli.options import tell_ignored_suffix
from soe_auth.errors import LoginRequired, SettingsError, SoeAuthError
from soe_auth.model.network import Network, Proxy
from soe_auth.model.site import Site
from soe_auth.model.text import printable
from soe_auth.settings.config_files import no_such_key, read_config_files
from soe_auth.settings.config_writer import remove_setting, save_profile, write_setting
from soe_auth.settings.resolve import choose_profile, resolve
from soe_auth.settings.settings import find_paths
from soe_auth.settings.spec import (
    BY_KEY,
    CA_BUNDLE,
    DEFAULT_PROFILE,
    PROFILE,
    SITE,
    STORE,
    TRUSTED_SITES,
)
from soe_auth.storage import find_store_kind
from soe_auth.storage.file_store import FileStore

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from soe_auth.cli.console import Console
    from soe_auth.settings.config_files import Configs
    from soe_auth.settings.settings import Settings
    from soe_auth.settings.spec import Setting

ACTIONS = {
    "list": "show every setting that holds here, and which profiles there are",
    "get": "print one value, and nothing else",
    "set": "keep a value in your config.toml",
    "unset": "remove a value from your config.toml",
    "path": "print where the files are: yours, the system's, the project's if it holds",
    "edit": "open your config.toml in your editor, and check it afterwards",
}

KEYS: dict[str, Setting[Any]] = {
    **BY_KEY,
    DEFAULT_PROFILE.key: DEFAULT_PROFILE,
    TRUSTED_SITES.key: TRUSTED_SITES,
}
_LONGEST_VALUE = 1000  # as it is listed
_UNNAMED = "none"  # stands for the profile, where there is none


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions, each with a parser of its own."""
    actions = add_actions(parser, ACTIONS, without_profile={"path", "edit"})
    keys = "\n".join(f"  {key}\n      {setting.help}" for key, setting in KEYS.items())
    keys = fitted(f"keys:\n{keys}", get_terminal_size().columns - 2)
    actions["list"].add_argument(
        "--show-origin",
        action="store_true",
        default=False,
        help="tell where each value comes from, with the line of its file",
    )
    actions["list"].add_argument(
        "--json", action="store_true", default=False, help="print it as JSON"
    )
    for name in ("get", "set", "unset"):
        actions[name].add_argument("key", metavar="KEY", help="one of those below")
        actions[name].epilog = keys
    actions["set"].add_argument("value", metavar="VALUE", help="as you would type it elsewhere")


def run(args: argparse.Namespace, console: Console) -> int:
    """Do what was asked for."""
    match args.action:
        case "list":
            _list(args, console)
        case "get":
            _get(args, console)
        case "set":
            _set(args, console)
        case "unset":
            _unset(args, console)
        case "path":
            _path(args, console)
        case _:
            edit_config(console)
    return 0


# --- what holds ----------------------------------------------------------------------------------


def _list(args: argparse.Namespace, console: Console) -> None:
    configs = read_config_files(console.environ)
    name, settings = _in_force(args.profile, console)
    if args.json:
        console.result(json.dumps(_report(name, settings, configs), indent=2))
        return
    lines = [_title(name, settings, configs)]
    width = max(map(len, BY_KEY))
    for key, value in _values(settings).items():
        lines.append(f"  {key:{width}}  {value or 'not set'}")
        if args.show_origin:
            place = settings.place(key)
            lines.append(f"    {place}" if place == "default" else f"    from {place}")
    more = []
    if others := [_marked(other, configs) for other in configs.profiles if other != name]:
        more.append(f"Other profiles: {', '.join(others)}")
    if configs.trusted_sites:
        more.append(f"Trusted sites: {', '.join(map(str, configs.trusted_sites))}")
    console.result("\n".join([*lines, *([""] if more else []), *more]))


def _title(name: str | None, settings: Settings, configs: Configs) -> str:
    if name is None:
        return "no profile yet"
    return _marked(name, configs) if settings.known else f"{name} (not kept in config.toml)"


def _marked(name: str, configs: Configs) -> str:
    return f"{name} (default)" if name == configs.default_profile else name


def _report(name: str | None, settings: Settings, configs: Configs) -> dict[str, object]:
    return {
        "version": FORMAT_VERSION,
        "profile": name,
        "profiles": configs.profiles,
        "default_profile": configs.default_profile,
        "trusted_sites": [str(site) for site in configs.trusted_sites],
        "settings": {
            key: {"value": value or None, "origin": settings.place(key)}
            for key, value in _values(settings).items()
        },
    }


def _get(args: argparse.Namespace, console: Console) -> None:
    setting = _setting(args.key)
    if setting is DEFAULT_PROFILE:
        value: object = read_config_files(console.environ).default_profile
    elif setting is TRUSTED_SITES:
        value = read_config_files(console.environ).trusted_sites
    else:
        value = getattr(_in_force(args.profile, console)[1], setting.key)
    if value is None:
        raise SettingsError(
            f"{setting.key} is not set.",
            hint=f"Set it with `soe-auth config set {setting.key} VALUE`.",
        )
    console.result(_shown(setting, value))


def _path(args: argparse.Namespace, console: Console) -> None:
    paths = find_paths(console.environ)
    console.result(f"{paths.config}\n{paths.system_config}")
    with suppress(SoeAuthError):  # who has to mend a file asks for its path first
        if project := _in_force(args.profile, console)[1].project:
            console.result(project)


def _in_force(profile: str | None, console: Console) -> tuple[str | None, Settings]:
    """Resolve the settings; where there is no profile, there are still the others."""
    try:
        settings = resolve({}, profile=profile, environ=console.environ)
    except LoginRequired:
        return None, resolve({}, profile=_UNNAMED, environ=console.environ)
    if not settings.known and settings.site is None:
        _ = settings.require_site_and_client  # which says that there is no such profile
    return settings.profile, settings


def _values(settings: Settings) -> dict[str, str]:
    """Return every value as a person would type it, but on one line and without a secret."""
    return {
        key: printable(_shown(setting, getattr(settings, key)), _LONGEST_VALUE)
        for key, setting in BY_KEY.items()
    }


def _shown(setting: Setting[Any], value: object) -> str:
    text = setting.text(value)
    return text.replace("://", "://…@") if _has_password(value) else text


def _has_password(value: object) -> bool:
    return isinstance(value, Proxy) and value.authorization is not None


# --- what is kept --------------------------------------------------------------------------------


def _set(args: argparse.Namespace, console: Console) -> None:
    setting = _setting(args.key)
    try:
        value = setting.read(args.value)
    except ValueError as problem:
        raise SettingsError(f"{setting.key}: {problem}.") from None
    if _has_password(value):
        raise SettingsError(
            "Every program on this machine can read a password that stands in a command line.",
            hint=f"Write {setting.key} into the file by hand: `soe-auth config edit`.",
        )
    if setting is CA_BUNDLE:
        from soe_auth.site_client.tls import ssl_context

        ssl_context(Network(value))  # which says what is wrong with it
    read_config_files(console.environ)  # nothing is changed in a file that is broken
    config = find_paths(console.environ).config
    profile = _owner(setting, args.profile, console)

    def check() -> None:
        """Look again, as another process may have removed the profile meanwhile."""
        needed = value if setting is DEFAULT_PROFILE else profile
        if needed and not (setting is SITE and args.profile):
            read_config_files(console.environ).require_profile(needed)

    check()
    if profile is None:
        write_setting(config, setting.key, setting.to_toml(value), check=check)
    else:
        save_profile(config, profile, {setting.key: setting.to_toml(value)}, check=check)
    if isinstance(value, Site):
        tell_ignored_suffix(value, console)
    text = printable(setting.text(value)) or "empty"
    console.say(f"{setting.key} is now {text} in {_place(config, profile)}")
    _tell_what_is_stronger(setting, profile, _place(config, profile), console)
    if setting is STORE:
        _tell_unused_tokens(console)


def _unset(args: argparse.Namespace, console: Console) -> None:
    setting = _setting(args.key)
    configs = read_config_files(console.environ)  # as above
    config = find_paths(console.environ).config
    profile = _owner(setting, args.profile, console)
    if profile:
        configs.require_profile(profile)
    there = remove_setting(config, profile, setting.key)
    place = _place(config, profile)
    console.say(
        f"{setting.key} is removed from {place}"
        if there
        else f"{setting.key} was not set in {place}"
    )
    if setting is STORE:
        _tell_unused_tokens(console)


def _tell_unused_tokens(console: Console) -> None:
    """Name each token that is not where `store` says; no token is moved."""
    directory = find_paths(console.environ).directory
    for profile in FileStore(directory, report=console.say).profiles():
        with suppress(SoeAuthError):  # `status` tells what is wrong with that profile
            settings = resolve({}, profile=profile, environ=console.environ)
            if (place := find_store_kind(directory, profile, report=console.say)) != settings.store:
                console.say(
                    f"The token of profile {profile} stays in the {place}, and is not used:"
                    f" `soe-auth logout -p {profile}` ends it, `{settings.login_command}` gets"
                    " another."
                )


def _setting(key: str) -> Setting[Any]:
    try:
        return KEYS[key]
    except KeyError:
        raise no_such_key(key, list(KEYS)) from None


def _owner(setting: Setting[Any], named: str | None, console: Console) -> str | None:
    """Return the profile in whose table a setting is kept; None for the top of the file."""
    if setting.key not in BY_KEY and named:
        raise SettingsError(f"{setting.key} is not a profile's own.", hint="Leave -p out.")
    if not named and setting not in PROFILE:
        return None
    # What a variable says of a profile overrides the value that is set here, and chooses none.
    own = {setting.variable for setting in PROFILE if setting is not SITE}
    environ = {name: value for name, value in console.environ.items() if name not in own}
    return choose_profile(named, environ=environ)


def _place(config: Path, profile: str | None) -> str:
    return str(config) if profile is None else f"{config} [profile.{profile}]"


def _tell_what_is_stronger(
    setting: Setting[Any], profile: str | None, place: str, console: Console
) -> None:
    """Say so where the value that was just kept does not hold here."""
    with suppress(SoeAuthError):  # something else is wrong, or there is no profile yet
        settings = resolve({}, profile=profile, environ=console.environ)
        if settings.origins.get(setting.key, place) != place:
            where = settings.place(setting.key)
            console.say(f"But for profile {settings.profile}, {where} comes first.")
