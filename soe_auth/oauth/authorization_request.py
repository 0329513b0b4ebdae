"""The authorization request, without I/O: its URL, redirect URI, state, and PKCE (RFC 7636)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from soe_auth.model.secret import Secret
from soe_auth.model.site import Site

if TYPE_CHECKING:
    from soe_auth.model.token import Scope

Entropy = Callable[[int], bytes]

# 256 bits: RFC 7636 section 7.1 for the verifier, RFC 8252 section 8.9 for the state.
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One login's authorization request, with the two secrets for checking its response."""

    site: Site
    client_id: str
    scope: Scope
    redirect_uri: str
    state: Secret
    code_verifier: Secret

    @property
    def url(self) -> str:
        """The authorize URL. It contains the state: show it to the user and the browser only."""
        return authorize_url(
            self.site,
            self.client_id,
            self.scope,
            self.redirect_uri,
            state=self.state,
            code_challenge=challenge_of(self.code_verifier),
        )


def new_authorization_request(
    site: Site, client_id: str, scope: Scope, redirect_uri: str, entropy: Entropy
) -> AuthorizationRequest:
    """Return a request with a new state and code verifier; `entropy` is a CSPRNG."""
    return AuthorizationRequest(
        site,
        client_id,
        scope,
        redirect_uri,
        state=draw_secret(entropy),
        code_verifier=draw_secret(entropy),
    )


def draw_secret(entropy: Entropy) -> Secret:
    """Draw a state or verifier: 256 bits as 43 unreserved characters (RFC 7636 section 4.1)."""
    return Secret(_base64url(entropy(_SECRET_BYTES)))


def challenge_of(code_verifier: Secret) -> str:
    """Return the S256 code challenge (RFC 7636 section 4.2)."""
    from hashlib import sha256  # loads OpenSSL, which is not needed to open the browser

    return _base64url(sha256(code_verifier.reveal().encode("ascii")).digest())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")  # RFC 7636 appendix A: no padding


def authorize_url(
    site: Site,
    client_id: str,
    scope: Scope,
    redirect_uri: str,
    *,
    state: Secret,
    code_challenge: str,
) -> str:
    """Return the URL at which a user approves the request (SOE guide; RFC 6749 section 4.1.1).

    SOE differs from the RFC: the endpoint is `/oauth`, commas join the scopes, no scope means no
    parameter, and no `response_type` is sent, as SOE may reject it.
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
    # A path cannot have an IPv6 address's brackets; no other host name has an underscore.
    name = f"_{site.host.replace(':', '-')}" if ":" in site.host else site.host
    scheme = "http:" if site.scheme == "http" else ""
    port_of_site = "" if site.port is None else f":{site.port}"
    return f"http://{host}:{port}/callback/{scheme}{name}{port_of_site}"


def login_success_uri(site: Site) -> str:
    """Return the URL of the site's own page, from which the user copies the code (SOE guide)."""
    return f"{site}/oauth/login_success"


def read_redirect_uri(text: str) -> str:
    """Return text if it is a valid redirect URI. Raises ValueError.

    It must be absolute, without a fragment (RFC 6749 section 3.1.2), and https except for a
    loopback host (RFC 9700 section 2.6) such as soe-auth.localhost (RFC 6761 section 6.3).
    """
    if "://" not in text or "#" in text:
        raise ValueError("a redirect URI begins with https:// and has no # in it")
    Site.parse(re.sub(r"^(http://)[a-z0-9-]+\.(localhost[:/])", r"\1\2", text))
    return text
