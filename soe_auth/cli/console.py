"""The person's side of the command line: results go to stdout, all that is said to stderr."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Console:
    """The only place that prints, and the environment that the command was called in."""

    def __init__(
        self, environ: Mapping[str, str], *, verbose: bool = False, quiet: bool = False
    ) -> None:
        self.environ = environ
        self._verbose = verbose
        self._quiet = quiet

    def result(self, text: str) -> None:
        """Print what was asked for."""
        print(text, flush=True)

    def say(self, sentence: str) -> None:
        """Tell the person, unless they want quiet."""
        if not self._quiet:
            print(sentence, file=sys.stderr, flush=True)

    def detail(self, sentence: str) -> None:
        """Tell the person who asked for more."""
        if self._verbose:
            print(sentence, file=sys.stderr, flush=True)

    def error(self, sentence: str) -> None:
        """Tell what went wrong, or what only the person can do."""
        print(sentence, file=sys.stderr, flush=True)

    @property
    def confirm(self) -> Callable[[str], bool] | None:
        """What puts a question to the person and returns whether they said yes; or None.

        Quiet does not silence it. Where stderr is no terminal, nobody would see the question.
        """
        return _confirm if self.can_ask and sys.stderr.isatty() else None

    @property
    def can_ask(self) -> bool:
        """Whether a person can type here: a terminal, with us in its foreground.

        A process in the background that reads from its terminal is stopped by the kernel.
        """
        if not sys.stdin or not sys.stdin.isatty():
            return False
        if sys.platform == "win32":  # pragma: no cover - Windows has no such groups
            return True
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()


def _confirm(question: str) -> bool:
    """Ask; whatever is not a yes is a no, the end of the input included."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.buffer.readline().strip().lower() in {b"y", b"yes"}
