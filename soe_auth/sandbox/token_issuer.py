"""Issue and revoke codes and tokens (RFC 6749 section 4.1, RFC 7636)."""

import base64
import hashlib
import hmac
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from soe_auth.sandbox.applications import Account
from soe_auth.sandbox.authorization import NO_EXPIRY, ConsentRequest

CODE_LIFETIME: Final = 300
"""Seconds; RFC 6749 section 4.1.2 allows at most ten minutes."""

_MAX_CALLS: Final = 50
RATE_WINDOW: Final = 2
"""Seconds in which a token may make 50 calls of API v3."""

EXCHANGE_FIELDS: Final = ("client_id", "code", "code_verifier", "redirect_uri")
"""The required parameters of the token request."""

TOLERATED_FIELDS: Final = {
    "grant_type": "grant_type is sent; SOE's guide does not have it",
    "client_secret": "a client_secret is sent; PKCE does not need one, and it can leak",
}
"""Parameters that other clients send and a real site accepts, with the warning for each."""

_NO_CODE: Final = "No authorization code found"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class CodeRejected(Exception):
    """The token request was refused; the message is a sentence without secrets.

    `answer` is the vendor's text if that is known, else the message.
    """

    def __init__(self, reason: str, answer: str | None = None) -> None:
        super().__init__(reason)
        self.answer: Final = answer or reason


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token. `expires_at` is in seconds since the epoch; None means never."""

    secret: str = field(repr=False)
    request: ConsentRequest
    account: Account
    expires_at: float | None


@dataclass(slots=True)
class _Grant:
    """An issued code: its request, and the token that it was exchanged for."""

    request: ConsentRequest
    account: Account
    expires_at: float
    is_used: bool = False
    token: str = field(default="", repr=False)


class TokenIssuer:
    """All codes and tokens of one site.

    `clock` returns seconds since the epoch, `entropy(n)` n random bytes; `lifetime` is in seconds.
    """

    def __init__(
        self, *, clock: Callable[[], float], entropy: Callable[[int], bytes], lifetime: int
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._lifetime = lifetime
        self._grants: dict[str, _Grant] = {}
        self._tokens: dict[str, IssuedToken] = {}
        self._calls: dict[str, deque[float]] = {}

    def issue_code(self, request: ConsentRequest, account: Account) -> str:
        """Issue a code for an approved request."""
        code = self._draw_secret()
        self._grants[code] = _Grant(request, account, self._clock() + CODE_LIFETIME)
        return code

    def exchange(self, fields: Mapping[str, str]) -> IssuedToken:
        """Exchange a code for a token; raises `CodeRejected`.

        Each well-formed attempt uses up the code. A second one also revokes the token from the
        first (RFC 6749 section 4.1.2).
        """
        for name in EXCHANGE_FIELDS:
            if name not in fields:
                raise CodeRejected(f"The parameter '{name}' is missing.")
        if not _VERIFIER.fullmatch(fields["code_verifier"]):  # RFC 7636 section 4.1
            raise CodeRejected("The code_verifier is not 43 to 128 unreserved characters.")
        grant = self._grants.get(fields["code"])
        if grant is None:
            raise CodeRejected("This site did not issue that code.", _NO_CODE)
        if grant.is_used:
            self._tokens.pop(grant.token, None)
            raise CodeRejected("The code was used before; its token is revoked.", _NO_CODE)
        grant.is_used = True
        if self._clock() >= grant.expires_at:
            raise CodeRejected("The code has expired.", "Authorization code has expired")
        request = grant.request
        if fields["client_id"] != request.application.client_id:
            raise CodeRejected("The code was issued to another application.")
        if fields["redirect_uri"] != request.redirect_uri:
            raise CodeRejected("The redirect_uri differs from the authorization request's.")
        digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
        if not hmac.compare_digest(challenge, request.code_challenge.encode()):
            raise CodeRejected("The code_verifier does not match the code_challenge.")
        expires_at = None if NO_EXPIRY in request.scope else self._clock() + self._lifetime
        token = IssuedToken(self._draw_secret(), request, grant.account, expires_at)
        self._tokens[token.secret] = token
        grant.token = token.secret
        return token

    def find_token(self, secret: str) -> IssuedToken | None:
        """Return the token, or None if it is not valid."""
        token = self._tokens.get(secret)
        if token and token.expires_at is not None and self._clock() >= token.expires_at:
            return None
        return token

    def is_rate_limited(self, token: IssuedToken) -> bool:
        """Count a call of API v3; return whether it exceeds the limit."""
        calls = self._calls.setdefault(token.secret, deque(maxlen=_MAX_CALLS))
        if len(calls) == _MAX_CALLS and self._clock() - calls[0] < RATE_WINDOW:
            return True
        calls.append(self._clock())
        return False

    def revoke(self, token: IssuedToken) -> None:
        """Revoke one token."""
        self._tokens.pop(token.secret, None)

    def revoke_for_application(self, token: IssuedToken) -> None:
        """Revoke all tokens that this one's application has for its account."""
        application = token.request.application
        for other in list(self._tokens.values()):
            if other.request.application == application and other.account == token.account:
                self.revoke(other)

    def revoke_all(self) -> None:
        """Revoke all tokens; can be called from any thread."""
        self._tokens.clear()

    def _draw_secret(self) -> str:
        """Return 256 bits, with characters that need quoting in a shell and a URL, as SOE's do."""
        text = base64.urlsafe_b64encode(self._entropy(32)).rstrip(b"=").decode()
        return f"{text[:11]}*{text[11:29]}({text[29:]}))"
