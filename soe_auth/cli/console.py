"""The person's side of the command line: results go to stdout, all that is said to stderr."""

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

    from soe_auth.doctor.finding import Severity
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings


_COLOURS: dict[Severity, str] = {"ok": "32", "warning": "33", "error": "1;31"}  # ECMA-48, SGR
_ERASE_LINE = "\r\x1b[K"  # ECMA-48, EL


class Observer(Protocol):
    """What is told what a command does.

    `prints`, `executes` and `logged_in` are told only of what the same command line would do again,
    as long as the files, the variables and the token stay as they are.
    """

    def begins(self) -> None:
        """Note that the command line was accepted; settings are read next."""

    def tells(self) -> None:
        """Note that something is told on stderr."""

    def prints(
        self, text: str | None, settings: Settings | None = None, token: Token | None = None
    ) -> None:
        """Note that a text was printed, or nothing, by a valid stored token of these settings.

        Without a token, the text depends on the config files alone.
        """

    def executes(
        self, command: Sequence[str], variable: str, settings: Settings, token: Token
    ) -> None:
        """Note that the command is exec'ed next, with the stored token in a variable."""

    def logged_in(self, settings: Settings) -> None:
        """Note that a login has finished which opens a browser."""


class _NoObserver:
    """Does nothing, whatever it is told."""

    @staticmethod
    def begins(*_: object, **__: object) -> None:
        """Do nothing."""

    @staticmethod
    def tells(*_: object, **__: object) -> None:
        """Do nothing."""

    @staticmethod
    def prints(*_: object, **__: object) -> None:
        """Do nothing."""

    @staticmethod
    def executes(*_: object, **__: object) -> None:
        """Do nothing."""

    @staticmethod
    def logged_in(*_: object, **__: object) -> None:
        """Do nothing."""


class Console:
    """The only place that prints, and the environment that the command was called in."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        verbose: bool = False,
        quiet: bool = False,
        observer: Observer | None = None,
    ) -> None:
        self.environ = environ
        self.observer: Observer = observer or _NoObserver()
        self._verbose = verbose
        self._quiet = quiet
        self._shows_waiting = False

    def result(self, text: str) -> None:
        """Print what was asked for."""
        write_stdout(text)

    def report(self, text: str, *, hang: int = 0, verdict: Severity | None = None) -> None:
        """Print what was asked for, for a user to read: on a terminal it is broken to fit.

        `verdict` is the word that the text begins with and that has its own colour, if any.
        """
        if is_terminal(sys.stdout):
            text = fitted(text, _columns(sys.stdout), hang=hang)
        if verdict:
            text = self.coloured(verdict, verdict) + text.removeprefix(verdict)
        write_stdout(text)

    def coloured(self, text: str, meaning: Severity, stream: TextIO | None = None) -> str:
        """Return text that says how something is, in the colour of that where colours are seen.

        `stream` is where it will be written; by default the standard output.
        """
        # https://no-color.org
        if self.environ.get("NO_COLOR") or not self._obeys_sequences(stream or sys.stdout):
            return text
        return f"\x1b[{_COLOURS[meaning]}m{text}\x1b[0m"

    def _obeys_sequences(self, stream: TextIO | None) -> bool:
        return is_terminal(stream) and self.environ.get("TERM", "dumb") != "dumb"

    @property
    def show_waiting(self) -> Callable[[str], None] | None:
        """What shows, on a line that is rewritten each time, what is waited for; "" removes it.

        None where no such line is wanted or can be shown.
        """
        return self._show_waiting if self._obeys_sequences(sys.stderr) and not self._quiet else None

    def _show_waiting(self, text: str) -> None:
        columns = min(_columns(sys.stderr), 80)  # a line that wraps could not be rewritten
        if self._shows_waiting or (text and in_foreground(sys.stderr.fileno())):
            write_stderr(_ERASE_LINE + text[: columns - 1], end="")
            self._shows_waiting = bool(text)

    def say(self, sentence: str) -> None:
        """Tell the person, unless they want quiet."""
        if not self._quiet:
            self._tell(sentence)

    def detail(self, sentence: str) -> None:
        """Tell the person who asked for more."""
        if self._verbose:
            self._tell(sentence)

    def error(self, sentence: str) -> None:
        """Tell what went wrong, or what only the person can do."""
        self._tell(sentence)

    def fail(self, sentence: str) -> None:
        """Tell of the error that ends the command; on a terminal its first word is red."""
        word = "soe-auth:"
        self._tell(f"{word} {sentence}", red=word)

    def _tell(self, text: str, *, red: str = "") -> None:
        self.observer.tells()
        if self._shows_waiting:
            self._show_waiting("")
        if is_terminal(sys.stderr):
            text = fitted(text, _columns(sys.stderr))
            if red:
                text = text.replace(red, self.coloured(red, "error", sys.stderr), 1)
        write_stderr(text)

    @property
    def confirm(self) -> Callable[[str], bool] | None:
        """What puts a question to the person and returns whether they said yes; or None.

        Quiet does not silence it. Where stderr is no terminal, no user would see the question.
        """
        return _confirm if self.can_ask and is_terminal(sys.stderr) else None

    @property
    def ask(self) -> Callable[[str], str | None] | None:
        """What puts a question to the person and returns their line; None at the end of input.

        None itself where `confirm` is.
        """
        return _ask if self.confirm else None

    @property
    def can_ask(self) -> bool:
        """Whether a person can type here: a terminal, with us in its foreground.

        A process in the background that reads from its terminal is stopped by the kernel.
        """
        return is_terminal(sys.stdin) and in_foreground(sys.stdin.fileno())

    @property
    def typed_ahead(self) -> bool:
        """Whether lines wait at the terminal that were typed before a question."""
        return self.can_ask and bytes_waiting(sys.stdin.fileno()) > 0

    @property
    def has_pipe(self) -> bool:
        """Whether another program can write to us: standard input is a pipe or a socket."""
        if not sys.stdin:
            return False
        mode = os.fstat(sys.stdin.fileno()).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def in_foreground(terminal: int) -> bool:
    """Return whether no other process group has the terminal, which is a file descriptor."""
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(terminal) in {0, os.getpgrp()}  # 0 where no group is in front
    except OSError:  # it is not the terminal that we were started from
        return True


def _columns(terminal: TextIO) -> int:
    """Return its width; one that was not told it says 0, and wraps by itself."""
    return os.get_terminal_size(terminal.fileno()).columns or sys.maxsize


def fitted(text: str, columns: int, *, hang: int = 0) -> str:
    """Break lines between words where they are too long for that many columns.

    What follows of a line has its indent, and `hang` columns more.
    What is to be copied in one go, an address or a command in backticks, is never broken.
    """
    from textwrap import wrap

    def fit(line: str) -> str:
        if len(line) <= columns:
            return line
        indent = line[: len(line) - len(line.lstrip())]
        whole = re.sub("`[^`]*`", lambda code: code[0].replace(" ", "\0"), line.strip())
        parts = wrap(
            whole,
            max(columns, len(indent) + 20),
            initial_indent=indent,
            subsequent_indent=indent + " " * hang,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return "\n".join(parts).replace("\0", " ")

    return "\n".join(map(fit, text.split("\n")))


def _confirm(question: str) -> bool:
    """Ask; whatever is not a yes is a no, the end of the input included.

    What was typed before the question was to be seen is no answer to it, and is thrown away.
    """
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
        write_stderr("")  # the terminal shows nothing of Ctrl-D
    return line.decode("utf-8", "replace").strip() if line else None
