"""The token endpoint (RFC 6749 section 4.1.3, in the vendor's dialect)."""

from aiohttp import web

from soe_auth.sandbox.context import Context, Exchange
from soe_auth.sandbox.fault_delivery import deliver
from soe_auth.sandbox.form_parsing import Malformed, Pairs, once_each, read_form, read_pairs
from soe_auth.sandbox.grants import REDEMPTION, TOLERATED, IssuedToken, Rejected
from soe_auth.sandbox.pages import span_in_words
from soe_auth.sandbox.token_answers import (
    ALTERED,
    INSTEAD,
    Sent,
    TokenAnswer,
    in_json,
    malformed_request,
    refusal,
)

PATH = "/oauth/access_token/json"


class TokenRoutes:
    """The token endpoint of one site."""

    def __init__(self, context: Context) -> None:
        """Take what the routes share."""
        self._context = context

    def table(self) -> list[web.RouteDef]:
        """List the route: one for every method, so that each request is on record."""
        return [web.route("*", PATH, self._exchange)]

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            self._record(request, [], granted=False)
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        name = self._context.quirks().token
        if name != "ok":
            self._context.narrate(f"A switch is set: the token endpoint answers with '{name}'.")
        pairs, malformed = await self._fields(request)
        if name in INSTEAD:
            self._record(request, pairs, granted=False)
            answer = INSTEAD[name](await self._sent(request))
        else:
            answer = self._redeem(request, pairs, malformed, name)
        return await deliver(request, answer, self._context, name)

    def _redeem(
        self, request: web.Request, pairs: Pairs, malformed: Malformed | None, alteration: str
    ) -> TokenAnswer:
        try:
            if malformed:
                raise malformed
            token = self._token_for(request, pairs)
        except (Rejected, Malformed) as reason:
            self._record(request, pairs, granted=False)
            self._context.narrate(f"Exchange refused: {reason}")
            if isinstance(reason, Malformed):
                return malformed_request(str(reason))
            return refusal(reason.answer)
        self._record(request, pairs, granted=True)
        return self._grant(token, alteration)

    def _token_for(self, request: web.Request, pairs: Pairs) -> IssuedToken:
        if self._context.strict:
            if request.query_string:
                raise Malformed("The parameters belong in the body, not in the query string.")
            return self._context.grants.redeem(once_each(pairs, REDEMPTION))
        sent = once_each(pairs, (*REDEMPTION, *TOLERATED))
        if sent.pop("grant_type", "authorization_code") != "authorization_code":
            raise Malformed("The grant_type is not authorization_code.")
        self._context.narrate_bad_style(
            why for name, why in TOLERATED.items() if name in dict(pairs)
        )
        if request.query_string:
            why = "the code is in the query string, which servers and proxies write into their logs"
            self._context.narrate_bad_style([why])
        return self._context.grants.redeem(sent)

    def _grant(self, token: IssuedToken, alteration: str) -> TokenAnswer:
        fields: dict[str, object] = {"access_token": token.secret}
        life = "without end"
        if token.expires_at is not None:
            fields["expires"] = self._context.lifetime
            life = f"for {span_in_words(self._context.lifetime)}"
        self._context.narrate(
            f"Code redeemed: the verifier matches the challenge; a token {life} was issued."
        )
        return ALTERED[alteration](fields) if alteration in ALTERED else in_json(200, fields)

    async def _fields(self, request: web.Request) -> tuple[Pairs, Malformed | None]:
        """Read the body; where it cannot be read, there are no pairs but what is wrong with it.

        Unless the site is strict, they may come in the query.
        """
        try:
            if self._context.strict:
                return await read_form(request), None
            body = await read_form(request) if await request.read() else []
            return [*body, *read_pairs(request.rel_url.raw_query_string)], None
        except Malformed as malformed:
            return [], malformed

    def _record(self, request: web.Request, fields: Pairs, *, granted: bool) -> None:
        self._context.exchanges.append(
            Exchange(
                method=request.method,
                fields=list(fields),
                query=request.rel_url.raw_query_string,
                headers=request.headers,
                granted=granted,
            )
        )

    async def _sent(self, request: web.Request) -> Sent:
        """Name this endpoint by another host, so that a client which follows is seen to."""
        scheme, _, _ = self._context.url.partition(":")
        host = "localhost" if request.host.startswith("127.") else "127.0.0.1"
        body = (await request.read()).decode("ascii", "replace")
        return Sent(body, f"{scheme}://{host}:{self._context.port}{PATH}")
