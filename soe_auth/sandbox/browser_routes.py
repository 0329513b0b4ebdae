"""What a person's browser sees: home, sign-in, consent, and the way back to the application."""

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from soe_auth.sandbox import pages
from soe_auth.sandbox.authorization import (
    ACCESS_TEAM,
    Asked,
    Refused,
    Untrusted,
    answer_uri,
    judge,
)
from soe_auth.sandbox.context import Context
from soe_auth.sandbox.form_parsing import Malformed, once_each, read_form, read_pairs
from soe_auth.sandbox.pages import span_in_words
from soe_auth.sandbox.registry import Account
from soe_auth.sandbox.sessions import Session

_LOCAL_PATH: Final = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]*)?")
_WRONG_ISSUER: Final = "https://elsewhere.example"
_WRONG_STATE: Final = "a-state-that-was-not-sent"


class BrowserRoutes:
    """The pages of one site."""

    def __init__(self, context: Context, *, is_secure: bool) -> None:
        """Take what the routes share, and whether the site speaks TLS."""
        self._context = context
        self._is_secure = is_secure
        # Cookies are not told apart by port: the name must be.
        self._cookie = f"sandbox-session-{context.port}"

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
        context = self._context
        return pages.home(context.url, context.applications.values(), self._session(request))

    async def _authorize(self, request: web.Request) -> web.Response:
        context = self._context
        query = request.rel_url.raw_query_string
        asked = judge(query, context.applications, strict=context.strict)
        if isinstance(asked, Untrusted):
            context.narrate(f"An authorization request ended on an error page: {asked.reason}")
            return pages.message("This request cannot be trusted", asked.reason, status=400)
        if isinstance(asked, Refused):
            context.narrate(f"An authorization request was refused: {asked.description}")
            return self._refuse(asked)
        session = self._session(request)
        if session is None or session.account is None:
            context.narrate("No account is signed in with this browser, so it is sent to sign in.")
            return _see_other(f"/users/login?returnurl={quote(request.path_qs, safe='')}")
        scope = ", ".join(("read", *asked.scope))
        context.narrate(f"The application '{asked.application.name}' asks for: {scope}.")
        context.narrate_bad_style(asked.bad_style)
        if approved := context.sessions.approved_before(session.account, asked):
            context.narrate(f"{session.account.name} approved this before: no click is needed.")
            return self._grant(session.account, approved)
        return pages.consent(
            context.url,
            asked,
            session.account,
            teams=context.teams,
            life=span_in_words(context.lifetime),
            path=request.path_qs,
            csrf=session.form_token,
            request=context.sessions.hold(session, asked),
        )

    async def _decide(self, request: web.Request) -> web.Response:
        session, sent = await self._own_form(request, ("csrf", "request", "team", "decision"))
        context = self._context
        asked = context.sessions.take(session, sent.get("request", ""))
        if asked is None or session.account is None:
            raise web.HTTPBadRequest(text="This question was answered already.")
        match sent.get("decision"):
            case "approve":
                if ACCESS_TEAM in asked.scope:
                    asked = replace(asked, team=self._team(sent.get("team")))
                    context.narrate(f"{session.account.name} picked the team {asked.team}.")
                context.narrate(f"{session.account.name} approved.")
                context.sessions.approve(session.account, asked)
                return self._grant(session.account, asked)
            case "cancel":
                context.narrate(f"{session.account.name} refused.")
                description = "The person refused the request."
                return self._refuse(
                    Refused(asked.redirect_uri, asked.state, "access_denied", description)
                )
            case _:
                raise web.HTTPBadRequest(text="The answer is neither approve nor cancel.")

    def _team(self, slug: str | None) -> str:
        if slug is None or slug not in self._context.teams:
            raise web.HTTPBadRequest(text="There is no such team.")
        return slug

    async def _login_success(self, _request: web.Request) -> web.Response:
        return pages.login_success()

    async def _show_sign_in(self, request: web.Request) -> web.Response:
        try:
            sent = once_each(read_pairs(request.rel_url.raw_query_string), ("returnurl",))
        except Malformed as malformed:
            raise web.HTTPBadRequest(text=str(malformed)) from None
        context = self._context
        path = _local(sent.get("returnurl", "/"))
        session = self._session(request) or context.sessions.begin()
        onward = judge(urlsplit(path).query, context.applications, strict=context.strict)
        redirect_uri = None if isinstance(onward, Untrusted) else onward.redirect_uri
        response = pages.sign_in(context.accounts.values(), session, path, redirect_uri)
        return self._remember(response, session)

    async def _sign_in(self, request: web.Request) -> web.Response:
        session, sent = await self._own_form(request, ("csrf", "returnurl", "account"))
        accounts = {str(key): account for key, account in self._context.accounts.items()}
        account = accounts.get(sent.get("account", ""))
        if account is None:
            raise web.HTTPBadRequest(text="There is no such practice account.")
        response = _see_other(_local(sent.get("returnurl", "/")))
        self._context.narrate(f"{account.name} signed in.")
        return self._remember(response, self._context.sessions.sign_in(session, account))

    async def _sign_out(self, request: web.Request) -> web.Response:
        session, _ = await self._own_form(request, ("csrf",))
        self._context.sessions.end(session)
        if session.account:
            self._context.narrate(f"{session.account.name} signed out.")
        response = _see_other("/")
        response.del_cookie(self._cookie)
        return response

    def _grant(self, account: Account, asked: Asked) -> web.Response:
        code = self._context.grants.give_code(asked, account)
        self._context.narrate("The browser takes a code back to the application, good for 5 min.")
        parameters = {"code": code, "state": asked.state, "iss": self._issuer()}
        return _see_other(answer_uri(asked.redirect_uri, parameters))

    def _refuse(self, refused: Refused) -> web.Response:
        self._context.narrate(f"The browser takes error={refused.error} back to the application.")
        states = {"with-state": refused.state, "wrong-state": _WRONG_STATE}
        parameters = {
            "error": refused.error,
            "error_description": refused.description,
            "state": states.get(self._context.quirks().refusal),
            "iss": self._issuer(),
        }
        return _see_other(answer_uri(refused.redirect_uri, parameters))

    def _issuer(self) -> str | None:
        """Name the site, where a switch asks for it (RFC 9207 section 2)."""
        issuers = {"right": self._context.url, "wrong": _WRONG_ISSUER}
        return issuers.get(self._context.quirks().issuer)

    def _session(self, request: web.Request) -> Session | None:
        return self._context.sessions.find(request.cookies.get(self._cookie))

    def _remember(self, response: web.Response, session: Session) -> web.Response:
        response.set_cookie(
            self._cookie, session.key, httponly=True, samesite="Lax", secure=self._is_secure
        )
        return response

    async def _own_form(
        self, request: web.Request, names: Collection[str]
    ) -> tuple[Session, dict[str, str]]:
        """Read a form that this site itself put before this browser (RFC 6749 section 10.12)."""
        try:
            sent = once_each(await read_form(request), names)
        except Malformed as malformed:
            raise web.HTTPBadRequest(text=str(malformed)) from None
        session = self._session(request)
        if session is None or not session.sent_this(sent.get("csrf", "")):
            raise web.HTTPForbidden(text="This form was not made for this browser.")
        return session, sent


def _local(path: str) -> str:
    """Let through a path on this site, and no other address (RFC 9700 section 4.11)."""
    if not _LOCAL_PATH.fullmatch(path):
        raise web.HTTPBadRequest(text="The way back does not lead to this site.")
    return path


def _see_other(location: str) -> web.Response:
    """Redirect with 303, so that no form is ever sent on (RFC 9700 section 4.12)."""
    return web.Response(status=303, headers={"Location": location})
