"""The rules of the architecture that a test can check."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import unmeasured

import soe_auth
from soe_auth import SoeAuthError, errors
from soe_auth.cli.exit_codes import EXIT_CODES, exit_code
from soe_auth.cli.main import COMMANDS, main

PACKAGE = Path(soe_auth.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
# These test other programs with a sandbox.
OTHER_CLIENTS = {"test_foreign_clients.py", "test_pytest_plugin.py"}
TESTS = sorted(Path(__file__).parents[1].rglob("*.py"))
HEAVY = {"aiohttp", "httpx", "asyncio", "ssl", "rich", "keyring", "shtab", "tomlkit"}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a statement."""
    show = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", show],
        env=unmeasured(os.environ),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return set(done.stdout.splitlines()[-1].split())


def error_tree(kind: type[SoeAuthError]) -> list[type[SoeAuthError]]:
    return [kind, *(k for child in kind.__subclasses__() for k in error_tree(child))]


def test_import_soe_auth_is_light() -> None:
    assert not loaded_by("import soe_auth") & {*HEAVY, "argparse", "json", "dataclasses"}


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_a_token_is_printed_without_importing_heavy_modules(tmp_path: Path) -> None:
    statement = (
        "from soe_auth.cli.main import main\n"
        f"main(['token'], {{'SOE_AUTH_CONFIG_DIR': {str(tmp_path)!r}}})\n"
        "assert main(['token'], {'SOE_AUTH_TOKEN': 'x'}) == 0\n"
        "for form in ('header', 'env', 'json', 'curl'):\n"
        "    assert main(['token', '--format', form], {'SOE_AUTH_TOKEN': 'x'}) == 0\n"
        "assert main(['status', '--check', '2h'], {'SOE_AUTH_TOKEN': 'x'}) == 0\n"
        f"no_token = {{'SOE_AUTH_CONFIG_DIR': {str(tmp_path)!r}, 'SOE_AUTH_SITE': 'acme',"
        " 'SOE_AUTH_CLIENT_ID': '1'}\n"
        "assert main(['status', '--check'], no_token) == 3\n"
        "assert main(['token', '--wait', '0'], no_token) == 3\n"
        "assert main(['run', 'true'], no_token) == 3\n"
        "assert main(['run', '/none'], {**no_token, 'SOE_AUTH_TOKEN': 'x'}) == 127"
    )
    assert not loaded_by(statement) & {*HEAVY, "hashlib", "subprocess", "threading"}


@pytest.mark.process
def test_the_browser_is_launched_before_heavy_modules_are_imported(tmp_path: Path) -> None:
    script = f"""
import sys, soe_auth
def browser(url):
    raise SystemExit(sorted({HEAVY!r} & set(sys.modules)) or 0)
soe_auth.login(site="acme", client_id="110", browser=browser)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "SOE_AUTH_CONFIG_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_public_names_are_those_in_all() -> None:
    assert sorted(soe_auth.__all__) == soe_auth.__all__
    for name in soe_auth.__all__:
        assert getattr(soe_auth, name) is not None
    assert dir(soe_auth) == soe_auth.__all__
    with pytest.raises(AttributeError):
        _ = soe_auth.nothing  # type: ignore[attr-defined]  # mypy reports it, as expected


def test_no_module_has_the_name_of_a_public_function() -> None:
    assert not {path.stem for path in PACKAGE.iterdir()} & set(soe_auth.__all__)


def test_every_error_is_public_and_in_the_tree() -> None:
    in_tree = [
        line.split("──")[-1].split()[0]
        for line in (errors.__doc__ or "").splitlines()
        if "──" in line
    ]
    kinds = [kind.__name__ for kind in error_tree(SoeAuthError)]
    assert in_tree == kinds[1:]
    assert set(kinds) <= set(soe_auth.__all__)


def test_every_error_has_an_exit_code_and_the_base_is_never_raised() -> None:
    for kind in error_tree(SoeAuthError)[1:]:
        assert exit_code(kind) in EXIT_CODES.values()
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)


def test_only_the_command_line_prints() -> None:
    printing = {
        path.relative_to(PACKAGE).parts[0]
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "sys.stdout.write"}
    }
    # The scripted browser is a program of its own, and `__main__` prints replayed output.
    assert printing <= {"cli", "sandbox", "__main__.py"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_each_command_has_a_module() -> None:
    modules = {path.stem for path in (PACKAGE / "cli" / "commands").glob("*.py")}
    assert set(COMMANDS) <= modules


@pytest.mark.rfc("6749-10.3")
def test_secrets_are_revealed_only_where_they_leave_the_program() -> None:
    revealing = {
        path.relative_to(PACKAGE).as_posix()
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    }
    # The recorder, which may be deleted, finds the position of the token in its file.
    assert revealing | {"fast/recorder.py"} == {
        "fast/recorder.py",
        "oauth/bearer.py",
        "oauth/revocation.py",
        "cli/commands/exchange.py",
        "cli/json_output.py",
        "cli/commands/pkce.py",
        "site_client/client.py",
        "cli/commands/token.py",
        "doctor/certificate.py",
        "oauth/authorization_request.py",
        "oauth/callback_check.py",
        "oauth/token_endpoint.py",
        "model/secret.py",
        "desktop/process.py",
        "storage/file_store.py",
        "site_client/transport.py",
    }


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_no_test_module_imports_another(path: Path) -> None:
    imported = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert [each for each in imported if " test_" in each] == []


def test_helper_modules_of_tests_have_docstrings() -> None:
    for path in TESTS:
        assert path.name.startswith("test_") or ast.get_docstring(
            ast.parse(path.read_text(encoding="utf-8"))
        ), path


def test_soe_auth_is_tested_with_strict_sandboxes() -> None:
    lenient = []
    for path in TESTS:
        if path.name.startswith("test_sandbox") or path.name in OTHER_CLIENTS:
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {"Sandbox", "running"}:
                options = {keyword.arg for keyword in call.keywords}
                if not options & {"strict", None}:
                    lenient.append(f"{path.name}:{call.lineno}")
    assert lenient == []


def test_public_functions_and_classes_have_unique_names() -> None:
    modules_of: dict[str, list[str]] = {}
    for path in SOURCES:
        module = path.relative_to(PACKAGE).as_posix()
        # Each command has the same two functions; a use case and its public function share a name.
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                is_command = module.startswith("cli/commands/") and node.name in {
                    "configure",
                    "run",
                }
                is_public = module == "python_api/functions.py" and node.name in soe_auth.__all__
                if not (node.name.startswith("_") or is_command or is_public):
                    modules_of.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in modules_of.items() if len(modules) > 1} == {}


def test_no_test_replaces_a_function_of_soe_auth() -> None:
    replacing = []
    for path in TESTS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        ours = {"soe_auth"}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("soe_auth"):
                ours |= {name.asname or name.name for name in node.names}
            elif isinstance(node, ast.Import):
                ours |= {n.asname for n in node.names if n.asname and "soe_auth" in n.name}
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if call.func.attr in {"setattr", "patch", "object"} and call.args:
                target = ast.unparse(call.args[0]).strip("'\"").partition(".")[0]
                if target in ours:
                    replacing.append(f"{path.name}:{call.lineno}")
    assert replacing == []


def test_the_page_of_quirks_fits_40_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with pytest.raises(SystemExit):
        main(["sandbox", "--help", "quirks"], {})
    page = capsys.readouterr().out.splitlines()
    assert "  server-error" in page
    assert max(map(len, page)) <= 40
