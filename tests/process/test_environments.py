"""The real command without a browser, or with one that misbehaves."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import BROWSER, Command, Terminal, end_of
from fake_programs import program

from soe_auth.sandbox import Sandbox

pytestmark = pytest.mark.process

# Shell scripts that misbehave; `{later}` is a pipe that ends them after the test.
LAUNCHERS = {
    "fails": "exit 3",
    "is killed": "kill -9 $$",
    "writes everywhere": "echo noise; echo noise >&2; echo noise > /dev/tty",
    "blocks": "read line < {later}",
    "reads what is typed": "cat; cat < /dev/tty",
}


@pytest.fixture
def later(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "later"
    os.mkfifo(path)
    held = os.open(path, os.O_RDWR)
    yield path
    os.write(held, b"done\n")
    os.close(held)


@contextmanager
def login_on_a_terminal(command: Command, *argv: str) -> Iterator[Terminal]:
    child = command.on_a_terminal("login", *argv)
    try:
        yield child
    finally:
        child.close(force=True)


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.parametrize("way", LAUNCHERS)
def test_a_misbehaving_browser_command_does_no_harm(
    soe_auth: Command, site: Sandbox, tmp_path: Path, later: Path, way: str
) -> None:
    browser = str(program(tmp_path, "launcher", LAUNCHERS[way].format(later=later)))
    registered = ("--site", site.url, "--client-id", "110")
    with login_on_a_terminal(soe_auth, *registered, "--browser", browser) as child:
        child.expect(r"Opening (http://localhost:\d+/\S+) in your browser")
        screen, address = child.before, child.match[1]
        if way in {"fails", "is killed"}:
            child.expect(r"its command ended with an error\. Open this address:\s+")
            child.expect_exact(address)
        subprocess.run([*BROWSER.split(), address], check=True, timeout=30)
        child.expect("Signed in to localhost")
        screen += child.before
        assert end_of(child)[0] == 0
    assert "noise" not in screen


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.parametrize("mode", [0o644, 0o755], ids=["not executable", "no program"])
def test_without_a_working_browser_command_the_addresses_are_printed(
    soe_auth: Command, site: Sandbox, tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "launcher"
    path.write_bytes(b"\x7fELF is what it begins with")
    path.chmod(mode)
    registered = ("--site", site.url, "--client-id", "110")
    with login_on_a_terminal(soe_auth, *registered, "--browser", str(path)) as child:
        child.expect_exact("(from --browser)")
        child.expect(r"(http://localhost:\d+/\S+)")
        subprocess.run([*BROWSER.split(), child.match[1]], check=True, timeout=30)
        child.expect("Signed in to localhost")


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.parametrize("argv", [("token", "--login"), ("login", "--if-needed")], ids=" ".join)
@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({}, "There is neither a browser nor a terminal here to sign in with"),
        (
            {"CI": "true", "GITHUB_ACTIONS": "true", "DISPLAY": ":99"},
            "This is a CI job (GitHub Actions), and no user is here to sign in",
        ),
    ],
    ids=["bare", "CI"],
)
def test_an_automatic_login_ends_at_once_if_no_user_can_answer(
    signed_in: Command, site: Sandbox, argv: tuple[str, ...], variables: dict[str, str], why: str
) -> None:
    signed_in("logout")
    for _ in range(2):
        done = signed_in.with_variables(**variables)(*argv)
        assert (done.returncode, done.stdout) == (3, "")
        command = f"soe-auth login -p localhost-{site.port}"
        assert " ".join(done.stderr.split()) == (
            f"soe-auth: {why}; type `{command}`, or set SOE_AUTH_TOKEN."
        )


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_a_login_command_in_a_ci_job_prints_advice_and_waits(signed_in: Command) -> None:
    ci = signed_in.with_variables(CI="true")
    done = ci("login", "--timeout", "1s")
    assert done.returncode == 4
    assert "This is a CI job: there may be no user" in done.stderr
    assert "SOE_AUTH_TOKEN" in done.stderr
    assert "http://localhost:" in done.stderr
    assert "/oauth?client_id=110" in done.stderr


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_each_profile_opens_its_own_browser(
    signed_in: Command, site: Sandbox, tmp_path: Path
) -> None:
    arguments = tmp_path / "arguments"
    script = f'echo "$1" "$2" > {arguments}; exec {BROWSER} "$3"'
    config = signed_in.home / "config" / "config.toml"
    text = config.read_text()
    table = f"[profile.localhost-{site.port}]\n"
    assert table in text
    browser = f"browser = \"{program(tmp_path, 'launcher', script)} -P 'at work' %s\"\n"
    config.write_text(text.replace(table, table + browser))
    assert signed_in("login").returncode == 0
    assert arguments.read_text() == "-P at work\n"


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_a_busy_port_is_reported_with_its_holder_and_a_range_skips_it(
    signed_in: Command, site: Sandbox
) -> None:
    busy = signed_in("login", "--port", str(site.port))
    assert busy.returncode == 4
    assert f"port {site.port} is in use by process {os.getpid()} (" in " ".join(busy.stderr.split())
    ports = f"{site.port}-{site.port + 20}"
    done = signed_in("login", "--port", ports, "--browser", BROWSER)
    assert done.returncode == 0, done.stderr
    config = signed_in.home / "config" / "config.toml"
    assert f'port = "{ports}"' in config.read_text()
