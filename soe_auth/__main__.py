"""`soe-auth` and `python -m soe_auth`: the first lines that run, and the way out in every case.

It imports the least that it can, so that Ctrl-C is met from the start.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and not (sys.flags.safe_path or hasattr(sys, "frozen")):
    # `python -m` puts the current directory there, and anyone's json.py may lie in it.
    del sys.path[0]

from soe_auth.cli.streams import OutputError, prepare, write_stderr, write_stdout

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    import select
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from soe_auth.actions.login_io import LoginIO
    from soe_auth.fast.replay import Answer

SIGNALLED = 128  # plus the signal's number, as a shell reports it: Ctrl-C is 130
READER_GONE = SIGNALLED + 13  # SIGPIPE
NOT_WRITTEN = 74  # EX_IOERR of sysexits(3)
_SIGINT = 2  # on every system; the module signal is not light

# How long an interrupted command may take to put everything away. Some waits cannot be cut short,
# such as a look-up of a host name; Ctrl-C does not wait for them.
_GRACE = 0.1


def entry_point() -> NoReturn:
    """Run the command of sys.argv and leave with its exit code."""
    came: list[int] = []
    sys.unraisablehook = _heed_ctrl_c
    try:
        # All is flushed and synced; the system tears the rest down faster.
        os._exit(_run(sys.argv[1:], came))
    except BaseException as end:
        if came or _is_of_ctrl_c(end):
            _leave(came)
        raise


def _is_of_ctrl_c(end: BaseException | None) -> bool:
    """Say whether Ctrl-C led to it: a class that is just being made has a RuntimeError for that."""
    while end and not isinstance(end, KeyboardInterrupt):
        end = end.__cause__ or end.__context__
    return end is not None


def _heed_ctrl_c(ignored: sys.UnraisableHookArgs) -> None:
    """Leave if it is Ctrl-C: what a destructor or the lock of an import raises, Python ignores."""
    if ignored.exc_type is KeyboardInterrupt:
        _leave([])
    sys.__unraisablehook__(ignored)


def _run(argv: list[str], came: list[int]) -> int:
    """Answer from the cache or run the command; return the exit code, with all flushed."""
    prepare()
    try:
        replay = _load_replay()
        if replay and (known := replay(argv, os.environ)) and _give(known):
            return 0
        started = None
        if replay and "login" in argv:
            from soe_auth.fast.early_browser import start_early

            started = start_early(argv, os.environ)
        _watch_signals(came)
        from soe_auth.cli.main import main

        try:
            if replay:
                from soe_auth.fast.recorder import Recorder

                recorder = Recorder(argv, os.environ)
                code = main(argv, started=started, accelerate=_accelerate, observer=recorder)
            else:
                code = main(argv)
        except SystemExit as end:  # which is how argparse ends
            code = int(end.code or 0)
        write_stdout(end="")
    except BrokenPipeError:  # the reader has gone (`soe-auth status | head -1`)
        return READER_GONE
    except OutputError as problem:
        write_stderr(f"soe-auth: stdout could not be written: {problem}.")
        return NOT_WRITTEN
    return code


def _load_replay() -> Callable[[list[str], Mapping[str, str]], Answer | None] | None:
    """Load the optimisations; return None where their folder was deleted."""
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


def _give(known: Answer) -> bool:
    """Do what the answer says; return False where its command cannot be exec'ed."""
    if known.command is None:
        if known.text is not None:
            write_stdout(known.text)
        return True
    from soe_auth.desktop.process import exec_command

    try:
        exec_command(known.command, known.environ)
    except OSError:  # the command itself says why
        return False


def _watch_signals(came: list[int]) -> None:
    """Have SIGINT, SIGTERM and SIGHUP end what runs, and leave their numbers in `came`."""
    import signal

    def end(number: int, _frame: object) -> None:
        came.append(number)
        if len(came) > 1:
            return  # it is ending already
        sys.unraisablehook = lambda _: None  # an interrupted import or destructor says so, loudly
        if sys.platform == "win32":
            from threading import Timer

            timer = Timer(_GRACE, _leave, [came])
            timer.daemon = True
            timer.start()
        else:
            signal.signal(signal.SIGALRM, lambda *_: _leave(came))
            signal.setitimer(signal.ITIMER_REAL, _GRACE)
        _interrupt()

    # Windows has no SIGHUP; a console that is closed, and Ctrl-Break, are SIGBREAK there.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
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
    _say_interrupted()
    os._exit(SIGNALLED + (came or [_SIGINT])[0])


def _say_interrupted() -> None:
    """Say it once, whatever comes meanwhile, where that blocks on nothing and can be written."""
    try:
        if sys.platform == "win32":
            _LEAVING.acquire()  # the timer's thread may leave at the same time as the main one
        elif not _block_signals().poll(0):
            return
        os.write(2, b"\nsoe-auth: interrupted.\n")
    except OSError:  # it is closed, full, or its reader has gone
        return


if sys.platform == "win32":
    from _thread import allocate_lock

    _LEAVING = allocate_lock()
else:

    def _block_signals() -> select.poll:
        """Have no signal handled from now on, and return what tells whether stderr takes a line.

        The end of the grace period, if it is pending, is handled by this, and leaves.
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
