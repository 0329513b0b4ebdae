"""Every setting, once: its key, how it is read and written, what it is for.

Options, variables, files, help and docs are made from this table.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from soe_auth.model.duration import parse_duration, write_duration
from soe_auth.model.network import ANY_PORT, Ports, Proxy
from soe_auth.model.site import VENDOR_DOMAIN, Site
from soe_auth.model.text import read_profile_name
from soe_auth.model.token import Scope
from soe_auth.settings import VARIABLE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

Redirect = Literal["loopback", "login_success"]
Paste = Literal["terminal", "clipboard"]
StoreKind = Literal["file", "keyring"]
Stored = str | int | list[str]


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One setting: its key in files, how it is read (ValueError if it cannot be), what it is for.

    The settings that say who asks for what, and where the answer goes, make up a `profile`.
    `write` is the way back, for a value that is there. One that is no `option` can be set in files
    and by its variable only.
    """

    key: str
    read: Callable[[str], T]
    default: T
    help: str
    profile: bool = False
    write: Callable[[Any], str] = str
    option: bool = True

    def text(self, value: T) -> str:
        """Return the value as a person would type it, which for none is nothing."""
        return "" if value is None else self.write(value)

    def to_toml(self, value: T) -> Stored:
        """Return the value as it is written in config.toml."""
        match value:
            case Ports() if value.is_one:
                return value.first
            case tuple():
                return [str(item) for item in value]
            case _:
                return self.text(value)

    @property
    def variable(self) -> str:
        """The environment variable of the same meaning."""
        return f"{VARIABLE_PREFIX}{self.key.upper()}"

    @property
    def flag(self) -> str:
        """The command line option of the same meaning."""
        return "--" + self.key.replace("_", "-")


def _read_client_id(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,20}", text):
        return text
    raise ValueError("a client ID is the number that the site shows for the application")


def _read_redirect(text: str) -> Redirect:
    match text:
        case "loopback" | "login_success":
            return text
        case _:
            raise ValueError("write loopback or login_success")


def _read_paste(text: str) -> Paste:
    match text:
        case "terminal" | "clipboard":
            return text
        case _:
            raise ValueError("write terminal or clipboard")


def _read_redirect_host(text: str) -> str:
    with suppress(ValueError):
        host = Site.parse(f"https://{text}").host
        is_address = host.replace(".", "").isdigit()
        if host == text.lower() and (host == "127.0.0.1" or not is_address):
            return host
    raise ValueError(
        "write localhost, 127.0.0.1, or a name that means the loopback, as the application's"
        " Domain has it"
    )


def _read_browser(text: str) -> str:
    import shlex

    try:
        shlex.split(text)
    except ValueError:
        raise ValueError("a quote in the command is not closed") from None
    return text


def _read_ca_bundle(text: str) -> Path:
    path = Path(os.path.expanduser(text))  # noqa: PTH111  # which raises where there is no home
    if path.is_absolute():
        return path
    raise ValueError("write the whole path of the file, from the root or from ~")


def _read_proxy(text: str) -> Proxy | Literal["none"]:
    return "none" if text == "none" else Proxy.parse(text)


def _read_store(text: str) -> StoreKind:
    match text:
        case "file" | "keyring":
            return text
        case _:
            raise ValueError("write file or keyring")


def _read_timeout(text: str) -> float:
    if seconds := parse_duration(text):
        return seconds
    raise ValueError("a login needs some time; write a duration such as 5m")


SITE: Setting[Site | None] = Setting(
    "site", Site.parse, None, f"the SOE site: acme, acme.{VENDOR_DOMAIN} or its URL", profile=True
)
CLIENT_ID: Setting[str | None] = Setting(
    "client_id", _read_client_id, None, "the client ID of the site's API application", profile=True
)
SCOPE = Setting(
    "scope",
    Scope.parse,
    Scope(),
    "the scope to request: write_access, no_expiry, …; without it, read only",
    profile=True,
)
REDIRECT: Setting[Redirect] = Setting(
    "redirect",
    _read_redirect,
    "loopback",
    "where the site sends the browser: loopback (this machine), or login_success (the site's own "
    "page, whose address you paste)",
    profile=True,
)
REDIRECT_HOST: Setting[str] = Setting(
    "redirect_host",
    _read_redirect_host,
    "localhost",
    "the loopback's name in the redirect URI: localhost, 127.0.0.1, soe-auth.localhost, or another "
    "that means it",
    profile=True,
)
PORT = Setting(
    "port",
    Ports.parse,
    ANY_PORT,
    "the loopback port: a number, a range such as 8000-8010, or 0 for any free port",
    profile=True,
)
PASTE: Setting[Paste] = Setting(
    "paste",
    _read_paste,
    "terminal",
    "where the address of redirect login_success is taken from: the terminal, or the clipboard as "
    "well",
    profile=True,
)
BROWSER: Setting[str | None] = Setting(
    "browser", _read_browser, None, "the command that opens a URL"
)
TIMEOUT = Setting(
    "timeout",
    _read_timeout,
    300.0,
    "how long to wait for the user",
    write=write_duration,
)
MIN_TTL = Setting(
    "min_ttl",
    parse_duration,
    60.0,
    "how long the token must stay valid",
    write=write_duration,
)
CA_BUNDLE: Setting[Path | None] = Setting(
    "ca_bundle",
    _read_ca_bundle,
    None,
    "the file of the CAs to believe, in place of the system's",
    option=False,
)
PROXY: Setting[Proxy | Literal["none"] | None] = Setting(
    "proxy",
    _read_proxy,
    None,
    "the http or https proxy to use, in place of the environment's; or none",
    option=False,  # a password may be in it, and every process can read a command line
)
STORE: Setting[StoreKind] = Setting(
    "store",
    _read_store,
    "file",
    "where tokens are kept: file, or keyring for the system's",
    option=False,
)

TABLE: tuple[Setting[Any], ...] = (
    SITE,
    CLIENT_ID,
    SCOPE,
    REDIRECT,
    REDIRECT_HOST,
    PORT,
    PASTE,
    BROWSER,
    TIMEOUT,
    MIN_TTL,
    CA_BUNDLE,
    PROXY,
    STORE,
)
BY_KEY: Mapping[str, Setting[Any]] = {setting.key: setting for setting in TABLE}
PROFILE = tuple(setting for setting in TABLE if setting.profile)

# What a config.toml may say besides, at its top: no flag, no variable and no project file can.
DEFAULT_PROFILE: Setting[str | None] = Setting(
    "default_profile", read_profile_name, None, "the profile that is used where none is named"
)
TRUSTED_SITES: Setting[tuple[Site, ...]] = Setting(
    "trusted_sites",
    lambda text: tuple(Site.parse(part) for part in text.split(",")),
    (),
    f"the sites outside *.{VENDOR_DOMAIN} that a project file may name, joined by commas",
    write=lambda sites: ",".join(map(str, sites)),
)
