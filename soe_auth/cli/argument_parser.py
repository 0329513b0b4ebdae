"""The parser of a command line, which tells of its errors as all others are told."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from soe_auth.cli.console import fitted
from soe_auth.errors import SettingsError
from soe_auth.model.text import nearest, printable

if TYPE_CHECKING:
    from typing import NoReturn

_SURPLUS = "unrecognized arguments: "
_NO_CHOICE = re.compile(r"argument (.+?): invalid choice: (.+) \(choose from (.+)\)", re.DOTALL)
# What may be said again: whatever else was typed by mistake might be a token, a code or a password.
_HARMLESS = re.compile(r"-{0,2}[a-z][a-z,-]{0,19}|-[A-Z]")


class Help(argparse.RawDescriptionHelpFormatter):
    """Help that fits the terminal: prose is filled again, and what is indented keeps its lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        del indent  # sections alone have one, and we have none
        return "\n\n".join(_filled(paragraph, width) for paragraph in text.strip().split("\n\n"))


def _filled(paragraph: str, width: int) -> str:
    if "\n  " in paragraph:
        return "\n".join(_fitted_entry(line, width) for line in paragraph.split("\n"))
    return fitted(" ".join(paragraph.split()), width)


def _fitted_entry(line: str, width: int) -> str:
    """Break what explains a word below itself; a command stays in one piece, to be copied."""
    entry = re.match(r" +(\S+ {2,})", line)
    if line.startswith(" ") and not entry:
        return line
    return fitted(line, width, hang=len(entry[1]) if entry else 0)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes no shortened options."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # they are argparse's
        super().__init__(formatter_class=Help, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError for a command line that cannot be read, in place of SystemExit."""
        to_do = f"`{self.prog} --help` tells what it takes."
        if message.startswith(_SURPLUS):
            surplus = message.removeprefix(_SURPLUS).partition(" ")[0]
            name = surplus.partition("=")[0]
            if not name.startswith("-"):
                if not _HARMLESS.fullmatch(name):
                    raise SettingsError("There is a word too many.", hint=to_do)
                raise SettingsError(f"{name!r} is a word too many.", hint=self._instead(to_do))
            what, word, known = "option", name, list(self._option_string_actions)
        elif found := _NO_CHOICE.fullmatch(message):
            what, word = found[1].lower(), found[2].strip("'\"")
            known = re.findall(r"[\w.-]+", found[3])
        else:
            sentence, _, _ = message.removeprefix("argument ").partition(" '")
            sentence = printable(sentence)
            raise SettingsError(f"{sentence[0].upper()}{sentence[1:]}.", hint=to_do)
        if not _HARMLESS.fullmatch(word):
            raise SettingsError(f"There is no such {what}.", hint=to_do)
        meant = nearest(word, known)
        raise SettingsError(
            f"There is no {what} {word!r}.", hint=f"Did you mean {meant}?" if meant else to_do
        )

    def _instead(self, to_do: str) -> str:
        """Return what to do about a word that was meant, most likely, to name a site or profile."""
        if "--site" in self._option_string_actions:
            return f"A site is named by --site, a profile by -p; {to_do}"
        return f"A profile is named by -p; {to_do}"
