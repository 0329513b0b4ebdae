"""Ctrl-C and a closed console on Windows: one line, at once, and nothing is left taken."""

import socket
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from conftest import Command
from windows_console import Terminal, press_ctrl_c
from windows_login import (
    BROWSER,
    CLIENT,
    addresses_of,
    is_free,
    profile_of,
    run_alone,
    wait_until_free,
)

from soe_auth.sandbox import Quirks, Sandbox, running

if TYPE_CHECKING:
    from subprocess import Popen

pytestmark = [
    pytest.mark.skipif(sys.platform != "win32", reason="runs the command as a Windows process"),
    pytest.mark.process,
    pytest.mark.alone,
    pytest.mark.timeout(180),
]

AT_ONCE = 2.0  # seconds, on a machine that has other things to do


@pytest.fixture(scope="module")
def site() -> Iterator[Sandbox]:
    with running(strict=True) as sandbox:
        yield sandbox


def interrupt(process: "Popen[str]") -> str:
    """Send Ctrl-C, see that the process ends as it should, and return its last words."""
    press_ctrl_c(process.pid)
    before = time.monotonic()
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - before < AT_ONCE
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    return stderr


def until_it_says(process: "Popen[str]", words: str) -> None:
    assert process.stderr
    output = ""
    while words not in output:
        line = process.stderr.readline()
        assert line, f"it ended with {process.wait()}: {output}"
        output += line


def test_ctrl_c_while_waiting_for_the_browser_or_another_login(
    soe_auth: Command, site: Sandbox
) -> None:
    named = ("--site", site.url, *CLIENT)
    config = soe_auth("config", "set", "-p", profile_of(site), "site", site.url)
    assert config.returncode == 0, config.stderr
    soe_auth("config", "set", "-p", profile_of(site), "client_id", "110")
    with run_alone(soe_auth, "login", *named, "--no-browser") as first:
        try:
            addresses = addresses_of(first)
            with run_alone(soe_auth, "token", "--login") as second:
                until_it_says(second, "Waiting for another login in progress")
                assert interrupt(second) == "\nsoe-auth: interrupted.\n"
            assert not is_free(soe_auth, profile_of(site))
            assert interrupt(first) == "\nsoe-auth: interrupted.\n"
        finally:
            first.kill()
    assert is_free(soe_auth, profile_of(site))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", addresses.port))


def test_ctrl_c_during_an_exchange_that_hangs(soe_auth: Command) -> None:
    with running(strict=True, quirks=Quirks(token="hang")) as site:
        argv = ("login", "--site", site.url, *CLIENT, "--browser", BROWSER)
        with run_alone(soe_auth, *argv) as login:
            try:
                while not site.exchanges:
                    assert login.poll() is None
                    time.sleep(0.05)
                assert interrupt(login).endswith("\nsoe-auth: interrupted.\n")
            finally:
                login.kill()
        assert is_free(soe_auth, profile_of(site))
    assert list((soe_auth.home / "config" / "tokens").iterdir()) == []


@pytest.mark.parametrize(
    ("redirect", "asked_for"),
    [("loopback", "copy its address here"), ("login_success", "paste the address")],
)
def test_ctrl_c_on_a_console_that_accepts_a_pasted_address(
    soe_auth: Command, site: Sandbox, redirect: str, asked_for: str
) -> None:
    argv = ["login", "--site", site.url, *CLIENT, "--no-browser", "--redirect", redirect]
    with Terminal([soe_auth.path, *argv], soe_auth.environ) as terminal:
        terminal.expect(asked_for)
        press_ctrl_c(terminal.process_id)
        before = time.monotonic()
        shown = terminal.expect("soe-auth: interrupted.")
        assert time.monotonic() - before < AT_ONCE
        assert terminal.wait() == 130
        assert "Traceback" not in shown
        assert "The input ended" not in shown


def test_closing_the_console_ends_a_login_and_frees_the_lock(
    soe_auth: Command, site: Sandbox
) -> None:
    argv = ["login", "--site", site.url, *CLIENT, "--no-browser"]
    with Terminal([soe_auth.path, *argv], soe_auth.environ) as terminal:
        terminal.expect("copy its address here")
        assert not is_free(soe_auth, profile_of(site))
        terminal.close()
        assert wait_until_free(soe_auth, profile_of(site))
        terminal.wait()
