"""The calls to the site, over real sockets, to a sandbox that answers in every way it can."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from soe_auth.errors import ExchangeRefused, MalformedResponse, NetworkError
from soe_auth.exchange import Ending, connect
from soe_auth.protocol import (
    Granted,
    begin,
    judge_paste,
    login_success_uri,
    read_answer,
    redeem_form,
)
from soe_auth.sandbox import Quirks, Sandbox
from soe_auth.sandbox.visitor import visit
from soe_auth.scope import Scope
from soe_auth.secret import Secret
from soe_auth.site import Site
from soe_auth.tokens import Token


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as site:
        yield site


async def obtain(sandbox: Sandbox, scope: str = "", ca: ssl.SSLContext | None = None) -> Token:
    """Get a code by the visitor, as the guide's person would, and redeem it."""
    site = Site.parse(sandbox.url)
    uri = login_success_uri(site)
    request = begin(site, "112", Scope.parse(scope), uri, lambda size: b"\x01" * size)
    page = await visit(request.url, ssl_context=ca)
    granted = judge_paste(page.url, request)
    assert isinstance(granted, Granted)
    form = redeem_form("112", uri, granted.code, request.code_verifier)
    async with connect(site) as connection:
        status, body = await connection.exchange(form)
    return read_answer(status, body, site=site, client_id="112", scope=request.scope, now=1000)


async def test_a_code_is_exchanged_for_a_token_that_tells_whose_it_is(sandbox: Sandbox) -> None:
    token = await obtain(sandbox, "write_access")
    assert token.expires_at == 87400.0
    async with connect(token.site) as connection:
        assert await connection.account_name(token.access_token) == "Jane Doe"


async def test_the_exchange_is_one_post_of_a_form_without_a_secret_in_its_address(
    sandbox: Sandbox,
) -> None:
    await obtain(sandbox)
    [exchange] = sandbox.exchanges
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


@pytest.mark.parametrize(
    ("quirk", "error"),
    [
        ("vendor-refusal", ExchangeRefused),
        ("vendor-error-object", ExchangeRefused),
        ("rfc-refusal", ExchangeRefused),
        ("html-error", MalformedResponse),
        ("login-page", MalformedResponse),
        ("empty", MalformedResponse),
        ("server-error", MalformedResponse),
        ("unavailable", MalformedResponse),
        ("truncated-json", MalformedResponse),
        ("json-list", MalformedResponse),
        ("token-control-characters", MalformedResponse),
        ("token-empty", MalformedResponse),
        ("token-number", MalformedResponse),
        ("redirect-302", MalformedResponse),
        ("redirect-307", MalformedResponse),
        ("oversized", MalformedResponse),
        ("drop", NetworkError),
    ],
)
async def test_a_bad_answer_is_one_clear_error_and_nothing_is_sent_twice(
    sandbox: Sandbox, quirk: str, error: type[Exception]
) -> None:
    sandbox.quirks = Quirks(token=quirk)
    with pytest.raises(error) as caught:
        await obtain(sandbox)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()
    assert len(sandbox.exchanges) == 1


@pytest.mark.parametrize(
    ("quirk", "expires_at"),
    [
        ("expires-string", 87400.0),
        ("expires-float", 87399.5),
        ("expires-in", 87400.0),
        ("byte-order-mark", 87400.0),
        ("wrong-content-type", 87400.0),
        ("expires-negative", "unknown"),
        ("expires-huge", "unknown"),
        ("expires-unreadable", "unknown"),
        ("expires-missing", "unknown"),
    ],
)
async def test_an_odd_answer_is_understood(
    sandbox: Sandbox, quirk: str, expires_at: object
) -> None:
    sandbox.quirks = Quirks(token=quirk)
    assert (await obtain(sandbox)).expires_at == expires_at


@pytest.mark.parametrize(
    ("quirk", "name"),
    [
        ("server-error", None),
        ("html", None),
        ("not-json", None),
        ("empty-name", None),
        ("hang", None),
    ],
)
async def test_an_account_that_is_not_told_is_no_failure(
    sandbox: Sandbox, quirk: str, name: str | None
) -> None:
    token = await obtain(sandbox)
    sandbox.quirks = Quirks(account=quirk)
    async with connect(token.site) as connection, asyncio.timeout(4):
        assert await connection.account_name(token.access_token) == name


async def test_an_accounts_name_is_made_fit_to_show(sandbox: Sandbox) -> None:
    token = await obtain(sandbox)
    sandbox.quirks = Quirks(account="control-name")
    async with connect(token.site) as connection:
        name = await connection.account_name(token.access_token)
    assert name
    assert name.isprintable()


