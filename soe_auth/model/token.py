"""An access token: its site, scope, account and expiry."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from soe_auth.model.duration import in_words, write_duration

if TYPE_CHECKING:
    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site

_DEFAULT_LIFETIME = 24 * 3600.0  # seconds (SOE guide); assumed where the site gives no expiry
_WEEK = 7 * 86400 - 3600  # seconds within which a weekday's name is unambiguous

# Warn in a token's last hour; if its lifetime is short, in its last quarter.
_LAST_HOUR = 3600.0
_LAST_PART = 1 / 4

_MAX_TOKEN = 16 * 1024  # characters; it must fit into its file and a request header
_MAX_SCOPE = 300  # characters; it is shown to the user as a whole

Expiry = float | Literal["never", "unknown"]


@dataclass(frozen=True, slots=True)
class Scope:
    """A set of scope names, sorted; without names it means read only.

    SOE joins the names by commas (SOE guide), not by spaces as RFC 6749 does.
    """

    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Parse names joined by commas or spaces.

        Raises ValueError for characters that RFC 6749 section 3.3 does not allow, and for a text
        that is too long.
        """
        if len(text) > _MAX_SCOPE:
            raise ValueError(f"a scope has {_MAX_SCOPE} characters at most")
        names = sorted(set(text.replace(",", " ").split()))
        for name in names:
            if not all("!" <= c <= "~" and c not in '"\\' for c in name):
                raise ValueError("a scope name is visible ASCII without quotes, as in write_access")
        return cls(tuple(names))

    @property
    def no_expiry(self) -> bool:
        """Whether it requests a token that never expires."""
        return "no_expiry" in self.names

    @property
    def is_for_team(self) -> bool:
        """Whether the token is valid for a private team only."""
        return any(name.partition("|")[0] == "access_team" for name in self.names)

    def __str__(self) -> str:
        return ",".join(self.names)

    def in_words(self) -> str:
        """Name the scope for a user."""
        return ", ".join(self.names) or "read only"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and its facts; times are in seconds since the epoch.

    `expires_at` is "never" for a token requested with `no_expiry`, "unknown" if the site
    gave none. `scope` was requested, `granted_scope` granted (the same if the site names none, RFC
    6749 section 3.3). `account` is the user's name, if the site gave it.
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
        """Return when it expires, infinite for "never"; an unknown expiry counts as 24 hours.

        If the clock was ahead when it was obtained, it is valid for its lifetime from now at most.
        """
        match self.expires_at:
            case "never":
                return math.inf
            case "unknown":
                end = self.obtained_at + _DEFAULT_LIFETIME
            case expires_at:
                end = expires_at
        return end - max(0.0, self.obtained_at - now)

    def remaining(self, now: float) -> float:
        """Return the seconds until it expires, infinite for "never"."""
        return self.ends_at(now) - now

    def is_same_as(self, other: Token | None) -> bool:
        """Whether both are the same token of the same site."""
        return other is not None and (self.site, self.access_token) == (
            other.site,
            other.access_token,
        )

    def has_ended(self, now: float) -> bool:
        """Whether its expiry is known and past."""
        return isinstance(self.expires_at, float) and self.expires_at <= now

    @property
    def life(self) -> float:
        """Its lifetime from the start, in seconds; infinite for "never"."""
        return self.remaining(self.obtained_at)

    def effective_min_ttl(self, min_ttl: float) -> float:
        """Return the seconds that must remain, or a new login is needed.

        Usually that is min_ttl. If the token's lifetime is not longer than min_ttl, it is half of
        the lifetime: a new token would not be valid for min_ttl either, so each call would start a
        login.
        """
        return min_ttl if min_ttl < self.life else self.life / 2

    def lifetime_warning(self, min_ttl: float) -> str | None:
        """Return a warning if even a new token would expire within `min_ttl` seconds."""
        if min_ttl < self.life:
            return None
        enough = write_duration(self.life * 2 // 3)
        return (
            f"Tokens from this site expire after {in_words(self.life)}, but min_ttl is"
            f" {in_words(min_ttl)}: use `--min-ttl {enough}`."
        )

    def why_unusable(
        self, site: Site | None, client_id: str | None, scope: Scope, *, min_ttl: float, now: float
    ) -> str | None:
        """Return why it cannot be used for these settings for min_ttl seconds; None if it can."""
        if (self.site, self.client_id, self.scope) != (site, client_id, scope):
            return "is for another site, client ID or scope"
        left = self.remaining(now)
        if left <= 0:
            return f"expired {in_words(-left)} ago"
        if left < min_ttl:
            return f"has {in_words(left)} left, less than min_ttl ({in_words(min_ttl)})"
        return None

    @property
    def scope_warning(self) -> str | None:
        """A sentence if the granted scope is not the requested one (RFC 6749 section 3.3)."""
        if self.granted_scope == self.scope:
            return None
        granted, requested = self.granted_scope.in_words(), self.scope.in_words()
        return f"The site granted the scope {granted}; {requested} was requested."

    def account_warning(self, old: Token, profile: str) -> str | None:
        """Return a sentence if the token that it replaces belongs to another account."""
        known = old.account and self.account and old.site == self.site
        if not known or old.account == self.account:
            return None
        return (
            f"Profile {profile} belonged to {old.account} until now. To keep both accounts, give"
            " each a profile: `soe-auth login -p NAME`."
        )

    def warnings(self, now: float) -> list[str]:
        """Return sentences about its expiry and scope that the user should know."""
        found = []
        left = self.remaining(now)
        if self.expires_at == "never":
            age = in_words(now - self.obtained_at)
            found.append(f"It never expires; it was issued {age} ago.")
        elif left > 0 and self.expires_at == "unknown":
            found.append(f"The site gave no expiry; {in_words(left)} are assumed.")
        elif 0 < left < min(_LAST_HOUR, self.life * _LAST_PART):
            found.append(f"It expires in {in_words(left)}.")
        if words := self.scope_warning:
            found.append(words)
        return found

    def describe_expiry(self, now: float) -> str:
        """Return until when it is valid, in local time: `until Tue 09:12 (24 h)`."""
        match self.expires_at:
            case "never":
                return "until it is revoked"
            case "unknown":
                return "for an unknown time (the site gave no expiry)"
            case _:
                left = self.remaining(now)
                form = "%a %H:%M" if left < _WEEK else "%d %b %Y"
                day = time.strftime(form, time.localtime(self.ends_at(now)))
                return f"until {day} ({in_words(left)})"


def visible_ascii(value: object) -> str:
    """Return value if it can be a token: a non-empty string of visible ASCII (SOE protocol).

    Raises ValueError, without the value in its message.
    """
    if not (isinstance(value, str) and value and all("!" <= c <= "~" for c in value)):
        raise ValueError("a token is visible ASCII without spaces, and not empty")
    if len(value) > _MAX_TOKEN:
        raise ValueError(f"a token has {_MAX_TOKEN} characters at most")
    return value
