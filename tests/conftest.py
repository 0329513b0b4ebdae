"""What the tests stand on: a real sandbox, a config directory of their own, the real command."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import hypothesis
import pytest

from soe_auth.sandbox import Sandbox, running
from soe_auth.scope import Scope
from soe_auth.secret import Secret
from soe_auth.site import Site
from soe_auth.tokens import Token

TOKEN = Token(
    access_token=Secret("canary(1)*"),
    site=Site.parse("acme"),
    client_id="110",
    scope=Scope.parse("write_access"),
    granted_scope=Scope.parse("write_access"),
    obtained_at=1000.0,
    expires_at=87400.0,
    account="Jane Doe",
)

hypothesis.settings.register_profile("long", max_examples=20_000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

pytest_plugins = ["pytester"]

VISITOR = f"{sys.executable} -m soe_auth.sandbox.visitor"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what is fast first: plain tests, then processes, then the browser."""
    items.sort(
        key=lambda item: (
            item.get_closest_marker("browser") is not None,
            item.get_closest_marker("process") is not None,
        )
    )


@dataclass(frozen=True)
class Command:
    """The installed `soe-auth`, in an environment that holds nothing of the machine's own."""

    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None

    @property
    def path(self) -> str:
        return str(Path(sys.executable).with_name("soe-auth"))

    @property
    def environ(self) -> dict[str, str]:
        kept = ("PATH", "LANG", "TZ", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "HOME": str(self.home),
            "SOE_AUTH_CONFIG_DIR": str(self.home / "config"),
            "XDG_CONFIG_DIRS": str(self.home / "system"),
            **self.variables,
        }

    def __call__(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path, *argv],
            env=self.environ,
            cwd=self.cwd,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )

    def with_variables(self, **variables: str) -> "Command":
        return replace(self, variables={**self.variables, **variables})

    def within(self, directory: Path) -> "Command":
        return replace(self, cwd=directory)


@pytest.fixture
def site() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def soe_auth(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def signed_in(soe_auth: Command, site: Sandbox) -> Command:
    """The command, after a first login of Jane Doe to the sandbox."""
    login = soe_auth("login", "--site", site.url, "--client-id", "110", "--browser", VISITOR)
    assert login.returncode == 0, login.stderr
    return soe_auth
