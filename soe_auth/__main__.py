"""`soe-auth` and `python -m soe_auth`: run a command; end it on a signal or an output error.

It imports little, so that Ctrl-C is handled from the start.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and not (sys.flags.safe_path or hasattr(sys, "frozen")):
    # `python -m` puts the current directory there, which may hold anyone's json.py.
    del sys.path[0]

from soe_auth.cli.streams import OutputError, prepare, write_stderr, write_stdout

TYPE_CHECKING = False  # importing typing is slow
if TYPE_CHECKING:
    import select
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from soe_auth.actions.login_io import LoginIO
    from soe_auth.fast.replay import Answer

SIGNALLED = 128  # plus the signal's number, as a shell reports it: Ctrl-C is 130
READER_GONE = SIGNALLED + 13  # SIGPIPE
NOT_WRITTEN = 74  # EX_IOERR of sysexits(3)
_SIGINT = 2  # on every system; importing signal is slow

# How long an interrupted command may clean up. Some waits cannot be cut short, such as the look-up
# of a host name; Ctrl-C does not wait for them.
_GRACE = 0.1


def entry_point() -> NoReturn:
    """Run the command of sys.argv and exit with its exit code."""
    signals: list[int] = []
    sys.unraisablehook = _exit_on_ctrl_c
    try:
        # All is flushed and synced; the system frees the rest faster.
        os._exit(_run(sys.argv[1:], signals))
    except BaseException as error:
        if signals or _is_ctrl_c(error):
            _exit_interrupted(signals)
        raise


def _is_ctrl_c(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused the error: while a class is created, it becomes a RuntimeError."""
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _exit_on_ctrl_c(ignored: sys.UnraisableHookArgs) -> None:
    """Exit on a Ctrl-C that Python would ignore, in a destructor or the lock of an import."""
    if ignored.exc_type is KeyboardInterrupt:
        _exit_interrupted([])
    sys.__unraisablehook__(ignored)


def _run(argv: list[str], signals: list[int]) -> int:
    """Replay the command or run it; return the exit code, with all output flushed."""
    prepare()
    try:
        options: dict[str, Any] = {}
        if replay := _load_replay():
            if (answer := replay(argv, os.environ)) and _give(answer):
                return 0
            if "login" in argv:
                from soe_auth.fast.early_browser import start_early

                options["started"] = start_early(argv, os.environ)
        _handle_signals(signals)
        from soe_auth.cli.main import main

        if replay:
            from soe_auth.fast.recorder import Recorder

            options |= {"accelerate": _accelerate, "observer": Recorder(argv, os.environ)}
        try:
            code = main(argv, **options)
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
        write_stdout(end="")
    except BrokenPipeError:  # the reader has gone (`soe-auth status | head -1`)
        return READER_GONE
    except OutputError as problem:
        write_stderr(f"soe-auth: Cannot write to stdout: {problem}.")
        return NOT_WRITTEN
    return code


def _load_replay() -> Callable[[list[str], Mapping[str, str]], Answer | None] | None:
    """Load the optimisations; return None if their folder was deleted."""
    try:
        from soe_auth.fast.replay import replay
    except ModuleNotFoundError as missing:
        if missing.name != "soe_auth.fast":
            raise
        return None
    return replay


def _accelerate(io: LoginIO) -> LoginIO:
    from soe_auth.fast.preloading import accelerate

    return accelerate(io)


def _give(answer: Answer) -> bool:
    """Print the answer's text or execute its command; return False if that cannot be executed."""
    if answer.command is None:
        if answer.text is not None:
            write_stdout(answer.text)
        return True
    from soe_auth.desktop.process import exec_command

    try:
        exec_command(answer.command, answer.environ)
    except OSError:  # `soe-auth run` reports it
        return False


def _handle_signals(signals: list[int]) -> None:
    """End the command on SIGINT, SIGTERM and SIGHUP, and add their numbers to `signals`."""
    import signal

    def handle(number: int, _frame: object) -> None:
        signals.append(number)
        if len(signals) > 1:
            return  # it is ending already
        sys.unraisablehook = lambda _: None  # an interrupted import or destructor prints there
        if sys.platform == "win32":
            from threading import Timer

            timer = Timer(_GRACE, _exit_interrupted, [signals])
            timer.daemon = True
            timer.start()
        else:
            signal.signal(signal.SIGALRM, lambda *_: _exit_interrupted(signals))
            signal.setitimer(signal.ITIMER_REAL, _GRACE)
        _interrupt()

    # Windows has SIGBREAK in place of SIGHUP: the console is closed, or Ctrl-Break is pressed.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        # nohup, and a shell for its background jobs, have it ignored, and it stays so.
        if number and signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, handle)


def _interrupt() -> None:
    """Raise KeyboardInterrupt; in a running event loop, between two callbacks.

    Raised by a handler amid the loop's own code, it might be lost.
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


def _exit_interrupted(signals: list[int]) -> NoReturn:
    """Print a line, once and where that cannot block, and exit at once."""
    try:
        if sys.platform == "win32":
            _EXITING.acquire()  # the timer's thread may exit at the same time as the main thread
            can_write = True
        else:
            can_write = bool(_block_signals().poll(0))
        if can_write:
            os.write(2, b"\nsoe-auth: interrupted.\n")
    except OSError:  # it is closed or full, or its reader has gone
        pass
    os._exit(SIGNALLED + (signals or [_SIGINT])[0])


if sys.platform == "win32":
    from _thread import allocate_lock

    _EXITING = allocate_lock()
else:

    def _block_signals() -> select.poll:
        """Block all signals for good, and return what polls whether stderr can be written.

        If the grace period ends meanwhile, its handler exits from here.
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


if __name__ == "__main__":
    entry_point()
