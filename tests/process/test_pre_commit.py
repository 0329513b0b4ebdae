"""Hooks that need a token, as the page for them has it: real git, real pre-commit, real prek.

What is installed here stands in for what pre-commit would install: `language: system` is put into
the page's configuration, as making an environment would ask a package index. One test makes real
environments, by a build backend that leads to what is installed.
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
from sysconfig import get_path

import pexpect
import pytest
from conftest import BROWSER, Command
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

RUN, RUN_INSTALLED, CHECK, CHECK_INSTALLED, LOGIN = (block.text for block in blocks(PAGE, "yaml"))
ALL = LOGIN + "      - id: soe-auth-token\n" + RUN.partition("    hooks:\n")[2]
REFUSING = pytest.mark.parametrize("configuration", [RUN, CHECK_INSTALLED], ids=["run", "check"])
CHECK_SH, TWO_LINES, COMMIT_MSG = (block.text for block in blocks(PAGE, "sh"))

OLDEST = Path(sys.prefix) / "oldest"  # where tools/setup puts the oldest pre-commit
TOOLS = ["pre-commit", "oldest pre-commit", "prek"]
# A wheel that leads to what is installed here, and a build backend that needs no index to make it.
INFO = "soe_auth-0.dist-info"
WHEEL = {
    "soe_auth.pth": f"{ROOT}\n{get_path('purelib')}\n",
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: soe-auth\nVersion: 0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/entry_points.txt": "[console_scripts]\nsoe-auth = soe_auth.__main__:entry_point\n",
    f"{INFO}/RECORD": "",
}
BACKEND = f"""\
import zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "soe_auth-0-py3-none-any.whl"
    with zipfile.ZipFile(f"{{directory}}/{{name}}", "w") as wheel:
        for path, text in {WHEEL!r}.items():
            wheel.writestr(path, text)
    return name
"""
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "soe-auth"
version = "0"
"""


