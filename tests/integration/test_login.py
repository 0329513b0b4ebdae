"""The story of a login, in process: real sockets and disk; browser, user and clock are given."""

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from fake_user import FakeUser

from soe_auth import (
    ExchangeRefused,
    LoginBusy,
    LoginDenied,
    LoginError,
    LoginRequired,
    LoginTimedOut,
    LoopbackUnavailable,
    NetworkError,
    SettingsError,
    StoreError,
)
from soe_auth.actions.login import alogin, finish_login, login, request_authorization, start_login
from soe_auth.actions.login_if_needed import alogin_if_needed, login_if_needed
from soe_auth.actions.login_io import PendingAuthorization
from soe_auth.actions.status import verify
from soe_auth.desktop.environment import Environment
from soe_auth.loopback.server import CallbackServer, LocalPaths, serve
from soe_auth.model.network import Network
from soe_auth.oauth.callback_check import Stray
from soe_auth.sandbox import Application, Quirks, Sandbox, running
from soe_auth.sandbox.scripted_browser import VisitedPage, visit
from soe_auth.settings.resolve import resolve
from soe_auth.storage.login_lock import LoginLock


@pytest.fixture
def user(tmp_path: Path) -> FakeUser:
    return FakeUser(tmp_path / "config")


def pasting(*answers: Callable[[str], str], told: list[str]) -> Callable[[], AsyncIterator[str]]:
    """Paste, one after another, the address that each function makes of the authorization URL."""

    async def lines() -> AsyncIterator[str]:
        [authorize] = [line for text in told for line in text.split() if "/oauth?" in line]
        for answer in answers:
            yield answer(authorize)
            await asyncio.sleep(0)

    return lines


def redirected(authorize: str) -> str:
    """Walk to the redirect without going through it, as a browser on another machine would."""
    query = parse_qs(urlsplit(authorize).query)
    state, redirect_uri = query["state"][0], query["redirect_uri"][0]
    return f"{redirect_uri}?error=access_denied&state={state}"


@pytest.mark.rfc("6749-4.1.3", "6749-10.6")
def test_a_login_stores_the_token_then_reports_it_in_terminal_and_browser(
    user: FakeUser, site: Sandbox
) -> None:
    token = login(user.settings(site=site.url), user.effects())
    assert token.account == "Jane Doe"
    assert user.effects().store.load(token_profile(site)) == token
    assert "Signed in to localhost" in user.told[1]
    assert f"as Jane Doe, profile {token_profile(site)}. The token is valid until" in user.told[1]
    assert "Signed in as Jane Doe" in user.last_page
    assert urlsplit(user.pages[0].url).query == ""


def test_the_redirect_follows_the_host_that_is_registered(user: FakeUser) -> None:
    names = Application("120", "By a name below localhost", "soe-auth.localhost")
    with running(strict=True, applications=[names]) as site:
        settings = user.settings(site=site.url, client_id="120", redirect_host="soe-auth.localhost")
        login(settings, user.effects())
        [exchange] = site.exchanges
    redirect_uri = dict(exchange.fields)["redirect_uri"]
    assert redirect_uri.startswith("http://soe-auth.localhost:")
    assert user.opened[0].startswith("http://soe-auth.localhost:")
    assert "Signed in as Jane Doe" in user.last_page
    assert urlsplit(user.pages[0].url).hostname == "soe-auth.localhost"


def test_a_host_that_resolves_elsewhere_is_refused_before_a_browser_opens(
    user: FakeUser, site: Sandbox
) -> None:
    # Of an address that is no loopback address, as a name that means it.
    settings = replace(user.settings(site=site.url), redirect_host="192.0.2.7")
    with pytest.raises(LoopbackUnavailable, match=r"it resolves to 192\.0\.2\.7"):
        login(settings, user.effects())
    assert user.opened == []


def at_the_error_page(user: FakeUser) -> dict[str, object]:
    """The terminal of a user who presses Enter at the site's error page, and pastes the next."""

    async def pages(number: int) -> str:
        while len(user.threads) < number:  # noqa: ASYNC110  # a user knows no loop
            await asyncio.sleep(0.01)
        await asyncio.to_thread(user.threads[number - 1].join)
        return user.pages[number - 1].url

    async def pressed() -> None:
        await pages(1)

    async def lines() -> AsyncIterator[str]:
        yield "not an address"
        yield await pages(2)

    return {"enter_pressed": pressed, "pasted_lines": lines}


