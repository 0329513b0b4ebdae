"""The token in the requests of each client: where it is sent, and what happens after a 401."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
import trio
from cli_oracle import live_in
from conftest import TOKEN
from http_clients import (
    CLIENTS,
    Answer,
    Ca,
    InMemory,
    Received,
    Reply,
    Send,
    Server,
    by_aiohttp,
    in_pieces,
    listening,
)
from tls_servers import shown_by_a_tool_that_prints_locals
from wine import UNDER_WINE

import soe_auth
from soe_auth import Secret, Site
from soe_auth.oauth.bearer import belongs_to, is_fresh, was_refused
from soe_auth.sandbox import Sandbox
from soe_auth.sandbox.scripted_browser import visit
from soe_auth.storage.file_store import FileStore

MANY = 32
OLD, NEW = "Bearer canary(old)*", "Bearer canary(new)*"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SOE_AUTH_TOKEN", "SOE_AUTH_PROFILE", "SOE_AUTH_SITE", "BROWSER", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOE_AUTH_CONFIG_DIR", str(tmp_path / "config"))
    live_in(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config"


@dataclass
class Sites:
    """A site over TLS with a token for it in the store, and two other servers."""

    ca: Ca
    site: Server
    tls: Server
    plain: Server
    store: FileStore

    def store_token(self, authorization: str, age: float = 3600) -> None:
        now = time.time()
        token = replace(
            TOKEN,
            access_token=Secret(authorization.removeprefix("Bearer ")),
            site=Site.parse(self.site.url()),
            obtained_at=now - age,
            expires_at=now + 3600,
        )
        self.store.save("acme", token)

    @property
    def others(self) -> list[str]:
        """Addresses that differ from the site in host, port and scheme."""
        return [
            self.site.url("/other-host", host="127.0.0.1"),
            self.tls.url("/other-port"),
            self.plain.url("/other-scheme"),
        ]


def profile(home: Path, site: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(
        f'[profile.acme]\nsite = "{site}"\nclient_id = "110"\nscope = "write_access"\n'
    )


@pytest.fixture
def sites(home: Path, tmp_path: Path) -> Iterator[Sites]:
    ca = Ca(tmp_path)
    found = Sites(
        ca, Server(ca.server()), Server(ca.server()), Server(), FileStore(home, report=print)
    )
    profile(home, found.site.url(""))
    found.store_token(OLD)
    with listening(found.site, found.tls, found.plain):
        yield found


each_client = pytest.mark.parametrize("send", CLIENTS, ids=lambda send: send.__name__)


# --- where the token is sent ---


@each_client
def test_the_token_goes_to_its_own_site(send: Send, sites: Sites) -> None:
    assert send(sites.ca, sites.site.url("/api?q=1")).status == 200
    assert sites.site.received == [Received("/api?q=1", OLD, b"")]


@each_client
def test_no_other_host_port_or_scheme_gets_the_token(send: Send, sites: Sites) -> None:
    for url in sites.others:
        assert send(sites.ca, url).status == 200
    received = [*sites.site.received, *sites.tls.received, *sites.plain.received]
    assert [(one.path, one.authorization) for one in received] == [
        ("/other-host", None),
        ("/other-port", None),
        ("/other-scheme", None),
    ]


@pytest.mark.slow
@each_client
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_sends_the_token_to_another_site(send: Send, status: int, sites: Sites) -> None:
    for url in sites.others:
        sites.site.answer = lambda received, url=url: (  # type: ignore[misc]  # mypy sees no default
            Reply(status, url) if received.path == "/" else Reply()
        )
        assert send(sites.ca, sites.site.url()) == Answer(200, [status])
    assert [h.authorization for h in sites.site.received if h.path == "/"] == [OLD] * 3
    elsewhere = [h for h in sites.site.received if h.path != "/"]
    assert [h.authorization for h in [*elsewhere, *sites.tls.received, *sites.plain.received]] == [
        None
    ] * 3


@each_client
def test_a_redirect_within_the_site_keeps_the_token(send: Send, sites: Sites) -> None:
    sites.site.answer = lambda received: Reply(307, "/there") if received.path == "/" else Reply()
    assert send(sites.ca, sites.site.url()) == Answer(200, [307])
    assert sites.site.tokens == [OLD, OLD]


@each_client
def test_a_redirect_chain_through_the_site_sends_the_token_nowhere_else(
    send: Send, sites: Sites
) -> None:
    sites.site.answer = lambda received: (
        Reply(307, sites.tls.url("/out")) if received.path == "/" else Reply()
    )
    sites.tls.answer = lambda _: Reply(307, sites.plain.url("/further"))
    assert send(sites.ca, sites.site.url()).status == 200
    assert [*sites.tls.tokens, *sites.plain.tokens] == [None, None]


@each_client
def test_after_a_redirect_from_another_host_only_aiohttp_sends_the_token(
    send: Send, sites: Sites
) -> None:
    sites.tls.answer = lambda _: Reply(307, sites.site.url("/there"))
    assert send(sites.ca, sites.tls.url()).status == 200
    assert sites.tls.tokens == [None]
    assert sites.site.tokens == [OLD if send is by_aiohttp else None]


@pytest.mark.parametrize(
    ("site", "address", "belongs"),
    [
        ("acme", ("https", "acme.stackenterprise.co", None), True),
        ("acme", ("https", "acme.stackenterprise.co", 443), True),
        ("https://soe.example:8443", ("https", "soe.example", 8443), True),
        ("http://localhost", ("http", "localhost", 80), True),
        ("http://[::1]:8000", ("http", "::1", 8000), True),
        ("acme", ("http", "acme.stackenterprise.co", None), False),
        ("acme", ("http", "acme.stackenterprise.co", 443), False),
        ("acme", ("wss", "acme.stackenterprise.co", 443), False),
        ("acme", ("https", "acme.stackenterprise.co", 80), False),
        ("acme", ("https", "acme.stackenterprise.co.evil.example", None), False),
        ("acme", ("https", "api.acme.stackenterprise.co", None), False),
        ("acme", ("https", "stackenterprise.co", None), False),
        ("acme", ("https", None, None), False),
        ("acme", ("", "", None), False),
        ("http://localhost", ("http", "127.0.0.1", 80), False),
    ],
)
def test_a_site_is_its_scheme_host_and_port(
    site: str, address: tuple[str, str | None, int | None], *, belongs: bool
) -> None:
    assert belongs_to(address, Site.parse(site)) is belongs


@each_client
def test_the_site_as_a_user_name_in_a_url_gets_nothing(send: Send, sites: Sites) -> None:
    send(sites.ca, sites.tls.url(host=f"localhost:{sites.site.port}@localhost"))
    ((_, authorization, _),) = sites.tls.received
    assert "canary" not in (authorization or "")


def test_base_url_streams_and_hooks_of_httpx_still_work(sites: Sites) -> None:
    seen: list[str] = []
    client = httpx.Client(
        base_url=sites.site.url("/api"),
        auth=soe_auth.SoeAuth("acme"),
        verify=sites.ca.context,
        event_hooks={
            "request": [lambda request: seen.append(repr(request.headers))],
            "response": [lambda response: seen.append(repr(response))],
        },
    )
    with client, client.stream("GET", "/v3/users/me") as answer:
        assert answer.read() == b"ok"
    assert sites.site.received == [Received("/api/v3/users/me", OLD, b"")]
    assert len(seen) == 2
    assert "'authorization': '[secure]'" in seen[0]
    assert "canary" not in "".join(seen)


# --- which token is sent ---


@each_client
def test_a_login_by_another_process_is_used_by_the_next_request(send: Send, sites: Sites) -> None:
    send(sites.ca, sites.site.url())
    sites.store_token(NEW)
    send(sites.ca, sites.site.url())
    assert sites.site.tokens == [OLD, NEW]


@each_client
def test_nothing_is_sent_if_a_login_is_needed(send: Send, sites: Sites) -> None:
    with pytest.raises(soe_auth.LoginRequired, match=r"less than min_ttl \(2 h\)"):
        send(sites.ca, sites.site.url(), min_ttl=7200)
    sites.store.remove("acme", sites.store.load("acme"))
    with pytest.raises(soe_auth.LoginRequired, match="soe-auth login -p acme"):
        send(sites.ca, sites.site.url())
    assert sites.site.received == []


@each_client
@pytest.mark.parametrize("port", ["", ":80"])
def test_a_site_from_which_a_client_would_forward_the_token_gets_none(
    send: Send, sites: Sites, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setenv("SOE_AUTH_SITE", f"http://localhost{port}")
    with pytest.raises(soe_auth.SettingsError, match="Cannot send the token to http"):
        send(sites.ca, f"http://localhost{port}")


@each_client
def test_the_token_variable_is_sent_to_the_site_of_the_settings(
    send: Send, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOE_AUTH_TOKEN", "from-ci")
    sites.site.answer = lambda _: Reply(401)
    assert send(sites.ca, sites.site.url(), login=True) == Answer(401, [])
    send(sites.ca, sites.tls.url())
    assert sites.site.tokens == ["Bearer from-ci"]
    assert sites.tls.tokens == [None]


def test_the_token_variable_without_a_site_is_not_sent(
    sites: Sites, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOE_AUTH_TOKEN", "from-ci")
    (home / "config.toml").unlink()
    with pytest.raises(soe_auth.SettingsError) as error:
        CLIENTS[0](sites.ca, sites.site.url())
    assert error.value.hint == "Set SOE_AUTH_SITE too."
    monkeypatch.delenv("SOE_AUTH_TOKEN")
    with pytest.raises(soe_auth.SettingsError, match="no profile acme"):
        CLIENTS[0](sites.ca, sites.site.url())
    assert sites.site.received == []


@each_client
def test_a_site_that_only_a_project_file_names_gets_nothing(
    send: Send, sites: Sites, home: Path
) -> None:
    (home / "config.toml").unlink()
    (home.parent / ".soe-auth.toml").write_text(
        f'site = "{sites.site.url("")}"\nclient_id = "110"\nscope = "write_access"\n'
        'profile = "acme"\n'
    )
    with pytest.raises(soe_auth.SettingsError, match="you have not agreed"):
        send(sites.ca, sites.site.url(), login=True)
    assert sites.site.received == []


@each_client
def test_no_project_file_decides_where_the_token_variable_is_sent(
    send: Send, sites: Sites, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config.toml").unlink()
    (home.parent / ".soe-auth.toml").write_text('site = "evil"\nprofile = "acme"\n')
    monkeypatch.setenv("SOE_AUTH_TOKEN", "from-ci")
    with pytest.raises(soe_auth.SettingsError, match=r"only .*\.soe-auth\.toml says") as error:
        send(sites.ca, "https://evil.stackenterprise.co/")
    assert error.value.hint == "Set SOE_AUTH_SITE too."
    monkeypatch.setenv("SOE_AUTH_SITE", sites.site.url(""))
    send(sites.ca, sites.site.url())
    assert sites.site.tokens == ["Bearer from-ci"]


@each_client
def test_a_custom_store_is_used(send: Send, sites: Sites) -> None:
    store = InMemory()
    token = sites.store.load("acme")
    assert token
    store.save("acme", replace(token, access_token=Secret("canary(new)*")))
    send(sites.ca, sites.site.url(), store=store)
    assert sites.site.tokens == [NEW]
    store.remove("acme", store.load("acme"))
    with pytest.raises(soe_auth.LoginRequired):
        send(sites.ca, sites.site.url(), store=store)


async def test_a_slow_store_does_not_block_the_event_loop(sites: Sites) -> None:
    store = InMemory()
    token = sites.store.load("acme")
    assert token
    store.save("acme", token)
    store.blocker = threading.Event()
    async with httpx.AsyncClient(
        auth=soe_auth.SoeAuth("acme", store=store), verify=sites.ca.context
    ) as client:
        request = asyncio.create_task(client.get(sites.site.url()))
        await asyncio.sleep(0)
        store.blocker.set()  # only a running loop gets here
        assert (await request).status_code == 200


# --- after a 401 ---


def refuse_old_token(sites: Sites) -> None:
    """Make the site refuse the old token when another process has stored the new one."""

    def answer(received: Received) -> Reply:
        if received.authorization == NEW:
            return Reply()
        sites.store_token(NEW)
        return Reply(401)

    sites.site.answer = answer


@each_client
@pytest.mark.parametrize("body", [None, b"a body"])
def test_after_a_401_a_newer_token_is_sent_once(
    send: Send, body: bytes | None, sites: Sites
) -> None:
    refuse_old_token(sites)
    assert send(sites.ca, sites.site.url(), body).status == 200
    assert sites.site.tokens == [OLD, NEW]
    assert [received.body for received in sites.site.received] == [body or b""] * 2


@each_client
def test_a_newer_token_that_is_refused_as_well_is_the_last(send: Send, sites: Sites) -> None:
    def answer(_: Received) -> Reply:
        sites.store_token(f"Bearer canary({len(sites.site.received)})*")
        return Reply(401)

    sites.site.answer = answer
    assert send(sites.ca, sites.site.url()).status == 401
    assert sites.site.tokens == [OLD, "Bearer canary(1)*"]


@each_client
@pytest.mark.parametrize("is_there", [True, False])
def test_without_a_newer_token_the_401_is_the_answer(
    send: Send, sites: Sites, *, is_there: bool
) -> None:
    def answer(_: Received) -> Reply:
        if not is_there:
            sites.store.remove("acme", sites.store.load("acme"))
        return Reply(401)

    sites.site.answer = answer
    assert send(sites.ca, sites.site.url()) == Answer(401, [])
    assert sites.site.tokens == [OLD]


@each_client
def test_a_401_of_another_host_does_not_refuse_the_token(send: Send, sites: Sites) -> None:
    sites.site.answer = lambda _: Reply(307, sites.tls.url())

    def answer(_: Received) -> Reply:
        sites.store_token(NEW)
        return Reply(401)

    sites.tls.answer = answer
    assert send(sites.ca, sites.site.url()) == Answer(401, [307])
    assert [sites.site.tokens, sites.tls.tokens] == [[OLD], [None]]


def test_a_consumed_body_is_not_sent_again(sites: Sites) -> None:
    refuse_old_token(sites)
    pieces = iter([b"one", b"two"])
    with httpx.Client(auth=soe_auth.SoeAuth("acme"), verify=sites.ca.context) as client:
        assert client.post(sites.site.url(), content=pieces).status_code == 401
    sites.store_token(OLD)
    auth = soe_auth.RequestsAuth("acme")
    pieces = iter([b"one", b"two"])
    answer = requests.post(
        sites.site.url(), data=pieces, auth=auth, verify=sites.ca.file, timeout=9
    )
    assert answer.status_code == 401
    assert sites.site.tokens == [OLD, OLD]


async def test_a_consumed_async_body_is_not_sent_again(sites: Sites) -> None:
    refuse_old_token(sites)
    auth = soe_auth.SoeAuth("acme")
    async with httpx.AsyncClient(auth=auth, verify=sites.ca.context) as client:
        assert (await client.post(sites.site.url(), content=in_pieces())).status_code == 401
    sites.store_token(OLD)
    async with (
        aiohttp.ClientSession(middlewares=[soe_auth.AiohttpAuth("acme")]) as session,
        session.post(sites.site.url(), data=in_pieces(), ssl=sites.ca.context) as answer,
    ):
        assert answer.status == 401
    assert sites.site.tokens == [OLD, OLD]


# --- with login ---


@dataclass
class LoginSite:
    """A sandbox, a profile for it, and a browser that records its tabs."""

    site: Sandbox
    store: FileStore
    tabs: list[threading.Thread]

    def browser(self, url: str) -> bool:
        self.tabs.append(threading.Thread(target=lambda: asyncio.run(visit(url))))
        self.tabs[-1].start()
        return True

    @property
    def me(self) -> str:
        return f"{self.site.url}/api/v3/users/me"

    def age_token(self) -> None:
        token = self.store.load("acme")
        assert token
        self.store.save("acme", replace(token, obtained_at=token.obtained_at - 3600))


@pytest.fixture
def login_site(home: Path, site: Sandbox) -> Iterator[LoginSite]:
    profile(home, site.url)
    found = LoginSite(site, FileStore(home, report=print), [])
    yield found
    for tab in found.tabs:
        tab.join()


@each_client
def test_with_login_there_is_one_login_and_another_after_a_revocation(
    send: Send, login_site: LoginSite, tmp_path: Path
) -> None:
    messages: list[str] = []

    def get_me() -> int:
        return send(
            Ca(tmp_path),
            login_site.me,
            login=True,
            browser=login_site.browser,
            announce=messages.append,
        ).status

    assert [get_me(), get_me()] == [200, 200]
    assert len(login_site.tabs) == 1
    assert sum("Signed in to" in line for line in messages) == 1
    login_site.site.end_tokens()
    login_site.age_token()
    assert get_me() == 200
    assert len(login_site.tabs) == 2


@each_client
def test_a_401_outside_the_team_of_a_token_opens_no_browser(
    send: Send, sites: Sites, home: Path
) -> None:
    config = home / "config.toml"
    config.write_text(config.read_text().replace("write_access", "access_team"))
    stored = sites.store.load("acme")
    assert stored
    sites.store.save("acme", replace(stored, scope=soe_auth.Scope.parse("access_team")))
    sites.site.answer = lambda _: Reply(401)
    answer = send(sites.ca, sites.site.url(), login=True, browser=pytest.fail)
    assert answer.status == 401


@each_client
def test_a_fresh_token_that_is_refused_opens_no_browser(
    send: Send, login_site: LoginSite, tmp_path: Path
) -> None:
    def get_me() -> int:
        return send(Ca(tmp_path), login_site.me, login=True, browser=login_site.browser).status

    assert get_me() == 200
    login_site.site.end_tokens()
    assert [get_me(), get_me()] == [401, 401]
    assert len(login_site.tabs) == 1


@pytest.mark.parametrize("ended", [False, True])
def test_many_threads_with_one_client_share_one_login(
    login_site: LoginSite, *, ended: bool
) -> None:
    with (
        httpx.Client(
            auth=soe_auth.SoeAuth("acme", login=True, browser=login_site.browser), timeout=30
        ) as client,
        ThreadPoolExecutor(MANY) as threads,
    ):
        if ended:
            client.get(login_site.me)
            login_site.site.end_tokens()
            login_site.age_token()
        answers = list(threads.map(client.get, [login_site.me] * MANY))
    assert {answer.status_code for answer in answers} == {200}
    assert len(login_site.tabs) == (2 if ended else 1)


async def test_many_tasks_with_one_client_share_one_login(login_site: LoginSite) -> None:
    auth = soe_auth.SoeAuth("acme", login=True, browser=login_site.browser)
    async with httpx.AsyncClient(auth=auth, timeout=30) as client:
        answers = await asyncio.gather(*(client.get(login_site.me) for _ in range(MANY)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(login_site.tabs) == 1


async def test_a_sync_client_inside_a_loop_can_log_in(login_site: LoginSite) -> None:
    auth = soe_auth.SoeAuth("acme", login=True, browser=login_site.browser)
    with httpx.Client(auth=auth) as client:
        answer = client.get(login_site.me)  # noqa: ASYNC212 - as a user of a notebook would
    assert answer.status_code == 200
    assert len(login_site.tabs) == 1


@pytest.mark.skipif(UNDER_WINE, reason="Wine lacks a call of trio's loop")
@pytest.mark.parametrize(
    ("library", "auth"), [(httpx, soe_auth.SoeAuth), (httpx2, soe_auth.Httpx2Auth)]
)
def test_on_trio_an_async_client_raises_and_sends_nothing(
    library: Any, auth: type[Any], sites: Sites
) -> None:
    async def send() -> None:
        async with library.AsyncClient(auth=auth("acme"), verify=sites.ca.context) as client:
            with pytest.raises(RuntimeError, match=r"needs asyncio; .* trio\.to_thread\.run_sync"):
                await client.get(sites.site.url())

    trio.run(send)
    assert sites.site.received == []


def test_without_httpx2_every_auth_class_can_be_imported() -> None:
    script = "import sys; sys.modules['httpx2'] = None; from soe_auth import *; Httpx2Auth('acme')"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_only_a_401_to_a_request_with_the_token_refuses_it() -> None:
    token = Secret("canary(old)*")
    assert was_refused(token, 401, OLD)
    assert not was_refused(token, 403, OLD)
    assert not was_refused(token, 401, NEW)
    assert not was_refused(token, 401, None)


def test_a_token_is_fresh_for_ten_minutes() -> None:
    assert is_fresh(1000.0, now=1000.0)
    assert is_fresh(1000.0, now=1599.0)
    assert not is_fresh(1000.0, now=1600.0)
    assert not is_fresh(1000.0, now=999.0)  # the clock was ahead when it was obtained


# --- secrets ---


@each_client
def test_no_traceback_of_an_auth_class_shows_a_token(send: Send, sites: Sites) -> None:
    def hang_up(_: Received) -> Reply:
        raise ConnectionError

    sites.site.answer = hang_up
    with pytest.raises(Exception) as error:  # noqa: PT011 - each client has its own
        send(sites.ca, sites.site.url())
    assert sites.site.tokens[0] == OLD
    assert "canary" not in shown_by_a_tool_that_prints_locals(error.value)


@each_client
def test_no_traceback_shows_a_token_if_the_store_fails_after_a_401(
    send: Send, sites: Sites, home: Path
) -> None:
    def answer(_: Received) -> Reply:
        (home / "tokens").rename(home / "elsewhere")
        (home / "tokens").touch()
        return Reply(401)

    sites.site.answer = answer
    with pytest.raises(soe_auth.StoreError) as error:
        send(sites.ca, sites.site.url())
    shown = shown_by_a_tool_that_prints_locals(error.value)
    assert "Secret(…)" in shown
    assert "canary" not in shown


def test_the_repr_of_an_auth_class_has_no_token(sites: Sites) -> None:
    for kind in (
        soe_auth.SoeAuth,
        soe_auth.Httpx2Auth,
        soe_auth.RequestsAuth,
        soe_auth.AiohttpAuth,
    ):
        auth = kind()
        assert "canary" not in repr(auth) + repr(vars(auth))
    request = requests.Request("GET", sites.site.url(), auth=soe_auth.RequestsAuth()).prepare()
    assert request.headers["Authorization"] == OLD
    assert "canary" not in repr(request) + repr(request.hooks)
