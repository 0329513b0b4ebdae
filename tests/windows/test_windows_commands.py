"""The other commands, each as a Windows process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Command
from windows_console import press_ctrl_c
from windows_login import BROWSER, CLIENT, browse, end_of, run_alone, waiting_login

from soe_auth.desktop.detect import ROOT, read_text
from soe_auth.desktop.environment import detect
from soe_auth.sandbox import Sandbox, running

pytestmark = [
    pytest.mark.skipif(sys.platform != "win32", reason="runs the command as a Windows process"),
    pytest.mark.process,
    pytest.mark.timeout(180),
]

PROCESSES = 20


@pytest.fixture(scope="module")
def site() -> Iterator[Sandbox]:
    with running(strict=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory, site: Sandbox) -> Command:
    """The command, after a login of Jane Doe that no test here ends."""
    command = Command(tmp_path_factory.mktemp("signed_in"))
    with waiting_login(command, site.url) as (login, addresses):
        browse(addresses.launch)
        assert end_of(login)[0] == 0
    return command


def token_of(command: Command) -> str:
    [path] = (command.home / "config" / "tokens").glob("*.json")
    found = json.loads(path.read_text(encoding="utf-8"))["access_token"]
    assert isinstance(found, str)
    return found


def output_of(
    command: Command, *argv: str, **streams: int
) -> tuple[int, bytes | None, bytes | None]:
    """Run the command, and return its exit code and the bytes that it wrote."""
    done = subprocess.run(
        [command.path, *argv],
        env=command.environ,
        stdin=subprocess.DEVNULL,
        stdout=streams.get("stdout", subprocess.PIPE),
        stderr=streams.get("stderr", subprocess.PIPE),
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_line_ends_with_a_line_feed_alone(signed_in: Command) -> None:
    plain = f"{token_of(signed_in)}\n".encode()
    assert output_of(signed_in, "token") == (0, plain, b"")
    assert output_of(signed_in, "token", "--min-ttl", "1h", "--output", "-") == (0, plain, b"")
    code, output, _ = output_of(signed_in, "status")
    assert code == 0
    assert output is not None
    assert (b"\r" in output, b"Jane Doe" in output) == (False, True)
    code, _, stderr = output_of(signed_in, "login", "--port", "x")
    assert code == 2
    assert stderr is not None
    assert b"\r" not in stderr


def test_nul_is_not_taken_for_a_terminal(signed_in: Command, tmp_path: Path) -> None:
    nul = subprocess.DEVNULL
    assert output_of(signed_in, "status", stdout=nul) == (0, None, b"")
    assert output_of(signed_in, "status", "-p", "absent", stderr=nul)[0] == 2
    # No user can answer there, though the C library says that NUL is a terminal.
    job = signed_in.with_variables(CI="1", SOE_AUTH_CONFIG_DIR=str(tmp_path))
    variables = {"SOE_AUTH_SITE": "acme", "SOE_AUTH_CLIENT_ID": "110"}
    code, _, stderr = output_of(job.with_variables(**variables), "token", "--login")
    assert code == 3
    assert stderr is not None
    assert b"This is a CI job, and no user is here to sign in" in stderr


def test_a_closed_pipe_is_not_an_error(signed_in: Command) -> None:
    read, write = os.pipe()
    os.close(read)
    for argv in (["token"], ["status"]):
        assert output_of(signed_in, *argv, stdout=write) == (141, None, b"")
    os.close(write)


def test_run_passes_token_arguments_and_exit_code(
    signed_in: Command, site: Sandbox, tmp_path: Path
) -> None:
    variables = "os.environ['SOE_AUTH_TOKEN'], os.environ['SOE_AUTH_SITE']"
    show = f"import os, sys; print({variables}, sys.argv[1:])"
    words = ["a b", 'q"q', "%PATH%", "back\\", ""]
    done = signed_in("run", "--", sys.executable, "-c", show, *words)
    assert done.stdout == f"{token_of(signed_in)} {site.url} {words}\n"
    for code in (0, 7, 3221225786, 4294967295):  # the last but one is STATUS_CONTROL_C_EXIT
        leave = f"import os; os._exit({code - 2**32 if code >= 2**31 else code})"
        assert signed_in("run", sys.executable, "-c", leave).returncode == code
    script = tmp_path / "script.cmd"
    script.write_text("@echo %SOE_AUTH_SITE% %1\r\n@exit /b 9\r\n")
    done = signed_in("run", "--", str(script), "word")
    assert (done.returncode, done.stdout.split()) == (9, [site.url, "word"])
    absent = signed_in("run", "--", "no-such-program")
    assert absent.returncode == 127
    assert "Cannot run no-such-program" in absent.stderr


def test_twenty_processes_at_once_open_one_tab(tmp_path: Path) -> None:
    with running(strict=True) as site:
        tabs = tmp_path / "tabs"
        browser = tmp_path / "browser.py"
        browser.write_text(
            "import sys\n"
            "from soe_auth.sandbox.scripted_browser import run_scripted_browser\n"
            f"with open({str(tabs)!r}, 'a') as file:\n"
            "    print(sys.argv[1], file=file)\n"
            "sys.exit(run_scripted_browser())\n"
        )
        command = Command(tmp_path).with_variables(
            SOE_AUTH_SITE=site.url,
            SOE_AUTH_CLIENT_ID="110",
            SOE_AUTH_BROWSER=subprocess.list2cmdline([sys.executable, str(browser)]),
            SOE_AUTH_TIMEOUT="150s",
        )
        asking = [command.started("token", "--login") for _ in range(PROCESSES)]
        ends = [end_of(process, 150) for process in asking]
        assert {code for code, _, _ in ends} == {0}, ends
        assert {output for _, output, _ in ends} == {f"{token_of(command)}\n"}
        assert len(tabs.read_text().splitlines()) == 1
        assert len(site.exchanges) == 1


def test_init_takes_every_answer_from_options(soe_auth: Command, site: Sandbox) -> None:
    made = soe_auth("init", "--yes", "--share", "--site", site.url, *CLIENT, "-p", "work")
    assert made.returncode == 0, made.stderr
    assert "It answers like an SOE site." in made.stderr
    assert f'site = "{site.url}"' in made.stdout
    config = (soe_auth.home / "config" / "config.toml").read_bytes()
    assert b'client_id = "110"' in config
    assert b"\r" not in config
    missing = soe_auth("init", "--yes")
    assert missing.returncode == 2
    assert "Cannot ask for --site: " in missing.stderr


def test_settings_that_are_set_at_once_are_all_stored(soe_auth: Command) -> None:
    values = {
        "timeout": "1m30s",
        "min_ttl": "1h",
        "port": "8000-8010",
        "redirect_host": "127.0.0.1",
        "scope": "write_access",
        "client_id": "110",
    }
    soe_auth("config", "set", "-p", "work", "site", "acme")
    with ThreadPoolExecutor(len(values)) as pool:
        done = list(
            pool.map(lambda pair: soe_auth("config", "set", "-p", "work", *pair), values.items())
        )
    assert [each.stderr for each in done if each.returncode] == []
    shown = json.loads(soe_auth("config", "list", "-p", "work", "--json").stdout)
    for key, value in values.items():
        assert shown["settings"][key]["value"] == value


def test_no_file_that_another_user_could_create_is_used_for_detection() -> None:
    # Wine shows the files of its Linux here; C:\proc would be made for the purpose.
    assert read_text(f"{ROOT}/proc/version") == ""
    assert detect({}).remote_reason is None


def test_doctor_finds_nothing_wrong_here(signed_in: Command) -> None:
    done = signed_in("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert [found for found in findings if found["verdict"] == "error"] == []
    says = {found["name"]: found["says"] for found in findings}
    assert says["place"].startswith("local: ")
    assert says["browser"] == "default browser of Windows"
    assert {"loopback", "connection", "store"} <= says.keys()


def test_the_sandbox_accepts_a_login_and_ends_with_ctrl_c(soe_auth: Command) -> None:
    with run_alone(soe_auth, "sandbox") as sandbox:
        try:
            assert sandbox.stdout
            url = sandbox.stdout.readline().split()[-1]
            with waiting_login(soe_auth, url) as (login, addresses):
                assert "Jane Doe" in browse(addresses.launch).text
                assert end_of(login)[0] == 0
            press_ctrl_c(sandbox.pid)
            code, _, stderr = end_of(sandbox, 10)
        finally:
            sandbox.kill()
    assert code == 0
    assert stderr.endswith("The sandbox is closed.\n")
    assert "Traceback" not in stderr
    assert "Exception" not in stderr


def test_the_demo_signs_in_and_out_and_leaves_nothing(soe_auth: Command, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    apart = soe_auth.with_variables(TEMP=str(temporary), TMP=str(temporary))
    demo = apart("demo", "--browser", BROWSER)
    assert demo.returncode == 0, demo.stderr
    assert "The API answers: you are Jane Doe." in demo.stderr
    assert "revoked" in demo.stderr
    assert list(temporary.iterdir()) == []
    assert not (soe_auth.home / "config").exists()
