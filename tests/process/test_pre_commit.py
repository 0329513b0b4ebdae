"""Hooks that need a token, as the page for them has it: real git, real pre-commit, real prek.

What is installed here stands in for what pre-commit would install: `language: system` is put into
the page's configuration, as making an environment would ask a package index.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pexpect
import pytest
from conftest import VISITOR, Command
from docs_parser import DOCS, REAL_SITE, ROOT, blocks
from fake_programs import program

from soe_auth.sandbox import Sandbox

pytestmark = [
    pytest.mark.posix("runs the hooks in POSIX shells and pseudo-terminals"),
    pytest.mark.process,
    pytest.mark.needs("git"),
]

MANIFEST = ROOT / ".pre-commit-hooks.yaml"
PAGE = DOCS / "how-to" / "hooks.md"
ADDRESS = "https://git.example.com/tools/soe-auth"

CHECK, CHECK_INSTALLED, LOGIN = (block.text for block in blocks(PAGE, "yaml"))
BOTH = LOGIN + "      - id: soe-auth-token\n"

TOOLS = ["pre-commit", "prek"]


@dataclass(frozen=True)
class Repository:
    """A git repository, and the environment of who commits to it."""

    directory: Path
    soe_auth: Command
    tool: str = "pre-commit"

    @property
    def environ(self) -> dict[str, str]:
        home = self.soe_auth.home
        person = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", "Jane Doe"), ("EMAIL", "jane@acme.example"))
        }
        return {
            "GIT_CONFIG_NOSYSTEM": "1",
            "PRE_COMMIT_HOME": str(home / "pre-commit"),
            "PREK_HOME": str(home / "prek"),
            **person,
            **self.soe_auth.on_path().environ,
        }

    def run(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """Run a program as an editor does: no terminal, neither on stdin nor to be opened."""
        return subprocess.run(
            argv,
            cwd=self.directory,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            timeout=50,
            check=False,
        )

    def must(self, *argv: str) -> str:
        ran = self.run(*argv)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    def commit(self) -> "subprocess.CompletedProcess[str]":
        return self.run("git", "commit", "--allow-empty", "-m", "a change")

    @property
    def commits(self) -> int:
        return len(self.run("git", "rev-list", "--all").stdout.splitlines())

    def use(self, configuration: str) -> None:
        """Write a configuration of the page's, and install it as the git hook."""
        hooks = self.soe_auth.home / "hooks"
        if not hooks.exists():
            publish(replace(self, directory=hooks))
        text = configuration
        if ADDRESS in configuration:
            text = text.replace(ADDRESS, str(hooks))
            text = re.sub(r"( +)- id: soe-auth-.*", r"\g<0>\n\1  language: system", text)
        (self.directory / ".pre-commit-config.yaml").write_text(text)
        self.must("git", "add", ".")
        self.must(self.tool, "install")

    def with_variables(self, **variables: str) -> "Repository":
        return replace(self, soe_auth=self.soe_auth.with_variables(**variables))


def publish(hooks: Repository) -> None:
    """Make the repository that the page's configuration names, with our hooks in it."""
    hooks.directory.mkdir()
    shutil.copy(MANIFEST, hooks.directory)
    hooks.must("git", "init", "-q")
    hooks.must("git", "add", ".")
    hooks.must("git", "commit", "-q", "-m", "hooks")
    hooks.must("git", "tag", "v0.1.0")


@pytest.fixture
def plain(soe_auth: Command) -> Repository:
    directory = soe_auth.home / "project"
    directory.mkdir()
    repository = Repository(directory, soe_auth)
    repository.must("git", "init", "-q")
    return repository


@pytest.fixture(params=TOOLS)
def repository(plain: Repository, request: pytest.FixtureRequest) -> Repository:
    return replace(plain, tool=request.param)


@pytest.fixture
def tabs(tmp_path: Path) -> Path:
    return tmp_path / "tabs"


@pytest.fixture
def browser(tabs: Path) -> Iterator[str]:
    """A browser that notes each tab, and stays open when the person is done."""
    open_ones = tabs.with_name("browser.pids")
    script = f'echo "$1" >> {tabs}\nsleep 60 &\necho $! >> {open_ones}\n{VISITOR} "$1"\nwait'
    yield str(program(tabs.parent, "browser", script))
    if open_ones.exists():
        subprocess.run(["kill", *open_ones.read_text().split()], check=True)


def token_of(command: Command) -> str:
    printed = command("token")
    assert printed.returncode == 0, printed.stderr
    return printed.stdout.strip()


def expire(command: Command, profile: str) -> None:
    file = command.home / "config" / "tokens" / f"{profile}.json"
    ended = time.time() - 3600
    times = {"obtained_at": ended - 86400, "expires_at": ended}
    file.write_text(json.dumps({**json.loads(file.read_text()), **times}))


