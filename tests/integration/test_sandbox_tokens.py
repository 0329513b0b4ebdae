"""What a program meets on the sandbox: the token endpoint, both APIs, and every switch."""

import asyncio
import errno
import gzip
import json
import socket
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import pytest
from sandbox_client import CHALLENGE, STATE, VERIFIER, Answer, Client, Clock, request_for

from soe_auth.sandbox import (
    ACCOUNT_ANSWERS,
    INVALIDATE_ANSWERS,
    TOKEN_ANSWERS,
    Quirks,
    Sandbox,
)
from soe_auth.sandbox.fault_delivery import DELIVERIES
from soe_auth.sandbox.sockets import bind_loopback
from soe_auth.sandbox.token_answers import ALTERED, INSTEAD
from soe_auth.sandbox.visitor import visit

EXCHANGE = "/oauth/access_token/json"
V3 = "/api/v3/users/me"
V2 = "/api/2.3/me"


@dataclass
class Program(Client):
    """Signs in through the visitor, redeems codes and uses tokens."""

    clock: Clock
    tale: list[str]
    codes: list[str] = field(default_factory=list)

    @property
    def redirect_uri(self) -> str:
        return f"{self.site.url}/oauth/login_success"

    async def code(self, scope: str = "", account: str = "Jane Doe") -> str:
        asked = request_for(client_id="112", redirect_uri=self.redirect_uri, scope=scope)
        page = await visit(self.site.url + asked, account=account, narrate=self.tale.append)
        self.codes.append(dict(parse_qsl(urlsplit(page.url).query))["code"])
        return self.codes[-1]

    def form(self, code: str, /, **changes: str | None) -> dict[str, str]:
        fields: dict[str, str | None] = {
            "client_id": "112",
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": self.redirect_uri,
        }
        return {name: value for name, value in (fields | changes).items() if value is not None}

    async def exchange(self, code: str, /, **changes: str | None) -> Answer:
        return await self.send(EXCHANGE, "POST", self.form(code, **changes))

    async def token(self, scope: str = "", account: str = "Jane Doe") -> str:
        answer = await self.exchange(await self.code(scope, account))
        token = answer.fields["access_token"]
        assert isinstance(token, str)
        return token

    async def me(self, token: str) -> int:
        v3 = await self.send(V3, headers={"Authorization": f"Bearer {token}"})
        v2 = await self.send(V2, headers={"X-API-Access-Token": token})
        assert v2.status == v3.status
        return v3.status


@asynccontextmanager
async def program_for(quirks: Quirks) -> AsyncIterator[Program]:
    clock, tale = Clock(), list[str]()
    async with (
        Sandbox(clock=clock, narrate=tale.append, quirks=quirks) as site,
        aiohttp.ClientSession() as session,
    ):
        yield Program(session, site, clock, tale)


@pytest.fixture
async def program() -> AsyncIterator[Program]:
    async with program_for(Quirks()) as made:
        yield made


def message(answer: Answer) -> str:
    assert answer.status == 400
    assert list(answer.fields) == ["error_message"]
    return str(answer.fields["error_message"])


# The exchange


async def test_a_code_and_its_verifier_buy_a_token_for_a_day(program: Program) -> None:
    answer = await program.exchange(await program.code())
    assert answer.status == 200
    assert list(answer.fields) == ["access_token", "expires"]
    assert answer.fields["expires"] == 86400
    assert set("()*") <= set(str(answer.fields["access_token"]))
    assert answer.headers["Cache-Control"] == "no-store"
    assert (
        "Code redeemed: the verifier matches the challenge; a token for 24 h was issued."
        in program.tale
    )


async def test_a_token_without_end_has_no_expires(program: Program) -> None:
    answer = await program.exchange(await program.code("no_expiry"))
    assert list(answer.fields) == ["access_token"]
    program.clock.now += 10**9
    assert await program.me(str(answer.fields["access_token"])) == 200


async def test_a_code_is_good_once_only(program: Program) -> None:
    code = await program.code()
    assert (await program.exchange(code)).status == 200
    assert "used before" in message(await program.exchange(code))


async def test_a_replayed_code_ends_the_token_it_bought(program: Program) -> None:
    code = await program.code()
    token = str((await program.exchange(code)).fields["access_token"])
    assert await program.me(token) == 200
    await program.exchange(code, code_verifier="x" * 43)
    assert await program.me(token) == 401


