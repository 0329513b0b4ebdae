"""What is known of a token, in JSON for other programs; docs/reference/json.md has its form."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soe_auth.cli.token_source import TokenSource
    from soe_auth.model.token import Token

FORMAT_VERSION = 1


def token_report(
    profile: str | None, token: Token, now: float, *, why_not: str | None = None
) -> dict[str, object]:
    """Return the token's facts, as docs/reference describes them.

    Times are ISO 8601 in UTC, `seconds_left` is None for no end, `problem` says why the token does
    not serve its profile, or is None; `warnings` are sentences for a person.
    """
    left = token.remaining(now)
    return {
        "profile": profile,
        "site": str(token.site),
        "client_id": token.client_id,
        "scope": list(token.scope.names),
        "granted_scope": list(token.granted_scope.names),
        "account": token.account,
        "obtained_at": _iso(token.obtained_at),
        "expires_at": (
            token.expires_at if isinstance(token.expires_at, str) else _iso(token.ends_at(now))
        ),
        "seconds_left": None if math.isinf(left) else max(0, int(left)),
        "problem": why_not,
        "warnings": token.warnings(now),
    }


def no_report() -> dict[str, object]:
    """Return the same facts for a token of which nothing is known but itself."""
    binding = dict.fromkeys(("profile", "site", "client_id", "scope", "granted_scope", "account"))
    life = dict.fromkeys(("obtained_at", "expires_at", "seconds_left", "problem"))
    return {**binding, **life, "warnings": []}


def source_report(source: TokenSource, now: float) -> dict[str, object]:
    """Return the token, and what is known of it; of one that the environment gave, nothing is."""
    if source.token and source.settings:
        report = token_report(source.settings.profile, source.token, now)
    else:
        report = no_report()
    return {"version": FORMAT_VERSION, **report, "access_token": source.access_token.reveal()}


def _iso(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
