"""Everything that can go wrong, as the caller sees it.

    SoeAuthError
    ├── SettingsError           a setting is missing or wrong
    ├── LoginRequired           no usable token; a person is needed
    ├── LoginError              a login began and did not end
    │   ├── LoginDenied
    │   ├── LoginTimedOut
    │   ├── LoginBusy
    │   └── LoopbackUnavailable
    ├── ServerError             the site's answer was a refusal or made no sense
    │   ├── ExchangeRefused
    │   └── MalformedResponse
    ├── NetworkError            could not reach the site; trying again may help
    └── StoreError              the token store

Messages never carry a state, code, verifier or token, and nothing that a terminal would obey.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Mapping

_NOT_REGISTERED = "See that the client ID, and the application's Domain, are right for this site."
_LATER = "The site is in trouble; try again later."
_TO_DO_ABOUT = {
    "access_denied": "Start again, and approve the request on the site.",
    "invalid_request": _NOT_REGISTERED,
    "invalid_scope": "Ask for what the site knows: write_access, no_expiry, access_team, or none.",
    "server_error": _LATER,
    "temporarily_unavailable": _LATER,
    "unauthorized_client": _NOT_REGISTERED,
    "unsupported_response_type": _NOT_REGISTERED,
}


class SoeAuthError(Exception):
    """The base of all: the message says what happened, `hint` what to do."""

    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Be copied and pickled as it is: what it was made from differs from class to class."""
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(
    kind: type[SoeAuthError], args: tuple[object, ...], state: Mapping[str, object]
) -> SoeAuthError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class SettingsError(SoeAuthError):
    """A setting is missing or wrong; the message names it and where it came from."""


class LoginRequired(SoeAuthError):
    """There is no usable token, and getting one takes a person."""


class LoginError(SoeAuthError):
    """A login began and did not end."""


class LoginDenied(LoginError):
    """The site sent the browser back with an error (RFC 6749 section 4.1.2.1).

    `code` is the error code, `description` the site's words for it or an empty string.
    """

    def __init__(self, code: str, description: str) -> None:
        said = f"{code}: {description}" if description else code
        super().__init__(
            f"The site sent the login back: {said.rstrip('.')}.",
            hint=_TO_DO_ABOUT.get(code, "Start again."),
        )
        self.code = code
        self.description = description


class LoginTimedOut(LoginError):
    """No answer came within the time-out; `strays` requests came that were not the redirect.

    Where none did, `nothing` says in what way.
    """

    def __init__(
        self, waited: str, strays: Mapping[str, int], nothing: str, *, hint: str | None = None
    ) -> None:
        self.strays: int = sum(strays.values())
        kinds = "; ".join(f"{reason} ({count})" for reason, count in strays.items())
        seen = f"what came was not the answer: {kinds}" if strays else nothing
        super().__init__(f"The login was not finished within {waited}; {seen}.", hint=hint)


class LoginBusy(LoginError):
    """Another login to the same profile waits for a person, at `address` where that is known."""

    def __init__(self, profile: str, address: str | None) -> None:
        where = f" at {address} in a browser" if address else ""
        super().__init__(
            f"Another login to profile {profile} is under way.",
            hint=f"Finish it{where}, or end it, then try again.",
        )
        self.address = address


class LoopbackUnavailable(LoginError):
    """No loopback port could be had for the redirect."""


class ServerError(SoeAuthError):
    """The site's answer was a refusal or made no sense; `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ExchangeRefused(ServerError):
    """The token endpoint refused the code (RFC 6749 section 5.2, or SOE's own shapes)."""

    hint = "Codes are good once and for minutes: start again."


class MalformedResponse(ServerError):
    """The answer is not one that an SOE site gives: a proxy or an outage may stand between."""

    hint = "Open the site in a browser; if it works there, a proxy may be answering in its place."


class NetworkError(SoeAuthError):
    """The site could not be reached."""

    hint = "Check the connection and the site's name, then try again."


class StoreError(SoeAuthError):
    """The token store could not be read or written."""
