"""List, rename and remove profiles, and choose the one that is used where none is named.

A profile is a site with its client ID, scope and redirect, under a name. The first `soe-auth login`
to a site makes one.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING

from soe_auth.cli.main import add_actions
from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.config_writer import remove_profile, write_setting
from soe_auth.settings.resolve import choose_profile, no_profile_yet
from soe_auth.settings.settings import find_paths
from soe_auth.settings.spec import DEFAULT_PROFILE
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.login_lock import LoginLock

if TYPE_CHECKING:
    from soe_auth.cli.console import Console

ACTIONS = {
    "list": "print each profile, with its site; the default one is marked",
    "use": "make a profile the default",
    "rename": "give a profile another name; its token moves with it",
    "remove": "log out of a profile, and remove it from your config.toml",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions, each with a parser of its own."""
    actions = add_actions(parser, ACTIONS, without_profile=ACTIONS)
    for name in ("use", "remove"):
        actions[name].add_argument("name", metavar="NAME")
    actions["rename"].add_argument("name", metavar="OLD")
    actions["rename"].add_argument("new", metavar="NEW")


def run(args: argparse.Namespace, console: Console) -> int:
    """Do what was asked for."""
    match args.action:
        case "list":
            _list(console)
        case "use":
            _use(args.name, console)
        case "rename":
            _rename(args.name, args.new, console)
        case _:
            return _remove(args.name, console)
    return 0


def _list(console: Console) -> None:
    configs = read_config_files(console.environ)
    if not configs.profiles:
        raise no_profile_yet()
    width = max(map(len, configs.profiles))
    for name in configs.profiles:
        mark = "  (default)" if name == configs.default_profile else ""
        console.result(f"{name:{width}}  {configs.site_of(name) or 'no site'}{mark}")


def _use(name: str, console: Console) -> None:
    configs = read_config_files(console.environ)
    configs.require_profile(name)

    def check() -> None:
        """Look again, as another process may have removed the profile meanwhile."""
        read_config_files(console.environ).require_profile(name)

    write_setting(configs.own.path, DEFAULT_PROFILE.key, name, check=check)
    console.say(f"Profile {name} is the default now.")
    with suppress(SettingsError, LoginRequired):
        chosen = choose_profile(environ=console.environ)
        if chosen != name:
            console.say(f"But here, a variable or project file chooses profile {chosen}.")


def _rename(old: str, new: str, console: Console) -> None:
    from soe_auth.actions.rename_profile import rename

    rename(old, new, find_paths(console.environ), report=console.say)
    console.say(f"Profile {old} is now {new}.")


def _remove(name: str, console: Console) -> int:
    """Log out, and remove the profile unless a token is left; tell of each."""
    from soe_auth.cli.commands import logout

    paths, configs = find_paths(console.environ), read_config_files(console.environ)
    files = FileStore(paths.directory, report=console.say)
    if name in configs.profiles or name not in files.profiles():  # else it has a token alone
        configs.require_own_profile(name)
    of_logout = argparse.Namespace(all=False, local=False, profile=name, target=None)
    # A login stores a token and a profile: neither may come between the log-out and the removal.
    with LoginLock(paths.directory, report=console.say).acquire(name):
        code = logout.run(of_logout, console)
        if code:
            console.error(f"  So profile {name} is kept.")
            return code
        if remove_profile(paths.config, name):
            console.say(f"Profile {name} is removed from {paths.config}")
    if configs.default_profile == name:
        console.say("It was the default; `soe-auth profile use NAME` makes another.")
    return 0
