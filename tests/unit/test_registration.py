"""The texts for registration, config.toml and sharing."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soe_auth import Scope, SettingsError, Site
from soe_auth.actions.registration import (
    administrator_text,
    changes,
    preface,
    steps,
    texts_to_share,
)
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.resolve import resolve
from soe_auth.settings.settings import Settings
from soe_auth.settings.spec import TABLE

ACME = Site.parse("acme")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"SOE_AUTH_CONFIG_DIR": str(tmp_path)}


def nowhere() -> Path:
    raise FileNotFoundError


def settings_of(environ: dict[str, str], **flags: str) -> Settings:
    return resolve(
        {"site": "acme", "client_id": "110", **flags},
        profile="acme",
        environ=environ,
        cwd=nowhere,
    )


def test_the_domain_is_where_the_browser_returns(environ: dict[str, str]) -> None:
    assert settings_of(environ).domain == "localhost"
    assert settings_of(environ, redirect_host="127.0.0.1").domain == "127.0.0.1"
    assert settings_of(environ, redirect="login_success").domain == "acme.stackenterprise.co"


def test_the_steps_name_the_page_and_each_field(environ: dict[str, str]) -> None:
    text = steps(ACME, settings_of(environ))
    assert "Open https://acme.stackenterprise.co\n" in text
    assert "  Name     soe-auth\n" in text
    assert "  Status   Read-only, or Read-write for tokens that write\n" in text
    assert "Ignore the secret and the key" in text
    assert re.findall(r"^ {18}(\S.*)$", text, re.MULTILINE) == [
        *("localhost", "127.0.0.1", "soe-auth.localhost"),
        "a name of your company that resolves to 127.0.0.1",
        "acme.stackenterprise.co (you then paste an address at each login)",
    ]
    chosen = settings_of(environ, redirect_host="login.corp.example")
    assert "  Domain   login.corp.example\n" in steps(ACME, chosen)


def test_the_preface_is_a_comment_that_names_every_key() -> None:
    assert tomllib.loads(preface()) == {}
    for setting in TABLE:
        assert f"#   {setting.key} " in preface()


def test_the_shared_text_is_a_project_file(environ: dict[str, str]) -> None:
    assert tomllib.loads(texts_to_share(settings_of(environ))) == {
        "site": "https://acme.stackenterprise.co",
        "client_id": "110",
    }
    assert "soe-auth init --site acme.stackenterprise.co --client-id 110 --yes" in texts_to_share(
        settings_of(environ)
    )


def test_the_shared_text_has_every_value_that_is_not_default(environ: dict[str, str]) -> None:
    text = texts_to_share(
        settings_of(
            environ,
            scope="write_access",
            redirect="login_success",
            redirect_host="127.0.0.1",
            port="8765",
        )
    )
    assert tomllib.loads(text)["scope"] == "write_access"
    assert (
        "--scope write_access --redirect login_success --redirect-host 127.0.0.1 --port 8765"
        in text
    )
    assert "cannot set the redirect" in text
    assert "  Domain   acme.stackenterprise.co" in text
    assert "Scope of the tokens: write_access. They expire after a day." in text


def test_the_administrator_reads_each_field_and_that_the_secret_is_not_needed(
    environ: dict[str, str],
) -> None:
    text = administrator_text(settings_of(environ, scope="no_expiry"), ACME)
    for words in (
        *("Name     soe-auth", "Domain   localhost", "Status   Read-only", "PKCE", "never expire"),
        *("https://acme.stackenterprise.co/enterprise/api", "secret and the key", "servers"),
        "127.0.0.1, soe-auth.localhost,",
    ):
        assert words in text
    writes = settings_of(environ, scope="write_access", redirect="login_success")
    text = administrator_text(writes, ACME)
    assert "Status   Read-write" in text
    assert "soe-auth.localhost" not in text
    assert "read only" in administrator_text(settings_of(environ), ACME)


@given(st.lists(st.text("".join(map(chr, range(0x20, 0x7F))), max_size=12), max_size=4))
def test_every_scope_survives_sharing(names: list[str]) -> None:
    try:
        scope = Scope.parse(",".join(names))
    except ValueError:
        return
    base = settings_of({"SOE_AUTH_CONFIG_DIR": str(Path("/nonexistent").absolute())})
    text = texts_to_share(replace(base, scope=scope))
    assert Scope.parse(tomllib.loads(text).get("scope", "")) == scope


def test_the_shared_text_fits_its_width_except_for_lines_to_copy(
    environ: dict[str, str],
) -> None:
    for line in texts_to_share(settings_of(environ)).splitlines():
        assert len(line) <= 72 or line.startswith(("#   ", "site", "client_id"))


def test_a_new_profile_gets_every_value_that_is_not_default(environ: dict[str, str]) -> None:
    settings = settings_of(environ, port="8765")
    found = {change.key: change.value for change in changes(settings, read_config_files(environ))}
    assert found == {
        "site": "https://acme.stackenterprise.co",
        "client_id": "110",
        "port": 8765,
    }


def test_only_values_that_differ_are_written(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        'redirect = "login_success"\nport = "no port"\n'
        '[profile.acme]\nsite = "acme"\nclient_id = 110\nscope = ["write_access"]\n'
    )
    configs = read_config_files(environ)
    same = settings_of(environ, port="8765")
    (port,) = changes(same, configs)
    assert (port.key, port.value, port.before) == ("port", 8765, "")
    back = settings_of(environ, port="8765", redirect="loopback", scope="")
    assert [str(change) for change in changes(back, configs)] == [
        "scope from write_access to none",
        "redirect from login_success to loopback",
        "port from none to 8765",
    ]


def test_without_a_client_id_there_is_nothing_to_share(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        texts_to_share(resolve({"site": "acme"}, environ=environ, cwd=nowhere))
