"""Browser login for Stack Overflow for Teams Enterprise.

The names in `__all__` and the package `soe_auth.sandbox` are public, all else is private.

>>> import soe_auth
>>> token = soe_auth.get_token("acme", min_ttl=600)   # LoginRequired if a user is needed
>>> headers = {"Authorization": f"Bearer {token.reveal()}"}
"""

from soe_auth.version import __version__

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from soe_auth.actions.logout import LogoutResult
    from soe_auth.actions.status import ProfileStatus
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
    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site
    from soe_auth.model.token import Expiry, Scope, Token
    from soe_auth.python_api.aiohttp_auth import AiohttpAuth
    from soe_auth.python_api.functions import alogin, get_token, login, logout, status
    from soe_auth.python_api.httpx2_auth import Httpx2Auth
    from soe_auth.python_api.httpx_auth import SoeAuth
    from soe_auth.python_api.requests_auth import RequestsAuth
    from soe_auth.site_client.client import RevocationResult
    from soe_auth.storage import Store

__all__ = [
    "AiohttpAuth",
    "ExchangeRefused",
    "Expiry",
    "Httpx2Auth",
    "LoginBusy",
    "LoginDenied",
    "LoginError",
    "LoginRequired",
    "LoginTimedOut",
    "LogoutResult",
    "LoopbackUnavailable",
    "MalformedResponse",
    "NetworkError",
    "ProfileStatus",
    "RequestsAuth",
    "RevocationResult",
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

_MODULES = {
    "AiohttpAuth": "python_api.aiohttp_auth",
    "Httpx2Auth": "python_api.httpx2_auth",
    "RequestsAuth": "python_api.requests_auth",
    "SoeAuth": "python_api.httpx_auth",
    "alogin": "python_api.functions",
    "get_token": "python_api.functions",
    "login": "python_api.functions",
    "logout": "python_api.functions",
    "status": "python_api.functions",
    "Expiry": "model.token",
    "LogoutResult": "actions.logout",
    "ProfileStatus": "actions.status",
    "RevocationResult": "site_client.client",
    "Scope": "model.token",
    "Secret": "model.secret",
    "Site": "model.site",
    "Store": "storage",
    "Token": "model.token",
}


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used, so that `import soe_auth` stays light."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"soe_auth.{_MODULES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return __all__
