"""The JSON schemas, and other parts of the pages that test_docs.py cannot run."""

import ast
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from approve_in_browser import approve
from cli_oracle import directories_in, live_in
from conftest import BROWSER, TOKEN, Command
from docs_parser import DOCS, PACKAGE, ROOT, blocks, coded, rows, section
from jsonschema import Draft202012Validator
from oauthlib.oauth2 import MissingTokenError, WebApplicationClient
from referencing import Registry, Resource

from soe_auth.cli.json_output import FORMAT_VERSION
from soe_auth.sandbox import Quirks, Sandbox
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.resolve import resolve
from soe_auth.settings.spec import BY_KEY
from soe_auth.storage.file_store import FILE_VERSION, token_to_json

# --- JSON schemas --------------------------------------------------------------------------------

JSON = DOCS / "reference" / "json.md"
SHOWN = [json.loads(block.text) for block in blocks(JSON, "json")]
FORMS = {form["$id"].removeprefix("urn:soe-auth:"): form for form in SHOWN if "$id" in form}
REGISTRY: Registry[Any] = Registry().with_resources(
    [(form["$id"], Resource.from_contents(form)) for form in FORMS.values()]
)


def strict(form: Any) -> Any:
    """Return a schema that refuses unknown fields, which the published one must allow."""

    def inner(value: Any, key: str = "") -> Any:
        if isinstance(value, list):
            return [inner(each) for each in value]
        if not isinstance(value, dict):
            return value
        within = {name: inner(each, name) for name, each in value.items()}
        is_schema_of_parts = key in {"items", "additionalProperties"}
        return {**within, "unevaluatedProperties": False} if is_schema_of_parts else within

    return {**inner(form), "unevaluatedProperties": False}


def faults(name: str, value: Any) -> list[str]:
    validator = Draft202012Validator(strict(FORMS[name]), registry=REGISTRY)
    return [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(value)]


def printed(form: str, command: Command, *argv: str, code: int = 0, stdin: str = "") -> Any:
    ran = command(*argv, stdin=stdin)
    assert ran.returncode == code, ran.stderr
    value = json.loads(ran.stdout)
    assert faults(form, value) == []
    return value


def test_each_schema_is_valid_and_of_the_current_version() -> None:
    for name, form in FORMS.items():
        Draft202012Validator.check_schema(form)
        version = FILE_VERSION if name == "file" else FORMAT_VERSION
        assert form["properties"].get("version", {}).get("const") == (
            None if name in {"known", "pkce"} else version
        )


def test_each_example_matches_the_schema_below_it() -> None:
    examples = [pair for pair in pairwise(SHOWN) if "$id" not in pair[0]]
    assert len(examples) == len(SHOWN) - len(FORMS)
    for example, form in examples:
        assert faults(form["$id"].removeprefix("urn:soe-auth:"), example) == []


def test_every_command_with_json_output_is_listed() -> None:
    table, *_ = JSON.read_text(encoding="utf-8").partition("\n## ")
    documented = {command.split()[1] for row in rows(table)[1:] for command in coded(row[0])}
    commands = (PACKAGE / "cli" / "commands").glob("*.py")
    assert documented == {
        path.stem
        for path in commands
        if re.search(r"json\.dumps\(|to_json\(|token_json\(", path.read_text(encoding="utf-8"))
        and path.stem not in {"api", "completion"}  # the site's JSON; values for a shell
    }


