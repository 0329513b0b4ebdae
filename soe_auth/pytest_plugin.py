"""Fixtures for the tests of tools that use soe-auth: a sandbox site, and a token for it.

pytest loads this in every run where soe-auth is installed, so it imports nothing until it is used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soe_auth.model.token import Token
    from soe_auth.sandbox import Sandbox, SandboxSettings

_CONFIG = 'store = "file"\ntimeout = "20s"\n'  # no user waits for a login that fails


@pytest.fixture
def soe_sandbox_settings() -> SandboxSettings:
    """Return the arguments of `Sandbox` for `soe_sandbox`; none by default.

    Override it in a test file, a class or a conftest.py, as with `{"lifetime": 30}`.
    """
    return {}


@pytest.fixture
def soe_sandbox_profile() -> str:
    """Return the name of the profile that `soe_sandbox` creates; "sandbox" by default.

    Override it if the tool under test uses a profile by its name.
    """
    return "sandbox"


@pytest.fixture
def soe_sandbox(
    soe_sandbox_settings: SandboxSettings,
    soe_sandbox_profile: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Sandbox]:
    """Run a sandbox site, with a profile for it; no user has signed in yet.

    Until the test ends, the environment has none of the user's SOE_AUTH_* variables, a new config
    directory with one profile for the site, and a BROWSER that signs in and approves. PATH begins
    with the directory of this Python's `soe-auth`.
    """
    import sysconfig

    from soe_auth.sandbox import running
    from soe_auth.sandbox.scripted_browser import scripted_browser_command
    from soe_auth.settings import CONFIG_DIR_VARIABLE, PROFILE_VARIABLE, VARIABLE_PREFIX
    from soe_auth.settings.config_writer import write_settings

    directory = tmp_path_factory.mktemp("soe-auth")
    for name in [name for name in os.environ if name.startswith(VARIABLE_PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(CONFIG_DIR_VARIABLE, str(directory))
    monkeypatch.setenv(PROFILE_VARIABLE, soe_sandbox_profile)  # takes precedence over project files
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(directory / "system"))
    monkeypatch.setenv("BROWSER", scripted_browser_command())
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=os.pathsep)
    with running(**soe_sandbox_settings) as sandbox:
        profile = {"site": sandbox.url, "client_id": sandbox.applications[0].client_id}
        write_settings(directory / "config.toml", soe_sandbox_profile, profile, preface=_CONFIG)
        yield sandbox


@pytest.fixture
def soe_token(soe_sandbox: Sandbox) -> Token:  # noqa: ARG001 - the site of the login
    """Sign in to `soe_sandbox` as a user would; return the `Token`, which is stored as well.

    Raises what `soe_auth.login` raises if the sandbox is set to make errors.
    """
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from soe_auth.python_api.functions import login
    from soe_auth.sandbox.scripted_browser import visit

    # In threads, as an event loop may be running in this one.
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="soe-token") as threads:

        def browser(url: str) -> bool:
            threads.submit(lambda: asyncio.run(visit(url)))
            return True

        return threads.submit(login, browser=browser).result()
