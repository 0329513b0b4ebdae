"""What the rooms of the store share: directories of ours alone, and how faults are told."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soe_auth.errors import StoreError
from soe_auth.model.text import printable

if sys.platform == "win32":
    from soe_auth.files.windows_acl import other_users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LARGEST_FILE = 64 * 1024


def report_once(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Return what tells a sentence the first time only."""
    told: set[str] = set()

    def tell_once(sentence: str) -> None:
        if sentence not in told:
            told.add(sentence)
            tell(sentence)

    return tell_once


def ensure_private(
    directory: Path, by: Callable[[Path], str], report: Callable[[str], None]
) -> None:
    """Make a directory ours alone, by a function that says who else had access."""
    others = by(directory)
    if sys.platform == "win32":
        report_access(directory, others, report)
    elif others:
        report(f"Others could look into {directory}; its mode is 0700 again.")


if sys.platform == "win32":

    def report_access(path: Path, others: str, report: Callable[[str], None]) -> None:
        """Tell who had access to path, and whether its ACL keeps them out now."""
        if others and other_users(path):
            report(
                f"{others} have access to {path}, and its ACL cannot be changed; name another"
                " directory in SOE_AUTH_CONFIG_DIR."
            )
        elif others:
            report(f"{others} had access to {path}; its ACL is private now.")


@contextmanager
def as_store_error(path: Path, what: str) -> Iterator[None]:
    """Raise StoreError for OSError: what could not be done to path, such as “read”."""
    try:
        yield
    except OSError as problem:
        raise StoreError(
            f"{printable(str(path))} could not be {what}: {problem.strerror or problem}.",
            hint="See that the directory is yours, writable, and has room.",
        ) from None
