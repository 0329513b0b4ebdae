"""What a token may do, in SOE's dialect: names joined by commas (guide), none for read only."""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Scope:
    """A set of scope names, kept sorted so that equal sets are equal values."""

    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read names joined by commas or blanks.

        Raises ValueError for characters that RFC 6749 section 3.3 has in no scope name, and for
        more than can be shown to the user as a whole.
        """
        if len(text) > _LONGEST:
            raise ValueError(f"a scope has {_LONGEST} characters at most")
        names = sorted(set(text.replace(",", " ").split()))
        for name in names:
            if not all("!" <= c <= "~" and c not in '"\\' for c in name):
                raise ValueError("a scope name is visible ASCII without quotes, as in write_access")
        return cls(tuple(names))

    @property
    def no_expiry(self) -> bool:
        """Whether a token without end is asked for."""
        return "no_expiry" in self.names

    @property
    def is_for_team(self) -> bool:
        """Whether the token is for a private team, and for nothing outside it."""
        return any(name.partition("|")[0] == "access_team" for name in self.names)

    def __str__(self) -> str:
        return ",".join(self.names)

    def in_words(self) -> str:
        """Name the scope for a person."""
        return ", ".join(self.names) or "read only"
