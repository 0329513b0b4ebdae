"""Decide without I/O whether a request to the listener, or a pasted line, is the site's answer.

The order of `check_callback` is a rule: method, Host, Sec-Fetch, path, then the state, in constant
time, and only after it what the site says. Until the state matches, nothing in a request is the
site's word, and whatever does not fit is a Stray, which changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from soe_auth.model.secret import Secret
from soe_auth.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soe_auth.model.site import Site
    from soe_auth.oauth.authorization_request import AuthorizationRequest

# RFC 6749 section 4.1.2.1; only these are named before the state has matched.
_AUTHORIZATION_ERRORS = frozenset(
    {
        "access_denied",
        "invalid_request",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
    }
)


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A request as it came to the listener: method, request target, headers with lower-case names.

    A header that came more than once has its values joined by ", " as HTTP does. `other_user` says
    that the system names another user of this machine as the sender.
    """

    method: str
    target: Secret
    headers: Mapping[str, str] = field(repr=False)
    other_user: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """The site's genuine answer: a code to redeem."""

    code: Secret


@dataclass(frozen=True, slots=True)
class Denied:
    """The site's genuine refusal (RFC 6749 section 4.1.2.1), fit to be shown."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Stray:
    """Anything else: answered with `status`, counted, and the login goes on.

    `reason` never quotes what came. `notable` ones are told to the person, as they may be the
    site's answer in a form that cannot be trusted.
    """

    reason: str
    status: int = 400
    notable: bool = False


Verdict = Granted | Denied | Stray


def check_request(arrival: CallbackRequest, port: int) -> Stray | None:
    """Refuse what no browser sends when a person's tab comes to this listener.

    The Host check stops DNS rebinding; Sec-Fetch and Sec-Purpose (Fetch Metadata) stop other pages'
    sub-resources, frames and pre-fetches, in the browsers that send them.
    """
    if arrival.other_user:
        return Stray("it came from another user of this machine", status=403, notable=True)
    if arrival.method != "GET":
        return Stray("the method was not GET", status=405)
    if arrival.headers.get("host") not in {f"localhost:{port}", f"127.0.0.1:{port}"}:
        return Stray("the Host was not this listener's", status=421)
    if arrival.headers.get("sec-fetch-mode", "navigate") != "navigate":
        return Stray("it was no navigation", status=403)
    if arrival.headers.get("sec-fetch-dest", "document") != "document":
        return Stray("it was for no page of its own", status=403)
    if "sec-purpose" in arrival.headers or "purpose" in arrival.headers:
        return Stray("it was a pre-fetch", status=403)
    return None


def check_callback(arrival: CallbackRequest, request: AuthorizationRequest) -> Verdict:
    """Decide whether a request to the listener is the site's answer to our request."""
    expected = urlsplit(request.redirect_uri)
    if stray := check_request(arrival, expected.port or 80):
        return stray
    path, _, query = arrival.target.reveal().partition("?")
    if path != expected.path:
        return Stray("the path was not the redirect's", status=404)
    return _judge_query(query, request)


def check_pasted_url(text: str, request: AuthorizationRequest) -> Verdict:
    """Decide the same of what a person pasted: the redirected URL, or its query.

    A code by itself is refused, whatever it is: without the state nobody can tell whose it is.
    """
    text = text.strip().strip("'\"")
    if "://" in text:
        address, query = _taken_apart(text)
        if address != request.redirect_uri:
            return Stray(f"it does not begin with {request.redirect_uri}", notable=True)
        return _judge_query(query, request)
    if "=" in text:
        return _judge_query(text.removeprefix("?"), request)
    return Stray("a code alone cannot be checked; paste the whole address", notable=True)


def code_in(given: Secret, *, site: Site, redirect_uri: str, state: Secret | None) -> Secret:
    """Return the code of a redirected URL that was copied by hand, or what was given if it is none.

    For who takes the steps one at a time: where they have the state to compare, the address has to
    be there and to carry it. Raises ValueError, which says what is wrong.
    """
    text = given.reveal()
    if "code=" not in text:
        if state:
            raise ValueError("a code alone cannot be held against SOE_AUTH_STATE")
        return given
    address, query = _taken_apart(text)
    if "://" in text and address != redirect_uri:
        raise ValueError(f"it does not begin with {redirect_uri}")
    parameters = _parameters(query or text)
    if state and not state.matches(parameters.get("state", "")):
        raise ValueError("its state is not the one in SOE_AUTH_STATE")
    if parameters.get("iss", str(site)) != str(site):
        raise ValueError("it came from another issuer")
    if code := parameters.get("code"):
        return Secret(code)
    raise ValueError("there is no code in it")


def _taken_apart(url: str) -> tuple[str, str]:
    """Return what comes before the query of a URL, and the query without a fragment."""
    address, _, rest = url.partition("?")
    return address, rest.partition("#")[0]


def _judge_query(query: str, request: AuthorizationRequest) -> Verdict:
    try:
        parameters = _parameters(query)
    except ValueError as problem:
        return Stray(str(problem))
    error = parameters.get("error")
    if not request.state.matches(parameters.get("state", "")):
        return _without_state(error)
    if parameters.get("iss", str(request.site)) != str(request.site):
        return Stray("it came from another issuer", notable=True)  # RFC 9207 section 2.4
    code = parameters.get("code")
    if error and code is None:
        said = (error, parameters.get("error_description", ""))
        return Denied(*(printable(request.state.redact_in(text)) for text in said))
    if code and error is None:
        return Granted(Secret(code))
    return Stray("it held neither one code nor one error")


def _parameters(query: str) -> dict[str, str]:
    """Read a query, in which no parameter may come twice (RFC 6749 section 3.1).

    Raises ValueError, which quotes nothing.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise ValueError("the query could not be read") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise ValueError("a parameter came twice")
    return parameters


def _without_state(error: str | None) -> Stray:
    """Any web page can send this one, and so could an SOE that echoes no state with an error."""
    if error is None:
        return Stray("the state was not this login's")
    said = f" ({error})" if error in _AUTHORIZATION_ERRORS else ""
    return Stray(f"an error{said} came without this login's state", notable=True)