def said(output: str) -> list[str]:
    """What a failed hook has said: the lines below pre-commit's own about it."""
    _, _, text = output.partition("- exit code: 3\n")
    return text.strip().splitlines()


# --- what stands in the repository and on the page -----------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
def test_the_manifest_and_the_configurations_of_the_page_are_valid(
    plain: Repository, tool: str
) -> None:
    plain.must(tool, "validate-manifest", str(MANIFEST))
    for number, text in enumerate((CHECK, CHECK_INSTALLED, LOGIN)):
        configuration = plain.directory / f"{number}.yaml"
        configuration.write_text(text)
        plain.must(tool, "validate-config", str(configuration))


# --- the check -----------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", [CHECK, CHECK_INSTALLED], ids=["fetched", "installed"])
def test_a_commit_goes_through_with_a_token_and_shows_nothing_of_it(
    repository: Repository, signed_in: Command, configuration: str
) -> None:
    repository.use(configuration + "        verbose: true\n")
    committed = repository.commit()
    assert committed.returncode == 0, committed.stdout
    assert "a token with enough life" in committed.stdout
    assert token_of(signed_in) not in committed.stdout
    assert repository.commits == 1


@pytest.mark.parametrize("configuration", [CHECK, CHECK_INSTALLED], ids=["fetched", "installed"])
def test_without_a_token_a_commit_is_refused_with_one_line_that_says_what_to_type(
    repository: Repository, signed_in: Command, configuration: str, site: Sandbox
) -> None:
    token = token_of(signed_in)
    signed_in("logout")
    repository.use(configuration)
    refused = repository.commit()
    assert refused.returncode == 1
    profile = f"localhost-{site.port}"
    assert said(refused.stdout) == [
        f"Profile {profile} has no token; type `soe-auth login -p {profile}`."
    ]
    assert token not in refused.stdout
    assert repository.commits == 0


def test_the_refusal_is_the_one_of_the_page(
    plain: Repository, soe_auth: Command, site: Sandbox
) -> None:
    soe_auth("config", "set", "site", site.url, "-p", "acme")
    soe_auth("config", "set", "client_id", "110", "-p", "acme")
    plain.use(CHECK)
    (block,) = blocks(PAGE, "console")
    plain.commit()  # the first one also tells what is made ready for it
    assert plain.commit().stdout.rstrip() == block.text.removeprefix("$ git commit\n").rstrip()


def test_an_expired_token_is_refused_and_so_is_one_with_too_little_life(
    repository: Repository, signed_in: Command, site: Sandbox
) -> None:
    token = token_of(signed_in)
    repository.use(CHECK + "        args: [--check=2d]\n        verbose: true\n")
    short = repository.commit()
    repository.use(CHECK + "        verbose: true\n")
    expire(signed_in, f"localhost-{site.port}")
    ended = repository.commit()
    for refused, why in ((short, "less than the 2 d asked for"), (ended, "expired 1 h ago")):
        assert refused.returncode == 1
        [line] = said(refused.stdout)
        assert why in line
        assert "; type `soe-auth login" in line
        assert token not in refused.stdout


def test_on_a_terminal_the_line_is_whole_and_the_command_in_it_too(
    plain: Repository, signed_in: Command
) -> None:
    signed_in("logout")
    plain.use(CHECK)
    child = pexpect.spawn(
        "git",
        ["commit", "--allow-empty", "-m", "a change"],
        cwd=str(plain.directory),
        env={**plain.environ, "TERM": "xterm"},
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 40),
    )
    child.expect(pexpect.EOF)
    shown = re.sub(r"\x1b\[[\d;]*m", "", child.before).splitlines()
    child.close()
    assert child.exitstatus == 1
    assert re.search(r"has no token; type `soe-auth login -p localhost-\d+`\.$", shown[-2]), shown


def test_in_a_ci_job_the_token_of_the_variable_passes_both_hooks_and_no_browser_opens(
    repository: Repository, browser: str, tabs: Path
) -> None:
    job = repository.with_variables(
        SOE_AUTH_TOKEN="canary(1)*", CI="true", BROWSER=browser, DISPLAY=":0"
    )
    job.use(BOTH)
    committed = job.commit()
    assert committed.returncode == 0, committed.stdout
    assert "canary" not in committed.stdout
    assert not tabs.exists()


# --- the browser that opens by itself ------------------------------------------------------------


def test_a_commit_from_an_editor_signs_in_once_and_goes_on(
    repository: Repository, signed_in: Command, site: Sandbox, browser: str, tabs: Path
) -> None:
    signed_in("logout")
    before = len(site.exchanges)
    desktop = repository.with_variables(BROWSER=browser, DISPLAY=":0")
    desktop.use(BOTH)
    for committed in (desktop.commit(), desktop.commit()):
        assert committed.returncode == 0, committed.stdout
        assert token_of(signed_in) not in committed.stdout
    assert len(tabs.read_text().splitlines()) == 1
    assert len(site.exchanges) == before + 1


