"""What a host name means here: looked up as a connection would, and bounded in time."""

from __future__ import annotations

import socket
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from soe_auth.errors import LoopbackUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_WITHIN = 5.0  # seconds; resolvers themselves go on for half a minute
_LISTENED_AT = {"127.0.0.1", "::1"}


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

    try:
        Thread(target=ask, daemon=True).start()
    except RuntimeError:  # none can be started
        ask()
    try:
        answer = answers.get(timeout=within)
    except Empty:
        raise TimeoutError("no name server answered in time") from None
    if isinstance(answer, OSError):
        raise answer
    return tuple(dict.fromkeys(str(address[0]) for *_, address in answer))


def require_loopback(
    name: str, known: Callable[[str, int], tuple[str, ...]] = addresses_of
) -> None:
    """Raise LoopbackUnavailable unless the name means the addresses that are listened at, alone.

    Else the browser would carry the code to another machine. `known` returns a name's addresses.
    """
    try:
        elsewhere = [address for address in known(name, 80) if address not in _LISTENED_AT]
        why = f"it is {elsewhere[0]} here, and not 127.0.0.1 or ::1 alone" if elsewhere else ""
    except OSError as problem:
        why = f"this machine cannot look it up: {problem.strerror or problem}"
    if why:
        raise LoopbackUnavailable(
            f"Cannot use {name} for the redirect: {why}.",
            hint=f"Have your DNS or the hosts file say `127.0.0.1 {name}`, choose another with"
            " --redirect-host, or use --redirect login_success.",
        )
