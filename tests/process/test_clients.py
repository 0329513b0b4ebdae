"""The clients of the page for them, and CI jobs of theirs, as the pages have them.

PowerShell, the vendor's SDK, just, direnv and the CI services themselves are not there to be run.
Libraries of others, and what signs in by itself, have their own file, test_foreign_clients.py.
"""

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command
from docs_parser import DOCS, REAL_SITE, Block, blocks
from fake_programs import program

from soe_auth.sandbox import Sandbox, running

pytestmark = [
    pytest.mark.posix("runs the scripts of the pages in a POSIX shell"),
    pytest.mark.process,
]

PAGE = DOCS / "how-to" / "clients.md"
CI = PAGE.with_name("ci.md")

HTTPX, REQUESTS, NOTEBOOK, _, _, WITH_TOKEN, *_OTHERS = blocks(PAGE, "python")
PLAIN_REPORT, HIDDEN_REPORT, ENVRC = blocks(PAGE, "sh")
(GIVE_TO_CI,) = blocks(CI, "sh")
FROM_VARIABLES, SDK, FOR_EACH_REQUEST = blocks(PAGE, "javascript")

# Stands in for the vendor's script, which is not ours to copy: it takes the same arguments, and
# tells what others can see of it. It has a module of its own beside it, as theirs have.
REPORT_SCRIPT = """\
import argparse
from pathlib import Path

from so4t_client import me

parser = argparse.ArgumentParser()
for name in ("--url", "--key", "--token"):
    parser.add_argument(name, required=True)
args = parser.parse_args()
print(me(args.url, args.token))
seen = Path("/proc/self/cmdline").read_text()
print("seen by others" if args.token in seen else "not seen")
"""
REPORT_MODULE = """\
import json
from urllib.request import Request, urlopen

def me(url, token):
    request = Request(f"{url}/api/v3/users/me", headers={"Authorization": f"Bearer {token}"})
    with urlopen(request) as answer:
        return json.load(answer)["name"]
"""


def dashing(size: int) -> bytes:
    """Draw what begins with a dash in base64url, which argparse takes for an option: 1 in 64."""
    return b"\xfb" + os.urandom(size - 1)


@pytest.fixture
def site() -> Iterator[Sandbox]:
    with running(strict=True, entropy=dashing) as sandbox:
        yield sandbox


@pytest.fixture
def desk(signed_in: Command, tmp_path: Path) -> Command:
    """The working directory of a user who has signed in, with the tools on PATH."""
    directory = tmp_path / "work"
    directory.mkdir()
    return signed_in.on_path().within(directory)


