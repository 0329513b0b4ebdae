"""Browser sessions: signed-in accounts, pending consent requests, remembered approvals."""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from soe_auth.sandbox.applications import Account
from soe_auth.sandbox.authorization import ConsentRequest

_Approval = tuple[int, str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A browser, identified by its cookie; `account` is None until a user signs in."""

    key: str = field(repr=False)
    form_token: str = field(repr=False)
    account: Account | None

    def owns_form(self, form_token: str) -> bool:
        """Return whether a form has this session's token (RFC 6749 section 10.12)."""
        return hmac.compare_digest(form_token.encode(), self.form_token.encode())


class BrowserSessions:
    """All sessions, pending requests and approvals of one site.

    `entropy(n)` returns n random bytes.
    """

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._sessions: dict[str, BrowserSession] = {}
        self._pending: dict[tuple[str, str], ConsentRequest] = {}
        self._approvals: dict[_Approval, str | None] = {}

    def find(self, key: str | None) -> BrowserSession | None:
        """Return the session with this cookie, or None."""
        return self._sessions.get(key or "")

    def start(self, account: Account | None = None) -> BrowserSession:
        """Start a session with a new key and form token."""
        session = BrowserSession(self._draw_key(), self._draw_key(), account)
        self._sessions[session.key] = session
        return session

    def sign_in(self, session: BrowserSession, account: Account) -> BrowserSession:
        """Replace the session by one of this account, with a new key against session fixation."""
        self.end(session)
        return self.start(account)

    def end(self, session: BrowserSession) -> None:
        """Remove a session and its pending requests."""
        self._sessions.pop(session.key, None)
        self._pending = {
            key: request for key, request in self._pending.items() if key[0] != session.key
        }

    def add_pending(self, session: BrowserSession, request: ConsentRequest) -> str:
        """Store a request until the user decides; return its key."""
        key = self._draw_key()
        self._pending[session.key, key] = request
        return key

    def take_pending(self, session: BrowserSession, key: str) -> ConsentRequest | None:
        """Remove and return this session's pending request."""
        return self._pending.pop((session.key, key), None)

    def remember_approval(self, account: Account, request: ConsentRequest) -> None:
        """Remember that this account approved this application, scope and team."""
        self._approvals[_approval(account, request)] = request.team

    def find_approved(self, account: Account, request: ConsentRequest) -> ConsentRequest | None:
        """Return the request with its team, if this account approved the same before."""
        approval = _approval(account, request)
        if approval not in self._approvals:
            return None
        return replace(request, team=self._approvals[approval])

    def forget_approvals(self, account: Account, client_id: str) -> None:
        """Remove all approvals that this account gave this application."""
        for approval in [key for key in self._approvals if key[:2] == (account.id, client_id)]:
            del self._approvals[approval]

    def _draw_key(self) -> str:
        return base64.urlsafe_b64encode(self._entropy(32)).rstrip(b"=").decode()


def _approval(account: Account, request: ConsentRequest) -> _Approval:
    return account.id, request.application.client_id, frozenset(request.scope)
