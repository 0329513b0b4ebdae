"""A token in the forms that other programs read: each is read back by the real reader."""

import json
import os
import signal
import socket
import stat
import string
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cli_oracle import Place
from conftest import BROWSER, TOKEN, Command
from hypothesis import example, given, settings
from hypothesis import strategies as st

from soe_auth import LoginRequired, Secret
from soe_auth.cli.commands.token import curl_config, export
from soe_auth.cli.json_output import token_json
from soe_auth.cli.main import main
from soe_auth.cli.token_source import TokenSource, retry_until
from soe_auth.sandbox import Sandbox

VISIBLE = "".join(map(chr, range(ord("!"), ord("~") + 1)))
NASTY = [
    "'",
    "\\",
    "\\'",
    "'\\",
    "''",
    "\\\\'",
    '"',
    '\\"',
    "$(id)",
    "`id`",
    "!x",
    "%s",
    "-n",
    "\\n",
]
TOKENS = st.lists(st.text(VISIBLE, min_size=1), min_size=1, max_size=100)

FORMATS: list[tuple[str, ...]] = [
    (),
    ("--format", "plain"),
    ("--format", "header"),
    ("--format", "header", "--api", "v2.3"),
    ("--format", "env"),
    ("--format", "env", "--shell", "fish"),
    ("--format", "env", "--shell", "powershell"),
    ("--format", "env", "--shell", "cmd"),
    ("--format", "json"),
    ("--format", "curl"),
    ("--format", "curl", "--api", "v2.3"),
]

