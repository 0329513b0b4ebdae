"""End the token on the site and remove it from this machine; each result is told as it is.

Exit 0: it is ended, or --local did not ask. Exit 5: the site does not offer to end tokens this way,
or its answer cannot be read. Exit 6: the site could not be reached. With 5 and 6 the token is kept
here, unless it has expired, so that it can still be ended; --local removes it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, get_args

from soe_auth.actions.logout import logout
from soe_auth.cli.exit_codes import EXIT_CODES
from soe_auth.cli.options import add_target, given_settings, take_target
from soe_auth.errors import LoginRequired, NetworkError, ServerError, SettingsError, StoreError
from soe_auth.model.network import Network
from soe_auth.model.secret import disable_core_dumps
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.project_file import find_project
from soe_auth.settings.resolve import resolve
from soe_auth.settings.settings import find_paths
from soe_auth.settings.spec import StoreKind
from soe_auth.site_client.client import RevocationResult
from soe_auth.site_client.event_loop import run_async
from soe_auth.storage import find_store_kind, open_store
from soe_auth.storage.file_store import FileStore

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from soe_auth.actions.logout import LogoutResult
    from soe_auth.cli.console import Console

# What became of the token on the site: exit code, and the truth for the person.
_ON_SITE: dict[RevocationResult | None, tuple[int, str]] = {
    None: (0, "{site} was not asked to end it; it stays good until it expires there."),
    RevocationResult.ENDED: (0, "{site} has ended it."),
    RevocationResult.ALREADY_INVALID: (0, "{site} says that it was no longer good."),
    RevocationResult.NOT_OFFERED: (
        EXIT_CODES[ServerError],
        "{site} does not offer to end tokens this way; it stays good there.",
    ),
    RevocationResult.UNCLEAR: (
        EXIT_CODES[ServerError],
        "{site} gave no answer that can be read, so the token may be good there still.",
    ),
    RevocationResult.UNREACHABLE: (
        EXIT_CODES[NetworkError],
        "{site} could not be reached, so the token may be good there still.",
    ),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_target(parser)
    parser.add_argument("--all", action="store_true", help="log out of every profile")
    parser.add_argument("--local", action="store_true", help="remove it here, do not ask the site")


def run(args: argparse.Namespace, console: Console) -> int:
    """Log out of one profile, or of all; the worst result is the exit code."""
    disable_core_dumps()
    directory = find_paths(console.environ).directory
    files = FileStore(directory, report=console.say)
    if args.all and (args.profile or args.target):
        raise SettingsError("--all names every profile.", hint="Name no other one.")
    take_target(args, console)
    profiles = files.profiles() if args.all else [_chosen(args, files, console)]
    if not profiles:
        console.say("There is no token to remove.")
    networks = _networks(profiles, console) if not args.local else [Network()] * len(profiles)
    # Where a token is, and not where the settings want the next one, is where it is ended.
    stores = {
        place: open_store(directory, place, report=console.say, user_present=True)
        for place in get_args(StoreKind)
    }

    async def log_out(profile: str, network: Network) -> LogoutResult | StoreError | None:
        try:
            store = stores[find_store_kind(directory, profile, report=console.say)]
            return await logout(profile, store, local=args.local, network=network)
        except StoreError as problem:
            return problem

    async def log_out_of_all() -> list[LogoutResult | StoreError | None]:
        """Do it at the same time: neither a slow site nor a bad file holds up others."""
        return await asyncio.gather(*map(log_out, profiles, networks))

    goodbyes = run_async(log_out_of_all())
    return max((_tell(*each, console) for each in zip(profiles, goodbyes, strict=True)), default=0)


def _networks(profiles: Sequence[str], console: Console) -> list[Network]:
    """Return each profile's proxy and CAs; bad settings keep no copy here from being removed."""
    configs, find = None, cache(find_project)
    with suppress(SettingsError):
        configs = read_config_files(console.environ)

    def network(profile: str) -> Network:
        try:
            return resolve(
                {}, profile=profile, environ=console.environ, configs=configs, find=find
            ).network
        except SettingsError:
            return Network()

    return [network(profile) for profile in profiles]


def _chosen(args: argparse.Namespace, store: FileStore, console: Console) -> str:
    """Find the profile; a token got by variables only may be there where no profile is.

    Raises SettingsError for a name that no profile and no token has.
    """
    try:
        settings = resolve(given_settings(args), profile=args.profile, environ=console.environ)
    except LoginRequired:
        if len(stored := store.profiles()) == 1:
            return stored[0]
        raise
    named = args.profile or args.target or console.environ.get("SOE_AUTH_PROFILE")
    if named and not settings.known and settings.profile not in store.profiles():
        raise settings.no_such_profile()
    return settings.profile


def _tell(profile: str, result: LogoutResult | StoreError | None, console: Console) -> int:
    if result is None:
        console.say(f"Profile {profile} has no token here; nothing to remove.")
        return 0
    if isinstance(result, StoreError):
        console.fail(str(result))
        console.error(f"  {result.hint}")
        return EXIT_CODES[StoreError]
    url = result.token.site
    site = url.authority
    if result.newer:
        console.say(f"A login has stored another token of profile {profile} meanwhile; it stays.")
    elif result.removed:
        console.say(f"The token of profile {profile} is removed from this machine.")
    code, sentence = _ON_SITE[result.on_site]
    if result.removed and result.on_site in {
        RevocationResult.UNCLEAR,
        RevocationResult.UNREACHABLE,
    }:
        console.say("It had expired.")
        return 0
    if not code:
        console.say(sentence.format(site=site))
        return code
    console.fail(sentence.format(site=site))
    console.error(f"  End it by hand: sign in at {url}, open your avatar, Settings.")
    if not result.removed:
        console.error(
            f"  The token is kept here, so that `soe-auth logout -p {profile}` can try again;"
            " with --local it is removed."
        )
    return code
