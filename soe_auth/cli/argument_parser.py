"""Parse a command line: help that fits the terminal, and usage errors as SettingsError."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from soe_auth.cli.console import fitted
from soe_auth.errors import SettingsError
from soe_auth.model.text import nearest, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

_NARROW = 60  # columns; below that, the help of an option goes on a line of its own
# The words that a message may repeat. Any other could be a token, a code or a password.
_HARMLESS = re.compile(r"-{0,2}[a-z][a-z,-]{0,19}|-[A-Z]")


class Help(argparse.RawDescriptionHelpFormatter):
    """Help that fits the terminal: prose is wrapped, indented lines such as commands are not."""

    def __init__(self, prog: str, **options: Any) -> None:  # noqa: ANN401  # they are argparse's
        super().__init__(prog, **options)
        if self._width < _NARROW:
            self._max_help_position = 8

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
    return fitted(line, width, hang=len(entry[1]) if entry else 0)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes no shortened options, and raises SettingsError."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # they are argparse's
        super().__init__(formatter_class=Help, allow_abbrev=False, **options)
        self._positionals.title = "arguments"

    def parse(self, words: Sequence[str], namespace: argparse.Namespace) -> argparse.Namespace:
        """Parse all words into `namespace`. Raises SettingsError."""
        namespace, surplus = self.parse_known_args(words, namespace)
        if surplus:
            self._reject_surplus(surplus[0], words.index(surplus[0]) + 1)
        return namespace

    def format_help(self) -> str:
        """Write the help; its usage line has required options and arguments only."""
        words = [self.prog, "[options]", *map(_usage, self._actions)]
        self.usage: str | None = self.usage or " ".join(filter(None, words))
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError, where argparse would exit."""
        # Behind a quote, argparse repeats what was typed.
        sentence = printable(message.removeprefix("argument ").partition(" '")[0])
        choices = [a.choices for a in self._actions if a.choices and not a.option_strings]
        hint = f"Choose {listed(choices[0])}." if choices and "required" in sentence else ""
        raise SettingsError(f"{sentence[0].upper()}{sentence[1:]}.", hint=hint or self._hint)

    def reject(self, what: str, word: str, known: Iterable[str], hint: str) -> NoReturn:
        """Raise SettingsError for a word that is not among the known ones."""
        if not _HARMLESS.fullmatch(word):
            raise SettingsError(f"Unknown {what}.", hint=hint)
        meant = nearest(word, known)
        hint = f"Did you mean {meant}? {hint}" if meant else hint
        raise SettingsError(f"Unknown {what} {word!r}.", hint=hint)

    @property
    def _hint(self) -> str:
        return f"`{self.prog} --help` lists the options."

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401  # argparse's
        if action.choices is not None and value not in action.choices:
            what = max(action.option_strings, key=len, default=action.dest)
            self.reject(what, value, action.choices, f"Choose {listed(action.choices)}.")

    def _reject_surplus(self, word: str, position: int) -> NoReturn:
        name = word.partition("=")[0]
        if name.startswith("-"):
            self.reject("option", name, self._option_string_actions, self._hint)
        options = self._option_string_actions
        hint = "Name a profile with -p." if "-p" in options else self._hint
        if "--site" in options:
            hint = "Name a site with --site, a profile with -p."
        if _HARMLESS.fullmatch(name):
            raise SettingsError(f"Unexpected argument {name!r}.", hint=hint)
        raise SettingsError(
            f"Unexpected argument: word {position} after `{self.prog}`."
            " It is not shown, as it may be secret.",
            hint=hint,
        )


def _usage(action: argparse.Action) -> str:
    metavar = str(action.metavar or action.dest.upper())
    if action.option_strings:
        return f"{action.option_strings[-1]} {metavar}" if action.required else ""
    if action.help == argparse.SUPPRESS:
        return ""
    if action.nargs == argparse.PARSER:
        return f"{metavar} …"
    return f"[{metavar}]" if action.nargs == argparse.OPTIONAL else metavar


def listed(choices: Iterable[str]) -> str:
    """Return the choices as a phrase: `a, b or c`."""
    *others, last = choices
    return f"{', '.join(others)} or {last}"
