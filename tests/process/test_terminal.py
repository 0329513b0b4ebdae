"""The paste line, consent and questions, on a pseudo-terminal."""

import asyncio
import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pexpect
import pytest
from conftest import BROWSER, Command, Start, Terminal, end_of
from fake_programs import program

from soe_auth.sandbox import Sandbox
from soe_auth.sandbox.scripted_browser import visit

pytestmark = [
    pytest.mark.posix("types at a pseudo-terminal"),
    pytest.mark.process,
]

CTRL_D = "\x04"  # which ends the input at the beginning of a line


def by_hand(start: Start, site: Sandbox) -> tuple[Terminal, str]:
    """Start a login to the site's own page, and return it with the address it asks to open."""
    child = start(
        "login",
        *("--site", site.url, "--client-id", "112"),
        *("--redirect", "login_success", "--no-browser"),
    )
    child.expect(r"(http://\S+/oauth\?\S+)")
    address = child.match[1]
    child.expect("paste the address")
    return child, address


def by_enter(start: Start, site: Sandbox, **where: str) -> tuple[Terminal, str]:
    """Start a login that the site answers with an error page, and press Enter."""
    argv = ("login", "--site", site.url, "--client-id", "112", "--browser", BROWSER)
    child = start(*argv, **where)
    child.expect("If the site shows an error about redirect_uri, press Enter.")
    child.send("\r")
    child.expect(r"(http://\S+/oauth\?\S+login_success\S+)")
    address = child.match[1]
    child.expect("paste the address")
    return child, address


@pytest.mark.parametrize(
    "begin",
    [by_hand, partial(by_enter, container="flatpak"), partial(by_enter, SSH_TTY="/dev/pts/0")],
    ids=["the flag", "Enter at a desk", "Enter over SSH"],
)
def test_the_pasted_address_of_the_sites_own_page_signs_in(
    start: Start,
    site: Sandbox,
    soe_auth: Command,
    begin: Callable[[Start, Sandbox], tuple[Terminal, str]],
) -> None:
    child, address = begin(start, site)
    child.sendline(asyncio.run(visit(address)).url)
    code, text = end_of(child)
    assert code == 0
    assert "Signed in to localhost" in text
    assert "with redirect login_success" in text
    assert soe_auth("token").returncode == 0
    assert soe_auth("config", "get", "redirect").stdout == "login_success\n"


def test_the_address_of_the_sites_own_page_can_be_piped(soe_auth: Command, site: Sandbox) -> None:
    argv = ("login", "--site", site.url, "--client-id", "112", "--no-browser")
    own_page = ("--redirect", "login_success")
    with soe_auth.started(*argv, *own_page, stdin=subprocess.PIPE) as login:
        assert login.stdin
        assert login.stderr
        while "/oauth?" not in (line := login.stderr.readline()):
            assert line
        login.stdin.write(f"{asyncio.run(visit(line.strip())).url}\n")
        login.stdin.flush()
        assert login.wait(20) == 0  # the pipe is open still
        assert "as Jane Doe, profile " in login.stderr.read()
    ended = soe_auth("login", *own_page)
    assert ended.returncode == 4
    assert "the input ended before an address was pasted." in ended.stderr


@pytest.mark.parametrize("more", [["login"], ["login", "--if-needed"], ["token", "--login"]])
def test_a_pipe_for_other_programs_is_not_read(
    soe_auth: Command, site: Sandbox, more: list[str]
) -> None:
    variables = {"SITE": site.url, "CLIENT_ID": "112", "REDIRECT": "login_success"}
    if more == ["login"]:
        variables |= {"CLIENT_ID": "110", "REDIRECT": "loopback", "TIMEOUT": "1s"}
    command = soe_auth.with_variables(**{f"SOE_AUTH_{key}": to for key, to in variables.items()})
    read, write = os.pipe()
    os.write(write, b"for others\n")
    with command.started(*more, stdin=read) as login:
        _, stderr = login.communicate(timeout=20)
    assert login.returncode in {2, 4}
    assert ("needs a terminal or a pipe" in stderr) == (more != ["login"])
    os.set_blocking(read, False)
    assert os.read(read, 99) == b"for others\n"
    os.close(read)
    os.close(write)


def test_invalid_pasted_text_is_refused_and_the_paste_line_stays_open(
    start: Start, site: Sandbox
) -> None:
    child, address = by_hand(start, site)
    ended = asyncio.run(visit(address)).url
    child.sendline(parse_qs(urlsplit(ended).query)["code"][0])
    child.expect("a code alone cannot be checked; paste the whole address")
    child.sendline(ended.replace("state=", "state=x"))
    child.expect("the state is not this login's")
    child.sendline(address)
    child.expect("does not begin with")
    child.sendline("")
    child.expect("Paste the address of the browser's last page, then press Enter:")
    child.sendline(ended)
    assert end_of(child)[0] == 0