async def test_a_code_lives_five_minutes(program: Program) -> None:
    first, second = await program.code(), await program.code()
    program.clock.now += 299
    assert (await program.exchange(first)).status == 200
    program.clock.now += 1
    assert "expired" in message(await program.exchange(second))


@pytest.mark.rfc("6749-4.1.3", "6749-10.6")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code_verifier": "x" * 43}, "does not match the code_challenge"),
        ({"client_id": "110"}, "another application"),
        ({"client_id": "999"}, "another application"),
        ({"redirect_uri": "http://localhost/oauth/login_success"}, "redirect_uri is not the one"),
    ],
)
async def test_a_code_is_bound_and_a_failed_attempt_spends_it(
    program: Program, changes: dict[str, str | None], words: str
) -> None:
    code = await program.code()
    assert words in message(await program.exchange(code, **changes))
    assert "used before" in message(await program.exchange(code))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code_verifier": "x" * 42}, "43 to 128 unreserved"),
        ({"code_verifier": "x" * 129}, "43 to 128 unreserved"),
        ({"code_verifier": "x" * 42 + "+"}, "43 to 128 unreserved"),
        ({"code_verifier": None}, "'code_verifier' is missing"),
        ({"code": None}, "'code' is missing"),
        ({"client_id": None}, "'client_id' is missing"),
        ({"redirect_uri": None}, "'redirect_uri' is missing"),
        ({"redirect_uri": ""}, "'redirect_uri' is missing"),
        ({"code": "made-up"}, "not one this site gave out"),
        ({"grant_type": "authorization_code"}, "'grant_type' was sent that is not taken"),
        ({"client_secret": "s"}, "'client_secret' was sent that is not taken"),
    ],
)
async def test_an_ill_formed_exchange_is_refused_and_leaves_the_code_alone(
    program: Program, changes: dict[str, str | None], words: str
) -> None:
    code = await program.code()
    assert words in message(await program.exchange(code, **changes))
    assert (await program.exchange(code)).status == 200


