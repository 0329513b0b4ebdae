"""Check, without I/O, whether a request to the listener or a pasted line is the site's response.

`check_callback` checks in this order: method, Host, Sec-Fetch, path, then the state in constant
time, then the other parameters. Until the state matches, nothing in a request is trusted. A request
that fails a check is a `Stray` and changes nothing; the user sees why if the state matched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus, urlsplit

from soe_auth.errors import AUTHORIZATION_HINTS
from soe_auth.model.secret import Secret
from soe_auth.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soe_auth.model.site import Site
    from soe_auth.oauth.authorization_request import AuthorizationRequest

_ONCE = ("state", "code", "error", "iss")  # RFC 6749 section 3.1
_CHECKED = {*_ONCE, "error_description"}  # other parameters are ignored

# Pasting can add a terminal's paste marks and zero-width characters.
_PASTE_MARKS = re.compile("\x1b\\[20[01]~|[\u00ad\u200b-\u200f\u2060\ufeff]")
_QUOTES = "'\"<>`\u2018\u2019\u201c\u201d\u00ab\u00bb"


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A request to the listener: method, target, and headers with lower-case names.

    Repeated headers are joined by ", " as in HTTP. `other_user` is the user ID of the sender if
    that is another user of this computer.
    """

    method: str
    target: Secret
    headers: Mapping[str, str] = field(repr=False)
    other_user: int | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """The site's response with a code; `other_user` as in its CallbackRequest."""

    code: Secret
    other_user: int | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The site's error response (RFC 6749 section 4.1.2.1), made printable."""

    code: str
    description: str
    other_user: int | None = None


@dataclass(frozen=True, slots=True)
class Stray:
    """Any other request: answered with `status` and counted, while the login goes on.

    `reason` never quotes the request. A `notable` one is shown to the user, as it may be the
    site's response in a form that cannot be trusted, or a browser tab of the user.
    """

    reason: str
    status: int = 400
    notable: bool = False


Verdict = Granted | Denied | Stray

FROM_OTHER_USER = Stray("it is from another user of this computer", 403, notable=True)
LAUNCH_REFUSED = Stray("another user's browser opened the address above", 403, notable=True)
TOO_LARGE = Stray("its header is too large, as with very many cookies", 431, notable=True)


def check_request(callback: CallbackRequest, host: str, port: int) -> Stray | None:
    """Return a Stray unless a browser tab that opens `host` and `port` can send the request.

    The Host check stops DNS rebinding. Sec-Fetch and Sec-Purpose (Fetch Metadata) stop other
    pages' resources, frames and prefetches, in browsers that send them.
    """
    headers = callback.headers
    if callback.method != "GET":
        return Stray("the method is not GET", status=405)
    if headers.get("host") not in {f"{name}:{port}" for name in (host, "localhost", "127.0.0.1")}:
        return Stray("the Host header names another host", status=421)
    if headers.get("sec-fetch-mode", "navigate") != "navigate":
        return Stray("it is not a page navigation", status=403)
    if headers.get("sec-fetch-dest", "document") != "document":
        return Stray("it is not for a whole page", status=403)
    if "sec-purpose" in headers or "purpose" in headers:
        return Stray("it is a prefetch", status=403)
    return None


def check_callback(callback: CallbackRequest, request: AuthorizationRequest) -> Verdict:
    """Check whether a request to the listener is the site's response to `request`.

    Another user of this computer may send it: a matching state, known only to the site and the
    user's browser, proves that it is the response.
    """
    expected = urlsplit(request.redirect_uri)
    path, _, query = callback.target.reveal().partition("?")
    stray = check_request(callback, expected.hostname or "", expected.port or 80)
    if stray is None and path != expected.path:
        stray = Stray("the path is not that of the redirect URI", status=404)
    has_state = _has_state(_parse_query(query), request.state)
    if stray:
        return replace(stray, notable=has_state)
    if callback.other_user is not None and not has_state:
        return FROM_OTHER_USER
    verdict = _check_query(query, request.site, request.state)
    if isinstance(verdict, Stray):
        return verdict
    return replace(verdict, other_user=callback.other_user)


