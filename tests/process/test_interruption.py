"""Ctrl-C and other signals at any moment: one line, exit 130, no partial file, at once."""

import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.request import urlopen

import pexpect
import pytest
from conftest import BROWSER, Command, unmeasured

from soe_auth.sandbox import Quirks, Sandbox, running

pytestmark = [
    pytest.mark.posix("sends POSIX signals, to processes on pseudo-terminals"),
    pytest.mark.process,
    pytest.mark.alone,
    pytest.mark.timeout(120),
]

AT_ONCE = 0.15  # seconds
MOMENTS = int(os.environ.get("INTERRUPTED_MOMENTS", "40"))

# The interpreter's own start is not ours: from where we read the command line on, it says so.
FROM_OUR_FIRST_LINE = """
import sys
from soe_auth.__main__ import entry_point

class CommandLine(list):
    def __getitem__(self, which):
        print("ready", file=sys.stderr, flush=True)
        return super().__getitem__(which)

sys.argv = CommandLine(sys.argv)
entry_point()
"""


# Raised from our first line on, and where what ends a weak reference raises it.
RAISING = """
import sys, weakref
from soe_auth.__main__ import entry_point

def fail(*_):
    {how}

class CommandLine(list):
    def __getitem__(self, which):
        {where}
        return super().__getitem__(which)

sys.argv = CommandLine(sys.argv)
entry_point()
"""
HERE = "fail()"
WHERE_PYTHON_IGNORES_IT = "weakref.ref({1}, fail)"


def interrupt(process: "subprocess.Popen[str]", number: int = signal.SIGINT) -> tuple[float, str]:
    """Send a signal; return how many seconds the process still ran, and its stderr."""
    before = time.monotonic()
    process.send_signal(number)
    process.wait(timeout=10)
    duration = time.monotonic() - before
    assert process.stderr
    return duration, process.stderr.read()


def start(command: Command, *argv: str, timed: bool = False) -> "subprocess.Popen[str]":
    """Start a command; one that is timed goes without coverage, which has much to do at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", FROM_OUR_FIRST_LINE, *argv],
        env=unmeasured(command.environ) if timed else command.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    assert process.stderr.readline() == "ready\n"
    return process


def until_it_waits(login: "subprocess.Popen[str]") -> None:
    """Read what it tells, up to the address for a browser elsewhere."""
    assert login.stderr
    while "/oauth?" not in login.stderr.readline():
        assert login.poll() is None


def test_ctrl_c_at_any_moment_prints_one_line_exits_at_once_and_leaves_no_file(
    soe_auth: Command, site: Sandbox
) -> None:
    site.quirks = Quirks(token="hang")
    whole = 1.2  # seconds, in which all is loaded, the browser has come and the exchange hangs
    durations = []
    for moment in range(MOMENTS):
        with start(
            soe_auth,
            *("login", "--site", site.url, "--client-id", "110", "--browser", BROWSER),
            timed=True,
        ) as login:
            time.sleep(whole * (moment / MOMENTS) ** 2)  # more of them where more happens
            duration, stderr = interrupt(login)
            assert login.returncode == 130, stderr
            assert stderr.endswith("\nsoe-auth: interrupted.\n"), stderr
            assert "Traceback" not in stderr
            assert "Exception" not in stderr
            durations.append(duration)
    files = {path.suffix for path in (soe_auth.home / "config").rglob("*") if path.is_file()}
    assert files == {".lock"}
    assert statistics.median(durations) < AT_ONCE
    assert max(durations) < 1


def raising(command: Command, how: str, where: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", RAISING.format(how=how, where=where), "token"],
        env=command.environ,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(
    ("how", "where"),
    [
        ("raise KeyboardInterrupt", HERE),
        # As Python 3.11 makes of it while a class is being made.
        ("raise RuntimeError('__set_name__') from KeyboardInterrupt()", HERE),
        ("raise KeyboardInterrupt", WHERE_PYTHON_IGNORES_IT),
    ],
    ids=["as it is", "as another error", "where Python ignores it"],
)
def test_ctrl_c_prints_one_line_in_any_form_that_python_gives_it(
    soe_auth: Command, how: str, where: str
) -> None:
    done = raising(soe_auth, how, where)
    assert (done.returncode, done.stderr) == (130, "\nsoe-auth: interrupted.\n")


# The last step takes longer than the time that an interrupted command has, as under coverage.
LEAVING_SLOWLY = """
import os, sys, time
from soe_auth.__main__ import entry_point

