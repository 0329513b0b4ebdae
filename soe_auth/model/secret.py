"""Secret strings: states, codes, verifiers and tokens."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from typing import NoReturn

_MAX_PATTERN = 100  # characters: compiling a pattern of thousands takes seconds


class Secret:
    """A string that is shown by `reveal` only, so that each use can be found in the source.

    `repr`, `str` and `format` return a placeholder, pickling raises TypeError, and a comparison
    takes constant time.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string."""
        return self._value

    def matches(self, candidate: str) -> bool:
        """Compare with a string in constant time."""
        from hmac import compare_digest

        return compare_digest(
            self._value.encode("utf-8", "surrogatepass"),
            candidate.encode("utf-8", "surrogatepass"),
        )

    def redact_in(self, text: str) -> str:
        """Return text with "…" instead of this string, in any escaped form."""
        import re

        pattern = "".join(map(_any_form, self._value[:_MAX_PATTERN]))
        if len(self._value) > _MAX_PATTERN:
            pattern += r"\S*"
        return re.sub(pattern, "…", text, flags=re.IGNORECASE) if pattern else text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other.reveal())

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle a Secret: the file would hold it in plain text")


def _any_form(character: str) -> str:
    """Return a pattern of a character, plain or escaped in a form, a URL, JSON or HTML."""
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


def disable_core_dumps() -> None:
    """Prevent a crash of this process from writing its memory, with secrets, to a file.

    The limit is one byte: Linux ignores a limit of 0 for a crash handler's pipe (core(5)). Windows
    has no such limit.
    """
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0 if hard == 0 else 1, hard))
