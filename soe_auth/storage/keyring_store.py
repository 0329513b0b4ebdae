"""Store tokens in the system's keyring, each with a marked file.

The item in the keyring holds the whole token. The file `tokens/PROFILE.json` has a mark from before
the first write to the keyring until after the last removal: no crash leaves an item without a mark.

This is the only module that imports the library keyring. Its backends may hang, return another
text, or quote a token in an exception. So each call runs in a daemon thread, which alone handles
plain text, and each change is read back.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from soe_auth.errors import StoreError
from soe_auth.files.atomic_write import locked
from soe_auth.model.duration import in_words
from soe_auth.model.text import printable
from soe_auth.settings import LOCKS
from soe_auth.storage.file_store import FileStore, as_store_error, token_from_json, token_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from keyring.backend import KeyringBackend as Backend

    from soe_auth.model.token import Token

_T = TypeVar("_T")

_SERVICE = "soe-auth"
# Seconds for one call: without a user, and with one who may have to unlock the keyring.
_UNATTENDED_TIMEOUT = 10.0
USER_TIMEOUT = 60.0
_REPORT_AFTER = 2.0  # seconds
_RECOMMENDED = 1  # the lowest priority at which the library recommends a backend
_USE_FILES = "to store tokens in files, type `soe-auth config set store file`."
_UNLOCK = "Unlock the keyring, and try again."
_LIST = "To list the backends, type `python -m keyring --list-backends`."


class KeyringStore:
    """Tokens in a keyring: one item for each profile and config directory.

    `report` is called once with each sentence about a problem found or repaired. Every method
    raises StoreError if the keyring or the disk fails; a token never goes to a file instead.
    """

    def __init__(
        self, directory: Path, keyring: KeyringBackend, *, report: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self._keyring = keyring
        self._report = cache(report)
        self._files = FileStore(directory, report=report)

    def load(self, profile: str) -> Token | None:
        """Return the profile's token in the keyring, or None; a token in a file is not used."""
        token = self._keyring.get(self._item(profile))
        if self._files.load_with_mark(profile)[0]:
            self._report(
                f"The token of profile {profile} is in a file, but the setting is store = keyring."
                f" To replace it, type `soe-auth login -p {profile}`."
            )
        return token

    def save(self, profile: str, token: Token) -> None:
        """Store the token in the keyring, read it back and compare."""
        with self._lock(profile):
            self._save(profile, token)

    def update(self, profile: str, token: Token) -> bool:
        """Save a stored token again, with its account; return False if it is no longer stored."""
        with self._lock(profile):
            is_stored = token.is_same_as(self._keyring.get(self._item(profile)))
            if is_stored:
                self._save(profile, token)
            return is_stored

    def remove(self, profile: str, token: Token | None) -> bool:
        """Remove that token from keyring and file; return False if it is no longer stored.

        Another token in the file is reported, and not removed.
        """
        with self._lock(profile):
            stored = self._keyring.get(self._item(profile))
            if stored and not stored.is_same_as(token):
                return False
            is_removed = self._keyring.delete(self._item(profile))
            in_file, _ = self._files.load_with_mark(profile)
            if in_file is None or in_file.is_same_as(token):
                return self._files.discard(profile) or is_removed
            self._files.write(profile, in_file, None)
            self._report(f"Another token of profile {profile} is in a file, and was not removed.")
            return is_removed

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token file, sorted."""
        return self._files.profiles()

    def prepare(self, profile: str) -> None:
        """Check that the keyring answers, and move a token from the file to the keyring."""
        self._files.check_writable(profile)
        with self._lock(profile):
            in_keyring = self._keyring.get(self._item(profile))
            in_file, _ = self._files.load_with_mark(profile)
            if (
                in_file
                and (in_keyring is None or in_keyring.obtained_at <= in_file.obtained_at)
                and self._files.write(profile, in_file, "in_both", over=in_file)
            ):
                self._save(profile, in_file)

    def _save(self, profile: str, token: Token) -> None:
        in_file, mark = self._files.load_with_mark(profile)
        if mark is None:
            self._files.write(profile, in_file or token, "in_both" if in_file else "in_keyring")
        self._keyring.set(self._item(profile), token)
        self._files.write(profile, token, "in_keyring")

    @contextmanager
    def _lock(self, profile: str) -> Iterator[None]:
        """Lock the profile's item and file; wait at most ten seconds for another process."""
        path = self._directory / LOCKS / f".{profile}.keyring.lock"
        with ExitStack() as stack:
            with as_store_error("lock", path):
                stack.enter_context(locked(path))
            yield

    def _item(self, profile: str) -> str:
        return item_name(self._directory, profile)


def item_name(directory: Path, profile: str) -> str:
    """Return the name of a profile's item, which includes the config directory."""
    name = f"{profile} ({os.path.realpath(directory)})"
    return name.encode("utf-8", "backslashreplace").decode()


