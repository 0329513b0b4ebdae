"""The public face for Python programs."""

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import TOKEN, VISITOR

import soe_auth
from soe_auth.sandbox import Sandbox
from soe_auth.sandbox.visitor import visit
from soe_auth.store.file import FileStore


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SOE_AUTH_TOKEN", "SOE_AUTH_PROFILE", "SOE_AUTH_SITE", "BROWSER", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOE_AUTH_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    return tmp_path


@pytest.fixture
def stored(home: Path) -> soe_auth.Token:
    (home / "config.toml").write_text(
        '[profile.acme]\nsite = "acme"\nclient_id = "110"\nscope = "write_access"\n'
    )
    token = replace(TOKEN, obtained_at=time.time(), expires_at=time.time() + 3600)
    FileStore(home, report=print).save("acme", token)
    return token


def test_a_program_gets_the_stored_token_as_a_secret(stored: soe_auth.Token) -> None:
    token = soe_auth.get_token("acme", min_ttl=600)
    assert token == stored.access_token
    assert "canary" not in repr(token)
    assert soe_auth.get_token() == token


@pytest.mark.usefixtures("stored")
def test_a_program_learns_that_a_person_is_needed() -> None:
    with pytest.raises(soe_auth.LoginRequired, match="soe-auth login -p acme"):
        soe_auth.get_token("acme", min_ttl=7200)


def test_without_a_profile_a_person_is_needed() -> None:
    with pytest.raises(soe_auth.LoginRequired):
        soe_auth.get_token()


def test_the_variable_answers_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOE_AUTH_TOKEN", "from-ci")
    assert soe_auth.get_token("acme").reveal() == "from-ci"
    monkeypatch.setenv("SOE_AUTH_TOKEN", "canary canary")
    with pytest.raises(soe_auth.SettingsError) as error:
        soe_auth.get_token("acme")
    assert "canary" not in str(error.value)


def test_a_program_logs_a_person_in(site: Sandbox) -> None:
    told: list[str] = []
    threads: list[threading.Thread] = []

    def browser(url: str) -> bool:
        threads.append(threading.Thread(target=lambda: asyncio.run(visit(url))))
        threads[0].start()
        return True

    token = soe_auth.login(site=site.url, client_id="110", browser=browser, announce=told.append)
    threads[0].join()
    assert token.account == "Jane Doe"
    assert any(line.startswith("Signed in") for line in told)
    assert soe_auth.get_token() == token.access_token


async def test_a_program_logs_in_inside_a_loop() -> None:
    tasks: list[asyncio.Task[object]] = []

    def browser(url: str) -> bool:
        tasks.append(asyncio.create_task(visit(url)))
        return True

    async with Sandbox() as site:
        token = await soe_auth.alogin("mine", site=site.url, client_id="110", browser=browser)
        await tasks[0]
    assert soe_auth.get_token("mine") == token.access_token


def test_the_desktops_browser_is_the_default(
    site: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER", VISITOR)
    assert soe_auth.login(site=site.url, client_id="110").account == "Jane Doe"


async def test_login_inside_a_loop_is_refused_before_a_browser_is_opened() -> None:
    opened: list[str] = []

    def browser(url: str) -> bool:
        opened.append(url)
        return True

    with pytest.raises(RuntimeError, match="await alogin"):
        soe_auth.login(site="acme", client_id="110", browser=browser)
    assert opened == []


def test_a_login_that_nobody_could_see_is_refused() -> None:
    with pytest.raises(soe_auth.LoginError, match="nobody to tell"):
        soe_auth.login(site="acme", client_id="110")


def test_the_settings_of_a_login_are_checked() -> None:
    with pytest.raises(soe_auth.SettingsError, match="No client ID"):
        soe_auth.login(site="acme")
