"""Whole logins on Windows: the installed command, a practice site, a browser, and the way back."""

import asyncio
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from conftest import Command
from hostile_requests import REFUSED, REQUESTS, Target
from windows_console import Terminal
from windows_login import (
    BROWSER,
    CLIENT,
    Addresses,
    browse,
    end_of,
    is_free,
    profile_of,
    waiting_login,
)

from soe_auth.sandbox import Account, Sandbox, running

pytestmark = [
    pytest.mark.skipif(sys.platform != "win32", reason="runs the command as a Windows process"),
    pytest.mark.process,
    pytest.mark.timeout(180),
]

ELSEWHERE = Account(7, 77, "Дженни 李", "jenny@example.com", "Registered")


@pytest.fixture(scope="module")
def site() -> Iterator[Sandbox]:
    with running(strict=True) as sandbox:
        yield sandbox


def tokens_of(command: Command) -> list[str]:
    return [
        json.loads(path.read_text(encoding="utf-8"))["access_token"]
        for path in (command.home / "config" / "tokens").glob("*.json")
    ]


def test_first_login_second_login_and_logout(soe_auth: Command, site: Sandbox) -> None:
    first = soe_auth("login", "--site", site.url, *CLIENT, "--browser", BROWSER)
    assert first.returncode == 0, first.stderr
    assert "in your browser" in first.stderr
    assert f"Signed in to localhost:{site.port} as Jane Doe, profile " in first.stderr
    assert f"Saved profile {profile_of(site)}" in first.stderr
    token = tokens_of(soe_auth)

    again = soe_auth.with_variables(SOE_AUTH_BROWSER=BROWSER)("login", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["account"] == "Jane Doe"
    assert "Saved" not in again.stderr
    assert tokens_of(soe_auth) != token
    assert is_free(soe_auth, profile_of(site))

    status = soe_auth("status", "--json", "--verify")
    [profile] = json.loads(status.stdout)["profiles"]
    assert (profile["account"], profile["verified"]) == ("Jane Doe", True)

    out = soe_auth("logout")
    assert out.returncode == 0, out.stderr
    assert "revoked" in out.stderr
    assert tokens_of(soe_auth) == []
    assert soe_auth("token").returncode == 3


def test_a_denied_login_is_reported_on_the_page_and_by_the_exit_code(soe_auth: Command) -> None:
    # On its own site: once approved, the application is not shown again.
    with (
        running(strict=True) as site,
        waiting_login(soe_auth, site.url) as (login, addresses),
    ):
        page = browse(addresses.launch, refuse=True)
        code, output, stderr = end_of(login)
    assert (code, output) == (4, ""), stderr
    assert "You chose Cancel on the site" in stderr
    assert "refused" in page.text


def test_an_unfinished_login_times_out(soe_auth: Command, site: Sandbox) -> None:
    with waiting_login(soe_auth, site.url, "--timeout", "2s") as (login, addresses):
        code, _, stderr = end_of(login)
    assert code == 4
    assert "timed out after 2 s; no browser" in stderr
    assert is_free(soe_auth, profile_of(site))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", addresses.port))  # the port is free again


def test_the_redirect_may_be_to_127_0_0_1(soe_auth: Command, site: Sandbox) -> None:
    by_number = ("--client-id", "111", "--redirect-host", "127.0.0.1")
    with waiting_login(soe_auth, site.url, *by_number) as (login, addresses):
        assert addresses.redirect_uri.startswith(f"http://127.0.0.1:{addresses.port}/")
        assert "Jane Doe" in browse(addresses.launch).text
        code, _, stderr = end_of(login)
    assert code == 0, stderr


def test_a_name_that_the_pipe_cannot_encode_is_not_an_error(soe_auth: Command) -> None:
    command = soe_auth.with_variables(PYTHONIOENCODING="cp437")
    with (
        running(strict=True, accounts=[ELSEWHERE]) as site,
        waiting_login(command, site.url) as (login, addresses),
    ):
        assert ELSEWHERE.name in browse(addresses.launch).text
        code, _, stderr = end_of(login)
        assert code == 0, stderr
        assert "as ?????? ?, profile" in stderr
        shown = command("status")
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "?????? ?" in shown.stdout
        known = json.loads(command("status", "--json").stdout)
        assert known["profiles"][0]["account"] == ELSEWHERE.name


# --- other requests to the port ---


def _send(port: int, data: bytes) -> bytes:
    """Send bytes on a connection of their own, and return the answer, whenever it comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(4096), b""))


async def _all_at_once(target: Target) -> dict[str, bytes]:
    answers = await asyncio.gather(*(target.send(make(target)) for make in REQUESTS.values()))
    return dict(zip(REQUESTS, answers, strict=True))


def _break_off(port: int, data: bytes) -> None:
    """Connect, send, and have the connection reset."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh", 1, 0))


