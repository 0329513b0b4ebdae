"""Secrets that can be told apart from all else go through everything, and come out nowhere.

The sandbox makes codes and tokens that hold a known word; states and verifiers are read from what
the browser and the site saw. Then all that was written anywhere is searched for them.
"""

import asyncio
import base64
import gc
import itertools
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from conftest import BROWSER, TOKEN, Command
from fake_user import FakeUser
from tls_servers import served

import soe_auth
from soe_auth import Secret, Site, SoeAuthError, Store, Token
from soe_auth.actions.login import alogin, login
from soe_auth.actions.logout import logout
from soe_auth.sandbox import TOKEN_ANSWERS, Quirks, Sandbox, running
from soe_auth.sandbox.scripted_browser import visit
from soe_auth.site_client.client import ONE_ATTEMPT, connect
from soe_auth.storage.file_store import FileStore

if sys.platform != "win32":
    import resource

SLOW = {"hang", "slow", "trickle"}
CANARY = "CANARYcanar"  # in base64, so that it stands in what the sandbox makes of its bytes


def canaries() -> Callable[[int], bytes]:
    count = itertools.count()

    def entropy(size: int) -> bytes:
        text = CANARY + f"{next(count):03d}" * 11
        return base64.b64decode(text[:44])[:size]

    return entropy


@pytest.fixture
def site() -> Iterator[Sandbox]:
    with running(strict=True, entropy=canaries()) as sandbox:
        yield sandbox