@pytest.mark.parametrize("is_known", [False, True])
def test_enter_at_the_sites_error_page_goes_on_with_the_sites_own_page(
    user: FakeUser, site: Sandbox, *, is_known: bool
) -> None:
    # Application 112 has the site's own Domain, as the vendor's guide has it.
    profile = token_profile(site)
    config = user.home / "config.toml"
    if is_known:
        config.parent.mkdir()
        config.write_text(f'[profile.{profile}]\nsite = "{site.url}"\nclient_id = "112"\n')
        settings = resolve({}, environ={"SOE_AUTH_CONFIG_DIR": str(user.home)})
    else:
        settings = user.settings(site=site.url, client_id="112")
    token = login(settings, user.effects(**at_the_error_page(user)))
    assert token.account == "Jane Doe"
    assert "redirect_uri" in user.pages[0].text
    assert user.opened[0] == user.opened[1]  # which leads to the new request by now
    [exchange] = site.exchanges
    assert dict(exchange.fields)["redirect_uri"] == f"{site.url}/oauth/login_success"
    assert 'redirect = "login_success"' in config.read_text()
    saved = [line for line in user.told if line.startswith("Saved")]
    if is_known:
        undo = f"`soe-auth config unset redirect -p {profile}` undoes it."
        change = "redirect from loopback to login_success"
        assert saved == [f"Saved in profile {profile}: {change}. {undo}"]
    else:
        name = f"{profile} with redirect login_success"
        assert saved == [f"Saved profile {name}: {config}"]


@pytest.mark.slow
def test_the_copied_address_of_this_login_signs_in_and_nothing_else_is_taken(
    user: FakeUser, site: Sandbox
) -> None:
    own_page = f"{site.url}/oauth/login_success"
    copied = ["a password", f"{own_page}?code=x&state=of-another", f"see {own_page}", own_page]

    def clipboard() -> str:
        if copied:
            return copied.pop(0)
        user.threads[0].join()
        return f" {user.pages[0].url}\n"

    async def never() -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""

    settings = user.settings(site=site.url, client_id="112", redirect="login_success")
    effects = user.effects(read_clipboard=clipboard, pasted_lines=never)
    assert login(settings, effects).account == "Jane Doe"
    [prompt] = [told for told in user.told if "Ctrl-L and Ctrl-C" in told]
    assert "soe-auth reads the clipboard" in prompt
    assert "a password" not in "".join([*user.told, *user.curious])


@pytest.mark.slow
def test_the_clipboard_is_not_looked_at_while_the_browser_comes_back_by_itself(
    user: FakeUser, site: Sandbox
) -> None:
    settings = user.settings(site=site.url, client_id="113", timeout="2s")
    with pytest.raises(LoginTimedOut):
        login(settings, user.effects(read_clipboard=lambda: pytest.fail("it was looked at")))


def test_a_profile_keeps_its_redirect_if_the_other_one_fails(user: FakeUser, site: Sandbox) -> None:
    settings = user.settings(site=site.url, client_id="113")
    with pytest.raises(LoginError, match="before an address was pasted"):
        login(settings, user.effects(**at_the_error_page(user)))
    assert not (user.home / "config.toml").exists()


@pytest.mark.slow
def test_without_a_terminal_the_flag_for_the_other_way_is_named(
    user: FakeUser, site: Sandbox
) -> None:
    settings = user.settings(site=site.url, client_id="112", timeout="1s")
    with pytest.raises(LoginTimedOut) as timed_out:
        login(settings, user.effects())
    assert "the site's own name, add `--redirect login_success`" in timed_out.value.hint
    assert not any("press Enter" in told for told in user.told)


def token_profile(site: Sandbox) -> str:
    return f"localhost-{site.port}"


def test_the_browser_is_sent_to_a_short_local_address_without_a_secret(
    user: FakeUser, site: Sandbox
) -> None:
    login(user.settings(site=site.url), user.effects())
    [opened] = user.opened
    assert len(opened) == len("http://localhost:12345/12345678")
    assert opened.startswith("http://localhost:")
    assert opened in user.told[0]


@pytest.mark.rfc("8252-8.1", "9700-2.1.1")
def test_each_login_draws_its_own_state_verifier_and_addresses(
    user: FakeUser, site: Sandbox
) -> None:
    for _ in range(2):
        place = Environment(remote_reason="an SSH session")  # which shows the authorization URL
        login(user.settings(site=site.url), user.effects(environment=place))
    one, two = (dict(exchange.fields) for exchange in site.exchanges)
    assert one["code_verifier"] != two["code_verifier"]
    urls = [word for told in user.told for word in told.split() if "/oauth?" in word]
    assert len({parse_qs(urlsplit(url).query)["state"][0] for url in urls}) == 2
    assert user.opened[0] != user.opened[1]


