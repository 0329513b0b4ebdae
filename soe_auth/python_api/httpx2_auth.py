"""The token in what httpx2 sends; that library need not be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.python_api.auth_flow import AuthFlow

if TYPE_CHECKING:
    from httpx2 import Auth, Request, Response
else:
    try:
        from httpx2 import Auth, Request, Response
    except ModuleNotFoundError:  # so that help() and `import *` need no httpx2
        Auth = Request = Response = object


class Httpx2Auth(AuthFlow["Request", "Response"], Auth):
    """Has httpx2 send the profile's token to its own site, as `SoeAuth` does for httpx."""