@dataclass(frozen=True)
class Repository:
    """A git repository, and the environment of who commits to it."""

    directory: Path
    soe_auth: Command
    tool: str = "pre-commit"

    @property
    def environ(self) -> dict[str, str]:
        home = self.soe_auth.home
        user = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", "Jane Doe"), ("EMAIL", "jane@acme.example"))
        }
        oldest = {"PYTHONPATH": str(OLDEST)} if self.tool.startswith("oldest") else {}
        return {
            "GIT_CONFIG_NOSYSTEM": "1",
            "PIP_NO_INDEX": "1",
            "UV_OFFLINE": "1",
            "PRE_COMMIT_HOME": str(home / "pre-commit"),
            "PREK_HOME": str(home / "prek"),
            **user,
            **oldest,
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

    def use(self, configuration: str, *, isolated: bool = False) -> None:
        """Write a configuration of the page's, and install it as the git hook."""
        hooks = self.soe_auth.home / "hooks"
        if not hooks.exists():
            publish(replace(self, directory=hooks))
        text = configuration
        if ADDRESS in configuration:
            text = text.replace(ADDRESS, str(hooks))
        if ADDRESS in configuration and not isolated:
            text = re.sub(r"( +)- id: soe-auth-.*", r"\g<0>\n\1  language: system", text)
        (self.directory / ".pre-commit-config.yaml").write_text(text)
        self.must("git", "add", ".")
        self.must(self.tool.split()[-1], "install")

    def with_variables(self, **variables: str) -> "Repository":
        return replace(self, soe_auth=self.soe_auth.with_variables(**variables))


def publish(hooks: Repository) -> None:
    """Make the repository that the page's configuration names, with our hooks in it."""
    hooks.directory.mkdir()
    shutil.copy(MANIFEST, hooks.directory)
    (hooks.directory / "backend.py").write_text(BACKEND)
    (hooks.directory / "pyproject.toml").write_text(PROJECT)
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
    write_check(repository, CHECK_SH)
    return repository


def write_check(repository: Repository, text: str) -> None:
    """Write the command that soe-auth-run is given on the page."""
    check = repository.directory / "check.sh"
    check.write_text(text)
    check.chmod(0o755)


@pytest.fixture(params=TOOLS)
def repository(plain: Repository, request: pytest.FixtureRequest) -> Repository:
    if request.param.startswith("oldest") and not OLDEST.exists():
        pytest.skip("`make test` installs it")
    return replace(plain, tool=request.param)


@pytest.fixture(params=["pre-commit", "prek"])
def newest(plain: Repository, request: pytest.FixtureRequest) -> Repository:
    return replace(plain, tool=request.param)


@pytest.fixture
def tabs(tmp_path: Path) -> Path:
    return tmp_path / "tabs"


@pytest.fixture
def browser(tabs: Path) -> Iterator[str]:
    """A browser that notes each tab, and stays open when the user is done."""
    open_ones = tabs.with_name("browser.pids")
    script = f'echo "$1" >> {tabs}\nsleep 60 &\necho $! >> {open_ones}\n{BROWSER} "$1"\nwait'
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
    """What a failed hook has said: the lines below pre-commit's own about it, without our name."""
    _, _, text = output.partition("- exit code: 3\n")
    return text.strip().removeprefix("soe-auth: ").splitlines()


# --- what stands in the repository and on the page -----------------------------------------------


def test_the_manifest_and_the_configurations_of_the_page_are_valid(repository: Repository) -> None:
    tool = repository.tool.split()[-1]
    repository.must(tool, "validate-manifest", str(MANIFEST))
    for number, text in enumerate((RUN, RUN_INSTALLED, CHECK, CHECK_INSTALLED, LOGIN)):
        configuration = repository.directory / f"{number}.yaml"
        configuration.write_text(text)
        repository.must(tool, "validate-config", str(configuration))


# --- the token for a command ---------------------------------------------------------------------


def test_in_an_environment_of_its_own_the_command_has_token_site_and_soe_auth(
    repository: Repository, signed_in: Command, site: Sandbox
) -> None:
    write_check(
        repository,
        "#!/bin/sh\nsoe-auth token >token\n"
        'echo "$SOE_AUTH_SITE" >site\ncommand -v soe-auth >where\n',
    )
    repository.use(RUN, isolated=True)
    committed = repository.commit()
    assert committed.returncode == 0, committed.stdout
    token = token_of(signed_in)
    wrote = {name: (repository.directory / name).read_text() for name in ("token", "site", "where")}
    assert wrote["token"] == f"{token}\n"
    assert wrote["site"] == f"{site.url}\n"
    assert wrote["where"].startswith(str(signed_in.home))
    assert token not in committed.stdout


# --- with a token, and without --------------------------------------------------------------------


@REFUSING
def test_a_commit_goes_through_with_a_token_and_shows_nothing_of_it(
    repository: Repository, signed_in: Command, configuration: str
) -> None:
    repository.use(configuration + "        verbose: true\n")
    committed = repository.commit()
    assert committed.returncode == 0, committed.stdout
    assert ("Jane Doe" if configuration == RUN else "Passed") in committed.stdout
    assert token_of(signed_in) not in committed.stdout
    assert repository.commits == 1


@REFUSING
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
    plain.use(RUN)
    (block,) = blocks(PAGE, "console")
    plain.commit()  # the first one also tells what is made ready for it
    assert plain.commit().stdout.rstrip() == block.text.removeprefix("$ git commit\n").rstrip()


def test_an_expired_token_is_refused_and_so_is_one_with_too_little_life(
    repository: Repository, signed_in: Command, site: Sandbox
) -> None:
    token = token_of(signed_in)
    repository.use(CHECK + "        args: [--check=2d]\n")
    short = repository.commit()
    repository.use(RUN + "        entry: soe-auth run --min-ttl 2d --\n")
    short_to_run = repository.commit()
    expire(signed_in, f"localhost-{site.port}")
    ended = []
    for configuration in (RUN, CHECK):
        repository.use(configuration)
        ended.append(repository.commit())
    less, expired = "less than min_ttl (2 d)", "expired 1 h ago"
    told = zip((short, short_to_run, *ended), (less, less, expired, expired), strict=True)
    for refused, why in told:
        assert refused.returncode == 1
        line = said(refused.stdout)[0]
        assert why in line
        assert "; type `soe-auth login" in line
        assert token not in refused.stdout


@REFUSING
def test_on_a_terminal_the_line_is_whole_and_the_command_in_it_too(
    plain: Repository, signed_in: Command, configuration: str
) -> None:
    signed_in("logout")
    plain.use(configuration)
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


def test_in_a_ci_job_the_token_of_the_variable_passes_all_hooks_and_no_browser_opens(
    repository: Repository, browser: str, tabs: Path
) -> None:
    job = repository.with_variables(CI="true", BROWSER=browser, DISPLAY=":0")
    job.use(RUN)
    refused = job.commit()
    assert said(refused.stdout)[-1].strip() == (
        "This is a CI job: give it a token in SOE_AUTH_TOKEN."
    )
    write_check(job, "#!/bin/sh\ntest $SOE_AUTH_TOKEN = 'canary(1)*'\n")
    job = job.with_variables(SOE_AUTH_TOKEN="canary(1)*")
    job.use(ALL)
    committed = job.commit()
    assert committed.returncode == 0, committed.stdout
    assert "canary" not in committed.stdout
    assert not tabs.exists()


# --- the browser that opens by itself ------------------------------------------------------------


def test_a_commit_from_an_editor_signs_in_once_and_goes_on(
    newest: Repository, signed_in: Command, site: Sandbox, browser: str, tabs: Path
) -> None:
    signed_in("logout")
    before = len(site.exchanges)
    desktop = newest.with_variables(BROWSER=browser, DISPLAY=":0")
    desktop.use(ALL)
    for committed in (desktop.commit(), desktop.commit()):
        assert committed.returncode == 0, committed.stdout
        assert token_of(signed_in) not in committed.stdout
    assert len(tabs.read_text().splitlines()) == 1
    assert len(site.exchanges) == before + 1


def test_the_login_hook_without_a_browser_fails_at_once_with_one_line(
    newest: Repository, signed_in: Command
) -> None:
    signed_in("logout")
    newest.use(LOGIN)
    refused = newest.commit()
    assert refused.returncode == 1
    [line] = said(refused.stdout)
    assert line.startswith("There is neither a browser nor a terminal here")
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
    newest: Repository, signed_in: Command, site: Sandbox, browser: str, tabs: Path
) -> None:
    signed_in("logout")
    before = len(site.exchanges)
    desktop = newest.with_variables(BROWSER=browser, DISPLAY=":0")
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
    script.write_text(COMMIT_MSG)
    script.chmod(0o755)
    plain.must("git", "config", "core.hooksPath", ".githooks")
    return plain


