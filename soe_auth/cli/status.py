"""Show every profile: its site, account and scope, and how long its token lasts."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from soe_auth.cli.options import open_store
from soe_auth.cli.report import FORMAT_VERSION, token_report
from soe_auth.settings import find_paths, no_profile_yet, profile_names, resolve

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.console import Console
    from soe_auth.settings import Settings
    from soe_auth.tokens import Token


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace, console: Console) -> int:
    """Show the profiles, or the one that -p names."""
    store = open_store(find_paths(console.environ), console)
    names = {args.profile} if args.profile else {*profile_names(console.environ), *store.profiles()}
    if not names:
        raise no_profile_yet()
    # What a variable overrides for this call is not what the profiles are.
    plain = {k: v for k, v in console.environ.items() if k == "SOE_AUTH_CONFIG_DIR"}
    rows = [(resolve({}, profile=name, environ=plain), store.load(name)) for name in sorted(names)]
    for settings, token in rows:
        if not settings.known and token is None:
            _ = settings.registration  # which says that there is no such profile
    now = time.time()
    if args.json:
        profiles = [_report(settings, token, now) for settings, token in rows]
        console.result(json.dumps({"version": FORMAT_VERSION, "profiles": profiles}, indent=2))
    else:
        console.result("\n\n".join(_card(settings, token, now) for settings, token in rows))
    if console.environ.get("SOE_AUTH_TOKEN"):
        console.say("SOE_AUTH_TOKEN is set: `soe-auth token` answers with that one.")
    return 0


def _report(settings: Settings, token: Token | None, now: float) -> dict[str, object]:
    if token is None:
        site = str(settings.site) if settings.site else None
        return {"profile": settings.profile, "site": site, "token": None}
    return token_report(settings.profile, token, now, why_not=_why_not(settings, token, now))


def _card(settings: Settings, token: Token | None, now: float) -> str:
    site = token.site if token else settings.site
    lines = [settings.profile, f"  site     {site or 'not set'}"]
    if token is None:
        lines.append(f"  token    none; type `{settings.login_command}`")
        return "\n".join(lines)
    lines.append(f"  account  {token.account or 'not told by the site'}")
    lines.append(f"  scope    {token.granted_scope.in_words()}")
    problem = _why_not(settings, token, now)
    if problem:
        lines.append(f"  token    {problem}; type `{settings.login_command}`")
    else:
        lines.append(f"  token    lasts {token.lasts(now)}")
    return "\n".join(lines)


def _why_not(settings: Settings, token: Token, now: float) -> str | None:
    """Say why the token does not serve its profile; a profile of variables only has no say."""
    if settings.known or "site" in settings.from_project:
        site, client_id, scope = settings.site, settings.client_id, settings.scope
    else:
        site, client_id, scope = token.site, token.client_id, token.scope
    return token.shortfall(site, client_id, scope, min_ttl=0, now=now)
