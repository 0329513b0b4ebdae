"""Clauses of the standards that no other test holds; docs/reference/standards.md names them all."""

import ast
import asyncio
import os
import re
import subprocess
import sys
import threading
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import fields
from email.parser import BytesParser
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import pytest
from callback_server import PAGE, PATHS, Login, raw, waiting
from fake_user import FakeUser
from hypothesis import given
from hypothesis import strategies as st
from protocol_samples import GOOD, REDIRECT, REQUEST, arrive, read

import soe_auth
from soe_auth import ExchangeRefused, NetworkError, Scope, Secret, ServerError
from soe_auth.actions.login import login
from soe_auth.actions.login_io import LoginIO
from soe_auth.loopback.pages import HEADERS
from soe_auth.oauth.authorization_request import draw_secret
from soe_auth.oauth.callback_check import (
    Denied,
    Granted,
    Stray,
    check_callback,
    check_pasted_url,
)
from soe_auth.sandbox import Quirks, Sandbox
from soe_auth.sandbox.scripted_browser import visit
from soe_auth.settings.resolve import resolve

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636 appendix B

SOURCES = sorted(Path(soe_auth.__file__).parent.rglob("*.py"))

# Libraries that show a page inside a program, or drive a browser that the user does not see.
EMBEDDED = {
    *("webview", "PyQt5", "PyQt6", "PySide2", "PySide6", "gi", "wx", "cefpython3", "tkinter"),
    *("playwright", "selenium", "pyppeteer", "mechanize"),
}


def imported() -> Iterator[str]:
    """The top-level names of all that any room imports."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield (node.module or "").partition(".")[0]


# --- the authorization request -------------------------------------------------------------------


@pytest.mark.rfc("7636-4.1", "7636-A")
@given(st.binary(min_size=32, max_size=32))
def test_what_is_drawn_is_unreserved_and_keeps_all_of_its_256_bits(entropy: bytes) -> None:
    drawn = draw_secret(lambda size: entropy[:size]).reveal()
    assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", drawn)
    assert urlsafe_b64decode(drawn + "=") == entropy


@pytest.mark.rfc("7636-7.1")
def test_state_and_verifier_come_from_the_systems_own_randomness() -> None:
    (entropy,) = (effect.default for effect in fields(LoginIO) if effect.name == "entropy")
    assert entropy is os.urandom
    assert "random" not in imported()


@pytest.mark.rfc("8252-8.12")
def test_no_module_can_show_a_web_page() -> None:
    assert not EMBEDDED & set(imported())


@pytest.mark.rfc("6749-10.3", "9700-2.3")
def test_no_scope_is_requested_by_default(tmp_path: Path) -> None:
    environ = {"SOE_AUTH_CONFIG_DIR": str(tmp_path)}
    settings = resolve({"site": "acme", "client_id": "110"}, environ=environ)
    assert settings.scope == Scope()


@pytest.mark.rfc("9700-2.3")
def test_a_wider_scope_from_a_project_file_is_shown(tmp_path: Path, site: Sandbox) -> None:
    (tmp_path / ".soe-auth.toml").write_text('scope = ["write_access", "no_expiry"]\n')
    user = FakeUser(tmp_path / "config")
    settings = resolve(
        {"site": site.url, "client_id": "110"},
        environ={"SOE_AUTH_CONFIG_DIR": str(user.home)},
        cwd=lambda: tmp_path,
    )
    login(settings, user.effects())
    assert user.told[0].endswith(" requests the scope no_expiry, write_access.")


# --- the redirect --------------------------------------------------------------------------------

# On a system that is no Windows, a stand-in shows whether the option is there when an address is
# bound: any other that can be read back.
ON_WINDOWS = """
import socket, sys
from soe_auth.loopback.sockets import bind