class KeyringBackend:
    """Tokens by name in the system's keyring, as items of the service "soe-auth".

    A call takes `timeout` seconds at most; `report` is called once with each sentence for the user.
    Every method raises StoreError, and does so at once while an earlier call hangs.
    """

    def __init__(self, report: Callable[[str], None], timeout: float = _UNATTENDED_TIMEOUT) -> None:
        self._report = cache(report)
        self._timeout = timeout
        self._hanging: Thread | None = None

    def check(self) -> str:
        """Check that the keyring answers; return its backend as PYTHON_KEYRING_BACKEND names it."""

        def work(backend: Backend) -> str:
            backend.get_password(_SERVICE, _SERVICE)
            return _name_of(backend)

        return self._call(work)

    def get(self, name: str) -> Token | None:
        """Return the token of that name, or None. An item that is not a token is reported."""

        def work(backend: Backend) -> tuple[bool, Token | None]:
            text = backend.get_password(_SERVICE, name)
            return text is not None, _token_or_none(text)

        is_there, token = self._call(work)
        if is_there and token is None:
            self._report(
                f"The item {printable(name)} in the keyring is not a token;"
                " the next login replaces it."
            )
        return token

    def set(self, name: str, token: Token) -> None:
        """Store a token under that name, read it back and compare."""

        def work(backend: Backend) -> None:
            # One short line: a backend may store no more than a line, or 2,560 bytes of UTF-16.
            text = json.dumps(json.loads(token_to_json(token)), separators=(",", ":"))
            backend.set_password(_SERVICE, name, text)
            if _token_or_none(backend.get_password(_SERVICE, name)) == token:
                return
            with suppress(Exception):  # a part of it may be there
                backend.delete_password(_SERVICE, name)
            raise _unusable(
                f"its backend ({_name_of(backend)}) did not return the token that was stored",
                f"Choose another backend; {_USE_FILES}",
            )

        self._call(work)

    def delete(self, name: str) -> bool:
        """Remove the token of that name; return whether there was one."""

        def work(backend: Backend) -> bool:
            if backend.get_password(_SERVICE, name) is None:
                return False
            backend.delete_password(_SERVICE, name)
            if backend.get_password(_SERVICE, name) is None:
                return True
            raise _unusable(
                f"its backend ({_name_of(backend)}) did not remove the token",
                f"Remove the item {printable(name)} there by hand.",
            )

        return self._call(work)

    def _call(self, work: Callable[[Backend], _T]) -> _T:
        timed_out = _unusable(f"it did not answer within {in_words(self._timeout)}", _UNLOCK)
        if self._hanging and self._hanging.is_alive():
            raise timed_out
        results: list[_T] = []
        errors: list[StoreError] = []

        def run() -> None:
            try:
                results.append(work(_open_backend()))
            except BaseException as problem:  # noqa: BLE001  # each one becomes a StoreError
                errors.append(_as_store_error(problem))

        # A daemon thread, so that the process can end while the keyring hangs.
        thread = Thread(target=run, name="keyring", daemon=True)
        try:
            thread.start()
        except RuntimeError as problem:
            raise _unusable(
                str(problem), "End other programs: this system allows no more threads."
            ) from None
        thread.join(min(_REPORT_AFTER, self._timeout))
        if thread.is_alive():
            self._report("Waiting for the keyring, which may ask you to unlock it …")
            thread.join(max(0.0, self._timeout - _REPORT_AFTER))
        if results:
            return results[0]
        if errors:
            raise errors[0]
        self._hanging = thread
        raise timed_out


def _token_or_none(text: str | None) -> Token | None:
    try:
        return None if text is None else token_from_json(text.encode())
    except ValueError:
        return None


def _open_backend() -> Backend:
    """Find a backend that is safe for a token. Raises StoreError."""
    try:
        import keyring
        from keyring.backends import chainer, fail, null
    except ModuleNotFoundError:
        raise _unusable(
            "the library keyring is not installed",
            f"Install the library keyring beside soe-auth; {_USE_FILES}",
        ) from None
    try:
        backend = keyring.get_keyring()
        if is_chained := isinstance(backend, chainer.ChainerBackend):
            # If a backend fails, a chain tries the next, which may store plain text: use the
            # first one alone.
            backend = next(iter(backend.backends), backend)
        is_weak = backend.priority < _RECOMMENDED and (is_chained or not _is_configured(backend))
    except Exception as problem:  # noqa: BLE001  # a backend's own code runs here
        # No token has been read yet, so the message cannot quote one.
        raise _unusable(printable(str(problem)).rstrip("."), _LIST) from None
    if isinstance(backend, fail.Keyring | chainer.ChainerBackend):
        raise _unusable(
            "there is none here",
            f"On Linux, run one such as gnome-keyring in your session; {_USE_FILES}",
        )
    if isinstance(backend, null.Keyring):
        raise _unusable("the chosen backend (null) stores nothing", _LIST)
    if is_weak:
        raise _unusable(
            f"its developers do not recommend the only backend here ({_name_of(backend)})",
            "If you trust it, set PYTHON_KEYRING_BACKEND or keyringrc.cfg to that name;"
            f" {_USE_FILES}",
        )
    return backend


def _is_configured(backend: Backend) -> bool:
    """Return whether PYTHON_KEYRING_BACKEND or keyringrc.cfg names the backend."""
    from keyring.core import load_config, load_env

    return type(backend) is type(load_env() or load_config())


def _name_of(backend: Backend) -> str:
    kind = type(backend)
    return printable(f"{kind.__module__}.{kind.__qualname__}")


def _unusable(reason: str, hint: str) -> StoreError:
    return StoreError(f"Cannot use the keyring: {reason}.", hint=hint)


def _as_store_error(problem: BaseException) -> StoreError:
    """Return a new error, without the backend's message and frames, which may hold a token."""
    if isinstance(problem, StoreError):
        return StoreError(str(problem), hint=problem.hint)
    from keyring.errors import KeyringLocked

    if isinstance(problem, KeyringLocked):
        return _unusable("it is locked", _UNLOCK)
    return _unusable(f"it failed with {printable(type(problem).__name__)}", _LIST)