def forms(secret: str) -> set[str]:
    """The ways in which a string may stand in a text; a part of it would do for an attack, too."""
    part = secret[len(secret) // 4 :][:20]
    shown = {secret, part, quote(secret, safe=""), quote(part, safe="")}
    return shown | {base64.b64encode(secret.encode()).decode()[:20], secret.encode().hex()[:30]}


def found(secrets: set[str], *places: object) -> set[str]:
    """Which of the secrets stand anywhere in the places' text or repr."""
    text = "\n".join(place if isinstance(place, str) else repr(place) for place in places)
    return {secret for secret in secrets if any(form in text for form in forms(secret))}


def of_exchanges(site: Sandbox) -> set[str]:
    """The codes and verifiers that the site saw."""
    fields = [dict(exchange.fields) for exchange in site.exchanges]
    return {sent[name] for sent in fields for name in ("code", "code_verifier") if name in sent}


# --- the installed command -----------------------------------------------------------------------

# A browser that writes down what it can see of the program that started it, and of all others.
WATCHING = """
import json, os, sys
from pathlib import Path
seen = {"argv": sys.argv, "environ": dict(os.environ), "processes": []}
for process in Path("/proc").glob("[0-9]*"):
    try:
        seen["processes"].append((process / "cmdline").read_text())
        seen["processes"].append((process / "environ").read_text(errors="replace"))
    except OSError:
        pass
import asyncio, urllib.request
from soe_auth.sandbox.scripted_browser import visit
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
try:
    urllib.request.build_opener(Stay).open(sys.argv[-1])
except urllib.error.HTTPError as answer:
    seen["authorize"] = answer.headers["Location"]
    seen["launch"] = str(answer.headers)
page = asyncio.run(visit(sys.argv[-1], refuse="--refuse" in sys.argv))
seen["page"] = page.text
written = Path(os.environ["WATCHED"] + ".new")
written.write_text(json.dumps(seen))
written.rename(os.environ["WATCHED"])
"""


@dataclass
class Watched:
    """A command whose browser watches, and all that it has written so far."""

    command: Command
    log: Path
    written: list[str] = field(default_factory=list)

    def __call__(self, *argv: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        done = self.command(*argv, stdin=stdin)
        self.written += [
            line
            for line in (done.stdout + done.stderr).splitlines()
            if "/oauth?" not in line  # where the browser may be elsewhere, its address is shown
        ]
        return done

    def seen(self) -> dict[str, Any]:
        while not self.log.exists():  # the command does not wait for its browser to end
            time.sleep(0.01)
        seen: dict[str, Any] = json.loads(self.log.read_text())
        return seen


@pytest.fixture
def watched(soe_auth: Command) -> Watched:
    script, log = soe_auth.home / "browser.py", soe_auth.home / "seen.json"
    script.write_text(WATCHING)
    return Watched(
        soe_auth.with_variables(
            BROWSER=f"{sys.executable} {script}",
            WATCHED=str(log),
            PYTHONASYNCIODEBUG="1",
            PYTHONWARNINGS="default",
        ),
        log,
    )


@pytest.mark.rfc("6749-10.3")
@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_a_login_shows_its_secrets_to_the_site_and_the_token_file_alone(
    watched: Watched, site: Sandbox
) -> None:
    assert watched("login", "-v", "--site", site.url, "--client-id", "110").returncode == 0
    seen = watched.seen()
    state = parse_qs(urlsplit(seen["authorize"]).query)["state"][0]
    secrets = {state, *of_exchanges(site)}
    assert len(secrets) == 3

    token = watched.command("token").stdout.strip()
    assert CANARY in token
    secrets.add(token)
    for argv in (
        ("status", "-v"),
        ("status", "--json"),
        ("status", "--verify", "--json", "-v"),
        ("status", "--check", "-v"),
        ("login", "--if-needed", "--json", "-v"),
        ("run", "-v", "--", "true"),
        ("token", "-v", "--format", "json", "-o", str(watched.command.home / "asked for")),
    ):
        assert watched(*argv).returncode == 0
    for argv, code in (
        (("run", "-v", "--", str(watched.command.home / "none")), 127),
        (("token", "-v", "-o", str(watched.command.home)), 2),
        (("token", "-v", "--wait", "0", "--min-ttl", "25h"), 3),
    ):
        assert watched(*argv).returncode == code

    assert not found(secrets, *watched.written)
    assert not found(secrets, seen["argv"], seen["environ"], seen["processes"], seen["page"])
    assert found(secrets, seen["launch"]) == {state}  # that is what the short address is for
    config = watched.command.home / "config"
    for path in (path for path in config.rglob("*") if path.is_file()):
        assert found(secrets, path.read_text()) == ({token} if path.suffix == ".json" else set())

    assert watched("logout", "-v").returncode == 0
    assert not found(secrets, *watched.written)
    assert not found(secrets, *(p.read_text() for p in config.rglob("*") if p.is_file()))


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
@pytest.mark.parametrize("quirk", ["vendor-refusal", "html-error", "drop", "server-error"])
def test_a_login_that_fails_tells_no_secret(watched: Watched, site: Sandbox, quirk: str) -> None:
    site.quirks = Quirks(token=quirk)
    assert watched("login", "-v", "--site", site.url, "--client-id", "110").returncode in {5, 6}
    seen = watched.seen()
    state = parse_qs(urlsplit(seen["authorize"]).query)["state"][0]
    secrets = {state, CANARY, *of_exchanges(site)}
    assert len(secrets) >= 4
    assert not found(secrets, *watched.written, seen["page"])
    assert list((watched.command.home / "config").rglob("*.json")) == []


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_steps_by_hand_print_what_they_are_asked_for_and_nothing_else(
    watched: Watched, site: Sandbox
) -> None:
    own = ("--site", site.url, "--client-id", "112")
    pair = json.loads(watched.command("pkce", "--json").stdout)
    verifier, state = pair["code_verifier"], "stateCANARYstateCANARY"
    by_hand = watched.command.with_variables(SOE_AUTH_STATE=state, SOE_AUTH_CODE_VERIFIER=verifier)
    url = by_hand("url", *own, "-v", "--code-challenge", pair["code_challenge"]).stdout.strip()
    assert found({state, verifier}, url) == {state}
    address = asyncio.run(visit(url)).url
    code = parse_qs(urlsplit(address).query)["code"][0]
    secrets = {state, verifier, code, CANARY}
    for wrong in (address.replace("state=", "state=x"), "x" + code):
        refused = by_hand("exchange", *own, "-v", stdin=wrong)
        assert refused.returncode in {2, 5}
        assert not found(secrets, refused.stdout, refused.stderr)
    done = by_hand("exchange", *own, "-v", stdin=address)
    assert CANARY in done.stdout
    assert not found({state, verifier, code}, done.stdout)
    assert not found(secrets, done.stderr)


@pytest.mark.process
def test_a_token_that_cannot_be_one_is_not_repeated(watched: Watched, tmp_path: Path) -> None:
    token = watched.command.with_variables(SOE_AUTH_TOKEN=f"{CANARY} {CANARY}")
    done = token("token", "-v")
    assert done.returncode == 2
    assert not found({CANARY}, done.stdout, done.stderr)
    tokens = tmp_path / "config" / "tokens"
    tokens.mkdir(parents=True, mode=0o700)
    (tokens / "acme.json").write_text(json.dumps({"version": 1, "access_token": CANARY}))
    named = watched.command.with_variables(SOE_AUTH_SITE="acme", SOE_AUTH_CLIENT_ID="1")
    done = named("token", "-p", "acme", "-v")
    assert done.returncode == 3
    assert "was renamed to" in done.stderr
    assert not found({CANARY}, done.stdout, done.stderr)


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_a_bug_tells_no_secret(soe_auth: Command, site: Sandbox) -> None:
    script = f"""
import os, soe_auth
from soe_auth.sandbox import scripted_browser
def announce(sentence):
    if "Signed in" in sentence:
        raise RuntimeError("a bug")
soe_auth.login(
    site={site.url!r}, client_id="110", announce=announce,
    browser=lambda url: os.spawnlp(os.P_NOWAIT, {sys.executable!r}, *{BROWSER.split()!r}, url) > 0,
)
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", script],
        env=soe_auth.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )
    assert done.returncode == 1
    assert "RuntimeError: a bug" in done.stderr
    assert not found({CANARY, *of_exchanges(site)}, done.stdout, done.stderr)


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_demo_and_the_sandbox_tell_no_secret_either(soe_auth: Command) -> None:
    done = soe_auth("demo", "-v")
    assert done.returncode == 0
    words = (done.stdout + done.stderr).split()
    # A state, code, verifier or token is a word of 43 characters or more; paths and URLs are not.
    assert not [word for word in words if len(word) >= 43 and "/" not in word]


# --- a Python program that logs everything -------------------------------------------------------


class Everything(logging.Handler):
    """Keeps each record whole: message, arguments, exception, and what else it carries."""

    def __init__(self) -> None:
        super().__init__(0)
        self.text: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.text += [record.getMessage(), repr(record.__dict__)]


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> Iterator[Everything]:
    handler = Everything()
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(1)
    for name in ("asyncio", "aiohttp", "httpx", "httpcore", *logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(1)
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.NOTSET)


@dataclass
class WatchingStore:
    """A store that, while a code and a token are held, looks at all that the login has made."""

    store: Store
    before: set[int] = field(default_factory=lambda: {id(thing) for thing in of_our_own()})
    objects: list[object] = field(default_factory=list)
    core_limit: int = -1

    def save(self, profile: str, token: Token) -> None:
        self.objects = [thing for thing in of_our_own() if id(thing) not in self.before]
        self.core_limit = resource.getrlimit(resource.RLIMIT_CORE)[0]
        self.store.save(profile, token)

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


def of_our_own() -> list[object]:
    """Everything alive whose class is the client's own."""

    def is_own(thing: object) -> bool:
        module = str(getattr(type(thing), "__module__", ""))
        return module.startswith("soe_auth.") and not module.startswith("soe_auth.sandbox")

    gc.collect()
    return [thing for thing in gc.get_objects() if is_own(thing)]


async def log_in_and_out(user: FakeUser, site: Sandbox, store: WatchingStore) -> None:
    settings = user.settings(site=site.url)
    token = await alogin(settings, user.effects(store=store))
    assert CANARY in token.access_token.reveal()
    assert await logout(settings.profile, user.effects().store, network=settings.network)


@pytest.mark.posix("looks at the limit of core dumps")
def test_no_log_record_no_repr_and_no_pickle_holds_a_secret(
    tmp_path: Path, site: Sandbox, everything: Everything
) -> None:
    user = FakeUser(tmp_path / "config")
    store = WatchingStore(user.effects().store)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        asyncio.run(log_in_and_out(user, site, store), debug=True)
    secrets = {CANARY, *of_exchanges(site)}
    secrets |= {parse_qs(urlsplit(url).query)["state"][0] for url in addresses_of(store.objects)}
    assert len(secrets) == 4
    assert len(everything.text) > 20  # asyncio and httpcore at least have a lot to say
    assert not found(secrets, *everything.text, *user.told, *user.curious, *warned)

    assert len(store.objects) > 10
    assert not found(secrets, *store.objects)
    pickles = [pickled(thing) for thing in store.objects]
    assert not found(secrets, *pickles)
    assert any(pickles)
    assert store.core_limit in {0, 1}


def echo_target(request: bytes) -> bytes:
    _, target, _ = request.split(b" ", 2)
    return b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % target


def echo_head(request: bytes) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [b"X-Echo: " + line for line in [*head.splitlines(), body]]
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"Content-Length: 2", b"", b"{}"])


