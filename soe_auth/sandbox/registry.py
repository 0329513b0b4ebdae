"""What is registered on the site: applications with their Domains, and the accounts of people."""

from dataclasses import dataclass
from typing import Final, Literal

from soe_auth.sandbox.redirect_uri import read_domain

OWN_DOMAIN: Final = "(this site)"
"""Stands in an application's Domain for the sandbox's own host and port, known once it runs."""


@dataclass(frozen=True, slots=True)
class Application:
    """An API application, as the site's settings page registers it.

    `domain` is a host, with or without a scheme or a port, or `OWN_DOMAIN`; empty is allowed by
    the form and refused by every login. `status` says whether its tokens may write. Raises
    ValueError for a Domain in any other form.
    """

    client_id: str
    name: str
    domain: str
    status: Literal["read-only", "read-write"] = "read-write"

    def __post_init__(self) -> None:
        """Hold the Domain against its form."""
        if self.domain not in {"", OWN_DOMAIN}:
            read_domain(self.domain)

    @property
    def key(self) -> str:
        """The key that some calls of API v2.3 carry; it names the application and is no secret."""
        return f"practice-key-{self.client_id}"


@dataclass(frozen=True, slots=True)
class Account:
    """A person on the site; `id` is the user there, `account_id` the account across all teams."""

    id: int
    account_id: int
    name: str
    email: str
    role: str


DEFAULT_APPLICATIONS: Final = (
    Application("110", "Loopback tools", "localhost"),
    Application("111", "Loopback tools (IP)", "127.0.0.1"),
    Application("112", "Guide", OWN_DOMAIN),
    Application("113", "Forgotten domain", ""),
    Application("114", "Loopback tools (name)", "soe-auth.localhost"),
    Application("115", "Reader", "localhost", "read-only"),
)

DEFAULT_ACCOUNTS: Final = (
    Account(1, 101, "Jane Doe", "jane.doe@example.com", "developer"),
    Account(2, 102, "John Doe", "john.doe@example.com", "moderator"),
    Account(3, 103, "Site Admin", "site.admin@example.com", "administrator"),
)

DEFAULT_TEAMS: Final = ("platform", "research")
"""Private teams, by their slugs; everyone is a member of each."""
