"""Inspect the store for `soe-auth doctor`, without changing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from soe_auth.files.private_read import read_private, secure_directory
from soe_auth.model.text import is_profile_name
from soe_auth.settings import LOCKS, TOKENS
from soe_auth.storage.file_store import LARGEST_FILE, mark_of, token_from_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soe_auth.model.token import Token
    from soe_auth.storage.file_store import Mark

Kind = Literal["directory", "token", "half written", "set aside", "lock"]


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """A directory or file of the store, as found.

    `others` are the other users with access to it, empty if none; `problem` is the reason why it
    cannot be used. An entry of kind "token" has a `token`, unless there is a problem or `mark`
    says that the keyring has it.
    """

    path: Path
    kind: Kind
    others: str = ""
    problem: str | None = None
    token: Token | None = None
    mark: Mark | None = None


def inspect_store(directory: Path) -> list[StoreEntry]:
    """Inspect the store below a config directory: no repair, no rename, no lock.

    Files of other programs are ignored.
    """
    return [entry for name in (TOKENS, LOCKS) for entry in _inspect_directory(directory / name)]


def _inspect_directory(directory: Path) -> Iterator[StoreEntry]:
    try:
        others = secure_directory(directory, repair=False)
        paths = sorted(directory.iterdir())
    except FileNotFoundError:
        return
    except OSError as problem:
        yield StoreEntry(directory, "directory", problem=problem.strerror or str(problem))
        return
    yield StoreEntry(directory, "directory", others)
    for path in paths:
        if (kind := _kind_of(path)) and (entry := _inspect_file(path, kind)):
            yield entry


def _kind_of(path: Path) -> Kind | None:
    if path.parent.name == LOCKS:
        return "lock"
    if path.name.startswith(".") and path.name.endswith(".new"):
        return "half written"
    if ".json.corrupt-" in path.name:
        return "set aside"
    return "token" if path.suffix == ".json" and is_profile_name(path.stem) else None


def _inspect_file(path: Path, kind: Kind) -> StoreEntry | None:
    if kind in {"half written", "set aside"}:
        return StoreEntry(path, kind)
    try:
        data, others, _ = read_private(path, LARGEST_FILE, repair=False)
    except FileNotFoundError:  # pragma: no cover - removed since it was listed
        return None
    except OSError as problem:
        return StoreEntry(path, kind, problem=problem.strerror or str(problem))
    if kind == "lock":
        return StoreEntry(path, kind, others)
    mark = mark_of(data)
    try:
        token = None if mark == "in_keyring" else token_from_json(data)
    except ValueError as problem:
        return StoreEntry(path, kind, others, str(problem))
    return StoreEntry(path, kind, others, token=token, mark=mark)
