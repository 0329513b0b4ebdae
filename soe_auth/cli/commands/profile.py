"""List, rename and remove profiles, and choose the default.

A profile is a name for a site with its client ID, scope and redirect. `soe-auth init` and the first
`soe-auth login` to a site create one.

For example:
  soe-auth profile list
  soe-auth profile use acme
"""

import argparse
from contextlib import suppress
from functools import partial

from soe_auth.cli.console import Console
from soe_auth.cli.main import add_actions
from soe_auth.errors import LoginRequired, SettingsError, StoreError
from soe_auth.settings.config_files import check_profile_name, read_config_files
from soe_auth.settings.config_writer import remove_profile, rename_profile, write_settings
from soe_auth.settings.resolve import choose_profile, no_profile_yet
from soe_auth.settings.settings import find_paths
from soe_auth.settings.spec import DEFAULT_PROFILE
from soe_auth.storage import find_store_kind, open_store
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.login_lock import LoginLock


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions, each with a parser of its own."""
    actions = add_actions(parser, ACTIONS, profile=False)
    for name in ("use", "remove"):
        actions[name].add_argument("name", metavar="NAME", help="the profile")
    actions["rename"].add_argument("name", metavar="OLD", help="the profile")
    actions["rename"].add_argument("new", metavar="NEW", help="its new name")


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the action; the exit code of `remove` is that of its logout."""
    code: int = args.act(args, console)
    return code


def _list_profiles(_: argparse.Namespace, console: Console) -> int:
    configs = read_config_files(console.environ)
    if not configs.profiles:
        raise no_profile_yet()
    width = max(map(len, configs.profiles))
    for name in configs.profiles:
        mark = "  (default)" if name == configs.default_profile else ""
        console.result(f"{name:{width}}  {configs.site_of(name) or 'no site'}{mark}")
    return 0


def _use(args: argparse.Namespace, console: Console) -> int:
    def check() -> None:
        """Check under the lock as well: another process may have removed the profile."""
        read_config_files(console.environ, tolerant=True).require_profile(args.name)

    check()
    config = find_paths(console.environ).config
    write_settings(config, None, {DEFAULT_PROFILE.key: args.name}, check=check)
    console.say(f"Profile {args.name} is now the default.")
    with suppress(SettingsError, LoginRequired):
        chosen = choose_profile(console.environ)
        if chosen != args.name:
            console.say(f"Here, a variable or project file overrides it with profile {chosen}.")
    return 0


def _rename(args: argparse.Namespace, console: Console) -> int:
    """Rename a profile with its token, while no login to either name can run.

    The token is stored under both names until config.toml is written, so that it cannot be lost.
    """
    old, new, paths = args.name, args.new, find_paths(console.environ)
    stored = FileStore(paths.directory, report=console.say).profiles
    lock = LoginLock(paths.directory, report=console.say)

    def check(tokens: list[str]) -> None:
        configs = read_config_files(console.environ, tolerant=True)
        configs.require_own_profile(old)
        check_profile_name(new)
        # Some file systems do not distinguish names that differ by case alone.
        used = {name.casefold(): name for name in (*configs.profiles, *tokens)}
        if name := used.get(new.casefold()):
            raise SettingsError(f"Profile {name} exists already.", hint="Choose another name.")

    check(stored())
    with lock.acquire(old), lock.acquire(new):
        tokens = stored()
        check(tokens)
        kind = find_store_kind(paths.directory, old, report=console.say)
        store = open_store(paths.directory, kind, report=console.say, user_present=True)
        token = store.load(old)
        if token:
            store.save(new, token)
        try:
            rename_profile(paths.config, old, new, check=partial(check, tokens))
        except BaseException:
            with suppress(StoreError):
                store.remove(new, token)
            raise
        store.remove(old, token)
    console.say(f"Renamed profile {old} to {new}.")
    return 0


def _remove(args: argparse.Namespace, console: Console) -> int:
    """Log out, and remove the profile unless the token remains; report each result."""
    from soe_auth.cli.commands.logout import log_out

    name, paths = args.name, find_paths(console.environ)
    configs = read_config_files(console.environ, tolerant=True)
    files = FileStore(paths.directory, report=console.say)
    if name in configs.profiles or name not in files.profiles():  # else there is only a token
        configs.require_own_profile(name)
    # A login stores a token and a profile: neither may happen between logout and removal.
    with LoginLock(paths.directory, report=console.say).acquire(name):
        if code := log_out([name], console, local=False):
            console.error(f"  Profile {name} was not removed.")
            return code
        if remove_profile(paths.config, name):
            console.say(f"Removed profile {name} from {paths.config}")
    if configs.default_profile == name and configs.profiles != [name]:
        console.say("It was the default. Choose another with `soe-auth profile use NAME`.")
    return 0


ACTIONS = {
    "list": (_list_profiles, "print each profile with its site, and mark the default"),
    "use": (_use, "make a profile the default"),
    "rename": (_rename, "rename a profile, with its token"),
    "remove": (_remove, "log out of a profile, and remove it from your config.toml"),
}
