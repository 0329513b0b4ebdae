"""What a name means here: looked up as a connection would, and bounded in time."""

from __future__ import annotations

import socket
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_WITHIN = 5.0  # seconds; resolvers themselves go on for half a minute


def addresses_of(
    name: str,
    port: int,
    *,
    within: float = _WITHIN,
    look_up: Callable[..., list[Any]] = socket.getaddrinfo,
) -> tuple[str, ...]:
    """Return the addresses of a host name. Raises OSError, a TimeoutError after `within` seconds.

    A look-up cannot be cut short, so it is left to a daemon thread.
    """
    answers: SimpleQueue[list[Any] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(look_up(name, port, type=socket.SOCK_STREAM))
        except OSError as problem:
            answers.put(problem)

    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=within)
    except Empty:
        raise TimeoutError("no name server answered in time") from None
    if isinstance(answer, OSError):
        raise answer
    return tuple(dict.fromkeys(str(address[0]) for *_, address in answer))
