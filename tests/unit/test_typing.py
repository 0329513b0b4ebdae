"""A user's program that uses every public name, for mypy --strict to read; it is never run."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Literal, assert_type

import aiohttp
import httpx
import requests

import soe_auth
from soe_auth import (
    AiohttpAuth,
    Expiry,
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


def values(token: Token, goodbye: LogoutResult, status: ProfileStatus) -> None:
    assert_type(token.access_token, Secret)
    assert_type(token.site, Site)
    assert_type(token.scope, Scope)
    assert_type(token.expires_at, Expiry)
    assert_type(token.expires_at, float | Literal["never", "unknown"])
    assert_type(token.account, str | None)
    assert_type(token.remaining(0), float)
    assert_type(goodbye.token, Token)
    assert_type(goodbye.on_site, RevocationResult | None)
    assert_type(status.site, Site | None)
    assert_type(status.token, Token | None)
    assert_type(status.problem, str | None)


def clients(store: Store) -> None:
    auth = SoeAuth("acme", min_ttl=600, login=True, store=store, announce=print)
    httpx.Client(auth=auth).close()
    session = requests.Session()
    session.auth = RequestsAuth("acme", login=True)
    assert_type(httpx.get("https://acme.stackenterprise.co", auth=auth), httpx.Response)


async def async_clients() -> None:
    async with httpx.AsyncClient(auth=SoeAuth()) as client:
        assert_type(await client.get("https://acme.stackenterprise.co"), httpx.Response)
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
