"""Ask the user questions, one line each, with a default in brackets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from soe_auth.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_TRIES = 5
_YES_OR_NO = {"y": True, "yes": True, "n": False, "no": False}


@dataclass(frozen=True, slots=True)
class Prompter:
    """Asks a user; if there is none, every default is used.

    `ask_line` shows a question and returns the line that was typed, or None at the end of the
    input; it is None itself if there is no user. `show` prints a message.
    """

    ask_line: Callable[[str], str | None] | None
    show: Callable[[str], None]

    @property
    def can_ask(self) -> bool:
        """Whether there is a user to ask."""
        return self.ask_line is not None

    def ask(self, question: str, read: Callable[[str], T], *, default: str, flag: str) -> T:
        """Ask until `read` accepts the answer; Enter alone takes the default, unless it is empty.

        `read` raises ValueError for an answer that it rejects; `flag` is the option that gives the
        same answer. Raises SettingsError after too many wrong answers, at the end of the input, and
        if there is neither a user nor a default.
        """
        if self.ask_line is None:
            if not default:
                raise SettingsError(
                    f"Cannot ask for {flag}: with --yes, or without a terminal, no question is"
                    " asked.",
                    hint=f"Add {flag}.",
                )
            try:
                return read(default)
            except ValueError as problem:
                raise SettingsError(
                    f"Cannot use the default of {flag}: {problem}.", hint=f"Add {flag}."
                ) from None
        for _ in range(_TRIES):
            line = self.ask_line(f"{question} [{default}]: " if default else f"{question}: ")
            if line is None:
                raise SettingsError(
                    "The input ended, so nothing was written.",
                    hint="Start again with `soe-auth init`.",
                )
            try:
                if text := line or default:
                    return read(text)
                self.show("An answer is required.")
            except ValueError as problem:
                self.show(f"Cannot use that: {problem}.")
        raise SettingsError(
            f"No valid answer in {_TRIES} tries, so nothing was written.",
            hint=f"Start again, or give the answer as an option: {flag}.",
        )

    def choose(
        self, question: str, choices: Sequence[tuple[str, str]], *, default: str, flag: str
    ) -> str:
        """Ask for one of several choices, by number or name; each is a name and a sentence.

        `default` is the name of the choice for Enter alone. Raises SettingsError as `ask`.
        """
        names = [name for name, _ in choices]
        by_text = {str(number): name for number, name in enumerate(names, 1)}
        by_text |= {text: name for name in names for text in (name, name[0])}

        def read(text: str) -> str:
            if text.lower() not in by_text:
                raise ValueError(f"write a number from 1 to {len(names)}")
            return by_text[text.lower()]

        if self.ask_line:
            lines = [f"  {number}  {what}" for number, (_, what) in enumerate(choices, 1)]
            self.show("\n".join(["", question, *lines]))
        return self.ask("Choice", read, default=str(names.index(default) + 1), flag=flag)

    def confirm(self, question: str, *, default: bool, flag: str) -> bool:
        """Ask for yes or no. Raises SettingsError as `ask`."""
        shown = "Y/n" if default else "y/N"
        answers = {shown.lower(): default, **_YES_OR_NO}

        def read(text: str) -> bool:
            if text.lower() not in answers:
                raise ValueError("write y or n")
            return answers[text.lower()]

        return self.ask(question, read, default=shown, flag=flag)
