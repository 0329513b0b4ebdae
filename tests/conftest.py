"""Fixtures: a sandbox, the installed command, a separate config directory."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import which
from typing import TypeAlias

import hypothesis
import pytest
from cli_oracle import OF_WINDOWS, Place, directories_in, two_profiles
from filelock import FileLock
from posix_marks import POSIX_TESTS, marked_in
from wine import retry_process_starts

from soe_auth import Scope, Secret, Site, Token
from soe_auth.actions.login_io import LoginIO
from soe_auth.cli.main import main
from soe_auth.sandbox import Sandbox, running
from soe_auth.sandbox.scripted_browser import visit

if sys.platform != "win32":
    import pexpect

TOKEN = Token(
    access_token=Secret("canary(1)*"),
    site=Site.parse("acme"),
    client_id="110",
    scope=Scope.parse("write_access"),
    granted_scope=Scope.parse("write_access"),
    obtained_at=1000.0,
    expires_at=87400.0,
    account="Jane Doe",
)

hypothesis.settings.register_profile("long", max_examples=20_000, deadline=None)
# On Windows, files may be slow to open for what looks into them first.
hypothesis.settings.register_profile("windows", deadline=None)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "windows" if sys.platform == "win32" else "default")
)

pytest_plugins = ["pytester"]

collect_ignore = [] if sys.platform == "win32" else ["windows"]

Terminal: TypeAlias = "pexpect.spawn[str]"
Start: TypeAlias = Callable[..., Terminal]

NOBODY = 65534  # the ID of the system's unprivileged user and group

PR_SET_CHILD_SUBREAPER = (
    36  # of prctl(2): a process whose parent has ended becomes a child of this one
)
TIME_TO_END = 5.0  # seconds that a process may take to end after its test

BROWSER = f"{sys.executable} -m soe_auth.sandbox.scripted_browser"


def pytest_report_header() -> str:
    return f"marked `posix`, so that Windows leaves them out: {POSIX_TESTS} test functions"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Ignore modules marked `posix` on Windows, where the import may fail."""
    if sys.platform == "win32" and collection_path.suffix == ".py":
        return marked_in(collection_path).whole or None
    return None