async def test_parameters_come_in_the_body_and_once(program: Program) -> None:
    code = await program.code()
    encoded = urlencode(program.form(code))
    typed = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = [
        await program.send(f"{EXCHANGE}?{encoded}", "POST", headers=typed),
        await program.send(f"{EXCHANGE}?client_id=112", "POST", encoded, typed),
        await program.send(EXCHANGE, "POST", f"{encoded}&code={code}", typed),
        await program.send(EXCHANGE, "POST", json.dumps(program.form(code))),
        await program.send(EXCHANGE, "POST", f"{encoded}é".encode(), typed),
        await program.send(EXCHANGE, "POST", b"", typed),
    ]
    assert "query string" in message(refused[0])
    assert "query string" in message(refused[1])
    assert "more than once" in message(refused[2])
    assert "not of the type" in message(refused[3])
    assert "percent-encoded" in message(refused[4])
    assert "missing" in message(refused[5])
    assert (await program.exchange(code)).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_only_post_is_taken_at_the_token_endpoint(program: Program, method: str) -> None:
    answer = await program.send(EXCHANGE, method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"
    assert [exchange.method for exchange in program.site.exchanges] == [method]


async def test_a_body_too_large_is_no_exchange(program: Program) -> None:
    assert (await program.exchange("x" * 20_000)).status == 413


async def test_every_exchange_is_on_record_for_tests(program: Program) -> None:
    code = await program.code()
    await program.exchange(code)
    await program.send(f"{EXCHANGE}?a=b", "POST", json.dumps({}))
    first, second = program.site.exchanges
    assert first.fields == list(program.form(code).items())
    assert (first.method, first.query, first.granted) == ("POST", "", True)
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert (second.fields, second.query, second.granted) == ([], "a=b", False)
    assert code not in repr(first)
    assert VERIFIER not in repr(first)


async def test_a_token_lives_as_long_as_the_site_says() -> None:
    clock = Clock()
    async with (
        Sandbox(clock=clock, lifetime=60) as site,
        aiohttp.ClientSession() as session,
    ):
        program = Program(session, site, clock, [])
        token = await program.token()
        clock.now += 59
        assert await program.me(token) == 200
        clock.now += 1
        assert await program.me(token) == 401
        assert (await program.send(f"/api/2.3/access-tokens/{token}")).items == []


async def test_what_is_narrated_holds_no_secret(program: Program) -> None:
    token = await program.token("no_expiry", "John Doe")
    await program.exchange(program.codes[0])
    await program.me(token)
    other = await program.token("write_access")
    await program.me(other)
    await program.send(f"/api/2.3/access-tokens/{other}/invalidate")
    await program.send(EXCHANGE, "POST", {VERIFIER: "1"})
    await program.send(f"/oauth?{STATE}=1")
    told = "\n".join(program.tale)
    assert len(program.tale) > 20
    for secret in (*program.codes, token, other, VERIFIER, CHALLENGE, STATE):
        assert secret not in told


# Who am I


async def test_both_apis_say_whose_the_token_is(program: Program) -> None:
    token = await program.token(account="Site Admin")
    v3 = await program.send(V3, headers={"Authorization": f"Bearer {token}"})
    assert v3.fields == {
        "id": 3,
        "accountId": 103,
        "name": "Site Admin",
        "email": "site.admin@example.com",
        "role": "administrator",
    }
    v2 = await program.send(V2, headers={"X-API-Access-Token": token})
    assert v2.items == [{"account_id": 103, "user_id": 3, "display_name": "Site Admin"}]
    assert v2.fields["has_more"] is False


async def test_a_token_that_is_not_good_is_401_on_both(program: Program) -> None:
    v3 = await program.send(V3, headers={"Authorization": "Bearer made-up"})
    assert (v3.status, v3.body) == (401, b"Invalid access token")
    assert v3.headers["Content-Type"] == "text/plain"
    assert v3.headers["WWW-Authenticate"] == "Bearer"
    v2 = await program.send(V2, headers={"X-API-Access-Token": "made-up"})
    assert v2.status == 401
    assert (v2.fields["error_id"], v2.fields["error_name"]) == (402, "invalid_access_token")


@pytest.mark.parametrize(
    ("accepted", "encoding", "decompress"),
    [
        ("identity", "gzip", gzip.decompress),
        ("", "gzip", gzip.decompress),
        ("deflate", "deflate", zlib.decompress),
        ("gzip, deflate", "gzip", gzip.decompress),
    ],
)
@pytest.mark.parametrize("token", ["", "made-up"])
async def test_the_older_api_compresses_whatever_is_asked_for(
    program: Program, accepted: str, encoding: str, decompress: Callable[[bytes], bytes], token: str
) -> None:
    headers = {"X-API-Access-Token": token or await program.token(), "Accept-Encoding": accepted}
    for path in (V2, "/api/2.3/access-tokens/made-up"):
        url = program.site.url + path
        async with aiohttp.request("GET", url, headers=headers) as decompressed:
            expected = await decompressed.read()
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.get(url, headers=headers) as response,
        ):
            assert response.headers["Content-Encoding"] == encoding
            assert decompress(await response.read()) == expected


@pytest.mark.rfc("9700-4.3.2")
async def test_a_token_goes_in_its_own_header_only(program: Program) -> None:
    token = await program.token()
    bearer, own = {"Authorization": f"Bearer {token}"}, {"X-API-Access-Token": token}
    for path, headers, status in (
        (V3, None, 401),
        (V3, own, 401),
        (V3, {"Authorization": f"Basic {token}"}, 401),
        (V3, {"Authorization": token}, 401),
        (V2, None, 401),
        (V2, bearer, 401),
        (f"{V3}?access_token={token}", None, 400),
        (f"{V3}?access_token={token}", bearer, 400),
        (f"{V2}?access_token={token}", None, 400),
        (f"{V2}?access_token={token}", own, 400),
    ):
        assert (await program.send(path, headers=headers)).status == status


# The end of a token


async def test_a_token_can_be_looked_at(program: Program) -> None:
    token = await program.token("write_access,read_inbox")
    answer = await program.send(f"/api/2.3/access-tokens/{token}")
    assert answer.items == [
        {
            "access_token": token,
            "account_id": 101,
            "scope": ["write_access", "read_inbox"],
            "expires_on_date": 1_086_400,
        }
    ]
    endless = await program.token("no_expiry")
    answer = await program.send(f"/api/2.3/access-tokens/{endless}")
    assert "expires_on_date" not in answer.items[0]


