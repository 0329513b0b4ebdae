"""A local stand-in for a Stack Overflow for Teams Enterprise site, to practise and to test on.

It shares no code with the client, so that the two can disagree. A person for places that have
none is in `soe_auth.sandbox.visitor`.
"""

import os

# aiohttp makes a TLS context as it is imported, which fails where this names no file to write to.
_key_log = os.environ.pop("SSLKEYLOGFILE", None)
try:
    from soe_auth.sandbox.context import Exchange
    from soe_auth.sandbox.quirks import (
        ACCOUNT_ANSWERS,
        API_ANSWERS,
        INVALIDATE_ANSWERS,
        ISSUERS,
        REFUSALS,
        TOKEN_ANSWERS,
        Quirks,
    )
    from soe_auth.sandbox.redirect_uri import DOMAIN_RULES
    from soe_auth.sandbox.registry import (
        DEFAULT_ACCOUNTS,
        DEFAULT_APPLICATIONS,
        DEFAULT_TEAMS,
        OWN_DOMAIN,
        Account,
        Application,
    )
    from soe_auth.sandbox.server import Sandbox
    from soe_auth.sandbox.thread_runner import SandboxSettings, running
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
    "running",
]
