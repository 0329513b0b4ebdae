"""Who is signed in with which browser, what they were asked, and what they approved before."""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from soe_auth.sandbox.authorization import Asked
from soe_auth.sandbox.registry import Account


@dataclass(frozen=True, slots=True)
class Session:
    """A browser the site knows again by its cookie; `account` is None until someone signs in."""

    key: str = field(repr=False)
    form_token: str = field(repr=False)
    account: Account | None

    def sent_this(self, form_token: str) -> bool:
        """Tell whether a form carries this session's token, and so was not forged elsewhere."""
        return hmac.compare_digest(form_token.encode(), self.form_token.encode())


class Sessions:
    """All browsers, pending requests and approvals of one site."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        """Take the source of randomness: a number of bytes in, that many bytes out."""
        self._entropy = entropy
        self._sessions: dict[str, Session] = {}
        self._pending: dict[str, tuple[str, Asked]] = {}
        self._approved: dict[tuple[int, str, frozenset[str]], str | None] = {}

    def find(self, key: str | None) -> Session | None:
        """Find the session of a cookie."""
        return None if key is None else self._sessions.get(key)

    def begin(self, account: Account | None = None) -> Session:
        """Begin a session with a fresh key and form token."""
        session = Session(self._random(), self._random(), account)
        self._sessions[session.key] = session
        return session

    def sign_in(self, session: Session, account: Account) -> Session:
        """Exchange the session for one of this account: a key known before is worth nothing."""
        self.end(session)
        return self.begin(account)

    def end(self, session: Session) -> None:
        """Forget a session and what it was asked."""
        self._sessions.pop(session.key, None)
        self._pending = {
            key: (owner, asked)
            for key, (owner, asked) in self._pending.items()
            if owner != session.key
        }

    def hold(self, session: Session, asked: Asked) -> str:
        """Keep a request here, where no form can alter it; returns the key it is taken by."""
        key = self._random()
        self._pending[key] = (session.key, asked)
        return key

    def take(self, session: Session, key: str) -> Asked | None:
        """Take a pending request out, once, for the session it was put before."""
        owner, asked = self._pending.get(key, ("", None))
        if owner != session.key:
            return None
        del self._pending[key]
        return asked

    def approve(self, account: Account, asked: Asked) -> None:
        """Remember that this account approved this application for this scope and team."""
        self._approved[_approval(account, asked)] = asked.team

    def approved_before(self, account: Account, asked: Asked) -> Asked | None:
        """Return the request with the team picked, if this account approved exactly this before."""
        approval = _approval(account, asked)
        if approval not in self._approved:
            return None
        return replace(asked, team=self._approved[approval])

    def forget_approvals(self, account: Account, client_id: str) -> None:
        """Forget every approval this account gave this application."""
        self._approved = {
            approval: team
            for approval, team in self._approved.items()
            if approval[:2] != (account.id, client_id)
        }

    def _random(self) -> str:
        return base64.urlsafe_b64encode(self._entropy(32)).rstrip(b"=").decode()


def _approval(account: Account, asked: Asked) -> tuple[int, str, frozenset[str]]:
    return account.id, asked.application.client_id, frozenset(asked.scope)
