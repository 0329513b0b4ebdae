"""Which request may carry a token, and whether one that did was refused: the same for each client.

Decided here without I/O, by what a client says of its requests and answers.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site

_SCHEME = "Bearer "
_USUAL_PORT = {"https": 443, "http": 80}
# A token that its site refuses so soon after it gave it would not be bettered by another login:
# each request would open a tab.
_FRESH = 600.0


class Address(NamedTuple):
    """Where a request goes, as its client reads the URL; `port` None is the scheme's usual one."""

    scheme: str
    host: str | None
    port: int | None


def belongs_to(address: Address, site: Site) -> bool:
    """Whether a request to that address goes to the site itself: scheme, host and port are equal.

    A site is https, or on this machine's own loopback; so nothing else is.
    """
    usual = _USUAL_PORT.get(address.scheme)
    return (address.scheme, address.host, address.port or usual) == (
        site.scheme,
        site.host,
        site.port or _USUAL_PORT[site.scheme],
    )


def header(token: Secret) -> str:
    """Return the Authorization header's value (RFC 6750 section 2.1)."""
    return f"{_SCHEME}{token.reveal()}"


def was_refused(token: Secret, status: int, carried: str | None) -> bool:
    """Whether an answer with this status says that the token is no longer good.

    `carried` is the Authorization header of the request that was answered: after a redirect that is
    not the one that was sent, and an answer from elsewhere says nothing of the token.
    """
    return status == HTTPStatus.UNAUTHORIZED and token.matches(
        (carried or "").removeprefix(_SCHEME)
    )


def is_fresh(obtained_at: float, now: float) -> bool:
    """Whether a token is so new that another would be no cure; in seconds since the epoch."""
    return now - obtained_at < _FRESH
