"""Validation of authorization requests (RFC 6749 section 4.1.1, RFC 7636 section 4.3), no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from soe_auth.sandbox.applications import (
    Application,
    InvalidRedirectUri,
    NotUnderDomain,
    check_redirect_uri,
)
from soe_auth.sandbox.form_parsing import Malformed, parse_pairs, unique_fields

_PARAMETERS: Final = frozenset(
    {"client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"}
)
NO_EXPIRY: Final = "no_expiry"
WRITE_ACCESS: Final = "write_access"
ACCESS_TEAM: Final = "access_team"
_SCOPES: Final = frozenset({"read_inbox", NO_EXPIRY, WRITE_ACCESS, "private_info", ACCESS_TEAM})

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_STATE: Final = re.compile(r"[ -~]+")
_NOT_CONFIGURED: Final = "redirect_uri is not configured"  # the text of SOE


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """A valid request; `scope` is empty for read only.

    `team` is the one that the user selects. `warnings` name what clients
    should not send.
    """

    application: Application
    redirect_uri: str
    scope: tuple[str, ...]
    state: str | None = field(repr=False)
    code_challenge: str = field(repr=False)
    team: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UntrustedRequest:
    """A request without a valid redirect URI: it ends on an error page of the site."""

    reason: str
    heading: str = "Cannot start this login"


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """An invalid request with a valid redirect URI: the browser is redirected with the error."""

    redirect_uri: str
    state: str | None = field(repr=False)
    error: str
    description: str


def check_authorization_request(
    query: str, applications: Mapping[str, Application], *, strict: bool
) -> ConsentRequest | UntrustedRequest | RefusedRequest:
    """Validate the query string of an authorization request.

    Unless `strict`, accept parameters that other clients send and a real site accepts.
    """
    allowed = _PARAMETERS if strict else _PARAMETERS | {"response_type"}
    try:
        fields = unique_fields(parse_pairs(query), allowed)
    except Malformed as malformed:
        return UntrustedRequest(str(malformed))
    application = applications.get(fields.get("client_id", ""))
    if application is None:
        return UntrustedRequest("No application with this client_id is registered here.")
    if not application.domain:
        return UntrustedRequest("The Domain of the application is empty.", _NOT_CONFIGURED)
    redirect_uri = fields.get("redirect_uri", "")
    try:
        check_redirect_uri(redirect_uri, application.domain, strict=strict)
    except NotUnderDomain as problem:
        return UntrustedRequest(str(problem), _NOT_CONFIGURED)
    except InvalidRedirectUri as problem:
        return UntrustedRequest(str(problem))
    state = fields.get("state")
    if state is not None and not _STATE.fullmatch(state):  # RFC 6749 appendix A.5
        return UntrustedRequest("The state has invalid characters.")
    scope, warnings = tuple(fields["scope"].split(",")) if "scope" in fields else (), []
    if not strict and any(" " in item for item in scope):
        scope = tuple(fields["scope"].replace(",", " ").split())
        warnings.append("scopes are separated by spaces; SOE's guide has commas")
    if "response_type" in fields:
        warnings.append("response_type is sent; SOE's guide does not have it")
    if error := _find_error(fields, scope, application):
        return RefusedRequest(redirect_uri, state, *error)
    challenge = fields["code_challenge"]
    return ConsentRequest(
        application, redirect_uri, scope, state, challenge, warnings=tuple(warnings)
    )


def _find_error(
    fields: Mapping[str, str], scope: tuple[str, ...], application: Application
) -> tuple[str, str] | None:
    """Return the error code (RFC 6749 section 4.1.2.1) and its description."""
    challenge = fields.get("code_challenge", "")
    problem = None
    if fields.get("response_type", "code") != "code":
        return "unsupported_response_type", "The response_type is not code."
    if not challenge:
        problem = "A code_challenge is required."
    elif not _CHALLENGE.fullmatch(challenge):
        problem = "The code_challenge is not 43 characters of base64url."
    elif fields.get("code_challenge_method") != "S256":  # RFC 7636 section 4.3: none means plain
        problem = "The code_challenge_method is not S256."
    if problem:
        return "invalid_request", problem
    if any(" " in item for item in scope):
        problem = "Scopes are separated by commas, without spaces."
    elif len(set(scope)) < len(scope):
        problem = "A scope is repeated."
    elif not _SCOPES.issuperset(scope):
        problem = "A scope is unknown."
    elif WRITE_ACCESS in scope and application.status == "read-only":
        problem = "write_access needs an application with the status Read-write."
    return ("invalid_scope", problem) if problem else None


def redirect_with(redirect_uri: str, parameters: Mapping[str, str | None]) -> str:
    """Add the parameters that have a value to a redirect URI (RFC 6749 section 4.1.2)."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}"
