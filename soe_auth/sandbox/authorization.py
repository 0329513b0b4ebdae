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
WRITE_ACCESS: Final = "write_access"
ACCESS_TEAM: Final = "access_team"
SCOPES: Final = ("read_inbox", NO_EXPIRY, WRITE_ACCESS, "private_info", ACCESS_TEAM)

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_STATE: Final = re.compile(r"[ -~]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be put before the person; `scope` is empty for read only.

    `team` is the one that the person picked, and `bad_style` says what no one should send.
    """

    application: Application
    redirect_uri: str
    scope: tuple[str, ...]
    state: str | None = field(repr=False)
    code_challenge: str = field(repr=False)
    team: str | None = None
    bad_style: tuple[str, ...] = ()


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


def judge(
    query: str, applications: Mapping[str, Application], *, strict: bool
) -> Asked | Untrusted | Refused:
    """Judge the query string of an authorization request.

    Unless `strict`, what other clients send and a site takes is taken, too.
    """
    known = PARAMETERS if strict else (*PARAMETERS, "response_type")
    try:
        sent = once_each(read_pairs(query), known)
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
        check_redirect(redirect_uri, application.domain, strict=strict)
    except NotUnderDomain as fault:
        return Untrusted(str(fault))
    state = sent.get("state")
    if state is not None and not _STATE.fullmatch(state):  # RFC 6749 appendix A.5
        return Untrusted("The state holds characters that no state may have.")
    return _judge_trusted(sent, application, redirect_uri, state, strict=strict)


def _judge_trusted(
    sent: Mapping[str, str],
    application: Application,
    redirect_uri: str,
    state: str | None,
    *,
    strict: bool,
) -> Asked | Refused:
    challenge = sent.get("code_challenge", "")
    scope, bad_style = tuple(sent["scope"].split(",")) if "scope" in sent else (), []
    if not strict and any(" " in item for item in scope):
        scope = tuple(sent["scope"].replace(",", " ").split())
        bad_style.append("scopes are joined by spaces, where SOE's guide has commas")
    if "response_type" in sent:
        bad_style.append("response_type is sent, which SOE's guide does not ask for")
    if sent.get("response_type", "code") != "code":
        description = "The response_type is not code."
        return Refused(redirect_uri, state, "unsupported_response_type", description)
    if fault := _fault_of_pkce(challenge, sent.get("code_challenge_method")):
        return Refused(redirect_uri, state, "invalid_request", fault)
    if fault := _fault_of_scope(scope, application):
        return Refused(redirect_uri, state, "invalid_scope", fault)
    return Asked(application, redirect_uri, scope, state, challenge, bad_style=tuple(bad_style))


def _fault_of_pkce(challenge: str, method: str | None) -> str | None:
    if not challenge:
        return "A code_challenge is required."
    if not _CHALLENGE.fullmatch(challenge):
        return "The code_challenge is not 43 characters of base64url."
    if method != "S256":  # RFC 7636 section 4.3 reads a missing method as plain
        return "The code_challenge_method is not S256."
    return None


def _fault_of_scope(scope: tuple[str, ...], application: Application) -> str | None:
    if any(" " in item for item in scope):
        return "Scopes are joined by commas, without spaces."
    if len(set(scope)) < len(scope):
        return "A scope is repeated."
    if not set(scope) <= set(SCOPES):
        return "A scope is unknown."
    if WRITE_ACCESS in scope and application.status == "read-only":
        return "write_access needs an application of the status Read-write."
    return None


def answer_uri(redirect_uri: str, parameters: Mapping[str, str | None]) -> str:
    """Add the parameters that have a value to a redirect URI (RFC 6749 section 4.1.2)."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}"
