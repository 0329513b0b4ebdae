"""The token in the requests of each client: where it goes, and what a 401 leads to."""

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
    Ask,
    Ca,
    Heard,
    InMemory,
    Said,
    Server,
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
class Stage:
    """A site over TLS with a token for it in the store, and other servers beside it."""

    ca: Ca
    site: Server
    tls: Server
    plain: Server
    store: FileStore

    def keep(self, authorization: str, age: float = 3600) -> None:
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
        """Addresses that are not the site's, by host, by port and by scheme."""
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
def stage(home: Path, tmp_path: Path) -> Iterator[Stage]:
    ca = Ca(tmp_path)
    found = Stage(
        ca, Server(ca.server()), Server(ca.server()), Server(), FileStore(home, report=print)
    )
    profile(home, found.site.url(""))
    found.keep(OLD)
    with listening(found.site, found.tls, found.plain):
        yield found


each_client = pytest.mark.parametrize("ask", CLIENTS, ids=lambda ask: ask.__name__)


# --- where it goes ---


@each_client
def test_the_token_goes_to_its_own_site(ask: Ask, stage: Stage) -> None:
    assert ask(stage.ca, stage.site.url("/api?q=1")).status == 200
    assert stage.site.heard == [Heard("/api?q=1", OLD, b"")]


@each_client
def test_no_other_host_port_or_scheme_gets_the_token(ask: Ask, stage: Stage) -> None:
    for url in stage.others:
        assert ask(stage.ca, url).status == 200
    heard = [*stage.site.heard, *stage.tls.heard, *stage.plain.heard]
    assert [(one.path, one.authorization) for one in heard] == [
        ("/other-host", None),
        ("/other-port", None),
        ("/other-scheme", None),
    ]


@pytest.mark.slow
@each_client
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_sends_the_token_to_another_site(ask: Ask, status: int, stage: Stage) -> None:
    for url in stage.others:
        stage.site.answer = lambda heard, url=url: (  # type: ignore[misc]  # mypy sees no default
            Said(status, url) if heard.path == "/" else Said()
        )
        assert ask(stage.ca, stage.site.url()) == Answer(200, [status])
    assert [h.authorization for h in stage.site.heard if h.path == "/"] == [OLD] * 3
    elsewhere = [h for h in stage.site.heard if h.path != "/"]
    assert [h.authorization for h in [*elsewhere, *stage.tls.heard, *stage.plain.heard]] == [
        None
    ] * 3


@each_client
def test_a_redirect_within_the_site_keeps_the_token(ask: Ask, stage: Stage) -> None:
    stage.site.answer = lambda heard: Said(307, "/there") if heard.path == "/" else Said()
    assert ask(stage.ca, stage.site.url()) == Answer(200, [307])
    assert stage.site.tokens == [OLD, OLD]


@each_client
def test_a_redirect_chain_through_the_site_sends_the_token_nowhere_else(
    ask: Ask, stage: Stage
) -> None:
    stage.site.answer = lambda heard: (
        Said(307, stage.tls.url("/out")) if heard.path == "/" else Said()
    )
    stage.tls.answer = lambda _: Said(307, stage.plain.url("/further"))
    assert ask(stage.ca, stage.site.url()).status == 200
    assert [*stage.tls.tokens, *stage.plain.tokens] == [None, None]


@pytest.mark.parametrize(
    ("site", "address", "is_its_own"),
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
    site: str, address: tuple[str, str | None, int | None], *, is_its_own: bool
) -> None:
    assert belongs_to(address, Site.parse(site)) is is_its_own


@each_client
def test_the_site_as_a_user_name_in_a_url_gets_nothing(ask: Ask, stage: Stage) -> None:
    ask(stage.ca, stage.tls.url(host=f"localhost:{stage.site.port}@localhost"))
    ((_, authorization, _),) = stage.tls.heard
    assert "canary" not in (authorization or "")


def test_base_url_streams_and_hooks_of_httpx_still_work(stage: Stage) -> None:
    seen: list[str] = []
    client = httpx.Client(
        base_url=stage.site.url("/api"),
        auth=soe_auth.SoeAuth("acme"),
        verify=stage.ca.context,
        event_hooks={
            "request": [lambda request: seen.append(repr(request.headers))],
            "response": [lambda response: seen.append(repr(response))],
        },
    )
    with client, client.stream("GET", "/v3/users/me") as answer:
        assert answer.read() == b"ok"
    assert stage.site.heard == [Heard("/api/v3/users/me", OLD, b"")]
    assert len(seen) == 2
    assert "'authorization': '[secure]'" in seen[0]
    assert "canary" not in "".join(seen)


# --- which it is ---


