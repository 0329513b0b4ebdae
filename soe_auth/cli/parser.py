"""The parser of a command line, which tells of its errors as all others are told."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from soe_auth.errors import SettingsError
from soe_auth.text import printable

if TYPE_CHECKING:
    from typing import NoReturn

_SURPLUS = "unrecognized arguments: "
_NO_CHOICE = re.compile(r"argument (.+?): invalid choice: (.+) \(choose from (.+)\)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes no shortened options, and keeps its description's lines."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # they are argparse's
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError for a command line that cannot be read, in place of SystemExit."""
        to_do = f"`{self.prog} --help` tells what it takes."
        if message.startswith(_SURPLUS):
            surplus = message.removeprefix(_SURPLUS).partition(" ")[0]
            name = surplus.partition("=")[0]
            if not name.startswith("-"):
                raise SettingsError(f"{printable(surplus, 80)!r} is a word too many.", hint=to_do)
            what, word, known = "option", name, list(self._option_string_actions)
        elif found := _NO_CHOICE.fullmatch(message):
            what, word = found[1].lower(), found[2].strip("'\"")
            known = re.findall(r"[\w.-]+", found[3])
        else:
            sentence = printable(message.removeprefix("argument "))
            raise SettingsError(f"{sentence[0].upper()}{sentence[1:]}.", hint=to_do)
        from difflib import get_close_matches

        nearest = get_close_matches(word[:80], known, n=1)
        raise SettingsError(
            f"There is no {what} {printable(word, 80)!r}.",
            hint=f"Did you mean {nearest[0]}?" if nearest else to_do,
        )
