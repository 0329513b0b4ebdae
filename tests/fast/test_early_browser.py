"""The head start of a login: the browser is off before the settings are even read."""

import argparse
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest
from cli_oracle import Place as Home
from cli_oracle import directories_in, live_in, settled, standing_in
from conftest import VISITOR, Command, unmeasured
from fake_programs import program
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from strategies import mostly, option

from soe_auth.actions.start_login import begin
from soe_auth.cli.commands import login
from soe_auth.cli.console import Console
from soe_auth.cli.login_io import login_effects
from soe_auth.cli.main import add_common
from soe_auth.cli.options import resolve_settings
from soe_auth.cli.token_source import keep
from soe_auth.fast.cache import VARIABLES as RECALLED
from soe_auth.fast.cache import CacheKey, asked
from soe_auth.fast.early_browser import StartedLogin, start_early
from soe_auth.files.lock import try_lock, wait_to_hold
from soe_auth.loopback.sockets import bind
from soe_auth.sandbox import Sandbox
from soe_auth.settings.resolve import resolve

pytestmark = pytest.mark.posix("only Linux has the head start")


class Place:
    """A home with one profile, whose settings are known from the last time."""

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.config = home / "config"
        self.opened = home / "opened"
        browser = program(home, "browser", f'echo "$1" >> {self.opened}')
        self.environ = {
            "PATH": os.environ["PATH"],
            **directories_in(home),
            "SOE_AUTH_CONFIG_DIR": str(self.config),
            "BROWSER": str(browser),
        }
        for name in ("tokens", "locks"):
            (self.config / name).mkdir(mode=0o700, parents=True)
        self.write('client_id = "110"')

    def write(self, *lines: str, site: str = "acme") -> None:
        text = "\n".join(["[profile.acme]", f'site = "{site}"', *lines, ""])
        (self.config / "config.toml").write_text(text)

    @property
    def tab(self) -> str:
        """The address that the browser was sent to, which is to come."""
        while not self.opened.exists() or not self.opened.read_text().endswith("\n"):
            os.sched_yield()
        return self.opened.read_text().strip()

    def know(self) -> None:
        """Keep what the settings come to, as if the files had been there for long."""
        question = CacheKey(self.environ, asked("", ""), clock=settled)
        settings = resolve({}, environ=self.environ)
        keep(question, settings, Console(self.environ))

    def start(self, *argv: str) -> StartedLogin | None:
        return start_early(argv or ("login",), self.environ)

    @property
    def is_free(self) -> bool:
        release = try_lock(self.config / "locks" / "acme.lock")
        if release:
            release()
        return release is not None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    live_in(tmp_path, monkeypatch)
    return Place(tmp_path)


@pytest.fixture
def started(place: Place) -> Iterator[StartedLogin]:
    place.know()
    ahead = place.start()
    assert ahead
    yield ahead
    with suppress(OSError):  # the test has given it up
        ahead.give_up()


def test_the_browser_is_sent_to_a_port_that_is_ours(place: Place, started: StartedLogin) -> None:
    assert place.tab == started.sockets.url(started.path)
    assert not place.is_free
    started.give_up()
    assert place.is_free
    bind(started.sockets.port, "localhost").close()


# --- the first login -----------------------------------------------------------------------------

FIRST = ("login", "--site", "acme", "--client-id", "110")
SITES = st.one_of(
    *[st.sampled_from(["acme", "a-1.stackenterprise.co", "http://localhost:8765"])] * 4,
    st.sampled_from(
        [
            *(
                "ACME",
                "con",
                "com7",
                "com7.stackenterprise.co",
                "contoso",
                "localhost",
                "1",
                "0x1f",
            ),
            *("a.b", "a/b", "a--b", "-a", "a-", "", "ä", "a" * 63, "a" * 64, "https://acme", "a:1"),
            *("http://localhost:80", "http://localhost:", "http://localhost:08765", "a b", "a_b"),
            *("http://localhost:70000", "http://localhost:8765/x", "http://127.0.0.1:8765", "²"),
            *(".stackenterprise.co", "a.stackenterprise.co.stackenterprise.co", "evil.example"),
        ]
    ),
    st.text("acmo7-.:/ä", max_size=5),
)
CLIENT_IDS = mostly(["110"], ["", "1" * 64, "1" * 65, "x", "1 1", "-1", "²", "१"])
WORDS = st.one_of(
    *[option([name], values) for name, values in (("--site", SITES), ("--client-id", CLIENT_IDS))],
    mostly([["-p", "acme"]], [["--port", "8765"], ["-v"], ["x"], ["--"], ["--if-needed"]]),
)
VARIABLES = st.dictionaries(
    st.sampled_from([*RECALLED, "SOE_AUTH_TOKEN", "SOE_AUTH_PROXY", "SSH_TTY", "CI"]),
    mostly([""], ["acme", "0", "true", "file", "relative", " ", ":/none", "~", "HOME", "/HOME/x:"]),
    max_size=1,
)
SAID = {
    "config/config.toml": "",
    "system/soe-auth/config.toml": 'port = "x"\n',
    "repository/.soe-auth.toml": 'site = "b"\n',
    "repository/pyproject.toml": "[project]\n",
    ".config/soe-auth/config.toml": 'browser = "none"\n',
}


