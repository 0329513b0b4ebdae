"""The routes of both APIs: the token's account, revocation, and a few lists."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from soe_auth.sandbox.api_content import (
    InvalidPage,
    find_items,
    lists_v2,
    lists_v3,
    select_page,
    user_v2,
    user_v3,
)
from soe_auth.sandbox.authorization import WRITE_ACCESS
from soe_auth.sandbox.http_answer import HttpAnswer, compressed, in_json
from soe_auth.sandbox.quirks import answer_account
from soe_auth.sandbox.site_state import SiteState
from soe_auth.sandbox.token_issuer import RATE_WINDOW, IssuedToken

_IN_QUERY: Final = "A token belongs in a header, not in the query string."
_RATE_HEADERS: Final = {
    "Retry-After": str(RATE_WINDOW),
    "x-burst-throttle-calls-left": "0",
    "x-burst-throttle-seconds-until-full": str(RATE_WINDOW),
}

_Answering = Callable[[web.Request], Awaitable[tuple[HttpAnswer, str]]]
"""A handler that returns its answer and the quirk of its delivery, or raises `_Refused`."""


class _Refused(Exception):
    """The call is refused, with an answer in the form of its API."""

    def __init__(self, reason: str, answer: HttpAnswer) -> None:
        super().__init__(reason)
        self.answer: Final = answer


class ApiRoutes:
    """The APIs v3 and v2.3 of one site."""

    def __init__(self, state: SiteState) -> None:
        self._state = state
        self._v3_lists = lists_v3(state.url, state.accounts.values())
        self._v2_lists = lists_v2(state.url, state.accounts.values())

    def table(self) -> list[web.RouteDef]:
        """List the routes; as in the vendor's API, calls about a token have it in their path."""
        about = {
            "access-tokens/{token}": lambda _token: None,
            "access-tokens/{token}/invalidate": self._invalidate,
            "apps/{token}/de-authenticate": self._de_authenticate,
        }
        v3, v2 = self._route(self._v3), self._route(self._v2)
        return [
            *(
                web.get(f"/api/2.3/{path}", self._route(self._about(act)), allow_head=False)
                for path, act in about.items()
            ),
            web.route("*", "/api/v3/teams/{team}/{path:.+}", v3),
            web.route("*", "/api/v3/{path:.+}", v3),
            web.route("*", "/c/{team}/api/2.3/{path:.+}", v2),
            web.route("*", "/api/2.3/{path:.+}", v2),
        ]

    def _route(self, handle: _Answering) -> Handler:
        async def respond(request: web.Request) -> web.StreamResponse:
            try:
                answer, quirk = await handle(request)
            except _Refused as refused:
                answer, quirk = refused.answer, "ok"
                self._state.narrate(f"API call refused with HTTP {answer.status}: {refused}")
            if "/api/2.3/" in request.path:  # always compressed, as by the vendor
                answer = compressed(answer, request.headers.get("Accept-Encoding", ""))
            return await self._state.send(request, answer, quirk)

        return respond

    async def _v3(self, request: web.Request) -> tuple[HttpAnswer, str]:
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = self._state.issuer.find_token(secret) if kind == "Bearer" else None
        if "access_token" in request.query:  # RFC 9700 section 4.3.2
            raise _problem(400, _IN_QUERY)
        if token is None:
            # The vendor's answer to a call without a token has no Content-Type: see add_headers.
            body, content_type = "Invalid access token", "text/plain" if secret else ""
            challenge = {"WWW-Authenticate": "Bearer"}
            raise _Refused(body, HttpAnswer(401, body.encode(), content_type, challenge))
        if request.match_info.get("team") != token.request.team:
            raise _problem(403, _wrong_team(token))
        quirks = self._state.quirks()
        if quirks.api == "too-many" or self._state.issuer.is_rate_limited(token):
            raise _problem(429, "Too many calls.", _RATE_HEADERS)
        path = request.match_info["path"]
        if path == "users/me":
            self._narrate_lookup(token)
            return answer_account(quirks.account, token.account, user_v3), quirks.account
        if request.method != "GET":
            return await self._write(request, token, path), "ok"
        return self._read_v3(request, path), "ok"

    def _read_v3(self, request: web.Request, path: str) -> HttpAnswer:
        found = find_items(self._v3_lists, path)
        if found is None:
            raise _problem(404, "Nothing is found at this path.")
        if not isinstance(found, list):
            return in_json(200, found)
        items = [] if self._state.quirks().api == "empty" else found
        try:
            selected, page, size, pages = select_page(items, request.query)
        except InvalidPage as problem:
            raise _problem(400, str(problem)) from None
        return in_json(
            200,
            {
                "totalCount": len(items),
                "pageSize": size,
                "page": page,
                "totalPages": pages,
                "sort": request.query.get("sort", "creation"),
                "order": request.query.get("order", "asc"),
                "items": selected,
            },
        )

    async def _write(self, request: web.Request, token: IssuedToken, path: str) -> HttpAnswer:
        if WRITE_ACCESS not in token.request.scope:
            raise _problem(403, "The access token lacks write_access.")
        if (request.method, path) != ("POST", "questions"):
            raise _problem(404, "The sandbox accepts new questions only.")
        try:
            title = dict(await request.json())["title"]
        except (ValueError, KeyError, TypeError):
            raise _problem(400, "The Title field is required.") from None
        self._state.narrate(f"{token.account.name} asked a question, which is not stored.")
        return in_json(201, {**self._v3_lists["questions"][-1], "id": 0, "title": title})

    async def _v2(self, request: web.Request) -> tuple[HttpAnswer, str]:
        query, path = request.query, request.match_info["path"].rstrip("/")
        secret = request.headers.get("X-API-Access-Token", "")
        if "access_token" in query:
            if self._state.strict:
                raise _error(400, "bad_parameter", _IN_QUERY)
            self._state.warn("the token is in the query string, which servers and proxies log")
            secret = secret or query["access_token"]
        if path in {"sites", "filters/create"}:  # these need no token
            return self._read_v2(request, path), "ok"
        token = self._state.issuer.find_token(secret)
        if not secret:
            raise _error(401, "access_token_required", "This method requires an `access_token`")
        if token is None:
            raise _error(402, "invalid_access_token", "`access_token` is not valid")
        key = token.request.application.key
        if (request.headers.get("X-API-Key") or query.get("key") or key) != key:
            message = "`key` is not valid for passed `access_token`, token not found."
            raise _error(403, "access_denied", message)
        if request.match_info.get("team") != token.request.team:
            raise _error(403, "access_denied", _wrong_team(token))
        quirks = self._state.quirks()
        if quirks.api == "too-many":
            message = f"too many requests, more requests available in {RATE_WINDOW} seconds"
            raise _error(502, "throttle_violation", message)
        if path == "me":
            self._narrate_lookup(token)
            answer = answer_account(quirks.account, token.account, lambda me: _wrapped(user_v2(me)))
            return answer, quirks.account
        return self._read_v2(request, path), "ok"

    def _read_v2(self, request: web.Request, path: str) -> HttpAnswer:
        if path == "filters/create":
            made = {"filter": "practice", "filter_type": "safe", "included_fields": []}
            return in_json(200, _wrapped(made))
        found = find_items(self._v2_lists, path) if request.method == "GET" else None
        if found is None:
            raise _error(404, "no_method", "There is no such method.")
        quirk = self._state.quirks().api
        items = [] if quirk == "empty" else found if isinstance(found, list) else [found]
        try:
            max_size = 1000 if path == "sites" else 100
            selected, page, _, pages = select_page(items, request.query, max_size=max_size)
        except InvalidPage as problem:
            raise _error(400, "bad_parameter", str(problem)) from None
        pause = {"backoff": 1} if quirk == "backoff" else {}
        return in_json(200, _wrapped(*selected) | {"has_more": page < pages} | pause)

    def _narrate_lookup(self, token: IssuedToken) -> None:
        self._state.narrate(f"The account of a token was looked up: {token.account.name}.")

    def _about(self, act: Callable[[IssuedToken], None]) -> _Answering:
        """Make a handler that describes the token in its path, and acts on it if it is valid."""

        async def answer(request: web.Request) -> tuple[HttpAnswer, str]:
            quirk = self._state.quirks().invalidate
            if quirk == "not-offered":
                raise _error(404, "no_method", "There is no such method.")
            if quirk == "server-error":
                raise _error(500, "internal_error", "Something went wrong.")
            if quirk == "hang":
                return in_json(200, _wrapped()), quirk
            token = self._state.issuer.find_token(request.match_info["token"])
            if token is None:
                return in_json(200, _wrapped()), "ok"
            act(token)
            expires_at = token.expires_at
            expiry = {} if expires_at is None else {"expires_on_date": int(expires_at)}
            described = {
                "access_token": token.secret,
                "account_id": token.account.account_id,
                "scope": list(token.request.scope),
                **expiry,
            }
            return in_json(200, _wrapped(described)), "ok"

        return answer

    def _invalidate(self, token: IssuedToken) -> None:
        self._state.issuer.revoke(token)
        application = token.request.application.name
        self._state.narrate(f"A token of {token.account.name} for '{application}' was revoked.")

    def _de_authenticate(self, token: IssuedToken) -> None:
        application = token.request.application
        self._state.issuer.revoke_for_application(token)
        self._state.sessions.forget_approvals(token.account, application.client_id)
        self._state.narrate(
            f"All tokens of {token.account.name} for '{application.name}' were revoked, "
            "and the approval removed."
        )


def _wrong_team(token: IssuedToken) -> str:
    team = token.request.team
    return f"The access token is for {f'the team {team}' if team else 'the main site'} only."


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> _Refused:
    """Make a refusal of API v3: ProblemDetails (RFC 9457)."""
    title = HTTPStatus(status).phrase
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return _Refused(detail, replace(in_json(status, problem), headers=headers or {}))


def _error(number: int, name: str, message: str) -> _Refused:
    """Make a refusal of API v2.3: the status is always 400."""
    fields = {"error_id": number, "error_name": name, "error_message": message}
    return _Refused(message, in_json(400, fields))


def _wrapped(*items: object) -> dict[str, object]:
    return {"items": list(items), "has_more": False, "quota_max": 10000, "quota_remaining": 9999}