@pytest.fixture
def user(soe_auth: Command) -> Command:
    return soe_auth.with_variables(BROWSER=BROWSER)


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_json_of_tokens_matches_its_schema_in_every_state(
    user: Command, site: Sandbox, tmp_path: Path
) -> None:
    at = ("--site", site.url, "--client-id", "110")
    from_variable = user.with_variables(SOE_AUTH_TOKEN="given")

    def token_file(profile: str) -> Path:
        return tmp_path / "config" / "tokens" / f"{profile}.json"

    assert printed("login", from_variable, "login", "--if-needed", "--json")["site"] is None
    assert printed("token", from_variable, "token", "--format", "json")["access_token"] == "given"
    assert printed("login", user, "login", "-p", "acme", *at, "--json")["account"] == "Jane Doe"
    found = printed("token", user, "token", "--format", "json")
    assert f'"{found["access_token"]}"' in token_file("acme").read_text(encoding="utf-8")
    endless = printed("login", user, "login", "-p", "ever", *at, "--scope", "no_expiry", "--json")
    assert (endless["expires_at"], endless["seconds_left"]) == ("never", None)
    site.quirks = Quirks(token="expires-unreadable", account="server-error")
    odd = printed("login", user, "login", "-p", "odd", *at, "--json")
    assert (odd["expires_at"], odd["account"]) == ("unknown", None)
    assert odd["warnings"]
    site.quirks = Quirks(token="scope-other")
    other = printed("login", user, "login", "-p", "other", *at, "--json")
    assert other["scope"] != other["granted_scope"]

    token_file("old").write_bytes(token_to_json(TOKEN))
    with (tmp_path / "config" / "config.toml").open("a") as config:
        config.write("[profile.bare]\n")
    token_file("link").symlink_to(token_file("old"))
    output = printed("status", user, "status", "--json", code=7)
    profiles = {each["profile"]: each for each in output["profiles"]}
    assert set(profiles) == {"acme", "ever", "odd", "other", "old", "bare", "link"}
    assert profiles["acme"]["problem"] is None
    assert "expired" in profiles["old"]["problem"]
    assert profiles["old"]["seconds_left"] == 0
    assert profiles["bare"] == {"profile": "bare", "site": None, "token": None}
    assert "link" in profiles["link"]["problem"]

    def verified(code: int) -> Any:
        output = printed("status", user, "status", "-p", "acme", "--verify", "--json", code=code)
        return output["profiles"][0]["verified"]

    assert verified(0) is True
    site.quirks = Quirks(account="not-json")
    assert verified(5) is None
    site.quirks = Quirks()
    site.end_tokens()
    assert verified(3) is False

    assert faults("file", json.loads(token_file("acme").read_bytes())) == []
    for expires_at in ("never", "unknown", 87400.0):
        token = replace(TOKEN, expires_at=expires_at, account=None)
        for mark in (None, "in_keyring", "in_both"):
            assert faults("file", json.loads(token_to_json(token, mark))) == []


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_json_of_the_steps_by_hand_matches_its_schema(user: Command, site: Sandbox) -> None:
    pair = printed("pkce", user, "pkce", "--json")
    at = ("--site", site.url, "--client-id", "112")
    url = user("url", *at, "--code-challenge", pair["code_challenge"]).stdout.strip()
    codes = f"{approve(url)}\n{pair['code_verifier']}\n"
    found = printed("token", user, "exchange", *at, "--json", stdin=codes)
    assert found["expires_at"].endswith("Z")


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_json_of_config_and_doctor_matches_its_schema(
    user: Command, site: Sandbox, tmp_path: Path
) -> None:
    bare = printed("config", user, "config", "list", "--json")
    assert (bare["profile"], bare["profiles"]) == (None, [])
    nothing = printed("doctor", user, "doctor", "--json")
    assert {each["verdict"] for each in nothing["findings"]} == {"ok", "warning"}

    directory = tmp_path / "config"
    directory.mkdir(mode=0o700)
    (directory / "config.toml").write_text(
        'default_profile = "acme"\ntrusted_sites = ["https://soe.example"]\n'
        f'[profile.acme]\nsite = "{site.url}"\nclient_id = "110"\n'
    )
    through = user.with_variables(SOE_AUTH_PROXY="http://jane:secret@proxy.example:3128")
    full = printed("config", through, "config", "list", "--json")
    assert list(full["settings"]) == list(BY_KEY)
    assert "secret" not in json.dumps(full)
    unwell = printed("doctor", user, "doctor", "--json", "--browser", "no-such-program", code=2)
    names = [finding["name"] for finding in unwell["findings"]]
    assert {finding["verdict"] for finding in unwell["findings"]} >= {"ok", "error"}
    properties = FORMS["doctor"]["properties"]["findings"]["items"]["properties"]
    documented = properties["name"]["examples"]
    assert [name for name in documented if name != "keyring"] == list(dict.fromkeys(names))


# --- for administrators, and for CI jobs ---------------------------------------------------------

