"""Show each profile: its site, account and scope, and how long its token is valid.

The exit code is 0 if each profile shown has a token that has not expired, or SOE_AUTH_TOKEN is set;
else 3. With --json it is 0 in both cases.

--check prints nothing: the exit code is 0 if the token that `soe-auth token` would print stays
valid for that long, else 3. --verify asks each site whether its token is still valid: the exit code
is 3 if one is not, 6 if a site cannot be reached, 5 if its response is invalid.

For example:
  soe-auth status acme --verify
  soe-auth status --check 2h || soe-auth login
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from soe_auth.actions.get_token import from_environment
from soe_auth.actions.status import require_profile_or_token, resolve_all, status_of
from soe_auth.cli.exit_codes import EXIT_CODES
from soe_auth.cli.json_output import to_json, token_report
from soe_auth.cli.options import (
    add_target,
    open_profile_store,
    option_values,
    read_option,
    take_target,
)
from soe_auth.cli.token_source import stored_token
from soe_auth.errors import LoginRequired, NetworkError, ServerError, SettingsError, StoreError
from soe_auth.model.duration import parse_duration
from soe_auth.model.secret import disable_core_dumps
from soe_auth.model.site import Site
from soe_auth.model.text import printable
from soe_auth.settings.resolve import choose_profile, resolve
from soe_auth.settings.settings import find_paths
from soe_auth.settings.spec import SITE
from soe_auth.storage.file_store import FileStore

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from soe_auth.actions.status import ProfileStatus
    from soe_auth.cli.console import Console
    from soe_auth.doctor.finding import Severity
    from soe_auth.settings.settings import Settings
    from soe_auth.settings.spec import StoreKind
    from soe_auth.site_client.client import Verification
    from soe_auth.storage import Store


@dataclass(frozen=True, slots=True)
class _Row:
    """A profile, its status, and with --verify the site's verification of its token.

    `error` is set if the store cannot be read.
    """

    settings: Settings
    status: ProfileStatus
    verdict: Verification | None = None
    error: StoreError | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_target(parser)
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument(
        "--check",
        metavar="DURATION",
        nargs="?",
        const="",
        help="print nothing: exit 0 if the token stays valid that long, else 3; default: min_ttl",
    )
    parser.add_argument(
        "--verify", action="store_true", help="ask each site whether its token is still valid"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Show all profiles, or the one that is named."""
    take_target(args, console)
    if args.check is not None:
        if args.json or args.verify:
            raise SettingsError(
                "--check prints nothing, and sends no request.",
                hint="Leave --json and --verify out.",
            )
        return _check(args, console)
    has_variable = from_environment(console.environ) is not None
    now = time.time()
    rows = _rows(args.profile, console, now, may_be_none=has_variable)
    if flags := option_values(args):
        rows = _of_site(Site.parse(flags[SITE.key]), rows, args.target)
    if args.verify:
        rows = _verified(rows)
    if args.json:
        profiles = [_row_report(row, now) for row in rows]
        console.result(to_json(profiles=profiles))
    elif rows:
        default = _default(rows, console)
        console.result("\n\n".join(_card(row, now, default, console) for row in rows))
    if has_variable:
        console.say("SOE_AUTH_TOKEN is set: `soe-auth token` prints that token.")
    if error := next(filter(None, (row.error for row in rows)), None):
        raise error
    if args.json and not args.verify:
        return 0
    return _exit_code(rows, has_variable=has_variable)


def _of_site(site: Site, rows: Sequence[_Row], typed: str) -> list[_Row]:
    if found := [row for row in rows if row.status.site == site]:
        return found
    raise SettingsError(
        f"There is no profile {printable(typed, 80)}, and none of that site.",
        hint="`soe-auth profile list` shows the profiles.",
    )


def _check(args: argparse.Namespace, console: Console) -> int:
    """Return the exit code that `soe-auth token --min-ttl DURATION` would have."""
    try:
        min_ttl = read_option("check", parse_duration, args.check) if args.check else None
    except SettingsError as problem:
        problem.hint = "To name a profile, put it first: `soe-auth status NAME --check`."
        raise
    try:
        if from_environment(console.environ) is None:
            settings = resolve(option_values(args), profile=args.profile, environ=console.environ)
            if min_ttl is not None:
                settings = replace(settings, min_ttl=min_ttl)
            console.observer.prints(None, settings, stored_token(settings, console).token)
    except LoginRequired as problem:
        console.detail(str(problem).replace("`--min-ttl ", "`--check "))
        return EXIT_CODES[LoginRequired]
    return 0


