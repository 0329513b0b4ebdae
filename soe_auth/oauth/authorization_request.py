"""The authorization request, without I/O: its URL, state and verifier, and its redirect URI."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from soe_auth.model.site import Site
from soe_auth.oauth.pkce import challenge_of, draw

if TYPE_CHECKING:
    from soe_auth.model.secret import Secret
    from soe_auth.model.token import Scope
    from soe_auth.oauth.pkce import Entropy


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


def new_authorization_request(
    site: Site, client_id: str, scope: Scope, redirect_uri: str, entropy: Entropy
) -> AuthorizationRequest:
    """Draw a new state and verifier for one authorization request; `entropy` is a CSPRNG."""
    return AuthorizationRequest(
        site, client_id, scope, redirect_uri, state=draw(entropy), code_verifier=draw(entropy)
    )


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
    none, and no `response_type` is sent, as it is not known whether SOE minds one.
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
    host (RFC 9700 section 2.6), such as soe-auth.localhost (RFC 6761 section 6.3).
    """
    if "://" not in text or "#" in text:
        raise ValueError("a redirect URI begins with https:// and has no # in it")
    Site.parse(re.sub(r"^(http://)[a-z0-9-]+\.(localhost[:/])", r"\1\2", text))
    return text