@pytest.mark.rfc("7636-7.2")
def test_a_refusal_ends_the_login_as_denied_and_the_page_says_so(
    user: FakeUser, site: Sandbox
) -> None:
    user.refuse = True
    with pytest.raises(LoginDenied, match="You chose Cancel on the site") as denied:
        login(user.settings(site=site.url), user.effects())
    assert denied.value.code == "access_denied"
    assert "Not signed in" in user.last_page
    assert "You chose Cancel on the site" in user.last_page
    command = f"soe-auth login --site {site.url} --client-id 110"
    assert denied.value.hint == f"Start again: `{command}`, and choose Approve."


def test_a_refused_exchange_is_shown_in_terminal_and_browser(user: FakeUser, site: Sandbox) -> None:
    site.quirks = Quirks(token="vendor-refusal")
    with pytest.raises(ExchangeRefused) as refused:
        login(user.settings(site=site.url), user.effects())
    assert "Not signed in" in user.last_page
    assert str(refused.value)[:40] in user.last_page


def test_a_store_that_cannot_keep_the_token_makes_the_page_say_so(
    user: FakeUser, site: Sandbox
) -> None:
    in_the_way = user.home / "tokens" / f"{token_profile(site)}.json"

    def browse(url: str) -> bool:
        in_the_way.mkdir()
        return user.browse(url)

    with pytest.raises(StoreError):
        login(user.settings(site=site.url), user.effects(open_browser=browse))
    assert "Cannot write" in user.last_page


def test_an_unknown_account_is_not_an_error(user: FakeUser, site: Sandbox) -> None:
    site.quirks = Quirks(account="server-error")
    token = login(user.settings(site=site.url), user.effects())
    assert token.account is None
    assert "<h1>Signed in</h1>" in user.last_page


def test_a_token_is_handed_over_as_soon_as_it_is_safe(user: FakeUser, site: Sandbox) -> None:
    stored: list[object] = []
    keep = user.effects().store

    def note() -> None:
        stored.append(keep.load(token_profile(site)))

    token = login(user.settings(site=site.url), user.effects(on_stored=note))
    assert stored == [replace(token, account=None)]
    assert token.account == "Jane Doe"


def test_options_are_saved_as_a_profile_so_the_next_login_needs_none(
    user: FakeUser, site: Sandbox
) -> None:
    login(user.settings(site=site.url, scope="write_access"), user.effects())
    assert any(line.startswith("Saved profile") for line in user.told)
    again = resolve({}, environ={"SOE_AUTH_CONFIG_DIR": str(user.home)})
    assert str(again.scope) == "write_access"
    user.told.clear()
    login(again, user.effects())
    assert len(user.told) == 2


def test_every_login_names_its_profile(user: FakeUser, site: Sandbox) -> None:
    for scope in ("", "write_access"):
        login(user.settings(site=site.url, scope=scope), user.effects())
    name = token_profile(site)
    said = [line for line in user.told if line.startswith("Signed in to")]
    assert [f"as Jane Doe, profile {name}." in said[0], f", profile {name}-110." in said[1]] == [
        True,
        True,
    ]


def test_a_login_by_site_and_client_id_leaves_the_token_of_another_profile_alone(
    user: FakeUser, site: Sandbox
) -> None:
    ci = resolve(
        {"site": site.url, "client_id": "110", "scope": "no_expiry"},
        profile="ci",
        environ={"SOE_AUTH_CONFIG_DIR": str(user.home)},
    )
    kept = login(ci, user.effects())
    new = login(user.settings(site=site.url), user.effects())
    assert new.expires_at != "never"
    assert user.effects().store.load("ci") == kept
    [asked] = asyncio.run(verify([(kept, Network())]))
    assert asked.is_valid


def test_a_change_of_a_profile_is_reported_with_the_command_that_undoes_it(
    user: FakeUser, site: Sandbox
) -> None:
    environ = {"SOE_AUTH_CONFIG_DIR": str(user.home)}
    login(
        resolve({"site": site.url, "client_id": "110"}, profile="me", environ=environ),
        user.effects(),
    )
    user.told.clear()
    login(resolve({"scope": "write_access"}, profile="me", environ=environ), user.effects())
    told = "Saved in profile me: scope from none to write_access."
    assert f"{told} `soe-auth config unset scope -p me` undoes it." in user.told
    login(resolve({"scope": "no_expiry"}, profile="me", environ=environ), user.effects())
    told = "Saved in profile me: scope from write_access to no_expiry."
    assert f"{told} `soe-auth config set scope write_access -p me` undoes it." in user.told


