"""The sandbox for programs: the token endpoint, both APIs, and all quirks."""

import asyncio
import dataclasses
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
    API_ANSWERS,
    INVALIDATE_ANSWERS,
    TOKEN_ANSWERS,
    Quirks,
    Sandbox,
    list_quirks,
)
from soe_auth.sandbox.scripted_browser import visit
from soe_auth.sandbox.sockets import bind_loopback

EXCHANGE = "/oauth/access_token/json"
V3 = "/api/v3/users/me"
V2 = "/api/2.3/me"


@dataclass
class Program(Client):
    """Signs in with the scripted browser, exchanges codes and uses tokens."""

    clock: Clock
    narration: list[str]
    codes: list[str] = field(default_factory=list)

    @property
    def redirect_uri(self) -> str:
        return f"{self.site.url}/oauth/login_success"

    async def code(self, scope: str = "", account: str = "Jane Doe") -> str:
        path = request_for(client_id="112", redirect_uri=self.redirect_uri, scope=scope)
        page = await visit(self.site.url + path, account=account, narrate=self.narration.append)
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
        assert (v2.status == 200) == (v3.status == 200)
        return v3.status


@asynccontextmanager
async def program_for(quirks: Quirks, *, strict: bool = True) -> AsyncIterator[Program]:
    clock, narration = Clock(), list[str]()
    async with (
        Sandbox(clock=clock, narrate=narration.append, quirks=quirks, strict=strict) as site,
        aiohttp.ClientSession() as session,
    ):
        yield Program(session, site, clock, narration)


@pytest.fixture
async def program() -> AsyncIterator[Program]:
    async with program_for(Quirks()) as made:
        yield made


@pytest.fixture
async def lenient() -> AsyncIterator[Program]:
    async with program_for(Quirks(), strict=False) as made:
        yield made


def message(answer: Answer) -> str:
    """Return the text of a refusal in either of the vendor's forms."""
    assert answer.status == 400
    [(name, error)] = answer.fields.items()
    if name == "error":
        assert isinstance(error, dict)
        assert error["type"] == "invalid_request"
        return str(error["message"])
    assert name == "error_message"
    return str(error)


# The exchange


async def test_a_code_and_its_verifier_are_exchanged_for_a_token(program: Program) -> None:
    answer = await program.exchange(await program.code())
    assert answer.status == 200
    assert list(answer.fields) == ["access_token", "expires"]
    assert answer.fields["expires"] == 86400
    assert set("()*") <= set(str(answer.fields["access_token"]))
    assert answer.headers["Cache-Control"] == "no-store"
    assert (
        "Code exchanged: the verifier matches the challenge; a token for 24 h was issued."
        in program.narration
    )


async def test_a_token_that_never_expires_has_no_expires(program: Program) -> None:
    answer = await program.exchange(await program.code("no_expiry"))
    assert list(answer.fields) == ["access_token"]
    program.clock.now += 10**9
    assert await program.me(str(answer.fields["access_token"])) == 200


async def test_a_code_is_valid_once(program: Program) -> None:
    code = await program.code()
    assert (await program.exchange(code)).status == 200
    assert message(await program.exchange(code)) == "No authorization code found"
    assert "Exchange refused: The code was used before; its token is revoked." in program.narration


async def test_a_replayed_code_revokes_its_token(program: Program) -> None:
    code = await program.code()
    token = str((await program.exchange(code)).fields["access_token"])
    assert await program.me(token) == 200
    await program.exchange(code, code_verifier="x" * 43)
    assert await program.me(token) == 401


async def test_a_code_is_valid_for_five_minutes(program: Program) -> None:
    first, second = await program.code(), await program.code()
    program.clock.now += 299
    assert (await program.exchange(first)).status == 200
    program.clock.now += 1
    assert message(await program.exchange(second)) == "Authorization code has expired"


@pytest.mark.rfc("6749-4.1.3", "6749-10.6")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code_verifier": "x" * 43}, "does not match the code_challenge"),
        ({"client_id": "110"}, "another application"),
        ({"client_id": "999"}, "another application"),
        ({"redirect_uri": "http://localhost/oauth/login_success"}, "redirect_uri differs"),
    ],
)
async def test_a_failed_exchange_uses_up_the_code(
    program: Program, changes: dict[str, str | None], words: str
) -> None:
    code = await program.code()
    assert words in message(await program.exchange(code, **changes))
    assert message(await program.exchange(code)) == "No authorization code found"


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
        ({"code": "made-up"}, "No authorization code found"),
        ({"grant_type": "authorization_code"}, "'grant_type' is not accepted"),
        ({"client_secret": "s"}, "'client_secret' is not accepted"),
    ],
)
async def test_a_malformed_exchange_leaves_the_code_valid(
    program: Program, changes: dict[str, str | None], words: str
) -> None:
    code = await program.code()
    assert words in message(await program.exchange(code, **changes))
    assert (await program.exchange(code)).status == 200


