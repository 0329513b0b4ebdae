"""The help of a command, in the width of the terminal."""

from __future__ import annotations

import argparse
import re
from typing import Any

from soe_auth.cli.console import fitted

_NARROW = 60  # columns; below that, the help of an option goes on a line of its own


class Help(argparse.RawDescriptionHelpFormatter):
    """Help that fits the terminal: prose is wrapped, indented lines such as commands are not."""

    def format_help(self) -> str:
        """Return the help, in columns that the terminal has room for."""
        if self._width < _NARROW:
            self._max_help_position = 8
        return super().format_help()

    def _format_usage(self, *parts: Any) -> str:  # noqa: ANN401  # they are argparse's
        usage = super()._format_usage(*parts).rstrip()
        return fitted(usage, self._width + 2, hang=len("usage: ")) + "\n\n"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        del indent  # argparse indents sections only, and there are none
        return "\n\n".join(_filled(paragraph, width) for paragraph in text.strip().split("\n\n"))

    def _split_lines(self, text: str, width: int) -> list[str]:
        return fitted(text, width).split("\n")

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """Write `-o, --output FILE`, as Python 3.13 does, and not each name with its value."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return (
            f"{', '.join(action.option_strings)} {self._format_args(action, action.dest.upper())}"
        )


def _filled(paragraph: str, width: int) -> str:
    if "\n  " in paragraph:
        return "\n".join(_fitted_entry(line, width) for line in paragraph.split("\n"))
    return fitted(" ".join(paragraph.split()), width)


def _fitted_entry(line: str, width: int) -> str:
    """Wrap the explanation of a word below itself; a command stays whole, to be copied."""
    entry = re.match(r" +(\S+ {2,})", line)
    if line.startswith(" ") and not entry:
        return line
    if entry and len(entry[1]) > width // 2:
        return f"{entry[0].rstrip()}\n{fitted('    ' + line[entry.end() :], width)}"
    return fitted(line, width)