def test_a_pasted_error_ends_a_loopback_login(start: Start, site: Sandbox) -> None:
    child = start("login", "--site", site.url, "--client-id", "110", "--no-browser")
    child.expect(r"(http://\S+/oauth\?\S+)")
    query = parse_qs(urlsplit(child.match[1]).query)
    child.expect("If it shows an error page")
    child.sendline(f"{query['redirect_uri'][0]}?error=access_denied&state={query['state'][0]}")
    code, text = end_of(child)
    assert code == 4
    assert "access_denied" in text


def test_ctrl_c_at_the_paste_line_ends_the_login(start: Start, site: Sandbox) -> None:
    child, _ = by_hand(start, site)
    child.sendintr()
    code, text = end_of(child)
    assert code == 130
    assert "soe-auth: interrupted." in text
    assert "Traceback" not in text


def test_ctrl_d_at_the_paste_line_ends_the_login(start: Start, site: Sandbox) -> None:
    child, _ = by_hand(start, site)
    child.sendeof()
    code, text = end_of(child)
    assert code == 4
    assert "input ended before an address was pasted" in text


def test_exchange_reads_its_secrets_without_echo_and_needs_a_line_of_text(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    pair = json.loads(soe_auth("pkce", "--json").stdout)
    own = ("--site", site.url, "--client-id", "112")
    url = soe_auth("url", *own, "--code-challenge", pair["code_challenge"]).stdout.strip()
    query = parse_qs(urlsplit(asyncio.run(visit(url)).url).query)
    for no_text in (CTRL_D, "\udcff\n"):
        child = start("exchange", *own)
        child.expect("Code: ")
        os.write(child.fileno(), no_text.encode("utf-8", "surrogateescape"))
        code, text = end_of(child)
        assert code == 2
        assert "soe-auth: Cannot read the code: type a line of UTF-8 text." in text
    child = start("exchange", *own)
    child.expect("Code: ")
    child.sendline(query["code"][0])
    child.expect("Code verifier: ")
    child.sendline(pair["code_verifier"])
    code, text = end_of(child)
    assert code == 0
    assert pair["code_verifier"] not in text
    assert query["code"][0] not in text


def test_without_visual_and_editor_a_usual_editor_runs(
    start: Start, soe_auth: Command, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    unset = {"VISUAL": "", "EDITOR": ""}
    for name in ("vi", "editor"):
        program(programs, name, f"echo {name} >>{tmp_path}/ran")
        code, text = end_of(start("config", "edit", PATH=str(programs), **unset))
        assert code == 0, text
    assert (tmp_path / "ran").read_text() == "vi\neditor\n"
    code, text = end_of(start("config", "edit", PATH=str(tmp_path), **unset))
    assert code == 2
    assert "Cannot find an editor." in text
    assert f"or edit {soe_auth.home / 'config' / 'config.toml'} yourself" in text


# --- consent to a site that only a repository names ---


@pytest.fixture
def checkout(tmp_path: Path, site: Sandbox) -> Path:
    root = tmp_path / "checkout"
    (root / ".git").mkdir(parents=True)
    (root / ".soe-auth.toml").write_text(f'site = "{site.url}"\nclient_id = 110\n')
    return root


LOGIN = ("login", "--browser", BROWSER)


def expect_question(child: Terminal, checkout: Path, site: Sandbox) -> None:
    child.expect(r"(?s)(\S+) names the site (\S+), outside .*Sign in there\? \[y/N\] ")
    assert (child.match[1], child.match[2]) == (str(checkout / ".soe-auth.toml"), site.url)


@pytest.mark.parametrize("argv", [LOGIN, (*LOGIN, "-q")], ids=len)
def test_consent_is_asked_once(
    start: Start, checkout: Path, site: Sandbox, soe_auth: Command, argv: tuple[str, ...]
) -> None:
    child = start(*argv, cwd=checkout)
    expect_question(child, checkout, site)
    assert site.exchanges == []
    child.sendline("y")
    assert end_of(child)[0] == 0
    code, text = end_of(start(*argv, cwd=checkout))
    assert code == 0
    assert "Sign in there?" not in text
    config = soe_auth.home / "config" / "config.toml"
    assert config.read_text() == f'trusted_sites = ["{site.url}"]\n'
    assert soe_auth.within(checkout)(*argv).returncode == 0  # without a terminal, from now on


@pytest.mark.parametrize("answer", ["\n", "n\n", "yess\n", "\udcff\n", CTRL_D])
def test_any_answer_but_yes_is_a_no(
    start: Start, checkout: Path, site: Sandbox, soe_auth: Command, answer: str
) -> None:
    child = start(*LOGIN, cwd=checkout)
    expect_question(child, checkout, site)
    os.write(child.fileno(), answer.encode("utf-8", "surrogateescape"))
    code, text = end_of(child)
    assert code == 2
    assert "you have not agreed to it" in text
    assert "Traceback" not in text
    assert not (soe_auth.home / "config" / "config.toml").exists()


def test_ctrl_c_at_the_question_ends_the_login(
    start: Start, checkout: Path, site: Sandbox, soe_auth: Command
) -> None:
    child = start(*LOGIN, cwd=checkout)
    expect_question(child, checkout, site)
    child.sendintr()
    code, text = end_of(child)
    assert code == 130
    assert "soe-auth: interrupted." in text
    assert "Traceback" not in text
    assert not (soe_auth.home / "config" / "config.toml").exists()


def test_no_question_is_asked_if_stderr_is_no_terminal(checkout: Path, soe_auth: Command) -> None:
    quiet = f"exec {soe_auth.path} login 2>{checkout}/log"
    child = pexpect.spawn("sh", ["-c", quiet], env=soe_auth.environ, cwd=checkout, timeout=15)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2
    assert "you have not agreed to it" in (checkout / "log").read_text()


# --- a terminal that others use as well ---


def test_a_waiting_login_shows_one_line_and_removes_it_at_the_end(
    soe_auth: Command, site: Sandbox
) -> None:
    words = ("login", "--site", site.url, "--client-id", "110", "--browser", "true")
    at_home = soe_auth.with_variables(TERM="xterm", NO_COLOR="1", container="flatpak")
    child = at_home.on_a_terminal(*words)
    child.expect_exact("\r\x1b[KWaiting for your browser … ")
    child.expect_exact("\r\x1b[KIf the site shows an error about redirect_uri, press Enter.\r\n")
    assert "\n" not in child.before
    child.expect_exact("\r\x1b[KWaiting for your browser … ")
    child.sendintr()
    code, text = end_of(child)
    assert code == 130
    assert re.search(r"to stop\)(\^C)?\r\x1b\[K(\r\n)?soe-auth: interrupted\.", text), text


@pytest.mark.parametrize(
    ("browser", "typed_at"),
    [
        (["--browser", BROWSER], "ready"),
        (["--no-browser", "--timeout", "2s"], "ready"),
        (["--client-id", "112", "--browser", BROWSER, "--timeout", "6s"], "press Enter"),
    ],
)
def test_lines_typed_before_or_during_a_login_are_left_for_the_shell(
    soe_auth: Command, site: Sandbox, browser: list[str], typed_at: str
) -> None:
    login = [soe_auth.path, "login", "--site", site.url, "--client-id", "110", *browser]
    script = "stty -echo; echo ready; sleep 1; " + shlex.join(login) + "; head -2"
    environ = {**soe_auth.environ, "container": "flatpak"}  # which is a desk, wherever tests run
    child = pexpect.spawn("sh", ["-c", script], env=environ, timeout=20)
    child.expect(typed_at)
    child.send("echo second\necho third\n")
    child.expect("Signed in|timed out")
    child.expect("echo second\r\necho third")
    child.close()


def test_in_the_background_the_terminal_is_not_read(soe_auth: Command, site: Sandbox) -> None:
    login = [soe_auth.path, "login", "--site", site.url, "--client-id", "110", "--no-browser"]
    child = pexpect.spawn("bash", ["--norc", "-i"], env=soe_auth.environ, timeout=20)
    child.sendline(shlex.join(login))
    child.expect("copy its address here")
    child.send("\x1a")
    child.expect("Stopped")
    child.sendline("bg")
    child.sendline("echo al''ive; sleep 1; jobs")
    child.expect("alive")
    child.expect("Running.*login")
    child.sendline("kill %1; wait; exit")
    child.expect(pexpect.EOF)
    child.close()


def test_input_typed_before_a_question_is_discarded(soe_auth: Command, checkout: Path) -> None:
    script = f"stty -echo; echo ready; sleep 1; exec {soe_auth.path} login --browser true"
    child = pexpect.spawn("sh", ["-c", script], env=soe_auth.environ, cwd=checkout, timeout=20)
    child.expect("ready")
    child.sendline("y")
    child.expect(r"Sign in there\? \[y/N\] ")
    child.sendline("n")
    child.expect("you have not agreed to it")
    child.close()
