"""Where tokens are kept, and whose turn it is to get a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from soe_auth.tokens import Token


class Store(Protocol):
    """A place for tokens, one per profile. Each method raises StoreError where it cannot do so."""

    def load(self, profile: str) -> Token | None:
        """Return the profile's token, or None where there is none."""

    def save(self, profile: str, token: Token) -> None:
        """Keep the token in place of the profile's last one; return once it is safe."""

    def remove(self, profile: str) -> bool:
        """Remove the profile's token; return whether there was one."""

    def profiles(self) -> list[str]:
        """Return the names of all profiles that have a token here, sorted."""

    def prepare(self, profile: str) -> None:
        """See that a token could be kept, before a person signs in for it."""