def test_where_nobody_can_sign_in_it_is_refused_at_once_with_one_line(
    repository: Repository, signed_in: Command
) -> None:
    signed_in("logout")
    repository.use(LOGIN)
    refused = repository.commit()
    assert refused.returncode == 1
    [line] = said(refused.stdout)
    assert line.startswith("soe-auth: There is neither a browser nor a terminal here")
    assert "; type `soe-auth login" in line


# Many files, so that pre-commit starts several of it, and each of those asks for every file.
ASKS_FOR_EACH_FILE = """\
repos:
  - repo: local
    hooks:
{hooks}"""
ONE_THAT_ASKS = """\
      - id: asks-{number}
        name: asks
        entry: ./ask.sh
        language: system
        files: txt$
"""
ASK = """\
#!/bin/sh
for file in "$@"; do soe-auth token --login > "$0.$$.$file" & done
wait
"""


def test_hooks_that_ask_for_many_files_at_once_open_one_tab_and_get_one_token(
    repository: Repository, signed_in: Command, site: Sandbox, browser: str, tabs: Path
) -> None:
    signed_in("logout")
    before = len(site.exchanges)
    desktop = repository.with_variables(BROWSER=browser, DISPLAY=":0")
    for number in range(8):
        (desktop.directory / f"{number}.txt").write_text("a file")
    script = desktop.directory / "ask.sh"
    script.write_text(ASK)
    script.chmod(0o755)
    hooks = "".join(ONE_THAT_ASKS.format(number=number) for number in range(2))
    desktop.use(ASKS_FOR_EACH_FILE.format(hooks=hooks))
    committed = desktop.commit()
    assert committed.returncode == 0, committed.stdout
    token = token_of(signed_in)
    answers = [path.read_text() for path in desktop.directory.glob("ask.sh.*")]
    assert answers == [f"{token}\n"] * 16
    assert token not in committed.stdout
    assert len(tabs.read_text().splitlines()) == 1
    assert len(site.exchanges) == before + 1


# --- hooks without a framework -------------------------------------------------------------------


@pytest.fixture
def hooks_of_git(plain: Repository) -> Repository:
    hooks = plain.directory / ".githooks"
    hooks.mkdir()
    script = hooks / "commit-msg"
    script.write_text(blocks(PAGE, "sh")[1].text)
    script.chmod(0o755)
    plain.must("git", "config", "core.hooksPath", ".githooks")
    return plain


def test_a_hook_of_plain_git_asks_the_site_who_commits(
    hooks_of_git: Repository, signed_in: Command
) -> None:
    committed = hooks_of_git.commit()
    assert committed.returncode == 0, committed.stdout
    assert token_of(signed_in) not in committed.stdout
    message = hooks_of_git.must("git", "log", "-1", "--format=%B")
    assert message.splitlines()[-2] == "Known-as: Jane Doe"


def test_a_hook_of_plain_git_refuses_in_one_line(
    hooks_of_git: Repository, signed_in: Command
) -> None:
    signed_in("logout")
    refused = hooks_of_git.commit()
    assert refused.returncode == 1
    [line] = refused.stdout.splitlines()
    assert "; type `soe-auth login" in line


def test_the_three_lines_for_a_hook_ask_the_site_or_end_with_the_exit_code_of_the_product(
    plain: Repository, signed_in: Command
) -> None:
    lines = blocks(PAGE, "sh")[0].text
    assert len(lines.splitlines()) == 3
    assert '"name": "Jane Doe"' in plain.must("sh", "-c", lines)
    signed_in("logout")
    refused = plain.run("sh", "-c", lines)
    assert refused.returncode == 3
    assert len(refused.stdout.splitlines()) == 1


def test_a_project_file_does_not_lead_the_three_lines_to_another_site(
    plain: Repository, signed_in: Command, site: Sandbox
) -> None:
    lines = blocks(PAGE, "sh")[0].text
    foreign = 'site = "https://foreign.example"\nclient_id = "110"\n'
    (plain.directory / ".soe-auth.toml").write_text(foreign)
    token = signed_in("token", "-p", f"localhost-{site.port}").stdout.strip()
    refused = plain.run("sh", "-c", lines)
    assert refused.returncode == 3
    assert "curl" not in refused.stdout
    job = plain.with_variables(SOE_AUTH_TOKEN=token, SOE_AUTH_SITE=site.url)
    assert '"name": "Jane Doe"' in job.must("sh", "-c", lines)


def test_the_hook_in_python_does_as_the_one_in_shell(
    plain: Repository, signed_in: Command, site: Sandbox
) -> None:
    (program,) = blocks(PAGE, "python")
    argv = [sys.executable, "-c", program.text.replace(REAL_SITE, site.url)]
    assert plain.must(*argv) == "Jane Doe\n"
    signed_in("logout")
    refused = plain.run(*argv)
    assert refused.returncode == 1
    [line] = refused.stdout.splitlines()
    assert "; type `soe-auth login" in line
