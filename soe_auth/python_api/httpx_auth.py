"""The auth class for httpx."""

from __future__ import annotations

import httpx

from soe_auth.python_api.auth import AuthFlow


class SoeAuth(AuthFlow[httpx.Request, httpx.Response], httpx.Auth):
    """Sends the profile's token with httpx requests to its own site, and to no other address.

    For `httpx.Client` and `httpx.AsyncClient`, in many threads and tasks. Each request reads the
    store. After a 401, a request is sent once more if there is a newer token and its body is still
    available. A login is started only if `login` is True.

    Requests to the site raise LoginRequired if a user has to log in, SettingsError, StoreError;
    with `login`, what `soe_auth.login` raises. On trio they raise RuntimeError.
    """
