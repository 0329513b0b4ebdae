"""Which requests may carry a token, and when a response means that it was refused.

The same rules for every HTTP client, without I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site

BEARER = "Bearer "  # RFC 6750 section 2.1
# The request header for a token, up to the token: of API v3, and of API v2.3.
V3_HEADER = f"Authorization: {BEARER}"
V2_HEADER = "X-API-Access-Token: "
_UNAUTHORIZED = 401
# If a site refuses a token this soon, a new login would not help: each request would open a tab.
_FRESH = 600.0

# Scheme, host, and port (None for the default) of a request's URL, as its client parsed it.
Origin = tuple[str, str | None, int | None]


def belongs_to(origin: Origin, site: Site) -> bool:
    """Whether scheme, host and port are the site's: https, or http on this computer's loopback."""
    scheme, host, port = origin
    return (scheme, host) == (site.scheme, site.host) and port in {site.port, site.connect_port}


def authorization(token: Secret) -> str:
    """Return the Authorization header's value (RFC 6750 section 2.1)."""
    return BEARER + token.reveal()


def was_refused(token: Secret, status: int, carried: str | None) -> bool:
    """Whether a response with this status means that the token is not valid any more.

    `carried` is the Authorization header of the request that it answers. After a redirect that may
    differ from the header that was sent; a response of another site says nothing about the token.
    """
    return status == _UNAUTHORIZED and token.matches((carried or "").removeprefix(BEARER))


def is_fresh(obtained_at: float, now: float) -> bool:
    """Whether a token is too new for a login to help; times are in seconds since the epoch."""
    return 0 <= now - obtained_at < _FRESH
