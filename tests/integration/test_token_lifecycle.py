"""The life of a token: seen before it ends, asked about, renewed, and ended."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
from conftest import BROWSER, TOKEN, Command
from fake_user import FakeUser
from tls_servers import http, served

from soe_auth import Secret, Site, Store, StoreError, Token
from soe_auth.actions.login import alogin, login
from soe_auth.actions.login_if_needed import login_if_needed
from soe_auth.actions.logout import logout
from soe_auth.actions.status import verify
from soe_auth.actions.store_given_token import store_given_token
from soe_auth.model.network import Network
from soe_auth.oauth.revocation import RevocationResult
from soe_auth.sandbox import Quirks, Sandbox, running
from soe_auth.settings.resolve import resolve
from soe_auth.site_client.client import TokenValidity
from soe_auth.storage.file_store import FileStore, token_from_json, token_to_json

if TYPE_CHECKING:
    import subprocess

process = pytest.mark.process


@pytest.fixture
def user(tmp_path: Path) -> FakeUser:
    return FakeUser(tmp_path / "config")


def is_valid(site: Sandbox, token: Token) -> bool:
    """Ask the site directly, without code of soe-auth."""
    headers = {"Authorization": f"Bearer {token.access_token.reveal()}"}
    request = Request(f"{site.url}/api/v3/users/me", headers=headers)  # noqa: S310  # our loopback
    try:
        with urlopen(request):  # noqa: S310  # as above
            return True
    except HTTPError as refused:
        with refused:
            assert refused.code == 401  # noqa: PT017  # anything else is no answer
            return False


def end_on(site: Sandbox, token: Token) -> None:
    path = f"/api/2.3/access-tokens/{token.access_token.reveal()}/invalidate"
    with urlopen(f"{site.url}{path}"):  # noqa: S310  # our loopback
        pass


def stored(command: Command, profile: str) -> Token:
    return token_from_json(token_file(command, profile).read_bytes())


def token_file(command: Command, profile: str) -> Path:
    return command.home / "config" / "tokens" / f"{profile}.json"


def aged(command: Command, profile: str, seconds: float) -> None:
    """Let a stored token be older than it is."""
    token = stored(command, profile)
    assert isinstance(token.expires_at, float)
    older = replace(
        token, obtained_at=token.obtained_at - seconds, expires_at=token.expires_at - seconds
    )
    token_file(command, profile).write_bytes(token_to_json(older))


def log_in(command: Command, profile: str, site: Sandbox, *more: str) -> None:
    options = ("--site", site.url, "--client-id", "110", "--browser", BROWSER, *more)
    done = command("login", "-p", profile, *options)
    assert done.returncode == 0, done.stderr


def outcome(done: "subprocess.CompletedProcess[str]") -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


# --- status --check ---


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@process
def test_a_prompt_learns_by_the_exit_code_alone(signed_in: Command) -> None:
    assert outcome(signed_in("status", "--check", "23h")) == (0, "", "")
    assert outcome(signed_in("status", "--check", "25h")) == (3, "", "")
    assert outcome(signed_in("status", "--check")) == (0, "", "")
    assert outcome(signed_in.with_variables(SOE_AUTH_MIN_TTL="25h")("status", "--check")) == (
        3,
        "",
        "",
    )
    why = signed_in("status", "--check", "25h", "-v")
    assert (why.returncode, why.stdout) == (3, "")
    assert "less than min_ttl (25 h)" in why.stderr
    assert "use `--check 16h`" in why.stderr


@process
def test_a_check_ends_as_token_would(soe_auth: Command, site: Sandbox) -> None:
    nothing = soe_auth
    assert outcome(nothing("status", "--check", "1m")) == (3, "", "")
    by_variable = soe_auth.with_variables(SOE_AUTH_TOKEN="from(ci)*")
    assert outcome(by_variable("status", "--check", "30d")) == (0, "", "")
    for profile in ("one", "two"):
        log_in(soe_auth, profile, site)
    assert outcome(soe_auth("status", "-p", "two", "--check", "1m")) == (0, "", "")
    assert soe_auth("logout", "-p", "two").returncode == 0
    assert outcome(soe_auth("status", "-p", "two", "--check", "1m")) == (3, "", "")
    none = soe_auth("status", "-p", "none", "--check", "1m")
    assert (none.returncode, none.stdout) == (2, "")
    assert "There is no profile none." in none.stderr
    token_file(soe_auth, "two").mkdir()
    broken = soe_auth("status", "-p", "two", "--check", "1m")
    assert (broken.returncode, broken.stdout) == (7, "")
    assert "Cannot read" in broken.stderr


@process
@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--check", "soon"), "Cannot read check from --check: write a duration"),
        (("--check", "1h", "--json"), "--check prints nothing"),
        (("--check", "--verify"), "--check prints nothing"),
    ],
)
def test_a_check_that_makes_no_sense_is_a_usage_error(
    soe_auth: Command, argv: tuple[str, ...], words: str
) -> None:
    done = soe_auth.with_variables(SOE_AUTH_TOKEN="x")("status", *argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


# --- the exit code of status ---


@process
def test_status_is_exit_3_where_a_profile_that_it_shows_has_no_valid_token(
    soe_auth: Command, site: Sandbox
) -> None:
    for profile in ("one", "two"):
        log_in(soe_auth, profile, site)
    assert soe_auth("status").returncode == 0
    aged(soe_auth, "two", 25 * 3600)
    done = soe_auth("status")
    assert (done.returncode, "token    expired " in done.stdout) == (3, True)
    assert soe_auth("status", "-p", "one").returncode == 0
    assert soe_auth("status", "-p", "two").returncode == 3
    assert soe_auth("status", "--verify").returncode == 3
    assert soe_auth("status", "--json").returncode == 0
    assert soe_auth("logout", "-p", "two", "--local").returncode == 0
    done = soe_auth("status", "-p", "two")
    assert (done.returncode, "token    none" in done.stdout) == (3, True)
    assert soe_auth.with_variables(SOE_AUTH_TOKEN="from(ci)*")("status").returncode == 0


@process
def test_status_tells_that_the_variable_is_used_where_there_is_no_profile(
    soe_auth: Command,
) -> None:
    by_variable = soe_auth.with_variables(SOE_AUTH_TOKEN="from(ci)*")
    told = "SOE_AUTH_TOKEN is set: `soe-auth token` prints that token.\n"
    assert outcome(by_variable("status")) == (0, "", told)
    assert json.loads(by_variable("status", "--json").stdout)["profiles"] == []
    assert soe_auth("status").returncode == 3


# --- notes ---


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@process
def test_status_warns_and_token_does_not_unless_it_is_asked_to_tell_more(
    soe_auth: Command, site: Sandbox
) -> None:
    log_in(soe_auth, "near", site)
    log_in(soe_auth, "endless", site, "--scope", "no_expiry")
    site.quirks = Quirks(token="scope-other")
    log_in(soe_auth, "other", site, "--scope", "write_access")
    site.quirks = Quirks(token="expires-unreadable")
    log_in(soe_auth, "unknown", site)
    aged(soe_auth, "near", 23.5 * 3600)
    cards = soe_auth("status").stdout.split("\n\n")
    notes = [[line for line in card.splitlines() if "  note " in line] for card in cards]
    endless, near, other, unknown = [line for (line,) in notes]
    assert near == "  note     It expires in 30 min."
    assert endless.startswith("  note     It never expires; it was issued ")
    assert other.endswith("granted the scope read_inbox; write_access was requested.")
    assert unknown == "  note     The site gave no expiry; 24 h are assumed."
    report = json.loads(soe_auth("status", "-p", "near", "--json").stdout)
    assert report["profiles"][0]["warnings"] == ["It expires in 30 min."]
    assert soe_auth("token", "-p", "near").stderr == ""
    assert soe_auth("token", "-p", "near", "-v").stderr == "It expires in 30 min.\n"
    aged(soe_auth, "near", 3600)
    expired = soe_auth("status", "-p", "near").stdout
    assert "  token    expired 30 min ago; type `soe-auth login -p near`" in expired
    assert "note" not in expired
    for profile, end in (("endless", "is revoked"), ("near", "expires")):
        deleted = soe_auth("logout", "--local", "-p", profile).stderr
        assert f"it stays valid there until it {end}." in deleted


# --- status --verify ---


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@process
def test_a_site_verifies_its_token_and_each_answer_is_reported(
    soe_auth: Command, site: Sandbox
) -> None:
    log_in(soe_auth, "ended", site)
    log_in(soe_auth, "good", site)
    end_on(site, stored(soe_auth, "ended"))
    good = soe_auth("status", "-p", "good", "--verify")
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.endswith("\n  on site  valid, as Jane Doe\n")
    ended = soe_auth("status", "-p", "ended", "--verify")
    assert (ended.returncode, ended.stderr) == (3, "")
    assert "  token    valid until" in ended.stdout  # which is what is known here
    assert ended.stdout.endswith("\n  on site  no longer valid\n")

    with running(strict=True) as other:
        log_in(soe_auth, "away", other)
    away = soe_auth("status", "-p", "away", "--verify")
    assert (away.returncode, away.stderr) == (6, "")
    assert "\n  on site  Cannot reach localhost" in away.stdout
    site.quirks = Quirks(account="html")
    unclear = soe_auth("status", "-p", "good", "--verify")
    assert (unclear.returncode, unclear.stderr) == (5, "")
    assert "\n  on site  localhost" in unclear.stdout
    assert unclear.stdout.endswith(" answered without a name (HTTP 200).\n")


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@process
def test_of_several_answers_the_exit_code_is_the_one_that_a_user_can_fix(
    soe_auth: Command, site: Sandbox
) -> None:
    with running(strict=True, quirks=Quirks(account="html")) as unclear:
        log_in(soe_auth, "unclear", unclear)
        with running(strict=True) as away:
            log_in(soe_auth, "away", away)
        log_in(soe_auth, "good", site)
        done = soe_auth("status", "--verify", "--json")
        assert done.returncode == 6
        report = json.loads(done.stdout)
        assert [profile["verified"] for profile in report["profiles"]] == [None, True, None]
        assert report["profiles"][1]["verification"] == "valid, as Jane Doe"
        assert "verified" not in json.loads(soe_auth("status", "--json").stdout)["profiles"][1]
        end_on(site, stored(soe_auth, "good"))
        done = soe_auth("status", "--verify", "--json")
        assert done.returncode == 3
        report = json.loads(done.stdout)
        assert [profile["verified"] for profile in report["profiles"]] == [None, False, None]
        assert soe_auth("logout", "--all", "--local").returncode == 0
        nothing = soe_auth("status", "--verify")
        assert nothing.returncode == 3
        assert nothing.stdout.count("token    none") == 3


async def test_sites_are_asked_all_at_once_and_each_for_its_own_token_alone() -> None:
    all_are_asked, heads = asyncio.Barrier(2), []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        await all_are_asked.wait()
        writer.write(http(200, b'{"name": "Jane Doe"}'))
        await writer.drain()

    async with served(answer) as one, served(answer) as other, asyncio.timeout(10):
        tokens = [
            replace(TOKEN, access_token=Secret(f"for-{port}"), site=Site("http", "127.0.0.1", port))
            for port in (one, other)
        ]
        verdicts = await verify([(token, Network()) for token in tokens])
    assert [verdict.validity for verdict in verdicts] == [TokenValidity.VALID] * 2
    for port in (one, other):
        (head,) = [head for head in heads if b"Host: 127.0.0.1:%d\r\n" % port in head]
        assert b"Authorization: Bearer for-%d\r\n" % port in head


def test_a_401_outside_its_team_does_not_refuse_a_given_token(
    user: FakeUser, site: Sandbox
) -> None:
    settings = user.settings(site=site.url, scope="access_team")
    token = store_given_token(settings, lambda: Secret("token-of-a-team"), None, user.effects())
    assert user.effects().store.load(settings.profile) == token
    assert user.told[0] == (
        "The site did not name the account of the token: A token with access_team is valid only for"
        " its team's API, which was not called."
    )


async def test_a_site_that_no_way_leads_to_is_not_reachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    (verdict,) = await verify([(TOKEN, Network())])
    assert verdict.validity is TokenValidity.UNREACHABLE
    assert "proxy" in verdict.reason


# --- a re-login retires the token that it replaces ---


def test_the_token_that_a_login_replaces_is_ended_on_the_site(
    user: FakeUser, site: Sandbox
) -> None:
    old = login(user.settings(site=site.url), user.effects())
    assert is_valid(site, old)
    new = login(user.settings(site=site.url), user.effects())
    assert not is_valid(site, old)
    assert is_valid(site, new)
    assert user.curious == ["The replaced token: ended."]


@pytest.mark.parametrize("flags", [{"scope": "write_access"}, {"client_id": "111"}])
def test_so_is_one_for_another_scope_or_application_where_the_profile_is_named(
    user: FakeUser, site: Sandbox, flags: dict[str, str]
) -> None:
    old = login(user.settings(site=site.url), user.effects())
    if "client_id" in flags:
        flags["redirect_host"] = "127.0.0.1"
    environ = {"SOE_AUTH_CONFIG_DIR": str(user.home)}
    beside = user.settings(site=site.url, **flags)
    login(beside, user.effects())
    assert beside.profile != f"localhost-{site.port}"
    assert is_valid(site, old)
    given = {"site": site.url, "client_id": "110", "timeout": "20s", **flags}
    login(resolve(given, profile=f"localhost-{site.port}", environ=environ), user.effects())
    assert not is_valid(site, old)


def test_a_login_names_the_previous_account_if_it_was_another(
    user: FakeUser, site: Sandbox
) -> None:
    login(user.settings(site=site.url), user.effects())
    login(user.settings(site=site.url), user.effects())
    assert not any("until now" in told for told in user.told)
    user.account = "John Doe"
    login(user.settings(site=site.url), user.effects())
    assert user.told[-1] == (
        f"Profile localhost-{site.port} belonged to Jane Doe until now. To keep both accounts,"
        " give each a profile: `soe-auth login -p NAME`."
    )


def test_where_an_account_is_not_known_or_is_another_sites_nothing_is_said_of_it() -> None:
    unknown = replace(TOKEN, account=None)
    elsewhere = replace(TOKEN, account="John Doe", site=Site.parse("beta"))
    for old, new in [(TOKEN, unknown), (unknown, TOKEN), (elsewhere, TOKEN), (TOKEN, TOKEN)]:
        assert new.account_warning(old, "acme") is None


@dataclass
class Spy:
    """A store that calls something before it saves, and before it loads."""

    store: Store
    before_saving: Callable[[], None] = lambda: None
    before_loading: Callable[[], None] = lambda: None

    def save(self, profile: str, token: Token) -> None:
        self.before_saving()
        self.store.save(profile, token)

    def load(self, profile: str) -> Token | None:
        self.before_loading()
        return self.store.load(profile)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def test_it_is_revoked_only_after_the_new_one_is_stored_and_reported(
    user: FakeUser, site: Sandbox
) -> None:
    old = login(user.settings(site=site.url), user.effects())
    log: list[str] = []

    def saving() -> None:
        assert is_valid(site, old)
        log.append("saved")

    def told_more(_: str) -> None:
        assert "Signed in as Jane Doe" in user.last_page
        log.append("retired")

    store = Spy(user.effects().store, before_saving=saving)
    effects = user.effects(store=store, announce=log.append, verbose=told_more)
    login(user.settings(site=site.url), effects)
    opening, first, signed_in, retired = log
    assert opening.startswith("Opening")
    assert signed_in.startswith("Signed in")
    assert (first, retired) == ("saved", "retired")


def test_a_login_that_could_not_be_kept_ends_no_token(user: FakeUser, site: Sandbox) -> None:
    old = login(user.settings(site=site.url), user.effects())

    with pytest.raises(StoreError, match="no room"):
        login(
            user.settings(site=site.url),
            user.effects(store=Spy(user.effects().store, before_saving=fail)),
        )
    assert is_valid(site, old)


def test_an_old_token_that_cannot_be_read_holds_up_no_login(user: FakeUser, site: Sandbox) -> None:
    store = Spy(user.effects().store, before_loading=fail)
    token = login(user.settings(site=site.url), user.effects(store=store))
    assert is_valid(site, token)
    assert user.curious == []


def fail() -> None:
    raise StoreError("no room")


@pytest.mark.slow
def test_a_site_that_does_not_answer_delays_no_one(user: FakeUser, site: Sandbox) -> None:
    login(user.settings(site=site.url), user.effects())
    site.quirks = Quirks(invalidate="hang")
    before = time.monotonic()
    login(user.settings(site=site.url), user.effects())
    assert time.monotonic() - before < 6  # of which the login itself takes most on a busy machine
    page = user.last_page
    assert any(
        "Cannot revoke the replaced token: site not reachable. It is valid" in told
        for told in user.told
    )
    assert "Signed in as Jane Doe" in page


@pytest.mark.parametrize("scope", ["no_expiry", ""])
def test_one_that_lives_on_is_not_passed_over_in_silence(
    user: FakeUser, site: Sandbox, scope: str
) -> None:
    settings = user.settings(site=site.url, scope=scope)
    old = login(settings, user.effects())
    site.quirks = Quirks(invalidate="not-offered")
    user.told.clear()
    login(settings, user.effects(now=lambda: old.obtained_at))
    assert is_valid(site, old)
    assert user.told[-1] == (
        "Cannot revoke the replaced token: not offered by this site. It is valid"
        f" {old.describe_expiry(old.obtained_at)}. To revoke it, sign in at {site.url} and open"
        " your avatar, Settings."
    )
    site.quirks = Quirks()
    user.told.clear()
    login(settings, user.effects())
    assert not any("Cannot revoke" in told for told in user.told)


@pytest.mark.parametrize("which", ["expired", "of another site"])
def test_one_that_has_ended_or_is_another_sites_is_left_alone(
    user: FakeUser, site: Sandbox, which: str
) -> None:
    happened: list[str] = []
    with running(strict=True, narrate=happened.append) as first:
        old = login(user.settings(site=first.url), user.effects())
        store, profile = user.effects().store, f"localhost-{first.port}"
        if which == "expired":
            store.save(profile, replace(old, obtained_at=1.0, expires_at=2.0))
            login(user.settings(site=first.url), user.effects())
        else:
            store.save(f"localhost-{site.port}", old)
            login(user.settings(site=site.url), user.effects())
        assert is_valid(first, old)
    assert not any("was ended" in told for told in happened)
    assert user.curious == []


async def test_a_site_that_gives_the_same_token_twice_is_not_asked_to_end_it(
    user: FakeUser,
) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split()[1])
        writer.write(http(200, b'{"access_token": "same", "name": "Jane"}', b"Connection: close"))
        await writer.drain()

    async def pasted() -> AsyncIterator[str]:
        (address,) = [word for word in user.told[-2].split() if "/oauth?" in word]
        query = parse_qs(urlsplit(address).query)
        yield f"{query['redirect_uri'][0]}?code=x&state={query['state'][0]}"

    async with served(answer) as port:
        for _ in range(2):
            await alogin(
                user.settings(site=f"http://127.0.0.1:{port}"),
                user.effects(open_browser=None, pasted_lines=pasted),
            )
    assert asked == [b"/oauth/access_token/json", b"/api/v3/users/me"] * 2


# --- the morning ---


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@process
def test_in_the_morning_one_command_renews_what_would_not_last_the_day(
    signed_in: Command, site: Sandbox
) -> None:
    profile = f"localhost-{site.port}"
    morning = ("login", "--if-needed", "--min-ttl", "8h", "--browser", BROWSER)
    idle = signed_in(*morning)
    (line,) = idle.stderr.splitlines()
    assert line.startswith(f"Already signed in to localhost:{site.port}, profile ")
    old = stored(signed_in, profile)
    aged(signed_in, profile, 17 * 3600)
    renewed = signed_in(*morning)
    assert renewed.returncode == 0
    assert "Already" not in renewed.stderr
    assert not is_valid(site, old)
    aged(signed_in, profile, 30 * 3600)
    assert signed_in(*morning, "-v").stderr.count("replaced") == 0
    assert len(site.exchanges) == 3


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@process
def test_where_the_site_gives_less_than_is_asked_for_no_login_is_repeated(
    soe_auth: Command,
) -> None:
    with running(strict=True, lifetime=7200) as site:
        profile = f"localhost-{site.port}"
        morning = ("login", "--if-needed", "--min-ttl", "8h", "--browser", BROWSER)
        words = "expire after 2 h, but min_ttl is 8 h: use `--min-ttl 1h20m`."
        first = soe_auth(*morning, "--site", site.url, "--client-id", "110")
        assert first.returncode == 0
        assert first.stderr.count(words) == 1
        again = soe_auth(*morning)
        assert again.returncode == 0
        assert "Already signed in to " in again.stderr
        assert again.stderr.count(words) == 1
        scripts = soe_auth.with_variables(BROWSER=BROWSER)
        for _ in range(2):
            refused = scripts("token", "--min-ttl", "8h", "--login")
            assert (refused.returncode, refused.stdout) == (3, "")
            assert refused.stderr.count(words) == 1
        assert len(site.exchanges) == 1
        aged(soe_auth, profile, 3601)  # the second half of its life: a new one gains something
        assert soe_auth(*morning).returncode == 0
        assert len(site.exchanges) == 2


def test_a_day_of_a_token_of_a_day_takes_one_login(user: FakeUser, site: Sandbox) -> None:
    settings = replace(user.settings(site=site.url), min_ttl=86400.0)
    first = login_if_needed(settings, user.effects())
    assert login_if_needed(settings, user.effects()) == first
    assert len(user.opened) == 1


# --- logout ---


async def test_a_log_out_keeps_the_token_that_a_login_stores_meanwhile(tmp_path: Path) -> None:
    store = FileStore(tmp_path, report=print)
    later = replace(TOKEN, access_token=Secret("later"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        store.save("acme", later)
        writer.write(http(200, b'{"items": []}', b"Connection: close"))

    async with served(answer) as port:
        site = Site.parse(f"http://localhost:{port}")
        store.save("acme", replace(TOKEN, site=site))
        result = await logout("acme", store, network=Network())
    assert result
    assert result.on_site is not RevocationResult.UNREACHABLE
    assert result.newer
    assert store.load("acme") == later


def test_a_token_that_is_removed_during_the_account_look_up_is_not_stored_again(
    user: FakeUser, site: Sandbox
) -> None:
    settings = user.settings(site=site.url)
    store = FileStore(user.home, report=print)

    def told(sentence: str) -> None:
        if sentence.startswith("Signed in"):
            assert store.remove(settings.profile, store.load(settings.profile))

    assert login(settings, user.effects(announce=told)).account
    assert store.load(settings.profile) is None


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@process
def test_a_log_out_of_all_waits_for_all_sites_at_once_and_keeps_what_is_not_ended(
    soe_auth: Command, site: Sandbox
) -> None:
    with ExitStack() as sites:
        for profile in ("hangs", "hangs-too"):
            hanging = sites.enter_context(running(strict=True, quirks=Quirks(invalidate="hang")))
            log_in(soe_auth, profile, hanging)
        with running(strict=True) as away:
            log_in(soe_auth, "away", away)
        refusing = sites.enter_context(
            running(strict=True, quirks=Quirks(invalidate="not-offered"))
        )
        log_in(soe_auth, "refuses", refusing)
        log_in(soe_auth, "works", site)
        before = time.monotonic()
        done = soe_auth("logout", "--all")
        assert time.monotonic() - before < 15  # one site alone takes ten seconds
    assert done.returncode == 6
    assert "Traceback" not in done.stderr
    assert done.stderr.count("is deleted from this machine.") == 1
    assert done.stderr.count("the token may still be valid there") == 3
    assert done.stderr.count("does not offer to revoke tokens") == 1
    assert done.stderr.count("has revoked it") == 1
    kept = [path.stem for path in (soe_auth.home / "config" / "tokens").iterdir()]
    assert sorted(kept) == ["away", "hangs", "hangs-too", "refuses"]


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@process
def test_a_copy_that_cannot_be_removed_keeps_no_other_from_going(
    soe_auth: Command, site: Sandbox
) -> None:
    for profile in ("a", "b", "c"):
        log_in(soe_auth, profile, site)
    token_file(soe_auth, "b").unlink()
    token_file(soe_auth, "b").symlink_to("c.json")
    config = soe_auth.home / "config" / "config.toml"
    config.write_text(config.read_text() + "[")
    done = soe_auth("logout", "--all")
    assert done.returncode == 7
    assert "b.json: it is a link" in done.stderr
    assert done.stderr.count("has revoked it") == 2
    assert [path.name for path in (soe_auth.home / "config" / "tokens").iterdir()] == ["b.json"]


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@process
def test_a_log_out_removes_invalid_and_half_written_files_or_reports_them(
    soe_auth: Command, site: Sandbox
) -> None:
    log_in(soe_auth, "a", site)
    tokens = token_file(soe_auth, "a").parent
    leftover = tokens / ".a.json.0123456789abcdef.new"
    leftover.write_bytes(token_file(soe_auth, "a").read_bytes())
    token_file(soe_auth, "a").write_bytes(b"{")
    done = soe_auth("logout", "-p", "a")
    assert done.returncode == 0
    assert "was renamed to a.json.corrupt-" in done.stderr
    assert "Profile a has no token here" in done.stderr
    (aside,) = tokens.iterdir()
    assert aside.name.startswith("a.json.corrupt-")
    leftover.write_bytes(b"half of a token")
    assert soe_auth("logout", "-p", "a").returncode == 0
    assert list(tokens.iterdir()) == [aside]