async def test_a_strict_site_accepts_parameters_in_the_body_and_once(program: Program) -> None:
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
    assert "The Content-Type is not" in message(refused[3])
    assert "percent-encoded" in message(refused[4])
    assert "missing" in message(refused[5])
    assert (await program.exchange(code)).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_the_token_endpoint_accepts_post_only(program: Program, method: str) -> None:
    answer = await program.send(EXCHANGE, method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"
    assert [exchange.method for exchange in program.site.exchanges] == [method]


async def test_an_exchange_with_a_large_body_is_refused(program: Program) -> None:
    assert (await program.exchange("x" * 20_000)).status == 413


async def test_each_exchange_is_recorded_without_secrets_in_its_repr(program: Program) -> None:
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


async def test_a_token_expires_after_the_lifetime() -> None:
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


async def test_the_narration_has_no_secret(program: Program) -> None:
    token = await program.token("no_expiry", "John Doe")
    await program.exchange(program.codes[0])
    await program.me(token)
    other = await program.token("write_access")
    await program.me(other)
    await program.send(f"/api/2.3/access-tokens/{other}/invalidate")
    await program.send(EXCHANGE, "POST", {VERIFIER: "1"})
    await program.send(f"/oauth?{STATE}=1")
    text = "\n".join(program.narration)
    assert len(program.narration) > 20
    for secret in (*program.codes, token, other, VERIFIER, CHALLENGE, STATE):
        assert secret not in text


# Requests of other clients that the site accepts with a warning


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"grant_type": "authorization_code"}, "grant_type is sent"),
        ({"client_secret": "s"}, "a client_secret is sent"),
    ],
)
async def test_a_nonstandard_exchange_is_accepted_with_a_warning(
    lenient: Program, changes: dict[str, str | None], warning: str
) -> None:
    assert (await lenient.exchange(await lenient.code(), **changes)).status == 200
    [narrated] = [sentence for sentence in lenient.narration if "bad practice" in sentence]
    assert warning in narrated


async def test_the_parameters_may_be_in_the_query_with_an_empty_body(lenient: Program) -> None:
    code = await lenient.code()
    answer = await lenient.send(f"{EXCHANGE}?{urlencode(lenient.form(code))}", "POST")
    assert answer.status == 200
    [narrated] = [sentence for sentence in lenient.narration if "bad practice" in sentence]
    assert "the code is in the query string" in narrated
    [exchange] = lenient.site.exchanges
    assert dict(exchange.fields) == lenient.form(code)


async def test_a_parameter_in_both_body_and_query_is_refused(lenient: Program) -> None:
    form = lenient.form(await lenient.code())
    answer = await lenient.send(f"{EXCHANGE}?client_id=112", "POST", form)
    assert "more than once" in message(answer)


async def test_another_grant_type_is_refused(lenient: Program) -> None:
    answer = await lenient.exchange(await lenient.code(), grant_type="refresh_token")
    assert "grant_type" in message(answer)


@pytest.mark.parametrize("path", [V2, "/api/2.3/questions/"])
async def test_api_v2_accepts_a_token_in_the_query_unless_strict(
    program: Program, lenient: Program, path: str
) -> None:
    assert (await lenient.send(f"{path}?access_token={await lenient.token()}")).items
    assert any("bad practice: the token is in" in sentence for sentence in lenient.narration)
    refused = await program.send(f"{path}?access_token={await program.token()}")
    assert refused.fields["error_name"] == "bad_parameter"


# Lists


