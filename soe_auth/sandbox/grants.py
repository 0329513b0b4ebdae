"""Codes and tokens: given out, redeemed once, ended (RFC 6749 section 4.1, RFC 7636)."""

import base64
import hashlib
import hmac
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from soe_auth.sandbox.authorization import NO_EXPIRY, Asked
from soe_auth.sandbox.registry import Account, Application

CODE_LIFETIME: Final = 300
"""Seconds a code is good for; RFC 6749 section 4.1.2 allows ten minutes at most."""

_MOST_CALLS: Final = 50
CALL_SPAN: Final = 2
"""Seconds in which a token may make so many calls of API v3."""

REDEMPTION: Final = ("client_id", "code", "code_verifier", "redirect_uri")
"""The parameters of the token request: these, all of them, and no others."""

_NO_CODE: Final = "No authorization code found"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


TOLERATED: Final = {
    "grant_type": "grant_type is sent, which SOE's guide does not ask for",
    "client_secret": "a client_secret is sent, though PKCE needs none and it can leak",
}
"""Parameters of the token request that other clients send and a site takes; why they should not."""


class Rejected(Exception):
    """A code was not redeemed; the message is a sentence that names no secret.

    `answer` is what the vendor's site says of it, where that is known, and else the same.
    """

    def __init__(self, reason: str, answer: str | None = None) -> None:
        super().__init__(reason)
        self.answer: Final[str] = answer or reason


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token. `expires_at` is in seconds since the epoch, None for a token without end."""

    secret: str = field(repr=False)
    application: Application
    account: Account
    scope: tuple[str, ...]
    expires_at: float | None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class _Grant:
    """What a code stands for; `token` is the one it bought."""

    asked: Asked
    account: Account
    expires_at: float
    is_spent: bool = False
    token: str | None = field(default=None, repr=False)


class Grants:
    """All codes and tokens of one site."""

    def __init__(
        self, *, clock: Callable[[], float], entropy: Callable[[int], bytes], lifetime: int
    ) -> None:
        """Take a clock in seconds since the epoch, randomness, and a token's life in seconds."""
        self._clock = clock
        self._entropy = entropy
        self._lifetime = lifetime
        self._grants: dict[str, _Grant] = {}
        self._tokens: dict[str, IssuedToken] = {}
        self._calls: dict[str, deque[float]] = {}

    def give_code(self, asked: Asked, account: Account) -> str:
        """Give out a code for what was approved."""
        code = self._secret()
        self._grants[code] = _Grant(asked, account, self._clock() + CODE_LIFETIME)
        return code

    def redeem(self, form: Mapping[str, str]) -> IssuedToken:
        """Redeem a code for a token; raises `Rejected`.

        Every attempt spends the code, whether it succeeds or not. A second one also ends the
        token that the first bought (RFC 6749 section 4.1.2).
        """
        if missing := [name for name in REDEMPTION if name not in form]:
            raise Rejected(f"The parameter '{missing[0]}' is missing.")
        if not _VERIFIER.fullmatch(form["code_verifier"]):  # RFC 7636 section 4.1
            raise Rejected("The code_verifier is not 43 to 128 unreserved characters.")
        code = form["code"]
        grant = self._grants.get(code)
        if grant is None:
            raise Rejected("The code is not one this site gave out.", _NO_CODE)
        if grant.is_spent:
            self._tokens.pop(grant.token or "", None)
            raise Rejected("The code was used before; a token it bought is ended.", _NO_CODE)
        self._grants[code] = replace(grant, is_spent=True)
        if self._clock() >= grant.expires_at:
            raise Rejected("The code has expired.", "Authorization code has expired")
        if fault := _fault_of(grant, form):
            raise Rejected(fault)
        token = self._issue(grant)
        self._grants[code] = replace(grant, is_spent=True, token=token.secret)
        return token

    def _issue(self, grant: _Grant) -> IssuedToken:
        scope = grant.asked.scope
        ends = None if NO_EXPIRY in scope else self._clock() + self._lifetime
        asked = grant.asked
        token = IssuedToken(
            self._secret(), asked.application, grant.account, scope, ends, asked.team
        )
        self._tokens[token.secret] = token
        return token

    def find_token(self, secret: str) -> IssuedToken | None:
        """Find a token that is still good."""
        token = self._tokens.get(secret)
        if token and token.expires_at is not None and self._clock() >= token.expires_at:
            return None
        return token

    def is_over_limit(self, token: IssuedToken) -> bool:
        """Count a call of API v3, and tell whether it is one too many."""
        calls = self._calls.setdefault(token.secret, deque(maxlen=_MOST_CALLS))
        if len(calls) == _MOST_CALLS and self._clock() - calls[0] < CALL_SPAN:
            return True
        calls.append(self._clock())
        return False

    def end_token(self, token: IssuedToken) -> None:
        """End one token."""
        self._tokens.pop(token.secret, None)

    def end_all_like(self, token: IssuedToken) -> None:
        """End every token its application holds for its account."""
        for other in list(self._tokens.values()):
            if (other.application, other.account) == (token.application, token.account):
                self.end_token(other)

    def end_all(self) -> None:
        """End every token; another thread than the site's own may ask for it."""
        self._tokens.clear()

    def _secret(self) -> str:
        """Write 256 bits with the characters that a shell and a URL trip over, as SOE does."""
        text = base64.urlsafe_b64encode(self._entropy(32)).rstrip(b"=").decode()
        return f"{text[:11]}*{text[11:29]}({text[29:]}))"


def _fault_of(grant: _Grant, form: Mapping[str, str]) -> str | None:
    if form["client_id"] != grant.asked.application.client_id:
        return "The code was given to another application."
    if form["redirect_uri"] != grant.asked.redirect_uri:
        return "The redirect_uri is not the one of the authorization request."
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
    if not hmac.compare_digest(challenge, grant.asked.code_challenge.encode()):
        return "The code_verifier does not match the code_challenge."
    return None
