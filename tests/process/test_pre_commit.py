"""The hooks of docs/how-to/hooks.md in real git, pre-commit and prek.

The page's configurations get `language: system`, because an environment would need a package index.
One test makes real environments, with a build backend that refers to the installed package.
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
# A wheel that refers to the installed package, and a build backend that makes it without an index.
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
    """A git repository, and the environment of its user."""

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
        """Run a program without any terminal, as an editor does."""
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
        """Write a configuration of the page, and install it as the git hook."""
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
    """Make the repository of hooks that the page's configuration names."""
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
    """Write the command that soe-auth-run runs on the page."""
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
    """A browser that records each tab, and stays open after the login."""
    pids = tabs.with_name("browser.pids")
    script = f'echo "$1" >> {tabs}\nsleep 60 &\necho $! >> {pids}\n{BROWSER} "$1"\nwait'
    yield str(program(tabs.parent, "browser", script))
    if pids.exists():
        subprocess.run(["kill", *pids.read_text().split()], check=True)


def token_of(command: Command) -> str:
    printed = command("token")
    assert printed.returncode == 0, printed.stderr
    return printed.stdout.strip()


def expire(command: Command, profile: str) -> None:
    file = command.home / "config" / "tokens" / f"{profile}.json"
    ended = time.time() - 3600
    times = {"obtained_at": ended - 86400, "expires_at": ended}
    file.write_text(json.dumps({**json.loads(file.read_text()), **times}))


def hook_output(output: str) -> list[str]:
    """Return the output of a failed hook, without pre-commit's own lines and the program's name."""
    _, _, text = output.partition("- exit code: 3\n")
    return text.strip().removeprefix("soe-auth: ").splitlines()


# --- the manifest and the page --- -----------------------------------------------


def test_the_manifest_and_the_configurations_of_the_page_are_valid(repository: Repository) -> None:
    tool = repository.tool.split()[-1]
    repository.must(tool, "validate-manifest", str(MANIFEST))
    for number, text in enumerate((RUN, RUN_INSTALLED, CHECK, CHECK_INSTALLED, LOGIN)):
        configuration = repository.directory / f"{number}.yaml"
        configuration.write_text(text)
        repository.must(tool, "validate-config", str(configuration))


# --- the token for a command ---------------------------------------------------------------------