def test_a_variable_is_not_saved_beside_an_option(user: FakeUser, site: Sandbox) -> None:
    environ = {"SOE_AUTH_CONFIG_DIR": str(user.home)}
    login(
        resolve({"site": site.url, "client_id": "110"}, profile="me", environ=environ),
        user.effects(),
    )
    by_variable = {**environ, "SOE_AUTH_SCOPE": "write_access"}
    flags = {"redirect_host": "localhost", "timeout": "9s", "port": "0"}
    login(resolve(flags, profile="me", environ=by_variable), user.effects())
    assert str(resolve({}, environ=environ).scope) == ""


def test_values_of_variables_are_not_saved(user: FakeUser, site: Sandbox) -> None:
    environ = {
        "SOE_AUTH_CONFIG_DIR": str(user.home),
        "SOE_AUTH_SITE": site.url,
        "SOE_AUTH_CLIENT_ID": "110",
    }
    login(resolve({}, environ=environ), user.effects())
    assert not (user.home / "config.toml").exists()


def test_a_profile_that_cannot_be_stored_is_reported_and_no_failure(
    user: FakeUser, site: Sandbox
) -> None:
    settings = user.settings(site=site.url)
    (user.home / "config.toml").mkdir(parents=True)
    assert login(settings, user.effects()).account == "Jane Doe"
    assert any("Cannot save the profile" in line for line in user.told)


@pytest.mark.rfc("9700-2.3")
def test_a_token_without_end_is_warned_of_when_it_is_first_asked_for(
    user: FakeUser, site: Sandbox
) -> None:
    login(user.settings(site=site.url, scope="no_expiry"), user.effects())
    command = f"soe-auth logout -p {token_profile(site)}"
    assert user.told[-1].startswith("A no_expiry token never expires.")
    assert user.told[-1].endswith(f"type `{command}`.")
    user.told.clear()
    login(resolve({}, environ={"SOE_AUTH_CONFIG_DIR": str(user.home)}), user.effects())
    assert not any("never expires" in line for line in user.told)


@pytest.mark.slow
def test_a_login_without_a_callback_times_out_and_says_what_to_check(
    user: FakeUser, site: Sandbox
) -> None:
    def send_strays(url: str) -> bool:
        def favicon() -> None:
            with pytest.raises(HTTPError, match="404") as answer:
                urlopen(f"{url.rpartition('/')[0]}/favicon.ico")  # noqa: S310
            answer.value.close()

        thread = threading.Thread(target=favicon)
        thread.start()
        user.threads.append(thread)
        return True

    settings = user.settings(site=site.url, timeout="1s")
    why = r"only other requests came: the path is not that of the redirect URI \(1\)"
    with pytest.raises(LoginTimedOut, match=f"after 1 s; {why}") as timed_out:
        login(settings, user.effects(open_browser=send_strays))
    assert timed_out.value.strays == 1
    assert timed_out.value.hint.startswith("Use the newest tab, and close older ones. Start again")
    assert "the path is not that of the redirect URI" in user.curious[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "needed"),
    [
        ({}, "localhost"),
        ({"redirect_host": "127.0.0.1"}, "127.0.0.1"),
        ({"redirect": "login_success"}, "localhost:{port}"),
    ],
)
def test_without_a_callback_the_domain_to_register_is_shown_once(
    user: FakeUser, site: Sandbox, flags: dict[str, str], needed: str
) -> None:
    async def never() -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""

    # Application 113 has an empty Domain: the site shows an error page and does not redirect.
    settings = user.settings(site=site.url, client_id="113", timeout="1s", **flags)
    shown: list[str] = []
    effects = user.effects(pasted_lines=never, show_waiting=shown.append)
    with closing(request_authorization(settings, effects)) as pending:
        user.browse(pending.request.url)
        with pytest.raises(LoginTimedOut, match="no address was pasted") as timed_out:
            asyncio.run(finish_login(pending, settings, effects, advice_after=0.1))
    assert shown == []  # a line for an address is not written over
    assert "redirect_uri" in user.last_page
    domain = f"the application's Domain there must be {needed.format(port=site.port)}"
    assert [line for line in user.told if "Still waiting" in line] == [
        f"Still waiting. If the site shows an error about redirect_uri, {domain}."
    ]
    assert domain in timed_out.value.hint


