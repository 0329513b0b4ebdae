"""A string that does not print itself: states, codes, verifiers and tokens live in it."""

from __future__ import annotations

from typing import NoReturn


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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other.reveal())

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: it would lie in the file for all to read")
