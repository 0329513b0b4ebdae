"""Set up a profile in a few questions, and sign in with it.

Each question has a default and an option, so that it runs unattended as well. The answers go into
your config.toml.

For example:
  soe-auth init
  soe-auth init --site acme --client-id 110 --yes --share
"""

import argparse

from soe_auth.actions.login import login
from soe_auth.actions.registration import changes, preface, texts_to_share
from soe_auth.cli.console import Console
from soe_auth.cli.options import add_settings, describe_input, option_values, read_input
from soe_auth.cli.prompts import Prompter
from soe_auth.cli.setup_questions import SetupWizard
from soe_auth.cli.terminal_io import login_io
from soe_auth.errors import SettingsError
from soe_auth.model.text import printable
from soe_auth.settings import PROFILE_VARIABLE
from soe_auth.settings.config_files import Configs, read_config_files
from soe_auth.settings.config_writer import write_settings
from soe_auth.settings.project_file import MAX_FILE, ProjectFile, parse_shared_config
from soe_auth.settings.resolve import resolve
from soe_auth.settings.settings import Settings
from soe_auth.settings.spec import PROFILE


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_settings(parser, *PROFILE)
    parser.add_argument(
        "--from",
        dest="shared",
        metavar="FILE",
        help="read the settings from a file that --share printed; - for standard input",
    )
    parser.add_argument(
        "--share",
        action="store_true",
        help="print a project file, with comments for a colleague and an administrator",
    )
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing, and use every default; no login"
    )
    parser.add_argument(
        "--login",
        action=argparse.BooleanOptionalAction,
        help="sign in at the end, or not; default: ask",
    )
    parser.add_argument("--no-check", action="store_true", help="do not contact the site")
    parser.add_argument("--no-browser", action="store_true", help="open no browser")


def run(args: argparse.Namespace, console: Console) -> int:
    """Set up a profile, and sign in if the user wants that. Raises as `login`."""
    prompter = Prompter(None if args.yes else console.ask, console.error)
    configs = read_config_files(console.environ)
    shared = _read_shared_config(args.shared) if args.shared else None
    if shared:
        _confirm_site(shared, configs, prompter, confirmed=args.yes)
    wizard = SetupWizard(
        prompter=prompter,
        console=console,
        configs=configs,
        given={**(shared.table.values if shared else {}), **option_values(args)},
        profile=args.profile
        or (shared and shared.profile)
        or console.environ.get(PROFILE_VARIABLE),
        check=not args.no_check,
        browser=not args.no_browser,
    )
    settings, refused = wizard.run()
    _save_profile(settings, console)
    if args.share:
        console.result(texts_to_share(settings))
    name = settings.profile
    resolved = resolve({}, profile=name, environ=console.environ)
    for setting in PROFILE:
        if getattr(resolved, setting.key) != getattr(settings, setting.key):
            console.say(f"{resolved.origins[setting.key]} overrides {setting.key}.")
    wanted = args.login
    if wanted is None:
        wanted = _wants_to_sign_in(prompter, default=not refused)
    if wanted:
        login(resolved, login_io(resolved, console, browser=not args.no_browser))
    first = (
        "" if wanted or not refused else "compare client ID and Domain with the site's page, then "
    )
    command = f"soe-auth token -p {name}" if wanted else resolved.login_command
    console.say(f"Next: {first}`{command}`")
    return 0


def _read_shared_config(name: str) -> ProjectFile:
    """Read a shared config with the same checks as a project file. Raises SettingsError."""
    origin = describe_input(name)
    data = read_input(name, MAX_FILE + 1, hint="Check the path after --from.")
    shared = parse_shared_config(data, origin)
    if shared.site is None:
        raise SettingsError(f"{origin} names no site.", hint='Add a line site = "…" to it.')
    shared.table.check()
    return shared


def _confirm_site(
    shared: ProjectFile, configs: Configs, prompter: Prompter, *, confirmed: bool
) -> None:
    """Show a shared config, and ask the user to confirm its site. Raises SettingsError."""
    site = shared.site
    lines = [f"  {key}  {printable(text)}" for key, text in shared.table.values.items()]
    lines += [f"  profile  {shared.profile}"] * (shared.profile is not None)
    prompter.show("\n".join([f"{shared.table.file} contains:", *lines]))
    if confirmed or site is None:
        return
    if not prompter.can_ask:
        raise SettingsError(
            "Cannot ask whether that is your site: there is no terminal.",
            hint="If it is, add --yes.",
        )
    is_known = site.in_cloud or configs.has_site(site)
    if not prompter.confirm("Is that your site?", default=is_known, flag="--yes"):
        raise SettingsError(
            f"You did not agree to {site}, so nothing was written.",
            hint="Ask the sender of that file, or type `soe-auth init --site SITE`.",
        )


def _save_profile(settings: Settings, console: Console) -> None:
    """Write the changes of the profile to config.toml, and report them."""
    configs, name = read_config_files(console.environ), settings.profile
    changed = changes(settings, configs)
    if changed:
        values = {change.key: change.value for change in changed}
        write_settings(settings.paths.config, name, values, preface=preface())
    if name not in configs.profiles:
        console.say(f"Saved profile {name}: {settings.paths.config}")
    elif changed:
        console.say(f"Changed profile {name}: {', '.join(map(str, changed))}.")
    else:
        console.say(f"Profile {name} is unchanged.")


def _wants_to_sign_in(prompter: Prompter, *, default: bool) -> bool:
    if not prompter.can_ask:
        return False
    try:
        return prompter.confirm("Sign in now?", default=default, flag="--login")
    except SettingsError:  # not an error: the profile is written already
        return False
