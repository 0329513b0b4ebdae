"""The calls to the site, on real sockets, with every answer of the sandbox."""

import asyncio
import gzip
import re
import shlex
import socket
import ssl
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trustme
from conftest import BROWSER, TOKEN, Command
from tls_servers import (
    Draws,
    always_answering,
    before_1_2,
    forwarding,
    http,
    needs_roots,
    served,
    shown_by_a_tool_that_prints_locals,
    tls,
    tls_of_tomorrow,
    tls_of_yesterday,
    tls_signed_by_itself,
)

import soe_auth
from soe_auth import (
    ExchangeRefused,
    MalformedResponse,
    NetworkError,
    RevocationResult,
    Scope,
    Secret,
    Site,
    SoeAuthError,
    Token,
)
from soe_auth.actions.logout import logout
from soe_auth.cli.exit_codes import exit_code
from soe_auth.model.network import Network
from soe_auth.oauth.authorization_request import (
    AuthorizationRequest,
    login_success_uri,
    new_authorization_request,
)
from soe_auth.oauth.callback_check import Granted, check_pasted_url
from soe_auth.oauth.token_endpoint import parse_token_response, token_request_body
from soe_auth.sandbox import TOKEN_ANSWERS, Quirks, Sandbox, running
from soe_auth.sandbox.scripted_browser import visit
from soe_auth.sandbox.sockets import bind_loopback
from soe_auth.site_client.client import TokenValidity, Verification, connect
from soe_auth.site_client.failure import explain_failure
from soe_auth.site_client.transport import TimeLimits
from soe_auth.storage.file_store import FileStore

CANARY = Secret("code=canary")


@dataclass(frozen=True)
class SandboxSite:
    """A sandbox, the CA that its client trusts, and every secret that is drawn."""

    sandbox: Sandbox
    ca: ssl.SSLContext | None = None
    draws: Draws = field(default_factory=Draws)

    @property
    def site(self) -> Site:
        return Site.parse(self.sandbox.url)

    async def code(self, scope: str = "") -> tuple[Secret, AuthorizationRequest]:
        """Get a code with the scripted browser, as the guide's user does."""
        uri = login_success_uri(self.site)
        request = new_authorization_request(self.site, "112", Scope.parse(scope), uri, self.draws)
        page = await visit(request.url, ssl_context=self.ca)
        granted = check_pasted_url(page.url, request)
        assert isinstance(granted, Granted)
        return granted.code, request

    async def token(self, scope: str = "", limits: TimeLimits | None = None) -> Token:
        """Get a code, and exchange it."""
        code, request = await self.code(scope)
        form = token_request_body(request, code)
        async with connect(self.site, limits or TimeLimits()) as connection:
            answer = await connection.exchange(form)
        return parse_token_response(answer, request, code, now=1000)


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The CA stands where the system's trust store is looked for."""
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))


@pytest.fixture
async def plain_site() -> AsyncIterator[SandboxSite]:
    draws = Draws()
    async with Sandbox(strict=True, entropy=draws) as sandbox:
        yield SandboxSite(sandbox, draws=draws)


@pytest.fixture(params=["http", "https"])
async def either(
    request: pytest.FixtureRequest, ca: trustme.CA, trusted: ssl.SSLContext
) -> AsyncIterator[SandboxSite]:
    """The sandbox over http on loopback, and over TLS."""
    draws = Draws()
    context = tls(ca.issue_cert("localhost")) if request.param == "https" else None
    async with Sandbox(strict=True, entropy=draws, ssl_context=context) as sandbox:
        assert sandbox.url.startswith(f"{request.param}://")
        yield SandboxSite(sandbox, trusted, draws)


@contextmanager
def network_error(words: str) -> Iterator[None]:
    with pytest.raises(NetworkError, match=words) as caught:
        yield
    assert "canary" not in shown_by_a_tool_that_prints_locals(caught.value)


# --- answers ---


@pytest.mark.rfc("9700-4.3.2")
async def test_a_code_is_exchanged_for_a_token_with_an_account(either: SandboxSite) -> None:
    token = await either.token("write_access")
    assert token.expires_at == 87400.0
    async with connect(token.site) as connection:
        assert await connection.account_name(token.access_token) == "Jane Doe"