@each_client
def test_a_login_by_another_process_is_used_by_the_next_request(ask: Ask, stage: Stage) -> None:
    ask(stage.ca, stage.site.url())
    stage.keep(NEW)
    ask(stage.ca, stage.site.url())
    assert stage.site.tokens == [OLD, NEW]


@each_client
def test_nothing_is_sent_if_a_login_is_needed(ask: Ask, stage: Stage) -> None:
    with pytest.raises(soe_auth.LoginRequired, match=r"less than min_ttl \(2 h\)"):
        ask(stage.ca, stage.site.url(), min_ttl=7200)
    stage.store.remove("acme", stage.store.load("acme"))
    with pytest.raises(soe_auth.LoginRequired, match="soe-auth login -p acme"):
        ask(stage.ca, stage.site.url())
    assert stage.site.heard == []


@each_client
@pytest.mark.parametrize("port", ["", ":80"])
def test_a_site_from_which_a_client_would_forward_the_token_gets_none(
    ask: Ask, stage: Stage, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setenv("SOE_AUTH_SITE", f"http://localhost{port}")
    with pytest.raises(soe_auth.SettingsError, match="with the token"):
        ask(stage.ca, f"http://localhost{port}")


@each_client
def test_the_token_variable_is_sent_to_the_site_of_the_settings(
    ask: Ask, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOE_AUTH_TOKEN", "from-ci")
    stage.site.answer = lambda _: Said(401)
    assert ask(stage.ca, stage.site.url(), login=True) == Answer(401, [])
    ask(stage.ca, stage.tls.url())
    assert stage.site.tokens == ["Bearer from-ci"]
    assert stage.tls.tokens == [None]


def test_the_token_variable_without_a_site_is_not_sent(
    stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOE_AUTH_TOKEN", "from-ci")
    (home / "config.toml").unlink()
    with pytest.raises(soe_auth.SettingsError) as error:
        CLIENTS[0](stage.ca, stage.site.url())
    assert error.value.hint == "Set SOE_AUTH_SITE too."
    monkeypatch.delenv("SOE_AUTH_TOKEN")
    with pytest.raises(soe_auth.SettingsError, match="no profile acme"):
        CLIENTS[0](stage.ca, stage.site.url())
    assert stage.site.heard == []


@each_client
def test_a_site_that_only_a_project_file_names_gets_nothing(
    ask: Ask, stage: Stage, home: Path
) -> None:
    (home / "config.toml").unlink()
    (home.parent / ".soe-auth.toml").write_text(
        f'site = "{stage.site.url("")}"\nclient_id = "110"\nscope = "write_access"\n'
        'profile = "acme"\n'
    )
    with pytest.raises(soe_auth.SettingsError, match="you have not agreed"):
        ask(stage.ca, stage.site.url(), login=True)
    assert stage.site.heard == []


@each_client
def test_no_project_file_decides_where_the_token_variable_is_sent(
    ask: Ask, stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config.toml").unlink()
    (home.parent / ".soe-auth.toml").write_text('site = "evil"\nprofile = "acme"\n')
    monkeypatch.setenv("SOE_AUTH_TOKEN", "from-ci")
    with pytest.raises(soe_auth.SettingsError, match=r"only .*\.soe-auth\.toml says") as error:
        ask(stage.ca, "https://evil.stackenterprise.co/")
    assert error.value.hint == "Set SOE_AUTH_SITE too."
    monkeypatch.setenv("SOE_AUTH_SITE", stage.site.url(""))
    ask(stage.ca, stage.site.url())
    assert stage.site.tokens == ["Bearer from-ci"]


@each_client
def test_a_custom_store_is_used(ask: Ask, stage: Stage) -> None:
    store = InMemory()
    token = stage.store.load("acme")
    assert token
    store.save("acme", replace(token, access_token=Secret("canary(new)*")))
    ask(stage.ca, stage.site.url(), store=store)
    assert stage.site.tokens == [NEW]
    store.remove("acme", store.load("acme"))
    with pytest.raises(soe_auth.LoginRequired):
        ask(stage.ca, stage.site.url(), store=store)


async def test_a_slow_store_does_not_block_the_event_loop(stage: Stage) -> None:
    store = InMemory()
    token = stage.store.load("acme")
    assert token
    store.save("acme", token)
    store.waits_for = threading.Event()
    async with httpx.AsyncClient(
        auth=soe_auth.SoeAuth("acme", store=store), verify=stage.ca.context
    ) as client:
        request = asyncio.create_task(client.get(stage.site.url()))
        await asyncio.sleep(0)
        store.waits_for.set()  # which only a loop that goes on can do
        assert (await request).status_code == 200


# --- what a 401 leads to ---


def while_another_process_logs_in(stage: Stage) -> None:
    """Have the site refuse the old token, just when another process stores the new one."""

    def answer(heard: Heard) -> Said:
        if heard.authorization == NEW:
            return Said()
        stage.keep(NEW)
        return Said(401)

    stage.site.answer = answer


@each_client
@pytest.mark.parametrize("body", [None, b"a body"])
def test_after_a_401_a_newer_token_is_sent_once(ask: Ask, body: bytes | None, stage: Stage) -> None:
    while_another_process_logs_in(stage)
    assert ask(stage.ca, stage.site.url(), body).status == 200
    assert stage.site.tokens == [OLD, NEW]
    assert [heard.body for heard in stage.site.heard] == [body or b""] * 2


@each_client
def test_a_newer_token_that_is_refused_as_well_is_the_last(ask: Ask, stage: Stage) -> None:
    def answer(_: Heard) -> Said:
        stage.keep(f"Bearer canary({len(stage.site.heard)})*")
        return Said(401)

    stage.site.answer = answer
    assert ask(stage.ca, stage.site.url()).status == 401
    assert stage.site.tokens == [OLD, "Bearer canary(1)*"]


@each_client
@pytest.mark.parametrize("is_there", [True, False])
def test_without_a_newer_token_the_401_is_the_answer(
    ask: Ask, stage: Stage, *, is_there: bool
) -> None:
    def answer(_: Heard) -> Said:
        if not is_there:
            stage.store.remove("acme", stage.store.load("acme"))
        return Said(401)

    stage.site.answer = answer
    assert ask(stage.ca, stage.site.url()) == Answer(401, [])
    assert stage.site.tokens == [OLD]


@each_client
def test_a_401_of_another_host_does_not_refuse_the_token(ask: Ask, stage: Stage) -> None:
    stage.site.answer = lambda _: Said(307, stage.tls.url())

    def answer(_: Heard) -> Said:
        stage.keep(NEW)
        return Said(401)

    stage.tls.answer = answer
    assert ask(stage.ca, stage.site.url()) == Answer(401, [307])
    assert [stage.site.tokens, stage.tls.tokens] == [[OLD], [None]]


def test_a_consumed_body_is_not_sent_again(stage: Stage) -> None:
    while_another_process_logs_in(stage)
    by_piece = iter([b"one", b"two"])
    with httpx.Client(auth=soe_auth.SoeAuth("acme"), verify=stage.ca.context) as client:
        assert client.post(stage.site.url(), content=by_piece).status_code == 401
    stage.keep(OLD)
    auth = soe_auth.RequestsAuth("acme")
    by_piece = iter([b"one", b"two"])
    answer = requests.post(
        stage.site.url(), data=by_piece, auth=auth, verify=stage.ca.file, timeout=9
    )
    assert answer.status_code == 401
    assert stage.site.tokens == [OLD, OLD]


async def test_a_consumed_async_body_is_not_sent_again(stage: Stage) -> None:
    while_another_process_logs_in(stage)
    auth = soe_auth.SoeAuth("acme")
    async with httpx.AsyncClient(auth=auth, verify=stage.ca.context) as client:
        assert (await client.post(stage.site.url(), content=in_pieces())).status_code == 401
    stage.keep(OLD)
    async with (
        aiohttp.ClientSession(middlewares=[soe_auth.AiohttpAuth("acme")]) as session,
        session.post(stage.site.url(), data=in_pieces(), ssl=stage.ca.context) as answer,
    ):
        assert answer.status == 401
    assert stage.site.tokens == [OLD, OLD]


# --- a login, where one is wanted ---


@dataclass
class Desk:
    """A practice site, a profile for it, and a user at a browser, who counts the tabs."""

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

    def as_if_it_were_old(self) -> None:
        token = self.store.load("acme")
        assert token
        self.store.save("acme", replace(token, obtained_at=token.obtained_at - 3600))


@pytest.fixture
def desk(home: Path, site: Sandbox) -> Iterator[Desk]:
    profile(home, site.url)
    found = Desk(site, FileStore(home, report=print), [])
    yield found
    for tab in found.tabs:
        tab.join()


@each_client
def test_with_login_there_is_one_login_and_another_after_a_revocation(
    ask: Ask, desk: Desk, tmp_path: Path
) -> None:
    told: list[str] = []

    def ask_me() -> int:
        return ask(
            Ca(tmp_path), desk.me, login=True, browser=desk.browser, announce=told.append
        ).status

    assert [ask_me(), ask_me()] == [200, 200]
    assert len(desk.tabs) == 1
    assert sum("Signed in to" in line for line in told) == 1
    desk.site.end_tokens()
    desk.as_if_it_were_old()
    assert ask_me() == 200
    assert len(desk.tabs) == 2


@each_client
def test_a_401_outside_the_team_of_a_token_opens_no_browser(
    ask: Ask, stage: Stage, home: Path
) -> None:
    config = home / "config.toml"
    config.write_text(config.read_text().replace("write_access", "access_team"))
    kept = stage.store.load("acme")
    assert kept
    stage.store.save("acme", replace(kept, scope=soe_auth.Scope.parse("access_team")))
    stage.site.answer = lambda _: Said(401)
    answer = ask(stage.ca, stage.site.url(), login=True, browser=pytest.fail)
    assert answer.status == 401


@each_client
def test_a_fresh_token_that_is_refused_opens_no_browser(
    ask: Ask, desk: Desk, tmp_path: Path
) -> None:
    def ask_me() -> int:
        return ask(Ca(tmp_path), desk.me, login=True, browser=desk.browser).status

    assert ask_me() == 200
    desk.site.end_tokens()
    assert [ask_me(), ask_me()] == [401, 401]
    assert len(desk.tabs) == 1


@pytest.mark.parametrize("ended", [False, True])
def test_many_threads_with_one_client_share_one_login(desk: Desk, *, ended: bool) -> None:
    with (
        httpx.Client(
            auth=soe_auth.SoeAuth("acme", login=True, browser=desk.browser), timeout=30
        ) as client,
        ThreadPoolExecutor(MANY) as threads,
    ):
        if ended:
            client.get(desk.me)
            desk.site.end_tokens()
            desk.as_if_it_were_old()
        answers = list(threads.map(client.get, [desk.me] * MANY))
    assert {answer.status_code for answer in answers} == {200}
    assert len(desk.tabs) == (2 if ended else 1)


async def test_many_tasks_with_one_client_share_one_login(desk: Desk) -> None:
    auth = soe_auth.SoeAuth("acme", login=True, browser=desk.browser)
    async with httpx.AsyncClient(auth=auth, timeout=30) as client:
        answers = await asyncio.gather(*(client.get(desk.me) for _ in range(MANY)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(desk.tabs) == 1


async def test_a_sync_client_inside_a_loop_can_log_in(desk: Desk) -> None:
    auth = soe_auth.SoeAuth("acme", login=True, browser=desk.browser)
    with httpx.Client(auth=auth) as client:
        answer = client.get(desk.me)  # noqa: ASYNC212 - as a user of a notebook would
    assert answer.status_code == 200
    assert len(desk.tabs) == 1


@pytest.mark.skipif(UNDER_WINE, reason="Wine lacks a call of trio's loop")
@pytest.mark.parametrize(
    ("library", "auth"), [(httpx, soe_auth.SoeAuth), (httpx2, soe_auth.Httpx2Auth)]
)
def test_on_trio_an_async_client_raises_and_sends_nothing(
    library: Any, auth: type[Any], stage: Stage
) -> None:
    async def ask() -> None:
        async with library.AsyncClient(auth=auth("acme"), verify=stage.ca.context) as client:
            with pytest.raises(RuntimeError, match=r"needs asyncio; .* trio\.to_thread\.run_sync"):
                await client.get(stage.site.url())

    trio.run(ask)
    assert stage.site.heard == []


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
def test_no_traceback_of_an_auth_class_shows_a_token(ask: Ask, stage: Stage) -> None:
    def hang_up(_: Heard) -> Said:
        raise ConnectionError

    stage.site.answer = hang_up
    with pytest.raises(Exception) as error:  # noqa: PT011 - each client has its own
        ask(stage.ca, stage.site.url())
    assert stage.site.tokens[0] == OLD
    assert "canary" not in shown_by_a_tool_that_prints_locals(error.value)


@each_client
def test_no_traceback_shows_a_token_if_the_store_fails_after_a_401(
    ask: Ask, stage: Stage, home: Path
) -> None:
    def answer(_: Heard) -> Said:
        (home / "tokens").rename(home / "elsewhere")
        (home / "tokens").touch()
        return Said(401)

    stage.site.answer = answer
    with pytest.raises(soe_auth.StoreError) as error:
        ask(stage.ca, stage.site.url())
    shown = shown_by_a_tool_that_prints_locals(error.value)
    assert "Secret(…)" in shown
    assert "canary" not in shown


def test_the_repr_of_an_auth_class_has_no_token(stage: Stage) -> None:
    for kind in (
        soe_auth.SoeAuth,
        soe_auth.Httpx2Auth,
        soe_auth.RequestsAuth,
        soe_auth.AiohttpAuth,
    ):
        auth = kind()
        assert "canary" not in repr(auth) + repr(vars(auth))
    request = requests.Request("GET", stage.site.url(), auth=soe_auth.RequestsAuth()).prepare()
    assert request.headers["Authorization"] == OLD
    assert "canary" not in repr(request) + repr(request.hooks)