def test_no_stray_request_ends_a_login_or_gets_more_than_a_short_page(
    soe_auth: Command, site: Sandbox
) -> None:
    with waiting_login(soe_auth, site.url) as (login, addresses):
        path = addresses.redirect_uri.partition(f":{addresses.port}")[2]
        target = Target(addresses.port, path, addresses.state)
        wrong = _send(addresses.port, target.request(f"{path}?code=x&state=wrong"))
        assert wrong.startswith(b"HTTP/1.1 400 ")
        answers = asyncio.run(_all_at_once(target))
        assert {name for name, answer in answers.items() if not REFUSED.match(answer)} == set()
        assert sum(answer != b"" for answer in answers.values()) > len(answers) / 2
        for data in (b"", b"GET / HT", target.request("/"), target.request(target.good)[:-2]):
            for _ in range(5):
                _break_off(addresses.port, data)
        before = time.monotonic()
        _send(addresses.port, target.request("/favicon.ico"))
        assert time.monotonic() - before < 2  # none of them caused a delay
        assert login.poll() is None
        assert "Jane Doe" in browse(addresses.launch).text
        code, output, stderr = end_of(login)
    assert (code, output) == (0, ""), stderr
    assert "Traceback" not in stderr
    assert "Exception" not in stderr
    assert addresses.state not in stderr


def test_idle_connections_do_not_block_the_browser(soe_auth: Command, site: Sandbox) -> None:
    with waiting_login(soe_auth, site.url) as (login, addresses):
        idle = [socket.create_connection(("127.0.0.1", addresses.port)) for _ in range(200)]
        assert "Jane Doe" in browse(addresses.launch).text
        code, _, stderr = end_of(login)
        for connection in idle:
            connection.close()
    assert code == 0, stderr
    assert "Exception" not in stderr


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  # taken for a moment
def test_no_other_program_gets_the_port_of_a_login(
    soe_auth: Command, site: Sandbox, address: str
) -> None:
    with waiting_login(soe_auth, site.url) as (_, addresses), socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match=r"10013|10048"):  # WSAEACCES, WSAEADDRINUSE
            other.bind((address, addresses.port))


def test_a_busy_port_is_reported(soe_auth: Command, site: Sandbox) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        login = soe_auth("login", "--site", site.url, *CLIENT, "--port", port)
        sandbox = soe_auth("sandbox", "--port", port)
    assert login.returncode == 4
    assert f"port {port} cannot be bound: another program uses it." in login.stderr
    assert sandbox.returncode == 2
    assert f"Cannot bind port {port} from --port: another program uses it." in sandbox.stderr


# --- redirect = login_success ---


def _address_after(addresses: Addresses) -> str:
    return browse(addresses.authorize).url


def test_the_redirected_address_is_read_from_a_pipe(soe_auth: Command, site: Sandbox) -> None:
    own_page = ("--client-id", "112", "--redirect", "login_success")
    with waiting_login(soe_auth, site.url, *own_page, stdin=subprocess.PIPE) as (login, addresses):
        assert login.stdin
        login.stdin.write(f"nonsense\r\n{_address_after(addresses)}\r\n")
        login.stdin.flush()
        assert login.wait(60) == 0  # with the pipe open
        assert login.stderr
        stderr = login.stderr.read()
    assert "Cannot use this address" in stderr
    assert "as Jane Doe, profile " in stderr
    with waiting_login(soe_auth, site.url, *own_page, stdin=subprocess.PIPE) as (login, addresses):
        code, _, stderr = end_of(login)
    assert code == 4
    assert "the input ended before an address was pasted." in stderr
    nothing = soe_auth.started("login", "--redirect", "login_success")
    code, _, stderr = end_of(nothing)
    assert code == 2
    assert "needs a terminal or a pipe" in stderr


def test_an_address_is_pasted_on_a_console_and_the_command_gets_the_next_line(
    soe_auth: Command, site: Sandbox
) -> None:
    own_page = ["--client-id", "112", "--redirect", "login_success"]
    argv = ["login", "--site", site.url, "--no-browser", *own_page]
    with Terminal([soe_auth.path, *argv], soe_auth.environ) as terminal:
        shown = terminal.expect("paste the address")
        authorize = next(word for word in shown.split() if "/oauth?" in word)
        terminal.type(f"nonsense\r{_address_after(Addresses('', authorize))}\r")
        assert terminal.wait() == 0
        assert "as Jane Doe, profile " in terminal.text
    name = next((soe_auth.home / "config" / "tokens").iterdir())
    name.unlink()
    again = [soe_auth.path, "run", "--login", "--", sys.executable, "-c", "print(input('? ')*2)"]
    environ = soe_auth.with_variables(
        SOE_AUTH_BROWSER=BROWSER, SOE_AUTH_REDIRECT="loopback", SOE_AUTH_CLIENT_ID="110"
    ).environ
    with Terminal(again, environ) as terminal:
        terminal.expect("? ")
        terminal.type("line\r")
        terminal.expect("lineline")
        assert terminal.wait() == 0
