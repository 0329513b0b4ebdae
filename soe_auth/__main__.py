"""`soe-auth` and `python -m soe_auth`: the first lines that run, and the way out in every case.

It imports the least that it can, so that Ctrl-C is met from the start.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from typing import NoReturn

    from soe_auth.shortcut import Answer

SIGNALLED = 128  # plus the signal's number, as a shell reports it: Ctrl-C is 130
READER_GONE = SIGNALLED + 13  # SIGPIPE
_SIGINT = 2  # on every system; the module signal is not light

# How long an interrupted command may take to put everything away. Some waits cannot be cut short,
# such as a look-up of a host name; nobody who typed Ctrl-C waits for them.
_GRACE = 0.1


def entry_point() -> NoReturn:
    """Run the command of sys.argv and leave with its exit code."""
    came: list[int] = []
    try:
        from soe_auth.shortcut import answer

        if sys.stdout and (known := answer(sys.argv[1:], os.environ)):
            _give(known)
        _watch_signals(came)
        from soe_auth.cli import main

        for stream in (sys.stdout, sys.stderr):
            # A terminal whose encoding lacks a character gets another one, not a traceback.
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # it is a TextIOWrapper
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        _leave(came)
    except BrokenPipeError:
        # The reader has gone (`soe-auth status | head -1`): the interpreter must not try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = READER_GONE
    sys.stderr.flush()
    os._exit(code)  # all is flushed and synced; the system tears the rest down faster


def _give(known: Answer) -> None:
    """Do what the answer says and leave; return only where its command cannot be become."""
    if known.command is None:
        if known.text is not None:
            print(known.text, flush=True)
        os._exit(0)
    from soe_auth.successor import become

    try:
        become(known.command, known.environ)
    except OSError:  # the long way says why
        return


def _watch_signals(came: list[int]) -> None:
    """Have SIGINT, SIGTERM and SIGHUP end what runs, and leave their numbers in `came`."""
    import signal

    def end(number: int, _frame: object) -> None:
        came.append(number)
        if len(came) > 1:
            return  # it is ending already
        sys.unraisablehook = lambda _: None  # an interrupted import or destructor says so, loudly
        if hasattr(signal, "setitimer"):  # pragma: no branch - not on Windows
            signal.signal(signal.SIGALRM, lambda *_: _leave(came))
            signal.setitimer(signal.ITIMER_REAL, _GRACE)
        _interrupt()

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, end)  # nohup, or a shell for its background, has it ignored


def _interrupt() -> None:
    """Raise KeyboardInterrupt, in a running event loop between two of its callbacks.

    Out of a handler it might land anywhere in the loop's inner workings, and be lost.
    """
    if asyncio := sys.modules.get("asyncio"):
        try:
            loop = asyncio.get_running_loop()
        except (AttributeError, RuntimeError):  # it is being imported, or no loop runs
            pass
        else:
            loop.call_soon_threadsafe(_raise)
            return
    _raise()


def _raise() -> NoReturn:
    raise KeyboardInterrupt


def _leave(came: list[int]) -> NoReturn:
    """Say it in a line and be gone: what the system tears down anyway is left to the system."""
    os.write(2, b"\nsoe-auth: interrupted.\n")
    os._exit(SIGNALLED + (came or [_SIGINT])[0])


if __name__ == "__main__":
    entry_point()
