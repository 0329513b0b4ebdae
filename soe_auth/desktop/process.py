"""Other programs: how a command is split and found, and how one takes the place of this process."""

from __future__ import annotations

import os
import sys
from errno import ENOENT

from soe_auth.settings import SITE_VARIABLE, TOKEN_VARIABLE

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from soe_auth.model.secret import Secret

_WINDOWS_EXTENSIONS = ".COM;.EXE;.BAT;.CMD"  # what PATHEXT says where it is not set


def split_command(command: str, *, platform: str = sys.platform) -> list[str]:
    """Split a command into words as a shell does; on Windows a backslash is no escape.

    Raises ValueError where a quote is not closed.
    """
    if command.isprintable() and command.isascii() and not {*"'\"\\"} & {*command}:
        return command.split()
    import shlex

    if platform != "win32":
        return shlex.split(command)
    words = shlex.shlex(command, posix=True)
    words.whitespace_split, words.commenters, words.escape, words.quotes = True, "", "", '"'
    return list(words)


def find_program(program: str, path: str, extensions: Sequence[str] = ("",)) -> str | None:
    """Find a program as a shell does, but never in the directory that we happen to be in.

    `path` is the variable PATH; `extensions` are tried in turn.
    """
    if os.path.dirname(program):
        places = [program]
    else:
        places = [os.path.join(each, program) for each in path.split(os.pathsep) if each]
    candidates = (place + extension for place in places for extension in extensions)
    return next((p for p in candidates if os.path.isfile(p) and os.access(p, os.X_OK)), None)


def child_environment(
    token: Secret, site: str | None, environ: Mapping[str, str], variable: str = TOKEN_VARIABLE
) -> dict[str, str]:
    """Return the environment with the token in a variable, and the site's URL if it is known."""
    changed = {name: value for name, value in environ.items() if name != TOKEN_VARIABLE}
    changed[variable] = token.reveal()
    if site:
        changed[SITE_VARIABLE] = site
    return changed


def exec_command(command: list[str], environ: Mapping[str, str]) -> NoReturn:
    """Have the command take the place of this process, as if it had been called itself.

    On Windows, where a process cannot become another, it runs as a child, and SystemExit is raised
    with its exit code. Raises OSError where it cannot be started.
    """
    if sys.platform == "win32":
        raise SystemExit(call(command, environ))
    import signal

    for number in signal.valid_signals():
        # The system gives a caught signal its default in what we become, but one that came while we
        # do would be lost.
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python alone ignores
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(command[0], command, environ)  # noqa: S606  # what the person asked for; no shell


def call(command: list[str], environ: Mapping[str, str], *, platform: str = sys.platform) -> int:
    """Run the command as a child and return its exit code. Raises OSError where that cannot be.

    Ctrl-C and Ctrl-Break are meanwhile for the child alone.
    """
    import signal
    import subprocess

    if platform == "win32":
        # Windows itself would look in the current directory first, and for .exe files only.
        extensions = environ.get("PATHEXT", _WINDOWS_EXTENSIONS).split(";")
        found = find_program(command[0], environ.get("PATH", ""), (*extensions, ""))
        if found is None:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
        command = [found, *command[1:]]
    # It does not inherit a handler, as it would that the signal is ignored.
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGBREAK") if hasattr(signal, name)]
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    try:
        code = subprocess.run(command, env=environ, check=False).returncode  # noqa: S603  # what the user asked for; no shell
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    # Windows has exit codes of 32 bits without a sign, and os._exit takes them with one.
    return code - 2**32 if code >= 2**31 else code
