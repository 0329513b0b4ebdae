"""Revoke an access token: the call of API v2.3, and its response.

SOE documents no revocation endpoint (RFC 7009). The public Stack Exchange API has
`/access-tokens/{accessTokens}/invalidate`, which an SOE site may or may not offer.
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from soe_auth.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

REVOCATION_PATH = "/api/2.3/access-tokens/{}/invalidate"
_NO_SUCH_CALL = {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.GONE,
    HTTPStatus.NOT_IMPLEMENTED,
}


class RevocationResult(Enum):
    """The result of a revocation on the site."""

    ENDED = "ended"
    ALREADY_INVALID = "already invalid"
    NOT_OFFERED = "not offered by this site"
    UNCLEAR = "no answer that can be read"
    UNREACHABLE = "site not reachable"

    @property
    def is_dead(self) -> bool:
        """Whether the token is certainly no longer valid."""
        return self in {RevocationResult.ENDED, RevocationResult.ALREADY_INVALID}


def revocation_path(access_token: Secret) -> Secret:
    """Return the path to request with GET, which holds the token."""
    return Secret(REVOCATION_PATH.format(quote(access_token.reveal(), safe="")))


def parse_revocation_response(status: int, fields: Mapping[str, object]) -> RevocationResult:
    """Return the result of a response; `fields` are those of its JSON object, or empty."""
    ended = fields.get("items")
    if status == HTTPStatus.OK and isinstance(ended, list):
        return RevocationResult.ENDED if ended else RevocationResult.ALREADY_INVALID
    if status in _NO_SUCH_CALL or fields.get("error_name") == "no_method":
        return RevocationResult.NOT_OFFERED
    return RevocationResult.UNCLEAR
