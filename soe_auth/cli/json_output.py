"""Write a report as JSON, in the forms of docs/reference/json.md."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soe_auth.model.secret import Secret
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


def token_json(profile: str | None, token: Token | None, access_token: Secret | None = None) -> str:
    """Return the facts about a token as JSON, None if they are unknown; its access token last."""
    if token:
        report = token_report(profile, token, time.time())
    else:
        keys = "profile site client_id scope granted_scope account obtained_at expires_at"
        report = {**dict.fromkeys([*keys.split(), "seconds_left", "problem"]), "warnings": []}
    if access_token:
        report["access_token"] = access_token.reveal()
    return to_json(**report)


def to_json(**fields: object) -> str:
    """Return the fields as JSON, after the version of their form."""
    return json.dumps({"version": FORMAT_VERSION, **fields}, indent=2)


def _iso(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
