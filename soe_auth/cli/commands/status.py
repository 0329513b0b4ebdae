"""Show every profile: its site, account and scope, and how long its token lasts.

Exit 0 if each profile that is shown has a token that has not expired, or SOE_AUTH_TOKEN is set;
else 3. -p shows one profile only. With --json it is 0 all the same.

With --check nothing is printed, and the exit code is the answer: 0 if the token that `soe-auth
token` would print lives for that span more, 3 if not. With --verify each site is asked whether its
token is still good: 3 if one is not, 6 if a site could not be reached, 5 if its answer made no
sense.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from soe_auth.actions.get_token import from_environment
from soe_auth.actions.status import resolve_all, see_that_there_is, why_not
from soe_auth.cli.exit_codes import EXIT_CODES
from soe_auth.cli.json_output import FORMAT_VERSION, token_report
from soe_auth.cli.options import (
    add_target,
    given_settings,
    open_profile_store,
    read_option,
    take_target,
)
from soe_auth.cli.token_source import stored_token
from soe_auth.errors import LoginRequired, NetworkError, ServerError, SettingsError, StoreError
from soe_auth.model.duration import parse_duration
from soe_auth.model.secret import disable_core_dumps
from soe_auth.model.site import Site
from soe_auth.model.text import printable
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.project_file import find_project
from soe_auth.settings.resolve import choose_profile, resolve
from soe_auth.settings.settings import find_paths
from soe_auth.settings.spec import SITE
from soe_auth.storage.file_store import FileStore

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from soe_auth.cli.console import Console
    from soe_auth.doctor.finding import Severity
    from soe_auth.model.network import Network
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings
    from soe_auth.settings.spec import StoreKind
    from soe_auth.site_client.client import Verification
    from soe_auth.storage import Store

    Paint = Callable[[str, Severity], str]


@dataclass(frozen=True, slots=True)
class _Row:
    """A profile, its token, and what the site says of that, if it was asked.

    With `trouble` it cannot be known whether there is a token.
    """

    settings: Settings
    token: Token | None
    verdict: Verification | None = None
    trouble: StoreError | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_target(parser)
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument(
        "--check",
        metavar="DURATION",
        nargs="?",
        const="",
        help="print nothing: exit 0 if the token stays valid so long, 3 if not; default: min_ttl",
    )
    parser.add_argument(
        "--verify", action="store_true", help="ask each site whether its token is still good"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Show the profiles, or those that were named."""
    take_target(args, console)
    if args.check is not None:
        if args.json or args.verify:
            raise SettingsError(
                "--check prints nothing, and makes no request.",
                hint="Leave --json and --verify out.",
            )
        return _check(args, console)
    given = from_environment(console.environ)
    rows = _rows(args.profile, console, may_be_none=given is not None)
    if flags := given_settings(args):
        rows = _of_site(Site.parse(flags[SITE.key]), rows, args.target)
    if args.verify:
        rows = _verified(rows, console)
    now = time.time()
    if args.json:
        profiles = [_report(row, now) for row in rows]
        console.result(json.dumps({"version": FORMAT_VERSION, "profiles": profiles}, indent=2))
    elif rows:
        default = _default(rows, console)
        console.result("\n\n".join(_card(row, now, default, console.coloured) for row in rows))
    if given:
        console.say("SOE_AUTH_TOKEN is set: `soe-auth token` answers with that one.")
    if trouble := next(filter(None, (row.trouble for row in rows)), None):
        raise trouble
    is_asked = args.verify or not args.json
    return _exit_code(rows, now, given=given is not None) if is_asked else 0


def _of_site(site: Site, rows: Sequence[_Row], typed: str) -> list[_Row]:
    found = [row for row in rows if (row.token or row.settings).site == site]
    if not found:
        raise SettingsError(
            f"There is no profile {printable(typed, 80)}, and none of that site.",
            hint="`soe-auth profile list` shows what there is.",
        )
    return found


def _check(args: argparse.Namespace, console: Console) -> int:
    """End as `soe-auth token --min-ttl SPAN` would; only -v says why."""
    span = read_option("check", parse_duration, args.check) if args.check else None
    try:
        if from_environment(console.environ) is None:
            settings = resolve(given_settings(args), profile=args.profile, environ=console.environ)
            if span is not None:
                settings = replace(settings, min_ttl=span)
            console.observer.prints(None, settings, stored_token(settings, console).token)
    except LoginRequired as problem:
        console.detail(str(problem))
        return EXIT_CODES[LoginRequired]
    return 0