def pytest_configure() -> None:
    """Handle Ctrl-C, also in a shell's background job; child processes inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    retry_process_starts()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def path_of_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(which, names)), None)


def can_drive_chromium() -> bool:
    """Tell whether Chromium is installed, and the library that Playwright's driver needs."""
    try:
        if sys.platform == "linux":
            ctypes.CDLL("libatomic.so.1")
    except OSError:
        return False
    return path_of_chromium() is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs are not installed; tools/setup names missing packages."""
    if sys.platform == "win32" and (mark := item.get_closest_marker("posix")):
        pytest.skip(f"posix: {mark.args[0]}")
    if item.get_closest_marker("browser") and not can_drive_chromium():
        pytest.skip("Chromium or libatomic is not installed")
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if not which(program):
                pytest.skip(f"{program} is not installed")


def children() -> set[int]:
    """Return the child processes of this one, including ended ones."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # the thread has ended meanwhile
            found.update(map(int, (task / "children").read_text().split()))
    return found


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Fail a test that leaves a process running, and kill the process."""
    if not Path("/proc/thread-self/children").exists():  # Linux has it
        yield
        return
    before = children()
    yield
    deadline = time.monotonic() + TIME_TO_END
    while left := children() - before:
        left = {pid for pid in left if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        if left and time.monotonic() > deadline:
            break
        time.sleep(0.01)
    commands = [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in left]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert not commands, "these processes are left running"


@dataclass(frozen=True)
class Command:
    """The installed `soe-auth`, in an environment without the machine's settings."""

    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None

    @property
    def path(self) -> str:
        name = "soe-auth.exe" if sys.platform == "win32" else "soe-auth"
        return str(Path(sysconfig.get_path("scripts")) / name)

    @property
    def environ(self) -> dict[str, str]:
        kept = ("PATH", "LANG", "TZ", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **OF_WINDOWS,
            **directories_in(self.home),
            "SOE_AUTH_CONFIG_DIR": str(self.home / "config"),
            **self.variables,
        }

    def __call__(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path, *argv],
            env=self.environ,
            cwd=self.cwd,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )

    def started(self, *argv: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
        """Start it without waiting for its end."""
        return subprocess.Popen(
            [self.path, *argv],
            env=self.environ,
            cwd=self.cwd,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def on_a_terminal(self, *argv: str, columns: int = 400) -> Terminal:
        """Start it on a terminal that is wide enough for any address."""
        child = pexpect.spawn(
            self.path,
            list(argv),
            env=self.environ,
            cwd=self.cwd,
            encoding="utf-8",
            codec_errors="replace",
            timeout=20,
            dimensions=(40, columns),
        )
        child.delaybeforesend = None
        return child

    def with_variables(self, **variables: str) -> "Command":
        return replace(self, variables={**self.variables, **variables})

    def on_path(self) -> "Command":
        """Return the command with its directory on PATH."""
        return self.with_variables(
            PATH=f"{Path(self.path).parent}{os.pathsep}{self.environ['PATH']}"
        )

    def within(self, directory: Path) -> "Command":
        return replace(self, cwd=directory)


def as_nobody(work: Callable[[], None], number: int = NOBODY) -> None:
    """Do the work as a user whom file modes restrict: if root, as user and group `number`."""
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        return
    ending = "true"
    try:
        if os.geteuid() == 0:
            os.chdir("/")  # that user may not have access to the current directory
            os.setgid(number)
            os.setuid(number)
        work()
    except BaseException:  # noqa: BLE001  # the child must not go on as a second pytest
        traceback.print_exc()
        ending = "false"
    os.execlp(ending, ending)  # noqa: S606  # it leaves the endings of pytest and coverage out


def let_others_change(path: Path) -> None:
    if sys.platform == "win32":
        from soe_auth.files.windows_acl import write_dacl

        write_dacl(path, "D:(A;;FA;;;WD)")
    else:
        path.chmod(0o666)


def unmeasured(environ: Mapping[str, str]) -> dict[str, str]:
    """Remove coverage's hook, which loads many modules into each process."""
    return {name: value for name, value in environ.items() if not name.startswith("COVERAGE_")}


def end_of(child: Terminal) -> tuple[int | None, str]:
    """Wait for the end of a command on a terminal; return its exit code and last output."""
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, child.before


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Make a directory once for all workers of pytest-xdist; return its path."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    made = base / name
    with FileLock(base / f"{name}.lock"):
        if not made.exists():
            make(unfinished := base / f"{name}.unfinished")
            unfinished.rename(made)
    return made


@pytest.fixture
def site() -> Iterator[Sandbox]:
    with running(strict=True) as sandbox:
        yield sandbox


@pytest.fixture
def soe_auth(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def start(soe_auth: Command) -> Iterator[Start]:
    """Start the command on a terminal, and end it with the test."""
    with ExitStack() as children:

        def start(*argv: str, cwd: Path | None = None, columns: int = 400, **more: str) -> Terminal:
            command = replace(soe_auth, cwd=cwd).with_variables(**more)
            child = command.on_a_terminal(*argv, columns=columns)
            children.callback(child.close, force=True)
            return child

        yield start


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return two_profiles(tmp_path)


@pytest.fixture
def signed_in(soe_auth: Command, site: Sandbox) -> Command:
    """The command, after a first login of Jane Doe to the sandbox.

    The login and its browser run in this process, which takes a tenth of the time.
    """

    def in_process(io: LoginIO) -> LoginIO:
        return replace(io, open_browser=open_browser, disable_core_dumps=lambda: None)

    with ThreadPoolExecutor(1) as browser:

        def open_browser(url: str) -> bool:
            browser.submit(lambda: asyncio.run(visit(url)))
            return True

        argv = ("login", "--site", site.url, "--client-id", "110", "--browser", BROWSER)
        assert main(argv, soe_auth.environ, accelerate=in_process) == 0
    return soe_auth