@st.composite
def first_logins(draw: st.DrawFn, root: Path) -> tuple[list[str], Home]:
    """Draw a command line, mostly a first login's, and a home in which mostly nothing is said."""
    site = ["--site", draw(SITES)]
    given = [site, ["--client-id", draw(CLIENT_IDS)], *draw(mostly([[]], [[draw(WORDS)]]))]
    words = [word for each in draw(st.permutations(given)) for word in each]
    home = Path(tempfile.mkdtemp(dir=root))
    cwd = home / "repository"
    (cwd / ".git").mkdir(parents=True)
    for name in draw(mostly([[]], [[name] for name in SAID])):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(SAID[name])
    for name in draw(st.sampled_from([(), ("locks",), ("locks", "tokens"), ("link",)])):
        mode = draw(mostly([0o700], [0o755]))
        (home / "config" / name).mkdir(parents=True, mode=mode, exist_ok=True)
        if name == "link":
            (home / "config" / "tokens").symlink_to(home)
    variables = {"BROWSER": draw(mostly(["true"], ["none", "lynx"])), **draw(VARIABLES)}
    variables = {key: value.replace("HOME", str(home)) for key, value in variables.items()}
    return ["login", *words], Home(home, variables, cwd)


def follow(argv: list[str], home: Home, ahead: StartedLogin) -> None:
    """Do what the login does next: it takes the head start over, for the same port and turn."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    login.configure(parser)
    add_common(parser)
    console = Console(home.environ)
    settings = resolve_settings(parser.parse_args(argv[1:]), console)
    assert try_lock(settings.paths.directory / "locks" / f"{settings.profile}.lock") is None
    effects = login_effects(settings, console, ahead=ahead)
    assert effects.ahead is ahead
    with effects.login_lock.acquire(settings.profile):
        pending = begin(settings, effects)
        assert pending.address == ahead.sockets.url(ahead.path)
        pending.close()


@pytest.mark.timeout(120)
def test_over_many_first_logins_a_browser_is_off_only_where_the_login_would_send_it_off_as_well(
    tmp_path: Path,
) -> None:
    seen = Counter[bool]()

    @hypothesis.settings(
        max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(first_logins(tmp_path))
    def both(drawn: tuple[list[str], Home]) -> None:
        argv, home = drawn
        with standing_in(home):
            ahead = start_early(argv, home.environ)
            seen[ahead is not None] += 1
            if ahead:
                follow(argv, home, ahead)

    both()
    assert min(seen.values()) > 20


def test_a_first_login_has_a_head_start_and_its_directories_are_ours_alone(place: Place) -> None:
    shutil.rmtree(place.config)
    ahead = place.start(*FIRST)
    assert ahead
    assert place.tab == ahead.sockets.url(ahead.path)
    for directory in (place.config, place.config / "locks", place.config / "tokens"):
        assert directory.stat().st_mode & 0o777 == 0o700
    ahead.give_up()


@pytest.mark.parametrize("name", SAID)
def test_where_any_file_has_a_say_a_first_login_has_no_head_start(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shutil.rmtree(place.config)
    for directory in ((tmp_path / name).parent, tmp_path / "repository"):
        directory.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(SAID[name])
    monkeypatch.chdir(tmp_path / "repository")
    if name.startswith(".config"):
        del place.environ["SOE_AUTH_CONFIG_DIR"]
    assert place.start(*FIRST) is None
    assert not place.opened.exists()


# --- what is odd ---------------------------------------------------------------------------------


def test_another_command_line_is_another_login(place: Place) -> None:
    place.know()
    client_id = ["login", "--client-id", "110"]
    for argv in (["login", "-p", "acme"], client_id, ["login", "--timeout", "5m"], ["login", "x"]):
        assert place.start(*argv) is None
    assert place.is_free
    assert not place.opened.exists()


def loosen(name: str) -> Callable[[Place], None]:
    return lambda place: (place.config / name).chmod(0o755)


def a_link_for_a_token(place: Place) -> None:
    (place.config / "tokens" / "acme.json").symlink_to(place.config / "elsewhere")


def no_browser(place: Place) -> None:
    place.environ["BROWSER"] = "lynx"


def a_broken_browser(place: Place) -> None:
    (place.config.parent / "browser").write_text("#!/none\n")


def a_changed_file(place: Place) -> None:
    place.write('client_id = "110"', "port = 8766")


@pytest.mark.parametrize(
    "spoil",
    [
        loosen("tokens"),
        loosen("locks"),
        a_link_for_a_token,
        no_browser,
        a_broken_browser,
        a_changed_file,
    ],
)
def test_what_is_odd_is_left_to_the_login(place: Place, spoil: Callable[[Place], None]) -> None:
    place.know()
    spoil(place)
    assert place.start() is None
    assert place.is_free
    assert not place.opened.exists()


@pytest.mark.usefixtures("started")
def test_while_another_logs_in_no_browser_is_opened(place: Place) -> None:
    assert place.tab
    place.opened.unlink()
    assert place.start() is None
    assert not place.opened.exists()


def test_a_port_that_is_taken_is_left_to_the_login(place: Place) -> None:
    taken = bind(0, "localhost")
    place.write('client_id = "110"', f"port = {taken.port}")
    place.know()
    try:
        assert place.start() is None
    finally:
        taken.close()
    assert place.is_free
    assert not place.opened.exists()


@pytest.mark.parametrize(
    "line",
    [
        'redirect = "login_success"',
        'ca_bundle = "/ca.pem"',
        'store = "keyring"',
        'browser = "firefox \\u0001"',
    ],
)
def test_what_more_than_a_browser_hangs_on_has_no_head_start(place: Place, line: str) -> None:
    place.write('client_id = "110"', line)
    place.know()
    assert place.start() is None
    assert not place.opened.exists()


def test_what_a_project_file_asks_for_is_told_first(place: Place, tmp_path: Path) -> None:
    (tmp_path / ".soe-auth.toml").write_text('site = "acme"\n')
    place.know()
    assert place.start() is None
    assert not place.opened.exists()


def test_a_head_start_for_other_settings_is_given_up(place: Place, started: StartedLogin) -> None:
    place.write('client_id = "110"', 'redirect_host = "127.0.0.1"')
    console = Console(place.environ)
    effects = login_effects(resolve({}, environ=place.environ), console, ahead=started)
    assert effects.ahead is None
    with effects.login_lock.acquire("acme"):
        pass
    bind(started.sockets.port, "localhost").close()


def test_a_lock_is_held_by_one_and_free_again(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    release = try_lock(path)
    assert release
    assert try_lock(path) is None
    release()
    again = try_lock(path)
    assert again
    again()


def test_a_lock_is_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waits: list[float] = []
    release = wait_to_hold(path, wait=waits.append)
    with pytest.raises(TimeoutError, match="another process"):
        wait_to_hold(path, wait=waits.append)
    assert 5 < sum(waits) < 15
    wait_to_hold(path, wait=lambda _: release())()


@pytest.fixture
def known(tmp_path: Path, site: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, for a user whose settings are known and who lets the visitor sign in."""
    monkeypatch.chdir(tmp_path)
    command = Command(tmp_path, {"BROWSER": VISITOR}, cwd=tmp_path)
    live_in(command.home, monkeypatch)
    place = Place(tmp_path)
    place.write('client_id = "110"', site=site.url)
    place.environ = command.environ
    place.know()
    return command


@pytest.mark.needs("strace")
@pytest.mark.process
def test_the_browser_is_off_before_the_command_line_is_parsed(
    known: Command, tmp_path: Path
) -> None:
    environ = unmeasured(known.environ)
    trace = tmp_path / "trace"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=execve,openat", "-o", trace, known.path, "login"],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )
    assert done.returncode == 0, done.stderr
    lines = trace.read_text().splitlines()
    (browser,) = (n for n, line in enumerate(lines) if "execve" in line and "visitor" in line)
    parser = next(n for n, line in enumerate(lines) if "/argparse" in line)
    assert browser < parser
    assert "Opening http://localhost:" in done.stderr
    assert "Signed in to localhost" in done.stderr
    assert known("status", "--check").returncode == 0


@pytest.mark.process
def test_of_two_known_logins_one_opens_a_browser(known: Command, site: Sandbox) -> None:
    slow = known.with_variables(BROWSER=f"sh -c 'sleep 1; exec {VISITOR} \"$0\"'")
    with ThreadPoolExecutor() as pool:
        codes = sorted(done.returncode for done in pool.map(lambda _: slow("login"), range(4)))
    assert codes == [0, 4, 4, 4]
    assert len(site.exchanges) == 1