@pytest.mark.rfc("8252-8.4", "8252-8.5", "7636-4.5", "6749-3.2", "9700-2.4")
async def test_the_exchange_is_one_post_of_a_form_without_a_secret_in_its_address(
    plain_site: SandboxSite,
) -> None:
    await plain_site.token()
    [exchange] = plain_site.sandbox.exchanges
    assert exchange.method == "POST"
    assert exchange.query == ""
    assert [name for name, _ in exchange.fields] == [
        "client_id",
        "code",
        "code_verifier",
        "redirect_uri",
    ]
    assert exchange.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert exchange.headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in exchange.headers
    assert "Authorization" not in exchange.headers


BAD_ANSWERS: dict[str, tuple[type[SoeAuthError], str]] = {
    "vendor-refusal": (ExchangeRefused, r"refused .* \(HTTP 400\): The code is invalid or has"),
    "vendor-error-object": (ExchangeRefused, r"refused .* \(HTTP 400\): The code is invalid\."),
    "rfc-refusal": (ExchangeRefused, r"refused .* \(HTTP 400\): The code is invalid\."),
    "refusal-long": (ExchangeRefused, r"\(HTTP 400\): This code is invalid or expired\. .*…\."),
    "refusal-control": (ExchangeRefused, r"\(HTTP 400\): \N{REPLACEMENT CHARACTER}\[2J.* signed"),
    "refusal-echo": (ExchangeRefused, r"HTTP 400\): The code is invalid .*code=….*code_verifier=…"),
    "html-error": (MalformedResponse, r"HTTP 400 with a web page"),
    "login-page": (MalformedResponse, r"HTTP 200 with a web page"),
    "empty": (MalformedResponse, r"HTTP 200 with an empty body"),
    "server-error": (MalformedResponse, r"HTTP 500 with no JSON"),
    "unavailable": (MalformedResponse, r"HTTP 503 with a web page"),
    "truncated-json": (MalformedResponse, r"HTTP 200 with no JSON"),
    "json-list": (MalformedResponse, r"HTTP 200 with JSON that is not an object"),
    "token-control-characters": (MalformedResponse, r"HTTP 200 without a token"),
    "token-empty": (MalformedResponse, r"HTTP 200 without a token"),
    "token-number": (MalformedResponse, r"HTTP 200 without a token"),
    "token-type-other": (MalformedResponse, r"HTTP 200 with a token of another type than Bearer"),
    "token-bidi": (MalformedResponse, r"HTTP 200 without a token"),
    "token-status-500": (MalformedResponse, r"HTTP 500 without a reason"),
    "redirect-302": (MalformedResponse, r"HTTP 302 with an empty body"),
    "redirect-307": (MalformedResponse, r"HTTP 307 with an empty body"),
    "redirect-308": (MalformedResponse, r"HTTP 308 with an empty body"),
    "oversized": (MalformedResponse, r"\(HTTP 200\) is too large"),
    "compressed": (MalformedResponse, r"\(HTTP 200\) is too large"),
    "cut-off": (NetworkError, r"did not send its whole answer \(HTTP 200\)"),
    "trickle": (NetworkError, r"did not finish its answer in time \(HTTP 200\)"),
    # No answer has begun that a status could be read from.
    "hang": (NetworkError, r"did not answer in time"),
    "drop": (NetworkError, r"closed the connection, or its answer is not HTTP"),
    "not-http": (NetworkError, r"closed the connection, or its answer is not HTTP"),
    "huge-header": (NetworkError, r"closed the connection, or its answer is not HTTP"),
}
if sys.version_info < (3, 14):  # its parser reads deeper, and finds the token
    BAD_ANSWERS["nested-json"] = (MalformedResponse, r"HTTP 200 with no JSON")

ODD_LIVES: dict[str, object] = {
    "ok": 87400.0,
    "slow": 87400.0,
    "expires-string": 87400.0,
    "expires-float": 87399.5,
    "expires-in": 87400.0,
    "byte-order-mark": 87400.0,
    "wrong-content-type": 87400.0,
    "scope-other": 87400.0,
    "token-type-bearer": 87400.0,
    "expires-negative": "unknown",
    "expires-zero": "unknown",
    "expires-huge": "unknown",
    "expires-infinite": "unknown",
    "expires-nan": "unknown",
    "expires-bool": "unknown",
    "expires-unreadable": "unknown",
    "expires-missing": "unknown",
}


def test_every_token_answer_is_tested_here() -> None:
    assert {*BAD_ANSWERS, *ODD_LIVES, "nested-json"} == {*TOKEN_ANSWERS}


