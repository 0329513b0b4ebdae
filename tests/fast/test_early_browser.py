"""The early browser: it starts before the settings are read."""

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from cli_oracle import directories_in, live_in
from conftest import BROWSER, Command, unmeasured
from fake_programs import program
from replay_oracle import settled

from soe_auth import LoginTimedOut
from soe_auth.actions.login import login, start_login
from soe_auth.actions.login_io import StartedLogin
from soe_auth.cli.console import Console
from soe_auth.cli.terminal_io import login_io
from soe_auth.fast.early_browser import start_early
from soe_auth.fast.recorder import Recorder
from soe_auth.files.lock import try_lock, wait_for_lock
from soe_auth.loopback.sockets import bind
from soe_auth.sandbox import Sandbox
from soe_auth.settings.resolve import resolve

pytestmark = pytest.mark.posix("only Linux has the early browser")


class Place:
    """A home with one profile, of which a login can be recorded."""

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
        """The address that the browser was started with; waits for it."""
        while not self.opened.exists() or not self.opened.read_text().endswith("\n"):
            os.sched_yield()
        return self.opened.read_text().strip()

    def record(self, *argv: str) -> None:
        """Record a login, as if its files were old."""
        recorder = Recorder(argv or ("login",), self.environ, settled)
        recorder.begins()
        recorder.logged_in(resolve({}, environ=self.environ))

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
    place.record()
    early = place.start()
    assert early
    yield early
    with suppress(OSError):  # the test has cancelled it
        early.cancel()


def test_the_browser_is_started_early_at_a_bound_port(place: Place, started: StartedLogin) -> None:
    assert place.tab == started.sockets.url(started.launch_path)
    assert not place.is_free
    started.cancel()
    assert place.is_free
    bind(started.sockets.port, "localhost").close()


# --- no early browser ---


def test_another_command_line_starts_no_early_browser(place: Place) -> None:
    place.record()
    client_id = ["login", "--client-id", "110"]
    for argv in (
        ["login", "-p", "acme"],
        ["login", "--no-browser"],
        client_id,
        ["login", "--timeout", "5m"],
        ["login", "x"],
    ):
        assert place.start(*argv) is None
    assert place.is_free
    assert not place.opened.exists()


def make_public(name: str) -> Callable[[Place], None]:
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
    "break_state",
    [
        make_public("tokens"),
        make_public("locks"),
        a_link_for_a_token,
        no_browser,
        a_broken_browser,
        a_changed_file,
    ],
)
def test_an_unusual_state_starts_no_early_browser(
    place: Place, break_state: Callable[[Place], None]
) -> None:
    place.record()
    break_state(place)
    assert place.start() is None
    assert place.is_free
    assert not place.opened.exists()


@pytest.mark.usefixtures("started")
def test_no_early_browser_starts_while_the_lock_is_held(place: Place) -> None:
    assert place.tab
    place.opened.unlink()
    assert place.start() is None
    assert not place.opened.exists()


def test_no_early_browser_starts_if_the_port_is_taken(place: Place) -> None:
    taken = bind(0, "localhost")
    place.write('client_id = "110"', f"port = {taken.port}")
    place.record()
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
def test_a_login_with_more_conditions_is_not_recorded(place: Place, line: str) -> None:
    place.write('client_id = "110"', line)
    place.record()
    assert place.start() is None
    assert not place.opened.exists()


def test_no_early_browser_starts_for_a_project_file(place: Place, tmp_path: Path) -> None:
    (tmp_path / ".soe-auth.toml").write_text('site = "acme"\n')
    place.record()
    assert place.start() is None
    assert not place.opened.exists()


@pytest.mark.slow
def test_an_early_login_for_other_settings_is_cancelled(
    place: Place, started: StartedLogin
) -> None:
    place.write('client_id = "110"', 'redirect_host = "127.0.0.1"')
    settings = resolve({"timeout": "1s"}, environ=place.environ)
    port = started.sockets.port
    io = login_io(settings, Console(place.environ), browser=False)
    with pytest.raises(LoginTimedOut):
        login(settings, io, started)
    assert place.is_free
    bind(port, "localhost").close()


def test_an_early_login_keeps_its_port_and_its_lock(place: Place, started: StartedLogin) -> None:
    settings = resolve({}, environ=place.environ)
    io = login_io(settings, Console(place.environ))
    with (
        io.login_lock.acquire(settings.profile, started.release),
        start_login(settings, io, started) as pending,
    ):
        assert pending.address == place.tab
        assert not place.is_free
    assert place.is_free


def test_a_released_lock_is_free_although_a_child_has_its_descriptor(
    tmp_path: Path,
) -> None:
    release = try_lock(tmp_path / "lock")
    assert release
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # until the other end is closed
        os._exit(0)
    release()
    again = try_lock(tmp_path / "lock")
    os.close(reading)
    os.close(writing)
    os.waitpid(child, 0)
    assert again
    again()


def test_a_lock_is_exclusive_until_its_release(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    release = try_lock(path)
    assert release
    assert try_lock(path) is None
    release()
    again = try_lock(path)
    assert again
    again()


def test_waiting_for_a_lock_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waits: list[float] = []
    release = wait_for_lock(path, wait=waits.append)
    with pytest.raises(TimeoutError, match="another process"):
        wait_for_lock(path, wait=waits.append)
    assert 5 < sum(waits) < 15
    wait_for_lock(path, wait=lambda _: release())()


@pytest.fixture
def known(tmp_path: Path, site: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, for a user with a recorded login and a scripted browser that signs in."""
    monkeypatch.chdir(tmp_path)
    command = Command(tmp_path, {"BROWSER": BROWSER}, cwd=tmp_path)
    live_in(command.home, monkeypatch)
    place = Place(tmp_path)
    place.write('client_id = "110"', site=site.url)
    place.environ = command.environ
    place.record()
    return command


@pytest.mark.needs("strace")
@pytest.mark.process
def test_the_browser_starts_before_the_command_line_is_parsed(
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
    (browser,) = (
        n
        for n, line in enumerate(lines)
        if "execve" in line and "scripted_brow" in line  # strace cuts words at 32
    )
    parser = next(n for n, line in enumerate(lines) if "/argparse" in line)
    assert browser < parser
    assert "Opening http://localhost:" in done.stderr
    assert "Signed in to localhost" in done.stderr
    assert known("status", "--check").returncode == 0


@pytest.mark.process
def test_two_recorded_logins_at_once_open_one_browser(known: Command, site: Sandbox) -> None:
    slow = known.with_variables(BROWSER=f"sh -c 'sleep 1; exec {BROWSER} \"$0\"'")
    with ThreadPoolExecutor() as pool:
        codes = sorted(done.returncode for done in pool.map(lambda _: slow("login"), range(4)))
    assert codes == [0, 4, 4, 4]
    assert len(site.exchanges) == 1
