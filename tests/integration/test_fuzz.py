"""Fuzz tests of every parser of outside data, with random input.

Short here; `make fuzz` goes on for minutes (HYPOTHESIS_PROFILE=long, FUZZ_SECONDS=180).
"""

import asyncio
import json
import os
import random
import re
import shutil
import time
from urllib.parse import urlencode

import pytest
import tomlkit
from callback_server import ends_well, waiting
from conftest import TOKEN
from hostile_requests import REFUSED, REQUESTS, target_of
from hypothesis import example, given
from hypothesis import strategies as st
from protocol_samples import GOOD, REDIRECT, REQUEST, arrive

from soe_auth import ExchangeRefused, LoginRequired, MalformedResponse, Secret, SettingsError
from soe_auth.model.text import is_profile_name
from soe_auth.oauth.api_call import SiteResponse
from soe_auth.oauth.callback_check import (
    Denied,
    Granted,
    Stray,
    check_callback,
    check_pasted_url,
)
from soe_auth.oauth.token_endpoint import parse_token_response
from soe_auth.settings.project_file import PROJECT_KEYS
from soe_auth.settings.resolve import resolve
from soe_auth.storage.file_store import token_from_json, token_to_json

SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))

names = st.sampled_from(["code", "state", "error", "error_description", "iss", "scope", "x"])
values = st.one_of(st.text(max_size=30), st.sampled_from([*GOOD.values(), "access_denied", ""]))
parameters = st.tuples(names, values)
likely = st.sampled_from([*GOOD.items(), ("error", "access_denied"), ("iss", str(REQUEST.site))])
any_query = st.lists(parameters | likely, max_size=6)
# Half of them carry our state, as hardly one would by chance.
queries = any_query | st.builds(
    lambda query, at: [*query[:at], ("state", GOOD["state"]), *query[at:]],
    st.lists(parameters | likely, max_size=3),
    st.integers(0, 3),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=8,
)
answers = st.dictionaries(
    st.sampled_from(
        ["access_token", "expires", "expires_in", "scope", "error", "error_message", "token_type"]
    ),
    json_values | st.sampled_from(["a(b)*", 86400, "86400"]),
)


def is_genuine(query: list[tuple[str, str]]) -> bool:
    """Say over again, in other words, what the only answer looks like that ends a login."""
    judged = [(name, value) for name, value in query if name in {"state", "code", "error", "iss"}]
    sent = dict(judged)
    return (
        len(sent) == len(judged)
        and sent.get("state") == GOOD["state"]
        and sent.get("iss", str(REQUEST.site)) == str(REQUEST.site)
        and bool(re.fullmatch("[ -~]+", sent.get("code", ""))) != bool(sent.get("error"))
        and not (sent.get("code") is not None and sent.get("error") is not None)
    )


@pytest.mark.rfc("6749-10.14")
@given(queries)
@example([*GOOD.items()])
@example([("state", GOOD["state"]), ("error", "access_denied")])
def test_judge_ends_a_login_for_the_genuine_answer_and_for_nothing_else(
    query: list[tuple[str, str]],
) -> None:
    encoded = urlencode(query, errors="surrogatepass")
    for verdict in (
        check_callback(arrive(encoded), REQUEST),
        check_pasted_url(f"{REDIRECT}?{encoded}", REQUEST),
    ):
        assert isinstance(verdict, Granted | Denied) is is_genuine(query)


@given(st.text())
def test_any_paste_gets_a_verdict(text: str) -> None:
    assert isinstance(check_pasted_url(text, REQUEST), Granted | Denied | Stray)


@pytest.mark.rfc("6749-4.1.4")
@given(st.integers(100, 599), answers)
def test_any_answer_of_the_site_is_a_token_or_one_clear_error(
    status: int, answer: dict[str, object]
) -> None:
    response = SiteResponse(status, [], json.dumps(answer).encode())
    try:
        token = parse_token_response(response, REQUEST, Secret("code"), now=0.0)
    except (ExchangeRefused, MalformedResponse) as error:
        assert str(error).isprintable()  # noqa: PT017  # both ways are right
    else:
        assert status == 200
        assert token_from_json(token_to_json(token)) == token


@given(st.data())
def test_a_token_file_with_any_bytes_changed_reads_or_is_refused(data: st.DataObject) -> None:
    good = bytearray(token_to_json(TOKEN))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        token_from_json(bytes(good))
    except ValueError as problem:
        assert TOKEN.access_token.reveal() not in str(problem)  # noqa: PT017  # both are right


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_any_config_resolves_or_is_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    home = tmp_path_factory.getbasetemp() / "fuzzed"
    home.mkdir(exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    (home / "config.toml").write_bytes(data)
    with pytest.raises((SettingsError, LoginRequired)):
        resolve({}, environ={"SOE_AUTH_CONFIG_DIR": str(home)}).require_site_and_client()


toml_values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["acme", "a.example"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
project_tables = st.dictionaries(
    st.sampled_from([*PROJECT_KEYS, "browser", "trusted_sites"]) | st.text(max_size=12),
    toml_values,
    max_size=4,
)


@given(
    st.sampled_from([".soe-auth.toml", "pyproject.toml"]),
    st.one_of(
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.binary(max_size=200),
        project_tables.map(lambda table: tomlkit.dumps(table).encode()),
    ),
)
def test_any_project_file_says_who_asks_for_what_or_is_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, file: str, data: bytes
) -> None:
    home = tmp_path_factory.getbasetemp() / "fuzzed-project"
    shutil.rmtree(home, ignore_errors=True)
    (home / ".git").mkdir(parents=True)
    head = b"" if file.startswith(".") else b"[tool.soe-auth]\n"
    (home / file).write_bytes(head + data)
    try:
        settings = resolve({}, environ={"SOE_AUTH_CONFIG_DIR": str(home / "no")}, cwd=lambda: home)
    except (SettingsError, LoginRequired) as error:
        assert str(error).isprintable()  # noqa: PT017  # both ways are right
        return
    assert set(settings.from_project) <= set(PROJECT_KEYS)
    assert {place for place in settings.origins.values() if place != "default"} <= {
        str(home / file)
    }
    assert is_profile_name(settings.profile)
    assert settings.site is None or bool(settings.doubt) is not settings.site.in_cloud


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
async def test_a_login_ends_well_after_any_bytes_at_its_port() -> None:
    seed = time.time_ns()
    chance = random.Random(seed)  # noqa: S311  # repeatable, which is what a fuzzer needs
    until = time.monotonic() + SECONDS
    async with waiting() as login:
        target = target_of(login)
        whole = [request(target) for request in REQUESTS.values()]
        seeds = [request for request in whole if len(request) < 4096]

        async def throw() -> None:
            while time.monotonic() < until:
                data = mutated(chance, seeds)
                reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
                writer.write(data)
                try:
                    async with asyncio.timeout(0.05):
                        answer = await reader.read(65536)
                    assert REFUSED.match(answer), (seed, data, answer)
                except (TimeoutError, ConnectionError):
                    pass
                writer.transport.abort()

        await asyncio.gather(*(throw() for _ in range(8)))
        assert await ends_well(login)


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randrange(8)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(3):
            case 0:
                data[at:at] = chance.randbytes(chance.randrange(20))
            case 1:
                del data[at : at + chance.randrange(20)]
            case _:
                data[at:at] = chance.choice(seeds)[:200]
    return bytes(data)
