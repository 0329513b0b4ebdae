"""The head start of a login: the browser is off before the settings are even read."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import VISITOR, Command

from soe_auth.cli.console import Console
from soe_auth.cli.effects import login_effects
from soe_auth.cli.supply import keep
from soe_auth.headstart import HeadStart, head_start
from soe_auth.locks import by_filelock, by_flock, hold
from soe_auth.recall import Question, asked
from soe_auth.sandbox import Sandbox
from soe_auth.settings import resolve
from soe_auth.sockets import bind


class Place:
    """A home with one profile, whose settings are known from the last time."""

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.config = home / "config"
        self.opened = home / "opened"
        browser = home / "browser"
        browser.write_text(f'#!/bin/sh\necho "$1" >> {self.opened}\n')
        browser.chmod(0o755)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "SOE_AUTH_CONFIG_DIR": str(self.config),
            "XDG_CONFIG_DIRS": str(home / "system"),
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
        question = Question(self.environ, asked("", ""), clock=lambda: time.time_ns() + 10**10)
        settings = resolve({}, environ=self.environ)
        keep(question, settings, Console(self.environ))

    def start(self, *argv: str) -> HeadStart | None:
        return head_start(argv or ("login",), self.environ)

    @property
    def is_free(self) -> bool:
        release = hold(self.config / "locks" / "acme.lock")
        if release:
            release()
        return release is not None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))  # platformdirs looks there
    return Place(tmp_path)


@pytest.fixture
def started(place: Place) -> Iterator[HeadStart]:
    place.know()
    ahead = place.start()
    assert ahead
    yield ahead
    with suppress(OSError):  # the test has given it up
        ahead.give_up()


def test_the_browser_is_sent_to_a_port_that_is_ours(place: Place, started: HeadStart) -> None:
    assert place.tab == started.sockets.url(started.path)
    assert not place.is_free
    started.give_up()
    assert place.is_free
    bind(started.sockets.port, "localhost").close()


def test_another_command_line_is_another_login(place: Place) -> None:
    place.know()
    for argv in (["login", "-p", "acme"], ["login", "--timeout", "5m"], ["login", "x"], ["token"]):
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


def test_a_head_start_for_other_settings_is_given_up(place: Place, started: HeadStart) -> None:
    place.write('client_id = "110"', 'redirect_host = "127.0.0.1"')
    console = Console(place.environ)
    effects = login_effects(resolve({}, environ=place.environ), console, ahead=started)
    assert effects.ahead is None
    with effects.turns.take("acme"):
        pass
    bind(started.sockets.port, "localhost").close()


@pytest.mark.parametrize("take", [by_flock, by_filelock])
def test_a_lock_is_held_by_one_and_free_again(
    tmp_path: Path, take: Callable[[Path], Callable[[], None] | None]
) -> None:
    path = tmp_path / "lock"
    release = take(path)
    assert release
    assert take(path) is None
    release()
    again = take(path)
    assert again
    again()


@pytest.fixture
def known(tmp_path: Path, site: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, for a user whose settings are known and who lets the visitor sign in."""
    monkeypatch.chdir(tmp_path)
    command = Command(tmp_path, {"BROWSER": VISITOR}, cwd=tmp_path)
    monkeypatch.setenv("XDG_CONFIG_DIRS", command.environ["XDG_CONFIG_DIRS"])
    place = Place(tmp_path)
    place.write('client_id = "110"', site=site.url)
    place.environ = command.environ
    place.know()
    return command


@pytest.mark.process
def test_the_browser_is_off_before_the_command_line_is_parsed(
    known: Command, tmp_path: Path
) -> None:
    environ = {k: v for k, v in known.environ.items() if not k.startswith("COVERAGE_")}
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