ADMINISTRATORS = DOCS / "how-to" / "administrators.md"


@pytest.mark.posix("the page's example has a path of POSIX")
def test_the_system_file_sets_its_values_and_users_can_override_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = blocks(ADMINISTRATORS, "toml")
    everybodys = tmp_path / "system" / "soe-auth"
    everybodys.mkdir(parents=True)
    (everybodys / "config.toml").write_text(example.text)
    live_in(tmp_path, monkeypatch)
    own = {**directories_in(tmp_path), "SOE_AUTH_CONFIG_DIR": str(tmp_path / "own")}
    text = tomllib.loads(example.text)
    [(name, profile)] = text.pop("profile").items()
    assert text.pop("default_profile") == name
    assert text.pop("trusted_sites") == list(map(str, read_config_files(own).trusted_sites))
    settings = resolve({}, environ=own)
    assert settings.profile == name
    for key, value in {**text, **profile}.items():
        assert BY_KEY[key].text(getattr(settings, key)) == value
        assert settings.origins[key].startswith(str(everybodys))
    others = {"proxy": "none", "ca_bundle": "/own.pem", "store": "file", "port": "7000"}
    variables = {BY_KEY[key].variable: value for key, value in others.items()}
    assert set(others) == {*text, *profile} - {"site", "client_id"}
    changed = resolve({}, environ={**own, **variables})
    for key, value in others.items():
        assert BY_KEY[key].text(getattr(changed, key)) == value


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
@pytest.mark.parametrize("site", [{}, {"SOE_AUTH_SITE": "acme"}], ids=["bare", "with its site"])
@pytest.mark.parametrize("command", ["token", "run -- true", "status --check", "login --if-needed"])
def test_a_job_without_its_secret_ends_at_once_with_the_documented_code(
    soe_auth: Command, command: str, site: Mapping[str, str]
) -> None:
    job = soe_auth.with_variables(CI="true", **site)
    assert job(*command.split()).returncode in {2, 3}


# --- the libraries -------------------------------------------------------------------------------


def test_oauthlib_has_the_documented_limits() -> None:
    client = WebApplicationClient("110")
    url = client.prepare_request_uri("https://acme.example/oauth", scope=["a", "b"])
    assert parse_qs(urlsplit(url).query)["scope"] == ["a b"]
    token = client.parse_request_body_response('{"access_token": "t", "expires": 86400}')
    assert not {"expires_in", "expires_at"} & set(token)
    with pytest.raises(MissingTokenError) as refused:
        client.parse_request_body_response('{"error_message": "the code was used"}')
    assert "the code was used" not in str(refused.value)


def test_the_table_of_libraries_matches_the_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["keyring"]]
    table = rows(section(DOCS / "explanation" / "why-not-a-library.md", "Libraries used"))
    documented = [library for _, library in table[1:]]
    assert sorted(documented) == sorted(
        name for each in needed for name in re.findall(r"^[\w-]+", each)
    )


# --- for contributors ---------------------------------------------------------------------------

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
SECURITY = ROOT / "SECURITY.md"


def names_in(path: Path) -> set[str]:
    """Return the functions, classes and variables of a module."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                names.add(name)
            case _:
                pass
    return names


@pytest.mark.parametrize("page", [CONTRIBUTING, SECURITY], ids=lambda page: page.stem)
def test_every_path_on_a_page_at_the_top_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    places = re.findall(r"`([\w./-]+(?:\.py|\.md|\.toml|/))(?:: (\w+))?`", text)
    assert places
    for place, name in places:
        if place == "soe_auth/cli/commands/NAME.py":
            continue
        path = ROOT / place
        assert path.exists(), place
        assert not name or name in names_in(path), f"{place}: {name}"


def test_every_command_for_contributors_exists() -> None:
    text = CONTRIBUTING.read_text(encoding="utf-8") + SECURITY.read_text(encoding="utf-8")
    targets = re.findall(
        r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    used = set(re.findall(r"\bmake ([a-z-]+)[`\n]", text))
    assert used
    assert used <= set(targets)
    for paths in re.findall(r"-m pytest (tests/.+)", text):
        assert all((ROOT / path).is_file() for path in paths.split()), paths
