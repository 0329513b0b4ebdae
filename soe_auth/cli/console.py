"""Results go to stdout; messages and questions go to stderr."""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import TYPE_CHECKING, Protocol

from soe_auth.cli.streams import bytes_waiting, is_terminal, write_stderr, write_stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO

    from soe_auth.actions.login_io import LoginIO, StartedLogin
    from soe_auth.doctor.finding import Severity
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings


_COLOURS: dict[Severity, str] = {"ok": "32", "warning": "33", "error": "1;31"}  # ECMA-48, SGR
_ERASE_LINE = "\r\x1b[K"  # ECMA-48, EL


class Observer(Protocol):
    """Receives notifications from a command.

    `prints`, `executes` and `logged_in` are called only if the same command line has the same
    outcome, as long as the files, the variables and the token stay as they are.
    """

    def begins(self) -> None:
        """Note that the command line is valid; settings are read next."""

    def writes_message(self) -> None:
        """Note that a message is written to stderr."""

    def prints(
        self, text: str | None, settings: Settings | None = None, token: Token | None = None
    ) -> None:
        """Note the text that was printed, or None, for the valid stored token of these settings.

        Without a token, the text depends on the config files alone.
        """

    def executes(
        self, command: Sequence[str], variable: str, settings: Settings, token: Token
    ) -> None:
        """Note that the command is executed next, with the stored token in a variable."""

    def logged_in(self, settings: Settings) -> None:
        """Note that a login with a browser has finished."""


class _NoObserver:
    """Ignores all notifications."""

    @staticmethod
    def begins(*_: object, **__: object) -> None:
        """Do nothing."""

    writes_message = prints = executes = logged_in = begins


