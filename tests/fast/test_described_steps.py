"""The steps of a login that the design page lists are those that are taken."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_oracle import live_in
from conftest import BROWSER, Command
from docs_parser import DESIGN, PACKAGE
from replay_oracle import settled

from soe_auth.cli.main import main
from soe_auth.fast.recorder import Recorder
from soe_auth.sandbox import Sandbox
from soe_auth.settings.resolve import resolve


@pytest.fixture
def user(soe_auth: Command) -> Command:
    return soe_auth.with_variables(BROWSER=BROWSER)


# Runs a command, and writes down our functions in the order in which each is first called. The body
# of a module or a class, which is no function, has no CO_OPTIMIZED among its flags.
NOTED = """
import inspect, os, sys, threading
import soe_auth
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
root, seen = os.path.dirname(soe_auth.__file__) + os.sep, set()

def note(frame, event, _):
    code = frame.f_code
    is_function = code.co_flags & inspect.CO_OPTIMIZED
    if event == "call" and is_function and code not in seen and code.co_filename.startswith(root):
        seen.add(code)
        os.write(log, f"{code.co_filename[len(root):]}: {code.co_qualname}\\n".encode())

from soe_auth.__main__ import entry_point
sys.argv = ["soe-auth", *sys.argv[2:]]
threading.setprofile(note)
sys.setprofile(note)
entry_point()
"""


def steps_of(heading: str) -> list[str]:
    """Return the functions that a section of the page names, in its order."""
    text = DESIGN.read_text(encoding="utf-8")
    part = re.search(rf"^### {heading}\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    assert part, heading
    found = re.findall(r"`([\w/]+\.py: [\w.]+)`", part[1])
    assert found
    return found


def files_of(called: list[str]) -> set[str]:
    """Return the files that have a function that was called."""
    return {line.partition(":")[0] for line in called}


def first_out_of_order(listed: list[str], called: list[str]) -> str | None:
    """Return the first listed step that was not called after the ones before it."""
    rest = iter(called)
    return next((step for step in listed if step not in rest), None)


def test_every_file_that_the_design_names_is_there() -> None:
    named = set(re.findall(r"`([\w/]+\.py)\b", DESIGN.read_text(encoding="utf-8")))
    assert [path for path in named if not (PACKAGE / path).is_file()] == []


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_described_steps_are_those_that_logins_take(
    user: Command, site: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def called(*argv: str) -> list[str]:
        noted = tmp_path / "noted"
        subprocess.run(
            [sys.executable, "-c", NOTED, noted, *argv],
            env=user.environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=40,
        )
        lines = noted.read_text(encoding="utf-8").splitlines()
        noted.unlink()
        return lines

    first = called("login", "--site", site.url, "--client-id", "110")
    assert first_out_of_order(steps_of("The first login"), first) is None
    assert first_out_of_order(steps_of("The browser during the login"), first) is None

    # How many files a reader has to open for each; these numbers only ever fall.
    assert len(files_of(first)) <= 55, files_of(first)
    assert len(files_of(called("token", "-v"))) <= 24

    live_in(user.home, monkeypatch)
    recorder = Recorder(["login"], user.environ, settled)
    recorder.begins()
    recorder.logged_in(resolve({}, environ=user.environ))
    again = called("login")
    assert first_out_of_order(steps_of("The next login"), again) is None

    recorder = Recorder(["token"], user.environ, settled)
    main(["token"], user.environ, observer=recorder)
    replayed = called("token")
    assert first_out_of_order(steps_of("A token from the cache"), replayed) is None
    assert len(files_of(replayed)) <= 4, files_of(replayed)

    assert user("logout").returncode == 0
    asked_for = called("token", "--login")
    assert first_out_of_order(steps_of("A login that a script asks for"), asked_for) is None