def test_a_hook_of_plain_git_asks_the_site_who_commits_or_refuses_in_one_line(
    hooks_of_git: Repository, signed_in: Command
) -> None:
    committed = hooks_of_git.commit()
    assert committed.returncode == 0, committed.stdout
    assert token_of(signed_in) not in committed.stdout
    message = hooks_of_git.must("git", "log", "-1", "--format=%B")
    assert message.splitlines()[-2] == "Known-as: Jane Doe"
    signed_in("logout")
    refused = hooks_of_git.commit()
    assert refused.returncode == 1
    [line] = refused.stdout.splitlines()
    assert "; type `soe-auth login" in line


def test_the_two_lines_for_a_hook_ask_the_site_or_end_with_the_exit_code_of_the_product(
    plain: Repository, signed_in: Command
) -> None:
    assert len(TWO_LINES.splitlines()) == 2
    assert '"name": "Jane Doe"' in plain.must("sh", "-c", TWO_LINES)
    signed_in("logout")
    refused = plain.run("sh", "-c", TWO_LINES)
    assert refused.returncode == 3
    assert len(refused.stdout.splitlines()) == 1


def test_a_project_file_that_names_another_site_gets_no_token_from_any_hook(
    repository: Repository, signed_in: Command, site: Sandbox
) -> None:
    foreign = 'site = "https://foreign.example"\nclient_id = "110"\n'
    (repository.directory / ".soe-auth.toml").write_text(foreign)
    token = signed_in("token", "-p", f"localhost-{site.port}").stdout.strip()
    refused = repository.run("sh", "-c", TWO_LINES)
    assert refused.returncode == 3
    assert "curl" not in refused.stdout
    for configuration in (RUN, CHECK):
        repository.use(configuration)
        refused = repository.commit()
        assert "foreign.example" in said(refused.stdout)[0], refused.stdout
    given = repository.with_variables(SOE_AUTH_TOKEN=token)
    given.use(RUN)
    assert ".soe-auth.toml says which site it is for" in given.commit().stdout
    job = given.with_variables(SOE_AUTH_SITE=site.url)
    assert '"name": "Jane Doe"' in job.must("sh", "-c", TWO_LINES)


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
