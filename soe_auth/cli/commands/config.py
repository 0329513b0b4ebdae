"""Show and change settings: their values here, and those in your config.toml.

For example:
  soe-auth config list --show-origin
  soe-auth config set timeout 2m
  soe-auth config set scope write_access -p acme
"""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from soe_auth.actions.registration import preface
from soe_auth.cli.console import Console, fitted
from soe_auth.cli.json_output import to_json
from soe_auth.cli.main import add_actions
from soe_auth.cli.options import report_ignored_suffix
from soe_auth.cli.streams import is_terminal
from soe_auth.desktop.process import run_child, split_command
from soe_auth.errors import LoginRequired, SettingsError, SoeAuthError
from soe_auth.model.network import Network, Proxy
from soe_auth.model.site import Site
from soe_auth.model.text import printable
from soe_auth.settings.config_files import Configs, no_such_key, origin_of, read_config_files
from soe_auth.settings.config_writer import create_config, remove_setting, write_settings
from soe_auth.settings.resolve import NO_PROFILE, choose_profile, resolve
from soe_auth.settings.settings import Settings, find_paths
from soe_auth.settings.spec import (
    BY_KEY,
    CA_BUNDLE,
    DEFAULT_PROFILE,
    PROFILE,
    SITE,
    STORE,
    TRUSTED_SITES,
    Setting,
)
from soe_auth.storage import find_store_kind
from soe_auth.storage.file_store import FileStore

KEYS: dict[str, Setting[Any]] = {
    **BY_KEY,
    DEFAULT_PROFILE.key: DEFAULT_PROFILE,
    TRUSTED_SITES.key: TRUSTED_SITES,
}
_LONGEST_VALUE = 1000  # characters, in the list
_EDITORS = ("notepad",) if sys.platform == "win32" else ("editor", "vi")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions, each with a parser of its own."""
    actions = add_actions(parser, ACTIONS)
    keys = "\n".join(f"  {key}\n      {setting.help}" for key, setting in KEYS.items())
    keys = fitted(f"keys:\n{keys}", shutil.get_terminal_size().columns - 2)
    actions["list"].add_argument(
        "--show-origin",
        action="store_true",
        default=False,
        help="show where each value comes from, with the line of its file",
    )
    actions["list"].add_argument(
        "--json", action="store_true", default=False, help="print it as JSON"
    )
    for name in ("get", "set", "unset"):
        actions[name].add_argument("key", metavar="KEY", help="one of the keys below")
        actions[name].epilog = keys
    actions["set"].add_argument("value", metavar="VALUE", help="as in its option or variable")


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the action."""
    args.act(args, console)
    return 0


# --- values in effect ----------------------------------------------------------------------------


def _list_settings(args: argparse.Namespace, console: Console) -> None:
    configs = read_config_files(console.environ)
    name, settings = _settings_here(args.profile, console)
    values = {
        key: printable(_redacted(setting, getattr(settings, key)), _LONGEST_VALUE)
        for key, setting in BY_KEY.items()
    }
    if args.json:
        report = to_json(
            profile=name,
            profiles=configs.profiles,
            default_profile=configs.default_profile,
            trusted_sites=[str(site) for site in configs.trusted_sites],
            settings={
                key: {"value": value or None, "origin": settings.place(key)}
                for key, value in values.items()
            },
        )
        console.result(report)
        return
    title = _marked(name, configs) if name else "no profile"
    lines = [title if settings.known or not name else f"{name} (not in config.toml)"]
    width = max(map(len, values))
    for key, value in values.items():
        lines.append(f"  {key:{width}}  {value or 'not set'}")
        if args.show_origin:
            origin = settings.place(key)
            lines.append(f"    {origin}" if origin == "default" else f"    from {origin}")
    more = []
    if others := [_marked(other, configs) for other in configs.profiles if other != name]:
        more.append(f"Other profiles: {', '.join(others)}")
    if configs.trusted_sites:
        more.append(f"Trusted sites: {', '.join(map(str, configs.trusted_sites))}")
    console.result("\n".join([*lines, *([""] if more else []), *more]))