def leave_slowly(code, leave=os._exit):
    time.sleep(0.5)
    leave(code)

os._exit = leave_slowly
entry_point()
"""


def test_ctrl_c_prints_one_line_however_long_the_exit_takes(
    soe_auth: Command, site: Sandbox
) -> None:
    with subprocess.Popen(
        [
            *(sys.executable, "-c", LEAVING_SLOWLY),
            *("login", "--site", site.url, "--client-id", "110", "--no-browser"),
        ],
        env=unmeasured(soe_auth.environ),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as login:
        until_it_waits(login)
        _, stderr = interrupt(login)
    assert (login.returncode, stderr) == (130, "\nsoe-auth: interrupted.\n")


def test_a_bug_is_not_reported_as_ctrl_c(soe_auth: Command) -> None:
    done = raising(soe_auth, "raise RuntimeError('a bug')", HERE)
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError: a bug\n")
    ignored = raising(soe_auth, "raise RuntimeError('a bug')", WHERE_PYTHON_IGNORES_IT)
    assert ignored.returncode == 3
    assert "RuntimeError: a bug\n" in ignored.stderr


def test_ctrl_c_ends_the_exchange_at_once(soe_auth: Command) -> None:
    durations = []
    for _ in range(3):
        with (
            running(strict=True, quirks=Quirks(token="hang")) as site,
            start(
                soe_auth,
                *("login", "--site", site.url, "--client-id", "110", "--browser", BROWSER),
                timed=True,
            ) as login,
        ):
            while not site.exchanges:
                assert login.poll() is None
                time.sleep(0.01)
            duration, stderr = interrupt(login)
            assert login.returncode == 130
            assert "Traceback" not in stderr
            durations.append(duration)
    assert statistics.median(durations) < AT_ONCE


def test_ctrl_c_ends_the_paste_line_at_once(soe_auth: Command, site: Sandbox) -> None:
    child = pexpect.spawn(
        soe_auth.path,
        ["login", "--site", site.url, "--client-id", "110", "--no-browser"],
        env=soe_auth.environ,
        encoding="utf-8",
        timeout=15,
    )
    child.delaybeforesend = None
    child.expect("copy its address here")
    urlopen_nothing(child.before)  # the listener answers, so all is loaded
    before = time.monotonic()
    child.sendintr()
    child.expect(pexpect.EOF)
    assert time.monotonic() - before < 2 * AT_ONCE  # the terminal between us takes its time
    child.close()
    assert child.exitstatus == 130
    assert "Traceback" not in child.before
    assert "soe-auth: interrupted." in child.before


def urlopen_nothing(stderr: str) -> None:
    launch = re.findall(r"http://localhost:\d+/\S{8}\s", stderr)[0].strip()
    with pytest.raises(OSError, match="404"):
        urlopen(launch[:-8] + "favicon.ico")  # noqa: S310  # our own loopback


def test_a_second_ctrl_c_changes_nothing(soe_auth: Command, site: Sandbox) -> None:
    with start(
        soe_auth, "login", "--site", site.url, "--client-id", "110", "--no-browser"
    ) as login:
        until_it_waits(login)
        for _ in range(5):
            login.send_signal(signal.SIGINT)
        assert login.wait(10) == 130
        assert login.stderr
        assert login.stderr.read() == "\nsoe-auth: interrupted.\n"


def test_an_ignored_signal_stays_ignored(soe_auth: Command, site: Sandbox) -> None:
    with subprocess.Popen(
        ["nohup", soe_auth.path, "login", "--no-browser", "--site", site.url, "--client-id", "110"],
        env=soe_auth.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as login:
        until_it_waits(login)
        login.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            login.wait(0.5)
        _, stderr = interrupt(login)
        assert login.returncode == 130
        assert stderr == "\nsoe-auth: interrupted.\n"


@contextmanager
def stderr_that_is(kind: str) -> Iterator[int]:
    """Yield a standard error that is a full disk, or a pipe that no process reads."""
    reader, writer = os.pipe()
    with ExitStack() as stack:
        stack.callback(os.close, writer)
        match kind:
            case "full disk":
                os.close(reader)
                os.dup2(stack.enter_context(open("/dev/full", "wb")).fileno(), writer)  # noqa: PTH123
            case "pipe without a reader":
                os.close(reader)
            case _:
                stack.callback(os.close, reader)
                os.set_blocking(writer, False)
                with suppress(BlockingIOError):
                    while True:
                        os.write(writer, b"x" * 4096)
                os.set_blocking(writer, True)
        yield writer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("kind", ["", "full disk", "pipe without a reader", "full pipe", "closed"])
def test_sigterm_exits_at_once_if_stderr_can_be_written_or_not(
    soe_auth: Command, site: Sandbox, number: signal.Signals, kind: str
) -> None:
    argv = ["login", "--site", site.url, "--client-id", "110", "--no-browser"]
    if not kind:
        with start(soe_auth, *argv) as login:
            until_it_waits(login)
            duration, output = interrupt(login, number)
        assert (login.returncode, output) == (128 + number, "\nsoe-auth: interrupted.\n")
        assert duration < 1
        return
    waiting = soe_auth.home / "config" / "locks" / f"localhost-{site.port}.waiting"
    closing = ["sh", "-c", 'exec "$@" 2>&-', "sh"] if kind == "closed" else []
    with (
        stderr_that_is(kind) as stderr,
        subprocess.Popen(
            [*closing, soe_auth.path, *argv],
            env=soe_auth.environ,
            stdin=subprocess.DEVNULL,
            stderr=stderr,
        ) as process,
    ):
        while not waiting.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(5) == 128 + number


def test_ctrl_c_ends_the_wait_for_another_login_at_once(soe_auth: Command, site: Sandbox) -> None:
    named = ("--site", site.url, "--client-id", "110")
    with start(soe_auth, "login", *named, "--no-browser") as first:
        until_it_waits(first)
        with start(soe_auth, "login", "--if-needed", *named) as second:
            assert second.stderr
            assert "Waiting for another login in progress" in second.stderr.readline()
            duration, stderr = interrupt(second)
            assert second.returncode == 130
            assert stderr == "\nsoe-auth: interrupted.\n"
            assert duration < 1
        first.kill()


# A name server that hears every question and answers none.
DEAF_NAME_SERVER = """
import fcntl, os, socket, struct, subprocess, sys
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 0x49))  # SIOCSIFFLAGS: up, running
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.1", 53))
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/resolv.conf"], check=True)
login = subprocess.Popen(sys.argv[2:], stderr=subprocess.PIPE, text=True)
while "/oauth?" not in (line := login.stderr.readline()):
    assert line
