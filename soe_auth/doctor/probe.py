"""What a site answers without a token and a user: a report on a real one, to hand on.

The numbers are those of docs/how-to/first-real-site.md. No secret is sent, as there is none: code,
token and key are made up. Neither the site's name nor the client ID stands in the report.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from soe_auth.errors import MalformedResponse
from soe_auth.model.secret import Secret
from soe_auth.model.text import printable
from soe_auth.model.token import Scope
from soe_auth.oauth.authorization_request import new_authorization_request, redirect_uri_for
from soe_auth.oauth.bearer import V2_HEADER, V3_HEADER
from soe_auth.site_client.client import FIRST_LOOK, WHO_AM_I
from soe_auth.site_client.transport import Request, open_transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from urllib.parse import SplitResult

    from soe_auth.model.site import Site
    from soe_auth.oauth.api_call import ApiResponse
    from soe_auth.settings.settings import Settings
    from soe_auth.site_client.transport import SiteTransport

_MADE_UP = "made-up"
_PORTS = (49152, 8765)
_NAMED = ("redirect_uri is not configured", "redirect_uri", "client_id")
_V2_ME = "/api/2.3/me"
_LONGEST = 400  # characters of what the site answered


async def probe(settings: Settings) -> AsyncIterator[str]:
    """Yield a line of the report for each question. Raises SettingsError and NetworkError."""
    site, client_id = settings.require_site_and_client
    async with open_transport(site, FIRST_LOOK, settings.network) as transport:
        for number, what, request in _questions(site, client_id):
            try:
                said = _describe(await _ask(transport, request), site)
            except MalformedResponse as problem:
                said = str(problem)
            yield f"{number:>2}  {what}: {printable(said, _LONGEST)}"


async def _ask(transport: SiteTransport, request: Request) -> ApiResponse:
    return await transport.call(lambda: request, within=10.0)


def _questions(site: Site, client_id: str) -> Iterator[tuple[int, str, Request]]:
    def header(line: str) -> dict[str, str]:
        name, _, scheme = line.partition(": ")
        return {name: scheme + _MADE_UP}

    def authorize(redirect_uri: str, scope: str = "", more: str = "") -> Request:
        asked = new_authorization_request(
            site, client_id, Scope.parse(scope), redirect_uri, os.urandom
        )
        return Request("GET", asked.url.removeprefix(str(site)) + more, {"Accept": "text/html"})

    usual = redirect_uri_for(site, "localhost", _PORTS[0])
    for host in ("localhost", "127.0.0.1", "soe-auth.localhost"):
        for port in _PORTS:
            uri = redirect_uri_for(site, host, port)
            yield 1, f"redirect to {host}, port {port}", authorize(uri)
    yield 2, "API v3 without a token", Request("GET", WHO_AM_I)
    yield 2, "API v3 with a made-up token", Request("GET", WHO_AM_I, header(V3_HEADER))
    yield 3, "API 2.3 without a token", Request("GET", _V2_ME)
    form = {"client_id": client_id, "code": _MADE_UP, "redirect_uri": usual}
    fields = urlencode({**form, "code_verifier": "x" * 43})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    path = "/oauth/access_token/json"
    yield 4, "exchange of a made-up code, in the body", Request("POST", path, kind, fields.encode())
    yield 4, "the same in the query", Request("POST", f"{path}?{fields}", kind, b"")
    yield 6, "response_type=code", authorize(usual, more="&response_type=code")
    yield 7, "an unknown scope", authorize(usual, scope=_MADE_UP)
    ended = f"/api/2.3/access-tokens/{_MADE_UP}/invalidate"
    yield 11, "invalidate of a made-up token", Request("GET", ended)
    yield 11, "the same with a made-up key", Request("GET", f"{ended}?key={_MADE_UP}")
    yield 13, "API 2.3 with its own header", Request("GET", _V2_ME, header(V2_HEADER))
    yield 13, "API 2.3 with Bearer", Request("GET", _V2_ME, header(V3_HEADER))


def _describe(answer: ApiResponse, site: Site) -> str:
    """Say what form an answer has, and the words of a refusal; no more of it."""
    found = [f"HTTP {answer.status}", answer.header("content-type") or "no Content-Type"]
    found.append(answer.header("content-encoding") or "not compressed")
    if location := answer.header("location"):
        found.append(_where(urlsplit(location), site))
    if fields := answer.fields:
        found.append(f"JSON of {', '.join(sorted(fields)[:8])}")
    if names := [name for name in _NAMED if name.encode() in answer.body]:
        found.append(f"names {', '.join(names)}")
    elif words := answer.reason(Secret(site.host)):
        found.append(f"“{words}”")
    return ", ".join(found)


def _where(target: SplitResult, site: Site) -> str:
    """Say where a redirect leads, by a path of the site or by what it brings to elsewhere."""
    if target.hostname in {None, site.host} and not target.path.startswith("/callback/"):
        return f"to {printable(target.path)}"
    brought = parse_qs(target.query)
    error = brought.get("error", ["no error"])[0]
    return f"back with {printable(error)} ({printable(', '.join(sorted(brought)))})"
