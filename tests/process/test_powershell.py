"""The output for PowerShell, parsed by a parser of its language and not run."""

import re
from collections.abc import Iterator

import pytest
import tree_sitter_powershell
from hypothesis import example, given
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from soe_auth import Secret
from soe_auth.cli.commands import config, profile
from soe_auth.cli.commands.token import export
from soe_auth.cli.main import COMMANDS, main

pytestmark = pytest.mark.posix("the parser of PowerShell is not among what all systems install")

VISIBLE = "".join(map(chr, range(ord("!"), ord("~") + 1)))
KEY = "_shtab_soe_auth"  # what the key of each entry in the tables begins with
PARSER = Parser(Language(tree_sitter_powershell.language()))

Tables = dict[str, dict[str, list[str]]]


def parse(script: str) -> Node:
    root = PARSER.parse(script.encode()).root_node
    assert not root.has_error
    return root


def nodes(root: Node, *types: str) -> Iterator[Node]:
    if root.type in types:
        yield root
    for child in root.children:
        yield from nodes(child, *types)


def text(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def strings(root: Node) -> list[str]:
    """Return the values of the strings between single quotes."""
    return [
        text(node)[1:-1].replace("''", "'") for node in nodes(root, "verbatim_string_characters")
    ]


# --- token --format env --shell powershell -------------------------------------------------------


@given(token=st.text(VISIBLE, min_size=1))
@example(token=VISIBLE)
@example(token="'")
@example(token="''\\'")
@example(token="';calc;'")
@example(token="$(calc)`n")
def test_a_line_for_powershell_is_one_assignment_of_the_token(token: str) -> None:
    line = parse(export(Secret(token), "powershell"))
    assert [text(node) for node in nodes(line, "assignment_expression")] == [text(line)]
    assert [text(node) for node in nodes(line, "variable")] == ["$env:SOE_AUTH_TOKEN"]
    assert strings(line) == [token]
    assert not list(nodes(line, "command", "sub_expression", "expandable_string_literal"))


# --- completion powershell -----------------------------------------------------------------------


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> Node:
    assert main(["completion", "powershell"], environ={}) == 0
    return parse(capsys.readouterr().out)


@pytest.fixture
def tables(script: Node) -> Tables:
    """Return the tables of the script: for each key, its strings."""
    found = {}
    for assignment in nodes(script, "assignment_expression"):
        name, _, _ = text(assignment).partition(" = ")
        if name.startswith(f"${KEY}_"):
            entries = [strings(entry) for entry in nodes(assignment, "hash_entry")]
            keys = [key.lower() for key, *_ in entries]
            assert len(keys) == len(set(keys))  # PowerShell takes no key twice, whatever its case
            found[name.removeprefix(f"${KEY}_")] = {key: values for key, *values in entries}
    return found


def key(*words: str) -> str:
    return "_".join([KEY, *(re.sub(r"\W", "_", word) for word in words)])


def test_the_script_has_each_command_with_its_help(tables: Tables) -> None:
    assert tables["subparsers"] == {
        key(): [*COMMANDS],
        key("config"): [*config.ACTIONS],
        key("profile"): [*profile.ACTIONS],
    }
    for name, does in COMMANDS.items():
        assert tables["help"][key(name)] == [does]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"config", "profile"}])
def test_the_script_has_each_option_with_its_help(
    name: str,
    tables: Tables,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "500")  # an entry is a line then, or two
    with pytest.raises(SystemExit):
        main([name, "--help"], environ={})
    shown = capsys.readouterr().out.partition("\noptions:")[2].partition("\n\n")[0]
    options = {
        option: does.strip()
        for options, does in re.findall(r"\n  (-.+?)\s{2,}(.+)", shown)
        for option in re.findall(r"(?<!\S)--?[a-z-]+", options)
    }
    assert {*tables["option_strings"][key(name)]} == {*options}
    for option, does in options.items():
        assert tables["help"][key(name, option)] == [does.replace("…", "...")]


def test_the_script_has_the_choices(tables: Tables) -> None:
    choices = tables["choices"]
    assert choices[key("token", "--format")] == ["plain", "header", "env", "json", "curl"]
    assert choices[key("token", "--shell")] == ["sh", "fish", "powershell", "cmd"]
    assert choices[key("login", "--redirect")] == ["loopback", "login_success"]
    assert choices[key("config", "get", "pos_0")] == [*config.KEYS]
    assert choices[key("completion", "pos_0")] == [
        "bash",
        "zsh",
        "fish",
        "powershell",
        "elvish",
        "nushell",
    ]


def test_the_script_has_a_function_for_each_lookup(script: Node, tables: Tables) -> None:
    functions = {text(node) for node in nodes(script, "function_name")}
    used = {word for [word] in tables["compgens"].values()}
    assert used == {"_soe_auth_profiles", "_soe_auth_files", "_soe_auth_command"}
    assert used < functions
    for at, options in tables["option_strings"].items():
        if "--profile" in options:
            assert tables["compgens"][f"{at}___profile"] == ["_soe_auth_profiles"]
    assert tables["compgens"][key("run", "pos_0")] == ["_soe_auth_command"]
    assert tables["compgens"][key("token", "--output")] == ["_soe_auth_files"]


def test_the_script_calls_no_other_command(script: Node) -> None:
    ours = {text(node) for node in nodes(script, "function_name")}
    called = {text(node) for node in nodes(script, "command_name", "command_name_expr")}
    assert called - ours == {
        "$actionCompgen",  # one of the functions above, from a table
        "ForEach-Object",
        "Get-ChildItem",
        "Get-Command",
        "New-Object",
        "Register-ArgumentCompleter",
        "Where-Object",
        "Write-Host",
        "soe-auth",
    }
    calls = [text(node).strip() for node in nodes(script, "command")]
    assert [call for call in calls if call.startswith("soe-auth")] == [
        "soe-auth completion --profiles 2>$null"
    ]


def test_the_script_is_ascii_for_windows_powershell(script: Node) -> None:
    assert text(script).isascii()