async def test_a_token_is_ended_once(sandbox: Sandbox) -> None:
    token = await obtain(sandbox)
    async with connect(token.site) as connection:
        assert await connection.invalidate(token.access_token) is Ending.ENDED
        assert await connection.account_name(token.access_token) is None
        assert await connection.invalidate(token.access_token) is Ending.ALREADY_INVALID


@pytest.mark.parametrize("quirk", ["not-offered", "server-error"])
async def test_a_site_that_does_not_end_tokens_is_told_from_one_that_does(
    sandbox: Sandbox, quirk: str
) -> None:
    token = await obtain(sandbox)
    sandbox.quirks = Quirks(invalidate=quirk)
    async with connect(token.site) as connection:
        assert await connection.invalidate(token.access_token) is Ending.NOT_OFFERED


async def test_a_refused_connection_is_a_network_error_that_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        site = Site.parse(f"http://127.0.0.1:{taken.getsockname()[1]}")
        async with connect(site) as connection:
            with pytest.raises(NetworkError, match="could not be reached: "):
                await connection.exchange({"code": "canary"})
            assert await connection.invalidate(Secret("canary")) is Ending.UNREACHABLE
            assert await connection.account_name(Secret("canary")) is None


async def test_no_call_is_logged_however_much_is_logged(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    token = await obtain(sandbox)
    caplog.set_level(0)
    async with connect(token.site) as connection:
        await connection.account_name(token.access_token)
        await connection.invalidate(token.access_token)
    assert token.access_token.reveal() not in caplog.text
    assert "access-tokens" not in caplog.text


@asynccontextmanager
async def always_answering(status: int, body: bytes) -> AsyncIterator[Site]:
    """A site that answers everything alike."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield Site.parse(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")


@pytest.mark.parametrize(
    ("status", "body", "ending"),
    [
        (401, b"", Ending.ALREADY_INVALID),
        (403, b'{"items": [1]}', Ending.NOT_OFFERED),
        (200, b'{"items": "x"}', Ending.NOT_OFFERED),
        (200, b"{}", Ending.NOT_OFFERED),
        (200, b"[" * 60000, Ending.NOT_OFFERED),
    ],
)
async def test_only_a_clear_answer_means_that_a_token_was_ended(
    status: int, body: bytes, ending: Ending
) -> None:
    async with always_answering(status, body) as site, connect(site) as connection:
        assert await connection.invalidate(Secret("x")) is ending


async def test_a_name_in_a_refusal_is_no_account() -> None:
    async with always_answering(403, b'{"name": "x"}') as site, connect(site) as connection:
        assert await connection.account_name(Secret("x")) is None


# --- over TLS ---


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


async def tls_site(ca: trustme.CA, name: str) -> Sandbox:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    return Sandbox(ssl_context=context)


async def test_a_company_ca_in_the_systems_trust_store_is_trusted(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    async with await tls_site(ca, "localhost") as site:
        assert site.url.startswith("https://")
        assert (await obtain(site, ca=context)).expires_at == 87400.0


async def test_an_unknown_ca_is_refused_before_anything_is_sent(ca: trustme.CA) -> None:
    async with await tls_site(ca, "localhost") as site, connect(Site.parse(site.url)) as connection:
        with pytest.raises(NetworkError, match="certificate is not trusted"):
            await connection.exchange({"code": "canary"})
        assert site.exchanges == []


async def test_a_certificate_for_another_name_is_refused(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with (
        await tls_site(ca, "acme.example") as site,
        connect(Site.parse(site.url)) as connection,
    ):
        with pytest.raises(NetworkError, match="certificate is not trusted"):
            await connection.exchange({"code": "canary"})
        assert site.exchanges == []


async def test_the_environments_proxy_is_used_unless_the_site_is_excepted(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with (
        await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy,
        await tls_site(ca, "localhost") as sandbox,
    ):
        site = Site.parse(sandbox.url)
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        async with connect(site) as connection:
            with pytest.raises(NetworkError, match="403 Forbidden"):
                await connection.exchange({"code": "canary"})
            assert await connection.invalidate(Secret("canary")) is Ending.UNREACHABLE
        assert len(asked) == 2
        assert all(request.startswith(b"CONNECT localhost:") for request in asked)
        assert b"canary" not in b"".join(asked)
        monkeypatch.setenv("NO_PROXY", "localhost")
        async with connect(site) as connection:
            assert (await connection.exchange({"code": "x"}))[0] == 400
        assert len(asked) == 2


async def test_a_loopback_site_is_never_asked_through_a_proxy(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    async with connect(Site.parse(sandbox.url)) as connection:
        assert (await connection.exchange({"code": "x"}))[0] == 400
