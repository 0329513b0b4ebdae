"""Browser login for Stack Overflow for Teams Enterprise: the front door.

>>> import soe_auth
>>> token = soe_auth.get_token("acme", min_ttl=600)   # LoginRequired if a person is needed
>>> headers = {"Authorization": f"Bearer {token.reveal()}"}
"""

from soe_auth.version import __version__

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from soe_auth.aiohttp_auth import AiohttpAuth
    from soe_auth.api import alogin, get_token, login, logout, status
    from soe_auth.errors import (
        ExchangeRefused,
        LoginBusy,
        LoginDenied,
        LoginError,
        LoginRequired,
        LoginTimedOut,
        LoopbackUnavailable,
        MalformedResponse,
        NetworkError,
        ServerError,
        SettingsError,
        SoeAuthError,
        StoreError,
    )
    from soe_auth.exchange import Ending
    from soe_auth.httpx_auth import SoeAuth
    from soe_auth.overview import ProfileStatus
    from soe_auth.requests_auth import RequestsAuth
    from soe_auth.scope import Scope
    from soe_auth.secret import Secret
    from soe_auth.signout import Goodbye
    from soe_auth.site import Site
    from soe_auth.store import Store
    from soe_auth.tokens import Expiry, Token

__all__ = [
    "AiohttpAuth",
    "Ending",
    "ExchangeRefused",
    "Expiry",
    "Goodbye",
    "LoginBusy",
    "LoginDenied",
    "LoginError",
    "LoginRequired",
    "LoginTimedOut",
    "LoopbackUnavailable",
    "MalformedResponse",
    "NetworkError",
    "ProfileStatus",
    "RequestsAuth",
    "Scope",
    "Secret",
    "ServerError",
    "SettingsError",
    "Site",
    "SoeAuth",
    "SoeAuthError",
    "Store",
    "StoreError",
    "Token",
    "__version__",
    "alogin",
    "get_token",
    "login",
    "logout",
    "status",
]

_ROOMS = {
    "AiohttpAuth": "aiohttp_auth",
    "RequestsAuth": "requests_auth",
    "SoeAuth": "httpx_auth",
    "alogin": "api",
    "get_token": "api",
    "login": "api",
    "logout": "api",
    "status": "api",
    "Ending": "exchange",
    "Expiry": "tokens",
    "Goodbye": "signout",
    "ProfileStatus": "overview",
    "Scope": "scope",
    "Secret": "secret",
    "Site": "site",
    "Store": "store",
    "Token": "tokens",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, so that `import soe_auth` stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"soe_auth.{_ROOMS.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return __all__
