"""A local stand-in for a Stack Overflow for Teams Enterprise site, for practice and tests.

It shares no code with the client, so that tests compare two implementations.
`soe_auth.sandbox.scripted_browser` signs in to it without a user.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soe_auth.sandbox.applications import (
        DEFAULT_ACCOUNTS,
        DEFAULT_APPLICATIONS,
        DEFAULT_TEAMS,
        DOMAIN_RULES,
        OWN_DOMAIN,
        Account,
        Application,
    )
    from soe_auth.sandbox.quirks import (
        ACCOUNT_ANSWERS,
        API_ANSWERS,
        INVALIDATE_ANSWERS,
        ISSUERS,
        REFUSALS,
        TOKEN_ANSWERS,
        Quirks,
        list_quirks,
    )
    from soe_auth.sandbox.server import Sandbox, SandboxSettings, running
    from soe_auth.sandbox.site_state import Exchange

__all__ = [
    "ACCOUNT_ANSWERS",
    "API_ANSWERS",
    "DEFAULT_ACCOUNTS",
    "DEFAULT_APPLICATIONS",
    "DEFAULT_TEAMS",
    "DOMAIN_RULES",
    "INVALIDATE_ANSWERS",
    "ISSUERS",
    "OWN_DOMAIN",
    "REFUSALS",
    "TOKEN_ANSWERS",
    "Account",
    "Application",
    "Exchange",
    "Quirks",
    "Sandbox",
    "SandboxSettings",
    "list_quirks",
    "running",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is used: the scripted browser does not need aiohttp (0.2 s)."""
    if name in __all__:
        # On import, aiohttp makes a TLS context, which fails if this names no writable file.
        key_log = os.environ.pop("SSLKEYLOGFILE", None)
        try:
            for module in ("server", "site_state", "quirks", "applications"):
                namespace = vars(import_module(f"soe_auth.sandbox.{module}"))
                if name in namespace:
                    return namespace[name]
        finally:
            if key_log is not None:
                os.environ["SSLKEYLOGFILE"] = key_log
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