class Console:
    """The standard streams, and the environment that the command was called in.

    `started` and `accelerate` are those of `main`.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        verbose: bool = False,
        quiet: bool = False,
        observer: Observer | None = None,
        started: StartedLogin | None = None,
        accelerate: Callable[[LoginIO], LoginIO] = lambda io: io,
    ) -> None:
        self.environ = environ
        self.observer: Observer = observer or _NoObserver()
        self.started = started
        self.accelerate = accelerate
        self._verbose = verbose
        self._quiet = quiet
        self._shows_waiting = False

    def result(self, text: str) -> None:
        """Print the result of the command."""
        write_stdout(text)

    def report(self, text: str, *, hang: int = 0, verdict: Severity | None = None) -> None:
        """Print a result for users to read; a terminal gets it wrapped, with `hang` as `fitted`.

        `verdict` is the first word of the text, which gets its own colour.
        """
        if is_terminal(sys.stdout):
            text = fitted(text, _columns(sys.stdout), hang=hang)
        if verdict:
            text = self.coloured(verdict, verdict) + text.removeprefix(verdict)
        write_stdout(text)

    def coloured(self, text: str, meaning: Severity, stream: TextIO | None = None) -> str:
        """Return the text in the colour of its meaning, if the stream (or stdout) shows colours."""
        # https://no-color.org
        if self.environ.get("NO_COLOR") or not self._has_escapes(stream or sys.stdout):
            return text
        return f"\x1b[{_COLOURS[meaning]}m{text}\x1b[0m"

    def _has_escapes(self, stream: TextIO) -> bool:
        return is_terminal(stream) and self.environ.get("TERM", "dumb") != "dumb"

    @property
    def show_waiting(self) -> Callable[[str], None] | None:
        """A function that shows a text on a line that the next call rewrites; "" removes it.

        None if such a line is not wanted or cannot be shown.
        """
        return self._show_waiting if self._has_escapes(sys.stderr) and not self._quiet else None

    def _show_waiting(self, text: str) -> None:
        columns = min(_columns(sys.stderr), 80)  # a line that wraps could not be rewritten
        if self._shows_waiting or (text and in_foreground(sys.stderr.fileno())):
            write_stderr(_ERASE_LINE + text[: columns - 1], end="")
            self._shows_waiting = bool(text)

    def say(self, sentence: str) -> None:
        """Print a message, unless --quiet is given."""
        if not self._quiet:
            self.error(sentence)

    def detail(self, sentence: str) -> None:
        """Print a message, if --verbose is given."""
        if self._verbose:
            self.error(sentence)

    def error(self, sentence: str, *, red: str = "") -> None:
        """Print an error, or what the user must do; the word `red` is coloured."""
        self.observer.writes_message()
        if self._shows_waiting:
            self._show_waiting("")
        if is_terminal(sys.stderr):
            sentence = fitted(sentence, _columns(sys.stderr))
            if red:
                sentence = sentence.replace(red, self.coloured(red, "error", sys.stderr), 1)
        write_stderr(sentence)

    def fail(self, sentence: str) -> None:
        """Print the error that ends the command."""
        self.error(f"soe-auth: {sentence}", red="soe-auth:")

    @property
    def confirm(self) -> Callable[[str], bool] | None:
        """A function that asks a question and returns whether the answer was yes.

        None if no user can answer, or stderr is not a terminal, so that the question is not seen.
        --quiet does not hide it.
        """
        return _confirm if self.can_ask and is_terminal(sys.stderr) else None

    @property
    def ask(self) -> Callable[[str], str | None] | None:
        """A function that asks a question and returns the line, None at the end of the input.

        None if `confirm` is None.
        """
        return _ask if self.confirm else None

    @property
    def can_ask(self) -> bool:
        """Whether stdin is a terminal, and this process is in its foreground.

        The kernel stops a background process that reads from its terminal.
        """
        return is_terminal(sys.stdin) and in_foreground(sys.stdin.fileno())

    @property
    def typed_ahead(self) -> bool:
        """Whether the terminal has lines that were typed before a question."""
        return self.can_ask and bytes_waiting(sys.stdin.fileno()) > 0

    @property
    def has_pipe(self) -> bool:
        """Whether stdin is a pipe or a socket, to which another program can write."""
        mode = os.fstat(sys.stdin.fileno()).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def in_foreground(terminal: int) -> bool:
    """Whether no other process group has the terminal, given as a file descriptor."""
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(terminal) in {0, os.getpgrp()}  # 0: no group is in the foreground
    except OSError:  # it is not this process's controlling terminal
        return True


def _columns(terminal: TextIO) -> int:
    """Return the width of a terminal; sys.maxsize if it reports none, and wraps by itself."""
    return os.get_terminal_size(terminal.fileno()).columns or sys.maxsize


def fitted(text: str, columns: int, *, hang: int = 0) -> str:
    """Wrap lines that are longer than `columns`; the rest is indented as before, plus `hang`.

    Without `hang`, the rest of an entry such as "  1. Open …" is below its text.
    An address and a command in backticks stay whole, to be copied.
    """
    from textwrap import wrap

    def fit(line: str) -> str:
        if len(line) <= columns:
            return line
        indent = line[: len(line) - len(line.lstrip())]
        entry = re.match(r" +(\d+\. |\S+ {2,})", line)
        parts = wrap(
            re.sub("`[^`]*`", lambda code: code[0].replace(" ", "\0"), line.strip()),
            max(columns, len(indent) + 20),
            initial_indent=indent,
            subsequent_indent=indent + " " * (hang or (len(entry[1]) if entry else 0)),
            break_long_words=False,
            break_on_hyphens=False,
        )
        return "\n".join(parts).replace("\0", " ")

    return "\n".join(map(fit, text.split("\n")))


def _confirm(question: str) -> bool:
    """Ask; any answer but y or yes means no. Text typed before the question is discarded."""
    if sys.platform == "win32":
        from msvcrt import getwch, kbhit

        while kbhit():
            getwch()
    else:
        from termios import TCIFLUSH, tcflush

        tcflush(sys.stdin.fileno(), TCIFLUSH)
    return (_ask(question) or "").lower() in {"y", "yes"}


def _ask(question: str) -> str | None:
    write_stderr(question, end="")
    line = sys.stdin.buffer.readline()
    if not line:
        write_stderr("")  # the terminal does not echo Ctrl-D
    return line.decode("utf-8", "replace").strip() if line else None
