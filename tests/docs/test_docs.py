"""The pages are compared with the product: commands are typed, tables are compared with the code.

In a ```console block, `$ ` begins a command; the other lines are its output in a terminal.
A page's commands run in one shell, in order, and a simulated user approves in a browser.
For output that differs each time, the pages have a placeholder:

    …                                  anything, within a line; alone on a line, any lines
    Tue 09:12                          a day and a time
    http://localhost:51423/k7Qx2mVa    the short local address of a login
    8765                               a port that was free
    /home/you                          the home directory
    acme, acme.stackenterprise.co      the sandbox, under the name of a real site
    http…?code=…                       pasted by the user, and not shown by the terminal
"""

import ast
import inspect
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from approve_in_browser import approve
from conftest import BROWSER, Command
from docs_parser import (
    DESIGN,
    DOCS,
    PACKAGE,
    PAGES,
    REAL_SITE,
    ROOT,
    Block,
    anchors,
    blocks,
    coded,
    name,
    rows,
    section,
)

import soe_auth as package
from soe_auth import Scope, Token, errors
from soe_auth.__main__ import NOT_WRITTEN, READER_GONE
from soe_auth.cli import exit_codes
from soe_auth.cli.commands import config
from soe_auth.cli.main import COMMANDS, WITHOUT_PROFILE, main
from soe_auth.cli.signals import SIGNALLED
from soe_auth.python_api.auth import Options, TokenProvider
from soe_auth.sandbox import DEFAULT_APPLICATIONS, OWN_DOMAIN, Sandbox
from soe_auth.settings.project_file import PROJECT_KEYS
from soe_auth.settings.resolve import resolve
from soe_auth.settings.spec import CA_BUNDLE, PROFILE, PROXY, STORE, TABLE, Setting

if sys.platform != "win32":
    import pexpect

RUN = [
    ROOT / "README.md",
    *sorted((DOCS / "tutorial").iterdir()),
    *sorted((DOCS / "how-to").iterdir()),
]

NOT_RUN = {
    "docs/tutorial/first-login.md": {
        "soe-auth login --site acme.stackenterprise.co --client-id 110": "a real site",
        "soe-auth token -p acme": "as above",
    },
    "docs/how-to/another-machine.md": {
        "ssh -L 8765:localhost:8765 you@devbox.example": "there is no other machine",
    },
    "docs/how-to/hooks.md": {
        "git commit": "in a repository with hooks; tests/process/test_pre_commit.py makes one",
    },
    "docs/how-to/several-sites.md": {
        "soe-auth login -p admin --site acme.stackenterprise.co --client-id 110"
        ' --browser "firefox -P admin"': "there is no such browser profile",
        'soe-auth config set browser "firefox -P admin" -p admin': "as above",
    },
}

# The environment of a page's reader; on the other pages a browser opens.
OVER_SSH = {
    "docs/how-to/another-machine.md": {
        "SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22",
        "USER": "you",
    }
}

SANDBOX = "http://localhost:7700"

SHELL = r"""while IFS= read -r line; do eval "$line"; printf '\036%s\n' "$?"; done"""


# --- reading the pages ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A command, its output, and whether the user pastes an address."""

    command: str
    shown: list[str]
    pastes: bool

    @property
    def fails(self) -> bool:
        """Whether the output has an error."""
        return any(line.startswith("soe-auth: ") for line in self.shown)

    @property
    def waits(self) -> bool:
        """Whether the command waits for the user."""
        return self.pastes or "--no-browser" in self.command


def steps(page: Path) -> list[Step]:
    return [step for block in blocks(page, "console") for step in steps_of(block)]


def steps_of(block: Block) -> Iterator[Step]:
    assert block.text.startswith("$ "), f"line {block.line}: a block begins with a command"
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, *lines = part.rstrip().split("\n")
        shown = [line for line in lines if "?code=" not in line]
        yield Step(command, shown, pastes=shown != lines)


# --- the terminal and its user -----------------------------------------------------------------