def run(desk: Command, *argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        argv,
        cwd=desk.cwd,
        env=desk.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def answer(desk: Command, *argv: str) -> str:
    ran = run(desk, *argv)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def keep(desk: Command, name: str, block: Block, site: Sandbox) -> str:
    """Write a block of the page into a file, with the sandbox in place of the real site."""
    assert desk.cwd
    (desk.cwd / name).write_text(block.text.replace(REAL_SITE, site.url))
    return name


def signed_out(desk: Command) -> Command:
    assert desk("logout").returncode == 0
    return desk


def test_the_tokens_of_these_tests_begin_with_a_dash(desk: Command) -> None:
    assert answer(desk, "soe-auth", "token").startswith("-")


@pytest.mark.needs("curl")
def test_curl_accepts_the_header_as_an_argument(desk: Command, site: Sandbox) -> None:
    shorter = 'curl -H "$(soe-auth token --format header)" …'
    assert f"`{shorter}`" in PAGE.read_text()
    command = shorter.replace("…", f"-fsS {site.url}/api/v3/users/me")
    assert json.loads(answer(desk, "sh", "-c", command))["name"] == "Jane Doe"


@pytest.mark.needs("curl")
def test_without_a_token_a_pipe_fails_as_curl_does_after_a_hint(
    desk: Command,
) -> None:
    command = "soe-auth token --format curl --for users/me | curl -fsS -K -"
    ran = run(signed_out(desk), "sh", "-c", command)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert command in PAGE.read_text()
    assert "type `soe-auth login" in ran.stderr.splitlines()[0]


@pytest.mark.parametrize("program", [HTTPX, REQUESTS], ids=["httpx", "requests"])
def test_a_python_program_reads_the_token_from_its_environment(
    desk: Command, site: Sandbox, program: Block
) -> None:
    keep(desk, "report.py", program, site)
    assert answer(desk, "soe-auth", "run", "--", "python3", "report.py") == "Jane Doe\n"


def test_a_notebook_awaits_the_login_and_asks_the_site(desk: Command, site: Sandbox) -> None:
    cell = NOTEBOOK.text.replace(REAL_SITE, site.url).replace("acme", f"localhost-{site.port}")
    *_, last = ast.parse(cell, mode="exec").body
    assert isinstance(last, ast.Expr)
    # As in a notebook: a cell's last expression is shown, and `await` needs no function.
    lines = cell.splitlines()
    lines[last.lineno - 1] = f"print({lines[last.lineno - 1]})"
    program = (
        "import ast, asyncio, sys\n"
        "code = compile(sys.argv[1], 'cell', 'exec', flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)\n"
        "asyncio.run(eval(code))\n"
    )
    assert answer(desk, "python3", "-c", program, "\n".join(lines)) == "Jane Doe\n"


@pytest.fixture
def reports(desk: Command, site: Sandbox) -> Command:
    assert desk.cwd
    scripts = desk.cwd / "scripts"
    scripts.mkdir()
    (scripts / "so4t_tag_report.py").write_text(REPORT_SCRIPT)
    (scripts / "so4t_client.py").write_text(REPORT_MODULE)
    keep(desk, "with_token.py", WITH_TOKEN, site)
    return desk.with_variables(SO_KEY="key")


@pytest.mark.parametrize(
    ("block", "seen"),
    [(PLAIN_REPORT, "seen by others"), (HIDDEN_REPORT, "not seen")],
    ids=["as an argument", "by the helper"],
)
def test_a_report_script_gets_the_token_and_the_page_names_who_can_see_it(
    reports: Command, site: Sandbox, block: Block, seen: str
) -> None:
    command = block.text.replace(REAL_SITE, site.url)
    command = command.replace("so4t_tag_report.py", "scripts/so4t_tag_report.py")
    assert answer(reports, "sh", "-c", command) == f"Jane Doe\n{seen}\n"


def test_the_helper_runs_no_report_script_without_a_token(reports: Command, site: Sandbox) -> None:
    argv = ["python3", "with_token.py", "scripts/so4t_tag_report.py", "--url", site.url]
    ran = run(signed_out(reports), *argv)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.needs("node")
def test_node_reads_the_token_from_its_environment(desk: Command, site: Sandbox) -> None:
    keep(desk, "me.mjs", FROM_VARIABLES, site)
    assert answer(desk, "soe-auth", "run", "--", "node", "me.mjs") == "Jane Doe\n"


@pytest.mark.needs("node")
def test_node_gets_a_token_for_each_request(desk: Command, site: Sandbox) -> None:
    keep(desk, "me.mjs", FOR_EACH_REQUEST, site)
    assert answer(desk, "node", "me.mjs") == "Jane Doe\n"
    ran = run(signed_out(desk), "node", "me.mjs")
    assert ran.returncode != 0
    assert "type `soe-auth login" in ran.stderr


@pytest.mark.needs("node")
def test_the_block_for_the_sdk_is_javascript(desk: Command, site: Sandbox) -> None:
    keep(desk, "sdk.mjs", SDK, site)
    answer(desk, "node", "--check", "sdk.mjs")


@pytest.mark.needs("curl")
def test_make_gets_the_token_when_a_recipe_runs_and_shows_none(
    desk: Command, site: Sandbox
) -> None:
    keep(desk, "report.py", HTTPX, site)
    (makefile,) = blocks(PAGE, "make")
    keep(desk, "Makefile", makefile, site)
    assert json.loads(answer(desk, "make", "me"))["name"] == "Jane Doe"
    report = answer(desk, "make", "report")
    assert report == "soe-auth run -- python3 report.py\nJane Doe\n"
    assert run(signed_out(desk), "make", "report").returncode != 0


def test_the_tasks_of_vs_code_run_in_its_order(desk: Command, site: Sandbox) -> None:
    keep(desk, "report.py", REQUESTS, site)
    (block,) = blocks(PAGE, "json")
    tasks = {task["label"]: task for task in json.loads(block.text)["tasks"]}
    report = tasks["report"]
    answer(desk, tasks[report["dependsOn"]]["command"], *tasks[report["dependsOn"]]["args"])
    assert answer(desk, report["command"], *report["args"]) == "Jane Doe\n"


@pytest.mark.needs("curl")
@pytest.mark.parametrize("job", blocks(CI, "yaml"), ids=["GitHub", "GitLab"])
def test_a_ci_job_needs_only_its_variables(
    desk: Command, site: Sandbox, job: Block, tmp_path: Path
) -> None:
    (command,) = re.findall(r"- (?:run: )?(soe-auth .+)$", job.text, re.MULTILINE)
    assert f"SOE_AUTH_SITE: {REAL_SITE}\n" in job.text
    runner = desk.with_variables(
        SOE_AUTH_TOKEN=desk("token").stdout.strip(),
        SOE_AUTH_SITE=site.url,
        SOE_AUTH_CONFIG_DIR=str(tmp_path / "nothing"),
        CI="true",
    )
    assert json.loads(answer(runner, "sh", "-c", command))["name"] == "Jane Doe"


def test_the_services_get_the_token_through_a_pipe_and_without_a_newline(
    desk: Command, tmp_path: Path, site: Sandbox
) -> None:
    desk("config", "set", "site", site.url, "-p", "ci")
    desk("config", "set", "client_id", "110", "-p", "ci")
    tokens = tmp_path / "config" / "tokens"
    (tokens / f"localhost-{site.port}.json").rename(tokens / "ci.json")
    assert desk.cwd
    for name in ("gh", "glab"):  # stand-ins that record their arguments and their input
        program(desk.cwd, name, 'printf "%s\\n" "$*" > arguments\ncat > sent')
    at_hand = desk.with_variables(PATH=f"{desk.cwd}:{desk.environ['PATH']}")
    token = desk("token", "-p", "ci").stdout.strip()
    for pipe in GIVE_TO_CI.text.splitlines():
        answer(at_hand, "sh", "-c", pipe)
        assert (desk.cwd / "sent").read_text() == token
        assert token not in (desk.cwd / "arguments").read_text()


def test_the_envrc_of_the_page_holds_no_token_and_chooses_the_profile(desk: Command) -> None:
    assert desk("config", "set", "site", "acme", "-p", "acme").returncode == 0
    chosen = answer(desk, "sh", "-c", f"{ENVRC.text}\nsoe-auth config get site")
    assert chosen == f"{REAL_SITE}\n"
    assert "TOKEN" not in ENVRC.text
