"""Make a profile in a short conversation, and sign in with it.

It says what to register on the site, asks a few questions, each with a default, and writes
config.toml. Every answer has an option, so that it runs unattended as well. What it prints on
stdout is to be handed on: a project file for a colleague, and comments in it for the
administrator who registers the application.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from soe_auth.actions.login import login
from soe_auth.actions.registration import changes, preface, texts_to_share
from soe_auth.cli.login_io import login_io
from soe_auth.cli.options import add_settings, given_settings
from soe_auth.cli.prompts import Prompter
from soe_auth.cli.setup_questions import SetupWizard
from soe_auth.errors import SettingsError, SoeAuthError
from soe_auth.model.text import printable
from soe_auth.settings import PROFILE_VARIABLE
from soe_auth.settings.config_writer import remember
from soe_auth.settings.project_file import read_shared_config
from soe_auth.settings.resolve import read_config_files, resolve
from soe_auth.settings.spec import PROFILE

if TYPE_CHECKING:
    from soe_auth.cli.console import Console
    from soe_auth.settings.config_files import Configs
    from soe_auth.settings.project_file import ProjectFile
    from soe_auth.settings.settings import Settings

_LONGEST_PATH = 400  # as it is shown
_WIDEST = 76


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_settings(parser, *PROFILE)
    parser.add_argument(
        "--from",
        dest="shared",
        metavar="FILE",
        help="take what a colleague handed out, a file like .soe-auth.toml; - reads it from stdin",
    )
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing, and take every default; no login"
    )
    parser.add_argument(
        "--login",
        action=argparse.BooleanOptionalAction,
        help="sign in at the end, or do not; without either you are asked",
    )
    parser.add_argument("--no-check", action="store_true", help="do not contact the site")
    parser.add_argument("--no-browser", action="store_true", help="open nothing")


def run(args: argparse.Namespace, console: Console) -> int:
    """Make a profile; the exit code tells how that ended, and how the login did."""
    prompter = Prompter(None if args.yes else console.ask, console.error)
    configs = read_config_files(console.environ)
    shared = _read_shared_config(args.shared) if args.shared else None
    if shared:
        _agree(shared, configs, prompter, sure=args.yes)
    conversation = SetupWizard(
        prompter=prompter,
        console=console,
        configs=configs,
        given={**(shared.table.values if shared else {}), **given_settings(args)},
        profile=args.profile
        or (shared and shared.profile)
        or console.environ.get(PROFILE_VARIABLE),
        check=not args.no_check,
        browser=not args.no_browser,
    )
    settings = conversation.run()
    _write(settings, read_config_files(console.environ), console)
    problem = None
    try:
        _log_in(settings, prompter, console, wanted=args.login, args=args)
    except SoeAuthError as failure:
        problem = failure
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    console.result(texts_to_share(settings, width=width))
    if problem:
        raise problem
    return 0


def _read_shared_config(name: str) -> ProjectFile:
    """Read a hand-out as strictly as a project file. Raises SettingsError."""
    origin = "the hand-out" if name == "-" else printable(name, _LONGEST_PATH)
    try:
        if name == "-":
            shared = read_shared_config(sys.stdin.buffer, origin)
        else:
            with Path(name).open("rb") as stream:
                shared = read_shared_config(stream, origin)
    except OSError as problem:
        raise SettingsError(
            f"{origin} cannot be read: {problem.strerror}.",
            hint="See that --from names a file that is there, and that you may read.",
        ) from None
    if shared.site is None:
        raise SettingsError(f"{origin} names no site.", hint='Write one into it, as site = "…".')
    shared.table.check()
    return shared


def _agree(shared: ProjectFile, configs: Configs, prompter: Prompter, *, sure: bool) -> None:
    """Tell what a hand-out says, and return only if the person agrees. Raises SettingsError."""
    site = shared.site
    says = [f"  {key}  {printable(text)}" for key, text in shared.table.values.items()]
    says += [f"  profile  {shared.profile}"] * (shared.profile is not None)
    prompter.tell("\n".join([f"{shared.table.file} says:", *says]))
    if sure or site is None:
        return
    if not prompter.can_ask:
        raise SettingsError(
            "--yes is missing.",
            hint="Add it if that is the right site, as no user can be asked here.",
        )
    known_site = site.in_cloud or configs.name_site(site)
    if not prompter.confirm("Is that your site?", default=known_site, flag="--yes"):
        raise SettingsError(
            f"{site} was not agreed to, so nothing was written.",
            hint="Ask who gave you the file, or name your own site: `soe-auth init --site SITE`.",
        )


def _write(settings: Settings, configs: Configs, console: Console) -> None:
    """Write what the config files do not say yet, and tell what that changed."""
    changed, name = changes(settings, configs), settings.profile
    if changed:
        values = {change.key: change.value for change in changed}
        remember(settings.paths.config, name, values, preface=preface())
    if name not in configs.profiles:
        console.say(f"Profile {name} is written: {settings.paths.config}")
    elif changed:
        console.say(f"Profile {name} is changed: {'; '.join(map(str, changed))}.")
    else:
        console.say(f"Profile {name} is as it was.")


def _log_in(
    settings: Settings,
    prompter: Prompter,
    console: Console,
    *,
    wanted: bool | None,
    args: argparse.Namespace,
) -> None:
    """Sign in, if that is wanted, with what holds now. Raises as `login`."""
    held = resolve({}, profile=settings.profile, environ=console.environ)
    for setting in PROFILE:
        if getattr(held, setting.key) != getattr(settings, setting.key):
            console.say(f"{held.origins[setting.key]} has another {setting.key}; it comes first.")
    if wanted is None:
        wanted = _wants_to_sign_in(prompter)
    if wanted:
        browser, accelerate = not args.no_browser, args.accelerate
        login(held, login_io(held, console, browser=browser, accelerate=accelerate))
    else:
        console.say(f"Sign in with `{held.login_command}`.")


def _wants_to_sign_in(prompter: Prompter) -> bool:
    if not prompter.can_ask:
        return False
    try:
        return prompter.confirm("Sign in now?", default=True, flag="--login")
    except SettingsError:  # no answer is no reason to fail: the profile is written
        return False
