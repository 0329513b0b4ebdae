"""Report a token in JSON, in the forms of docs/reference/json.md."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soe_auth.cli.token_source import TokenSource
    from soe_auth.model.token import Token

FORMAT_VERSION = 1


def token_report(
    profile: str | None, token: Token, now: float, *, problem: str | None = None
) -> dict[str, object]:
    """Return the facts about a token; `problem` is why it is invalid for its profile."""
    left = token.remaining(now)
    expires_at = token.expires_at
    return {
        "profile": profile,
        "site": str(token.site),
        "client_id": token.client_id,
        "scope": list(token.scope.names),
        "granted_scope": list(token.granted_scope.names),
        "account": token.account,
        "obtained_at": _iso(token.obtained_at),
        "expires_at": expires_at if isinstance(expires_at, str) else _iso(token.ends_at(now)),
        "seconds_left": None if math.isinf(left) else max(0, int(left)),
        "problem": problem,
        "warnings": token.warnings(now),
    }


def empty_report() -> dict[str, object]:
    """Return the same keys, without values, for a token without known facts."""
    keys = "profile site client_id scope granted_scope account obtained_at expires_at seconds_left"
    return {**dict.fromkeys([*keys.split(), "problem"]), "warnings": []}


def source_report(source: TokenSource, now: float) -> dict[str, object]:
    """Return the access token and the facts about it."""
    if source.token and source.settings:
        report = token_report(source.settings.profile, source.token, now)
    else:
        report = empty_report()
    return {"version": FORMAT_VERSION, **report, "access_token": source.access_token.reveal()}


def _iso(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
