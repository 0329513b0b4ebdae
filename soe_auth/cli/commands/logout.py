"""Revoke the token on the site and delete it from this machine.

The exit code is 0 if it is revoked, and with --local, which does not ask the site; 5 if the site
does not offer that, or its response is invalid; 6 if the site cannot be reached. With 5 and 6 the
token stays here, unless it has expired, so that you can try again; --local deletes it.

For example:
  soe-auth logout
  soe-auth logout --all --local
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, get_args

from soe_auth.actions.logout import logout
from soe_auth.cli.exit_codes import EXIT_CODES
from soe_auth.cli.options import add_target, option_values, take_target
from soe_auth.errors import LoginRequired, NetworkError, ServerError, SettingsError, StoreError
from soe_auth.model.network import Network
from soe_auth.model.secret import disable_core_dumps
from soe_auth.model.text import nearest
from soe_auth.oauth.revocation import RevocationResult
from soe_auth.settings import PROFILE_VARIABLE
from soe_auth.settings.config_files import Configs, read_config_files
from soe_auth.settings.resolve import choose_profile, find_network
from soe_auth.settings.settings import find_paths
from soe_auth.settings.spec import StoreKind
from soe_auth.site_client.event_loop import run_async
from soe_auth.storage import find_store_kind, open_store
from soe_auth.storage.file_store import FileStore

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from soe_auth.actions.logout import LogoutResult
    from soe_auth.cli.console import Console

# For each result on the site: the exit code and the message.
_ON_SITE: dict[RevocationResult | None, tuple[int, str]] = {
    None: (0, "It is not revoked on {site}; it stays valid there until it {ends}."),
    RevocationResult.ENDED: (0, "{site} has revoked it."),
    RevocationResult.ALREADY_INVALID: (0, "It was no longer valid on {site}."),
    RevocationResult.NOT_OFFERED: (
        EXIT_CODES[ServerError],
        "{site} does not offer to revoke tokens; it stays valid there.",
    ),
    RevocationResult.UNCLEAR: (
        EXIT_CODES[ServerError],
        "Cannot read the response of {site}; the token may still be valid there.",
    ),
    RevocationResult.UNREACHABLE: (
        EXIT_CODES[NetworkError],
        "Cannot reach {site}; the token may still be valid there.",
    ),
}
_UNKNOWN = {RevocationResult.UNCLEAR, RevocationResult.UNREACHABLE}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_target(parser)
    parser.add_argument("--all", action="store_true", help="log out of every profile")
    parser.add_argument("--local", action="store_true", help="delete it here, do not ask the site")


def run(args: argparse.Namespace, console: Console) -> int:
    """Log out of one profile, or of all; the exit code is that of the worst result."""
    files = FileStore(find_paths(console.environ).directory, report=console.say)
    if args.all and (args.profile or args.target):
        raise SettingsError("--all names every profile.", hint="Leave --all or the profile out.")
    take_target(args, console)
    stored = files.profiles()
    profiles = stored if args.all else [_choose(args, stored, console)]
    if not profiles:
        console.say("There is no token to delete.")
    return log_out(profiles, console, local=args.local)


def log_out(profiles: Sequence[str], console: Console, *, local: bool) -> int:
    """Log out of each profile and report it; the exit code is that of the worst result."""
    disable_core_dumps()
    directory = find_paths(console.environ).directory
    # Use the store that has the token, which may differ from that of the settings.
    stores = {
        kind: open_store(directory, kind, report=console.say, user_present=True)
        for kind in get_args(StoreKind)
    }
    configs = Configs([])
    with suppress(SettingsError):  # invalid settings must not prevent a logout
        configs = read_config_files(console.environ, tolerant=True)

    async def log_out_of(profile: str) -> LogoutResult | StoreError | None:
        network = Network()
        with suppress(SettingsError):
            network = find_network(profile, console.environ, configs)
        try:
            store = stores[find_store_kind(directory, profile, report=console.say)]
            return await logout(profile, store, local=local, network=network)
        except StoreError as problem:
            return problem

    async def log_out_of_all() -> list[LogoutResult | StoreError | None]:
        """Log out at the same time: a slow site or a bad file delays no other."""
        return await asyncio.gather(*map(log_out_of, profiles))

    results = run_async(log_out_of_all())
    return max(
        (_report_result(*each, console) for each in zip(profiles, results, strict=True)), default=0
    )


def _choose(args: argparse.Namespace, stored: Sequence[str], console: Console) -> str:
    """Return the profile; without profiles, a token from variables alone can be stored.

    Invalid settings do not prevent the logout of a named profile that has a token. Raises
    SettingsError for a name that no profile and no token has.
    """
    named = args.profile or console.environ.get(PROFILE_VARIABLE)
    if named and named in stored:
        return named
    # Without a name, the profile may depend on what is invalid.
    configs = read_config_files(console.environ, tolerant=bool(named))
    flags = option_values(args)
    try:
        name = choose_profile(console.environ, args.profile, flags=flags, configs=configs)
    except LoginRequired:
        if len(stored) == 1:
            return stored[0]
        raise
    if (named or args.target) and name not in (*configs.profiles, *stored):
        meant = nearest(name, configs.profiles)
        raise SettingsError(
            f"There is no profile or token {name}.",
            hint=f"{f'Did you mean {meant}? ' if meant else ''}`soe-auth status` lists them.",
        )
    return name


def _report_result(profile: str, result: LogoutResult | StoreError | None, console: Console) -> int:
    if result is None:
        console.say(f"Profile {profile} has no token here; nothing to delete.")
        return 0
    if isinstance(result, StoreError):
        console.fail(str(result))
        console.error(f"  {result.hint}")
        return EXIT_CODES[StoreError]
    if result.newer:
        console.say(f"A login has stored another token of profile {profile} meanwhile; it stays.")
    elif result.removed:
        console.say(f"The token of profile {profile} is deleted from this machine.")
    if result.removed and result.on_site in _UNKNOWN:
        console.say("It had expired.")
        return 0
    site = result.token.site
    code, sentence = _ON_SITE[result.on_site]
    ends = "is revoked" if result.token.expires_at == "never" else "expires"
    sentence = sentence.format(site=site.authority, ends=ends)
    if not code:
        console.say(sentence)
        return code
    console.fail(sentence)
    console.error(f"  Revoke it by hand: sign in at {site}, open your avatar, Settings.")
    if not result.removed:
        console.error(
            f"  The token stays here, so that `soe-auth logout -p {profile}` can try again;"
            " with --local it is deleted."
        )
    return code
