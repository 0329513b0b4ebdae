"""Questions to a person, a line each: a default in brackets, and a wrong answer is told."""

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
    """Puts questions to a user; where there is none, every default is taken.

    `put` shows a question and returns the line that was typed, None at the end of the input; it is
    None itself where there is no user. `tell` says a sentence.
    """

    put: Callable[[str], str | None] | None
    tell: Callable[[str], None]

    @property
    def can_ask(self) -> bool:
        """Whether there is a user to ask."""
        return self.put is not None

    def ask(self, question: str, read: Callable[[str], T], *, default: str, flag: str) -> T:
        """Ask until `read` takes the answer; Enter alone takes the default, unless it is empty.

        `read` raises ValueError for what it does not take; `flag` is the option that gives the same
        answer. Raises SettingsError after too many wrong answers, at the end of the input, and
        where there is neither a person nor a default.
        """
        if self.put is None:
            if default:
                try:
                    return read(default)
                except ValueError as problem:
                    raise SettingsError(
                        f"The default of {flag} will not do: {problem}.",
                        hint=f"Give another as an option: {flag}.",
                    ) from None
            raise SettingsError(
                f"{flag} is missing.",
                hint="With --yes, or without a terminal, nothing is asked: give it as an option.",
            )
        for _ in range(_TRIES):
            line = self.put(f"{question} [{default}]: " if default else f"{question}: ")
            if line is None:
                raise SettingsError(
                    "You ended the conversation, and nothing was written.",
                    hint="Start again with `soe-auth init` when you like.",
                )
            try:
                if text := line or default:
                    return read(text)
                self.tell("An answer is needed here.")
            except ValueError as problem:
                self.tell(f"That will not do: {problem}.")
        raise SettingsError(
            f"That was no answer {_TRIES} times, and nothing was written.",
            hint=f"Start again, or give the answer as an option: {flag}.",
        )

    def choose(
        self, question: str, choices: Sequence[tuple[str, str]], *, default: str, flag: str
    ) -> str:
        """Have one of several chosen, by its number or its name; each is a name and a sentence.

        `default` is the name of the one that Enter takes. Raises SettingsError as `ask`.
        """
        names = [name for name, _ in choices]
        numbers = [str(number) for number, _ in enumerate(names, 1)]

        def read(text: str) -> str:
            if text in numbers:
                return names[numbers.index(text)]
            if text in names:
                return text
            raise ValueError(f"write a number from 1 to {numbers[-1]}")

        if self.put:
            lines = [f"  {number}  {what}" for number, (_, what) in enumerate(choices, 1)]
            self.tell("\n".join(["", question, *lines]))
        return self.ask("Choice", read, default=numbers[names.index(default)], flag=flag)

    def confirm(self, question: str, *, default: bool, flag: str) -> bool:
        """Ask for a yes or a no. Raises SettingsError as `ask`."""
        shown = "Y/n" if default else "y/N"
        answers = {shown.lower(): default, **_YES_OR_NO}

        def read(text: str) -> bool:
            if text.lower() in answers:
                return answers[text.lower()]
            raise ValueError("write y or n")

        return self.ask(question, read, default=shown, flag=flag)
