"""Checks of the token store, and of each profile's token."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shlex import quote
from tempfile import TemporaryFile
from typing import Literal

from soe_auth.doctor.finding import Finding, from_error
from soe_auth.errors import SettingsError, StoreError
from soe_auth.files.atomic_write import exposed_parents
from soe_auth.files.private_read import read_private, secure_directory
from soe_auth.model.text import is_profile_name
from soe_auth.model.token import Token, visible_ascii
from soe_auth.settings import CONFIG_DIR_VARIABLE, LOCKS, TOKEN_VARIABLE, TOKENS
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.project_file import find_project
from soe_auth.settings.resolve import resolve
from soe_auth.settings.settings import Settings
from soe_auth.settings.spec import STORE
from soe_auth.storage.file_store import LARGEST_FILE, Mark, mark_of, token_from_json
from soe_auth.storage.keyring_store import KeyringBackend, item_name

_OTHER_DIRECTORY = "Check its owner and mode, or set SOE_AUTH_CONFIG_DIR to another directory."

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


def check_store(directory: Path) -> Iterator[Finding]:
    """Report whether tokens can be stored in a config directory, unreadable by others."""
    entries = inspect_store(directory)
    problems = [finding for entry in entries if (finding := _store_finding(entry))]
    try:
        problems += _check_directory(directory)
    except OSError as problem:
        says = f"Cannot read {directory}: {problem.strerror}."
        problems.append(Finding("store", "error", says, _OTHER_DIRECTORY, StoreError))
    yield from problems
    if not problems:
        count = sum(entry.kind == "token" for entry in entries)
        tokens = f"{count or 'no'} token{'' if count == 1 else 's'}"
        yield Finding("store", "ok", f"{tokens} in {directory}, private")


def _check_directory(directory: Path) -> Iterator[Finding]:
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "store", "error", f"Cannot write to {existing}.", _OTHER_DIRECTORY, StoreError
        )
    else:
        try:  # a file without a name, if the system supports that
            with TemporaryFile(dir=existing) as file:
                file.write(bytes(LARGEST_FILE))
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            says = f"Cannot write a token to {existing}: {problem.strerror or problem}."
            todo = "Free some space there, or set SOE_AUTH_CONFIG_DIR to another directory."
            yield Finding("store", "error", says, todo, StoreError)
    for parent, remedy in exposed_parents(existing / TOKENS):
        says = f"Other users can replace your files in {parent}."
        todo = f"{remedy[0].upper()}{remedy[1:]}."
        yield Finding("store", "error", says, todo, StoreError)


def _store_finding(entry: StoreEntry) -> Finding | None:
    """Report the problem of one file or directory of the store; None if there is none."""
    is_windows = sys.platform == "win32"
    path = f'"{entry.path}"' if is_windows else quote(str(entry.path))
    show = f"icacls {path}" if is_windows else f"ls -ld {path}"
    remove = f"del {path}" if is_windows else f"rm {path}"
    match entry:
        case StoreEntry(kind="half written"):
            says = f"{entry.path} is incomplete, and may hold a token."
            todo = f"The next login to its profile removes it, or type `{remove}`."
            return Finding("store", "warning", says, todo)
        case StoreEntry(kind="set aside"):
            says = f"{entry.path} was renamed as it is not a token file; it may hold a token."
            todo = f"Remove it when you no longer need it: `{remove}`."
            return Finding("store", "warning", says, todo)
        case StoreEntry(problem=str(problem)):
            again = "; then log in again" if entry.kind == "token" else ""
            says = f"Cannot use {entry.path}: {problem}."
            todo = f"Inspect it with `{show}`, and move it{again}."
            return Finding("store", "error", says, todo, StoreError)
        case StoreEntry(kind="token", others=others) if others:
            says = f"{others} can read {entry.path}, and so its token."
            todo = (
                "Type `soe-auth logout`, then log in: that makes the file private where the disk"
                " has ACLs."
                if is_windows
                else f"Type `chmod 600 {path}`. If others use this machine, log out and in again."
            )
            return Finding("store", "error", says, todo, StoreError)
        case StoreEntry(kind=kind, others=others) if others:
            says = f"{others} can read {entry.path}; the next login repairs that."
            mode = "700" if kind == "directory" else "600"
            repair = f"To repair it now, type `chmod {mode} {path}`."
            todo = f"To see who can, type `{show}`." if is_windows else repair
            return Finding("store", "warning", says, todo)
        case _:
            return None


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


def check_keyring() -> Iterator[Finding]:
    """Report whether the system's keyring answers, and which one it is."""
    try:
        name = KeyringBackend(lambda _: None).check()
        yield Finding("keyring", "ok", f"{name} answers")
    except StoreError as problem:
        yield from_error("keyring", problem)


