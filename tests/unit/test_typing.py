"""A user's program that uses every public name, for mypy --strict to read; it is never run."""

import ast
import os
import pydoc
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from sysconfig import get_path
from typing import Literal, assert_type

import aiohttp
import httpx
import httpx2
import pytest
import requests

import soe_auth
from soe_auth import (
    AiohttpAuth,
    Expiry,
    Httpx2Auth,
    LoginBusy,
    LoginDenied,
    LoginTimedOut,
    LogoutResult,
    ProfileStatus,
    RequestsAuth,
    RevocationResult,
    Scope,
    Secret,
    Site,
    SoeAuth,
    Store,
    Token,
)


class Nowhere:
    """As little as a store can be."""

    def load(self, profile: str) -> Token | None:
        raise soe_auth.StoreError(profile)

    def save(self, profile: str, token: Token) -> None:
        pass

    def update(self, profile: str, token: Token) -> bool:
        return token is None and not profile

    def remove(self, profile: str, token: Token | None) -> bool:
        return token is None and not profile

    def profiles(self) -> list[str]:
        return []

    def prepare(self, profile: str) -> None:
        pass


def calls(browser: Callable[[str], bool]) -> None:
    store: Store = Nowhere()
    assert_type(soe_auth.get_token("acme", min_ttl=600, store=store), Secret)
    assert_type(soe_auth.get_token().reveal(), str)
    token = soe_auth.login(
        "acme",
        site="acme",
        client_id="110",
        scope="write_access",
        if_needed=True,
        min_ttl=600,
        browser=browser,
        announce=print,
        store=store,
    )
    assert_type(token, Token)
    assert_type(soe_auth.logout("acme", local=True, store=store), LogoutResult | None)
    assert_type(soe_auth.status("acme", store=store), list[ProfileStatus])
    assert_type(soe_auth.__version__, str)


async def an_async_call() -> None:
    assert_type(await soe_auth.alogin("acme", if_needed=True), Token)


def values(token: Token, result: LogoutResult, status: ProfileStatus) -> None:
    assert_type(token.access_token, Secret)
    assert_type(token.site, Site)
    assert_type(token.scope, Scope)
    assert_type(token.expires_at, Expiry)
    assert_type(token.expires_at, float | Literal["never", "unknown"])
    assert_type(token.account, str | None)
    assert_type(token.remaining(0), float)
    assert_type(result.token, Token)
    assert_type(result.on_site, RevocationResult | None)
    assert_type(status.site, Site | None)
    assert_type(status.token, Token | None)
    assert_type(status.problem, str | None)


def clients(store: Store) -> None:
    auth = SoeAuth("acme", min_ttl=600, login=True, store=store, announce=print)
    httpx.Client(auth=auth).close()
    httpx2.Client(auth=Httpx2Auth("acme", min_ttl=600)).close()
    session = requests.Session()
    session.auth = RequestsAuth("acme", login=True)
    assert_type(httpx.get("https://acme.stackenterprise.co", auth=auth), httpx.Response)


async def async_clients() -> None:
    async with httpx.AsyncClient(auth=SoeAuth()) as client:
        assert_type(await client.get("https://acme.stackenterprise.co"), httpx.Response)
    async with httpx2.AsyncClient(auth=Httpx2Auth()) as successor:
        assert_type(await successor.get("https://acme.stackenterprise.co"), httpx2.Response)
    async with aiohttp.ClientSession(middlewares=[AiohttpAuth("acme")]) as session:
        assert_type(session, aiohttp.ClientSession)


def errors() -> None:
    try:
        soe_auth.login()
    except soe_auth.LoginRequired as problem:
        assert_type(problem.hint, str)
    except LoginDenied as problem:
        assert_type(problem.code, str)
    except LoginTimedOut as problem:
        assert_type(problem.strays, int)
    except LoginBusy as problem:
        assert_type(problem.address, str | None)
    except (soe_auth.ExchangeRefused, soe_auth.MalformedResponse, soe_auth.ServerError) as problem:
        assert_type(problem.status, int)
    except (soe_auth.LoopbackUnavailable, soe_auth.LoginError, soe_auth.NetworkError):
        pass
    except (soe_auth.SettingsError, soe_auth.StoreError, soe_auth.SoeAuthError):
        pass


def test_the_program_uses_every_public_name() -> None:
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert set(soe_auth.__all__) <= used


CHECKERS = {"mypy": ["--strict", "--cache-dir", os.devnull], "basedpyright": ["--level", "error"]}


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_misspelt_name_is_an_error_for_a_type_checker(checker: str, tmp_path: Path) -> None:
    command = Path(get_path("scripts")) / checker
    if not command.exists():
        pytest.skip(f"{checker} is not installed")
    program = tmp_path / "program.py"
    program.write_text("from soe_auth import lgoin, login\n\nlogin()\n", encoding="utf-8")
    done = subprocess.run(
        [command, *CHECKERS[checker], program.name],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 1, done.stderr
    errors = [line for line in done.stdout.splitlines() if "error" in line and "lgoin" in line]
    assert len(errors) == 1, done.stdout


def test_help_shows_public_names_only() -> None:
    text = pydoc.plain(pydoc.render_doc(soe_auth))
    names = re.findall(r"^    (?:class )?(\w+)(?: = |\()", text, re.MULTILINE)
    assert set(names) <= set(soe_auth.__all__) | {"builtins", "enum", "typing", "httpx", "httpx2"}
    assert "login" in names
