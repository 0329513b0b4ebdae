"""A login of the installed command as a Windows process, and a user's browser within the test."""

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from conftest import Command
from windows_console import OWN_CONSOLE

from soe_auth.files.lock import try_lock
from soe_auth.sandbox import Sandbox
from soe_auth.sandbox.scripted_browser import VisitedPage, scripted_browser_command, visit

BROWSER = scripted_browser_command()
CLIENT = ("--client-id", "110")


@dataclass(frozen=True)
class Addresses:
    """The addresses that a login without a browser shows: the short local one, and the site's."""

    launch: str
    authorize: str

    @property
    def port(self) -> int:
        """The port that the listener is at."""
        return urlsplit(self.redirect_uri).port or 0

    @property
    def redirect_uri(self) -> str:
        """Where the site sends the browser back to."""
        return self._sent("redirect_uri")

    @property
    def state(self) -> str:
        """The state that the answer has to bring back."""
        return self._sent("state")

    def _sent(self, name: str) -> str:
        return parse_qs(urlsplit(self.authorize).query)[name][0]


def browse(url: str, *, refuse: bool = False) -> VisitedPage:
    """Do in a browser what a user would, up to the last page."""
    return asyncio.run(visit(url, refuse=refuse))


def run_alone(command: Command, *argv: str) -> "subprocess.Popen[str]":
    """Start the command with a console of its own, which Ctrl-C can be sent to."""
    return subprocess.Popen(
        [command.path, *argv],
        env=command.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        creationflags=OWN_CONSOLE,
    )


@contextmanager
def waiting_login(
    command: Command, url: str, *more: str, stdin: int = subprocess.DEVNULL
) -> Iterator[tuple["subprocess.Popen[str]", Addresses]]:
    """Start a login without a browser, and read what it tells until it waits for one."""
    argv = ("login", "--site", url, *CLIENT, "--no-browser", *more)
    with command.started(*argv, stdin=stdin) as login:
        try:
            yield login, addresses_of(login)
        finally:
            login.kill()


def addresses_of(login: "subprocess.Popen[str]") -> Addresses:
    """Read what a login tells, until the site's address."""
    assert login.stderr
    output = ""
    while "/oauth?" not in output:
        line = login.stderr.readline()
        assert line, f"it ended with {login.wait()}: {output}"
        output += line
    launch = re.search(r"http://\S+:\d+/\S{8}$", output, re.MULTILINE)
    return Addresses(launch[0] if launch else "", output.split()[-1])


def end_of(process: "subprocess.Popen[str]", timeout: float = 60) -> tuple[int, str, str]:
    """Wait for the end of a process; return its exit code, its output and its last words."""
    output, stderr = process.communicate(timeout=timeout)
    return process.returncode, output, stderr


def is_free(command: Command, profile: str) -> bool:
    """Return whether the login lock of a profile is free."""
    release = try_lock(command.home / "config" / "locks" / f"{profile}.lock")
    if release:
        release()
    return release is not None


def wait_until_free(command: Command, profile: str, timeout: float = 5) -> bool:
    """Return whether the login lock of a profile becomes free within that many seconds."""
    until = time.monotonic() + timeout
    while not is_free(command, profile):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def profile_of(site: Sandbox) -> str:
    """Return the name that the first login to a sandbox gives its profile."""
    return f"localhost-{site.port}"
