"""However many processes ask at once, one tab opens."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import VISITOR, Command

from soe_auth.sandbox import Sandbox

pytestmark = pytest.mark.process

MANY = 12


@pytest.fixture
def tabs(tmp_path: Path) -> Path:
    return tmp_path / "tabs"


@pytest.fixture
def person(signed_in: Command, tabs: Path) -> Command:
    """A command whose token was removed, and whose browser notes each tab that it opens."""
    browser = tabs.with_name("browser")
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tabs}\nexec {VISITOR} "$1"\n')
    browser.chmod(0o755)
    assert signed_in("logout").returncode == 0
    return signed_in.with_variables(BROWSER=str(browser))


def start(command: Command, *argv: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [command.path, *argv],
        env=command.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_many_processes_one_logs_in_and_all_get_its_token(
    person: Command, tabs: Path, site: Sandbox
) -> None:
    before = len(site.exchanges)
    processes = [start(person, "token", "--login") for _ in range(MANY // 2)]
    processes += [start(person, "login", "--if-needed", "-q") for _ in range(MANY // 2)]
    ended = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * MANY, ended
    assert len(tabs.read_text().splitlines()) == 1
    assert len(site.exchanges) == before + 1
    token = person("token").stdout
    assert {out for out, _ in ended} == {token, ""}


def test_a_process_that_is_killed_while_it_waits_frees_the_login(person: Command) -> None:
    with start(person, "login", "--no-browser") as waiting:
        assert waiting.stderr
        while "/oauth?" not in waiting.stderr.readline():
            assert waiting.poll() is None
        busy = person.with_variables(SOE_AUTH_TIMEOUT="1s")("token", "--login")
        assert busy.returncode == 4
        assert "Another login" in busy.stderr
        waiting.kill()
        waiting.communicate(timeout=10)
    assert person("token", "--login").returncode == 0


def test_after_an_unanswered_login_tools_open_no_tab_but_a_person_does(
    person: Command, tabs: Path
) -> None:
    unanswered = person.with_variables(SOE_AUTH_TIMEOUT="1s", BROWSER=sys.executable)
    assert unanswered("token", "--login").returncode == 4
    held_back = person("token", "--login")
    assert (held_back.returncode, held_back.stdout) == (3, "")
    [line] = held_back.stderr.splitlines()
    assert "was not answered" in line
    assert "type `soe-auth login" in line
    assert not tabs.exists()
    assert person("login").returncode == 0
    assert person("token", "--login").returncode == 0
    assert len(tabs.read_text().splitlines()) == 1
