"""The public face for Python programs."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio
from cli_oracle import live_in
from conftest import TOKEN
from http_clients import InMemory
from wine import UNDER_WINE

import soe_auth
from soe_auth.sandbox import Sandbox
from soe_auth.sandbox.scripted_browser import visit
from soe_auth.storage.file_store import FileStore


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SOE_AUTH_TOKEN", "SOE_AUTH_PROFILE", "SOE_AUTH_SITE", "BROWSER", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOE_AUTH_CONFIG_DIR", str(tmp_path))
    live_in(tmp_path, monkeypatch)
    return tmp_path


def approving() -> Callable[[str], bool]:
    """Return a browser that signs in and approves."""

    def browser(url: str) -> bool:
        threading.Thread(target=lambda: asyncio.run(visit(url)), daemon=True).start()
        return True

    return browser


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
def test_get_token_raises_login_required() -> None:
    with pytest.raises(soe_auth.LoginRequired, match=r"less than min_ttl \(2 h\)") as error:
        soe_auth.get_token("acme", min_ttl=7200)
    assert "use `--min-ttl " in str(error.value)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("min_ttl", [float("inf"), float("nan"), 1e308])
def test_a_min_ttl_that_is_no_duration_is_a_settings_error(min_ttl: float) -> None:
    with pytest.raises(soe_auth.SettingsError, match="Cannot read min_ttl"):
        soe_auth.get_token("acme", min_ttl=min_ttl)


def test_get_token_without_a_profile_raises_login_required() -> None:
    with pytest.raises(soe_auth.LoginRequired):
        soe_auth.get_token()


def test_get_token_returns_the_token_variable_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOE_AUTH_TOKEN", "from-ci")
    assert soe_auth.get_token("acme").reveal() == "from-ci"
    monkeypatch.setenv("SOE_AUTH_TOKEN", "canary canary")
    with pytest.raises(soe_auth.SettingsError) as error:
        soe_auth.get_token("acme")
    assert "canary" not in str(error.value)


def test_login_stores_a_token(site: Sandbox) -> None:
    messages: list[str] = []
    threads: list[threading.Thread] = []

    def browser(url: str) -> bool:
        threads.append(threading.Thread(target=lambda: asyncio.run(visit(url))))
        threads[0].start()
        return True

    token = soe_auth.login(
        site=site.url, client_id="110", browser=browser, announce=messages.append
    )
    threads[0].join()
    assert token.account == "Jane Doe"
    assert any(line.startswith("Signed in") for line in messages)
    assert soe_auth.get_token() == token.access_token


async def test_alogin_stores_a_token() -> None:
    tasks: list[asyncio.Task[object]] = []

    def browser(url: str) -> bool:
        tasks.append(asyncio.create_task(visit(url)))
        return True

    async with Sandbox(strict=True) as site:
        token = await soe_auth.alogin("mine", site=site.url, client_id="110", browser=browser)
        await tasks[0]
    assert soe_auth.get_token("mine") == token.access_token


@pytest.mark.posix("Windows always has a browser to open")
@pytest.mark.usefixtures("soe_sandbox")
def test_the_desktop_browser_is_the_default() -> None:
    assert soe_auth.login().account == "Jane Doe"


async def test_login_works_inside_an_event_loop(site: Sandbox) -> None:
    token = soe_auth.login(site=site.url, client_id="110", browser=approving())
    assert soe_auth.get_token() == token.access_token
    with pytest.raises(soe_auth.SettingsError):
        soe_auth.login(site="a b", client_id="110", browser=approving())


@pytest.mark.skipif(UNDER_WINE, reason="Wine lacks a call of trio's loop")
def test_on_trio_alogin_names_what_works_and_that_works(site: Sandbox) -> None:
    async def login() -> soe_auth.Token:
        with pytest.raises(RuntimeError, match=r"needs asyncio; .* trio\.to_thread\.run_sync"):
            await soe_auth.alogin(site=site.url, client_id="110", browser=pytest.fail)
        log_in = partial(soe_auth.login, site=site.url, client_id="110", browser=approving())
        return await trio.to_thread.run_sync(log_in)

    token = trio.run(login)
    assert soe_auth.get_token() == token.access_token


@pytest.mark.posix("Windows always has a browser to open")
def test_a_login_without_browser_and_announce_is_refused() -> None:
    with pytest.raises(soe_auth.LoginError, match="no user to show"):
        soe_auth.login(site="acme", client_id="110")


def test_the_settings_of_a_login_are_checked() -> None:
    with pytest.raises(soe_auth.SettingsError, match="No client ID"):
        soe_auth.login(site="acme")


# --- log out, status, a store of one's own ---


def test_logout_returns_the_revocation_result(site: Sandbox, home: Path) -> None:
    token = soe_auth.login("mine", site=site.url, client_id="110", browser=approving())
    assert soe_auth.logout("mine") == soe_auth.LogoutResult(token, soe_auth.RevocationResult.ENDED)
    assert soe_auth.logout("mine") is None
    assert not list((home / "tokens").glob("*.json"))
    again = soe_auth.login("mine", browser=approving())
    site.end_tokens()
    assert soe_auth.logout() == soe_auth.LogoutResult(
        again, soe_auth.RevocationResult.ALREADY_INVALID
    )


def test_a_wrong_value_does_not_prevent_the_logout_of_a_named_profile(
    home: Path, stored: soe_auth.Token
) -> None:
    with (home / "config.toml").open("a") as config:
        config.write('timeout = "x"\n[profile.other]\nport = true\n')
    assert soe_auth.logout("acme", local=True) == soe_auth.LogoutResult(stored, None)
    with pytest.raises(soe_auth.SettingsError, match="port"):
        soe_auth.logout()


def test_a_local_logout_does_not_contact_the_site(stored: soe_auth.Token) -> None:
    assert soe_auth.logout("acme", local=True) == soe_auth.LogoutResult(stored, None)


def test_a_token_that_is_revoked_and_cannot_be_removed_is_reported_as_both(site: Sandbox) -> None:
    class Unwritable(InMemory):
        def remove(self, profile: str, token: soe_auth.Token | None) -> bool:
            assert token
            raise soe_auth.StoreError(f"Cannot remove {profile}.", hint="Make it writable.")

    store = Unwritable()
    soe_auth.login("mine", site=site.url, client_id="110", browser=approving(), store=store)
    with pytest.raises(soe_auth.StoreError) as error:
        soe_auth.logout("mine", store=store)
    authority = site.url.removeprefix("http://")
    assert str(error.value) == f"Cannot remove mine. It is no longer valid on {authority}."
    assert error.value.hint == "Make it writable."
    with pytest.raises(soe_auth.StoreError, match=r"mine\.$"):
        soe_auth.logout("mine", local=True, store=store)


@pytest.mark.usefixtures("stored")
def test_an_empty_profile_name_is_an_error_and_not_the_default_profile() -> None:
    for call in (soe_auth.get_token, soe_auth.login, soe_auth.status, soe_auth.logout):
        with pytest.raises(soe_auth.SettingsError, match="Cannot use profile name ''"):
            call("")
    assert soe_auth.status("acme")[0].token


def test_status_lists_every_profile(home: Path, stored: soe_auth.Token) -> None:
    with (home / "config.toml").open("a") as config:
        config.write('[profile.zulu]\nsite = "zulu"\nclient_id = "1"\n')
        config.write('[profile.old]\nsite = "acme"\nclient_id = "110"\nscope = "write_access"\n')
    expired = replace(stored, expires_at=time.time() - 7200)
    FileStore(home, report=print).save("old", expired)
    acme, old, zulu = soe_auth.status()
    assert acme == soe_auth.ProfileStatus("acme", stored.site, stored, None)
    assert old == soe_auth.ProfileStatus("old", stored.site, expired, "expired 2 h ago")
    assert zulu == soe_auth.ProfileStatus("zulu", soe_auth.Site.parse("zulu"), None, "has no token")
    assert soe_auth.status("old") == [old]
    assert "canary" not in repr([acme, old, zulu])


def test_the_status_of_an_unknown_profile_is_an_error(stored: soe_auth.Token) -> None:
    with pytest.raises(soe_auth.SettingsError, match="no profile missing"):
        soe_auth.status("missing")
    store = InMemory()
    store.save("missing", stored)
    (found,) = soe_auth.status("missing", store=store)
    assert (found.site, found.problem) == (stored.site, None)


def test_without_a_profile_status_is_empty_and_logout_raises() -> None:
    for call in (soe_auth.status, soe_auth.logout):
        with pytest.raises(soe_auth.LoginRequired, match="soe-auth init"):
            call()


@pytest.mark.usefixtures("stored")
async def test_functions_without_login_work_inside_an_event_loop(site: Sandbox) -> None:
    assert soe_auth.get_token("acme") == TOKEN.access_token
    assert [one.profile for one in soe_auth.status()] == ["acme"]
    await asyncio.to_thread(
        soe_auth.login, "mine", site=site.url, client_id="110", browser=approving()
    )
    result = soe_auth.logout("mine")
    assert result
    assert result.on_site is soe_auth.RevocationResult.ENDED


def test_an_empty_custom_store_is_used(home: Path, stored: soe_auth.Token) -> None:
    store = InMemory()
    FileStore(home, report=print).save("another", stored)
    with pytest.raises(soe_auth.LoginRequired, match="has no token"):
        soe_auth.get_token("acme", store=store)
    assert soe_auth.logout("acme", store=store) is None
    (found,) = soe_auth.status(store=store)
    assert found.problem == "has no token"
    assert soe_auth.get_token("acme") == TOKEN.access_token


async def test_every_function_takes_a_custom_store(home: Path) -> None:
    store = InMemory()
    async with Sandbox(strict=True) as site:
        token = await soe_auth.alogin(
            "mine", site=site.url, client_id="110", browser=approving(), store=store
        )
        assert store.tokens == {"mine": token}
        assert soe_auth.get_token("mine", store=store) == token.access_token
        assert [one.token for one in soe_auth.status(store=store)] == [token]
        with pytest.raises(soe_auth.LoginRequired):
            soe_auth.get_token("mine")
        newer = await asyncio.to_thread(soe_auth.login, "mine", browser=approving(), store=store)
        assert store.tokens == {"mine": newer}
        result = await asyncio.to_thread(soe_auth.logout, "mine", store=store)
    assert result == soe_auth.LogoutResult(newer, soe_auth.RevocationResult.ENDED)
    assert store.tokens == {}
    assert not (home / "tokens").exists()
