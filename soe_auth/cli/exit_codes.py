"""The exit codes: one table from errors to codes. `__main__` has those of signals."""

from __future__ import annotations

from soe_auth import errors

BUG = 1  # Python's own, after a traceback
USAGE = 2
# Of `soe-auth run`; its other codes are those of the command that it executes (env(1)).
CANNOT_RUN = 126
NOT_FOUND = 127

EXIT_CODES: dict[type[errors.SoeAuthError], int] = {
    errors.SettingsError: USAGE,
    errors.LoginRequired: 3,
    errors.LoginError: 4,
    errors.ServerError: 5,
    errors.NetworkError: 6,
    errors.StoreError: 7,
}


def exit_code(error: errors.SoeAuthError) -> int:
    """Return the exit code of an error's kind."""
    return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
