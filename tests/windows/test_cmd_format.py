"""The line for cmd.exe, read by cmd.exe in the way that the page on scripts shows."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from soe_auth import Secret
from soe_auth.cli.commands.token import export

pytestmark = [
    pytest.mark.skipif(sys.platform != "win32", reason="runs cmd.exe"),
    pytest.mark.parametrize("expansion", ["off", "on"]),  # of `!`, the one that is off by itself
]

Cmd = Callable[[str], list[str]]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "scripts.md"
COMMAND = "soe-auth token --format env --shell cmd"
SHOW = "set SOE_AUTH_TOKEN"

ACCEPTED = "".join(c for c in map(chr, range(ord("!"), ord("~") + 1)) if c not in '"%!')
NASTY = [
    ACCEPTED,
    "&calc&",
    "^&calc^&",
    ")&calc&(",
    "a(1)*",
    "^",
    "\\",
    "=",
    ";a",
    "a,",
    "x" * 4000,
]
TOKENS = [*NASTY, *ACCEPTED, *(c + d for c in ACCEPTED for d in "&|<>^()\\=,;'a")]


@pytest.fixture
def cmd(tmp_path: Path, expansion: str) -> Cmd:
    """Run cmd.exe and return each value of the variable that it showed."""

    def run(arguments: str) -> list[str]:
        done = subprocess.run(
            f"cmd.exe /d /v:{expansion} /c {arguments}",
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        assert done.stderr == ""
        return [line.removeprefix("SOE_AUTH_TOKEN=") for line in done.stdout.splitlines()]

    return run


@pytest.fixture
def documented() -> str:
    """The line of the page, with a file in place of soe-auth."""
    (line,) = [each for each in PAGE.read_text("utf-8").splitlines() if COMMAND in each]
    return line.replace(COMMAND, "type lines")


def write_lines(directory: Path, tokens: list[str]) -> list[str]:
    lines = [export(Secret(token), "cmd") for token in tokens]
    (directory / "lines").write_text("\n".join([*lines, ""]))
    return lines


@pytest.mark.parametrize("token", NASTY)
def test_the_documented_line_sets_the_token_at_the_prompt(
    token: str, documented: str, cmd: Cmd, tmp_path: Path
) -> None:
    write_lines(tmp_path, [token])
    assert cmd(f"{documented}& {SHOW}") == [token]


def test_the_documented_line_sets_the_token_in_a_batch_file(
    documented: str, cmd: Cmd, tmp_path: Path
) -> None:
    write_lines(tmp_path, TOKENS)
    loop, _, body = documented.replace("%", "%%").partition("@")
    (tmp_path / "batch.bat").write_text(f"@echo off\n{loop}(\n{body}\n{SHOW}\n)\n")
    assert cmd("batch.bat") == TOKENS


def test_the_printed_line_sets_the_token_in_a_batch_file(cmd: Cmd, tmp_path: Path) -> None:
    lines = write_lines(tmp_path, TOKENS)
    batch = "".join(f"{line}\n{SHOW}\n" for line in lines)
    (tmp_path / "batch.bat").write_text(f"@echo off\n{batch}")
    assert cmd("batch.bat") == TOKENS