def test_in_an_isolated_environment_the_command_has_token_site_and_soe_auth(
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
    files = {name: (repository.directory / name).read_text() for name in ("token", "site", "where")}
    assert files["token"] == f"{token}\n"
    assert files["site"] == f"{site.url}\n"
    assert files["where"].startswith(str(signed_in.home))
    assert token not in committed.stdout


# --- with a token, and without --------------------------------------------------------------------


@REFUSING
def test_a_commit_with_a_token_succeeds_and_does_not_show_it(
    repository: Repository, signed_in: Command, configuration: str
) -> None:
    repository.use(configuration + "        verbose: true\n")
    committed = repository.commit()
    assert committed.returncode == 0, committed.stdout
    assert ("Jane Doe" if configuration == RUN else "Passed") in committed.stdout
    assert token_of(signed_in) not in committed.stdout
    assert repository.commits == 1


@REFUSING
def test_a_commit_without_a_token_is_refused_with_the_command_to_type(
    repository: Repository, signed_in: Command, configuration: str, site: Sandbox
) -> None:
    token = token_of(signed_in)
    signed_in("logout")
    repository.use(configuration)
    refused = repository.commit()
    assert refused.returncode == 1
    profile = f"localhost-{site.port}"
    assert hook_output(refused.stdout) == [
        f"Profile {profile} has no token; type `soe-auth login -p {profile}`."
    ]
    assert token not in refused.stdout
    assert repository.commits == 0


def test_the_refusal_is_as_on_the_page(plain: Repository, soe_auth: Command, site: Sandbox) -> None:
    soe_auth("config", "set", "site", site.url, "-p", "acme")
    soe_auth("config", "set", "client_id", "110", "-p", "acme")
    plain.use(RUN)
    (block,) = blocks(PAGE, "console")
    plain.commit()  # the first one also prints its preparations
    assert plain.commit().stdout.rstrip() == block.text.removeprefix("$ git commit\n").rstrip()


def test_a_token_that_is_expired_or_expires_too_soon_is_refused(
    repository: Repository, signed_in: Command, site: Sandbox
) -> None:
    token = token_of(signed_in)
    repository.use(CHECK + "        args: [--check=2d]\n")
    short = repository.commit()
    repository.use(RUN + "        entry: soe-auth run --min-ttl 2d --\n")
    short_to_run = repository.commit()
    expire(signed_in, f"localhost-{site.port}")
    after_expiry = []
    for configuration in (RUN, CHECK):
        repository.use(configuration)
        after_expiry.append(repository.commit())
    less, expired = "less than min_ttl (2 d)", "expired 1 h ago"
    results = zip((short, short_to_run, *after_expiry), (less, less, expired, expired), strict=True)
    for refused, reason in results:
        assert refused.returncode == 1
        text = " ".join(hook_output(refused.stdout))
        assert reason in text
        assert ("`soe-auth login" in text) == (reason == expired)  # a new one would be as short
        assert token not in refused.stdout


@REFUSING
def test_on_a_terminal_the_command_to_type_is_not_broken(
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


def test_in_ci_the_token_of_the_variable_passes_all_hooks_and_no_browser_opens(
    repository: Repository, browser: str, tabs: Path
) -> None:
    job = repository.with_variables(CI="true", BROWSER=browser, DISPLAY=":0")
    job.use(RUN)
    refused = job.commit()
    assert hook_output(refused.stdout)[-1].strip() == (
        "This is a CI job: give it a token in SOE_AUTH_TOKEN."
    )
    write_check(job, "#!/bin/sh\ntest $SOE_AUTH_TOKEN = 'canary(1)*'\n")
    job = job.with_variables(SOE_AUTH_TOKEN="canary(1)*")
    job.use(ALL)
    committed = job.commit()
    assert committed.returncode == 0, committed.stdout
    assert "canary" not in committed.stdout
    assert not tabs.exists()


# --- automatic login ------------------------------------------------------------


def test_a_commit_from_an_editor_signs_in_once_and_succeeds(
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
    [line] = hook_output(refused.stdout)
    assert line.startswith("There is neither a browser nor a terminal here")
    assert "; type `soe-auth login" in line


# Many files: pre-commit starts several processes, each of which requests a token per file.
REQUEST_PER_FILE = """\
repos:
  - repo: local
    hooks:
{hooks}"""
REQUESTING_HOOK = """\
      - id: request-{number}
        name: request
        entry: ./request.sh
        language: system
        files: txt$
"""
REQUEST = """\
#!/bin/sh
for file in "$@"; do soe-auth token --login > "$0.$$.$file" & done
wait
"""


def test_many_requests_at_once_open_one_tab_and_get_one_token(
    newest: Repository, signed_in: Command, site: Sandbox, browser: str, tabs: Path
) -> None:
    signed_in("logout")
    before = len(site.exchanges)
    desktop = newest.with_variables(BROWSER=browser, DISPLAY=":0")
    for number in range(8):
        (desktop.directory / f"{number}.txt").write_text("a file")
    script = desktop.directory / "request.sh"
    script.write_text(REQUEST)
    script.chmod(0o755)
    hooks = "".join(REQUESTING_HOOK.format(number=number) for number in range(2))
    desktop.use(REQUEST_PER_FILE.format(hooks=hooks))
    committed = desktop.commit()
    assert committed.returncode == 0, committed.stdout
    token = token_of(signed_in)
    answers = [path.read_text() for path in desktop.directory.glob("request.sh.*")]
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


def test_a_git_hook_looks_up_the_account_or_refuses_with_one_line(
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


def test_the_two_line_hook_looks_up_the_account_or_returns_exit_code_3(
    plain: Repository, signed_in: Command
) -> None:
    assert len(TWO_LINES.splitlines()) == 2
    assert '"name": "Jane Doe"' in plain.must("sh", "-c", TWO_LINES)
    signed_in("logout")
    refused = plain.run("sh", "-c", TWO_LINES)
    assert refused.returncode == 3
    assert len(refused.stdout.splitlines()) == 1


def test_no_hook_gives_a_token_to_the_site_of_a_project_file(
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
        assert "foreign.example" in hook_output(refused.stdout)[0], refused.stdout
    from_variable = repository.with_variables(SOE_AUTH_TOKEN=token)
    from_variable.use(RUN)
    assert ".soe-auth.toml says which site it is for" in from_variable.commit().stdout
    job = from_variable.with_variables(SOE_AUTH_SITE=site.url)
    assert '"name": "Jane Doe"' in job.must("sh", "-c", TWO_LINES)


def test_the_python_hook_behaves_like_the_shell_hook(
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