@dataclass
class Terminal:
    """A terminal with a shell, which replaces the placeholders of a page."""

    environ: dict[str, str]
    site: str
    home: str
    port: str
    shown_site: str = REAL_SITE
    children: list["pexpect.spawn[str]"] = field(default_factory=list)
    exit_code: int = 0
    _last_address: str = ""

    def __post_init__(self) -> None:
        self.shell = self._start("bash", "-c", SHELL)

    def run(self, step: Step) -> list[str]:
        """Run a command, and return its output with the placeholders of the page."""
        command = self._as_typed(step.command)
        if command.startswith("soe-auth sandbox"):
            return self._serve(command)
        self.shell.sendline(command)
        text = ""
        if command.startswith("read "):
            self.shell.sendline(approve(self._last_address))
        elif step.waits:
            self.shell.expect("(copy its|paste the) address here:\r\n")
            text = self.shell.before + self.shell.match[0]
            here, *_, anywhere = re.findall(r"http\S+", f"{text} {text}")
            if step.pastes:
                self.shell.sendline(approve(anywhere))
            else:
                httpx.get(approve(here), follow_redirects=True, trust_env=False)
        self.shell.expect("\x1e(\\d+)\r\n")
        self.exit_code = int(self.shell.match[1])
        text += self.shell.before
        self._last_address = text.strip()
        return self._as_on_page(text)

    def _serve(self, command: str) -> list[str]:
        """Run the sandbox in a second terminal, on any free port."""
        self.sandbox = self._start(*shlex.split(command.replace("--port 7700", "--port 0")))
        self.sandbox.expect("Ctrl-C.*\r\n")
        text = self.sandbox.before + self.sandbox.match[0]
        self.site, self.shown_site = re.findall(r"http://localhost:\d+", text)[0], SANDBOX
        return self._as_on_page(text)

    def _start(self, *argv: str) -> "pexpect.spawn[str]":
        child = pexpect.spawn(
            argv[0],
            list(argv[1:]),
            env=self.environ,
            encoding="utf-8",
            timeout=15,
            echo=False,
            dimensions=(40, 400),  # the pages show each line whole
        )
        child.delaybeforesend = None
        self.children.append(child)
        return child

    def _names(self) -> list[tuple[str, str]]:
        """Return the page's name of the site and its real name: URL, authority, profile."""
        shown, site = self.shown_site.partition("://")[2], self.site.partition("://")[2]
        return [
            (self.shown_site, self.site),
            (shown, site),
            (shown.removesuffix(".stackenterprise.co").replace(":", "-"), site.replace(":", "-")),
        ]

    def _as_typed(self, command: str) -> str:
        (url, real_url), (authority, _), (profile, real_profile) = self._names()
        command = command.replace(f"--site {authority}", f"--site {real_url}")
        command = command.replace(url, real_url).replace(f"-p {profile}", f"-p {real_profile}")
        return command.replace("8765", self.port)

    def _as_on_page(self, text: str) -> list[str]:
        for shown, real in self._names():
            text = text.replace(real, shown)
        text = text.replace(self.home, "/home/you")
        text = re.sub(
            r"http://localhost:(\d+)/[\w-]{8}(?=\s)",
            lambda address: (
                f"http://localhost:{'8765' if address[1] == self.port else '51423'}/k7Qx2mVa"
            ),
            text,
        )
        text = re.sub(
            r"ssh -L (\d+):localhost:\1(?= )",
            lambda line: "ssh -L {0}:localhost:{0}".format(
                "8765" if line[1] == self.port else "51423"
            ),
            text,
        )
        text = re.sub(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d\d:\d\d\b", "Tue 09:12", text)
        # In a container a login adds this hint; the reader of the page is at a desktop.
        text = re.sub(r"This is a(?: development)? container: .*\r\n.*\r\n  http\S+\r\n", "", text)
        return text.rstrip().splitlines()


@pytest.fixture
def open_terminal(soe_auth: Command, site: Sandbox) -> Iterator[Callable[[Path], Terminal]]:
    terminals = []

    def open_terminal(page: Path) -> Terminal:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = str(free.getsockname()[1])
        environ = {
            **soe_auth.on_path().environ,
            **OVER_SSH.get(name(page), {"BROWSER": BROWSER}),
        }
        del environ["SOE_AUTH_CONFIG_DIR"]  # the pages show the default paths
        trustme.CA().cert_pem.write_to_path(soe_auth.home / "acme-ca.pem")
        terminals.append(Terminal(environ, site.url, str(soe_auth.home), port))
        return terminals[-1]

    yield open_terminal
    for child in [child for terminal in terminals for child in terminal.children]:
        child.close(force=True)


def fits(shown: list[str], output: list[str]) -> bool:
    form = "\n".join(map(re.escape, shown))
    form = re.sub(r"^…$", r"(?:.*\n)*.*", form, flags=re.MULTILINE).replace("…", ".*")
    return re.fullmatch(form, "\n".join(output)) is not None


def asks_curl(page: Path) -> bool:
    return any(re.search(r"(^|\| )curl ", step.command) for step in steps(page))


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.process
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.needs("curl") if asks_curl(page) else ())
        for page in RUN
    ],
    ids=name,
)
def test_a_terminal_shows_the_output_on_the_page(
    page: Path, open_terminal: Callable[[Path], Terminal]
) -> None:
    terminal = open_terminal(page)
    for step in steps(page):
        if step.command in NOT_RUN.get(name(page), {}):
            continue
        output = terminal.run(step)
        assert fits(step.shown, output), "\n".join([f"$ {step.command}", *output])
        assert (terminal.exit_code != 0) == step.fails, step.command
    for line in [line for block in blocks(page, "text") for line in block.text.splitlines()]:
        terminal.sandbox.expect_exact(line)  # the output of the sandbox meanwhile