@pytest.mark.slow
def test_while_a_login_waits_a_line_says_so_until_the_wait_ends(
    user: FakeUser, site: Sandbox
) -> None:
    shown: list[str] = []
    settings = user.settings(site=site.url, timeout="2s")
    effects = user.effects(show_waiting=shown.append)
    with closing(request_authorization(settings, effects)) as pending:
        waiting = replace(pending, reads_paste=False)
        with pytest.raises(LoginTimedOut):
            asyncio.run(finish_login(waiting, settings, effects, advice_after=0.1))
    assert len(shown) > 2
    assert all(line.startswith("Waiting for your browser … ") for line in shown[:-1])
    assert shown[-1] == ""


@pytest.mark.slow
def test_a_browser_that_stays_at_the_site_differs_from_none_in_the_message(
    user: FakeUser, site: Sandbox
) -> None:
    settings = user.settings(site=site.url, client_id="113", timeout="1s")
    with pytest.raises(LoginTimedOut, match="the site did not send the browser back") as timed_out:
        login(settings, user.effects())
    assert "redirect_uri" in user.last_page
    assert timed_out.value.hint.endswith(" If that fails too, type `soe-auth doctor`.")


@pytest.mark.slow
@pytest.mark.parametrize("browser", ["opened", "failed", "unwanted"])
def test_only_after_a_browser_was_opened_is_no_browser_advised(
    user: FakeUser, site: Sandbox, browser: str
) -> None:
    settings = user.settings(site=site.url, timeout="1s")
    open_browser = None if browser == "unwanted" else lambda _: browser == "opened"
    effects = user.effects(open_browser=open_browser)
    with (
        effects.login_lock.acquire(settings.profile),
        start_login(settings, effects) as pending,
        pytest.raises(LoginTimedOut) as timed_out,
    ):
        asyncio.run(finish_login(pending, settings, effects, advice_after=0.1))
    waiting = "If your browser is on another computer, start again with `--no-browser`."
    assert (waiting in user.told) == (browser == "opened")
    command = f"soe-auth login --site {site.url} --client-id 110"
    hint = f"Start again: `{command}`."
    assert (
        timed_out.value.hint
        == {
            "opened": f"{hint} If your browser is on another computer, add `--no-browser`.",
            "failed": hint,
            "unwanted": f"Start again: `{command} --no-browser`.",
        }[browser]
    )


def test_a_failing_browser_is_reported_with_the_address_and_the_login_continues(
    user: FakeUser, site: Sandbox
) -> None:
    def walk_once_it_was_told(url: str) -> bool:
        user.opened.append(url)
        return True

    def told(sentence: str) -> None:
        user.told.append(sentence)
        if "ended with an error" in sentence:
            user.browse(sentence.rsplit(maxsplit=1)[-1])

    effects = user.effects(
        open_browser=walk_once_it_was_told, browser_failed=lambda: True, instruct=told
    )
    assert login(user.settings(site=site.url), effects).account == "Jane Doe"
    assert len([line for line in user.told if "ended with an error" in line]) == 1


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (
            Environment(None),
            "There is neither a browser nor a terminal here to sign in with; type `soe",
        ),
        (
            Environment("a CI job", unattended=True),
            "This is a CI job, and no user is here to sign in; ty",
        ),
    ],
    ids=["desktop", "CI"],
)
@pytest.mark.parametrize("opens_nothing", [None, lambda _: False], ids=["none", "fails"])
def test_an_automatic_login_does_not_wait_if_no_user_can_answer(
    user: FakeUser, place: Environment, why: str, opens_nothing: Callable[[str], bool] | None
) -> None:
    settings = user.settings(site="acme")
    for _ in range(2):  # and the second is not delayed, because no user was asked
        with pytest.raises(LoginRequired, match=f"^{why}.*, or set SOE_AUTH_TOKEN.$"):
            login_if_needed(settings, user.effects(environment=place, open_browser=opens_nothing))
    assert user.told == []


@pytest.mark.slow
def test_an_error_without_the_state_is_reported_and_the_login_continues(
    user: FakeUser, site: Sandbox
) -> None:
    site.quirks = Quirks(refusal="without-state")
    user.refuse = True
    with pytest.raises(LoginTimedOut):
        login(user.settings(site=site.url, timeout="1s"), user.effects())
    assert any("an error (access_denied) without this login's state" in t for t in user.told)


