"""What is kept on this machine: the store with its modes, and the tokens in it."""

from __future__ import annotations

import os
import sys
from functools import cache
from shlex import quote
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from soe_auth.doctor.finding import Finding, error, from_error, ok, warning
from soe_auth.errors import SettingsError, StoreError
from soe_auth.files.atomic_write import exposed_parents
from soe_auth.model.token import visible_ascii
from soe_auth.settings import CONFIG_DIR_VARIABLE, TOKEN_VARIABLE, TOKENS
from soe_auth.settings.project_file import find_project
from soe_auth.settings.resolve import read_config_files, resolve
from soe_auth.settings.spec import STORE
from soe_auth.storage.file_store import LARGEST_FILE
from soe_auth.storage.inspection import Seen, inspect
from soe_auth.storage.keyring_backend import QUICK, KeyringBackend
from soe_auth.storage.keyring_store import item_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings


_OTHER_PLACE = "See that the directory is yours; SOE_AUTH_CONFIG_DIR names another."


def look_at_store(directory: Path) -> Iterator[Finding]:
    """Say whether tokens can be kept below a config directory, unseen by others."""
    seen = inspect(directory)
    faults = [finding for thing in seen if (finding := check_seen(thing))]
    try:
        faults += _who_could_write(directory)
    except OSError as problem:
        said = f"{directory} cannot be looked at: {problem.strerror}."
        faults.append(error("store", StoreError, said, _OTHER_PLACE))
    yield from faults
    if not faults:
        count = sum(thing.kind == "token" for thing in seen)
        kept = f"{count} token{'' if count == 1 else 's'}" if seen else "nothing yet"
        yield ok("store", f"{kept} in {directory}, yours alone")