def _rows(chosen: str | None, console: Console, now: float, *, may_be_none: bool) -> list[_Row]:
    disable_core_dumps()
    files = FileStore(find_paths(console.environ).directory, report=console.say)
    stores: dict[StoreKind, Store] = {}  # one of each, so that a keyring times out only once
    rows: list[_Row] = []
    try:
        profiles = resolve_all(chosen, files.profiles, console.environ)
    except LoginRequired:
        if may_be_none:
            return rows
        raise
    for settings in profiles:
        if settings.store not in stores:
            stores[settings.store] = open_profile_store(settings, console)
        try:
            token = stores[settings.store].load(settings.profile)
        except StoreError as error:
            rows.append(_Row(settings, status_of(settings, None, now), error=error))
        else:
            require_profile_or_token(settings, token)
            rows.append(_Row(settings, status_of(settings, token, now)))
    return rows


def _verified(rows: Sequence[_Row]) -> list[_Row]:
    from soe_auth.actions.status import verify
    from soe_auth.site_client.event_loop import run_async

    tokens = [(row.status.token, row.settings.network) for row in rows]
    verdicts = iter(run_async(verify([(token, network) for token, network in tokens if token])))
    return [replace(row, verdict=next(verdicts)) if row.status.token else row for row in rows]


def _exit_code(rows: Sequence[_Row], *, has_variable: bool) -> int:
    """Return the code of the first problem; a missing login comes before the site's problems."""
    if not has_variable and any(row.status.problem for row in rows):
        return EXIT_CODES[LoginRequired]
    verdicts = {row.verdict.validity for row in rows if row.verdict}
    if not verdicts:
        return 0
    from soe_auth.site_client.client import TokenValidity

    kinds = {
        TokenValidity.INVALID: LoginRequired,
        TokenValidity.UNREACHABLE: NetworkError,
        TokenValidity.UNCLEAR: ServerError,
    }
    return next((EXIT_CODES[kind] for found, kind in kinds.items() if found in verdicts), 0)


def _row_report(row: _Row, now: float) -> dict[str, object]:
    status, verdict = row.status, row.verdict
    if status.token is None:
        site = str(status.site) if status.site else None
        problem = {"problem": str(row.error)} if row.error else {}
        return {"profile": status.profile, "site": site, "token": None, **problem}
    report = token_report(status.profile, status.token, now, problem=status.problem)
    if verdict is None:
        return report
    return {**report, "verified": verdict.is_valid, "verification": _in_words(verdict)}


def _default(rows: Sequence[_Row], console: Console) -> str | None:
    """Return the profile that a command uses here if none is named; None if there is only one."""
    if len(rows) > 1:
        with suppress(SettingsError, LoginRequired):
            return choose_profile(console.environ)
    return None


def _card(row: _Row, now: float, default: str | None, console: Console) -> str:
    status, token = row.status, row.status.token
    lines = [
        status.profile + (" (default here)" if status.profile == default else ""),
        f"  site     {status.site or 'not set'}",
    ]

    def add(name: str, text: str, meaning: Severity, after: str = "") -> None:
        lines.append(f"  {name:7}  {console.coloured(text, meaning)}{after}")

    to_log_in = f"; type `{row.settings.login_command}`"
    if row.error:
        add("token", "cannot be read", "error")
    elif token is None:
        add("token", "none", "error", to_log_in)
    else:
        lines.append(f"  account  {token.account or 'not given by the site'}")
        lines.append(f"  scope    {token.granted_scope.in_words()}")
        if status.problem:
            add("token", status.problem, "error", to_log_in)
        else:
            add("token", f"valid {token.describe_expiry(now)}", "ok")
        for warning in token.warnings(now):
            add("note", warning, "warning")
    if row.verdict:
        meanings: dict[bool | None, Severity] = {None: "warning", True: "ok", False: "error"}
        add("on site", _in_words(row.verdict), meanings[row.verdict.is_valid])
    return "\n".join(lines)


def _in_words(verdict: Verification) -> str:
    words = verdict.validity.value
    if verdict.account:
        return f"{words}, as {verdict.account}"
    return verdict.reason or words
