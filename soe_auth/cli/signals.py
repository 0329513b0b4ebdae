"""Ctrl-C, SIGTERM and SIGHUP: end a command at once, with one line and no traceback.

It imports little, so that Ctrl-C is handled from the start.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    import select
    from typing import NoReturn

SIGNALLED = 128  # plus the signal's number, as a shell reports it: Ctrl-C is 130
_SIGINT = 2  # on every system; importing signal is slow

# Seconds that an interrupted command has to clean up. Some calls cannot be interrupted, such as the
# look-up of a host name; then the command exits without cleanup.
_GRACE = 0.1


def is_ctrl_c(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused the error; in the creation of a class, it becomes a RuntimeError."""
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def exit_on_ctrl_c(ignored: sys.UnraisableHookArgs) -> None:
    """Exit on a Ctrl-C that Python would ignore, in a destructor or the lock of an import."""
    if ignored.exc_type is KeyboardInterrupt:
        exit_interrupted([])
    sys.__unraisablehook__(ignored)


def handle_signals(signals: list[int]) -> None:
    """End the command on SIGINT, SIGTERM and SIGHUP, and add their numbers to `signals`."""
    import signal

    def handle(number: int, _frame: object) -> None:
        signals.append(number)
        if len(signals) > 1:
            return  # the command is ending already
        sys.unraisablehook = lambda _: None  # an interrupted import or destructor prints there
        if sys.platform == "win32":
            from threading import Timer

            timer = Timer(_GRACE, exit_interrupted, [signals])
            timer.daemon = True
            timer.start()
        else:
            signal.signal(signal.SIGALRM, lambda *_: exit_interrupted(signals))
            signal.setitimer(signal.ITIMER_REAL, _GRACE)
        _interrupt()

    # Windows has SIGBREAK instead of SIGHUP, for a closed console and for Ctrl-Break.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        # nohup, and a shell for its background jobs, ignore a signal: keep that.
        if number and signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, handle)


def _interrupt() -> None:
    """Raise KeyboardInterrupt; in a running event loop, between two callbacks.

    Inside the loop's own code, the exception might be lost.
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


def exit_interrupted(signals: list[int]) -> NoReturn:
    """Print one line, if that cannot block, and exit at once."""
    try:
        if sys.platform == "win32":
            _EXITING.acquire()  # the timer's thread may exit at the same time as the main thread
            can_write = True
        else:
            can_write = bool(_block_signals().poll(0))
        if can_write:
            os.write(2, b"\nsoe-auth: interrupted.\n")
    except OSError:  # stderr is closed or full, or its reader has gone
        pass
    os._exit(SIGNALLED + (signals or [_SIGINT])[0])


if sys.platform == "win32":
    from _thread import allocate_lock

    _EXITING = allocate_lock()
else:

    def _block_signals() -> select.poll:
        """Block all signals until the exit; return a poll object for writing to stderr.

        If the grace period ends meanwhile, its handler exits.
        """
        while True:
            try:
                import select
                import signal

                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                stderr = select.poll()
                stderr.register(2, select.POLLOUT)
            except KeyboardInterrupt:
                continue
            return stderr
