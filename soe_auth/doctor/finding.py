"""What a check says: one thing, whether it is as it should be, and what to do if not."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from soe_auth.errors import SoeAuthError

# What stands before the last @ of an address, and of `user:password@host` without a scheme. A
# password may hold anything but blanks, so that rather too much is left out than too little.
_USER_INFO = re.compile(r"(?<=://)\S*@|(?<!\S)[^\s:@/]+:(?!//)\S*@")

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was seen, and in `todo` what helps.

    "warning" is worth knowing and hinders nothing; "error" ends a login or gives a secret away, and
    `kind` is then the error that it comes to, SoeAuthError itself for a bug. Nothing here
    holds a secret.
    """

    name: str
    verdict: Severity
    says: str
    todo: str = ""
    kind: type[SoeAuthError] | None = None

    @property
    def without_passwords(self) -> Finding:
        """The same with an … for each user and password in an address, as in a browser's command.

        All is shown like that; what knows of a secret leaves it out by itself.
        """
        says, todo = (_USER_INFO.sub("…@", text) for text in (self.says, self.todo))
        return replace(self, says=says, todo=todo)


def ok(name: str, says: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(name, "ok", says)


def warning(name: str, says: str, todo: str = "") -> Finding:
    """Say that something is worth knowing."""
    return Finding(name, "warning", says, todo)


def error(name: str, kind: type[SoeAuthError], says: str, todo: str) -> Finding:
    """Say that something has to be put right."""
    return Finding(name, "error", says, todo, kind)


def from_error(name: str, error: SoeAuthError) -> Finding:
    """Say what a login would say in ending with this error."""
    return Finding(name, "error", str(error), error.hint, type(error))