@dataclass
class Reader:
    """Sends a token in the header that each API requires."""

    program: Program
    token: str

    async def send(self, path: str, method: str = "GET", form: object = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"}
        if "/2.3/" in path:
            headers = {"X-API-Access-Token": self.token}
        return await self.program.send(path, method, form, headers)


@pytest.fixture
async def reader(program: Program) -> Reader:
    return Reader(program, await program.token())


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("users", 3),
        ("tags", 3),
        ("questions", 40),
        ("search", 40),
        ("articles", 0),
        ("collections", 0),
        ("communities", 0),
        ("user-groups", 0),
        ("questions/7/answers", 0),
    ],
)
async def test_api_v3_has_lists(reader: Reader, path: str, count: int) -> None:
    page = await reader.send(f"/api/v3/{path}?pageSize=100")
    assert len(page.items) == page.fields["totalCount"] == count
    assert (page.fields["page"], page.fields["totalPages"]) == (1, 1)


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("users", 3),
        ("tags", 3),
        ("questions", 40),
        ("answers", 0),
        ("articles", 0),
        ("sites", 0),
        ("users/3", 1),
        ("users/3;1", 2),
        ("questions/7/answers", 0),
    ],
)
async def test_api_v2_has_lists(reader: Reader, path: str, count: int) -> None:
    page = await reader.send(f"/api/2.3/{path}?pagesize=100&filter=anything")
    assert (len(page.items), page.fields["has_more"]) == (count, False)


async def test_lists_have_pages(reader: Reader) -> None:
    second = await reader.send("/api/v3/questions?page=2&pageSize=15")
    assert [item["id"] for item in second.items] == list(range(16, 31))
    assert (second.fields["page"], second.fields["totalPages"]) == (2, 3)
    third = await reader.send("/api/2.3/questions?page=3&pagesize=15")
    assert [item["question_id"] for item in third.items] == list(range(31, 41))
    assert third.fields["has_more"] is False
    assert (await reader.send("/api/2.3/questions")).fields["has_more"] is True


async def test_one_item_can_be_read(reader: Reader) -> None:
    assert (await reader.send("/api/v3/users/2")).fields["name"] == "John Doe"
    assert (await reader.send("/api/v3/questions/7")).fields["title"] == "Practice question 7"
    both = await reader.send("/api/2.3/tags/python;access")
    assert [item["name"] for item in both.items] == ["access", "python"]


async def test_any_filter_is_created(program: Program) -> None:
    made = await program.send("/api/2.3/filters/create?include=question.body")
    assert [item["filter"] for item in made.items] == ["practice"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("questions?pageSize=101", 400, "The pageSize is not 15, 30, 50 or 100."),
        ("questions?pageSize=20", 400, "The pageSize is not 15, 30, 50 or 100."),
        ("questions?page=0", 400, "The page is not a positive number."),
        ("questions?page=x", 400, "The page is not a positive number."),
        ("questions/999", 404, "Nothing is found at this path."),
        ("questions/999/answers", 404, "Nothing is found at this path."),
        ("nowhere", 404, "Nothing is found at this path."),
        ("users/me?access_token=x", 400, "A token belongs in a header"),
        ("teams/research/users/me", 403, "is for the main site only"),
    ],
)
async def test_api_v3_refuses_with_problem_details(
    reader: Reader, path: str, status: int, words: str
) -> None:
    refused = await reader.send(f"/api/v3/{path}")
    assert refused.headers["Content-Type"].startswith("application/json")
    assert list(refused.fields) == ["type", "title", "status", "detail"]
    assert refused.status == refused.fields["status"] == status
    assert words in str(refused.fields["detail"])


@pytest.mark.parametrize(
    ("path", "method", "number", "name"),
    [
        ("questions?pagesize=101", "GET", 400, "bad_parameter"),
        ("nowhere", "GET", 404, "no_method"),
        ("questions", "POST", 404, "no_method"),
        ("me?key=another", "GET", 403, "access_denied"),
    ],
)
async def test_api_v2_refuses_with_number_and_name(
    reader: Reader, path: str, method: str, number: int, name: str
) -> None:
    refused = await reader.send(f"/api/2.3/{path}", method)
    assert refused.status == 400
    assert (refused.fields["error_id"], refused.fields["error_name"]) == (number, name)


async def test_the_key_of_the_tokens_application_is_accepted(reader: Reader) -> None:
    assert (await reader.send("/api/2.3/me?key=practice-key-112")).items


async def test_a_token_may_make_fifty_calls_in_two_seconds(reader: Reader) -> None:
    for _ in range(50):
        assert (await reader.send(V3)).status == 200
    refused = await reader.send(V3)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "2")
    assert refused.headers["x-burst-throttle-seconds-until-full"] == "2"
    assert refused.fields["title"] == "Too Many Requests"
    assert (await Reader(reader.program, await reader.program.token()).send(V3)).status == 200
    reader.program.clock.now += 2
    assert (await reader.send(V3)).status == 200


