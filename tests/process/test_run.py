"""A command run with the token is as if it had been called itself, but for two variables."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import BROWSER, TOKEN, Command, unmeasured

from soe_auth.cli.main import main
from soe_auth.desktop.process import run_child, split_command
from soe_auth.sandbox import Sandbox
from soe_auth.storage.file_store import FileStore

if sys.platform != "win32":
    import pexpect

KEPT = {getattr(signal, name, None) for name in ("SIGKILL", "SIGSTOP")}  # by the system
SIGNALS = [n for n in signal.valid_signals() if n not in KEPT]
FED = {"SOE_AUTH_TOKEN": "canary(1)*"}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Give the tests' own process back what a command would have taken with it."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


def within(command: Command, *argv: str) -> "subprocess.CompletedProcess[str]":
    """Run the command without coverage, whose hook would be in the child's environment, too."""
    return subprocess.run(
        [*argv],
        env=unmeasured(command.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )


# --- what the command has ------------------------------------------------------------------------


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_command_gets_the_token_and_the_site_and_the_same_environment_otherwise(
    signed_in: Command, site: Sandbox
) -> None:
    token = signed_in("token").stdout.strip()
    located = signed_in.with_variables(LANG="C.UTF-8")  # else Python sets LC_CTYPE (PEP 538)
    output = within(located, located.path, "run", "--", "env", "-0").stdout
    alone = within(located, "env", "-0").stdout
    assert sorted(output.split("\0")) == sorted(
        [*alone.split("\0"), f"SOE_AUTH_TOKEN={token}", f"SOE_AUTH_SITE={site.url}"]
    )


@pytest.mark.posix("a command replaces the process of soe-auth")
@pytest.mark.process
def test_the_token_is_in_the_environment_only(signed_in: Command) -> None:
    token = signed_in("token").stdout.strip()
    command = "import sys; print(open('/proc/self/cmdline').read(), *sys.argv, sys.stdin.read())"
    done = signed_in("run", "-v", "--", sys.executable, "-c", command, "an argument")
    assert "an argument" in done.stdout
    assert token not in done.stdout + done.stderr


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_env_renames_the_variable(signed_in: Command) -> None:
    token = signed_in("token").stdout
    named = signed_in("run", "--env", "API_TOKEN", "printenv", "API_TOKEN", "SOE_AUTH_TOKEN")
    assert named.stdout == token
    named = signed_in.with_variables(**FED)("run", "--env", "API_TOKEN", "--", "env")
    assert "\nAPI_TOKEN=canary(1)*\n" in f"\n{named.stdout}"
    assert named.stdout.count("canary(1)*") == 1


@pytest.mark.parametrize("name", ["", "1ST", "A B", "A=B", "É", "A\n"])
def test_an_invalid_variable_name_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--env", name, "true"], FED) == 2
    assert "cannot hold the token" in capsys.readouterr().err


def test_the_variable_of_the_site_is_reserved(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--env", "SOE_AUTH_SITE", "true"], FED) == 2
    assert "SOE_AUTH_SITE is reserved" in capsys.readouterr().err


# --- the token and its site ----------------------------------------------------------------------


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
def test_a_token_of_the_environment_gets_the_site_of_the_settings(
    soe_auth: Command,
) -> None:
    fed = soe_auth.with_variables(**FED)
    show = ("run", "sh", "-c", 'echo "$SOE_AUTH_TOKEN ${SOE_AUTH_SITE-none}"')
    assert fed(*show).stdout == "canary(1)* none\n"
    named = fed.with_variables(SOE_AUTH_SITE="acme", SOE_AUTH_CLIENT_ID="1")
    assert named(*show).stdout == "canary(1)* https://acme.stackenterprise.co\n"
    assert fed.with_variables(SOE_AUTH_PROFILE="none")(*show).stdout == "canary(1)* none\n"
    wrong = named.with_variables(SOE_AUTH_SITE="not a site")(*show)
    assert (wrong.returncode, wrong.stdout) == (2, "")


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_a_token_of_the_environment_gets_no_site_from_a_project_file_alone(
    soe_auth: Command, tmp_path: Path
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".soe-auth.toml").write_text('site = "elsewhere"\nclient_id = "1"')
    here = soe_auth.with_variables(**FED).within(tmp_path)
    done = here("run", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (2, "")
    assert "soe-auth: Cannot use SOE_AUTH_TOKEN: only " in done.stderr
    assert ".soe-auth.toml says which site it is for.\n  Set SOE_AUTH_SITE too.\n" in done.stderr
    stated = here.with_variables(SOE_AUTH_SITE="elsewhere")
    assert stated("run", "--", "echo", "started").stdout == "started\n"
    own = '[profile.elsewhere]\nsite = "elsewhere"\nclient_id = "1"\n'
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(own)
    assert here("run", "--", "echo", "started").stdout == "started\n"


def test_a_stored_token_keeps_its_site_despite_a_project_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FileStore(tmp_path / "config", report=print)
    store.save("acme", replace(TOKEN, expires_at="never"))
    (tmp_path / ".git").mkdir()
    project = tmp_path / ".soe-auth.toml"
    monkeypatch.chdir(tmp_path)
    environ = {"SOE_AUTH_CONFIG_DIR": str(tmp_path / "config")}
    named = {"profile": "acme", "client_id": "110", "scope": "write_access"}
    for site, code in (("https://acme.stackenterprise.co", 127), ("https://elsewhere.example", 3)):
        project.write_text("".join(f"{k} = '{v}'\n" for k, v in {**named, "site": site}.items()))
        assert main(["run", "--", str(tmp_path / "none")], environ) == code
        assert "canary(1)*" not in "".join(capsys.readouterr())


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_without_a_token_the_command_is_not_started(signed_in: Command) -> None:
    done = signed_in("run", "--min-ttl", "25h", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (3, "")
    assert "use `--min-ttl 16h`" in done.stderr


def without_private_signals(status: str) -> str:
    """Clear signals 32 and 33 in the masks of /proc/PID/status: they are the C library's own.

    posix_spawn(3), which Python uses more often since 3.13, has what it starts ignore them.
    """

    def public(line: re.Match[str]) -> str:
        return f"{line[1]}{int(line[2], 16) & ~(0b11 << 31):016x}"

    return re.sub(r"(Sig\w+:\t)([0-9a-f]{16})", public, status)


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
def test_login_signs_in_first_and_leaves_no_process(soe_auth: Command, site: Sandbox) -> None:
    command = soe_auth.with_variables(
        SOE_AUTH_SITE=site.url, SOE_AUTH_CLIENT_ID="110", BROWSER=BROWSER
    )
    look = "ulimit -c; ls /proc/self/fd; grep 'Sig[^Q]' /proc/self/status; printenv SOE_AUTH_TOKEN"
    done = within(command, command.path, "run", "--login", "--", "sh", "-c", look)
    assert done.returncode == 0, done.stderr
    assert "Signed in" in done.stderr
    as_ever = within(command.with_variables(SOE_AUTH_TOKEN="x"), "sh", "-c", look)
    expected = as_ever.stdout.removesuffix("x\n") + command("token").stdout
    assert without_private_signals(done.stdout) == without_private_signals(expected)


# --- as if it had been called itself -------------------------------------------------------------


@pytest.mark.posix("a command replaces the process of soe-auth")
@pytest.mark.process
def test_the_command_replaces_the_process(soe_auth: Command) -> None:
    fed = soe_auth.with_variables(**FED)
    cat = ("run", "--", "sh", "-c", "echo $$; exec cat")
    with fed.started(*cat, stdin=subprocess.PIPE) as process:
        out, _ = process.communicate("what stdin has\n", timeout=20)
    assert out == f"{process.pid}\nwhat stdin has\n"


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
@pytest.mark.parametrize("code", [0, 1, 3, 42, 255])
def test_the_exit_code_is_that_of_the_command(soe_auth: Command, code: int) -> None:
    fed = soe_auth.with_variables(**FED)
    assert fed("run", "--", "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.posix("a command replaces the process of soe-auth")
@pytest.mark.process
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_signal_ends_the_command(soe_auth: Command, name: str) -> None:
    number = signal.Signals[name]
    fed = soe_auth.with_variables(**FED)
    with fed.started("run", "--", "sh", "-c", "echo ready; exec sleep 60") as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (-number, "")


@pytest.mark.posix("a command replaces the process of soe-auth")
@pytest.mark.process
@pytest.mark.parametrize("nohup", [[], ["nohup"], ["setsid", "nohup"]], ids=" ".join)
def test_signal_handlers_and_open_files_are_the_same_as_without_run(
    soe_auth: Command, nohup: list[str]
) -> None:
    # Not SigQ, which counts the signals queued for all processes of the user.
    status = "grep -E 'Sig[BCIP]|Shd' /proc/self/status"
    look = ("sh", "-c", f"{status}; ls /proc/self/fd; umask; ulimit -a")
    fed = soe_auth.with_variables(**FED)
    through = within(fed, *nohup, soe_auth.path, "run", "--", *look)
    itself = within(fed, *nohup, *look)
    assert without_private_signals(through.stdout) == without_private_signals(itself.stdout)
    ignored = int(through.stdout.split("SigIgn:")[1].split()[0], 16)
    assert bool(ignored & 1 << signal.SIGHUP - 1) == bool(nohup)
    assert not ignored & 1 << signal.SIGPIPE - 1


@pytest.mark.posix("a command replaces the process of soe-auth")
@pytest.mark.process
def test_an_inherited_file_descriptor_is_passed_on(soe_auth: Command) -> None:
    script = f"{soe_auth.path} run -- cat /proc/self/fd/7 7<<end\nhanded on\nend\n"
    assert within(soe_auth.with_variables(**FED), "sh", "-c", script).stdout == "handed on\n"


ON_A_TERMINAL = """
test -t 0 && test -t 1 && read -p "who? " name && echo "it is $name"
trap 'echo trapped; exit 5' INT
echo ready
while :; do sleep .05; done
"""


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.process
def test_the_command_controls_the_terminal(soe_auth: Command) -> None:
    shell = pexpect.spawn(
        "bash",
        ["--norc", "-i"],
        env={**soe_auth.environ, **FED, "PS1": "prompt> ", "TERM": "dumb"},
        encoding="utf-8",
        timeout=15,
        echo=False,
    )
    shell.delaybeforesend = None
    shell.expect("prompt> ")
    script = soe_auth.home / "script"
    script.write_text(ON_A_TERMINAL)
    shell.sendline(f"{soe_auth.path} run -- bash {script}")
    shell.expect(r"who\? ")
    shell.sendline("me")
    shell.expect("it is me")
    shell.expect("ready")
    shell.sendcontrol("z")
    shell.expect("Stopped")
    shell.expect("prompt> ")
    shell.sendline("fg")
    shell.expect("soe-auth")
    shell.sendintr()
    shell.expect("trapped")
    shell.expect("prompt> ")
    shell.sendline("echo code $?")
    shell.expect("code 5")
    shell.close(force=True)


# --- what is the command, and what is ours -------------------------------------------------------


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
@pytest.mark.parametrize(
    ("argv", "output"),
    [
        (["run", "--", "printf", "%s,", "a", "--", "-b"], "a,--,-b,"),
        (["run", "printf", "%s,", "a", "--", "-b"], "a,--,-b,"),
        (["run", "printf", "%s,", "--help", "-p", "--version"], "--help,-p,--version,"),
        (["run", "--", "--", "x"], None),
        (["run", "-v", "--min-ttl", "1m", "printf", "%s,", "-v"], "-v,"),
        (["-q", "-p", "acme", "run", "printf", "%s,", "a b", "$x"], "a b,$x,"),
        (["run", "-q", "-p", "acme", "--", "printf", "%s,", "*"], "*,"),
        (["run", "printf", "%s,", "run", "--env"], "run,--env,"),
    ],
)
def test_options_after_the_command_are_passed_on(
    soe_auth: Command, argv: list[str], output: str | None
) -> None:
    done = soe_auth.with_variables(**FED)(*argv)
    if output is None:
        assert done.returncode == 127
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, output, "")


@pytest.mark.parametrize(
    "argv", [["run"], ["run", "--"], ["run", "--", ""], ["-q", "run", "--login"]]
)
def test_run_without_a_command_is_a_usage_error(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv, FED) == 2
    assert capsys.readouterr().err == (
        "soe-auth: There is no command to run.\n  Put it last: `soe-auth run -- CMD …`.\n"
    )


def test_an_unknown_option_is_a_usage_error() -> None:
    assert main(["run", "--nope", "true"], FED) == 2


def test_a_missing_command_is_exit_127_and_any_other_failure_126(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("no program\n")
    environ = {
        **FED,
        "PATH": "/usr/bin:/bin",
        "SOE_AUTH_SITE": "acme",
        "SOE_AUTH_CONFIG_DIR": str(tmp_path),
    }
    cases = [
        (str(tmp_path / "none"), 127, "No such file or directory"),
        ("no-such\x1b[31m-command", 127, "No such file or directory"),
    ]
    if sys.platform != "win32":  # where the end of its name says what is a program
        cases += [
            (str(tmp_path), 126, "Permission denied"),
            (str(file), 126, "Permission denied"),
            (str(file / "below"), 126, "Not a directory"),
        ]
    for command, code, problem in cases:
        assert main(["run", "--", command], environ) == code
        output = capsys.readouterr()
        shown = command.replace("\x1b", "�")
        assert output.err == f"soe-auth: Cannot run {shown}: {problem}.\n"
        assert output.out == ""
    program = file.rename(tmp_path / "file.exe")
    program.chmod(0o755)
    assert main(["run", "--", str(program)], environ) == 126
    assert sys.platform == "win32" or "Exec format error" in capsys.readouterr().err


# --- where no process can become another ---------------------------------------------------------


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
def test_call_gives_a_child_the_environment_and_returns_its_exit_code(
    tmp_path: Path,
) -> None:
    script = f"import os; print(os.environ, file=open({str(tmp_path / 'env')!r}, 'w')); exit(42)"
    assert run_child([sys.executable, "-c", script], {"SOE_AUTH_TOKEN": "canary(1)*"}) == 42
    assert "canary(1)*" in (tmp_path / "env").read_text()
    with pytest.raises(FileNotFoundError):
        run_child([str(tmp_path / "none")], dict(os.environ))


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
def test_windows_finds_a_command_by_path_and_pathext_and_not_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_, here = tmp_path / "bin", tmp_path / "here"
    for directory, code in ((bin_, 5), (here, 6)):
        directory.mkdir()
        (directory / "tool.cmd").write_text(f"#!/bin/sh\nexit {code}\n")
        (directory / "tool.cmd").chmod(0o755)
    (bin_ / "tool").write_text("#!/bin/sh\nexit 7\n")  # for other shells, as npm has one
    (bin_ / "tool").chmod(0o755)
    monkeypatch.chdir(here)
    environ = {"PATH": str(bin_), "PATHEXT": ".exe;.cmd"}
    assert run_child(["tool"], environ, platform="win32") == 5
    with pytest.raises(FileNotFoundError):
        run_child(["tool"], {**environ, "PATH": ""}, platform="win32")


def test_a_quoted_command_of_windows_keeps_its_backslashes() -> None:
    command = r'"C:\Program Files\Code\code.exe" --wait C:\x\y'
    words = [r"C:\Program Files\Code\code.exe", "--wait", r"C:\x\y"]
    assert split_command(command, platform="win32") == words
    with pytest.raises(ValueError, match="quotation"):
        split_command('"C:', platform="win32")


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
def test_call_leaves_ctrl_c_to_the_child() -> None:
    script = "trap 'exit 5' INT; kill -INT $PPID; kill -INT $$"
    assert run_child(["sh", "-c", script], dict(os.environ)) == 5