def _marked(name: str, configs: Configs) -> str:
    return f"{name} (default)" if name == configs.default_profile else name


def _get(args: argparse.Namespace, console: Console) -> None:
    setting = _setting(args.key)
    if setting.key in BY_KEY:
        value = getattr(_settings_here(args.profile, console)[1], setting.key)
    else:
        value = getattr(read_config_files(console.environ), setting.key)
    if value is None:
        raise SettingsError(
            f"{setting.key} is not set.",
            hint=f"Set it with `soe-auth config set {setting.key} VALUE`.",
        )
    console.result(_redacted(setting, value))


def _path(args: argparse.Namespace, console: Console) -> None:
    paths = find_paths(console.environ)
    console.result(f"{paths.config}\n{paths.system_config}")
    with suppress(SoeAuthError):  # its path is needed to repair an invalid file
        if project := _settings_here(args.profile, console)[1].project:
            console.result(project)


def _settings_here(profile: str | None, console: Console) -> tuple[str | None, Settings]:
    """Resolve the settings; without any profile, return None and the other settings."""
    try:
        settings = resolve({}, profile=profile, environ=console.environ)
    except LoginRequired:
        return None, resolve({}, profile=NO_PROFILE, environ=console.environ)
    if not settings.known and settings.site is None:
        raise settings.no_such_profile()
    return settings.profile, settings


def _redacted(setting: Setting[Any], value: object) -> str:
    text = setting.text(value)
    return text.replace("://", "://…@") if _has_password(value) else text


def _has_password(value: object) -> bool:
    return isinstance(value, Proxy) and value.authorization is not None


# --- values in config.toml -----------------------------------------------------------------------


def _set(args: argparse.Namespace, console: Console) -> None:
    setting = _setting(args.key)
    try:
        value = setting.read(args.value)
        args.value.encode()  # TOML is UTF-8
    except ValueError as problem:
        reason = "it is not UTF-8" if isinstance(problem, UnicodeError) else problem
        raise SettingsError(f"Cannot set {setting.key}: {reason}.") from None
    if _has_password(value):
        raise SettingsError(
            "Cannot take a password from the command line: other programs can read it.",
            hint=f"Write {setting.key} with `soe-auth config edit`.",
        )
    if setting is CA_BUNDLE:
        from soe_auth.site_client.tls import ssl_context

        ssl_context(Network(value))  # raises if no certificate can be read from it
    config = find_paths(console.environ).config
    profile = _owner(setting, args.profile, console)

    def check() -> None:
        """Check under the lock: another process may have removed the profile."""
        configs = _read_to_change(console)
        needed = value if setting is DEFAULT_PROFILE else profile
        if needed and not (setting is SITE and args.profile):
            configs.require_profile(needed)

    check()
    write_settings(config, profile, {setting.key: setting.to_toml(value)}, check=check)
    if isinstance(value, Site):
        report_ignored_suffix(value, console)
    place = origin_of(config, profile)
    console.say(f"Set {setting.key} to {printable(setting.text(value)) or 'empty'} in {place}")
    with suppress(SoeAuthError):  # another setting is wrong, or there is no profile yet
        settings = resolve({}, profile=profile, environ=console.environ)
        if settings.origins.get(setting.key, place) != place:
            origin = settings.place(setting.key)
            console.say(f"For profile {settings.profile}, {origin} overrides it.")
    if setting is STORE:
        _report_unused_tokens(console)


def _unset(args: argparse.Namespace, console: Console) -> None:
    setting, configs = KEYS.get(args.key), _read_to_change(console)
    config = find_paths(console.environ).config
    profile = _owner(setting, args.profile, console) if setting else args.profile
    if profile:
        configs.require_profile(profile)
    removed = remove_setting(config, profile, args.key)
    if not setting and not removed:
        raise no_such_key(args.key, KEYS)
    place = origin_of(config, profile)
    missing = f"{args.key} is not set in {place}"
    console.say(f"Removed {printable(args.key)} from {place}" if removed else missing)
    if setting is STORE:
        _report_unused_tokens(console)