def test_all_api_quirks_are_tested() -> None:
    assert list(API_ANSWERS) == ["ok", "empty", "backoff", "too-many"]


async def test_the_api_quirks(reader: Reader) -> None:
    site = reader.program.site
    site.quirks = Quirks(api="empty")
    assert (await reader.send("/api/v3/questions")).items == []
    assert (await reader.send("/api/2.3/questions")).items == []
    site.quirks = Quirks(api="backoff")
    assert (await reader.send("/api/2.3/questions")).fields["backoff"] == 1
    site.quirks = Quirks(api="too-many")
    assert (await reader.send("/api/v3/questions")).status == 429
    refused = await reader.send("/api/2.3/questions")
    assert (refused.status, refused.fields["error_name"]) == (400, "throttle_violation")


async def test_only_a_token_with_write_access_may_write(reader: Reader) -> None:
    question = json.dumps({"title": "Why?", "body": "So.", "tags": ["python"]})
    refused = await reader.send("/api/v3/questions", "POST", question)
    assert (refused.status, refused.fields["title"]) == (403, "Forbidden")
    writer = Reader(reader.program, await reader.program.token("write_access"))
    created = await writer.send("/api/v3/questions", "POST", question)
    assert (created.status, created.fields["title"]) == (201, "Why?")
    for body in ("{}", "[]", "x", ""):
        assert (await writer.send("/api/v3/questions", "POST", body)).status == 400
    assert (await writer.send("/api/v3/questions/7", "DELETE")).status == 404


async def test_a_team_token_is_valid_for_its_team_only(program: Program) -> None:
    team = Reader(program, await program.token("access_team"))
    assert (await team.send("/api/v3/teams/platform/users/me")).fields["name"] == "Jane Doe"
    assert (await team.send("/c/platform/api/2.3/questions")).items
    for path in (V3, "/api/v3/teams/research/users/me"):
        refused = await team.send(path)
        assert (refused.status, refused.fields["title"]) == (403, "Forbidden")
    for path in (V2, "/c/research/api/2.3/me"):
        assert (await team.send(path)).fields["error_name"] == "access_denied"


# The account


async def test_both_apis_return_the_account(program: Program) -> None:
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


async def test_an_invalid_token_is_401(program: Program) -> None:
    v3 = await program.send(V3, headers={"Authorization": "Bearer made-up"})
    assert (v3.status, v3.body) == (401, b"Invalid access token")
    assert v3.headers["Content-Type"] == "text/plain"
    assert v3.headers["WWW-Authenticate"] == "Bearer"
    none = await program.send(V3)
    assert (none.status, none.body) == (401, b"Invalid access token")
    assert "Content-Type" not in none.headers