def _rows(chosen: str | None, console: Console, *, may_be_none: bool) -> list[_Row]:
    disable_core_dumps()
    files = FileStore(find_paths(console.environ).directory, report=console.say)
    stores: dict[StoreKind, Store] = {}  # so that one which hangs is waited for once
    rows: list[_Row] = []
    try:
        found = resolve_all(chosen, files.profiles, console.environ)
    except LoginRequired:
        if may_be_none:
            return rows
        raise
    for settings in found:
        if settings.store not in stores:
            stores[settings.store] = open_profile_store(settings, console)
        try:
            row = _Row(settings, stores[settings.store].load(settings.profile))
        except StoreError as trouble:
            row = _Row(settings, None, trouble=trouble)
        else:
            see_that_there_is(settings, row.token)
        rows.append(row)
    return rows


def _verified(rows: Sequence[_Row], console: Console) -> list[_Row]:
    from soe_auth.actions.status import verify
    from soe_auth.site_client.event_loop import run_async

    configs, find = read_config_files(console.environ), cache(find_project)

    def network(row: _Row) -> Network:  # which a variable may say, as for any call
        profile, environ = row.settings.profile, console.environ
        return resolve({}, profile=profile, environ=environ, configs=configs, find=find).network

    verdicts = iter(run_async(verify([(row.token, network(row)) for row in rows if row.token])))
    return [replace(row, verdict=next(verdicts)) if row.token else row for row in rows]


def _exit_code(rows: Sequence[_Row], now: float, *, given: bool) -> int:
    """Put first what a user can mend: a token that is not there, or no longer good."""
    valid = (row.token and not why_not(row.settings, row.token, now) for row in rows)
    if not given and not all(valid):
        return EXIT_CODES[LoginRequired]
    verdicts = [row.verdict for row in rows if row.verdict]
    if not verdicts:
        return 0
    from soe_auth.site_client.client import TokenValidity

    found = {verdict.validity for verdict in verdicts}
    if TokenValidity.NO_LONGER_GOOD in found:
        return EXIT_CODES[LoginRequired]
    if TokenValidity.UNREACHABLE in found:
        return EXIT_CODES[NetworkError]
    return EXIT_CODES[ServerError] if TokenValidity.UNCLEAR in found else 0


def _report(row: _Row, now: float) -> dict[str, object]:
    settings, token, verdict = row.settings, row.token, row.verdict
    if token is None:
        site = str(settings.site) if settings.site else None
        problem = {"problem": str(row.trouble)} if row.trouble else {}
        return {"profile": settings.profile, "site": site, "token": None, **problem}
    report = token_report(settings.profile, token, now, why_not=why_not(settings, token, now))
    if verdict is None:
        return report
    return {**report, "verified": verdict.is_good, "verification": _in_words(verdict)}


def _default(rows: Sequence[_Row], console: Console) -> str | None:
    """Name the profile of several that a command takes here which names none, if there is one."""
    if len(rows) > 1:
        with suppress(SettingsError, LoginRequired):
            return choose_profile(environ=console.environ)
    return None


def _card(row: _Row, now: float, default: str | None, paint: Paint) -> str:
    settings, token = row.settings, row.token
    site = token.site if token else settings.site
    mark = " (default here)" if settings.profile == default else ""
    lines = [f"{settings.profile}{mark}", f"  site     {site or 'not set'}"]
    if row.trouble:
        lines.append(f"  token    {paint('cannot be looked at', 'error')}")
        return "\n".join(lines)
    if token is None:
        lines.append(f"  token    {paint('none', 'error')}; type `{settings.login_command}`")
        return "\n".join(lines)
    lines.append(f"  account  {token.account or 'not told by the site'}")
    lines.append(f"  scope    {token.granted_scope.in_words()}")
    problem = why_not(settings, token, now)
    if problem:
        lines.append(f"  token    {paint(problem, 'error')}; type `{settings.login_command}`")
    else:
        lines.append(f"  token    {paint(f'lasts {token.describe_expiry(now)}', 'ok')}")
    lines += [f"  note     {paint(warning, 'warning')}" for warning in token.warnings(now)]
    if row.verdict:
        good = row.verdict.is_good
        meaning: Severity = "warning" if good is None else "ok" if good else "error"
        lines.append(f"  on site  {paint(_in_words(row.verdict), meaning)}")
    return "\n".join(lines)


def _in_words(verdict: Verification) -> str:
    words = verdict.validity.value
    if verdict.account:
        return f"{words}, as {verdict.account}"
    return f"{words}: {verdict.reason}" if verdict.reason else words