def _report_unused_tokens(console: Console) -> None:
    """Report each token that is not in its profile's store; no token is moved."""
    directory = find_paths(console.environ).directory
    for profile in FileStore(directory, report=console.say).profiles():
        with suppress(SoeAuthError):  # `status` reports the problem
            settings = resolve({}, profile=profile, environ=console.environ)
            if (place := find_store_kind(directory, profile, report=console.say)) != settings.store:
                console.say(
                    f"The token of profile {profile} stays in the {place} and is no longer used."
                    f" Type `soe-auth logout -p {profile}`, then `{settings.login_command}`."
                )


def _read_to_change(console: Console) -> Configs:
    """Read the config files for a change, which may correct an unknown key or a wrong type."""
    return read_config_files(console.environ, tolerant=True)


def _setting(key: str) -> Setting[Any]:
    try:
        return KEYS[key]
    except KeyError:
        raise no_such_key(key, KEYS) from None


def _owner(setting: Setting[Any], profile: str | None, console: Console) -> str | None:
    """Return the profile to set a key in; None for the top of the file."""
    if setting.key not in BY_KEY and profile:
        raise SettingsError(f"{setting.key} is not a setting of a profile.", hint="Leave -p out.")
    if not profile and setting not in PROFILE:
        return None
    # The variable of a profile's setting overrides a value, but does not choose the profile.
    own = {setting.variable for setting in PROFILE if setting is not SITE}
    environ = {name: value for name, value in console.environ.items() if name not in own}
    return choose_profile(environ, profile, configs=_read_to_change(console))


# --- edit ----------------------------------------------------------------------------------------


def _edit(_: argparse.Namespace, console: Console) -> None:
    config = find_paths(console.environ).config
    if os.path.isdir(config):  # noqa: PTH112  # before Python 3.14, `is_dir` raises if unreadable
        raise SettingsError(
            f"Cannot edit {config}: it is a directory.", hint="Remove or rename it, then try again."
        )
    command = _editor(console.environ, config)
    if not os.path.exists(config):  # noqa: PTH110  # as above, for `exists`
        create_config(config, preface())
    try:
        code = run_child([*command, str(config)], console.environ)
    except OSError as problem:
        raise SettingsError(
            f"Cannot start {printable(command[0])}: {problem.strerror}.",
            hint="Set VISUAL or EDITOR to another editor.",
        ) from None
    try:
        read_config_files(console.environ).check_own()
    except SettingsError as problem:
        hint = problem.hint or "Correct them: `soe-auth config edit`."
        raise SettingsError(str(problem), hint=f"Your changes are saved. {hint}") from None
    if code:
        raise SettingsError(
            f"Cannot edit {config}: the editor ended with exit code {code}.",
            hint="`soe-auth config list` shows whether it saved your changes.",
        )
    console.say(f"No errors in {config}")


def _editor(environ: Mapping[str, str], config: Path) -> list[str]:
    """Return the command of VISUAL or EDITOR, or else a common editor. Raises SettingsError."""
    chosen = environ.get("VISUAL") or environ.get("EDITOR")
    if not chosen and not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise SettingsError(
            f"Cannot edit {config}: there is no terminal.",
            hint="Set VISUAL or EDITOR, or type `soe-auth config set KEY VALUE`.",
        )
    path = environ.get("PATH", "")
    default = next((name for name in _EDITORS if shutil.which(name, path=path)), "")
    try:
        command = split_command(chosen or default)
    except ValueError:
        command = []
    if command:
        return command
    raise SettingsError(
        "Cannot find an editor.", hint=f"Set VISUAL or EDITOR to one, or edit {config} yourself."
    )


ACTIONS = {
    "list": (_list_settings, "show the value of each setting here, and the profiles"),
    "get": (_get, "print one value"),
    "set": (_set, "set a value in your config.toml"),
    "unset": (_unset, "remove a value from your config.toml"),
    "path": (_path, "print the paths of your file, the system's and the project's"),
    "edit": (_edit, "open your config.toml in your editor, then check it"),
}
