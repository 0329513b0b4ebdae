"""The file form of a token: JSON, without the secret where the system's keyring has it."""

from __future__ import annotations

import json
from typing import Literal

from soe_auth.model.secret import Secret
from soe_auth.model.site import Site
from soe_auth.model.token import Expiry, Scope, Token, visible_ascii

FILE_VERSION = 1
_LATEST = 253402300799  # the end of the year 9999: no calendar is asked for more

# What a token file says of the system's keyring: the token is there and the secret not here, or it
# is here and may be there as well.
Mark = Literal["stub", "copy"]


def token_to_json(token: Token, mark: Mark | None = None) -> bytes:
    """Return the file form of a token; with its secret, unless it is marked as a stub."""
    fields = {
        "version": FILE_VERSION,
        "site": str(token.site),
        "client_id": token.client_id,
        "scope": str(token.scope),
        "granted_scope": str(token.granted_scope),
        "obtained_at": token.obtained_at,
        "expires_at": token.expires_at,
        "account": token.account,
    }
    if mark:
        fields["kept_in"] = "keyring"
    if mark != "stub":
        fields["access_token"] = token.access_token.reveal()
    # Not escaped, for the command cache; a name may hold what is no character at all.
    text = json.dumps(fields, indent=1, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def token_from_json(data: bytes) -> Token:
    """Read the file form. Raises ValueError for anything that `token_to_json` would not write."""
    try:
        fields = json.loads(data)
        if fields["version"] != FILE_VERSION:
            raise ValueError(f"its format version is not {FILE_VERSION}")
        return Token(
            access_token=Secret(visible_ascii(fields["access_token"])),
            site=Site.parse(_text(fields["site"])),
            client_id=_text(fields["client_id"]),
            scope=Scope.parse(_text(fields["scope"])),
            granted_scope=Scope.parse(_text(fields["granted_scope"])),
            obtained_at=_time(fields["obtained_at"]),
            expires_at=_expiry(fields["expires_at"]),
            account=None if fields["account"] is None else _text(fields["account"]),
        )
    except (KeyError, TypeError, RecursionError):
        # Not chained: the cause may quote the file, and the file holds the token.
        raise ValueError("it is not a token file") from None


def mark_of(data: bytes) -> Mark | None:
    """Return what a token file says of the keyring; None for one that says nothing, or no JSON."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.get("kept_in") != "keyring":
        return None
    return "copy" if "access_token" in fields else "stub"


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _time(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LATEST:
        return float(value)
    raise TypeError


def _expiry(value: object) -> Expiry:
    if value == "never":
        return "never"
    if value == "unknown":
        return "unknown"
    return _time(value)
