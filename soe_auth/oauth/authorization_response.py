"""Decide without I/O whether a request to the listener, or a pasted line, is the site's answer.

The order of `check_callback` is a rule: method, Host, Sec-Fetch, path, then the state, in constant
time, and only after it what the site says. Until the state matches, nothing in a request is the
site's word, and whatever does not fit is a Stray, which changes nothing. Where the state matches,
whatever else is wrong is told to the user.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus, urlsplit

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


# The parameters that are judged. What else the query holds is the site's business.
_JUDGED = frozenset({"state", "code", "error", "error_description", "iss"})

# What pasting puts around an address: a terminal's marks of a paste, and characters without width.
_AROUND_A_PASTE = re.compile("\x1b\\[20[01]~|[\u00ad\u200b-\u200f\u2060\ufeff]")
_QUOTES = "'\"<>`\u2018\u2019\u201c\u201d\u00ab\u00bb"


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A request as it came to the listener: method, request target, headers with lower-case names.

    A header that came more than once has its values joined by ", " as HTTP does. `other_user` is
    the number of another user of this machine, if the system names one as the sender.
    """

    method: str
    target: Secret
    headers: Mapping[str, str] = field(repr=False)
    other_user: int | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """The site's genuine answer: a code to redeem; `other_user` as in its CallbackRequest."""

    code: Secret
    other_user: int | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The site's genuine refusal (RFC 6749 section 4.1.2.1), fit to be shown."""

    code: str
    description: str
    other_user: int | None = None


@dataclass(frozen=True, slots=True)
class Stray:
    """Anything else: answered with `status`, counted, and the login goes on.

    `reason` never quotes what came. `notable` ones are told to the user, as they may be the site's
    answer in a form that cannot be trusted, or a tab of theirs.
    """

    reason: str
    status: int = 400
    notable: bool = False


Verdict = Granted | Denied | Stray

FROM_OTHER_USER = Stray("it came from another user of this machine", 403, notable=True)
LAUNCH_REFUSED = Stray("the browser of another user asked for the address above", 403, notable=True)
TOO_LARGE = Stray("its header was too large, as with very many cookies", 431, notable=True)


def check_request(arrival: CallbackRequest, host: str, port: int) -> Stray | None:
    """Refuse what no browser sends when a person's tab comes to this listener, `host` and `port`.

    The Host check stops DNS rebinding; Sec-Fetch and Sec-Purpose (Fetch Metadata) stop other pages'
    sub-resources, frames and pre-fetches, in the browsers that send them.
    """
    if arrival.method != "GET":
        return Stray("the method was not GET", status=405)
    hosts = {host, "localhost", "127.0.0.1"}
    if arrival.headers.get("host") not in {f"{each}:{port}" for each in hosts}:
        return Stray("the Host was not this listener's", status=421)
    if arrival.headers.get("sec-fetch-mode", "navigate") != "navigate":
        return Stray("it was no navigation", status=403)
    if arrival.headers.get("sec-fetch-dest", "document") != "document":
        return Stray("it was for no page of its own", status=403)
    if "sec-purpose" in arrival.headers or "purpose" in arrival.headers:
        return Stray("it was a pre-fetch", status=403)
    return None


def check_callback(arrival: CallbackRequest, request: AuthorizationRequest) -> Verdict:
    """Decide whether a request to the listener is the site's answer to our request.

    Another user of this machine may bring it: the state, which only the site and the browsers that
    were sent there know, shows that it is the answer.
    """
    expected = urlsplit(request.redirect_uri)
    path, _, query = arrival.target.reveal().partition("?")
    stray = check_request(arrival, expected.hostname or "", expected.port or 80)
    if stray is None and path != expected.path:
        stray = Stray("the path was not the redirect's", status=404)
    genuine = _has_state(_parameters(query), request)
    if stray:
        return replace(stray, notable=True) if genuine else stray
    if arrival.other_user is not None and not genuine:
        return FROM_OTHER_USER
    verdict = _judge_query(query, request)
    if isinstance(verdict, Stray):
        return verdict
    return replace(verdict, other_user=arrival.other_user)


