"""The two APIs, as far as a login needs them: who am I, and the end of a token."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from soe_auth.sandbox.context import Context
from soe_auth.sandbox.fault_delivery import deliver
from soe_auth.sandbox.grants import IssuedToken
from soe_auth.sandbox.registry import Account
from soe_auth.sandbox.token_answers import TokenAnswer, compressed, in_html, in_json

_NAMES: Final = {
    "empty-name": "",
    "markup-name": "<script>alert('Jane Doe')</script>",
    "control-name": "Jane\x1b[31m\u202eeoD\u202c\r\n\x07 Doe\x00",
}
_NOT_GOOD: Final = "The access token is missing or no longer good."
_IN_QUERY: Final = "A token belongs in a header, not in the query string."

TokenHandler = Callable[[IssuedToken | None], TokenAnswer]


class ApiRoutes:
    """The APIs v3 and v2.3 of one site."""

    def __init__(self, context: Context) -> None:
        """Take what the routes share."""
        self._context = context

    def table(self) -> list[web.RouteDef]:
        """List the routes; as at the vendor's, a token that is spoken of is in the path."""
        about = "/api/2.3/access-tokens/{token}"
        return [
            web.get("/api/v3/users/me", self._me_v3, allow_head=False),
            web.get("/api/2.3/me", self._me_v2, allow_head=False),
            web.get(about, self._about(self._describe), allow_head=False),
            web.get(f"{about}/invalidate", self._about(self._invalidate), allow_head=False),
            web.get(
                "/api/2.3/apps/{token}/de-authenticate",
                self._about(self._de_authenticate),
                allow_head=False,
            ),
        ]

    async def _me_v3(self, request: web.Request) -> web.StreamResponse:
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = self._context.grants.find_token(secret) if kind == "Bearer" else None
        if "access_token" in request.query:  # RFC 9700 section 4.3.2
            return await self._turn_away(request, in_json(400, {"message": _IN_QUERY}))
        if token is None:
            challenge = {"WWW-Authenticate": "Bearer"}
            answer = TokenAnswer(401, b"Invalid access token", "text/plain", challenge)
            return await self._turn_away(request, answer)
        account = token.account
        return await self._introduce(
            request,
            account,
            lambda name: {
                "id": account.id,
                "accountId": account.account_id,
                "name": name,
                "email": account.email,
                "role": account.role,
            },
        )

    async def _me_v2(self, request: web.Request) -> web.StreamResponse:
        token = self._context.grants.find_token(request.headers.get("X-API-Access-Token", ""))
        if "access_token" in request.query:
            return await self._turn_away(request, _fault(400, 400, "bad_parameter", _IN_QUERY))
        if token is None:
            return await self._turn_away(
                request, _fault(401, 402, "invalid_access_token", _NOT_GOOD)
            )
        account = token.account
        return await self._introduce(
            request,
            account,
            lambda name: _wrapped(
                {
                    "account_id": account.account_id,
                    "user_id": account.id,
                    "display_name": name,
                }
            ),
        )

    async def _introduce(
        self, request: web.Request, account: Account, body: Callable[[str], object]
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
                answer = in_json(200, body(_NAMES.get(manner, account.name)))
        return await self._deliver(request, answer, manner)

    def _about(
        self, handle: TokenHandler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Make a route of what is done with the token in the path, once a switch permits it."""

        async def answer(request: web.Request) -> web.StreamResponse:
            manner = self._context.quirks().invalidate
            match manner:
                case "not-offered":
                    reply = _fault(404, 404, "no_method", "There is no such method.")
                case "server-error":
                    reply = _fault(500, 500, "internal_error", "Something went wrong.")
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
        self._context.narrate("An API call was refused: its token is missing, ended or misplaced.")
        return await self._deliver(request, answer, "ok")

    async def _deliver(
        self, request: web.Request, answer: TokenAnswer, manner: str
    ) -> web.StreamResponse:
        """Send an answer; API v2.3 compresses each one, whatever is asked for."""
        if request.path.startswith("/api/2.3/"):
            answer = compressed(answer, request.headers.get("Accept-Encoding", ""))
        return await deliver(request, answer, self._context, manner)


def _items(token: IssuedToken | None) -> list[dict[str, object]]:
    if token is None:
        return []
    item: dict[str, object] = {
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


def _fault(status: int, number: int, name: str, sentence: str) -> TokenAnswer:
    return in_json(status, {"error_id": number, "error_name": name, "error_message": sentence})
