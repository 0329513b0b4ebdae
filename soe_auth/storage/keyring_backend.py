"""Call the system's keyring with a time limit; the only module that imports the library.

A backend of the library may hang, return another text, or quote a token in an exception. So each
call runs in a daemon thread, which alone handles plain text, and each change is read back.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from soe_auth.errors import StoreError
from soe_auth.model.duration import in_words
from soe_auth.model.text import printable
from soe_auth.storage.file_store import token_from_json, token_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyring.backend import KeyringBackend as Backend

    from soe_auth.model.token import Token

T = TypeVar("T")

SERVICE = "soe-auth"

# Seconds for one call: without a user, and with one who may have to unlock the keyring.
UNATTENDED_TIMEOUT = 10.0
USER_TIMEOUT = 60.0

_REPORT_AFTER = 2.0  # seconds
_RECOMMENDED = 1  # the lowest priority at which the library recommends a backend

_USE_FILES = "to store tokens in files, type `soe-auth config set store file`."
_UNLOCK = "Unlock the keyring, and try again."
_LIST = "To list the backends, type `python -m keyring --list-backends`."


class KeyringBackend:
    """Tokens by name in the system's keyring, as items of the service "soe-auth".

    A call takes `timeout` seconds at most; `report` is called once with each sentence for the user.
    Every method raises StoreError, and does so at once while an earlier call hangs.
    """

    def __init__(self, report: Callable[[str], None], timeout: float = UNATTENDED_TIMEOUT) -> None:
        self._report = cache(report)
        self._timeout = timeout
        self._hanging: Thread | None = None

    def check(self) -> str:
        """Check that the keyring answers; return its backend as PYTHON_KEYRING_BACKEND names it."""

        def work(backend: Backend) -> str:
            backend.get_password(SERVICE, SERVICE)
            return _name_of(backend)

        return self._call(work)

    def get(self, name: str) -> Token | None:
        """Return the token of that name, or None. An item that is not a token is reported."""

        def work(backend: Backend) -> tuple[bool, Token | None]:
            text = backend.get_password(SERVICE, name)
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
            backend.set_password(SERVICE, name, text)
            if _token_or_none(backend.get_password(SERVICE, name)) == token:
                return
            with suppress(Exception):  # a part of it may be there
                backend.delete_password(SERVICE, name)
            raise _unusable(
                f"its backend ({_name_of(backend)}) did not return the token that was stored",
                f"Choose another backend; {_USE_FILES}",
            )

        self._call(work)

    def delete(self, name: str) -> bool:
        """Remove the token of that name; return whether there was one."""

        def work(backend: Backend) -> bool:
            if backend.get_password(SERVICE, name) is None:
                return False
            backend.delete_password(SERVICE, name)
            if backend.get_password(SERVICE, name) is None:
                return True
            raise _unusable(
                f"its backend ({_name_of(backend)}) did not remove the token",
                f"Remove the item {printable(name)} there by hand.",
            )

        return self._call(work)

    def _call(self, work: Callable[[Backend], T]) -> T:
        timed_out = _unusable(f"it did not answer within {in_words(self._timeout)}", _UNLOCK)
        if self._hanging and self._hanging.is_alive():
            raise timed_out
        results: list[T] = []
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
