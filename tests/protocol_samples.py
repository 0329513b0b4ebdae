"""An authorization request, callbacks for it, and answers of the token endpoint."""

import json
from dataclasses import replace
from urllib.parse import urlencode

from soe_auth import Scope, Secret, Site, Token
from soe_auth.oauth.api_call import SiteResponse
from soe_auth.oauth.authorization_request import AuthorizationRequest
from soe_auth.oauth.callback_check import CallbackRequest
from soe_auth.oauth.token_endpoint import parse_token_response

ACME = Site.parse("acme")
PORT = 51423
REDIRECT = f"http://localhost:{PORT}/callback/acme.stackenterprise.co"
REQUEST = AuthorizationRequest(
    site=ACME,
    client_id="110",
    scope=Scope.parse("write_access"),
    redirect_uri=REDIRECT,
    state=Secret("state-of-this-login"),
    code_verifier=Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
)
GOOD = {"state": "state-of-this-login", "code": "c(o)d*e"}


def arrive(
    query: object = GOOD,
    *,
    method: str = "GET",
    path: str = "/callback/acme.stackenterprise.co",
    host: str = f"localhost:{PORT}",
    **headers: str,
) -> CallbackRequest:
    text = query if isinstance(query, str) else urlencode(query)  # type: ignore[arg-type]  # pairs
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return CallbackRequest(method, Secret(f"{path}?{text}"), {"host": host, **named})


def read(status: int, body: bytes | object, scope: str = "") -> Token:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_token_response(
        SiteResponse(status, [], data),
        replace(REQUEST, scope=Scope.parse(scope)),
        Secret("c(o)d*e"),
        now=1000.0,
    )
