"""The exchange of a code for a token, without I/O: request body and response.

Responses may have SOE's own form or that of RFC 6749.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from soe_auth.errors import ExchangeRefused, MalformedResponse, ServerError
from soe_auth.model.secret import Secret
from soe_auth.model.text import printable
from soe_auth.model.token import Expiry, Scope, Token, visible_ascii

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soe_auth.oauth.api_call import SiteResponse
    from soe_auth.oauth.authorization_request import AuthorizationRequest

EXCHANGE_PATH = "/oauth/access_token/json"
_LONGEST_LIFETIME = 100 * 366 * 86400.0


def token_request_body(request: AuthorizationRequest, code: Secret) -> Secret:
    """Return the form-encoded body of the exchange (RFC 6749 section 4.1.3).

    As in SOE's guide, there is no `grant_type`.
    """
    fields = {
        "client_id": request.client_id,
        "code": code.reveal(),
        "code_verifier": request.code_verifier.reveal(),
        "redirect_uri": request.redirect_uri,
    }
    return Secret(urlencode(fields, errors="surrogateescape"))  # a typed code may not be UTF-8


def parse_token_response(
    response: SiteResponse, request: AuthorizationRequest, code: Secret, *, now: float
) -> Token:
    """Return the token of a response; `now` is when the exchange was sent.

    Raises ExchangeRefused for SOE's refusals and those of RFC 6749 section 5.2, MalformedResponse
    for anything else. Neither quotes the body, except the reason of a refusal, without secrets.
    """
    fields = _read_fields(response, request, code)
    if isinstance(fields, ServerError):
        raise fields
    scope = granted = request.scope
    with suppress(ValueError):  # an unreadable scope counts as none
        if isinstance(names := fields.get("scope"), str):
            granted = Scope.parse(names)
    return Token(
        access_token=Secret(fields["access_token"]),
        site=request.site,
        client_id=request.client_id,
        scope=scope,
        granted_scope=granted,
        obtained_at=now,
        expires_at=parse_expiry(fields.get("expires", fields.get("expires_in")), scope, now),
    )


def _read_fields(
    response: SiteResponse, request: AuthorizationRequest, code: Secret
) -> dict[str, Any] | ServerError:
    """Return the fields of a response that has a token, else the error to raise.

    It raises nothing itself: a traceback with local variables would show the body.
    """
    status, authority = response.status, request.site.authority

    def malformed(problem: str) -> MalformedResponse:
        message = f"Cannot exchange the code: {authority} answered HTTP {status} {problem}."
        return MalformedResponse(message, status=status)

    try:
        fields = json.loads(response.body)
    except (ValueError, RecursionError):
        start = response.body.strip()[:1]
        kind = "a web page" if start == b"<" else "no JSON" if start else "an empty body"
        return malformed(f"with {kind}")
    if not isinstance(fields, dict):
        return malformed("with JSON that is not an object")
    if "error" in fields or "error_message" in fields:
        words = _refusal_reason(fields) or "no reason given"
        for secret in (code, request.code_verifier, request.state):
            words = secret.redact_in(words)
        words = printable(words).rstrip(".")
        message = f"Cannot exchange the code: {authority} refused it (HTTP {status}): {words}."
        return ExchangeRefused(message, status=status)
    if status != HTTPStatus.OK:
        return malformed("without a reason")
    if str(fields.get("token_type", "Bearer")).lower() != "bearer":
        return malformed("with a token of another type than Bearer")  # RFC 6749 section 7.1
    try:
        visible_ascii(fields.get("access_token"))
    except ValueError as problem:
        return malformed(f"without a token in it: {problem}")
    return fields


def _refusal_reason(fields: Mapping[str, object]) -> str:
    """Return the text of `error_message`, of an `error` object, or of RFC 6749's two fields."""
    match fields:
        case {"error": {**inner}}:
            found = [inner.get("message"), inner.get("type")]
        case _:
            found = [fields.get(name) for name in ("error_description", "error_message", "error")]
    return next((text for text in found if isinstance(text, str) and text), "")


def parse_expiry(lifetime: object, scope: Scope, now: float) -> Expiry:
    """Return when a token expires, from SOE's `expires` or RFC 6749's `expires_in` in seconds.

    Without either, the token never expires if `no_expiry` was requested. A lifetime that cannot
    be read is "unknown".
    """
    if lifetime is None:
        return "never" if scope.no_expiry else "unknown"
    if isinstance(lifetime, bool) or not isinstance(lifetime, str | int | float):
        return "unknown"
    try:
        seconds = float(lifetime)
    except (ValueError, OverflowError):
        return "unknown"
    is_usable = 0 < seconds <= _LONGEST_LIFETIME and math.isfinite(seconds)
    return now + seconds if is_usable else "unknown"
