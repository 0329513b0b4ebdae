"""A look at the store for `soe-auth doctor`, which changes nothing there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from soe_auth.files.private_read import own_directory, read_private
from soe_auth.model.text import is_profile_name
from soe_auth.settings import LOCKS, TOKENS
from soe_auth.storage.file_store import LARGEST_FILE
from soe_auth.storage.token_format import mark_of, token_from_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from soe_auth.model.token import Token
    from soe_auth.storage.token_format import Mark


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing in the store as it was found.

    `others` are those whom its mode or ACL lets in, empty if none; `problem` says why it cannot be
    used. A `token` is there where the kind is "token" and there is no problem, unless `mark` says
    that the keyring has it.
    """

    path: Path
    kind: Literal["directory", "token", "half written", "set aside", "lock"]
    others: str = ""
    problem: str | None = None
    token: Token | None = None
    mark: Mark | None = None


def inspect(directory: Path) -> list[Seen]:
    """Look at the store below a config directory, and change nothing there.

    No mode is repaired, no file set aside, no lock taken. What is not ours is left out.
    """
    return [
        seen
        for name, look in ((TOKENS, _look_at_token), (LOCKS, _look_at_lock))
        for seen in _look_into(directory / name, look)
    ]


def _look_into(directory: Path, look: Callable[[Path], Seen | None]) -> list[Seen]:
    try:
        others = own_directory(directory, repair=False)
        entries = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as problem:
        return [Seen(directory, "directory", problem=problem.strerror or str(problem))]
    return [Seen(directory, "directory", others), *filter(None, map(look, entries))]


def _look_at_token(path: Path) -> Seen | None:
    if path.name.startswith(".") and path.name.endswith(".new"):
        return Seen(path, "half written")
    if ".json.corrupt-" in path.name:
        return Seen(path, "set aside")
    if path.suffix != ".json" or not is_profile_name(path.stem):
        return None
    try:
        data, others = read_private(path, LARGEST_FILE, repair=False)
    except FileNotFoundError:  # pragma: no cover - it was removed between two looks
        return None
    except OSError as problem:
        return Seen(path, "token", problem=problem.strerror or str(problem))
    mark = mark_of(data)
    if mark == "stub":
        return Seen(path, "token", others, mark=mark)
    try:
        return Seen(path, "token", others, token=token_from_json(data), mark=mark)
    except ValueError as problem:
        return Seen(path, "token", others, problem=str(problem))


def _look_at_lock(path: Path) -> Seen | None:
    try:
        _, others = read_private(path, LARGEST_FILE, repair=False)
    except FileNotFoundError:  # pragma: no cover - as above
        return None
    except OSError as problem:
        return Seen(path, "lock", problem=problem.strerror or str(problem))
    return Seen(path, "lock", others)
