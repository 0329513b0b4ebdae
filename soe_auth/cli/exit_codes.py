"""The exit codes of errors: one table. `signals` and `__main__` have the others."""

from __future__ import annotations

from soe_auth.errors import (
    LoginError,
    LoginRequired,
    NetworkError,
    ServerError,
    SettingsError,
    SoeAuthError,
    StoreError,
)

BUG = 1  # Python's own, after a traceback
USAGE = 2
# Of `soe-auth run`; its other codes are those of the command that it executes (env(1)).
CANNOT_RUN = 126
NOT_FOUND = 127

EXIT_CODES: dict[type[SoeAuthError], int] = {
    SettingsError: USAGE,
    LoginRequired: 3,
    LoginError: 4,
    ServerError: 5,
    NetworkError: 6,
    StoreError: 7,
}


def exit_code(kind: type[SoeAuthError] | None) -> int:
    """Return the exit code of a kind of error; None is a bug."""
    return next((code for base, code in EXIT_CODES.items() if kind and issubclass(kind, base)), BUG)
