"""However many processes ask at once, one tab opens."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Command
from fake_programs import command_line, noting_browser

from soe_auth.sandbox import Sandbox

pytestmark = pytest.mark.process

MANY = 24
NOBODY = command_line([sys.executable, "-c", "pass"])  # a browser without a user


@pytest.fixture
def tabs(tmp_path: Path) -> Path:
    return tmp_path / "tabs"


@pytest.fixture
def user(signed_in: Command, tabs: Path) -> Command:
    """A command whose token was removed, and whose browser notes each tab that it opens."""
    assert signed_in("logout").returncode == 0
    return signed_in.with_variables(BROWSER=noting_browser(tabs))


@contextmanager
def waiting(command: Command, *argv: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A login that waits for its user, and the address at which it does."""
    with command.started(*argv) as process:
        assert process.stderr
        while not (
            address := re.search(r"http://localhost:\d+/\S{8}(?=\s)", process.stderr.readline())
        ):
            assert process.poll() is None
        yield process, address[0]
        process.communicate(timeout=10)


def test_of_many_processes_one_logs_in_and_all_get_its_token(
    user: Command, tabs: Path, site: Sandbox
) -> None:
    before = len(site.exchanges)
    processes = [user.started("token", "--login") for _ in range(MANY // 2)]
    processes += [user.started("login", "--if-needed", "-q") for _ in range(MANY // 2)]
    ended = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * MANY, ended
    assert len(tabs.read_text().splitlines()) == 1
    assert len(site.exchanges) == before + 1
    token = user("token").stdout
    assert {out for out, _ in ended} == {token, ""}


BY_THREADS_AND_TASKS = """
import asyncio, threading
import soe_auth

tokens = []

def ask():
    tokens.append(soe_auth.login(if_needed=True))

threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()

async def ask_as_tasks():
    tokens.extend(await asyncio.gather(*(soe_auth.alogin(if_needed=True) for _ in range(8))))

asyncio.run(ask_as_tasks())
for thread in threads:
    thread.join()
print(*{token.access_token.reveal() for token in tokens}, len(tokens))
"""


def test_of_threads_tasks_and_processes_one_logs_in(
    user: Command, tabs: Path, site: Sandbox
) -> None:
    before = len(site.exchanges)
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", BY_THREADS_AND_TASKS],
            env=user.environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    command = user.started("token", "--login")
    printed = {program.communicate(timeout=60)[0].strip() for program in programs}
    token = command.communicate(timeout=60)[0].strip()
    assert printed == {f"{token} 16"}
    assert len(tabs.read_text().splitlines()) == 1
    assert len(site.exchanges) == before + 1


def test_a_second_login_shows_the_address_of_the_first(user: Command) -> None:
    with waiting(user.with_variables(BROWSER=NOBODY), "login") as (first, address):
        second = user("login")
        assert (second.returncode, second.stdout) == (4, "")
        said, todo = second.stderr.splitlines()
        assert " is in progress." in said
        assert f"Finish it at {address} in a browser" in todo
        first.kill()


def test_an_explicit_login_that_is_killed_frees_the_next(user: Command) -> None:
    with waiting(user.with_variables(BROWSER=NOBODY), "login") as (first, _):
        busy = user.with_variables(SOE_AUTH_TIMEOUT="1s")("token", "--login")
        assert busy.returncode == 4
        assert "Another login to profile " in busy.stderr
        first.kill()
    assert user("token", "--login").returncode == 0


def test_an_automatic_login_that_is_killed_is_followed_by_no_other_tab(
    user: Command, tabs: Path
) -> None:
    with waiting(user.with_variables(BROWSER=NOBODY), "token", "--login") as (first, _):
        first.kill()
    held_back = user("token", "--login")
    assert held_back.returncode == 3
    assert "the next is allowed in" in held_back.stderr
    assert "type `soe-auth login" in held_back.stderr
    assert not tabs.exists()
    assert user("login").returncode == 0
    assert user("token", "--login").returncode == 0


def test_who_waited_for_a_login_that_was_refused_opens_no_other_tab(
    user: Command, tabs: Path
) -> None:
    refusing = noting_browser(tabs, "--refuse")
    # The scope was not approved before.
    scope = user.with_variables(SOE_AUTH_SCOPE="write_access", BROWSER=refusing)
    processes = [scope.started("token", "--login") for _ in range(4)]
    for process in processes:
        process.communicate(timeout=60)
    assert sorted(process.returncode for process in processes) == [3, 3, 3, 4]
    assert len(tabs.read_text().splitlines()) == 1


def test_after_a_failed_login_tools_open_no_tab_but_a_user_does(user: Command, tabs: Path) -> None:
    unanswered = user.with_variables(SOE_AUTH_TIMEOUT="1s", BROWSER=NOBODY)
    assert unanswered("token", "--login").returncode == 4
    held_back = user("token", "--login")
    assert (held_back.returncode, held_back.stdout) == (3, "")
    [line] = held_back.stderr.splitlines()
    assert "the next is allowed in" in line
    assert "type `soe-auth login" in line
    assert not tabs.exists()
    assert user("login").returncode == 0
    assert user("token", "--login").returncode == 0
    assert len(tabs.read_text().splitlines()) == 1
