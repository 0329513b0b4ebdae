"""The thing we came for: an access token, what it is bound to, how long it lives."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from soe_auth.model.duration import in_words

if TYPE_CHECKING:
    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site

# What SOE gives by its guide; the longest that a token of unknown life is trusted.
_USUAL_LIFE = 24 * 3600.0

_WEEK = 7 * 86400 - 3600  # closer than that, a weekday's name says it

# A token is near its end in its last hour, or in the last quarter of a shorter life than a day's.
_LAST_HOUR = 3600.0
_LAST_PART = 1 / 4

# It is to fit into its file, and into a header of a request.
_LONGEST_TOKEN = 16 * 1024

_LONGEST_SCOPE = 300

Expiry = float | Literal["never", "unknown"]


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
        if len(text) > _LONGEST_SCOPE:
            raise ValueError(f"a scope has {_LONGEST_SCOPE} characters at most")
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


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and what is known of it.

    Times are seconds since the epoch. `expires_at` is "never" for a token asked for with
    `no_expiry`, and "unknown" where the site's word could not be read. `scope` is what was asked,
    `granted_scope` what the site said it gave (the same where it said nothing, RFC 6749 section
    3.3), `account` the name of who signed in, where the site told it.
    """

    access_token: Secret
    site: Site
    client_id: str
    scope: Scope
    granted_scope: Scope
    obtained_at: float
    expires_at: Expiry
    account: str | None = None

    def ends_at(self, now: float) -> float:
        """Return when its life ends, infinite for "never".

        An unknown life counts as SOE's usual 24 hours, so that it is never taken for endless. Where
        the clock was ahead when it was obtained, it lasts as long as it was given, at most.
        """
        match self.expires_at:
            case "never":
                return math.inf
            case "unknown":
                end = self.obtained_at + _USUAL_LIFE
            case expires_at:
                end = expires_at
        return end - max(0.0, self.obtained_at - now)

    def remaining(self, now: float) -> float:
        """Seconds of life left, infinite for "never"."""
        return self.ends_at(now) - now

    def is_same_as(self, other: Token | None) -> bool:
        """Whether the site knows both as one token, whatever is known of them here."""
        return other is not None and (self.site, self.access_token) == (
            other.site,
            other.access_token,
        )

    def has_ended(self, now: float) -> bool:
        """Whether it is past an end that is known."""
        return isinstance(self.expires_at, float) and self.expires_at <= now

    @property
    def life(self) -> float:
        """Seconds of life that it was given, in all; infinite for "never"."""
        return self.remaining(self.obtained_at)

    def effective_min_ttl(self, min_ttl: float) -> float:
        """Return how much life must be left for a login to gain nothing, where min_ttl is wanted.

        That is min_ttl; but where this token was given no more than that in all, the next one would
        fall short as well, and each call would take a login: so then it is half of what was given.
        """
        return min_ttl if min_ttl < self.life else self.life / 2

    def lifetime_warning(self, min_ttl: float) -> str | None:
        """Say for a person that the site gives no more life, even to a new token, than min_ttl."""
        if min_ttl < self.life:
            return None
        return (
            f"The site gives {in_words(self.life)} in all,"
            f" where {in_words(min_ttl)} more are asked for."
        )

    def why_unusable(
        self, site: Site | None, client_id: str | None, scope: Scope, *, min_ttl: float, now: float
    ) -> str | None:
        """Say why this token does not serve those settings for min_ttl seconds more, or None."""
        if (self.site, self.client_id, self.scope) != (site, client_id, scope):
            return "was given for another site, client ID or scope"
        left = self.remaining(now)
        if left <= 0:
            return f"expired {in_words(-left)} ago"
        if left < min_ttl:
            return f"has {in_words(left)} left, less than the {in_words(min_ttl)} asked for"
        return None

    @property
    def scope_warning(self) -> str | None:
        """Say for a person that another scope was granted than asked for (RFC 6749 section 3.3)."""
        if self.granted_scope == self.scope:
            return None
        return (
            f"The site granted {self.granted_scope.in_words()}"
            f" where {self.scope.in_words()} was asked for."
        )

    def account_warning(self, old: Token, profile: str) -> str | None:
        """Say for a person that the token which it replaced was another account's on that site."""
        known = old.account and self.account and old.site == self.site
        if not known or old.account == self.account:
            return None
        return (
            f"Profile {profile} was {old.account}'s until now. To keep both, give each account a"
            " profile of its own: `soe-auth login -p NAME`."
        )

    def warnings(self, now: float) -> list[str]:
        """Say for a person, in sentences, what deserves attention while it lives."""
        found = []
        left = self.remaining(now)
        if self.expires_at == "never":
            age = in_words(now - self.obtained_at)
            found.append(f"It does not end by itself; it was given {age} ago.")
        elif left > 0 and self.expires_at == "unknown":
            found.append(f"It is taken to last {in_words(left)} more, as the site did not say.")
        elif 0 < left < min(_LAST_HOUR, self.life * _LAST_PART):
            found.append(f"It ends in {in_words(left)}.")
        if words := self.scope_warning:
            found.append(words)
        return found

    def describe_expiry(self, now: float) -> str:
        """Say for a person how long it lasts: `until Tue 09:12 (24 h)`, in local time."""
        match self.expires_at:
            case "never":
                return "until it is revoked"
            case "unknown":
                return "for an unknown time, as the site did not say"
            case _:
                left = self.remaining(now)
                form = "%a %H:%M" if left < _WEEK else "%d %b %Y"
                day = time.strftime(form, time.localtime(self.ends_at(now)))
                return f"until {day} ({in_words(left)})"


def visible_ascii(value: object) -> str:
    """Return value if it can be a token: a non-empty string of visible ASCII (SOE protocol).

    Raises ValueError, without the value in it.
    """
    if not (isinstance(value, str) and value and all("!" <= c <= "~" for c in value)):
        raise ValueError("a token is visible ASCII without blanks, and not empty")
    if len(value) > _LONGEST_TOKEN:
        raise ValueError(f"a token has {_LONGEST_TOKEN} characters at most")
    return value
