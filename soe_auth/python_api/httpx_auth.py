"""The token in what httpx sends: an `auth` for its clients."""

from __future__ import annotations

import httpx

from soe_auth.python_api.auth_flow import AuthFlow


class SoeAuth(AuthFlow[httpx.Request, httpx.Response], httpx.Auth):
    """Has httpx send the profile's token to its own site, and to no other address.

    For `httpx.Client` and `httpx.AsyncClient`, of many threads and tasks. Each request asks the
    store; after a 401, it is sent again once if there is another token by then and its body is
    still there. No user is asked to log in unless `login` is True.

    Requests to the site raise LoginRequired if a user is needed, SettingsError, StoreError; with
    `login`, what `soe_auth.login` raises. On trio they raise RuntimeError.
    """