async def test_invalidating_ends_that_token_once(program: Program) -> None:
    token, other = await program.token(), await program.token()
    first = await program.send(f"/api/2.3/access-tokens/{token}/invalidate")
    assert [item["access_token"] for item in first.items] == [token]
    again = await program.send(f"/api/2.3/access-tokens/{token}/invalidate")
    assert (again.status, again.items) == (200, [])
    assert await program.me(token) == 401
    assert await program.me(other) == 200
    assert "A token of Jane Doe for 'Guide' was ended." in program.tale


async def test_de_authenticating_ends_all_tokens_of_the_application_for_the_account(
    program: Program,
) -> None:
    token, other = await program.token(), await program.token()
    theirs = await program.token(account="John Doe")
    answer = await program.send(f"/api/2.3/apps/{token}/de-authenticate")
    assert [item["access_token"] for item in answer.items] == [token]
    assert await program.me(token) == 401
    assert await program.me(other) == 401
    assert await program.me(theirs) == 200
    again = await program.send(f"/api/2.3/apps/{token}/de-authenticate")
    assert again.items == []


# Switches


def test_every_named_answer_is_made_somewhere_and_once() -> None:
    assert set(TOKEN_ANSWERS) == {"ok", *INSTEAD, *ALTERED, *DELIVERIES}
    assert len(TOKEN_ANSWERS) == 1 + len(INSTEAD) + len(ALTERED) + len(DELIVERIES)


@pytest.mark.parametrize("field", ["token", "account", "invalidate", "refusal", "issuer"])
def test_a_switch_has_no_position_without_a_name(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} is one of "):
        Quirks(**{field: "made-up"})  # type: ignore[arg-type]  # never the delay


@pytest.mark.parametrize("delay", [-1.0, float("inf"), float("nan")])
def test_a_delay_is_a_number_of_seconds(delay: float) -> None:
    with pytest.raises(ValueError, match="number of seconds"):
        Quirks(delay=delay)


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("vendor-refusal", 400, b'{"error_message": "'),
        ("vendor-error-object", 400, b'{"error": {"type": "invalid_grant", "message": "'),
        ("rfc-refusal", 400, b'{"error": "invalid_grant", "error_description": "'),
        ("refusal-long", 400, b"No code was as bad as this one. " * 1900),
        ("refusal-control", 400, b"\\u001b[2J\\u001b]0;owned\\u0007"),
        ("refusal-echo", 400, b'{"error_message": "No code is good in '),
        ("html-error", 400, b"<!doctype html>"),
        ("login-page", 200, b"Log in to continue"),
        ("empty", 200, b""),
        ("server-error", 500, b"Internal Server Error"),
        ("unavailable", 503, b"<!doctype html>"),
        ("redirect-302", 302, b""),
        ("redirect-307", 307, b""),
        ("redirect-308", 308, b""),
    ],
)
async def test_an_answer_from_in_between_leaves_the_code_unspent(
    program: Program, name: str, status: int, words: bytes
) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token=name)
    answer = await program.exchange(code)
    assert answer.status == status
    assert words in answer.body
    assert program.site.exchanges[-1].fields == list(program.form(code).items())
    unreadable = await program.send(EXCHANGE, "POST", "x")
    assert unreadable.status == status
    assert program.site.exchanges[-1].fields == []
    program.site.quirks = Quirks()
    assert (await program.exchange(code)).status == 200


async def test_a_redirect_of_the_exchange_leads_to_another_name_of_the_same_place() -> None:
    async with program_for(Quirks(token="redirect-307")) as program:
        answer = await program.exchange("x")
        elsewhere = f"http://127.0.0.1:{program.site.port}{EXCHANGE}"
        assert answer.headers["Location"] == elsewhere
        async with program.session.post(elsewhere, data={}, allow_redirects=False) as followed:
            assert followed.headers["Location"] == program.site.url + EXCHANGE


async def test_a_refusal_can_repeat_what_was_sent_as_it_came_and_as_it_reads() -> None:
    async with program_for(Quirks(token="refusal-echo")) as program:
        told = message(await program.exchange("c(o)d*e"))
        assert "code=c%28o%29d%2Ae&" in told
        assert "code=c(o)d*e&" in told
        assert told.count(VERIFIER) == 2


