"""The token endpoint (RFC 6749 section 4.1.3, as in the vendor's guide)."""

from aiohttp import web

from soe_auth.sandbox.form_parsing import Malformed, Pairs, parse_pairs, read_form, unique_fields
from soe_auth.sandbox.http_answer import HttpAnswer
from soe_auth.sandbox.pages import describe_duration
from soe_auth.sandbox.quirks import (
    ReceivedForm,
    answer_after_exchange,
    answer_before_exchange,
    refuse,
    refuse_malformed,
)
from soe_auth.sandbox.site_state import Exchange, SiteState
from soe_auth.sandbox.token_issuer import (
    EXCHANGE_FIELDS,
    TOLERATED_FIELDS,
    CodeRejected,
    IssuedToken,
)

PATH = "/oauth/access_token/json"


class TokenRoutes:
    """The token endpoint of one site."""

    def __init__(self, state: SiteState) -> None:
        self._state = state

    def table(self) -> list[web.RouteDef]:
        """List the route, which takes all methods so that each request is recorded."""
        return [web.route("*", PATH, self._exchange)]

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            self._record(request, [], granted=False)
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        quirk = self._state.quirks().token
        if quirk != "ok":
            self._state.narrate(f"The token endpoint answers with the quirk '{quirk}'.")
        answer = answer_before_exchange(quirk, await self._received(request))
        pairs: Pairs = []
        granted = False
        try:
            pairs = await self._read_pairs(request)
            if answer is None:
                answer = self._report(self._issue(request, pairs), quirk)
                granted = True
        except Malformed as problem:
            answer = answer or self._refuse(problem, refuse_malformed(str(problem)))
        except CodeRejected as problem:
            answer = self._refuse(problem, refuse(problem.answer))
        self._record(request, pairs, granted=granted)
        return await self._state.send(request, answer, quirk)

    async def _read_pairs(self, request: web.Request) -> Pairs:
        """Read the parameters from the body and, unless the site is strict, the query."""
        if self._state.strict:
            return await read_form(request)
        body = await read_form(request) if await request.read() else []
        return [*body, *parse_pairs(request.rel_url.raw_query_string)]

    def _issue(self, request: web.Request, pairs: Pairs) -> IssuedToken:
        if self._state.strict:
            if request.query_string:
                raise Malformed("The parameters belong in the body, not in the query string.")
            return self._state.issuer.exchange(unique_fields(pairs, EXCHANGE_FIELDS))
        fields = unique_fields(pairs, (*EXCHANGE_FIELDS, *TOLERATED_FIELDS))
        if fields.get("grant_type", "authorization_code") != "authorization_code":
            raise Malformed("The grant_type is not authorization_code.")
        self._state.warn(
            *(TOLERATED_FIELDS[name] for name in TOLERATED_FIELDS.keys() & dict(pairs))
        )
        if request.query_string:
            self._state.warn("the code is in the query string, which servers and proxies log")
        return self._state.issuer.exchange(fields)

    def _report(self, token: IssuedToken, quirk: str) -> HttpAnswer:
        fields: dict[str, object] = {"access_token": token.secret}
        validity = "that never expires"
        if token.expires_at is not None:
            fields["expires"] = self._state.lifetime
            validity = f"for {describe_duration(self._state.lifetime)}"
        self._state.narrate(
            f"Code exchanged: the verifier matches the challenge; a token {validity} was issued."
        )
        return answer_after_exchange(quirk, fields)

    def _refuse(self, reason: Exception, answer: HttpAnswer) -> HttpAnswer:
        self._state.narrate(f"Exchange refused: {reason}")
        return answer

    def _record(self, request: web.Request, pairs: Pairs, *, granted: bool) -> None:
        query = request.rel_url.raw_query_string
        self._state.exchanges.append(
            Exchange(request.method, list(pairs), query, request.headers, granted)
        )

    async def _received(self, request: web.Request) -> ReceivedForm:
        """Return what an answer may repeat; a client that follows redirects uses the other host."""
        scheme, _, _ = self._state.url.partition(":")
        host = "localhost" if request.host.startswith("127.") else "127.0.0.1"
        body = (await request.read()).decode("ascii", "replace")
        return ReceivedForm(body, f"{scheme}://{host}:{self._state.port}{PATH}")
