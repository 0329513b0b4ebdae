"""The system's keyring, whichever that is: the only door to the library, and bounded in time.

Behind the library are other people's programs, which may hang, lie, and put anything into their
exceptions. So each call runs in a daemon thread, plain text never leaves that
thread, and what was kept is read back.
"""

from __future__ import annotations

import json
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from soe_auth.errors import StoreError
from soe_auth.model.duration import in_words
from soe_auth.model.text import printable
from soe_auth.storage.file_store import report_once
from soe_auth.storage.token_format import token_from_json, token_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyring.backend import KeyringBackend as Backend

    from soe_auth.model.token import Token

T = TypeVar("T")

SERVICE = "soe-auth"

# Seconds for one call: without a user, and with a user who may have to unlock it.
QUICK = 10.0
USER_PRESENT = 60.0

_WORTH_A_WORD = 2.0  # seconds after which a person should know what is waited for
_RECOMMENDED = 1  # the priority from which on the library itself recommends a backend

_USE_FILES = "tokens are kept in files with `soe-auth config set store file`."
_UNLOCK = "See whether it waits for you to unlock it, and try again."
_LOOK = "`python -m keyring --list-backends` shows which there are."


class KeyringBackend:
    """Tokens by name in the system's keyring, as items of the service "soe-auth".

    A call takes `limit` seconds at most; `report` gets a sentence, once, for each thing a person
    should know. Every method raises StoreError, also at once as long as a call before it hangs.
    """

    def __init__(self, *, limit: float, report: Callable[[str], None]) -> None:
        self._limit = limit
        self._report = report_once(report)
        self._late: Thread | None = None

    def ask(self) -> str:
        """See that it answers; return its backend, as PYTHON_KEYRING_BACKEND would name it."""

        def work(backend: Backend) -> str:
            backend.get_password(SERVICE, SERVICE)
            return _name_of(backend)

        return self._bounded(work)

    def get(self, name: str) -> Token | None:
        """Return the token of that name, or None; what is no token is told, and counts as none."""

        def work(backend: Backend) -> tuple[bool, Token | None]:
            text = backend.get_password(SERVICE, name)
            return text is not None, _as_token(text)

        there, token = self._bounded(work)
        if there and token is None:
            self._report(
                f"What the keyring holds as {printable(name)} is no token;"
                " the next login replaces it."
            )
        return token

    def set(self, name: str, token: Token) -> None:
        """Keep a token under that name, and see that it is there, whole."""

        def work(backend: Backend) -> None:
            # On one line and short, as some keep no more than a line, or 2,560 bytes in UTF-16.
            text = json.dumps(json.loads(token_to_json(token)), separators=(",", ":"))
            backend.set_password(SERVICE, name, text)
            if _as_token(backend.get_password(SERVICE, name)) == token:
                return
            with suppress(Exception):  # a part of it may be there
                backend.delete_password(SERVICE, name)
            raise _Refused(
                f"The keyring ({_name_of(backend)}) did not give back what it was to keep.",
                f"Another backend may do better, or {_USE_FILES}",
            )

        self._bounded(work)

    def delete(self, name: str) -> bool:
        """Remove the token of that name; return whether there was one."""

        def work(backend: Backend) -> bool:
            if backend.get_password(SERVICE, name) is None:
                return False
            backend.delete_password(SERVICE, name)
            if backend.get_password(SERVICE, name) is None:
                return True
            raise _Refused(
                f"The keyring ({_name_of(backend)}) still holds what it was to remove.",
                f"Remove it there by hand: its name is {printable(name)}.",
            )

        return self._bounded(work)

    def _bounded(self, work: Callable[[Backend], T]) -> T:
        hangs = StoreError(
            f"The keyring did not answer within {in_words(self._limit)}.", hint=_UNLOCK
        )
        if self._late and self._late.is_alive():
            raise hangs
        answers: list[T] = []
        refusals: list[StoreError] = []

        def run() -> None:
            try:
                answers.append(work(_open()))
            except BaseException as problem:  # noqa: BLE001  # whatever it is, it ends in words
                refusals.append(_in_words(problem))

        # A daemon, as the process must be able to end while the keyring hangs.
        thread = Thread(target=run, name="keyring", daemon=True)
        try:
            thread.start()
        except RuntimeError as problem:
            raise StoreError(
                f"The keyring cannot be asked: {problem}.",
                hint="End other programs of yours: this system allows no more threads.",
            ) from None
        thread.join(min(_WORTH_A_WORD, self._limit))
        if thread.is_alive():
            self._report("Waiting for the keyring, which may ask you to unlock it …")
            thread.join(max(0.0, self._limit - _WORTH_A_WORD))
        if answers:
            return answers[0]
        if refusals:
            raise refusals[0]
        self._late = thread
        raise hangs


def _as_token(text: str | None) -> Token | None:
    try:
        return None if text is None else token_from_json(text.encode())
    except ValueError:
        return None


class _Refused(Exception):
    """A refusal in our own words, with what to do about it.

    It stays in the thread: the frames of its traceback hold plain text, as no StoreError's may.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def _open() -> Backend:
    """Find the backend that a token may be trusted to. Raises _Refused."""
    try:
        import keyring
        from keyring.backends import chainer, fail, null
    except ModuleNotFoundError:
        raise _Refused(
            "The settings say store = keyring, and the library for it is not installed.",
            f"Install the library keyring beside soe-auth, or {_USE_FILES}",
        ) from None
    try:
        backend = keyring.get_keyring()
        if chained := isinstance(backend, chainer.ChainerBackend):
            # A chain goes on to the next where one refuses, which may be one that keeps plain
            # text: so of a chain the strongest alone is used.
            backend = next(iter(backend.backends), backend)
        weak = backend.priority < _RECOMMENDED and (chained or not _was_named(backend))
    except Exception as problem:  # noqa: BLE001  # a backend's own code runs here
        # No token is near yet, so what the library says can be shown.
        raise _Refused(
            f"The keyring cannot be used: {printable(str(problem)).rstrip('.')}.", _LOOK
        ) from None
    if isinstance(backend, fail.Keyring | chainer.ChainerBackend):
        raise _Refused(
            "There is no keyring here.",
            f"On Linux, one such as gnome-keyring has to run in your session; {_USE_FILES}",
        )
    if isinstance(backend, null.Keyring):
        raise _Refused("The keyring that was chosen keeps nothing (null).", _LOOK)
    if weak:
        raise _Refused(
            f"The only keyring here ({_name_of(backend)}) is one that its makers do not recommend.",
            "If you trust it with a token, name it in PYTHON_KEYRING_BACKEND or keyringrc.cfg;"
            f" {_USE_FILES}",
        )
    return backend


def _was_named(backend: Backend) -> bool:
    """Whether a person chose it: by PYTHON_KEYRING_BACKEND, or in keyringrc.cfg."""
    from keyring.core import load_config, load_env

    return type(backend) is type(load_env() or load_config())


def _name_of(backend: Backend) -> str:
    kind = type(backend)
    return printable(f"{kind.__module__}.{kind.__qualname__}")


def _in_words(problem: BaseException) -> StoreError:
    """Say what happened, without the words of a backend, as a token may be among them."""
    if isinstance(problem, _Refused):
        return StoreError(str(problem), hint=problem.hint)
    from keyring.errors import KeyringLocked

    if isinstance(problem, KeyringLocked):
        return StoreError("The keyring is locked, and was not unlocked.", hint=_UNLOCK)
    kind = printable(type(problem).__name__)
    return StoreError(f"The keyring refused ({kind}).", hint=_LOOK)
