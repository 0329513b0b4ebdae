"""Every setting: its key, how it is read and written, its default, its help.

Options, variables, files, help and docs are made from this table.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from soe_auth.model.duration import parse_duration, parse_positive_duration, write_duration
from soe_auth.model.network import ANY_PORT, Ports, Proxy
from soe_auth.model.site import VENDOR_DOMAIN, Site
from soe_auth.model.text import printable, read_profile_name
from soe_auth.model.token import Scope
from soe_auth.settings import VARIABLE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

Redirect = Literal["loopback", "login_success"]
Paste = Literal["terminal", "clipboard"]
StoreKind = Literal["file", "keyring"]
Stored = str | int | list[str]

_MAX_QUOTED = 40  # characters of a value in an error message


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One setting.

    `read` parses its text and raises ValueError; `write` is the reverse, for a value other than
    None. Error messages show the text of a `public` one; others may hold a password.
    """

    key: str
    read: Callable[[str], T]
    default: T
    help: str
    write: Callable[[Any], str] = str
    public: bool = False

    def text(self, value: T) -> str:
        """Return the value as a user types it; empty for None."""
        return "" if value is None else self.write(value)

    def quote(self, text: str) -> str:
        """Return the text in quotes, for an error message; empty if it may be secret."""
        return repr(printable(text, _MAX_QUOTED)) if self.public else ""

    def to_toml(self, value: T) -> Stored:
        """Return the value as config.toml holds it."""
        match value:
            case Ports() if value.is_one:
                return value.first
            case tuple():
                return [str(item) for item in value]
            case _:
                return self.text(value)

    @property
    def variable(self) -> str:
        """The environment variable of this setting."""
        return f"{VARIABLE_PREFIX}{self.key.upper()}"

    @property
    def flag(self) -> str:
        """The command line option of this setting."""
        return "--" + self.key.replace("_", "-")


def _one_of(*values: T) -> Callable[[str], T]:
    """Return a reader that accepts these values only."""

    def read(text: str) -> T:
        for value in values:
            if value == text:
                return value
        raise ValueError(f"valid values are {' and '.join(map(str, values))}")

    return read


def _read_client_id(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,20}", text):
        return text
    raise ValueError("a client ID is the number that the site shows for the application")


def _read_redirect_host(text: str) -> str:
    with suppress(ValueError):
        host = Site.parse(f"https://{text}").host
        is_address = host.replace(".", "").isdigit()
        if host == text.lower() and (host == "127.0.0.1" or not is_address):
            return host
    raise ValueError(
        "valid values are localhost, 127.0.0.1 and a host name that resolves to loopback"
    )


def _read_browser(text: str) -> str:
    import shlex

    try:
        shlex.split(text)
    except ValueError:
        raise ValueError("a quote in the command is not closed") from None
    return text


def _read_ca_bundle(text: str) -> Path:
    path = Path(os.path.expanduser(text))  # noqa: PTH111  # pathlib raises without a home directory
    if path.is_absolute():
        return path
    raise ValueError("the path is relative; write it in full, or from ~")


def _read_proxy(text: str) -> Proxy | Literal["none"]:
    return "none" if text == "none" else Proxy.parse(text)


SITE: Setting[Site | None] = Setting(
    "site", Site.parse, None, f"the SOE site: acme, acme.{VENDOR_DOMAIN} or its URL"
)
CLIENT_ID: Setting[str | None] = Setting(
    "client_id", _read_client_id, None, "the client ID of the site's API application"
)
SCOPE = Setting(
    "scope",
    Scope.parse,
    Scope(),
    "the scope to request: write_access, no_expiry, …; without it, read only",
)
REDIRECT: Setting[Redirect] = Setting(
    "redirect",
    _one_of("loopback", "login_success"),
    "loopback",
    "where the site sends the browser: loopback (this machine), or login_success (the site's own "
    "page, whose address you paste)",
    public=True,
)
REDIRECT_HOST: Setting[str] = Setting(
    "redirect_host",
    _read_redirect_host,
    "localhost",
    "the host of the redirect URI: localhost, 127.0.0.1, soe-auth.localhost, or another name that "
    "resolves to loopback",
    public=True,
)
PORT = Setting(
    "port",
    Ports.parse,
    ANY_PORT,
    "the loopback port: a number, a range such as 8000-8010, or 0 for any free port",
    public=True,
)
PASTE: Setting[Paste] = Setting(
    "paste",
    _one_of("terminal", "clipboard"),
    "terminal",
    "with redirect login_success, where the address is read from: the terminal, or also the "
    "clipboard",
    public=True,
)
BROWSER: Setting[str | None] = Setting(
    "browser", _read_browser, None, "the command that opens a URL"
)
TIMEOUT = Setting(
    "timeout",
    parse_positive_duration,
    300.0,
    "how long to wait for the user",
    write=write_duration,
    public=True,
)
MIN_TTL = Setting(
    "min_ttl",
    parse_duration,
    60.0,
    "how long the token must stay valid",
    write=write_duration,
    public=True,
)
CA_BUNDLE: Setting[Path | None] = Setting(
    "ca_bundle",
    _read_ca_bundle,
    None,
    "the file of the CA certificates to trust instead of the system's",
)
# It may hold a password, and every process can read a command line, so there is no option for it.
PROXY: Setting[Proxy | Literal["none"] | None] = Setting(
    "proxy",
    _read_proxy,
    None,
    "the http or https proxy to use instead of the environment's; or none",
)
STORE: Setting[StoreKind] = Setting(
    "store",
    _one_of("file", "keyring"),
    "file",
    "where tokens are stored: file, or keyring for the system's",
    public=True,
)

# A profile has a site, the values of its authorization request, and the redirect.
PROFILE: tuple[Setting[Any], ...] = (SITE, CLIENT_ID, SCOPE, REDIRECT, REDIRECT_HOST, PORT, PASTE)
TABLE: tuple[Setting[Any], ...] = (*PROFILE, BROWSER, TIMEOUT, MIN_TTL, CA_BUNDLE, PROXY, STORE)
BY_KEY: Mapping[str, Setting[Any]] = {setting.key: setting for setting in TABLE}

# Keys at the top of config.toml that no flag, variable or project file can set.
DEFAULT_PROFILE: Setting[str | None] = Setting(
    "default_profile", read_profile_name, None, "the profile to use if none is named"
)
TRUSTED_SITES: Setting[tuple[Site, ...]] = Setting(
    "trusted_sites",
    lambda text: tuple(Site.parse(part) for part in text.split(",")),
    (),
    f"the sites outside *.{VENDOR_DOMAIN} that a project file may name, joined by commas",
    write=lambda sites: ",".join(map(str, sites)),
)
