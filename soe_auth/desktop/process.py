"""Split, find and run other programs."""

from __future__ import annotations

import os
import sys
from errno import ENOENT

from soe_auth.settings import SITE_VARIABLE, TOKEN_VARIABLE, VARIABLE_PREFIX

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from soe_auth.model.secret import Secret

_WINDOWS_EXTENSIONS = ".COM;.EXE;.BAT;.CMD"  # the default of PATHEXT


def split_command(command: str, *, platform: str = sys.platform) -> list[str]:
    """Split a command into words as a shell does; on Windows a backslash escapes nothing.

    Raises ValueError if a quote is not closed.
    """
    if command.isprintable() and command.isascii() and not {*"'\"\\"} & {*command}:
        return command.split()  # importing shlex takes time
    import shlex

    if platform != "win32":
        return shlex.split(command)
    words = shlex.shlex(command, posix=True)
    words.whitespace_split, words.commenters, words.escape, words.quotes = True, "", "", '"'
    return list(words)


def find_program(program: str, path: str, extensions: Sequence[str] = ("",)) -> str | None:
    """Find a program as a shell does, but not in the current directory.

    `path` is the value of PATH; each of the extensions is tried.
    """
    directories = [""] if os.path.dirname(program) else filter(None, path.split(os.pathsep))
    candidates = (os.path.join(each, program) + end for each in directories for end in extensions)
    return next((p for p in candidates if os.path.isfile(p) and os.access(p, os.X_OK)), None)


def without_own_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables of soe-auth, one of which may hold a token."""
    return {name: text for name, text in environ.items() if not name.startswith(VARIABLE_PREFIX)}


def child_environment(
    token: Secret, site: str | None, environ: Mapping[str, str], variable: str
) -> dict[str, str]:
    """Return the environment with the token in a variable, and the site's URL if it is known."""
    changed = {name: value for name, value in environ.items() if name != TOKEN_VARIABLE}
    changed[variable] = token.reveal()
    if site:
        changed[SITE_VARIABLE] = site
    return changed


def exec_command(command: list[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the command.

    Windows cannot: there it runs as a child, and SystemExit is raised with its exit code. Raises
    OSError if it cannot be started.
    """
    if sys.platform == "win32":
        raise SystemExit(run_child(command, environ))
    import signal

    for number in signal.valid_signals():
        # exec resets a handled signal to its default, but would lose one that arrives meanwhile.
        # Python ignores SIGPIPE and SIGXFSZ, which a child would inherit.
        if callable(signal.getsignal(number)) or number in {signal.SIGPIPE, signal.SIGXFSZ}:
            signal.signal(number, signal.SIG_DFL)
    os.execvpe(command[0], command, environ)  # noqa: S606  # the user's own command; no shell


def run_child(
    command: list[str], environ: Mapping[str, str], *, platform: str = sys.platform
) -> int:
    """Run the command as a child, which alone gets Ctrl-C and Ctrl-Break; return its exit code.

    Raises OSError if it cannot be started.
    """
    import signal
    import subprocess

    if platform == "win32":
        # Windows itself would look in the current directory first, and only for .exe files.
        extensions = environ.get("PATHEXT", _WINDOWS_EXTENSIONS).split(";")
        found = find_program(command[0], environ.get("PATH", ""), (*extensions, ""))
        if found is None:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
        command = [found, *command[1:]]
    # A child inherits SIG_IGN, but no handler.
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGBREAK") if hasattr(signal, name)]
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    try:
        code = subprocess.run(command, env=environ, check=False).returncode  # noqa: S603  # the user's own command; no shell
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    # Exit codes of Windows have 32 bits without a sign; os._exit takes them with a sign.
    return code - 2**32 if code >= 2**31 else code