# --- what a shell makes of it --------------------------------------------------------------------


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
@pytest.mark.parametrize(
    ("shell", "program"),
    [
        ("sh", "sh"),
        ("sh", "bash"),
        pytest.param("sh", "dash", marks=pytest.mark.needs("dash")),
        pytest.param("fish", "fish", marks=pytest.mark.needs("fish")),
    ],
)
@settings(max_examples=10, deadline=None)
@given(tokens=TOKENS)
@example(tokens=[VISIBLE, *VISIBLE, *(f"{c}{c}" for c in VISIBLE), *NASTY])
def test_each_shell_reads_the_same_token(shell: str, program: str, tokens: list[str]) -> None:
    lines = [export(Secret(token), shell) for token in tokens]
    script = "\nprintenv SOE_AUTH_TOKEN\n".join([*lines, ""])
    done = subprocess.run(
        [program], input=script, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.splitlines() == tokens
    assert done.stderr == ""


@pytest.mark.parametrize("char", ['"', "%", "!"])
def test_a_token_that_cmd_may_change_is_refused_and_not_shown(
    char: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["token", "--format", "env", "--shell", "cmd"]
    assert main(argv, {"SOE_AUTH_TOKEN": f"canary{char}1"}) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        'soe-auth: Cannot write the token for cmd: it contains ", % or !, which cmd may change.\n'
        "  Run the program with the token in its environment: `soe-auth run -- CMD …`.\n"
    )
    others = "".join(c for c in VISIBLE if c not in '"%!')
    assert main(argv, {"SOE_AUTH_TOKEN": others}) == 0
    assert capsys.readouterr().out == f'set "SOE_AUTH_TOKEN={others}"\n'


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.needs("fish")
@pytest.mark.process
def test_evaluating_the_line_exports_the_token(
    signed_in: Command,
) -> None:
    token = signed_in("token").stdout
    script = f'eval "$({signed_in.path} token --format env)"; printenv SOE_AUTH_TOKEN'
    assert subprocess.check_output(["sh", "-c", script], env=signed_in.environ, text=True) == token
    script = f"{signed_in.path} token --format env --shell fish | source; printenv SOE_AUTH_TOKEN"
    fish = subprocess.check_output(["fish", "-c", script], env=signed_in.environ, text=True)
    assert fish == token


# --- what curl makes of it -----------------------------------------------------------------------


@contextmanager
def listener() -> Iterator[tuple[str, list[str], list[str]]]:
    """A server that keeps each request, and what the process list held while it had it."""
    requests: list[str] = []
    processes: list[str] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                text = b""
                while b"\r\n\r\n" not in text:
                    text += connection.recv(4096)
                for process in Path("/proc").glob("[0-9]*"):
                    try:
                        processes.append((process / "cmdline").read_text(errors="replace"))
                    except OSError:
                        continue
                requests.append(text.decode())
                connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/", requests, processes
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def curl(config: str, *url: str) -> str:
    return subprocess.run(
        ["curl", "-q", "-sS", "--noproxy", "*", "-K", "-", *url],
        input=config,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.needs("curl")
@pytest.mark.process
@pytest.mark.parametrize(
    ("api", "name"), [("v3", "Authorization: Bearer"), ("v2.3", "X-API-Access-Token:")]
)
def test_curl_sends_the_token_and_no_process_list_shows_it(api: str, name: str) -> None:
    tokens = [VISIBLE, *NASTY, *string.punctuation, "canary(1)*"]
    with listener() as (url, requests, processes):
        for token in tokens:
            curl(curl_config(Secret(token), api), url)
    for token, request in zip(tokens, requests, strict=True):
        assert f"\r\n{name} {token}\r\n" in request
    assert any("curl\0" in process for process in processes)
    assert not any(VISIBLE in process or "canary(1)*" in process for process in processes)


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.needs("curl")
@pytest.mark.process
def test_curl_is_authenticated_on_both_apis(signed_in: Command, site: Sandbox) -> None:
    v3 = signed_in("token", "--format", "curl").stdout
    assert json.loads(curl(v3, f"{site.url}/api/v3/users/me"))["name"] == "Jane Doe"
    both = signed_in("token", "--format", "curl", "--for", "users/me").stdout
    assert json.loads(curl(both))["name"] == "Jane Doe"
    for path in ("users/[1-2]?tags={a,b}", "search?query=[python]&x={%7d}"):
        odd = signed_in("token", "--format", "curl", "--for", path).stdout
        called = curl(odd, "-o", os.devnull, "-w", "%{url_effective}\n")
        assert called == f"{site.url}/api/v3/{path}\n"  # curl expands nothing
    v2 = signed_in("token", "--format", "curl", "--api", "v2.3").stdout
    assert json.loads(curl(v2, f"{site.url}/api/2.3/me"))["items"][0]["display_name"] == "Jane Doe"


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.needs("curl")
@pytest.mark.process
def test_each_api_gets_its_header(signed_in: Command, site: Sandbox) -> None:
    token = signed_in("token").stdout
    assert signed_in("token", "--format", "header").stdout == f"Authorization: Bearer {token}"
    v2 = signed_in("token", "--format", "header", "--api", "v2.3").stdout
    assert v2 == f"X-API-Access-Token: {token}"
    for header, path in ((v2, "api/2.3/me"), (f"Authorization: Bearer {token}", "api/v3/users/me")):
        options = ("--noproxy", "*", "--compressed", "-H", header.strip())
        got = subprocess.check_output(
            ["curl", "-q", "-sS", *options, f"{site.url}/{path}"], text=True
        )
        assert "Jane Doe" in got


# --- JSON ----------------------------------------------------------------------------------------


def test_json_has_the_same_keys_for_every_token_source() -> None:
    obtained = time.time()
    token = replace(TOKEN, obtained_at=obtained, expires_at=obtained + 86400)
    stored = json.loads(token_json("acme", token, token.access_token))
    given_one = json.loads(token_json(None, None, Secret("x")))
    assert list(stored) == list(given_one)
    assert list(json.loads(token_json("acme", token))) == list(stored)[:-1]
    assert stored["version"] == given_one["version"] == 1
    assert (stored["profile"], stored["site"]) == ("acme", "https://acme.stackenterprise.co")
    assert stored["access_token"] == "canary(1)*"
    assert obtained + 86400 - time.time() - 1 < stored["seconds_left"] <= 86400
    known = {key for key, value in given_one.items() if value is not None}
    assert known == {"version", "warnings", "access_token"}


# --- what is printed, and what is not ------------------------------------------------------------


@pytest.mark.parametrize("options", FORMATS, ids=" ".join)
def test_each_format_prints_the_token_only(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", *options], {"SOE_AUTH_TOKEN": "canary(1)*"}) == 0
    output = capsys.readouterr()
    assert output.out.count("canary(1)*") == 1
    assert output.out.endswith("\n")
    assert output.err == ""


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://acme.stackenterprise.co", None),
        ("https://ACME.stackenterprise.co:443/api/v3/users/me?page=2", None),
        ("https://beta.stackenterprise.co/api/v3/users/me", "the token is for https://acme."),
        ("https://acme.stackenterprise.co.example/", "the token is for https://acme."),
        ("https://acme.stackenterprise.co:8443/", "the token is for https://acme."),
        ("http://acme.stackenterprise.co/", "the token is for https://acme."),
        ("https://x@acme.stackenterprise.co/", "must not have a user name"),
        ("https://beta.stackenterprise.co\\@acme.stackenterprise.co/", "no spaces, backslashes"),
        ("https://beta.stackenterprise.co#@acme.stackenterprise.co/", "no spaces, backslashes"),
        ("https://acme.stackenterprise.co/a b", "no spaces"),
        ("https://[", "IPv6"),
        ("acme.stackenterprise.co", "write the whole URL"),
        ("", "write the whole URL"),
    ],
)
def test_the_token_is_printed_only_for_a_url_of_its_site(
    place: Place, url: str, problem: str | None
) -> None:
    variables = {"SOE_AUTH_TOKEN": "canary(1)*", "SOE_AUTH_SITE": "acme"}
    for where in (place, replace(place, variables=variables)):
        for form in ("plain", "header", "env", "json"):
            output = where.long("token", "--format", form, "--for", url)
            if problem is None:
                assert (output.code, output.err) == (0, "")
                assert output.out == where.long("token", "--format", form).out
            else:
                assert (output.code, output.out) == (2, "")
                assert problem in output.err


@pytest.mark.parametrize(
    ("url", "options", "line", "header"),
    [
        ("users/me", [], "api/v3/users/me", "Authorization: Bearer "),
        ("/api/v3/users/me?a={1,2}", [], "api/v3/users/me?a={1,2}", "Authorization: Bearer "),
        ("me", ["--api", "v2.3"], "api/2.3/me", "X-API-Access-Token: "),
        ("https://acme.stackenterprise.co", [], "", "Authorization: Bearer "),
        ("https://acme.stackenterprise.co/api/2.3/me", [], "api/2.3/me", "X-API-Access-Token: "),
    ],
)
def test_the_curl_format_has_the_url_too(
    place: Place, url: str, options: list[str], line: str, header: str
) -> None:
    output = place.long("token", "--format", "curl", "--for", url, *options)
    assert (output.code, output.err) == (0, "")
    assert output.out.splitlines()[:3] == [
        "globoff",
        f'url = "https://acme.stackenterprise.co/{line}"',
        f'header = "{header}token-of-work"',
    ]
    assert place.long("token", "--format", "curl", "--for", "https://b/", *options).code == 2
    assert place.long("token", "--format", "curl", "--for", '/"', *options).code == 2


def test_a_token_without_a_trusted_site_is_printed_for_no_url(
    place: Place,
) -> None:
    there = replace(place, variables={"SOE_AUTH_TOKEN": "canary(1)*"})
    (there.cwd / ".soe-auth.toml").write_text('site = "beta"\n')
    for form, url in ("plain", "https://beta.stackenterprise.co/"), ("curl", "users/me"):
        output = there.long("token", "--format", form, "--for", url)
        assert (output.code, output.out) == (2, "")
        assert ".soe-auth.toml says which site it is for.\n  Set SOE_AUTH_SITE too." in output.err
    (there.cwd / ".soe-auth.toml").unlink()
    (there.config / "config.toml").unlink()
    for words in ["token", "--format", "curl", "--for", "users/me"], ["api", "users/me"]:
        output = there.long(*words)
        assert (output.code, output.out) == (2, "")
        assert "no setting says which site it is for.\n  Set SOE_AUTH_SITE too." in output.err


def test_no_browser_is_opened_for_a_url_of_another_site(place: Place) -> None:
    (place.config / "tokens" / "work.json").unlink()
    url = "https://beta.stackenterprise.co/"
    for option in ["--login"], ["--wait", "1h"]:
        output = place.long("token", *option, "--for", url)
        assert (output.code, output.out) == (2, "")
        assert "the token is for https://acme.stackenterprise.co" in output.err


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--api", "v3"], "use --format header or curl"),
        (["--api", "v2.3", "--format", "env"], "use --format header or curl"),
        (["--api", "v3", "--format", "json"], "use --format header or curl"),
        (["--shell", "sh"], "use --format env"),
        (["--shell", "fish", "--format", "curl"], "use --format env"),
        (["--wait", "soon"], "Cannot read wait from --wait: write a duration"),
    ],
)
def test_an_option_without_a_meaning_is_an_error(
    options: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", *options], {"SOE_AUTH_TOKEN": "canary(1)*"}) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert hint in output.err


@pytest.mark.parametrize(
    "options",
    [
        ["--wait", "5m", "--login"],
        ["--format", "xml"],
        ["--format", "env", "--shell", "tcsh"],
        ["--format", "curl", "--api", "v4"],
        ["-o"],
    ],
)
def test_an_unknown_value_is_a_usage_error(options: list[str]) -> None:
    assert main(["token", *options], {"SOE_AUTH_TOKEN": "canary(1)*"}) == 2


# --- to a file -----------------------------------------------------------------------------------


def token_to(file: Path | str, *options: str) -> int:
    return main(["token", "-o", str(file), *options], {"SOE_AUTH_TOKEN": "canary(1)*"})


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_the_output_file_is_private_and_stdout_is_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    assert token_to(file) == 0
    assert file.read_text() == "canary(1)*\n"
    assert sys.platform == "win32" or stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o666)
    assert token_to(file, "--format", "curl") == 0
    assert file.read_text() == 'header = "Authorization: Bearer canary(1)*"\n'
    assert sys.platform == "win32" or stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")