def echo_as_status_line(request: bytes) -> bytes:
    return request.replace(b"\r\n", b" ") + b"\r\n\r\n"


def echo_as_body(request: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + request


def echo_as_chunk_size(request: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + request


@asynccontextmanager
async def echoing(answer: Callable[[bytes], bytes]) -> AsyncIterator[tuple[Site, list[bytes]]]:
    """A site that repeats what it gets; and all that it got."""
    got: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        got.append(head + await reader.readexactly(int(length[1]) if length else 0))
        writer.write(answer(got[-1]))
        await writer.drain()

    async with served(handle) as port:
        yield Site.parse(f"http://127.0.0.1:{port}"), got


ECHOES = [echo_target, echo_head, echo_as_status_line, echo_as_body, echo_as_chunk_size]


@pytest.mark.parametrize("echo", ECHOES)
async def test_no_log_record_holds_what_a_site_repeats_of_a_request(
    everything: Everything, echo: Callable[[bytes], bytes]
) -> None:
    async with echoing(echo) as (site, got), connect(site, ONE_ATTEMPT) as connection:
        await connection.warm_up()
        with suppress(SoeAuthError):
            await connection.exchange(Secret(f"code={CANARY}"))
        await connection.verify(Secret(CANARY))
        await connection.revoke(Secret(CANARY))
        with suppress(SoeAuthError):
            await connection.fetch_head("/")
    # The exchange, the look at the token, its revocation, and the look after an unclear answer.
    assert sum(CANARY.encode() in request for request in got) == 4
    assert not [text for text in everything.text if CANARY in text or "httpcore" in text]


@pytest.mark.parametrize("echo", ECHOES)
async def test_no_log_record_holds_what_a_site_repeats_to_a_sync_logout(
    tmp_path: Path, everything: Everything, echo: Callable[[bytes], bytes]
) -> None:
    async with echoing(echo) as (site, got):
        store = FileStore(tmp_path / "config", report=print)
        store.save("acme", replace(TOKEN, site=site, access_token=Secret(CANARY)))
        await asyncio.to_thread(soe_auth.logout, "acme", store=store)
    # The revocation, and a look after it where there is time left.
    assert 1 <= sum(CANARY.encode() in request for request in got) == len(got) <= 2
    assert not [text for text in everything.text if CANARY in text or "httpcore" in text]


async def test_the_program_s_own_requests_are_logged_as_before(everything: Everything) -> None:
    async with echoing(echo_head) as (site, _), connect(site, ONE_ATTEMPT) as connection:
        async with httpx.AsyncClient() as own:
            await asyncio.gather(own.get(f"{site}/own"), connection.fetch_head("/ours"))
        by_thread = asyncio.to_thread(httpx.get, f"{site}/thread")
        await asyncio.gather(by_thread, connection.fetch_head("/ours"))
    text = "\n".join(everything.text)
    assert "GET /own " in text
    assert "GET /thread " in text
    assert "/ours" not in text


def pickled(thing: object) -> str:
    try:
        return pickle.dumps(thing).decode("latin-1")
    except Exception:  # noqa: BLE001  # most things cannot be, each in its own way
        return ""


def addresses_of(things: list[object]) -> list[str]:
    from soe_auth.oauth.authorization_request import AuthorizationRequest

    return [thing.url for thing in things if isinstance(thing, AuthorizationRequest)]


@pytest.mark.slow
@pytest.mark.parametrize("quirk", ["ok", *sorted(TOKEN_ANSWERS.keys() - SLOW)])
def test_no_end_of_a_login_leaves_a_secret_but_the_token(
    tmp_path: Path, site: Sandbox, quirk: str
) -> None:
    site.quirks = Quirks(token=quirk)
    user = FakeUser(tmp_path / "config")
    before = {id(thing) for thing in of_our_own()}
    token = None
    with suppress(SoeAuthError):
        token = login(user.settings(site=site.url), user.effects())
    alive = [t for t in of_our_own() if isinstance(t, Secret) and id(t) not in before]
    assert [secret.reveal() for secret in alive] == ([token.access_token.reveal()] if token else [])
    assert user.last_page
    secrets = {CANARY, *of_exchanges(site)}
    assert not found(secrets, *user.told, *(page.text for page in user.pages))


def test_an_environment_is_left_as_it_was(tmp_path: Path, site: Sandbox) -> None:
    before = dict(os.environ)
    user = FakeUser(tmp_path / "config")
    login(user.settings(site=site.url), user.effects())
    assert dict(os.environ) == before