def _who_could_write(directory: Path) -> Iterator[Finding]:
    there = next(path for path in (directory, *directory.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        yield error("store", StoreError, f"You cannot write to {there}.", _OTHER_PLACE)
    else:
        yield from _look_for_room(there)
    for parent, remedy in exposed_parents(there / TOKENS):
        said = f"Other users can put files of theirs in place of yours in {parent}."
        yield error("store", StoreError, said, f"{remedy[0].upper()}{remedy[1:]}.")


def _look_for_room(directory: Path) -> Iterator[Finding]:
    """Write as much as a token may take, to a file that has no name where the system has such."""
    try:
        with TemporaryFile(dir=directory) as file:
            file.write(bytes(LARGEST_FILE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        said = f"A token cannot be written to {directory}: {problem.strerror or problem}."
        todo = "Make room there; SOE_AUTH_CONFIG_DIR names another directory."
        yield error("store", StoreError, said, todo)


def check_seen(seen: Seen) -> Finding | None:
    """Say what is wrong with one thing in the store, or None."""
    path = f'"{seen.path}"' if sys.platform == "win32" else quote(str(seen.path))
    look = f"icacls {path}" if sys.platform == "win32" else f"ls -ld {path}"
    remove = f"del {path}" if sys.platform == "win32" else f"rm {path}"
    match seen:
        case Seen(kind="half written"):
            return warning(
                "store",
                f"{seen.path} is half written, and may hold a token.",
                f"The next login to its profile removes it; so does `{remove}`.",
            )
        case Seen(kind="set aside"):
            return warning(
                "store",
                f"{seen.path} was set aside as no token file, and may hold a token.",
                f"Remove it once you need it no more: `{remove}`.",
            )
        case Seen(kind="token", problem=str(problem), token=None):
            return error(
                "store",
                StoreError,
                f"{seen.path} cannot be used: {problem}.",
                f"See what it is, move it away, and log in again: `{look}`.",
            )
        case Seen(problem=str(problem)):
            return error(
                "store",
                StoreError,
                f"{seen.path} cannot be used: {problem}.",
                f"See what it is, and move it away: `{look}`.",
            )
        case Seen(kind="token", others=others) if others:
            return error(
                "store",
                StoreError,
                f"{others} can read {seen.path}, and so may have the token.",
                "Type `soe-auth logout` and log in again, which makes the file private where the"
                " disk has ACLs."
                if sys.platform == "win32"
                else f"Type `chmod 600 {path}`; if others were here, log out and in again.",
            )
        case Seen(kind=kind, others=others) if others:
            mode = "700" if kind == "directory" else "600"
            return warning(
                "store",
                f"{others} can look into {seen.path}; the next login puts that right.",
                f"To see who can, type `{look}`."
                if sys.platform == "win32"
                else f"To do it now, type `chmod {mode} {path}`.",
            )
        case _:
            return None


def look_at_tokens(
    profile: str | None,
    directory: Path,
    environ: Mapping[str, str],
    now: float,
    cwd: Callable[[], Path],
) -> Iterator[Finding]:
    """Say how long the token of each profile lasts, or of the one that is named."""
    yield from _given(environ)
    files = {
        seen.path.stem: seen
        for seen in inspect(directory)
        if seen.kind == "token" and not seen.problem
    }
    try:
        configs = read_config_files(environ)
        names = {profile} if profile else {*configs.profiles, *files}
    except SettingsError:  # which has been said of the settings
        if files:
            yield warning("token", f"{len(files)} kept here; whose, the settings have to say first")
        return
    # What a variable overrides for this call is not what the profiles are, but where tokens are.
    kept = {CONFIG_DIR_VARIABLE, STORE.variable}
    plain = {name: value for name, value in environ.items() if name in kept}
    find = cache(find_project)
    keyring = KeyringBackend(limit=QUICK, report=lambda _: None)
    for name in sorted(names):
        seen = files.get(name)
        try:
            settings = resolve({}, profile=name, environ=plain, cwd=cwd, configs=configs, find=find)
            if seen and (misplaced := check_place(settings, seen)):
                yield misplaced
            if settings.store == "keyring":
                token = keyring.get(item_name(directory, name))
            else:
                token = seen.token if seen else None
        except SettingsError as problem:
            yield from_error("token", problem)
        except StoreError as problem:
            yield warning("token", f"profile {name}'s cannot be looked at: {problem}", problem.hint)
        else:
            yield check_token(settings, token, now)


def look_at_keyring() -> Iterator[Finding]:
    """Say whether the system's keyring answers, and which it is."""
    try:
        yield ok("keyring", f"{KeyringBackend(limit=QUICK, report=lambda _: None).ask()} answers")
    except StoreError as problem:
        yield from_error("keyring", problem)


def check_place(settings: Settings, seen: Seen) -> Finding | None:
    """Say that a profile's token is not where the settings want it, or not there alone."""
    name, place = settings.profile, settings.store
    if (place == "keyring" and seen.token is None) or (place == "file" and seen.mark is None):
        return None
    where = {
        None: "in a file",
        "stub": "in the keyring",
        "copy": "in a file, and maybe the keyring",
    }
    return warning(
        "store",
        f"the token of profile {name} is {where[seen.mark]}, and the settings say store = {place}",
        f"Type `soe-auth logout -p {name}`, then `{settings.login_command}`.",
    )


def check_token(settings: Settings, token: Token | None, now: float) -> Finding:
    """Say how long a profile's token lasts, or why it does not serve."""
    name = settings.profile
    log_in = f"Type `{settings.login_command}`."
    if token is None:
        return warning("token", f"profile {name} has none", log_in)
    own = settings if settings.in_a_file else token
    if problem := token.why_unusable(own.site, own.client_id, own.scope, min_ttl=0, now=now):
        return warning("token", f"profile {name}'s {problem}", log_in)
    return ok("token", f"profile {name}'s lasts {token.describe_expiry(now)}")


def _given(environ: Mapping[str, str]) -> Iterator[Finding]:
    if not (given := environ.get(TOKEN_VARIABLE)):
        return
    try:
        visible_ascii(given)
    except ValueError as problem:
        todo = "Set SOE_AUTH_TOKEN to the token and nothing else, or unset it."
        yield error("token", SettingsError, f"What SOE_AUTH_TOKEN holds is none: {problem}.", todo)
    else:
        yield warning(
            "token",
            "SOE_AUTH_TOKEN is set: `soe-auth token` answers with that one",
            "Unset it for the token of the profile.",
        )