def body_of(answer: Answer) -> object:
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("truncated-json", lambda answer: not answer.body.endswith(b"}") and len(answer.body) > 20),
        (
            "nested-json",
            lambda answer: (
                b"[" * 30_000 + b"]" * 30_000 + b"}" in answer.body and len(answer.body) < 2**16
            ),
        ),
        ("json-list", lambda answer: isinstance(body_of(answer), list)),
        ("expires-string", lambda answer: answer.fields["expires"] == "86400"),
        ("expires-float", lambda answer: answer.fields["expires"] == 86399.5),
        ("expires-negative", lambda answer: answer.fields["expires"] == -1),
        ("expires-zero", lambda answer: answer.fields["expires"] == 0),
        ("expires-huge", lambda answer: answer.fields["expires"] == 10**30),
        ("expires-infinite", lambda answer: b'"expires": Infinity}' in answer.body),
        ("expires-nan", lambda answer: b'"expires": NaN}' in answer.body),
        ("expires-bool", lambda answer: answer.fields["expires"] is True),
        ("expires-unreadable", lambda answer: answer.fields["expires"] == "tomorrow"),
        (
            "expires-in",
            lambda answer: answer.fields["expires_in"] == 86400 and "expires" not in answer.fields,
        ),
        ("scope-other", lambda answer: answer.fields["scope"] == "read_inbox"),
        ("expires-missing", lambda answer: list(answer.fields) == ["access_token"]),
        (
            "token-control-characters",
            lambda answer: "\r\n" in str(answer.fields["access_token"]),
        ),
        ("token-empty", lambda answer: answer.fields["access_token"] == ""),
        ("token-type-bearer", lambda answer: answer.fields["token_type"] == "bearer"),
        ("token-type-other", lambda answer: answer.fields["token_type"] == "DPoP"),
        ("token-bidi", lambda answer: str(answer.fields["access_token"]).endswith("\u202e")),
        ("token-number", lambda answer: isinstance(answer.fields["access_token"], int)),
        ("byte-order-mark", lambda answer: answer.body.startswith(b"\xef\xbb\xbf{")),
        (
            "wrong-content-type",
            lambda answer: answer.headers["Content-Type"].startswith("text/html") and answer.fields,
        ),
        ("oversized", lambda answer: len(answer.body) > 2**20 and answer.fields),
        (
            "compressed",
            lambda answer: (
                int(answer.headers["Content-Length"]) < 2000 and len(answer.body) > 2**20
            ),
        ),
    ],
)
async def test_a_token_that_was_issued_can_be_told_of_wrongly(
    program: Program, name: str, holds: Callable[[Answer], object]
) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token=name)
    answer = await program.exchange(code)
    assert answer.status == 200
    assert holds(answer)
    assert program.site.exchanges[-1].granted
    assert "used before" in message(await program.exchange(code))


@pytest.mark.parametrize("name", ["slow", "trickle"])
async def test_a_right_answer_can_take_its_time(program: Program, name: str) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token=name, delay=0.001)
    assert list((await program.exchange(code)).fields) == ["access_token", "expires"]


@pytest.mark.parametrize("name", ["slow", "trickle"])
async def test_an_answer_that_takes_its_time_does_not_hold_up_the_end(name: str) -> None:
    asked = asyncio.Event()
    async with aiohttp.ClientSession() as session:
        async with Sandbox(
            quirks=Quirks(token=name, delay=3600), narrate=lambda _: asked.set()
        ) as site:
            program = Program(session, site, Clock(), [])
            waiting = asyncio.create_task(program.exchange("x"))
            await asked.wait()
        assert (await waiting).status == 400


async def test_a_good_token_can_come_with_the_status_of_a_fault(program: Program) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token="token-status-500")
    answer = await program.exchange(code)
    assert (answer.status, list(answer.fields)) == (500, ["access_token", "expires"])


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("cut-off", aiohttp.ClientPayloadError),
        ("not-http", aiohttp.ClientResponseError),
        ("huge-header", aiohttp.ClientResponseError),
    ],
)
async def test_an_answer_can_be_none_that_http_knows(
    program: Program, name: str, fault: type[Exception]
) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token=name)
    with pytest.raises(fault):
        await program.exchange(code)
    assert program.site.exchanges[-1].granted


async def test_a_connection_can_be_dropped_without_an_answer(program: Program) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token="drop")
    with pytest.raises(aiohttp.ClientConnectionError):
        await program.exchange(code)
    assert program.site.exchanges[-1].granted


