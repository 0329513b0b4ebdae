"""The result of one check."""

import re
from dataclasses import dataclass, replace
from typing import Literal, Self

from soe_auth.errors import SoeAuthError
from soe_auth.model.text import printable

# The user and password of a URL, or of `user:password@host` without a scheme. A password may hold
# anything but blanks, so this may remove more than the password.
_CREDENTIALS = re.compile(r"(?<=://)\S*@|(?<!\S)[^\s:@/]+:(?!//)\S*@")
_LONGEST = 1000  # characters of a line; a path may be long

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check; `todo` says what to do about it.

    A "warning" does not stop a login. An "error" stops one or exposes a secret; `kind` is the error
    that a login would raise, or SoeAuthError itself for a bug.
    """

    name: str
    verdict: Severity
    says: str
    todo: str = ""
    kind: type[SoeAuthError] | None = None

    def redacted(self) -> Self:
        """Return the finding in printable text, without the credentials of a URL."""
        says, todo = (
            printable(_CREDENTIALS.sub("…@", text), _LONGEST) for text in (self.says, self.todo)
        )
        return replace(self, says=says, todo=todo)


def from_error(name: str, error: SoeAuthError) -> Finding:
    """Return the finding for an error that would end a login."""
    return Finding(name, "error", str(error), error.hint, type(error))
