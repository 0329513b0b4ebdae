"""`make bench` measures its parts, and fails if a command fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_programs import program

pytestmark = pytest.mark.posix("the benchmarks start processes by POSIX calls")

ROOT = Path(__file__).parents[2]


def bench(*options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rounds", "1", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.mark.process
def test_there_is_a_row_for_each_command(tmp_path: Path) -> None:
    written, page = tmp_path / "made/bench.json", tmp_path / "page.md"
    page.write_text("before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n")
    done = bench("--only", "commands", "--json", written, "--page", page)
    assert (done.returncode, done.stderr) == (0, "")
    [part] = json.loads(written.read_text())
    rows = {row["what"]: row for row in part["rows"] if "wall" in row}
    assert {"token", "token, from SOE_AUTH_TOKEN", "status --check", "run -- true"} < set(rows)
    assert "completion --profiles" in rows
    assert {"import argparse", "python -c pass", "an empty console script"} < set(rows)
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    for what, row in rows.items():
        shown = [f"{row[kind]['x']:.2f}x" for kind in ("wall", "cpu", "rss")]
        [line] = [line for line in table if line.split("|")[1].strip() == what]
        assert [cell.strip() for cell in line.split("|")[2:5]] == shown
        assert 0 < row["wall"]["least"] <= row["wall"]["median"] <= row["wall"]["most"]
    assert page.read_text() == (
        f"before\n<!-- table -->\n{done.stdout}<!-- end of table -->\nafter\n"
    )


@pytest.mark.process
def test_logins_are_measured_and_all_processes_of_a_peer_are_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process of the peer that is left fails the test: see no_process_is_left.
    peer = program(tmp_path, "git-credential-oauth", "xdg-open url\nsleep 600")
    monkeypatch.setenv("PATH", f"{peer.parent}:{os.environ['PATH']}")
    written = tmp_path / "bench.json"
    done = bench("--only", "launch", "hostile", "--json", written)
    assert (done.returncode, done.stderr) == (0, "")
    assert "git-credential-oauth" in done.stdout
    launch, hostile = json.loads(written.read_text())
    assert launch["rows"][0]["wall"]["x"] > 1
    [row] = hostile["rows"]
    assert row["rss"]["median"] > hostile["x"]["rss"] > 2**20


@pytest.mark.process
def test_logins_of_other_tools_leave_the_token_for_the_next_part(tmp_path: Path) -> None:
    written = tmp_path / "bench.json"
    done = bench("--only", "return", "in-a-row", "--json", written)
    assert (done.returncode, done.stderr) == (0, "")
    logins, in_a_row = json.loads(written.read_text())
    assert "redirect to token, https" in {row["what"] for row in logins["rows"]}
    assert all(row["wall"]["x"] > 1 for row in in_a_row["rows"])


@pytest.mark.browser
@pytest.mark.process
def test_the_benchmark_measures_the_time_to_the_sign_in_page_in_a_browser(tmp_path: Path) -> None:
    written = tmp_path / "bench.json"
    done = bench("--only", "hop", "--json", written)
    assert (done.returncode, done.stderr) == (0, "")
    [hop] = json.loads(written.read_text())
    assert all(0 < row["wall"]["median"] < 20 for row in hop["rows"])


@pytest.mark.process
def test_a_failed_command_ends_the_benchmark_with_its_error(tmp_path: Path) -> None:
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    program(python.parent, "soe-auth", "echo broken >&2; exit 3")
    written = tmp_path / "bench.json"
    done = bench("--python", python, "--json", written)
    assert done.returncode == 1
    assert "broken" in done.stderr
    assert "Traceback" not in done.stderr
    assert not written.exists()
