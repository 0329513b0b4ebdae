"""The exceptions of soe-auth.

    SoeAuthError
    ├── SettingsError           a setting is missing or wrong
    ├── LoginRequired           no valid token; a user is needed
    ├── LoginError              a login started and failed
    │   ├── LoginDenied
    │   ├── LoginTimedOut
    │   ├── LoginBusy
    │   └── LoopbackUnavailable
    ├── ServerError             the site refused, or its response is malformed
    │   ├── ExchangeRefused
    │   └── MalformedResponse
    ├── NetworkError            the site cannot be reached; a retry may help
    └── StoreError              the token store cannot be read or written

No message contains a state, code, verifier or token, or a terminal control character.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Mapping

_CHECK_CLIENT = "Check the client ID, and the application's Domain on the site. Start again: `{}`."
_LATER = "The site has a problem. Try again later: `{}`."
AUTHORIZATION_HINTS = {  # by the codes of RFC 6749 section 4.1.2.1
    "access_denied": "Start again: `{}`, and choose Approve.",
    "invalid_request": _CHECK_CLIENT,
    "invalid_scope": "Choose write_access, no_expiry, access_team or no scope. Start again: `{}`.",
    "server_error": _LATER,
    "temporarily_unavailable": _LATER,
    "unauthorized_client": _CHECK_CLIENT,
    "unsupported_response_type": _CHECK_CLIENT,
}


def authorization_hint(code: str, command: str) -> str:
    """Return what to do about a code of `AUTHORIZATION_HINTS`; `command` starts again."""
    return AUTHORIZATION_HINTS.get(code, "Start again: `{}`.").format(command)


class SoeAuthError(Exception):
    """The base class. The message says what is wrong, `hint` what to do."""

    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Support pickle and copy, although the subclasses' constructors differ."""
        return Exception.__new__, (type(self), *self.args), self.__dict__


class SettingsError(SoeAuthError):
    """A setting is missing or wrong; the message names it and its origin."""


class LoginRequired(SoeAuthError):
    """There is no valid token, and only a user can get one."""


class LoginError(SoeAuthError):
    """A login started and failed."""


class LoginDenied(LoginError):
    """The site redirected the browser with an error (RFC 6749 section 4.1.2.1).

    `code` is the error code, `description` the site's words or an empty string. `command` starts
    the login again.
    """

    def __init__(self, code: str, description: str, command: str = "soe-auth login") -> None:
        words = description.rstrip(".")
        if code == "access_denied":
            message = f"You chose Cancel on the site{f' ({words})' if words else ''}."
        else:
            message = f"Cannot sign in: the site answered {code}{f' ({words})' if words else ''}."
        super().__init__(message, hint=authorization_hint(code, command))
        self.code = code
        self.description = description


class LoginTimedOut(LoginError):
    """No callback came in time; `strays` is the number of other requests."""

    def __init__(
        self, timeout: str, strays: Mapping[str, int], reason: str, *, hint: str | None = None
    ) -> None:
        self.strays: int = sum(strays.values())
        if strays:
            others = "; ".join(f"{stray} ({count})" for stray, count in strays.items())
            reason = f"only other requests came: {others}"
        super().__init__(f"Cannot sign in: timed out after {timeout}; {reason}.", hint=hint)


class LoginBusy(LoginError):
    """Another process is logging in to the profile, at `address` if that is known."""

    def __init__(self, profile: str, address: str | None) -> None:
        where = f" at {address} in a browser" if address else ""
        super().__init__(
            f"Another login to profile {profile} is in progress.",
            hint=f"Finish it{where}, or stop it with Ctrl-C, then try again.",
        )
        self.address = address


class LoopbackUnavailable(LoginError):
    """No loopback port can be bound for the redirect."""


class ServerError(SoeAuthError):
    """The site refused, or its response is malformed; `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ExchangeRefused(ServerError):
    """The token endpoint refused the code (RFC 6749 section 5.2, or SOE's own forms)."""

    hint = "A code works once, for a few minutes. Start again: `soe-auth login`."


class MalformedResponse(ServerError):
    """The response is not that of an SOE site: a proxy or an outage may be the cause."""

    hint = "Open the site in a browser. If it works there, a proxy may have answered."


class NetworkError(SoeAuthError):
    """The site cannot be reached."""

    hint = "Check the connection and the site's name, then try again."


class StoreError(SoeAuthError):
    """The token store cannot be read or written."""
