"""A local stand-in for a Stack Overflow for Teams Enterprise site, for practice and tests.

It shares no code with the client, so that the two can disagree. `soe_auth.sandbox.scripted_browser`
signs in to it without a user.
"""

import os

# aiohttp makes a TLS context on import, which fails if this variable names no writable file.
_key_log = os.environ.pop("SSLKEYLOGFILE", None)
try:
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
finally:
    if _key_log is not None:
        os.environ["SSLKEYLOGFILE"] = _key_log

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