from urllib.parse import parse_qs, urlsplit
query = parse_qs(urlsplit(line.strip()).query)
redirect = urlsplit(query["redirect_uri"][0])
browser = socket.create_connection(("127.0.0.1", redirect.port))
browser.sendall(
    f"GET {redirect.path}?code=x&state={query['state'][0]} HTTP/1.1\\r\\n"
    f"Host: localhost:{redirect.port}\\r\\n\\r\\n".encode()
)
silent.recv(512)  # it asks for the site's address, for the exchange
import signal, time
before = time.monotonic()
login.send_signal(signal.SIGINT)
code = login.wait()
print(code, time.monotonic() - before, login.stderr.read())
"""


@pytest.mark.as_root
def test_ctrl_c_does_not_wait_for_a_name_server(soe_auth: Command) -> None:
    resolver = soe_auth.home / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\n")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        [
            *("unshare", "--net", "--mount", *as_root),
            *(sys.executable, "-c", DEAF_NAME_SERVER, str(resolver), soe_auth.path),
            *("login", "--site", "https://silent.test", "--client-id", "1", "--no-browser"),
        ],
        env=soe_auth.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    code, duration, stderr = done.stdout.split(" ", 2)
    assert (code, stderr.strip()) == ("130", "soe-auth: interrupted.")
    assert float(duration) < 1