@pytest.mark.slow
def test_a_repeated_stray_is_reported_once(user: FakeUser, site: Sandbox) -> None:
    answers: list[int] = []

    def send_strays(url: str) -> bool:
        origin, _, _ = url.rpartition("/")
        path = f"/callback/http:localhost:{site.port}?error=access_denied"

        def often() -> None:
            for _ in range(50):
                try:
                    urlopen(origin + path)  # noqa: S310
                except HTTPError as answer:
                    with answer:
                        answers.append(answer.code)
                except OSError:  # the login's time is up
                    return

        thread = threading.Thread(target=often)
        thread.start()
        user.threads.append(thread)
        return True

    with pytest.raises(LoginTimedOut) as ending:
        login(user.settings(site=site.url, timeout="2s"), user.effects(open_browser=send_strays))
    said = r"an error \(access_denied\) without this login's state \((\d+)\)"
    [times] = map(int, re.findall(said, str(ending.value)))
    user.threads[0].join()
    assert set(answers) == {400}
    assert len(answers) <= times <= len(answers) + 1  # the last one may not have been answered
    assert len([line for line in user.told if "without this login's state" in line]) == 1
    assert len(user.curious) == times - 1


@pytest.mark.slow
def test_without_a_browser_both_addresses_are_shown(user: FakeUser, site: Sandbox) -> None:
    def no_browser(_url: str) -> bool:
        return False

    with pytest.raises(LoginTimedOut):
        login(
            user.settings(site=site.url, timeout="1s"),
            user.effects(open_browser=no_browser),
        )
    text = "\n".join(user.told)
    assert "Cannot open a browser here." in text
    chosen = user.settings(site=site.url, timeout="1s", browser="firefox -P x")
    with pytest.raises(LoginTimedOut):
        login(chosen, user.effects(open_browser=no_browser))
    assert any("Cannot start firefox -P x (from --browser)" in t for t in user.told)
    assert "http://localhost:" in text
    assert f"{site.url}/oauth?client_id=110" in text


def test_in_a_remote_environment_the_full_address_is_shown_too(
    user: FakeUser, site: Sandbox
) -> None:
    place = Environment(remote_reason="an SSH session")
    login(user.settings(site=site.url), user.effects(environment=place))
    text = "\n".join(user.told)
    assert "This is an SSH session" in text
    assert f"{site.url}/oauth?client_id=110" in text


def test_the_answer_may_be_pasted_while_the_listener_waits(user: FakeUser, site: Sandbox) -> None:
    paste = pasting(lambda _: "", lambda _: "just-a-code", redirected, told=user.told)
    with pytest.raises(LoginDenied):
        login(user.settings(site=site.url), user.effects(open_browser=None, pasted_lines=paste))
    text = "\n".join(user.told)
    assert "copy its address here" in text
    assert "Cannot use this address: a code alone cannot be checked" in text


def test_a_closed_terminal_leaves_the_listener_open(user: FakeUser, site: Sandbox) -> None:
    paste = pasting(told=["x/oauth?"])
    place = Environment(remote_reason="an SSH session")
    effects = user.effects(pasted_lines=paste, environment=place)
    token = login(user.settings(site=site.url), effects)
    assert token.account == "Jane Doe"


def test_where_a_browser_was_opened_the_terminal_is_the_shells(
    user: FakeUser, site: Sandbox
) -> None:
    async def read() -> AsyncIterator[str]:
        raise AssertionError
        yield ""

    token = login(user.settings(site=site.url), user.effects(pasted_lines=read))
    assert token.account == "Jane Doe"
    assert not any("copy its address" in text for text in user.told)


def test_a_browser_of_another_user_signs_in_by_the_address_of_the_site(
    user: FakeUser, site: Sandbox
) -> None:
    def listen(
        pending: PendingAuthorization, on_stray: Callable[[Stray], None]
    ) -> AbstractAsyncContextManager[CallbackServer]:
        assert pending.sockets
        paths = LocalPaths(pending.launch_path, pending.result_path)
        return serve(
            pending.sockets, pending.request, paths, on_stray, other_user=lambda *_: 123_456_789
        )

    def tell(text: str) -> None:
        user.told.append(text)
        if text.startswith("If it is your browser"):
            user.browse(text.rsplit(maxsplit=1)[-1])

    login(user.settings(site=site.url), user.effects(open_listener=listen, instruct=tell))
    assert "Signed in as Jane Doe" in user.last_page
    assert user.pages[0].status == 403
    assert "The callback came from a program of user 123456789." in user.told


