"""The conversation as values, without I/O: begin, and judge what comes back.

The order of `check_callback` is a law: method, Host, Sec-Fetch, path, then the state, in constant
time, and only behind it what the site says. Until the state matches, nothing in a request is the
site's word, and whatever does not fit is a Stray, which changes nothing.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from soe_auth.model.secret import Secret
from soe_auth.model.site import Site
from soe_auth.model.text import printable

if TYPE_CHECKING:
    from soe_auth.model.scope import Scope

Entropy = Callable[[int], bytes]

# 256 bits: RFC 7636 section 7.1 for the verifier, RFC 8252 section 8.9 for the state.
_SECRET_BYTES = 32

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


# --- begin ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One login's question to the site, with the two secrets that its answer is held against."""

    site: Site
    client_id: str
    scope: Scope
    redirect_uri: str
    state: Secret
    code_verifier: Secret

    @property
    def url(self) -> str:
        """The authorize URL (SOE guide). It carries the state: for the browser and the person."""
        return authorize_url(
            self.site,
            self.client_id,
            self.scope,
            self.redirect_uri,
            state=self.state,
            code_challenge=challenge_of(self.code_verifier),
        )


def begin(
    site: Site, client_id: str, scope: Scope, redirect_uri: str, entropy: Entropy
) -> AuthorizationRequest:
    """Draw a new state and verifier for one authorization request; `entropy` is a CSPRNG."""
    return AuthorizationRequest(
        site, client_id, scope, redirect_uri, state=draw(entropy), code_verifier=draw(entropy)
    )


def draw(entropy: Entropy) -> Secret:
    """Draw 256 bits, written as 43 unreserved characters (RFC 7636 section 4.1)."""
    return Secret(_base64url(entropy(_SECRET_BYTES)))


def challenge_of(code_verifier: Secret) -> str:
    """Return the S256 code challenge (RFC 7636 section 4.2)."""
    return _base64url(hashlib.sha256(code_verifier.reveal().encode("ascii")).digest())


def authorize_url(
    site: Site,
    client_id: str,
    scope: Scope,
    redirect_uri: str,
    *,
    state: Secret,
    code_challenge: str,
) -> str:
    """Return the URL that a browser opens to ask for a code (SOE guide; RFC 6749 section 4.1.1).

    SOE's dialect: the endpoint is `/oauth`, scopes are joined by commas and left out when there are
    none, and no `response_type` is sent, as nobody outside knows whether SOE minds one.
    """
    query = {
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": str(scope),
        "state": state.reveal(),
        "code_challenge": code_challenge,
        "code_challenge_method": "S256",
    }
    if not scope.names:
        del query["scope"]
    return f"{site}/oauth?{urlencode(query)}"


def redirect_uri_for(site: Site, host: str, port: int) -> str:
    """Return the loopback redirect URI: one path per site (RFC 8252 sections 7.3 and 8.10)."""
    # An IPv6 address has no brackets in a path, and an underscore is in no other name.
    named = f"_{site.host.replace(':', '-')}" if ":" in site.host else site.host
    plain = ["http"] if site.scheme == "http" else []
    odd = [] if site.port is None else [str(site.port)]
    return f"http://{host}:{port}/callback/{':'.join([*plain, named, *odd])}"


def login_success_uri(site: Site) -> str:
    """Return the site's own page for codes that are carried by hand (SOE guide)."""
    return f"{site}/oauth/login_success"


def read_redirect_uri(text: str) -> str:
    """Return text if it can be a redirect URI. Raises ValueError.

    It is absolute and has no fragment (RFC 6749 section 3.1.2), and is https, but for a loopback
    host (RFC 9700 section 2.6).
    """
    if "://" not in text or "#" in text:
        raise ValueError("a redirect URI begins with https:// and has no # in it")
    Site.parse(text)
    return text


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")  # RFC 7636 appendix A: no padding


# --- judge ---------------------------------------------------------------------------------------


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
