"""The fixtures for authors of tools: used here, and by a pytest of their own as an author's are."""

import asyncio
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from cli_oracle import live_in
from conftest import unmeasured
from docs_parser import DOCS

import soe_auth
from soe_auth.sandbox import Application, Quirks, Sandbox, SandboxSettings

PAGE = DOCS / "how-to" / "test-your-tool.md"
REFERENCE = DOCS / "reference" / "pytest.md"

MODULES_AT_THE_END = """
import sys
def pytest_unconfigure():
    print("loaded:", *sys.modules)
"""


def whoami(site: Sandbox, token: soe_auth.Token) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token.access_token.reveal()}"}
    with httpx.Client(trust_env=False) as client:
        return client.get(f"{site.url}/api/v3/users/me", headers=headers)


def first_cells(heading: str) -> list[str]:
    """Return the names that begin the rows of a section's tables."""
    _, section = REFERENCE.read_text().split(f"## {heading}\n")
    heads = re.findall(r"^\| (`.*?) \|", section.split("\n## ")[0], re.MULTILINE)
    return [name for head in heads for name in re.findall(r"`([^`]+)`", head)]


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a tool under test would, with what is in the environment."""
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_token_is_valid_at_the_site_and_stored(
    soe_sandbox: Sandbox, soe_token: soe_auth.Token
) -> None:
    assert whoami(soe_sandbox, soe_token).json()["name"] == "Jane Doe"
    assert soe_auth.get_token() == soe_token.access_token
    assert soe_token.account == "Jane Doe"


async def test_soe_token_works_inside_an_event_loop(
    soe_sandbox: Sandbox, request: pytest.FixtureRequest
) -> None:
    assert asyncio.get_running_loop().is_running()
    token: soe_auth.Token = request.getfixturevalue("soe_token")
    assert str(token.site) == soe_sandbox.url


def test_a_revoked_token_is_refused(soe_sandbox: Sandbox, soe_token: soe_auth.Token) -> None:
    soe_sandbox.end_tokens()
    assert whoami(soe_sandbox, soe_token).status_code == 401


@pytest.mark.usefixtures("soe_sandbox")
def test_at_first_no_user_is_signed_in() -> None:
    with pytest.raises(soe_auth.LoginRequired, match="Profile sandbox has no token"):
        soe_auth.get_token()


class TestWhatTheUserHas:
    """None of it comes into a test."""

    @pytest.fixture(autouse=True)
    def belongings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "system" / "soe-auth").mkdir(parents=True)
        (tmp_path / "system" / "soe-auth" / "config.toml").write_text('default_profile = "true"')
        (tmp_path / ".soe-auth.toml").write_text('site = "acme"\nclient_id = "7"\n')
        monkeypatch.chdir(tmp_path)
        live_in(tmp_path, monkeypatch)
        monkeypatch.setenv("SOE_AUTH_TOKEN", "the-users-own")
        monkeypatch.setenv("SOE_AUTH_MIN_TTL", "30h")

    def test_neither_variables_nor_files_are_heeded(
        self, soe_sandbox: Sandbox, soe_token: soe_auth.Token
    ) -> None:
        assert str(soe_token.site) == soe_sandbox.url
        assert soe_auth.get_token() == soe_token.access_token


class TestSettings:
    @pytest.fixture
    def soe_sandbox_settings(self) -> SandboxSettings:
        return {"lifetime": 30, "applications": [Application("7", "Ours", "localhost")]}

    @pytest.fixture
    def soe_sandbox_profile(self) -> str:
        return "acme"

    def test_the_site_and_the_profile_are_as_they_were_asked_for(
        self, soe_token: soe_auth.Token
    ) -> None:
        assert soe_token.client_id == "7"
        assert soe_auth.get_token("acme", min_ttl=1) == soe_token.access_token
        with pytest.raises(soe_auth.LoginRequired):
            soe_auth.get_token()


def test_an_error_of_the_login_is_raised_unchanged(
    soe_sandbox: Sandbox, request: pytest.FixtureRequest
) -> None:
    soe_sandbox.quirks = Quirks(token="unavailable")
    with pytest.raises(soe_auth.ServerError):
        request.getfixturevalue("soe_token")


@pytest.mark.process
@pytest.mark.parametrize("place", ["a desktop", "a CI job", "an SSH session"])
def test_a_child_process_signs_in_without_a_user(
    soe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    marks = {"a CI job": ("CI", "true"), "an SSH session": ("SSH_CONNECTION", "::1 1 ::1 22")}
    if place in marks:
        monkeypatch.setenv(*marks[place])
    done = run("soe-auth", "token", "--login")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{soe_auth.get_token().reveal()}\n"
    assert [exchange.granted for exchange in soe_sandbox.exchanges] == [True]


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_a_run_without_the_fixtures_loads_little(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing():\n    pass\n")
    pytester.makeconftest(MODULES_AT_THE_END)

    def loaded(*plugins: str) -> set[str]:
        # Without other people's plugins, which load a lot.
        environ = unmeasured(os.environ) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        argv = [sys.executable, "-m", "pytest", *plugins, "."]
        done = subprocess.run(
            argv, env=environ, capture_output=True, text=True, check=True, cwd=pytester.path
        )
        (line,) = re.findall("^loaded: (.*)$", done.stdout, re.MULTILINE)
        return set(line.split())

    ours = loaded("-p", "soe-auth") - loaded()
    assert ours == {"soe_auth", "soe_auth.version", "soe_auth.pytest_plugin"}


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_pytest_and_the_reference_describe_the_fixtures(pytester: pytest.Pytester) -> None:
    output = pytester.runpytest_subprocess("--fixtures").stdout.str()
    described = dict(re.findall(r"^(soe_\w+) -- .*\n    (.*)$", output, re.MULTILINE))
    assert "no docstring available" not in described.values()
    assert set(described) == set(first_cells("The fixtures"))


def test_the_reference_lists_the_settings_of_a_sandbox() -> None:
    listed = first_cells("The sandbox")
    arguments = set(SandboxSettings.__annotations__)
    assert arguments < set(listed)
    for name in set(listed) - arguments:
        assert hasattr(Sandbox(), name.removesuffix("()"))


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_several_runs_at_once_do_not_interfere(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("""
        import os
        def others():
            return {name: os.environ[name] for name in os.environ if name != "PYTEST_CURRENT_TEST"}
        before = others()
        def test_it(soe_token):
            assert soe_token.account == "Jane Doe"
            assert os.environ["SOE_AUTH_PROFILE"] == "sandbox"
        def test_later():
            assert others() == before
    """)
    with ThreadPoolExecutor(3) as threads:
        runs = [threads.submit(run, sys.executable, "-m", "pytest") for _ in range(3)]
    assert {each.result().returncode for each in runs} == {0}


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_example_of_the_page_passes(pytester: pytest.Pytester) -> None:
    blocks = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for name, text in blocks:
        (pytester.path / name).write_text(text)
    done = pytester.runpytest_subprocess("-q")
    expected = sum(len(re.findall(r"^def test_", text, re.MULTILINE)) for _, text in blocks)
    done.assert_outcomes(passed=expected)