def test_the_sites_own_page_is_paste_only(user: FakeUser, site: Sandbox) -> None:
    def signed_in(authorize: str) -> str:
        # In a thread of its own, as this is called inside the login's event loop.
        pages: list[VisitedPage] = []
        walk = threading.Thread(target=lambda: pages.append(asyncio.run(visit(authorize))))
        walk.start()
        walk.join()
        return pages[0].url

    settings = user.settings(site=site.url, client_id="112", redirect="login_success")
    paste = pasting(signed_in, told=user.told)
    token = login(settings, user.effects(open_browser=None, pasted_lines=paste))
    assert token.account == "Jane Doe"
    assert "on any computer" in user.told[0]
    assert resolve({}, environ={"SOE_AUTH_CONFIG_DIR": str(user.home)}).redirect == (
        "login_success"
    )


def test_the_sites_own_page_needs_a_terminal(user: FakeUser, site: Sandbox) -> None:
    settings = user.settings(site=site.url, client_id="112", redirect="login_success")
    command = f"soe-auth login --site {site.url} --client-id 112 --redirect login_success"
    with pytest.raises(SettingsError, match="needs a terminal") as no_terminal:
        login(settings, user.effects())
    assert no_terminal.value.hint == (
        f"Type `{command}` in a terminal, or use `--redirect loopback`."
    )
    with pytest.raises(LoginError, match="input ended before an address was pasted") as ended:
        login(settings, user.effects(open_browser=None, pasted_lines=pasting(told=["x/oauth?"])))
    assert ended.value.hint == (
        f"Start again: `{command} --no-browser`, and keep the terminal or the pipe open."
    )


@pytest.mark.slow
def test_a_time_out_of_the_paste_line_says_what_to_paste(user: FakeUser, site: Sandbox) -> None:
    async def never() -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""

    settings = user.settings(site=site.url, client_id="112", redirect="login_success", timeout="1s")
    with pytest.raises(LoginTimedOut, match="after 1 s; no address was pasted") as timed_out:
        login(settings, user.effects(open_browser=lambda _: True, pasted_lines=never))
    assert "Paste the whole address" in timed_out.value.hint


def test_a_login_is_needed_only_where_the_stored_token_does_not_serve(
    user: FakeUser, site: Sandbox
) -> None:
    settings = user.settings(site=site.url)
    first = login_if_needed(settings, user.effects())
    assert login_if_needed(settings, user.effects()) == first
    assert len(user.opened) == 1
    later = time.time() + 3600
    longer = replace(settings, min_ttl=23.5 * 3600)
    assert login_if_needed(longer, user.effects(now=lambda: later)) != first
    assert len(user.opened) == 2


def test_one_login_at_a_time_and_late_arrivals_get_its_token(user: FakeUser, site: Sandbox) -> None:
    settings = user.settings(site=site.url)
    results: list[object] = []

    def ask() -> None:
        results.append(login_if_needed(settings, user.effects()).access_token)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(user.opened) == 1
    assert len(site.exchanges) == 1
    assert len(results) == 5
    assert len(set(results)) == 1


@pytest.mark.slow
def test_after_an_unanswered_login_none_is_started_by_itself_for_a_while(
    user: FakeUser, site: Sandbox
) -> None:
    settings = user.settings(site=site.url, timeout="1s")

    def unseen(url: str) -> bool:
        user.opened.append(url)
        return True

    with pytest.raises(LoginTimedOut):
        login_if_needed(settings, user.effects(open_browser=unseen))
    for _ in range(3):
        with pytest.raises(
            LoginRequired, match=r"failed; the next is allowed in \d\d s\. To log in now, type `soe"
        ):
            login_if_needed(settings, user.effects())
    assert len(user.opened) == 1
    login(settings, user.effects())  # a user who asks is never held back
    store = user.effects().store
    assert store.remove(settings.profile, store.load(settings.profile))
    login_if_needed(settings, user.effects())
    assert len(user.opened) == 3