def check_pasted_url(text: str, request: AuthorizationRequest) -> Verdict:
    """Check a pasted callback URL, or its query, as `check_callback` does.

    A code alone is refused: without the state, nothing ties it to this login.
    """
    text = clean_paste(text)
    scheme, _, rest = request.redirect_uri.partition("://")
    if text.startswith(rest):  # some browsers show and copy an address without its scheme
        text = f"{scheme}://{text}"
    if "://" in re.split("[?=]", text)[0]:
        address, query = _split_url(text)
        if address != request.redirect_uri:
            return Stray(f"it does not begin with {request.redirect_uri}", notable=True)
        return _check_query(query, request.site, request.state)
    if "=" in text:
        return _check_query(text.removeprefix("?"), request.site, request.state)
    return Stray("a code alone cannot be checked; paste the whole address", notable=True)


def clean_paste(text: str) -> str:
    """Return pasted text without the marks, quotes and spaces that programs put around a URL.

    None of these characters can occur unescaped inside a URL.
    """
    text = _PASTE_MARKS.sub("", text).replace("\N{NO-BREAK SPACE}", " ")
    return text.strip().strip(_QUOTES).strip().replace("&amp;", "&")


def parse_pasted_callback(
    pasted: Secret, *, site: Site, redirect_uri: str, state: Secret | None
) -> Granted | Denied:
    """Return the code or the site's error of a pasted callback URL; text without both is a code.

    With `state`, the URL is required and must contain that state. Raises ValueError.
    """
    text = clean_paste(pasted.reveal())
    if "code=" not in text and "error=" not in text:
        if state:
            raise ValueError("a code alone cannot be checked against SOE_AUTH_STATE")
        return Granted(pasted)
    address, query = _split_url(text)
    if "://" in text and address != redirect_uri:
        raise ValueError(f"it does not begin with {redirect_uri}")
    verdict = _check_query(query or text, site, state)
    if isinstance(verdict, Granted | Denied):
        return verdict
    raise ValueError(verdict.reason)


def _split_url(url: str) -> tuple[str, str]:
    """Return a URL up to its query, and the query without a fragment."""
    address, _, rest = url.partition("?")
    return address, rest.partition("#")[0]


def _check_query(query: str, site: Site, state: Secret | None) -> Verdict:
    """Check a query; with `state`, its state first."""
    parameters = _parse_query(query)
    if state and not _has_state(parameters, state):
        return _stray_without_state(parameters.get("error"))
    if repeated := next((name for name in _ONCE if len(parameters.get(name, "")) > 1), None):
        return Stray(f"the parameter {repeated} appears twice", notable=True)
    if parameters.get("iss", [str(site)]) != [str(site)]:
        return Stray("it is from another issuer", notable=True)  # RFC 9207 section 2.4
    match parameters:
        case {"error": [str(error)]} if error and "code" not in parameters:
            description = parameters.get("error_description", [""])[0]
            if state:
                error, description = state.redact_in(error), state.redact_in(description)
            return Denied(printable(error), printable(description))
        case {"code": [str(code)]} if code and "error" not in parameters:
            if code.isascii() and code.isprintable():  # RFC 6749 appendix A.11
                return Granted(Secret(code))
            return Stray("its code is not printable ASCII", notable=True)
    return Stray("it has neither one code nor one error", notable=True)


def _has_state(parameters: Mapping[str, list[str]], state: Secret) -> bool:
    return any(map(state.matches, parameters.get("state", ())))


def _parse_query(query: str) -> dict[str, list[str]]:
    """Return all values of the parameters that are checked.

    A site may encode its description in any charset: bytes that are not UTF-8 become U+FFFD.
    """
    found: dict[str, list[str]] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if (name := unquote_plus(name)) in _CHECKED:
            found.setdefault(name, []).append(unquote_plus(value))
    return found


def _stray_without_state(errors: list[str] | None) -> Stray:
    """Return the Stray for a query without this login's state.

    Any web page can send an error without it; so can an SOE site that drops the state.
    """
    if errors is None:
        return Stray("the state is not this login's")
    name = f" ({errors[0]})" if errors[0] in AUTHORIZATION_HINTS else ""  # never quote other text
    return Stray(f"an error{name} without this login's state", notable=True)
