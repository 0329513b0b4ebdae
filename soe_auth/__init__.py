"""Browser login for Stack Overflow for Teams Enterprise.

The public API is the names in `__all__` and the package `soe_auth.sandbox`.

>>> import soe_auth
>>> token = soe_auth.get_token("acme", min_ttl=600)   # LoginRequired if a user is needed
>>> headers = {"Authorization": f"Bearer {token.reveal()}"}
"""

from soe_auth.version import __version__

TYPE_CHECKING = False  # importing typing takes time
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
    from soe_auth.oauth.revocation import RevocationResult
    from soe_auth.python_api.auth import AiohttpAuth, RequestsAuth
    from soe_auth.python_api.functions import alogin, get_token, login, logout, status
    from soe_auth.python_api.httpx2_auth import Httpx2Auth
    from soe_auth.python_api.httpx_auth import SoeAuth
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
    "actions.logout": "LogoutResult",
    "actions.status": "ProfileStatus",
    "model.secret": "Secret",
    "model.site": "Site",
    "model.token": "Expiry Scope Token",
    "oauth.revocation": "RevocationResult",
    "python_api.auth": "AiohttpAuth RequestsAuth",
    "python_api.functions": "alogin get_token login logout status",
    "python_api.httpx2_auth": "Httpx2Auth",
    "python_api.httpx_auth": "SoeAuth",
    "storage": "Store",
}


if not TYPE_CHECKING:  # with it, a type checker would accept any name

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used, so that `import soe_auth` is fast."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = next((m for m, names in _MODULES.items() if name in names.split()), "errors")
        return getattr(import_module(f"soe_auth.{module}"), name)


def __dir__() -> list[str]:
    return __all__