@pytest.mark.parametrize(
    ("token", "number", "name"),
    [("made-up", 402, "invalid_access_token"), ("", 401, "access_token_required")],
)
async def test_api_v2_refuses_an_invalid_token_with_400_and_a_reason(
    program: Program, token: str, number: int, name: str
) -> None:
    answer = await program.send(V2, headers={"X-API-Access-Token": token})
    assert answer.status == 400
    assert set(answer.fields) == {"error_id", "error_name", "error_message"}
    assert (answer.fields["error_id"], answer.fields["error_name"]) == (number, name)


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
async def test_api_v2_always_compresses(
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
async def test_each_api_accepts_a_token_in_its_own_header_only(program: Program) -> None:
    token = await program.token()
    bearer, own = {"Authorization": f"Bearer {token}"}, {"X-API-Access-Token": token}
    for path, headers, status in (
        (V3, None, 401),
        (V3, own, 401),
        (V3, {"Authorization": f"Basic {token}"}, 401),
        (V3, {"Authorization": token}, 401),
        (V2, None, 400),
        (V2, bearer, 400),
        (f"{V3}?access_token={token}", None, 400),
        (f"{V3}?access_token={token}", bearer, 400),
        (f"{V2}?access_token={token}", None, 400),
        (f"{V2}?access_token={token}", own, 400),
    ):
        assert (await program.send(path, headers=headers)).status == status


# Revocation


async def test_a_token_can_be_described(program: Program) -> None:
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
    unlimited = await program.token("no_expiry")
    answer = await program.send(f"/api/2.3/access-tokens/{unlimited}")
    assert "expires_on_date" not in answer.items[0]


async def test_invalidate_revokes_one_token(program: Program) -> None:
    token, other = await program.token(), await program.token()
    first = await program.send(f"/api/2.3/access-tokens/{token}/invalidate")
    assert [item["access_token"] for item in first.items] == [token]
    again = await program.send(f"/api/2.3/access-tokens/{token}/invalidate")
    assert (again.status, again.items) == (200, [])
    assert await program.me(token) == 401
    assert await program.me(other) == 200
    assert "A token of Jane Doe for 'Guide' was revoked." in program.narration


async def test_de_authenticate_revokes_all_tokens_of_application_and_account(
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


# Quirks


def test_list_quirks_describes_each_value_with_the_default_first() -> None:
    listed = {name: values for name, _, values in list_quirks()}
    fields = {field.name: field.default for field in dataclasses.fields(Quirks)}
    assert listed["token"] is TOKEN_ANSWERS
    assert set(listed) == fields.keys() - {"delay"}
    for name, values in listed.items():
        assert next(iter(values)) == fields[name]
        assert all(values.values())


@pytest.mark.parametrize("field", ["token", "account", "invalidate", "refusal", "issuer"])
def test_an_unknown_quirk_is_an_error(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} is one of "):
        Quirks(**{field: "made-up"})  # type: ignore[arg-type]  # never the delay


@pytest.mark.parametrize("delay", [-1.0, float("inf"), float("nan")])
def test_the_delay_is_a_number_of_seconds(delay: float) -> None:
    with pytest.raises(ValueError, match="number of seconds"):
        Quirks(delay=delay)


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("vendor-refusal", 400, b'{"error_message": "'),
        ("vendor-error-object", 400, b'{"error": {"type": "invalid_grant", "message": "'),
        ("rfc-refusal", 400, b'{"error": "invalid_grant", "error_description": "'),
        ("refusal-long", 400, b"This code is invalid or expired. " * 1900),
        ("refusal-control", 400, b"\\u001b[2J\\u001b]0;owned\\u0007"),
        ("refusal-echo", 400, b'{"error_message": "The code is invalid in '),
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
async def test_an_answer_in_place_of_the_exchange_leaves_the_code_valid(
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


async def test_the_redirect_quirk_names_another_host_name_of_the_site() -> None:
    async with program_for(Quirks(token="redirect-307")) as program:
        answer = await program.exchange("x")
        other_url = f"http://127.0.0.1:{program.site.port}{EXCHANGE}"
        assert answer.headers["Location"] == other_url
        async with program.session.post(other_url, data={}, allow_redirects=False) as followed:
            assert followed.headers["Location"] == program.site.url + EXCHANGE


async def test_the_refusal_echo_repeats_the_body_raw_and_decoded() -> None:
    async with program_for(Quirks(token="refusal-echo")) as program:
        text = message(await program.exchange("c(o)d*e"))
        assert "code=c%28o%29d%2Ae&" in text
        assert "code=c(o)d*e&" in text
        assert text.count(VERIFIER) == 2


def body_of(answer: Answer) -> object:
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("name", "is_as_described"),
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
async def test_quirks_of_the_answer_after_an_exchange(
    program: Program, name: str, is_as_described: Callable[[Answer], object]
) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token=name)
    answer = await program.exchange(code)
    assert answer.status == 200
    assert is_as_described(answer)
    assert program.site.exchanges[-1].granted
    assert message(await program.exchange(code)) == "No authorization code found"


@pytest.mark.parametrize("name", ["slow", "trickle"])
async def test_a_correct_answer_can_be_slow(program: Program, name: str) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token=name, delay=0.001)
    assert list((await program.exchange(code)).fields) == ["access_token", "expires"]


@pytest.mark.parametrize("name", ["slow", "trickle"])
async def test_a_slow_answer_does_not_delay_the_end_of_the_site(name: str) -> None:
    received = asyncio.Event()
    async with aiohttp.ClientSession() as session:
        async with Sandbox(
            quirks=Quirks(token=name, delay=3600), narrate=lambda _: received.set()
        ) as site:
            program = Program(session, site, Clock(), [])
            waiting = asyncio.create_task(program.exchange("x"))
            await received.wait()
        assert (await waiting).status == 400


async def test_a_valid_token_can_have_status_500(program: Program) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token="token-status-500")
    answer = await program.exchange(code)
    assert (answer.status, list(answer.fields)) == (500, ["access_token", "expires"])


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("cut-off", aiohttp.ClientPayloadError),
        ("not-http", aiohttp.ClientResponseError),
        ("huge-header", aiohttp.ClientResponseError),
    ],
)
async def test_an_answer_can_be_invalid_http(
    program: Program, name: str, error: type[Exception]
) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token=name)
    with pytest.raises(error):
        await program.exchange(code)
    assert program.site.exchanges[-1].granted


