"""The routes of the browser: home, sign-in, consent, and the redirect to the application."""

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from soe_auth.sandbox import pages
from soe_auth.sandbox.applications import Account
from soe_auth.sandbox.authorization import (
    ACCESS_TEAM,
    ConsentRequest,
    RefusedRequest,
    UntrustedRequest,
    check_authorization_request,
    redirect_with,
)
from soe_auth.sandbox.browser_sessions import BrowserSession
from soe_auth.sandbox.form_parsing import Malformed, parse_pairs, read_form, unique_fields
from soe_auth.sandbox.site_state import SiteState

_LOCAL_PATH: Final = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]*)?")
_WRONG_ISSUER: Final = "https://elsewhere.example"
_WRONG_STATE: Final = "a-state-that-was-not-sent"


class BrowserRoutes:
    """The pages of one site."""

    def __init__(self, state: SiteState) -> None:
        self._state = state
        self._cookie = f"sandbox-session-{state.port}"  # cookies do not depend on the port

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.get("/", self._home, allow_head=False),
            web.get("/oauth", self._authorize, allow_head=False),
            web.post("/oauth/decision", self._decide),
            web.get("/oauth/login_success", self._login_success, allow_head=False),
            web.get("/users/login", self._show_sign_in, allow_head=False),
            web.post("/users/login", self._sign_in),
            web.post("/users/logout", self._sign_out),
        ]

    async def _home(self, request: web.Request) -> web.Response:
        applications = self._state.applications.values()
        return pages.home(self._state.url, applications, self._session(request))

    async def _authorize(self, request: web.Request) -> web.Response:
        state = self._state
        checked = self._check(request.rel_url.raw_query_string)
        if isinstance(checked, UntrustedRequest):
            state.narrate(f"An authorization request ended on an error page: {checked.reason}")
            return pages.message(checked.heading, checked.reason, status=400)
        if isinstance(checked, RefusedRequest):
            state.narrate(f"An authorization request was refused: {checked.description}")
            return self._redirect_error(checked)
        session = self._session(request)
        if session is None or session.account is None:
            state.narrate("No account is signed in: the browser is redirected to the sign-in page.")
            return _see_other(f"/users/login?returnurl={quote(request.path_qs, safe='')}")
        scopes = ", ".join(("read", *checked.scope))
        state.narrate(f"The application '{checked.application.name}' requests: {scopes}.")
        state.warn(*checked.warnings)
        if approved := state.sessions.find_approved(session.account, checked):
            state.narrate(f"{session.account.name} approved this before: no click is needed.")
            return self._redirect_code(session.account, approved)
        return pages.consent(
            state.url,
            checked,
            session,
            session.account,
            request_key=state.sessions.add_pending(session, checked),
            path=request.path_qs,
            teams=state.teams,
            lifetime=state.lifetime,
        )

    async def _decide(self, request: web.Request) -> web.Response:
        session, fields = await self._read_own_form(
            request, ("csrf", "request", "team", "decision")
        )
        pending = self._state.sessions.take_pending(session, fields.get("request", ""))
        account = session.account
        if pending is None or account is None:
            raise web.HTTPBadRequest(text="This request was already approved or refused.")
        match fields.get("decision"):
            case "approve":
                if ACCESS_TEAM in pending.scope:
                    team = fields.get("team")
                    if team not in self._state.teams:
                        raise web.HTTPBadRequest(text="There is no such team.")
                    pending = replace(pending, team=team)
                    self._state.narrate(f"{account.name} selected the team {team}.")
                self._state.narrate(f"{account.name} approved.")
                self._state.sessions.remember_approval(account, pending)
                return self._redirect_code(account, pending)
            case "cancel":
                self._state.narrate(f"{account.name} refused.")
                description = "The user refused the request."
                return self._redirect_error(
                    RefusedRequest(
                        pending.redirect_uri, pending.state, "access_denied", description
                    )
                )
            case _:
                raise web.HTTPBadRequest(text="The decision is neither approve nor cancel.")

    async def _login_success(self, _request: web.Request) -> web.Response:
        return pages.login_success()

    async def _show_sign_in(self, request: web.Request) -> web.Response:
        try:
            fields = unique_fields(parse_pairs(request.rel_url.raw_query_string), ("returnurl",))
        except Malformed as malformed:
            raise web.HTTPBadRequest(text=str(malformed)) from None
        path = _local_path(fields)
        session = self._session(request) or self._state.sessions.start()
        authorization = self._check(urlsplit(path).query)
        page = pages.sign_in(self._state.accounts.values(), session, path, authorization)
        return self._set_cookie(page, session)

    async def _sign_in(self, request: web.Request) -> web.Response:
        session, fields = await self._read_own_form(request, ("csrf", "returnurl", "account"))
        accounts = {str(key): account for key, account in self._state.accounts.items()}
        account = accounts.get(fields.get("account", ""))
        if account is None:
            raise web.HTTPBadRequest(text="There is no such practice account.")
        response = _see_other(_local_path(fields))
        self._state.narrate(f"{account.name} signed in.")
        return self._set_cookie(response, self._state.sessions.sign_in(session, account))

    async def _sign_out(self, request: web.Request) -> web.Response:
        session, _ = await self._read_own_form(request, ("csrf",))
        self._state.sessions.end(session)
        if session.account:
            self._state.narrate(f"{session.account.name} signed out.")
        response = _see_other("/")
        response.del_cookie(self._cookie)
        return response

    def _check(self, query: str) -> ConsentRequest | UntrustedRequest | RefusedRequest:
        return check_authorization_request(
            query, self._state.applications, strict=self._state.strict
        )

    def _redirect_code(self, account: Account, request: ConsentRequest) -> web.Response:
        code = self._state.issuer.issue_code(request, account)
        self._state.narrate("The browser is redirected to the application with a code (5 min).")
        return self._redirect(request.redirect_uri, {"code": code, "state": request.state})

    def _redirect_error(self, refused: RefusedRequest) -> web.Response:
        self._state.narrate(
            f"The browser is redirected to the application with error={refused.error}."
        )
        states = {"with-state": refused.state, "wrong-state": _WRONG_STATE}
        parameters = {
            "error": refused.error,
            "error_description": refused.description,
            "state": states.get(self._state.quirks().refusal),
        }
        return self._redirect(refused.redirect_uri, parameters)

    def _redirect(self, redirect_uri: str, parameters: dict[str, str | None]) -> web.Response:
        issuers = {"right": self._state.url, "wrong": _WRONG_ISSUER}
        iss = issuers.get(self._state.quirks().issuer)  # RFC 9207 section 2
        return _see_other(redirect_with(redirect_uri, {**parameters, "iss": iss}))

    def _session(self, request: web.Request) -> BrowserSession | None:
        return self._state.sessions.find(request.cookies.get(self._cookie))

    def _set_cookie(self, response: web.Response, session: BrowserSession) -> web.Response:
        is_secure = self._state.url.startswith("https:")
        response.set_cookie(
            self._cookie, session.key, httponly=True, samesite="Lax", secure=is_secure
        )
        return response

    async def _read_own_form(
        self, request: web.Request, names: Collection[str]
    ) -> tuple[BrowserSession, dict[str, str]]:
        """Read a form that this site made for this browser (RFC 6749 section 10.12)."""
        try:
            fields = unique_fields(await read_form(request), names)
        except Malformed as malformed:
            raise web.HTTPBadRequest(text=str(malformed)) from None
        session = self._session(request)
        if session is None or not session.owns_form(fields.get("csrf", "")):
            raise web.HTTPForbidden(text="This form was not made for this browser.")
        return session, fields


def _local_path(fields: dict[str, str]) -> str:
    """Return the path to load after sign-in, on this site (RFC 9700 section 4.11)."""
    path = fields.get("returnurl", "/")
    if not _LOCAL_PATH.fullmatch(path):
        raise web.HTTPBadRequest(text="The returnurl is not a path of this site.")
    return path


def _see_other(location: str) -> web.Response:
    """Redirect with 303, which never repeats a form (RFC 9700 section 4.12)."""
    return web.Response(status=303, headers={"Location": location})