def check_pasted_url(text: str, request: AuthorizationRequest) -> Verdict:
    """Decide the same of what a person pasted: the redirected URL, or its query.

    A code by itself is refused, whatever it is: without the state it cannot be tied to a login.
    """
    text = clean_paste(text)
    without_scheme = request.redirect_uri.partition("://")[2]
    if text.startswith(without_scheme):  # as some browsers show and copy an address
        text = request.redirect_uri.removesuffix(without_scheme) + text
    if "://" in re.split("[?=]", text)[0]:
        address, query = _taken_apart(text)
        if address != request.redirect_uri:
            return Stray(f"it does not begin with {request.redirect_uri}", notable=True)
        return _judge_query(query, request)
    if "=" in text:
        return _judge_query(text.removeprefix("?"), request)
    return Stray("a code alone cannot be checked; paste the whole address", notable=True)


def clean_paste(text: str) -> str:
    """Return what was pasted without what a terminal, a chat or a mail program put around it.

    None of that can be part of an address: neither of its own characters stands in a URL as it is.
    """
    text = _AROUND_A_PASTE.sub("", text).replace("\N{NO-BREAK SPACE}", " ")
    return text.strip().strip(_QUOTES).strip().replace("&amp;", "&")


def code_in(given: Secret, *, site: Site, redirect_uri: str, state: Secret | None) -> Secret:
    """Return the code of a redirected URL that was copied by hand, or what was given if it is none.

    For who takes the steps one at a time: where they have the state to compare, the address has to
    be there and to carry it. Raises ValueError, which says what is wrong.
    """
    text = clean_paste(given.reveal())
    if "code=" not in text:
        if state:
            raise ValueError("a code alone cannot be held against SOE_AUTH_STATE")
        return given
    address, query = _taken_apart(text)
    if "://" in text and address != redirect_uri:
        raise ValueError(f"it does not begin with {redirect_uri}")
    parameters = _parameters(query or text)
    if twice := _given_twice(parameters):
        raise ValueError(f"{twice} came twice")
    if state and not state.matches(parameters["state"][0] if "state" in parameters else ""):
        raise ValueError("its state is not the one in SOE_AUTH_STATE")
    if parameters.get("iss", [str(site)]) != [str(site)]:
        raise ValueError("it came from another issuer")
    if code := parameters.get("code", [""])[0]:
        return Secret(code)
    raise ValueError("there is no code in it")


def _taken_apart(url: str) -> tuple[str, str]:
    """Return what comes before the query of a URL, and the query without a fragment."""
    address, _, rest = url.partition("?")
    return address, rest.partition("#")[0]


def _judge_query(query: str, request: AuthorizationRequest) -> Verdict:
    parameters = _parameters(query)
    errors = parameters.get("error", [])
    if not _has_state(parameters, request):
        return _without_state(errors[0] if errors else None)
    if twice := _given_twice(parameters):  # RFC 6749 section 3.1
        return Stray(f"the parameter {twice} came twice", notable=True)
    if parameters.get("iss", [str(request.site)]) != [str(request.site)]:
        return Stray("it came from another issuer", notable=True)  # RFC 9207 section 2.4
    match parameters:
        case {"error": [str(error)]} if error and "code" not in parameters:
            description = parameters.get("error_description", [""])[0]
            told = [printable(request.state.redact_in(text)) for text in (error, description)]
            return Denied(told[0], told[1])
        case {"code": [str(code)]} if code and "error" not in parameters:
            if code.isascii() and code.isprintable():  # RFC 6749 appendix A.11
                return Granted(Secret(code))
            return Stray("its code could not be read", notable=True)
    return Stray("it held neither one code nor one error", notable=True)


def _has_state(parameters: Mapping[str, list[str]], request: AuthorizationRequest) -> bool:
    return any(map(request.state.matches, parameters.get("state", ())))


def _parameters(query: str) -> dict[str, list[str]]:
    """Return each value of the parameters that are judged.

    A site may write its words in any encoding, so bytes that are no UTF-8 become U+FFFD.
    """
    found: dict[str, list[str]] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if (name := unquote_plus(name)) in _JUDGED:
            found.setdefault(name, []).append(unquote_plus(value))
    return found


def _given_twice(parameters: Mapping[str, list[str]]) -> str | None:
    """Name a parameter that came twice and may not (RFC 6749 section 3.1)."""
    once = ("state", "code", "error", "iss")
    return next((name for name in once if len(parameters.get(name, "")) > 1), None)


def _without_state(error: str | None) -> Stray:
    """Any web page can send this one, and so could an SOE that echoes no state with an error."""
    if error is None:
        return Stray("the state was not this login's")
    parameters = f" ({error})" if error in _AUTHORIZATION_ERRORS else ""
    return Stray(f"an error{parameters} came without this login's state", notable=True)
