"""`soe-auth` and `python -m soe_auth`: replay or run a command, and return its exit code."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and not (sys.flags.safe_path or hasattr(sys, "frozen")):
    # `python -m` adds the current directory, in which another user may have put a json.py.
    del sys.path[0]

from soe_auth.cli.signals import (
    SIGNALLED,
    exit_interrupted,
    exit_on_ctrl_c,
    handle_signals,
    is_ctrl_c,
)
from soe_auth.cli.streams import OutputError, prepare, write_stderr, write_stdout

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from soe_auth.actions.login_io import LoginIO
    from soe_auth.fast.command_cache import Answer

READER_GONE = SIGNALLED + 13  # SIGPIPE
NOT_WRITTEN = 74  # EX_IOERR of sysexits(3)


def entry_point() -> NoReturn:
    """Run the command of sys.argv and exit with its exit code."""
    signals: list[int] = []
    sys.unraisablehook = exit_on_ctrl_c
    try:
        # All output is flushed and synced; this skips Python's slower cleanup.
        os._exit(_replay_or_run(sys.argv[1:], signals))
    except BaseException as error:
        if signals or is_ctrl_c(error):
            exit_interrupted(signals)
        raise


def _replay_or_run(argv: list[str], signals: list[int]) -> int:
    """Replay the command or run it; return the exit code, with all output flushed."""
    prepare()
    try:
        options: dict[str, Any] = {}
        if replay := _load_replay():
            if (answer := replay(argv, os.environ)) and _print_or_execute(answer):
                return 0
            if "login" in argv:
                from soe_auth.fast.early_browser import start_early

                options["started"] = start_early(argv, os.environ)
        handle_signals(signals)
        from soe_auth.cli.main import main

        if replay:
            from soe_auth.fast.recorder import Recorder

            options |= {"accelerate": _accelerate, "observer": Recorder(argv, os.environ)}
        try:
            return main(argv, **options)
        except SystemExit as end:  # --help or --version
            return int(end.code or 0)
    except BrokenPipeError:  # the reader has gone (`soe-auth status | head -1`)
        return READER_GONE
    except OutputError as problem:
        write_stderr(f"soe-auth: Cannot write to stdout: {problem}.")
        return NOT_WRITTEN


def _load_replay() -> Callable[[list[str], Mapping[str, str]], Answer | None] | None:
    """Load the optimisations; return None if their folder was deleted."""
    try:
        from soe_auth.fast.command_cache import replay
    except ModuleNotFoundError as missing:
        if missing.name != "soe_auth.fast":
            raise
        return None
    return replay


def _accelerate(io: LoginIO) -> LoginIO:
    from soe_auth.fast.preloading import accelerate

    return accelerate(io)


def _print_or_execute(answer: Answer) -> bool:
    """Print the answer's text or execute its command; return False if that cannot be executed."""
    text, command, environ = answer
    if text:
        write_stdout(text, end="")
    if not command:
        return True
    from soe_auth.desktop.process import exec_command

    try:
        exec_command(command, environ)
    except OSError:  # `soe-auth run` reports it
        return False


if __name__ == "__main__":
    entry_point()
