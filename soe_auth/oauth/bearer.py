"""Which request may carry a token, and whether one that did was refused: the same for each client.

Decided here without I/O, by what a client says of its requests and answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site

BEARER = "Bearer "  # RFC 6750 section 2.1
# The headers that carry a token, each up to the token: of API v3, and of API v2.3.
V3_HEADER = f"Authorization: {BEARER}"
V2_HEADER = "X-API-Access-Token: "
_UNAUTHORIZED = 401
# A token that its site refuses so soon after it gave it would not be bettered by another login:
# each request would open a tab.
_FRESH = 600.0

# Where a request goes, as its client reads the URL: scheme, host, and port or None for the default.
Origin = tuple[str, str | None, int | None]


def belongs_to(origin: Origin, site: Site) -> bool:
    """Whether a request to there goes to the site itself: scheme, host and port are equal.

    A site is https, or on this machine's own loopback; so nothing else is.
    """
    scheme, host, port = origin
    return (scheme, host) == (site.scheme, site.host) and port in {site.port, site.connect_port}


def authorization(token: Secret) -> str:
    """Return the Authorization header's value (RFC 6750 section 2.1)."""
    return BEARER + token.reveal()


def was_refused(token: Secret, status: int, carried: str | None) -> bool:
    """Whether an answer with this status says that the token is no longer good.

    `carried` is the Authorization header of the request that was answered: after a redirect that is
    not the one that was sent, and an answer from elsewhere says nothing of the token.
    """
    return status == _UNAUTHORIZED and token.matches((carried or "").removeprefix(BEARER))


def is_fresh(obtained_at: float, now: float) -> bool:
    """Whether a token is so new that another would be no cure; in seconds since the epoch."""
    return 0 <= now - obtained_at < _FRESH