def look(event, args):
    if event == "socket.bind":
        print(args[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

sys.platform = "win32"
socket.SO_EXCLUSIVEADDRUSE = socket.SO_KEEPALIVE
sys.addaudithook(look)
bind(0, "localhost").close()
"""


@pytest.mark.rfc("8252-B.3")
@pytest.mark.process
def test_on_windows_an_address_is_exclusive_before_it_is_bound() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_WINDOWS],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert set(done.stdout.split()) == {"1"}


@pytest.mark.rfc("6749-4.1.2")
@pytest.mark.parametrize("length", [1, 43, 6000])
async def test_a_code_may_be_as_short_or_long_as_the_site_likes(length: int) -> None:
    async with waiting() as login:
        code = "c" * length
        tab = asyncio.create_task(ask(login, f"{good(login)}&code={code}"))
        assert await login.listener.wait_for_callback() == Granted(Secret(code))
        end = asyncio.create_task(login.listener.show_result(PAGE))
        assert location(await tab) == PATHS.done
        end.cancel()


@pytest.mark.rfc("6749-4.1.2.1")
@pytest.mark.parametrize(
    "error",
    [
        "invalid_request",
        "unauthorized_client",
        "access_denied",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
    ],
)
def test_every_error_of_the_authorization_endpoint_is_named(error: str) -> None:
    assert check_callback(arrive({"state": GOOD["state"], "error": error}), REQUEST) == Denied(
        error, ""
    )
    unproven = check_callback(arrive({"error": error}), REQUEST)
    assert isinstance(unproven, Stray)
    assert error in unproven.reason


@pytest.mark.rfc("8252-8.2", "6749-10.16", "9700-2.1.2")
@pytest.mark.parametrize(
    "answer", [{"access_token": "t"}, {"access_token": "t", "token_type": "bearer", "expires": "9"}]
)
def test_a_token_in_the_redirect_is_not_taken(answer: dict[str, str]) -> None:
    assert isinstance(check_callback(arrive({"state": GOOD["state"], **answer}), REQUEST), Stray)
    in_fragment = "&".join(f"{name}={value}" for name, value in answer.items())
    pasted = f"{REDIRECT}#{in_fragment}&state={GOOD['state']}"
    assert isinstance(check_pasted_url(pasted, REQUEST), Stray)


@pytest.mark.rfc("9700-4.4.2.1", "9207-2.4")
@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "https://acme.stackenterprise.co/",
        "https://acme.stackenterprise.co:443",
        "https://ACME.stackenterprise.co",
        "HTTPS://acme.stackenterprise.co",
        "http://acme.stackenterprise.co",
        "acme.stackenterprise.co",
        "https%3A%2F%2Facme.stackenterprise.co",
        "https://acme.stackenterprise.co.evil.example",
        " https://acme.stackenterprise.co",
    ],
)
def test_an_issuer_that_is_not_the_very_same_string_is_refused(issuer: str) -> None:
    for answer in (GOOD, {"state": GOOD["state"], "error": "access_denied"}):
        assert isinstance(check_callback(arrive({**answer, "iss": issuer}), REQUEST), Stray)


@pytest.mark.rfc("6749-10.5", "9700-4.2.4")
async def test_a_state_is_dead_after_its_first_use() -> None:
    async with waiting() as login:
        first = asyncio.create_task(ask(login, f"{good(login)}&code=first"))
        granted = await login.listener.wait_for_callback()
        late = [
            asyncio.create_task(ask(login, f"{good(login)}&{answer}"))
            for answer in ("code=second", "error=access_denied")
        ]
        await asyncio.wait(late, timeout=0.1)
        assert await login.listener.wait_for_callback() == granted == Granted(Secret("first"))
        end = asyncio.create_task(login.listener.show_result(PAGE))
        for answer in await asyncio.gather(first, *late):
            assert location(answer) == PATHS.done
        end.cancel()


# --- the listener's answers ----------------------------------------------------------------------


@pytest.mark.rfc("6749-10.15", "9700-2.1", "9700-4.11.1")
@pytest.mark.parametrize(
    "target",
    [
        "{launch}?redirect_uri=https://evil.example",
        "{launch}/https://evil.example",
        "{done}?next=//evil.example",
        "//evil.example/",
        "/\\evil.example",
        "/%2F%2Fevil.example",
        "https://evil.example/",
        "/?url=https://evil.example",
        "{good}&code=x&redirect_uri=https://evil.example&next=//evil.example&url=//evil.example",
    ],
)
async def test_no_browser_is_redirected_to_an_address_from_a_request(target: str) -> None:
    async with waiting() as login:
        named = target.format(launch=PATHS.launch, done=PATHS.done, good=good(login))
        asked = asyncio.create_task(ask(login, named))
        await asyncio.wait({asked}, timeout=0.2)
        end = asyncio.create_task(login.listener.show_result(PAGE))
        answer = await asked
        end.cancel()
        assert "evil" not in answer
        assert location(answer) in {None, PATHS.done}


@pytest.mark.rfc("9700-4.2.4", "9700-4.12", "9700-4.16")
async def test_every_answer_keeps_its_address_to_itself_and_out_of_frames() -> None:
    async with waiting() as login:
        answers = [
            await ask(login, PATHS.launch),
            await ask(login, "/favicon.ico"),
            (await raw(login.sockets.port, b"no HTTP\r\n\r\n")).decode(),
        ]
        tab = asyncio.create_task(ask(login, f"{good(login)}&code=x"))
        await login.listener.wait_for_callback()
        end = asyncio.create_task(login.listener.show_result(PAGE))
        answers += [await tab, await ask(login, PATHS.done)]
        await end
    statuses = [answer.split()[1] for answer in answers]
    assert statuses == ["303", "404", "400", "303", "200"]
    for answer in answers:
        sent = headers(answer)
        assert {name: sent[name] for name in HEADERS} == HEADERS
        assert sent["Referrer-Policy"] == "no-referrer"
        assert sent["Cache-Control"] == "no-store"
        assert sent["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in sent["Content-Security-Policy"]
    assert [location(answer) for answer in answers] == [
        login.request.url,
        None,
        None,
        PATHS.done,
        None,
    ]


def good(login: Login) -> str:
    """The genuine redirect's target, without a code."""
    path = login.good.removeprefix(login.origin).partition("?")[0]
    return f"{path}?state={login.request.state.reveal()}"


async def ask(login: Login, target: str) -> str:
    host = f"localhost:{login.sockets.port}"
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return (await raw(login.sockets.port, request.encode())).decode()


def headers(answer: str) -> dict[str, str]:
    head = answer.partition("\r\n")[2].encode()
    return dict(BytesParser().parsebytes(head, headersonly=True))


def location(answer: str) -> str | None:
    return headers(answer).get("Location")


# --- the exchange --------------------------------------------------------------------------------


@pytest.mark.rfc("8252-8.1", "7636-4.6", "6749-10.16", "9700-2.1.1", "9700-4.5.3.1")
def test_a_code_of_another_login_buys_nothing(tmp_path: Path, site: Sandbox) -> None:
    """The worst case: who slips the code in asked for it with all that is ours, and has our state.

    Only the verifier of our own login stands between that code and a token.
    """

    async def slip_in(launch: str) -> None:
        async with aiohttp.ClientSession() as browser:
            sent_on = await browser.get(launch, allow_redirects=False)
        ours = dict(parse_qsl(urlsplit(sent_on.headers["Location"]).query))
        theirs = {**ours, "state": "theirs", "code_challenge": CHALLENGE}
        ended = await visit(f"{site.url}/oauth?{urlencode(theirs)}")
        code = dict(parse_qsl(urlsplit(ended.url).query))["code"]
        await visit(f"{ours['redirect_uri']}?{urlencode({'code': code, 'state': ours['state']})}")

    def browse(url: str) -> bool:
        attack = threading.Thread(target=lambda: asyncio.run(slip_in(url)))
        attack.start()
        user.threads.append(attack)
        return True

    user = FakeUser(tmp_path)
    settings = user.settings(site=site.url)
    with pytest.raises(ExchangeRefused, match="does not match the code_challenge") as refused:
        login(settings, user.effects(open_browser=browse))
    for thread in user.threads:
        thread.join()
    assert str(refused.value).isprintable()
    assert [exchange.granted for exchange in site.exchanges] == [False]
    assert user.effects().store.load(settings.profile) is None


@pytest.mark.rfc("6749-10.5", "an exchange sent twice")
@pytest.mark.parametrize(
    "answer", ["vendor-refusal", "unavailable", "truncated-json", "redirect-307", "drop"]
)
def test_a_login_sends_one_exchange_whatever_is_answered(
    tmp_path: Path, site: Sandbox, answer: str
) -> None:
    site.quirks = Quirks(token=answer)
    user = FakeUser(tmp_path)
    with pytest.raises((ServerError, NetworkError)):
        login(user.settings(site=site.url), user.effects())
    assert len(site.exchanges) == 1


@pytest.mark.rfc("6749-5.1")
def test_what_else_an_answer_holds_is_ignored() -> None:
    more = {"token_type": "Bearer", "refresh_token": "r", "id_token": "i", "of_their_own": [1]}
    assert read(200, {"access_token": "a", **more}) == read(200, {"access_token": "a"})
