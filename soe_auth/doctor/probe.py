"""Report how a site answers requests without a token: the questions of first-real-site.md.

Code, token and key are made up. The report contains neither the site's name nor the client ID.
"""

import os
from collections.abc import AsyncIterator, Iterator
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

from soe_auth.errors import MalformedResponse
from soe_auth.model.secret import Secret
from soe_auth.model.site import Site
from soe_auth.model.text import printable
from soe_auth.model.token import Scope
from soe_auth.oauth.api_call import SiteResponse
from soe_auth.oauth.authorization_request import new_authorization_request, redirect_uri_for
from soe_auth.oauth.bearer import V2_HEADER, V3_HEADER
from soe_auth.oauth.revocation import REVOCATION_PATH
from soe_auth.oauth.token_endpoint import EXCHANGE_PATH
from soe_auth.settings.settings import Settings
from soe_auth.site_client.client import ONE_ATTEMPT, WHO_AM_I
from soe_auth.site_client.transport import Request, SiteTransport, open_transport

_MADE_UP = "made-up"
_PORTS = (49152, 8765)
_NAMED = ("redirect_uri is not configured", "redirect_uri", "client_id")
_V2_ME = "/api/2.3/me"
_LONGEST = 400  # characters of a response


async def probe(settings: Settings) -> AsyncIterator[str]:
    """Yield a line for each request. Raises SettingsError and NetworkError."""
    site, client_id = settings.require_site_and_client()
    async with open_transport(site, ONE_ATTEMPT, settings.network) as transport:
        for number, what, request in _requests(site, client_id):
            try:
                described = _describe(await _send(transport, request), site)
            except MalformedResponse as problem:
                described = str(problem)
            yield f"{number:>2}  {what}: {printable(described, _LONGEST)}"


async def _send(transport: SiteTransport, request: Request) -> SiteResponse:
    return await transport.send(lambda: request, time_limit=10.0)


def _requests(site: Site, client_id: str) -> Iterator[tuple[int, str, Request]]:
    def header(line: str) -> dict[str, str]:
        name, _, scheme = line.partition(": ")
        return {name: scheme + _MADE_UP}

    def authorize(redirect_uri: str, scope: str = "", more: str = "") -> Request:
        scopes = Scope.parse(scope)
        url = new_authorization_request(site, client_id, scopes, redirect_uri, os.urandom).url
        return Request("GET", url.removeprefix(str(site)) + more, {"Accept": "text/html"})

    redirect_uri = redirect_uri_for(site, "localhost", _PORTS[0])
    for host in ("localhost", "127.0.0.1", "soe-auth.localhost"):
        for port in _PORTS:
            what = f"redirect to {host}, port {port}"
            yield 1, what, authorize(redirect_uri_for(site, host, port))
    yield 2, "API v3 without a token", Request("GET", WHO_AM_I)
    yield 2, "API v3 with a made-up token", Request("GET", WHO_AM_I, header(V3_HEADER))
    yield 3, "API 2.3 without a token", Request("GET", _V2_ME)
    form = {"client_id": client_id, "code": _MADE_UP, "redirect_uri": redirect_uri}
    fields = urlencode({**form, "code_verifier": "x" * 43})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    exchange = Request("POST", EXCHANGE_PATH, kind, fields.encode())
    yield 4, "exchange of a made-up code, in the body", exchange
    yield 4, "the same in the query", Request("POST", f"{EXCHANGE_PATH}?{fields}", kind, b"")
    yield 6, "response_type=code", authorize(redirect_uri, more="&response_type=code")
    yield 7, "an unknown scope", authorize(redirect_uri, scope=_MADE_UP)
    invalidate = REVOCATION_PATH.format(_MADE_UP)
    yield 11, "invalidate of a made-up token", Request("GET", invalidate)
    yield 11, "the same with a made-up key", Request("GET", f"{invalidate}?key={_MADE_UP}")
    yield 13, "API 2.3 with its own header", Request("GET", _V2_ME, header(V2_HEADER))
    yield 13, "API 2.3 with Bearer", Request("GET", _V2_ME, header(V3_HEADER))


def _describe(response: SiteResponse, site: Site) -> str:
    """Describe status, type, compression, target, fields and error of a response."""
    found = [f"HTTP {response.status}", response.header("content-type") or "no Content-Type"]
    found.append(response.header("content-encoding") or "not compressed")
    if location := response.header("location"):
        found.append(_target(urlsplit(location), site))
    if fields := response.fields:
        found.append(f"JSON of {', '.join(sorted(fields)[:8])}")
    if names := [name for name in _NAMED if name.encode() in response.body]:
        found.append(f"names {', '.join(names)}")
    elif words := response.reason(Secret(site.host)):
        found.append(f"“{words}”")
    return ", ".join(found)


def _target(location: SplitResult, site: Site) -> str:
    """Describe a redirect: by its path on the site, or else by its parameters."""
    if location.hostname in {None, site.host} and not location.path.startswith("/callback/"):
        return f"to {printable(location.path)}"
    parameters = parse_qs(location.query)
    error = parameters.get("error", ["no error"])[0]
    return f"back with {printable(error)} ({printable(', '.join(sorted(parameters)))})"
