"""A code for a token, as values: the form that asks for it, and what the answer says.

What SOE says and how sure we are of it is the vendor's guide; RFC 6749's own forms are understood
beside it.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from soe_auth.errors import ExchangeRefused, MalformedResponse
from soe_auth.model.secret import Secret
from soe_auth.model.text import printable
from soe_auth.model.token import Expiry, Scope, Token, visible_ascii

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soe_auth.model.site import Site

_LONGEST_LIFE = 100 * 366 * 86400.0


def token_request_body(
    client_id: str, redirect_uri: str, code: Secret, code_verifier: Secret
) -> Secret:
    """Return the body of the exchange, form-encoded and ASCII.

    RFC 6749 section 4.1.3, without grant_type: SOE guide.
    """
    return Secret(
        urlencode(
            {
                "client_id": client_id,
                "code": code.reveal(),
                "code_verifier": code_verifier.reveal(),
                "redirect_uri": redirect_uri,
            },
            errors="surrogateescape",  # bytes that were typed and are no UTF-8
        )
    )


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """What came back over HTTP: the status, and the body as it came, which may hold a token."""

    status: int
    body: bytes = field(repr=False)


def parse_token_response(  # what a token is bound to, each by its name
    answer: TokenResponse,
    *,
    site: Site,
    client_id: str,
    scope: Scope,
    now: float,
    sent: Sequence[Secret] = (),
) -> Token:
    """Read the token endpoint's answer; `now` is when the exchange was sent.

    Raises ExchangeRefused for a refusal in any of the shapes known of SOE or in that of RFC 6749
    section 5.2, MalformedResponse for all else. Neither quotes the body beyond the refusal's words,
    and out of those is taken what the site repeats of `sent`.
    """
    status = answer.status
    match _understand(answer, sent):
        case _Refusal(words):
            raise ExchangeRefused(
                f"{site.authority} refused to exchange the code (HTTP {status}): {words}.",
                status=status,
            )
        case _Nonsense(what):
            raise MalformedResponse(
                f"The site answered the exchange with HTTP {status} {what}.", status=status
            )
        case grant:
            return Token(
                access_token=grant.access_token,
                site=site,
                client_id=client_id,
                scope=scope,
                granted_scope=scope if grant.scope is None else grant.scope,
                obtained_at=now,
                expires_at=read_expiry(grant.life, scope, now),
            )


@dataclass(frozen=True, slots=True)
class _Grant:
    access_token: Secret
    scope: Scope | None
    life: object


@dataclass(frozen=True, slots=True)
class _Refusal:
    words: str


@dataclass(frozen=True, slots=True)
class _Nonsense:
    what: str


def _understand(answer: TokenResponse, sent: Sequence[Secret]) -> _Grant | _Refusal | _Nonsense:
    """Tell what an answer is.

    A value is returned and nothing raised, since tools print tracebacks with their local variables,
    and here the body lies open in them.
    """
    try:
        fields = json.loads(answer.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return _Nonsense(_kind(answer.body))
    if not isinstance(fields, dict):
        return _Nonsense("with JSON of another shape")
    if "error" in fields or "error_message" in fields:
        return _Refusal(_words_of_refusal(fields, sent) or "no reason given")
    if answer.status != HTTPStatus.OK:
        return _Nonsense("without a refusal's reason")
    if str(fields.get("token_type", "Bearer")).lower() != "bearer":
        return _Nonsense("with a token of another type than Bearer")  # RFC 6749 section 7.1
    try:
        access_token = Secret(visible_ascii(fields.get("access_token")))
    except ValueError as problem:
        return _Nonsense(f"without a token in it: {problem}")
    return _Grant(
        access_token,
        _granted_scope(fields.get("scope")),
        fields.get("expires", fields.get("expires_in")),
    )


def _kind(body: bytes) -> str:
    match body.strip()[:1]:
        case b"":
            return "with an empty body"
        case b"<":
            return "with a web page"
        case _:
            return "with no JSON"


def _words_of_refusal(fields: Mapping[str, object], sent: Sequence[Secret]) -> str:
    """Take the words of `error_message`, of `error` as an object, or of RFC 6749's two fields."""
    match fields:
        case {"error": {**inner}}:
            found = [inner.get("message"), inner.get("type")]
        case _:
            found = [fields.get(name) for name in ("error_description", "error_message", "error")]
    words = next((text for text in found if isinstance(text, str) and text), "")
    for secret in sent:
        words = secret.redact_in(words)
    return printable(words).rstrip(".")


def _granted_scope(scope: object) -> Scope | None:
    """Read the scope that the site names; None where it names none that can be read."""
    with suppress(ValueError):
        return Scope.parse(scope) if isinstance(scope, str) else None
    return None


def read_expiry(life: object, scope: Scope, now: float) -> Expiry:
    """Read the life of a token: SOE's `expires` or RFC 6749's `expires_in`, in seconds from now.

    Without either it has no end if none was asked for; a life that cannot be read is unknown.
    """
    if life is None:
        return "never" if scope.no_expiry else "unknown"
    if isinstance(life, bool) or not isinstance(life, str | int | float):
        return "unknown"
    try:
        seconds = float(life)
    except (ValueError, OverflowError):
        return "unknown"
    return now + seconds if 0 < seconds <= _LONGEST_LIFE and math.isfinite(seconds) else "unknown"
