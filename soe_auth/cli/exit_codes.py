"""What a program that called us learns: the one table from errors to exit codes.

Those of signals, which are no errors, stand in `__main__`.
"""

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

BUG = 1  # what Python ends with after a traceback
USAGE = 2
# Of `soe-auth run`, whose other codes are those of the command that it has become (env(1)).
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


def exit_code(error: SoeAuthError) -> int:
    """Return the exit code of an error's kind."""
    return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
