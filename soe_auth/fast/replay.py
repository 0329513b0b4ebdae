"""Replay: answer a command line from the cache, as the command itself would answer it.

What is not in the cache, or has changed in any way, is left to the command, which alone has errors
and warnings to tell. `soe_auth.fast.recorder` has the outcomes cached.
"""

from __future__ import annotations

import os
import time

from soe_auth.fast.cache import Cache, identity
from soe_auth.files.private_read import read_private, secure_directory

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MAX_WORDS = 12  # of a command line, those of a child's command not counted


class Answer:
    """What is to be printed, if anything, or the command to exec, in its environment.

    The exit code is 0.
    """

    __slots__ = ("command", "environ", "text")

    def __init__(
        self,
        text: str | None = None,
        command: list[str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.text: str | None = text
        self.command: list[str] | None = command
        self.environ: Mapping[str, str] = environ or {}


def replay(
    argv: Sequence[str], environ: Mapping[str, str], now: Callable[[], float] = time.time
) -> Answer | None:
    """Answer a command line, or return None where the command itself has to.

    `now` gives seconds since the epoch.
    """
    try:
        cache = Cache(environ)
        data = cache.load()
        for count in range(1, min(len(argv), _MAX_WORDS) + 1):
            words, child = list(argv[:count]), list(argv[count:])
            match cache.lookup(data, words):
                case ["text", text] if not child:
                    return Answer(text)
                case ["print", *source, before, after] if not child:
                    return Answer(before + _token(source, now) + after)
                case ["nothing", *source] if not child:
                    _token(source, now)
                    return Answer()
                # A word with a dash might still be an option of `run`.
                case ["exec", *source, variable, site] if child and child[0][:1] not in {"", "-"}:
                    return _exec(_token(source, now), child, environ, variable, site)
                case _:
                    pass
    except (OSError, ValueError):
        pass
    return None


def _token(source: Sequence[str], now: Callable[[], float]) -> str:
    """Read a token. Raises ValueError where it may be another, or no longer valid, OSError."""
    valid_until, path, known, start, length = source
    if not now() < float(valid_until) or secure_directory(os.path.dirname(path), repair=False):
        raise ValueError
    end = int(start) + int(length)
    data, others, status = read_private(path, end, repair=False)
    if others or identity(status) != known:
        raise ValueError
    return data[int(start) :].decode("ascii")


def _exec(
    token: str, command: list[str], environ: Mapping[str, str], variable: str, site: str
) -> Answer:
    from soe_auth.desktop.process import child_environment
    from soe_auth.model.secret import Secret

    return Answer(None, command, child_environment(Secret(token), site, environ, variable))