def test_a_dash_is_stdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert token_to("-") == 0
    assert capsys.readouterr().out == "canary(1)*\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix("symbolic links and pipes in the file system")
def test_an_unsafe_output_file_is_refused_and_unchanged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    old.write_text("old\n")
    (tmp_path / "link").symlink_to(old)
    (tmp_path / "second name").hardlink_to(old)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for name, problem in {
        "link": "it is a link",
        "second name": "it has a second name (a hard link), by which it can be changed",
        "pipe": "it is not a regular file",
        "directory": "it is not a regular file",
        "none/token": "No such file or directory",
        "old/token": "Not a directory",
    }.items():
        before = sorted(tmp_path.iterdir())
        assert token_to(tmp_path / name) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err == (
            f"soe-auth: Cannot write the token to {tmp_path / name}: {problem}.\n"
            "  Name a new file or one of your own, in an existing directory.\n"
        )
        assert sorted(tmp_path.iterdir()) == before
        assert old.read_text() == "old\n"


# --- waiting for a login -------------------------------------------------------------------------


@contextmanager
def waiting(command: Command, *argv: str) -> "Iterator[subprocess.Popen[str]]":
    """A command that waits, from when it says so."""
    with command.started(*argv) as process:
        try:
            assert process.stderr
            line = process.stderr.readline()
            assert line.endswith(" Waiting up to 60 s for a login …\n"), line
            yield process
        finally:
            process.kill()


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_wait_gets_the_token_of_a_later_login(soe_auth: Command, site: Sandbox) -> None:
    with waiting(soe_auth, "token", "--wait", "1m") as script:
        login = soe_auth("login", "--site", site.url, "--client-id", "110", "--browser", BROWSER)
        assert login.returncode == 0, login.stderr
        out, err = script.communicate(timeout=10)
    assert (script.returncode, err) == (0, "")
    assert out == soe_auth("token").stdout


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_wait_times_out_on_a_short_token_and_says_so_despite_quiet(
    signed_in: Command,
) -> None:
    done = signed_in("-q", "token", "--min-ttl", "25h", "--wait", "1s", "--format", "json")
    assert (done.returncode, done.stdout) == (3, "")
    first, last = done.stderr.splitlines()
    assert "less than min_ttl (25 h)" in first
    assert first.endswith(" Waiting up to 1 s for a login …")
    assert f"soe-auth: {first.partition(' Waiting')[0]}" == last
    assert "use `--min-ttl 16h`" in last


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_wait_prints_a_settings_warning_once(signed_in: Command, site: Sandbox) -> None:
    odd = signed_in.with_variables(SOE_AUTH_SITE=f"{site.url}/questions")
    done = odd("token", "--min-ttl", "25h", "--wait", "2s")
    assert done.returncode == 3
    assert done.stderr.count("is ignored") == 1


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_invalid_settings_end_the_wait(soe_auth: Command) -> None:
    with waiting(soe_auth, "token", "--wait", "1m") as script:
        (soe_auth.home / "config").mkdir()
        (soe_auth.home / "config" / "config.toml").write_text("nonsense\n")
        out, err = script.communicate(timeout=10)
    assert (script.returncode, out) == (2, "")
    assert "config.toml" in err