def check_tokens(
    profile: str | None,
    directory: Path,
    environ: Mapping[str, str],
    now: float,
    cwd: Callable[[], Path],
) -> Iterator[Finding]:
    """Report when the token of each profile expires, or that of the named one."""
    yield from _check_variable(environ)
    files = {
        entry.path.stem: entry
        for entry in inspect_store(directory)
        if entry.kind == "token" and not entry.problem
    }
    try:
        configs = read_config_files(environ)
    except SettingsError:  # the check of the settings reports it
        if files:
            says = f"{len(files)} stored; correct the settings to check them"
            yield Finding("token", "warning", says)
        return
    # Other variables override a profile for one call; these two say where the tokens are.
    own = {name: environ[name] for name in (CONFIG_DIR_VARIABLE, STORE.variable) if name in environ}
    find = cache(find_project)
    keyring = KeyringBackend(lambda _: None)
    for name in [profile] if profile else sorted({*configs.profiles, *files}):
        entry = files.get(name)
        try:
            settings = resolve({}, profile=name, environ=own, cwd=cwd, configs=configs, find=find)
            if entry and (misplaced := _store_kind_finding(settings, entry)):
                yield misplaced
            if settings.store == "keyring":
                token = keyring.get(item_name(directory, name))
            else:
                token = entry.token if entry else None
        except SettingsError as problem:
            yield from_error("token", problem)
        except StoreError as problem:
            says = f"profile {name}: cannot read its token: {problem}"
            yield Finding("token", "warning", says, problem.hint)
        else:
            yield _token_finding(settings, token, now)


def _check_variable(environ: Mapping[str, str]) -> Iterator[Finding]:
    if not (value := environ.get(TOKEN_VARIABLE)):
        return
    try:
        visible_ascii(value)
    except ValueError as problem:
        says = f"SOE_AUTH_TOKEN holds no token: {problem}."
        yield Finding("token", "error", says, "Set it to a token, or unset it.", SettingsError)
    else:
        says = "SOE_AUTH_TOKEN is set: `soe-auth token` prints it"
        yield Finding("token", "warning", says, "Unset it to use the profile's token.")


def _store_kind_finding(settings: Settings, entry: StoreEntry) -> Finding | None:
    """Report a token that is not in the store of the settings, or not only there."""
    name, store = settings.profile, settings.store
    if (store == "keyring" and entry.token is None) or (store == "file" and entry.mark is None):
        return None
    place = {
        None: "in a file",
        "in_keyring": "in the keyring",
        "in_both": "in a file, and maybe in the keyring",
    }[entry.mark]
    says = f"profile {name}: its token is {place}, but the setting is store = {store}"
    todo = f"Type `soe-auth logout -p {name}`, then `{settings.login_command}`."
    return Finding("store", "warning", says, todo)


def _token_finding(settings: Settings, token: Token | None, now: float) -> Finding:
    name, todo = settings.profile, f"Type `{settings.login_command}`."
    if token is None:
        return Finding("token", "warning", f"profile {name}: no token", todo)
    if problem := settings.problem_of(token, now):
        return Finding("token", "warning", f"profile {name}: token {problem}", todo)
    return Finding("token", "ok", f"profile {name}: token valid {token.describe_expiry(now)}")