def test_without_a_user_failed_logins_stay_recorded(user: FakeUser, site: Sandbox) -> None:
    clock = [1000.0]
    login_lock = LoginLock(user.home, report=user.told.append, now=lambda: clock[0])
    settings = user.settings(site=site.url)
    with login_lock.acquire(settings.profile):
        login_lock.record_failure(settings.profile)
        login_lock.record_failure(settings.profile)
    clock[0] += 7200
    nowhere = Environment("a CI job", unattended=True)
    with pytest.raises(LoginRequired, match="no user is here"):
        login_if_needed(
            settings, user.effects(login_lock=login_lock, environment=nowhere, open_browser=None)
        )
    assert login_lock.retry_delay(settings.profile) <= 0  # nor is it counted among them
    login_lock.record_failure(settings.profile)
    assert login_lock.retry_delay(settings.profile) == 240


def test_a_login_needs_no_thread_that_the_system_does_not_give(
    user: FakeUser, site: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def fail(thread: threading.Thread) -> None:
        if threading.current_thread() is not threading.main_thread():  # that of the browser
            start(thread)
            return
        raise RuntimeError("can't start new thread")

    def browse(url: str) -> bool:
        with monkeypatch.context() as allowed:
            allowed.setattr(threading.Thread, "start", start)
            return user.browse(url)

    monkeypatch.setattr(threading.Thread, "start", fail)
    settings = user.settings(site=site.url)
    io = user.effects(open_browser=browse)
    token = login(settings, io)
    assert token.account == "Jane Doe"
    assert io.store.load(settings.profile) == token


def test_an_explicit_login_does_not_wait_for_another(user: FakeUser, site: Sandbox) -> None:
    settings = user.settings(site=site.url)
    with user.effects().login_lock.acquire(settings.profile), pytest.raises(LoginBusy):
        login(settings, user.effects())
    assert user.opened == []


def test_a_site_that_cannot_be_reached_is_a_network_error(user: FakeUser, site: Sandbox) -> None:
    site.quirks = Quirks(token="drop")
    with pytest.raises(NetworkError):
        login(user.settings(site=site.url), user.effects())
    assert "closed the connection" in user.last_page


def test_a_busy_port_is_reported_before_a_browser_opens(user: FakeUser, site: Sandbox) -> None:
    with pytest.raises(LoopbackUnavailable, match=f"port {site.port}"):
        login(user.settings(site=site.url, port=str(site.port)), user.effects())
    assert user.opened == []


def test_a_browser_that_raises_leaves_no_port_behind(user: FakeUser, site: Sandbox) -> None:
    urls: list[str] = []

    def broken(url: str) -> bool:
        urls.append(url)
        raise RuntimeError("no desktop")

    with pytest.raises(RuntimeError, match="no desktop"):
        login(user.settings(site=site.url), user.effects(open_browser=broken))
    with pytest.raises(OSError, match="refused"):
        urlopen(urls[0])  # noqa: S310  # our own loopback
    own_page = user.settings(site=site.url, client_id="112", redirect="login_success")
    with pytest.raises(RuntimeError, match="no desktop"):
        login(own_page, user.effects(open_browser=broken, pasted_lines=pasting(told=[])))


async def test_of_tasks_that_ask_at_once_one_logs_in_while_the_loop_goes_on(
    user: FakeUser,
) -> None:
    async with Sandbox(strict=True) as site:  # in this very loop
        settings = user.settings(site=site.url)
        asking = [alogin_if_needed(settings, user.effects()) for _ in range(5)]
        tokens = await asyncio.gather(*asking)
        assert len(set(map(id, tokens))) > 1
        assert tokens == tokens[:1] * 5
        assert len(user.opened) == 1
        assert await alogin_if_needed(settings, user.effects()) == tokens[0]
        await asyncio.to_thread(lambda: user.last_page)
    assert any("Waiting for another login in progress at http" in t for t in user.told)


@pytest.mark.slow
async def test_a_task_waits_no_longer_than_a_login_may_take(user: FakeUser) -> None:
    settings = user.settings(site="acme", timeout="1s")
    with user.effects().login_lock.acquire(settings.profile), pytest.raises(LoginBusy):
        await alogin_if_needed(settings, user.effects())
    assert user.opened == []


async def test_inside_a_running_loop_the_same_story_is_awaited(user: FakeUser) -> None:
    async with Sandbox(strict=True) as site:
        token = await alogin(user.settings(site=site.url), user.effects())
    assert token.account == "Jane Doe"


@pytest.mark.rfc("6749-3.3")
def test_another_scope_than_requested_is_reported(user: FakeUser, site: Sandbox) -> None:
    site.quirks = Quirks(token="scope-other")
    token = login(user.settings(site=site.url, scope="write_access"), user.effects())
    assert str(token.granted_scope) == "read_inbox"
    assert "The site granted the scope read_inbox; write_access was requested." in user.told
