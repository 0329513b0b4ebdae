"""The auth class for httpx2, which need not be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.python_api.auth import AuthFlow

if TYPE_CHECKING:
    from httpx2 import Auth, Request, Response
else:
    try:
        from httpx2 import Auth, Request, Response
    except ModuleNotFoundError:  # so that help() and `import *` need no httpx2
        Auth = Request = Response = object


class Httpx2Auth(AuthFlow["Request", "Response"], Auth):
    """Sends the profile's token with httpx2 requests to its own site, as `SoeAuth` for httpx."""