def test_every_command_in_not_run_is_on_its_page() -> None:
    for page, commands in NOT_RUN.items():
        assert set(commands) <= {step.command for step in steps(ROOT / page)}


@pytest.mark.parametrize(
    "command", [c for page in NOT_RUN.values() for c in page if c.startswith("soe-auth ")]
)
def test_a_command_for_a_real_site_has_valid_options(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = shlex.split(command)[1:]
    with pytest.raises(SystemExit) as ending:
        main([*argv, "--help"], environ={})
    assert ending.value.code == 0
    assert set(options_in(" ".join(argv))) <= set(options_in(capsys.readouterr().out))


@pytest.mark.parametrize("page", [p for p in PAGES if p not in RUN], ids=name)
def test_console_blocks_are_only_on_pages_that_are_run(page: Path) -> None:
    assert not blocks(page, "console")


def test_every_make_target_on_the_readme_exists() -> None:
    targets = re.findall(
        r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    used = re.findall(r"`make ([a-z-]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert used
    assert set(used) <= set(targets)


# --- the reference -------------------------------------------------------------------------------


def test_the_fields_to_register_are_those_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["login", "--site", "acme"], environ={"SOE_AUTH_CONFIG_DIR": str(tmp_path)})
    message = capsys.readouterr().err
    (head, *fields_to_fill) = rows(section(ROOT / "README.md", "Your first login"))
    assert head == ["field", "what to write"]
    for key, value in fields_to_fill:
        assert re.search(rf"^ +{key} ", message, re.MULTILINE)
        for words in coded(value) or [value]:
            assert re.search(rf"^ *(?:{key} +)?{re.escape(words)}$", message, re.MULTILINE)


def options_in(text: str) -> list[str]:
    return re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)


def options_of_help(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    for action in [[action] for action in config.ACTIONS] if command == "config" else [[]]:
        with pytest.raises(SystemExit):
            main([command, *action, "--help"], environ={})
    listed = "".join(capsys.readouterr().out.split("\noptions:\n")[1:])
    heads = re.findall(r"^  (-.*?)(?:  |$)", listed, re.MULTILINE)
    return set(options_in(" ".join(heads)))


def test_every_action_of_config_is_in_its_section() -> None:
    text = section(DOCS / "reference" / "cli.md", "soe-auth config")
    documented = [coded(row[0])[0].split()[0] for row in rows(text) if row[0].startswith("`")]
    assert list(dict.fromkeys(documented[: documented.index("--show-origin")])) == list(
        config.ACTIONS
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_the_section_of_a_command_lists_exactly_its_options(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = DOCS / "reference" / "cli.md"
    own = {
        option for row in rows(section(cli, f"soe-auth {command}")) for option in options_in(row[0])
    }
    common = {
        option for row in rows(section(cli, "Global options")) for option in options_in(row[0])
    }
    if command in WITHOUT_PROFILE:
        common -= {"-p", "--profile"}
    assert own | common == options_of_help(command, capsys)
    assert not own & common


def test_the_page_of_commands_lists_them_in_order() -> None:
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert re.findall(r"^## soe-auth (\w+)$", text, re.MULTILINE) == list(COMMANDS)


def test_the_sandbox_applications_are_those_of_the_table() -> None:
    sandbox = section(DOCS / "reference" / "cli.md", "soe-auth sandbox")
    documented = {coded(row[0])[0]: row[1] for row in rows(sandbox) if row[0].startswith("`1")}
    assert list(documented) == [application.client_id for application in DEFAULT_APPLICATIONS]
    for application in DEFAULT_APPLICATIONS:
        if application.domain not in ("", OWN_DOMAIN):
            assert documented[application.client_id] == f"`{application.domain}`"


@pytest.mark.rfc("8252-8.4")
def test_the_table_of_settings_matches_the_code() -> None:
    table = rows(section(DOCS / "reference" / "settings.md", "All settings"))[1:]
    assert [row[0] for row in table] == [f"`{setting.key}`" for setting in TABLE]
    settings: tuple[Setting[Any], ...] = TABLE
    for setting, (_, flag, variable, default, _, profile) in zip(settings, table, strict=True):
        has_option = setting not in (CA_BUNDLE, PROXY, STORE)
        assert flag == (f"`{setting.flag}`" if has_option else "none")
        assert variable == f"`{setting.variable}`"
        assert profile == ("yes" if setting in PROFILE else "no")
        if default.startswith("none"):
            assert setting.default in (None, Scope())
        else:
            assert setting.read(default.strip("`")) == setting.default


def test_the_page_lists_exactly_the_variables_that_are_read() -> None:
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    spelt = r'"(?:SOE_AUTH_|{VARIABLE_PREFIX})([A-Z_]+[A-Z])"'
    read = {f"SOE_AUTH_{word}" for text in sources for word in re.findall(spelt, text)}
    read |= {setting.variable for setting in TABLE}
    text = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert set(re.findall(r"SOE_AUTH_[A-Z_]+", text)) == read


def test_the_example_of_settings_is_valid(tmp_path: Path) -> None:
    example, *_ = blocks(DOCS / "reference" / "settings.md", "toml")
    (tmp_path / "config.toml").write_text(example.text)
    environ = {"SOE_AUTH_CONFIG_DIR": str(tmp_path)}
    assert resolve({}, environ=environ).profile == "acme"
    for profile in tomllib.loads(example.text)["profile"]:
        settings = resolve({}, profile=profile, environ=environ)
        assert settings.require_site_and_client()
        assert settings.timeout == 600


def test_the_keys_and_the_example_of_a_project_file_match_the_code(tmp_path: Path) -> None:
    text = section(DOCS / "reference" / "settings.md", "Project file")
    assert [coded(row[0])[0] for row in rows(text)[1:]] == list(PROJECT_KEYS)
    _, project, trusted = blocks(DOCS / "reference" / "settings.md", "toml")
    (tmp_path / ".soe-auth.toml").write_text(project.text.replace(REAL_SITE, "https://soe.example"))
    (tmp_path / "config.toml").write_text(trusted.text)
    environ = {"SOE_AUTH_CONFIG_DIR": str(tmp_path)}
    settings = resolve({}, environ=environ, cwd=lambda: tmp_path)
    assert settings.from_project == ["site", "client_id"]
    assert not settings.doubt
    (tmp_path / "config.toml").unlink()
    assert resolve({}, environ=environ, cwd=lambda: tmp_path).doubt


def test_the_page_lists_exactly_the_exit_codes() -> None:
    table = rows((DOCS / "reference" / "exit-codes.md").read_text(encoding="utf-8"))[1:]
    documented = {int(row[0]): coded(row[-1]) for row in table}
    kinds = {code: [kind.__name__] for kind, code in exit_codes.EXIT_CODES.items()}
    ends = 0, 1, NOT_WRITTEN, SIGNALLED + 2, READER_GONE
    others: dict[int, list[str]] = {code: [] for code in ends}
    others |= {exit_codes.CANNOT_RUN: [], exit_codes.NOT_FOUND: []}
    assert documented == kinds | others
    assert exit_codes.USAGE in documented


@pytest.mark.posix("file modes, which Windows does not have")
@pytest.mark.process
def test_files_have_the_locations_and_modes_of_the_page(signed_in: Command) -> None:
    table = rows(section(DOCS / "reference" / "files.md", "Locations"))
    documented = {coded(row[0])[0]: row[1] for row in table if re.fullmatch(r"0\d00", row[1])}
    directory = signed_in.home / "config"
    found = {
        re.sub(r"localhost-\d+", "PROFILE", str(path.relative_to(directory)))
        + ("/" if path.is_dir() else ""): f"{path.stat().st_mode & 0o777:04o}"
        for path in directory.rglob("*")
    }
    # Files that exist only for a while:
    temporary = re.compile("corrupt|recall|waiting|unanswered|keyring")
    assert found == {path: mode for path, mode in documented.items() if not temporary.search(path)}


# --- Python --------------------------------------------------------------------------------------

API = DOCS / "reference" / "api.md"
PYTHON = DOCS / "how-to" / "python.md"


def test_every_public_name_is_documented() -> None:
    assert set(package.__all__) <= set(re.findall(r"\w+", API.read_text(encoding="utf-8")))


def test_every_attribute_of_a_token_is_documented() -> None:
    documented = [coded(row[0])[0] for row in rows(section(API, "Values"))[1:]]
    assert documented == [attribute.name for attribute in fields(Token)]


def test_the_tree_of_errors_is_that_of_the_module() -> None:
    (documented,) = blocks(API, "text")
    actual = (inspect.getdoc(errors) or "").split("\n\n")[1]
    assert documented.text.split("\n")[:-1] == inspect.cleandoc(actual).split("\n")


@pytest.mark.parametrize("page", [ROOT / "README.md", API], ids=name)
def test_every_python_block_compiles(page: Path) -> None:
    assert blocks(page, "python")
    for block in blocks(page, "python"):
        compile(block.text, name(page), "exec")


def test_the_signatures_match_the_functions() -> None:
    trees = [ast.parse(block.text) for block in blocks(API, "python")]
    documented = [
        node
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    functions = {name for name in package.__all__ if inspect.isfunction(getattr(package, name))}
    assert {node.name for node in documented} == functions
    for node in documented:
        (actual,) = ast.parse(inspect.getsource(getattr(package, node.name))).body
        assert isinstance(actual, type(node))
        assert ast.unparse(node.args) == ast.unparse(actual.args)
        assert node.returns is not None
        assert actual.returns is not None
        assert ast.unparse(node.returns) == ast.unparse(actual.returns)


def test_the_arguments_of_the_auth_classes_match_the_code() -> None:
    (documented,) = [
        node
        for block in blocks(API, "python")
        for node in ast.parse(block.text).body
        if isinstance(node, ast.ClassDef)
    ]
    (init,) = documented.body
    assert isinstance(init, ast.FunctionDef)
    options = {
        argument.arg: (ast.unparse(argument.annotation), ast.literal_eval(default))
        for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
        if argument.annotation and default
    }
    assert options == {
        name: (kind.__forward_arg__, getattr(TokenProvider(), name))
        for name, kind in Options.__annotations__.items()
    }


AS_IN_A_NOTEBOOK = """
import ast, asyncio, inspect, sys
code = compile(sys.stdin.read(), "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
result = eval(code, {"__name__": "__main__"})
if inspect.iscoroutine(result):
    asyncio.run(result)
"""


@pytest.mark.process
@pytest.mark.parametrize("block", blocks(PYTHON, "python"), ids=lambda block: f"line {block.line}")
def test_the_programs_on_the_python_page_run(
    block: Block, soe_auth: Command, site: Sandbox
) -> None:
    user = soe_auth.with_variables(BROWSER=BROWSER)
    login = user("login", "-p", "acme", "--site", site.url, "--client-id", "110")
    assert login.returncode == 0, login.stderr
    ran = subprocess.run(
        [sys.executable, "-c", AS_IN_A_NOTEBOOK],
        input=block.text.replace(REAL_SITE, site.url),
        env=user.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    printed = re.findall(r"print\(.*\)  # (.*)", block.text)
    assert ran.stdout.splitlines() == [line for line in printed if not line.startswith("says ")]
    assert ran.stderr == ""


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_program_on_the_readme_runs(signed_in: Command, site: Sandbox) -> None:
    (block,) = blocks(ROOT / "README.md", "python")
    assert len([line for line in block.text.splitlines() if line]) <= 5
    program = block.text.replace(REAL_SITE, site.url)
    program = program.replace('"acme"', f'"localhost-{site.port}"')
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=signed_in.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("Jane Doe\n", "")


# --- the code, the links ------------------------------------------------------------------------


def test_the_layers_are_those_of_the_import_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    documented = [coded(row[1]) for row in rows(section(DESIGN, "Layers"))[1:]]
    assert documented == [layer.split(" | ") for layer in layers]
    (picture,) = blocks(DESIGN, "text")
    drawn = [line[4:].split("  ")[0].split(" | ") for line in picture.text.splitlines()]
    assert drawn == documented


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_has_a_target(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = {
        (DOCS / link.partition("#")[0]).resolve() for link in re.findall(r"\]\(([^)]+)\)", index)
    }
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= linked
