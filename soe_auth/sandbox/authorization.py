"""Judging an authorization request (RFC 6749 section 4.1.1, RFC 7636 section 4.3), without I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from soe_auth.sandbox.form_parsing import Malformed, once_each, read_pairs
from soe_auth.sandbox.redirect_uri import NotUnderDomain, check_redirect
from soe_auth.sandbox.registry import Application

PARAMETERS: Final = (
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
)
NO_EXPIRY: Final = "no_expiry"
PLAIN_SCOPES: Final = ("read_inbox", NO_EXPIRY, "write_access", "private_info")

_TEAM_SCOPE: Final = re.compile(r"access_team\|[A-Za-z0-9_-]{1,100}")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_STATE: Final = re.compile(r"[ -~]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be put before the person; `scope` is empty for read only."""

    application: Application
    redirect_uri: str
    scope: tuple[str, ...]
    state: str | None = field(repr=False)
    code_challenge: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Untrusted:
    """A request whose redirect URI cannot be trusted, so it ends on a page of the site."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is wrong, but whose redirect URI can be trusted to be told so."""

    redirect_uri: str
    state: str | None = field(repr=False)
    error: str
    description: str


def judge(query: str, applications: Mapping[str, Application]) -> Asked | Untrusted | Refused:
    """Judge the query string of an authorization request."""
    try:
        sent = once_each(read_pairs(query), PARAMETERS)
    except Malformed as malformed:
        return Untrusted(str(malformed))
    application = applications.get(sent.get("client_id", ""))
    if application is None:
        return Untrusted("No application with this client_id is registered here.")
    if not application.domain:
        # The words SOE uses, and what they mean.
        return Untrusted("redirect_uri is not configured: the application has no Domain.")
    redirect_uri = sent.get("redirect_uri", "")
    try:
        check_redirect(redirect_uri, application.domain)
    except NotUnderDomain as fault:
        return Untrusted(str(fault))
    state = sent.get("state")
    if state is not None and not _STATE.fullmatch(state):  # RFC 6749 appendix A.5
        return Untrusted("The state holds characters that no state may have.")
    return _judge_trusted(sent, application, redirect_uri, state)


def _judge_trusted(
    sent: Mapping[str, str], application: Application, redirect_uri: str, state: str | None
) -> Asked | Refused:
    challenge = sent.get("code_challenge", "")
    scope = tuple(sent["scope"].split(",")) if "scope" in sent else ()
    fault = _fault_of_pkce(challenge, sent.get("code_challenge_method"))
    if fault:
        return Refused(redirect_uri, state, "invalid_request", fault)
    fault = _fault_of_scope(scope)
    if fault:
        return Refused(redirect_uri, state, "invalid_scope", fault)
    return Asked(application, redirect_uri, scope, state, challenge)


def _fault_of_pkce(challenge: str, method: str | None) -> str | None:
    if not challenge:
        return "A code_challenge is required."
    if not _CHALLENGE.fullmatch(challenge):
        return "The code_challenge is not 43 characters of base64url."
    if method != "S256":  # RFC 7636 section 4.3 reads a missing method as plain
        return "The code_challenge_method is not S256."
    return None


def _fault_of_scope(scope: tuple[str, ...]) -> str | None:
    if any(" " in item for item in scope):
        return "Scopes are joined by commas, without spaces."
    if len(set(scope)) < len(scope):
        return "A scope is repeated."
    if not all(item in PLAIN_SCOPES or _TEAM_SCOPE.fullmatch(item) for item in scope):
        return "A scope is unknown."
    return None


def answer_uri(redirect_uri: str, parameters: Mapping[str, str | None]) -> str:
    """Add the parameters that have a value to a redirect URI (RFC 6749 section 4.1.2)."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}"