async def test_a_client_may_give_up_on_an_answer_that_hangs(program: Program) -> None:
    program.site.quirks = Quirks(token="hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await program.exchange("x")
    program.site.quirks = Quirks()
    assert (await program.exchange("x")).status == 400


def test_every_account_answer_is_tried_below() -> None:
    tried = {"ok", "hang", "slow", *ACCOUNT_SHAPES}
    assert tried == set(ACCOUNT_ANSWERS)


ACCOUNT_SHAPES: dict[str, tuple[int, bytes]] = {
    "server-error": (500, b"<!doctype html>"),
    "html": (200, b"<!doctype html>"),
    "not-json": (200, b"{name: Jane"),
    "empty-name": (200, b'ame": ""'),
    "markup-name": (200, b"<script>"),
    "control-name": (200, b"\\u001b[31m\\u202e"),
}


@pytest.mark.parametrize("name", ACCOUNT_SHAPES)
async def test_the_account_can_be_told_of_wrongly(program: Program, name: str) -> None:
    token = await program.token()
    program.site.quirks = Quirks(account=name)
    status, words = ACCOUNT_SHAPES[name]
    for path, headers in (
        (V3, {"Authorization": f"Bearer {token}"}),
        (V2, {"X-API-Access-Token": token}),
    ):
        answer = await program.send(path, headers=headers)
        assert answer.status == status
        assert words in answer.body


async def test_the_account_can_come_late_or_never(program: Program) -> None:
    token = await program.token()
    program.site.quirks = Quirks(account="slow", delay=0.001)
    assert await program.me(token) == 200
    program.site.quirks = Quirks(account="hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await program.me(token)


@pytest.mark.parametrize(
    ("name", "status", "number"),
    [("not-offered", 404, 404), ("server-error", 500, 500)],
)
async def test_the_calls_about_tokens_may_be_missing_or_broken(
    program: Program, name: str, status: int, number: int
) -> None:
    token = await program.token()
    program.site.quirks = Quirks(invalidate=name)
    for path in ("access-tokens/{}", "access-tokens/{}/invalidate", "apps/{}/de-authenticate"):
        answer = await program.send(f"/api/2.3/{path.format(token)}")
        assert (answer.status, answer.fields["error_id"]) == (status, number)
    assert await program.me(token) == 200


async def test_the_end_of_a_token_may_never_be_confirmed(program: Program) -> None:
    assert set(INVALIDATE_ANSWERS) == {"ok", "not-offered", "server-error", "hang"}
    token = await program.token()
    program.site.quirks = Quirks(invalidate="hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await program.send(f"/api/2.3/access-tokens/{token}/invalidate")
    assert await program.me(token) == 200


# Sockets


def test_without_ipv6_the_site_is_on_ipv4_only() -> None:
    def make_socket(family: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6 here")
        return socket.socket(family)

    (only,) = bind_loopback(0, make_socket)
    assert only.getsockname()[0] == "127.0.0.1"
    only.close()


def test_a_port_taken_on_one_address_is_given_up_for_another() -> None:
    made: list[socket.socket] = []

    def make_socket(family: int) -> socket.socket:
        if family == socket.AF_INET6 and len(made) == 1:
            made.append(socket.socket(family))
            made[1].close()
            raise OSError(errno.EADDRINUSE, "taken on ::1")
        made.append(socket.socket(family))
        return made[-1]

    sockets = bind_loopback(0, make_socket)
    assert made[0].fileno() == -1
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    for sock in sockets:
        sock.close()


def test_where_no_port_is_free_on_both_addresses_it_says_so() -> None:
    def make_socket(family: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRINUSE, "taken on ::1")
        return socket.socket(family)

    with pytest.raises(OSError, match="no port is free"):
        bind_loopback(0, make_socket)


def test_another_fault_of_a_socket_is_not_hidden() -> None:
    def make_socket(_family: int) -> socket.socket:
        raise OSError(errno.EMFILE, "too many")

    with pytest.raises(OSError, match="too many"):
        bind_loopback(0, make_socket)


def test_an_address_is_held_exclusively_where_the_system_has_a_word_for_it() -> None:
    stand_in = socket.SO_KEEPALIVE  # any option that can be read back will show it
    for sock in bind_loopback(0, option=stand_in):
        assert sock.getsockopt(socket.SOL_SOCKET, stand_in) == 1
        sock.close()


def test_no_port_is_shared_with_another_site() -> None:
    sockets = bind_loopback(0)
    with pytest.raises(OSError, match=r"."):
        bind_loopback(sockets[0].getsockname()[1])
    for sock in sockets:
        if sys.platform != "win32":  # which has no such option
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
        sock.close()