@pytest.mark.slow
@pytest.mark.rfc("9700-4.12", "an oversized response")
@pytest.mark.parametrize("quirk", BAD_ANSWERS)
async def test_a_bad_answer_is_one_clear_error_and_nothing_is_sent_twice(
    either: SandboxSite, quirk: str
) -> None:
    kind, words = BAD_ANSWERS[quirk]
    limits = TimeLimits(exchange=1.0) if quirk in {"hang", "trickle"} else TimeLimits()
    either.sandbox.quirks = Quirks(token=quirk)
    with pytest.raises(kind, match=words) as caught:
        await either.token(limits=limits)
    error = caught.value
    assert len(either.sandbox.exchanges) == 1
    assert (str(error) + error.hint).isprintable()
    assert len(str(error)) < 300
    assert exit_code(type(error)) == (6 if kind is NetworkError else 5)
    assert either.draws.found_in(str(either.sandbox.exchanges[0].fields))
    assert not either.draws.found_in(shown_by_a_tool_that_prints_locals(error))


@pytest.mark.parametrize("quirk", ODD_LIVES)
async def test_an_unusual_answer_is_understood(either: SandboxSite, quirk: str) -> None:
    either.sandbox.quirks = Quirks(token=quirk, delay=0.01)
    assert (await either.token()).expires_at == ODD_LIVES[quirk]
    assert len(either.sandbox.exchanges) == 1


def gzipped(body: bytes) -> bytes:
    # Without a time in it, as each worker of the tests is to name them the same.
    return gzip.compress(body, mtime=0)


def deflate_without_header(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        (b"identity", bytes),
        (b"", bytes),
        (b"gzip", gzipped),
        (b"GZIP", gzipped),
        (b"deflate", zlib.compress),
        (b"deflate", deflate_without_header),
    ],
)
@pytest.mark.parametrize("body", [b"{}", b"", b" " * 2**16])
async def test_an_answer_may_be_compressed(
    encoding: bytes, encode: Callable[[bytes], bytes], body: bytes
) -> None:
    answer = http(400, encode(body), b"Content-Encoding: " + encoding)
    async with always_answering(answer) as site, connect(site) as connection:
        got = await connection.exchange(CANARY)
    assert (got.status, got.body) == (400, body)


async def test_an_empty_answer_may_be_labelled_as_compressed() -> None:
    answer = http(400, b"", b"Content-Encoding: gzip")
    async with always_answering(answer) as site, connect(site) as connection:
        got = await connection.exchange(CANARY)
    assert (got.status, got.body) == (400, b"")


@pytest.mark.parametrize(
    ("body", "encoding", "why"),
    [
        (gzipped(b" " * (2**16 + 1)), b"gzip", "is too large"),
        (gzipped(b"{}")[:-1], b"gzip", "cannot be decompressed"),
        (gzipped(b"x" * 99)[:12], b"gzip", "cannot be decompressed"),
        (b"{}", b"gzip", "cannot be decompressed"),
        (b"{}", b"br", "has an unknown compression"),
        (gzipped(gzipped(b"{}")), b"gzip, gzip", "has an unknown compression"),
    ],
)
async def test_an_answer_that_cannot_be_decompressed_is_reported(
    body: bytes, encoding: bytes, why: str
) -> None:
    answer = http(200, body, b"Content-Encoding: " + encoding)
    async with always_answering(answer) as site, connect(site) as connection:
        with pytest.raises(MalformedResponse, match=why):
            await connection.exchange(CANARY)


