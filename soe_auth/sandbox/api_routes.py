"""The two APIs: who am I, the end of a token, and a few lists, so that real clients finish."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from aiohttp import web

from soe_auth.sandbox.api_content import (
    BadPage,
    Item,
    cut,
    find,
    lists_v2,
    lists_v3,
    me_v2,
    me_v3,
)
from soe_auth.sandbox.authorization import WRITE_ACCESS
from soe_auth.sandbox.context import Context
from soe_auth.sandbox.fault_delivery import deliver
from soe_auth.sandbox.grants import CALL_SPAN, IssuedToken
from soe_auth.sandbox.registry import Account
from soe_auth.sandbox.token_answers import TokenAnswer, compressed, in_html, in_json

_NAMES: Final = {
    "empty-name": "",
    "markup-name": "<script>alert('Jane Doe')</script>",
    "control-name": "Jane\x1b[31m\u202eeoD\u202c\r\n\x07 Doe\x00",
}
_IN_QUERY: Final = "A token belongs in a header, not in the query string."
_OTHER_KEY: Final = "`key` is not valid for passed `access_token`, token not found."
_TOO_MANY: Final = {
    "Retry-After": str(CALL_SPAN),
    "x-burst-throttle-calls-left": "0",
    "x-burst-throttle-seconds-until-full": str(CALL_SPAN),
}
_WITHOUT_TOKEN: Final = ("sites", "filters/create")

TokenHandler = Callable[[IssuedToken | None], TokenAnswer]


class ApiRoutes:
    """The APIs v3 and v2.3 of one site."""

    def __init__(self, context: Context) -> None:
        """Take what the routes share."""
        self._context = context
        self._v3_lists = lists_v3(context.url, context.accounts.values())
        self._v2_lists = lists_v2(context.url, context.accounts.values())

    def table(self) -> list[web.RouteDef]:
        """List the routes; as at the vendor's, a token that is spoken of is in the path."""
        about = "/api/2.3/access-tokens/{token}"
        de_authenticate = "/api/2.3/apps/{token}/de-authenticate"
        return [
            web.get(about, self._about(self._describe), allow_head=False),
            web.get(f"{about}/invalidate", self._about(self._invalidate), allow_head=False),
            web.get(de_authenticate, self._about(self._de_authenticate), allow_head=False),
            web.route("*", "/api/v3/teams/{team}/{path:.+}", self._v3),
            web.route("*", "/api/v3/{path:.+}", self._v3),
            web.route("*", "/c/{team}/api/2.3/{path:.+}", self._v2),
            web.route("*", "/api/2.3/{path:.+}", self._v2),
        ]

    async def _v3(self, request: web.Request) -> web.StreamResponse:
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = self._context.grants.find_token(secret) if kind == "Bearer" else None
        if "access_token" in request.query:  # RFC 9700 section 4.3.2
            return await self._turn_away(request, _problem(400, _IN_QUERY))
        if token is None:
            # Where there was no token, the refusal has no type; see add_headers.
            type_ = "text/plain" if secret else ""
            challenge = {"WWW-Authenticate": "Bearer"}
            answer = TokenAnswer(401, b"Invalid access token", type_, challenge)
            return await self._turn_away(request, answer)
        if request.match_info.get("team") != token.team:
            return await self._turn_away(request, _problem(403, _outside(token)))
        if self._is_too_much(token):
            return await self._turn_away(request, _problem(429, "Too many calls.", _TOO_MANY))
        path = request.match_info["path"]
        if path == "users/me":
            return await self._introduce(request, token.account, me_v3)
        if request.method != "GET":
            return await self._deliver(request, await self._write(request, token, path))
        return await self._deliver(request, self._read_v3(request, path))

    def _read_v3(self, request: web.Request, path: str) -> TokenAnswer:
        found = find(self._v3_lists, path)
        if found is None:
            return _problem(404, "There is no such thing.")
        if not isinstance(found, list):
            return in_json(200, found)
        items = self._listed(found)
        try:
            part, page, size, pages = cut(items, request.query)
        except BadPage as fault:
            return _problem(400, str(fault))
        about = {
            "totalCount": len(items),
            "pageSize": size,
            "page": page,
            "totalPages": pages,
            "sort": request.query.get("sort", "creation"),
            "order": request.query.get("order", "asc"),
        }
        return in_json(200, {**about, "items": part})

    async def _write(self, request: web.Request, token: IssuedToken, path: str) -> TokenAnswer:
        if WRITE_ACCESS not in token.scope:
            self._context.narrate("A call that writes was refused: its token lacks write_access.")
            return _problem(403, "The access token lacks write_access.")
        if (request.method, path) != ("POST", "questions"):
            return _problem(404, "There is no such thing to write on a practice site.")
        try:
            title = dict(await request.json())["title"]
        except (ValueError, KeyError, TypeError):
            return _problem(400, "The Title field is required.")
        self._context.narrate(f"{token.account.name} asked a question, which is not kept.")
        question = {**self._v3_lists["questions"][-1], "id": 0, "title": title}
        return in_json(201, question)

    async def _v2(self, request: web.Request) -> web.StreamResponse:
        query, path = request.query, request.match_info["path"].rstrip("/")
        secret = request.headers.get("X-API-Access-Token", "")
        if "access_token" in query:
            if self._context.strict:
                return await self._turn_away(request, _fault(400, "bad_parameter", _IN_QUERY))
            why = (
                "the token is in the query string, which servers and proxies write into their logs"
            )
            self._context.narrate_bad_style([why])
            secret = secret or query["access_token"]
        token = self._context.grants.find_token(secret)
        if path in _WITHOUT_TOKEN:
            return await self._deliver(request, self._read_v2(request, path))
        if token is None:
            answer = _fault(402, "invalid_access_token", "`access_token` is not valid")
            if not secret:
                words = "This method requires an `access_token`"
                answer = _fault(401, "access_token_required", words)
            return await self._turn_away(request, answer)
        key = request.headers.get("X-API-Key") or query.get("key") or token.application.key
        if key != token.application.key:
            return await self._turn_away(request, _fault(403, "access_denied", _OTHER_KEY))
        if request.match_info.get("team") != token.team:
            return await self._turn_away(request, _fault(403, "access_denied", _outside(token)))
        if self._context.quirks().api == "too-many":
            words = f"too many requests, more requests available in {CALL_SPAN} seconds"
            return await self._turn_away(request, _fault(502, "throttle_violation", words))
        if path == "me":
            return await self._introduce(
                request, token.account, lambda account, name: _wrapped(me_v2(account, name))
            )
        return await self._deliver(request, self._read_v2(request, path))

    def _read_v2(self, request: web.Request, path: str) -> TokenAnswer:
        if path == "filters/create":
            made = {"filter": "practice", "filter_type": "safe", "included_fields": []}
            return in_json(200, _wrapped(made))
        found = find(self._v2_lists, path) if request.method == "GET" else None
        if found is None:
            return _fault(404, "no_method", "There is no such method.")
        items = self._listed(found if isinstance(found, list) else [found])
        try:
            largest = 1000 if path == "sites" else 100
            part, page, _, pages = cut(items, request.query, largest=largest)
        except BadPage as fault:
            return _fault(400, "bad_parameter", str(fault))
        answer = _wrapped(*part) | {"has_more": page < pages}
        if self._context.quirks().api == "backoff":
            answer["backoff"] = 1
        return in_json(200, answer)

    def _listed(self, items: list[Item]) -> list[Item]:
        return [] if self._context.quirks().api == "empty" else items

    def _is_too_much(self, token: IssuedToken) -> bool:
        told = self._context.quirks().api == "too-many"
        return told or self._context.grants.is_over_limit(token)

    async def _introduce(
        self, request: web.Request, account: Account, body: Callable[[Account, str], object]
    ) -> web.StreamResponse:
        manner = self._context.quirks().account
        self._context.narrate(f"A token was shown to ask whose it is: {account.name}.")
        match manner:
            case "server-error":
                answer = in_html(500, "Internal Server Error")
            case "html":
                answer = in_html(200, "Log in to continue")
            case "not-json":
                answer = TokenAnswer(200, b"{name: Jane")
            case _:
                answer = in_json(200, body(account, _NAMES.get(manner, account.name)))
        return await self._deliver(request, answer, manner)

    def _about(
        self, handle: TokenHandler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Make a route of what is done with the token in the path, once a switch permits it."""

        async def answer(request: web.Request) -> web.StreamResponse:
            manner = self._context.quirks().invalidate
            match manner:
                case "not-offered":
                    reply = _fault(404, "no_method", "There is no such method.")
                case "server-error":
                    reply = _fault(500, "internal_error", "Something went wrong.")
                case "hang":
                    reply = in_json(200, _wrapped())
                case _:
                    reply = handle(self._context.grants.find_token(request.match_info["token"]))
            return await self._deliver(request, reply, manner)

        return answer

    def _describe(self, token: IssuedToken | None) -> TokenAnswer:
        return in_json(200, _wrapped(*_items(token)))

    def _invalidate(self, token: IssuedToken | None) -> TokenAnswer:
        if token:
            self._context.grants.end_token(token)
            self._context.narrate(
                f"A token of {token.account.name} for '{token.application.name}' was ended."
            )
        return self._describe(token)

    def _de_authenticate(self, token: IssuedToken | None) -> TokenAnswer:
        if token:
            self._context.grants.end_all_like(token)
            self._context.sessions.forget_approvals(token.account, token.application.client_id)
            self._context.narrate(
                f"Every token of {token.account.name} for '{token.application.name}' was ended, "
                "and the approval forgotten."
            )
        return self._describe(token)

    async def _turn_away(self, request: web.Request, answer: TokenAnswer) -> web.StreamResponse:
        self._context.narrate(f"An API call was refused with status {answer.status}.")
        return await self._deliver(request, answer)

    async def _deliver(
        self, request: web.Request, answer: TokenAnswer, manner: str = "ok"
    ) -> web.StreamResponse:
        """Send an answer; API v2.3 compresses each one, whatever is asked for."""
        if "/api/2.3/" in request.path:
            answer = compressed(answer, request.headers.get("Accept-Encoding", ""))
        return await deliver(request, answer, self._context, manner)


def _outside(token: IssuedToken) -> str:
    where = f"the team {token.team}" if token.team else "the main site"
    return f"The access token is for {where} only."


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> TokenAnswer:
    """Refuse as API v3 does, by ProblemDetails."""
    title = HTTPStatus(status).phrase
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return replace(in_json(status, problem), headers=headers or {})


def _items(token: IssuedToken | None) -> list[Item]:
    if token is None:
        return []
    item: Item = {
        "access_token": token.secret,
        "account_id": token.account.account_id,
        "scope": list(token.scope),
    }
    if token.expires_at is not None:
        item["expires_on_date"] = int(token.expires_at)
    return [item]


def _wrapped(*items: object) -> dict[str, object]:
    return {
        "items": list(items),
        "has_more": False,
        "quota_max": 10000,
        "quota_remaining": 9999,
    }


def _fault(number: int, name: str, sentence: str) -> TokenAnswer:
    """Refuse as API v2.3 does: the status is 400, whatever is wrong."""
    return in_json(400, {"error_id": number, "error_name": name, "error_message": sentence})
