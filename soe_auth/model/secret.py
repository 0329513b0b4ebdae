"""A string that does not print itself: states, codes, verifiers and tokens live in it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from typing import NoReturn


_TOLD_BY = 100  # characters of a longer one, as a pattern of thousands takes seconds to make


class Secret:
    """A string that shows itself only where `reveal` is called, so that each showing can be found.

    `repr`, `str` and `format` give a placeholder, pickling raises `TypeError`, and comparing takes
    the same time wherever the first difference lies.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string itself."""
        return self._value

    def matches(self, candidate: str) -> bool:
        """Compare in constant time with a string from outside."""
        from hmac import compare_digest

        return compare_digest(
            self._value.encode("utf-8", "surrogatepass"),
            candidate.encode("utf-8", "surrogatepass"),
        )

    def redact_in(self, text: str) -> str:
        """Return text without this string, however its characters are escaped; "…" for it."""
        import re

        pattern = "".join(map(_any_form, self._value[:_TOLD_BY]))
        if len(self._value) > _TOLD_BY:
            pattern += r"\S*"
        return re.sub(pattern, "…", text, flags=re.IGNORECASE) if pattern else text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other.reveal())

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: it would lie in the file for all to read")


def _any_form(character: str) -> str:
    """Return a pattern of a character as it is, and as escaped in a form, a URL, JSON or HTML."""
    import re
    from html import escape

    number = ord(character)
    octets = character.encode("utf-8", "surrogateescape")
    forms = [
        rf"\\?{re.escape(character)}",
        "".join(f"%(?:25)*{octet:02x}" for octet in octets),
        rf"\\u{number:04x}",
        rf"&#(?:0*{number}|x0*{number:x});",
        re.escape(escape(character)),
        *([r"\+"] if character == " " else []),
    ]
    return f"(?:{'|'.join(forms)})"


def no_core_dumps() -> None:
    """Have no crash of this process write its memory, secrets and all, anywhere.

    A limit of one byte, as Linux takes none for a crash handler's pipe at its word (core(5)).
    Windows has no such limit.
    """
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0 if hard == 0 else 1, hard))