async def test_a_connection_can_be_dropped_without_an_answer(program: Program) -> None:
    code = await program.code()
    program.site.quirks = Quirks(token="drop")
    with pytest.raises(aiohttp.ClientConnectionError):
        await program.exchange(code)
    assert program.site.exchanges[-1].granted


async def test_a_hanging_request_can_be_cancelled(program: Program) -> None:
    program.site.quirks = Quirks(token="hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await program.exchange("x")
    program.site.quirks = Quirks()
    assert (await program.exchange("x")).status == 400


def test_all_account_quirks_are_tested() -> None:
    assert {"ok", "hang", "slow", *ACCOUNT_SHAPES} == set(ACCOUNT_ANSWERS)


ACCOUNT_SHAPES: dict[str, tuple[int, bytes]] = {
    "server-error": (500, b"<!doctype html>"),
    "html": (200, b"<!doctype html>"),
    "not-json": (200, b"{name: Jane"),
    "empty-name": (200, b'ame": ""'),
    "markup-name": (200, b"<script>"),
    "control-name": (200, b"\\u001b[31m\\u202e"),
}


@pytest.mark.parametrize("name", ACCOUNT_SHAPES)
async def test_quirks_of_the_account(program: Program, name: str) -> None:
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


async def test_the_account_lookup_can_be_slow_or_hang(program: Program) -> None:
    token = await program.token()
    program.site.quirks = Quirks(account="slow", delay=0.001)
    assert await program.me(token) == 200
    program.site.quirks = Quirks(account="hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await program.me(token)


@pytest.mark.parametrize(("name", "number"), [("not-offered", 404), ("server-error", 500)])
async def test_the_calls_about_tokens_can_be_missing_or_fail(
    program: Program, name: str, number: int
) -> None:
    token = await program.token()
    program.site.quirks = Quirks(invalidate=name)
    for path in ("access-tokens/{}", "access-tokens/{}/invalidate", "apps/{}/de-authenticate"):
        answer = await program.send(f"/api/2.3/{path.format(token)}")
        assert (answer.status, answer.fields["error_id"]) == (400, number)
    assert await program.me(token) == 200


async def test_the_revocation_call_can_hang(program: Program) -> None:
    assert set(INVALIDATE_ANSWERS) == {"ok", "not-offered", "server-error", "hang"}
    token = await program.token()
    program.site.quirks = Quirks(invalidate="hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await program.send(f"/api/2.3/access-tokens/{token}/invalidate")
    assert await program.me(token) == 200


# Sockets


def test_without_ipv6_the_site_listens_on_ipv4_only() -> None:
    def make_socket(family: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6 here")
        return socket.socket(family)

    (only,) = bind_loopback(0, make_socket)
    assert only.getsockname()[0] == "127.0.0.1"
    only.close()


def test_a_port_in_use_on_one_address_is_replaced() -> None:
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


def test_no_free_port_on_both_addresses_is_an_error() -> None:
    def make_socket(family: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRINUSE, "taken on ::1")
        return socket.socket(family)

    with pytest.raises(OSError, match="no port is free"):
        bind_loopback(0, make_socket)


def test_another_socket_error_is_raised() -> None:
    def make_socket(_family: int) -> socket.socket:
        raise OSError(errno.EMFILE, "too many")

    with pytest.raises(OSError, match="too many"):
        bind_loopback(0, make_socket)


def test_the_socket_option_is_set() -> None:
    stand_in = socket.SO_KEEPALIVE  # any option that can be read back
    for sock in bind_loopback(0, option=stand_in):
        assert sock.getsockopt(socket.SOL_SOCKET, stand_in) == 1
        sock.close()


def test_a_port_is_not_shared_with_another_site() -> None:
    sockets = bind_loopback(0)
    with pytest.raises(OSError, match=r"."):
        bind_loopback(sockets[0].getsockname()[1])
    for sock in sockets:
        if sys.platform != "win32":  # which has no such option
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
        sock.close()