COMMAND_ANSWERS = {
    "refusal-control": (5, "[2J"),
    "refusal-echo": (5, "code_verifier=…"),
    "token-status-500": (5, "HTTP 500 without a reason"),
    "compressed": (5, "(HTTP 200) is too large"),
    "redirect-308": (5, "HTTP 308 with an empty body"),
    "cut-off": (6, "did not send its whole answer (HTTP 200)"),
    "not-http": (6, "closed the connection, or its answer is not HTTP"),
}
if sys.version_info < (3, 14):  # as above
    COMMAND_ANSWERS["nested-json"] = (5, "HTTP 200 with no JSON")


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
@pytest.mark.parametrize("quirk", COMMAND_ANSWERS)
def test_the_command_reports_a_bad_answer_in_one_sentence_with_a_hint(
    soe_auth: Command, quirk: str
) -> None:
    exit_status, words = COMMAND_ANSWERS[quirk]
    draws = Draws()
    with running(strict=True, entropy=draws, quirks=Quirks(token=quirk)) as sandbox:
        code, request = asyncio.run(SandboxSite(sandbox, draws=draws).code())
        command = soe_auth.with_variables(
            SOE_AUTH_CODE=code.reveal(),
            SOE_AUTH_CODE_VERIFIER=request.code_verifier.reveal(),
        )
        done = command("exchange", "--site", sandbox.url, "--client-id", "112")
    assert (done.returncode, done.stdout) == (exit_status, "")
    sentence, todo = done.stderr.splitlines()
    assert words in sentence
    assert todo
    assert (sentence + todo).isprintable()
    assert not draws.found_in(done.stderr)


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
@pytest.mark.parametrize("quirk", ["token-status-500", "refusal-echo", "oversized", "drop"])
def test_the_traceback_of_a_failed_login_shows_no_secret_in_its_locals(
    quirk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOE_AUTH_CONFIG_DIR", str(tmp_path))
    draws, browsers = Draws(), []

    def browser(url: str) -> bool:
        browsers.append(
            subprocess.Popen(
                [*shlex.split(BROWSER), url],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return True

    with running(strict=True, entropy=draws, quirks=Quirks(token=quirk)) as sandbox:
        with pytest.raises(SoeAuthError) as caught:
            soe_auth.login(site=sandbox.url, client_id="110", browser=browser)
        browsers[0].wait()
        [exchange] = sandbox.exchanges
    draws.secrets.append(dict(exchange.fields)["code_verifier"])
    assert not draws.found_in(shown_by_a_tool_that_prints_locals(caught.value))


# --- the account, and the end of a token ---


@pytest.mark.parametrize("quirk", ["server-error", "html", "not-json", "empty-name", "hang"])
async def test_an_unknown_account_is_not_an_error(plain_site: SandboxSite, quirk: str) -> None:
    token = await plain_site.token()
    plain_site.sandbox.quirks = Quirks(account=quirk)
    async with connect(token.site, TimeLimits(look_up=0.5)) as connection:
        assert await connection.account_name(token.access_token) is None


@pytest.mark.parametrize(
    ("quirk", "verdict"),
    [
        ("ok", Verification(TokenValidity.VALID, "Jane Doe")),
        ("empty-name", Verification(TokenValidity.VALID)),
        (
            "server-error",
            Verification(TokenValidity.UNCLEAR, reason="{} answered without a name (HTTP 500)."),
        ),
        (
            "html",
            Verification(TokenValidity.UNCLEAR, reason="{} answered without a name (HTTP 200)."),
        ),
        (
            "not-json",
            Verification(TokenValidity.UNCLEAR, reason="{} answered without a name (HTTP 200)."),
        ),
        ("hang", Verification(TokenValidity.UNREACHABLE, reason="{} did not answer in time.")),
    ],
)
async def test_only_a_clear_answer_means_that_a_token_is_valid(
    either: SandboxSite, quirk: str, verdict: Verification
) -> None:
    token = await either.token()
    either.sandbox.quirks = Quirks(account=quirk)
    reason = verdict.reason.format(token.site.authority)
    async with connect(token.site, TimeLimits(verification=0.5)) as connection:
        assert await connection.verify(token.access_token) == replace(verdict, reason=reason)


async def test_only_a_401_means_that_a_token_is_invalid(either: SandboxSite) -> None:
    async with connect(either.site) as connection:
        verdict = await connection.verify(Secret("never-given"))
    assert verdict == Verification(TokenValidity.INVALID)
    compressed = http(
        401, b"{}", b"Content-Encoding: br"
    )  # an encoding that the client did not offer
    async with always_answering(compressed) as site, connect(site) as connection:
        assert (await connection.verify(Secret("x"))).validity is TokenValidity.UNCLEAR


async def test_the_name_of_an_account_is_made_printable(plain_site: SandboxSite) -> None:
    token = await plain_site.token()
    plain_site.sandbox.quirks = Quirks(account="control-name")
    async with connect(token.site) as connection:
        name = await connection.account_name(token.access_token)
    assert name
    assert name.isprintable()


async def test_a_token_is_revoked_once(plain_site: SandboxSite) -> None:
    token = await plain_site.token()
    async with connect(token.site) as connection:
        assert await connection.revoke(token.access_token) is RevocationResult.ENDED
        assert await connection.account_name(token.access_token) is None
        assert await connection.revoke(token.access_token) is RevocationResult.ALREADY_INVALID


@pytest.mark.parametrize(
    ("quirk", "result"),
    [
        ("not-offered", RevocationResult.NOT_OFFERED),
        ("server-error", RevocationResult.UNCLEAR),
        ("hang", RevocationResult.UNREACHABLE),
    ],
)
async def test_a_site_without_revocation_is_recognised(
    plain_site: SandboxSite, quirk: str, result: RevocationResult
) -> None:
    token = await plain_site.token()
    plain_site.sandbox.quirks = Quirks(invalidate=quirk)
    async with connect(token.site, TimeLimits(revocation=0.5)) as connection:
        assert await connection.revoke(token.access_token) is result


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (http(401, b""), RevocationResult.ENDED),
        (http(400, b'{"error_id": 404, "error_name": "no_method"}'), RevocationResult.NOT_OFFERED),
        (http(403, b'{"items": [1]}'), RevocationResult.UNCLEAR),
        (http(200, b'{"items": "x"}'), RevocationResult.UNCLEAR),
        (http(200, b"{}"), RevocationResult.UNCLEAR),
        (http(200, b"[" * 60000), RevocationResult.UNCLEAR),
        (http(200, b'{"items": [1]}')[:-1], RevocationResult.UNREACHABLE),
    ],
)
async def test_only_a_clear_answer_means_that_a_token_was_revoked(
    answer: bytes, result: RevocationResult
) -> None:
    async with always_answering(answer) as site, connect(site) as connection:
        assert await connection.revoke(Secret("x")) is result


@pytest.mark.parametrize(
    "unclear",
    [
        http(500, b"{}"),
        http(503, b"<html>"),
        http(302, b"", b"Location: /login"),
        http(401, b'{"error_name": "access_token_required"}'),
        http(200, b"<html>"),
        http(200, b"no gzip", b"Content-Encoding: gzip"),
        http(200, b"{}", b"Content-Encoding: br"),
        http(200, b'{"items": [1]}')[:-1],
        b"nonsense",
        b"",
    ],
)
@pytest.mark.parametrize(
    ("account", "for_team", "is_dead"),
    [
        (http(401, b"Invalid access token"), False, True),
        (http(401, b"Invalid access token"), True, False),
        (http(200, b'{"name": "Jane Doe"}'), False, False),
        (http(403, b"{}"), False, False),
        (http(503, b""), False, False),
    ],
)
async def test_after_an_unclear_revocation_the_token_is_verified(
    unclear: bytes, account: bytes, *, for_team: bool, is_dead: bool
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(unclear if b"/invalidate" in head else account)
        await writer.drain()

    async with served(handle) as port, connect(Site.parse(f"http://127.0.0.1:{port}")) as site:
        result = await site.revoke(Secret("x"), for_team=for_team)
    assert result.is_dead is is_dead
    assert result is not RevocationResult.NOT_OFFERED


PAGE = b"<!-- styles -->" * 2**13


async def test_an_error_page_of_any_length_tells_whether_a_token_is_valid() -> None:
    async with always_answering(http(401, PAGE)) as site, connect(site) as connection:
        assert (await connection.verify(Secret("x"))).validity is TokenValidity.INVALID


async def test_an_error_page_of_any_length_tells_that_a_site_has_no_revocation() -> None:
    async with always_answering(http(404, PAGE)) as site, connect(site) as connection:
        assert await connection.revoke(Secret("x")) is RevocationResult.NOT_OFFERED


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_the_main_site_does_not_decide_about_a_team_token(status: int) -> None:
    async with always_answering(http(status, b"{}")) as site, connect(site) as connection:
        seen = await connection.verify(Secret("x"), for_team=True)
    assert seen.validity is TokenValidity.UNCLEAR
    assert "access_team" in seen.reason


async def test_a_token_too_long_for_a_url_is_verified_by_its_header(
    plain_site: SandboxSite,
) -> None:
    async with connect(plain_site.site) as connection:
        assert await connection.revoke(Secret("(" * 30000)) is RevocationResult.ENDED


async def test_a_name_in_a_refusal_is_not_an_account() -> None:
    answer = http(403, b'{"name": "x"}')
    async with always_answering(answer) as site, connect(site) as connection:
        assert await connection.account_name(Secret("x")) is None


@pytest.mark.rfc("6749-10.3", "a log")
async def test_no_call_is_logged_at_any_level(
    plain_site: SandboxSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    token = await plain_site.token()
    async with connect(token.site) as connection:
        await connection.account_name(token.access_token)
        await connection.revoke(token.access_token)
    assert not plain_site.draws.found_in(caplog.text)
    assert "access-tokens" not in caplog.text


# --- one POST for one code ---


class CountedPauses(tuple[float, ...]):  # noqa: SLOT001  # it counts
    """Pauses between tries to connect, and how many of the tries have begun."""

    tries: int = 0

    def __iter__(self) -> Iterator[float]:
        for pause in super().__iter__():
            self.tries += 1
            yield pause


@contextmanager
def closed_port() -> Iterator[tuple[int, ExitStack]]:
    """A port of both loopback addresses that is taken and refuses; closing the stack frees it."""
    with ExitStack() as bound:
        addresses = []
        for listening in bind_loopback(0):
            with listening:
                addresses.append((listening.family, listening.getsockname()))
        for family, address in addresses:
            bound.enter_context(socket.socket(family)).bind(address)
        yield addresses[0][1][1], bound


@pytest.mark.rfc("an exchange sent twice")
async def test_a_failed_connection_is_retried_and_one_post_is_sent() -> None:
    pauses = CountedPauses((0.0, 0.3, 1.0))
    with closed_port() as (port, bound):
        site = Site.parse(f"http://localhost:{port}")
        async with connect(site, TimeLimits(pauses=pauses)) as connection:
            answer = asyncio.create_task(connection.exchange(CANARY))
            while pauses.tries < 2:  # noqa: ASYNC110  # it has to be a tuple
                await asyncio.sleep(0.01)
            bound.close()
            async with Sandbox(strict=True, port=port) as sandbox:
                assert (await answer).status == 400
                assert len(sandbox.exchanges) == 1


REFUSED = "Connection refused"


class OnWindows(OSError):
    """An error with a Windows number; strerror does not know its `errno`."""

    winerror: int | None = None


@pytest.mark.parametrize(
    ("number", "reason"),
    [(1225, REFUSED), (10061, REFUSED), (5, "words")],
)
def test_a_windows_error_is_reported_in_its_own_words(number: int, reason: str) -> None:
    problem = OnWindows(22, "words")
    problem.winerror = number
    error = explain_failure(problem, None, "acme", proxy=None, has_bundle=False)
    assert str(error) == f"Cannot reach acme: {reason}."


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # one address, and two
async def test_a_refused_connection_is_a_network_error(host: str) -> None:
    with closed_port() as (port, _):
        site = Site.parse(f"http://{host}:{port}")
        async with connect(site, TimeLimits(pauses=(0.0, 0.0))) as connection:
            with network_error("Cannot reach .*: Connection refused"):
                await connection.exchange(CANARY)
            assert await connection.revoke(CANARY) is RevocationResult.UNREACHABLE
            assert await connection.account_name(CANARY) is None


@pytest.mark.rfc("an exchange sent twice")
@pytest.mark.parametrize("waits", [0, 1])
async def test_a_connection_that_opened_is_never_retried(waits: int) -> None:
    opened = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await reader.read(waits)
        writer.transport.abort()

    async with served(hang_up) as port:
        async with connect(Site.parse(f"http://127.0.0.1:{port}")) as connection:
            with network_error("closed the connection, or its answer is not HTTP"):
                await connection.exchange(CANARY)
        assert opened == 1


# --- time limits ---


@contextmanager
def full_queue() -> Iterator[int]:
    """A port whose backlog is full, so that no connection can be opened."""
    with ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003  # as the standard library has it
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def test_a_connection_that_never_opens_times_out() -> None:
    with full_queue() as port:
        site = Site.parse(f"http://127.0.0.1:{port}")
        async with connect(site, TimeLimits(connect=0.1)) as connection:
            with network_error("Cannot reach .*: the connection timed out"):
                await connection.exchange(CANARY)
        async with connect(site, TimeLimits(exchange=0.1)) as connection:
            with network_error("did not answer in time"):
                await connection.exchange(CANARY)


async def wait_for_the_end(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    ("scheme", "limits", "words"),
    [
        ("https", TimeLimits(connect=0.1), "Cannot reach .*: the connection timed out"),
        ("http", TimeLimits(read=0.1), "did not answer in time"),
        ("http", TimeLimits(exchange=0.1), "did not answer in time"),
    ],
)
async def test_a_site_that_never_answers_times_out(
    scheme: str, limits: TimeLimits, words: str
) -> None:
    async with (
        served(wait_for_the_end) as port,
        connect(Site.parse(f"{scheme}://127.0.0.1:{port}"), limits) as connection,
    ):
        with network_error(words):
            await connection.exchange(CANARY)


async def test_a_site_that_answers_a_byte_at_a_time_times_out() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n")
        while not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with served(trickle) as port:
        site = Site.parse(f"http://127.0.0.1:{port}")
        async with connect(site, TimeLimits(exchange=0.3)) as connection:
            with network_error(r"did not finish its answer in time \(HTTP 200\)"):
                await connection.exchange(CANARY)


# --- certificates ---


async def refusal_of(context: ssl.SSLContext, host: str = "localhost") -> str:
    """Connect to a site with that certificate; return why it was refused."""
    async with Sandbox(strict=True, ssl_context=context) as sandbox:
        site = Site.parse(f"https://{host}:{sandbox.port}")
        pauses = CountedPauses((0.3, 1.0))
        async with connect(site, TimeLimits(pauses=pauses)) as connection:
            with pytest.raises(NetworkError) as caught:
                await connection.exchange(CANARY)
            tries = pauses.tries
            assert await connection.revoke(CANARY) is RevocationResult.UNREACHABLE
        assert sandbox.exchanges == []
    if "certificate" in str(caught.value):
        assert tries == 1  # what is refused for good is not tried again
    assert "canary" not in shown_by_a_tool_that_prints_locals(caught.value)
    assert str(caught.value).startswith(f"Cannot reach {site.authority}: ")
    return str(caught.value)


# Windows tells less than OpenSSL does.
@pytest.mark.rfc("6749-10.9")
@pytest.mark.parametrize(
    ("make", "host", "words"),
    [
        (
            lambda ca: tls(ca.issue_cert("acme.test")),
            "localhost",
            "it is for another name( or address)?",
        ),
        (
            lambda ca: tls(ca.issue_cert("localhost")),
            "127.0.0.1",
            "it is for another (name or )?address",
        ),
        (
            tls_of_yesterday,
            "localhost",
            "it has expired( or is not valid yet)?, by this machine's clock",
        ),
        (
            tls_of_tomorrow,
            "localhost",
            "it (has expired or )?is not valid yet, by this machine's clock",
        ),
        pytest.param(
            lambda _: tls(trustme.CA().issue_cert("localhost")),
            "localhost",
            "it was issued by an authority that this machine does not trust",
            marks=needs_roots,
        ),
    ],
    ids=["wrong-host", "wrong-address", "expired", "not-yet-valid", "unknown-ca"],
)
@pytest.mark.usefixtures("trusted")
async def test_a_bad_certificate_is_refused_before_anything_is_sent(
    ca: trustme.CA,
    make: Callable[[trustme.CA], ssl.SSLContext],
    host: str,
    words: str,
) -> None:
    assert re.search(rf"certificate is not trusted: {words}\.$", await refusal_of(make(ca), host))


async def test_a_self_signed_certificate_is_refused(tmp_path: Path) -> None:
    words = await refusal_of(tls_signed_by_itself(tmp_path))
    # Windows does not tell such a one from any that was issued by an unknown authority.
    why = "was issued by an authority" if sys.platform == "win32" else "is self-signed."
    assert f"its certificate is not trusted: it {why}" in words


@pytest.mark.slow
async def test_a_tls_older_than_1_2_is_refused(ca: trustme.CA, trusted: ssl.SSLContext) -> None:
    old = before_1_2(tls(ca.issue_cert("localhost")))
    assert "the TLS handshake failed (" in await refusal_of(old)
    async with served(wait_for_the_end, old) as port:  # and nothing but its age is wrong with it
        _, writer = await asyncio.open_connection("localhost", port, ssl=before_1_2(trusted))
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.1"
        writer.close()


@pytest.mark.slow
@pytest.mark.rfc("6749-3.2")
async def test_plain_http_in_place_of_tls_is_refused(plain_site: SandboxSite) -> None:
    async with connect(Site.parse(f"https://localhost:{plain_site.sandbox.port}")) as connection:
        with network_error("the TLS handshake failed"):
            await connection.exchange(CANARY)
    assert plain_site.sandbox.exchanges == []


@pytest.mark.rfc("6749-10.9")
@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_no_variable_disables_certificate_checks_or_writes_keys(
    ca: trustme.CA, soe_auth: Command, tmp_path: Path
) -> None:
    right, other, keys = tmp_path / "right.pem", tmp_path / "other.pem", tmp_path / "keys"
    ca.cert_pem.write_to_path(right)
    trustme.CA().cert_pem.write_to_path(other)
    variables = {
        "SOE_AUTH_CODE": "canary",
        "SOE_AUTH_CODE_VERIFIER": "x" * 43,
        "PYTHONHTTPSVERIFY": "0",
        "NODE_TLS_REJECT_UNAUTHORIZED": "0",
        "CURL_CA_BUNDLE": str(right),
        "REQUESTS_CA_BUNDLE": str(right),
        "SSLKEYLOGFILE": str(keys),
    }
    with running(strict=True, ssl_context=tls(ca.issue_cert("localhost"))) as sandbox:
        argv = ("exchange", "--site", sandbox.url, "--client-id", "112")
        command = soe_auth.with_variables(**variables, SSL_CERT_FILE=str(other))
        refused = command(*argv)
        assert refused.returncode == 6
        assert "by an authority that this machine does not trust." in refused.stderr
        assert sandbox.exchanges == []
        reached = command.with_variables(SSL_CERT_FILE=str(right))(*argv)
        assert reached.returncode == 5
        assert "No authorization code found" in reached.stderr
        assert len(sandbox.exchanges) == 1
    assert not keys.exists()


# --- proxies ---


@pytest.fixture
async def acme(ca: trustme.CA, trusted: ssl.SSLContext) -> AsyncIterator[Sandbox]:  # noqa: ARG001
    """A site of a name that only a proxy finds."""
    async with Sandbox(
        strict=True, host="acme.test", ssl_context=tls(ca.issue_cert("acme.test"))
    ) as sandbox:
        yield sandbox


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("written", ["http://127.0.0.1:{}", "127.0.0.1:{}", "https://localhost:{}"])
async def test_the_proxy_of_the_environment_is_used_and_gets_only_the_site_name(
    acme: Sandbox, ca: trustme.CA, variable: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tls(ca.issue_cert("localhost")) if written.startswith("https:") else None
    async with forwarding(context=context) as proxy:
        monkeypatch.setenv(variable, written.format(proxy.port))
        async with connect(Site.parse(acme.url)) as connection:
            assert (await connection.exchange(CANARY)).status == 400
            assert await connection.account_name(CANARY) is None
            assert await connection.revoke(CANARY) is RevocationResult.ALREADY_INVALID
        assert len(acme.exchanges) == 1
    heads = [head.decode().split("\r\n") for head in proxy.requests]
    assert heads == [
        [
            f"CONNECT acme.test:{acme.port} HTTP/1.1",
            f"Host: acme.test:{acme.port}",
            "Accept: */*",
            "",
            "",
        ]
    ]


async def test_a_certificate_is_checked_behind_a_proxy_too(
    acme: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with forwarding() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with connect(Site.parse(f"https://other.test:{acme.port}")) as connection:
            with network_error("certificate is not trusted: it is for another name"):
                await connection.exchange(CANARY)
    assert len(proxy.requests) == 1
    assert acme.exchanges == []


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "HTTP_PROXY"])
async def test_no_proxy_excludes_a_site_and_http_proxy_is_ignored(
    acme: Sandbox, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with forwarding() as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "acme.test" if variable == "HTTPS_PROXY" else "")
        async with connect(Site.parse(acme.url), TimeLimits(pauses=())) as connection:
            with network_error("Cannot reach acme.test:.*: "):
                await connection.exchange(CANARY)
    assert proxy.requests == []


@pytest.mark.parametrize("reason", ["403 Forbidden", "407 Proxy Authentication Required"])
async def test_a_proxy_that_refuses_is_reported(
    acme: Sandbox, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = f"HTTP/1.1 {reason}\r\nContent-Length: 0\r\n\r\n".encode()
    async with forwarding(refusal) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with connect(Site.parse(acme.url)) as connection:
            with network_error(rf"through the proxy http://127.0.0.1:\d+: it answered {reason}\."):
                await connection.exchange(CANARY)
    assert len(proxy.requests) == 1
    assert b"canary" not in proxy.requests[0]


@pytest.mark.parametrize(
    "written",
    ["socks5://127.0.0.1:9", "http://[", "http://x:99999", "http://x:0", "http://"],
)
async def test_an_invalid_proxy_of_the_environment_is_reported(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", written.replace("//", "//user:canary@"))
    with network_error("proxy of the environment: it is not an http or https address"):
        async with connect(Site.parse("acme")):
            pass


async def test_a_logout_with_an_invalid_proxy_removes_the_local_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    store = FileStore(tmp_path, report=print)
    store.save("acme", TOKEN)
    result = await logout("acme", store, network=Network())
    assert result
    assert result.on_site is RevocationResult.UNREACHABLE
    assert store.load("acme") is None


async def test_a_proxy_with_control_characters_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary@\x7f")
    with pytest.raises(NetworkError, match="is not an http or https address") as caught:
        async with connect(Site.parse("acme")):
            pass
    assert "canary" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "a.localhost"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_loopback_site_ignores_the_proxies_of_the_environment(
    host: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "socks5://which.cannot.be.used")
        monkeypatch.setenv(name.lower(), "socks5://which.cannot.be.used")
    async with connect(Site(scheme, host.strip("[]"), 9)):
        pass