@pytest.mark.posix("sends a POSIX signal")
@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_wait_at_once(soe_auth: Command, number: signal.Signals) -> None:
    with waiting(soe_auth, "token", "--wait", "1m") as script:
        before = time.monotonic()
        script.send_signal(number)
        out, err = script.communicate(timeout=10)
        assert time.monotonic() - before < 1
    assert (script.returncode, out, err) == (128 + number, "", "\nsoe-auth: interrupted.\n")


def test_wait_returns_at_once_if_there_is_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--wait", "5m"], {"SOE_AUTH_TOKEN": "x"}) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == ("x\n", "")


def test_wait_polls_twice_a_second_and_once_at_the_end() -> None:
    clock, looks = [100.0], []

    def look() -> TokenSource:
        looks.append(clock[0])
        raise LoginRequired("no user yet")

    def pause(seconds: float) -> None:
        clock[0] += seconds

    with pytest.raises(LoginRequired, match="no user yet"):
        retry_until(look, 1.75, now=lambda: clock[0], pause=pause)
    assert looks == [100.0, 100.5, 101.0, 101.5, 101.75]


def test_wait_0_looks_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--wait", "0"], {"SOE_AUTH_CONFIG_DIR": str(tmp_path)}) == 3
    assert capsys.readouterr().out == ""
