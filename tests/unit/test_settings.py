import os
import re
import sys
from pathlib import Path

import pytest
from cli_oracle import directories_in, live_in

from soe_auth import LoginRequired, Scope, SettingsError
from soe_auth.model.text import is_profile_name
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.config_writer import write_settings
from soe_auth.settings.resolve import resolve
from soe_auth.settings.settings import Paths, Settings, find_paths
from soe_auth.settings.spec import BY_KEY, TABLE

ACME = '[profile.acme]\nsite = "acme"\nclient_id = 110\n'
BETA = '[profile.beta]\nsite = "beta"\nclient_id = "7"\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    live_in(tmp_path, monkeypatch)
    (tmp_path / "system" / "soe-auth").mkdir(parents=True)
    return tmp_path


def write(home: Path, text: str) -> None:
    (home / "config.toml").write_text(text, encoding="utf-8")


def settings_of(home: Path, profile: str | None = None, **options: str) -> Settings:
    flags = {key: value for key, value in options.items() if key.islower()}
    variables = {key: value for key, value in options.items() if key.isupper()}
    environ = {**directories_in(home), "SOE_AUTH_CONFIG_DIR": str(home), **variables}
    return resolve(flags, profile=profile, environ=environ, cwd=lambda: home)


def test_precedence_is_flag_variable_profile_file_system_default(home: Path) -> None:
    (home / "system" / "soe-auth" / "config.toml").write_text('timeout = "1s"\nbrowser = "sys"\n')
    assert settings_of(home, site="acme").timeout == 1
    write(home, f'timeout = "2s"\n{ACME}')
    assert settings_of(home).timeout == 2
    write(home, f'timeout = "2s"\n{ACME}timeout = "3s"\n')
    assert settings_of(home).timeout == 3
    assert settings_of(home, SOE_AUTH_TIMEOUT="4s").timeout == 4
    assert settings_of(home, SOE_AUTH_TIMEOUT="4s", timeout="5s").timeout == 5
    assert settings_of(home).browser == "sys"
    assert settings_of(home).min_ttl == 60


def test_every_value_has_its_origin(home: Path) -> None:
    write(home, f'timeout = "2s"\n{ACME}')
    origins = settings_of(home, SOE_AUTH_SCOPE="no_expiry", port="8311").origins
    assert origins["site"] == f"{home / 'config.toml'} [profile.acme]"
    assert origins["timeout"] == str(home / "config.toml")
    assert origins["scope"] == "SOE_AUTH_SCOPE"
    assert origins["port"] == "--port"
    assert origins["redirect"] == "default"


@pytest.mark.parametrize(
    ("written", "ports", "kept"),
    [
        ("8311", [8311], 8311),
        ('"8311"', [8311], 8311),
        ('"8000-8002"', [8000, 8001, 8002], "8000-8002"),
        ('"8000 - 8001"', [8000, 8001], "8000-8001"),
        ("0", [0], 0),
    ],
)
def test_a_port_may_be_a_range_and_is_stored_as_written(
    home: Path, written: str, ports: list[int], kept: int | str
) -> None:
    write(home, f"{ACME}port = {written}\n")
    settings = settings_of(home)
    assert list(settings.port.numbers) == ports
    assert settings.profile_values["port"] == kept


def test_each_site_may_have_its_own_browser(home: Path) -> None:
    other = "[profile.other]\nsite = 'other'\nbrowser = 'firefox -P \"at home\" %s'\n"
    write(home, f"browser = 'chromium'\n{ACME}browser = 'firefox -P work'\n{other}")
    assert settings_of(home, profile="acme").browser == "firefox -P work"
    assert settings_of(home, profile="other").browser == 'firefox -P "at home" %s'


def test_an_empty_variable_counts_as_unset(home: Path) -> None:
    write(home, ACME)
    assert settings_of(home, SOE_AUTH_SITE="", SOE_AUTH_PROFILE="").profile == "acme"


def test_lists_and_numbers_are_read_as_they_are_written(home: Path) -> None:
    write(home, ACME + 'scope = ["no_expiry", "write_access"]\nport = 8311\n')
    settings = settings_of(home, redirect_host="127.0.0.1")
    assert settings.redirect_host == "127.0.0.1"
    assert settings.scope == Scope(("no_expiry", "write_access"))
    assert str(settings.port) == "8311"
    assert settings.client_id == "110"


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "soe-auth.localhost", "login.corp.example", "devbox1"]
)
def test_the_redirect_host_is_a_name_or_127_0_0_1(home: Path, host: str) -> None:
    assert settings_of(home, site="acme", redirect_host=host).redirect_host == host
    assert settings_of(home, site="acme", redirect_host=host.upper()).redirect_host == host


@pytest.mark.rfc("9700-2.6")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"site": "http://acme.example"}, "Cannot read site from --site: http is for a loopback"),
        ({"SOE_AUTH_SITE": "a b"}, "Cannot read site from SOE_AUTH_SITE: a site has no spaces"),
        ({"client_id": "secret key"}, "Cannot read client_id from --client-id: "),
        (
            {"redirect": "elsewhere"},
            "Cannot read redirect 'elsewhere' from --redirect: valid values are loopback and",
        ),
        *(
            (
                {"redirect_host": host},
                f"Cannot read redirect_host {host!r} from --redirect-host: valid values are",
            )
            for host in ("0.0.0.0", "127.0.0.2", "[::1]", "localhost:80", "http://localhost")  # noqa: S104
        ),
        (
            {"paste": "mouse"},
            "Cannot read paste 'mouse' from --paste: valid values are terminal and clipboard",
        ),
        ({"port": "80"}, "Cannot read port '80' from --port: valid ports are"),
        ({"port": "8000-"}, "Cannot read port '8000-' from --port: valid ports are"),
        ({"port": "80-8000"}, "Cannot read port '80-8000' from --port: valid ports are"),
        ({"port": "0-8000"}, "Cannot read port '0-8000' from --port: valid ports are"),
        ({"port": "8000-70000"}, "Cannot read port '8000-70000' from --port: valid ports are"),
        (
            {"port": "8010-8000"},
            "Cannot read port '8010-8000' from --port: the lower port comes first",
        ),
        ({"browser": "fire 'fox"}, "Cannot read browser from --browser: a quote in the command"),
        ({"port": "x"}, "Cannot read port 'x' from --port: valid ports are"),
        ({"timeout": "0"}, "Cannot read timeout '0' from --timeout: write a duration above 0"),
        ({"min_ttl": "10x"}, "Cannot read min_ttl '10x' from --min-ttl: write a duration"),
        ({"scope": 'a"b'}, "Cannot read scope from --scope: "),
    ],
)
def test_an_error_names_the_value_and_its_origin(
    home: Path, given: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as error:
        settings_of(home, **{"site": "acme", **given} if "SOE_AUTH_SITE" not in given else given)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clientid = 1\n", "there is no setting 'clientid'"),
        ("[profile.acme]\nclientid = 1\n", "there is no setting 'clientid'"),
        ("zzz = 1\n", "there is no setting 'zzz'"),
        ("timeout = true\n", "Cannot read timeout from"),
        ("timeout = [1]\n", "Cannot read timeout from"),
        ("profile = 1\n", "write it as one table per profile"),
        ("[profile]\nacme = 1\n", "write it as one table per profile"),
        ("default_profile = 1\n", "write it as a profile name"),
        ('default_profile = "../acme"\n', "Cannot use profile name '../acme' from"),
        ('[profile."a\\u001bb"]\n', "Cannot use profile name 'a\ufffdb' from"),
        ("[profile.con]\n", "Windows reserves it for a device"),
        ("trusted_sites = 1\n", "write it as a list of sites"),
        ("trusted_sites = [1]\n", "write it as a list of sites"),
        ('trusted_sites = ["http://soe.example"]\n', "http is for a loopback"),
        ("[profile.acme]\ntrusted_sites = []\n", "there is no setting 'trusted_sites'"),
        (f"port = 0x1{'0' * 5000}\n", "write it as text in quotes"),
        (f"x = {'[' * 5000}\n", "is nested too deeply"),
        (f"{'k' * 5000} = 1\n", "there is no setting 'kkkk"),
        ("a = \n", "is not valid TOML"),
    ],
)
def test_an_error_names_the_file_and_the_problem(home: Path, text: str, message: str) -> None:
    write(home, text)
    with pytest.raises(SettingsError) as error:
        settings_of(home, site="acme")
    assert message in str(error.value)
    assert str(home / "config.toml") in str(error.value)


def test_an_unknown_key_gets_the_nearest_setting_as_hint(home: Path) -> None:
    write(home, "clientid = 1\n")
    with pytest.raises(SettingsError) as error:
        settings_of(home, site="acme")
    assert error.value.hint == "Did you mean client_id? `soe-auth config edit` opens the file."


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('# a\ntimeout = "5x"\n', 2, "Cannot read timeout '5x' from {}: write a duration such as"),
        (
            "[profile.acme]\n\nport = 80\n",
            3,
            "Cannot read port '80' from {}: valid ports are 1024 to",
        ),
        (
            "[profile.acme]\nport = 8765.0\n",
            2,
            "Cannot read port from {}: write it as text in quotes.",
        ),
        (
            "[profile.acme]\nsite = true\n",
            2,
            "Cannot read site from {}: write it as text in quotes.",
        ),
        (
            "[profile.acme]\nsite = 1\n",
            2,
            "Cannot read site from {}: write it as text in quotes.",
        ),
        ('browser = ["a", "b"]\n', 1, "Cannot read browser from {}: write it as text in quotes."),
        (
            "scope = [\n  1,\n]\n",
            1,
            "Cannot read scope from {}: write it as text in quotes, or a list of such.",
        ),
        ("[profile.acme]\nclientid = 1\n", 2, "Cannot read {}: there is no setting 'clientid'."),
        ("a = 1\n", 1, "Cannot read {}: there is no setting 'a'."),
        ("\n[profile.con]\n", 2, "Cannot use profile name 'con' from {}: "),
        (
            'x.y = 1\n[profile]\nacme = "x"\n',
            2,
            "Cannot read profile from {}: write it as one table per profile",
        ),
        ('default_profile = "a b"\n', 1, "Cannot use profile name 'a b' from {}: "),
        (
            '\ntrusted_sites = ["a b"]\n',
            2,
            "Cannot read trusted_sites from {}: a site has no spaces",
        ),
        ("profile.acme = { port = 80 }\n", 1, "Cannot read port '80' from {}: valid ports are"),
    ],
)
def test_an_error_in_a_file_names_the_line(home: Path, text: str, line: int, message: str) -> None:
    write(home, text)
    with pytest.raises(SettingsError) as error:
        settings_of(home, "acme")
    file = str(home / "config.toml")
    place = re.escape(file) + r"( \[profile.acme\])?, line " + str(line)
    assert re.match(re.escape(message).replace(r"\{\}", place), str(error.value)), error.value


def test_invalid_toml_is_reported_with_line_and_column(home: Path) -> None:
    write(home, 'a = 1\nb = "\n')
    with pytest.raises(SettingsError, match=r"config.toml: it is not valid TOML: .*\(at line 2, "):
        settings_of(home, "acme")
    write(home, "timeout = 1\ntimeout = 2\n")
    with pytest.raises(SettingsError, match=r"Cannot overwrite a value \(at line 2, "):
        settings_of(home, "acme")


def test_the_nearest_setting_may_be_a_key_of_the_top(home: Path) -> None:
    write(home, 'default_profil = "acme"\n')
    with pytest.raises(SettingsError) as error:
        settings_of(home, "acme")
    assert (
        error.value.hint == "Did you mean default_profile? `soe-auth config edit` opens the file."
    )


def test_every_value_has_the_line_in_its_file(home: Path) -> None:
    write(home, f'timeout = "2s"\n\n{ACME}')
    settings = settings_of(home, SOE_AUTH_SCOPE="no_expiry", port="8311")
    assert settings.place("client_id") == f"{home / 'config.toml'} [profile.acme], line 5"
    assert settings.place("timeout") == f"{home / 'config.toml'}, line 1"
    assert settings.place("scope") == "SOE_AUTH_SCOPE"
    assert settings.place("port") == "--port"
    assert settings.place("redirect") == "default"


def test_each_default_can_be_typed(home: Path) -> None:
    write(home, ACME)
    settings = settings_of(home)
    for key, setting in BY_KEY.items():
        value = getattr(settings, key)
        if value is None:
            assert setting.text(value) == ""
        else:
            assert setting.read(setting.text(value)) == value


def test_an_unreadable_file_is_a_settings_error(home: Path) -> None:
    (home / "config.toml").mkdir()
    with pytest.raises(SettingsError, match="Cannot read"):
        settings_of(home, site="acme")


def test_without_any_profile_a_login_is_required(home: Path) -> None:
    with pytest.raises(LoginRequired, match="type `soe-auth init`"):
        settings_of(home)


def test_the_only_profile_is_chosen(home: Path) -> None:
    write(home, BETA)
    settings = settings_of(home)
    assert (settings.profile, str(settings.site)) == ("beta", "https://beta.stackenterprise.co")
    assert settings.known
    assert settings.login_command == "soe-auth login -p beta"


def test_the_login_command_repeats_the_profile_and_the_options_that_were_typed(home: Path) -> None:
    flags = {
        "site": "acme",
        "client_id": "110",
        "redirect_host": "127.0.0.1",
        "port": "8765",
        "browser": "firefox -P admin",
    }
    settings = settings_of(home, "new", SOE_AUTH_SCOPE="write_access", **flags)
    assert settings.login_command == (
        "soe-auth login -p new --site acme.stackenterprise.co --client-id 110"
        " --redirect-host 127.0.0.1 --port 8765 --browser 'firefox -P admin'"
    )


def test_the_login_command_has_a_placeholder_for_what_a_profile_lacks(home: Path) -> None:
    write(home, '[profile.new]\nsite = "acme"\n[profile.empty]\n')
    settings = settings_of(home, "new")
    assert settings.login_command == "soe-auth login -p new --client-id ID"
    with pytest.raises(SettingsError, match="No client ID is set") as missing:
        settings.require_site_and_client()
    assert missing.value.hint == f"Set it: `{settings.login_command}`."
    command = "soe-auth login -p empty --site NAME --client-id ID"
    assert settings_of(home, "empty").login_command == command


def test_of_several_profiles_the_default_is_chosen(home: Path) -> None:
    write(home, f'default_profile = "beta"\n{ACME}{BETA}')
    assert settings_of(home).profile == "beta"
    assert settings_of(home, "acme").profile == "acme"
    assert settings_of(home, SOE_AUTH_PROFILE="acme").profile == "acme"


def test_several_profiles_without_a_default_are_an_error_that_names_them(home: Path) -> None:
    write(home, ACME + BETA)
    with pytest.raises(SettingsError, match="acme, beta"):
        settings_of(home)


def test_a_site_chooses_its_profile(home: Path) -> None:
    write(home, f'default_profile = "acme"\n{ACME}[profile.mine]\nsite = "beta"\nclient_id = 9\n')
    assert settings_of(home, site="beta").profile == "mine"
    assert settings_of(home, SOE_AUTH_SITE="acme").client_id == "110"
    assert settings_of(home, site="gamma").profile == "gamma"
    assert not settings_of(home, site="gamma").known


def test_a_site_with_several_profiles_needs_a_profile_name(home: Path) -> None:
    write(home, '[profile.a]\nsite = "beta"\n[profile.b]\nsite = "beta"\n[profile.c]\nsite = "!"\n')
    with pytest.raises(SettingsError, match=r"Cannot choose a profile of beta.*: there are a, b"):
        settings_of(home, site="beta")


def test_a_profile_without_a_site_has_the_site_at_the_top(home: Path) -> None:
    write(home, 'site = "acme"\n[profile.mine]\nscope = "write_access"\n[profile.no]\nsite = "b"\n')
    assert settings_of(home, site="acme").profile == "mine"


CI = f'{ACME.replace("acme]", "ci]")}scope = "no_expiry"\nredirect_host = "127.0.0.1"\n'


@pytest.mark.parametrize(
    ("given", "profile", "client_id", "scope"),
    [
        ({"site": "acme", "client_id": "110"}, "acme", "110", ""),  # the README's own line
        ({"site": "acme", "client_id": "110", "scope": "no_expiry"}, "ci", "110", "no_expiry"),
        ({"site": "acme", "client_id": "111"}, "acme", "111", ""),
        ({"site": "acme", "scope": "no_expiry"}, "ci", "110", "no_expiry"),
        ({"site": "acme", "scope": "write_access"}, "acme", "110", "write_access"),
        ({"scope": "write_access"}, "acme", "110", "write_access"),
        ({"client_id": "111"}, "acme", "111", ""),
        ({"client_id": "110"}, "ci", "110", "no_expiry"),
        ({"site": "acme"}, "ci", "110", "no_expiry"),
        ({"SOE_AUTH_SCOPE": "write_access"}, "acme", "110", "write_access"),
        ({"SOE_AUTH_SITE": "acme", "SOE_AUTH_CLIENT_ID": "110"}, "ci", "110", "no_expiry"),
        ({"SOE_AUTH_SITE": "acme", "SOE_AUTH_CLIENT_ID": "111"}, "acme", "111", ""),
    ],
)
def test_given_values_choose_the_profile_that_has_them_else_a_new_one(
    home: Path, given: dict[str, str], profile: str, client_id: str, scope: str
) -> None:
    write(home, CI)
    settings = settings_of(home, **given)
    assert (settings.profile, settings.client_id, str(settings.scope)) == (
        profile,
        client_id,
        scope,
    )
    assert str(settings.site) == "https://acme.stackenterprise.co"
    if settings.known:
        assert settings.redirect_host == "127.0.0.1"


def test_a_new_profile_gets_an_unused_name(home: Path) -> None:
    write(home, ACME)
    assert settings_of(home, site="acme", client_id="111").profile == "acme-111"
    assert settings_of(home, scope="write_access").profile == "acme-2"
    write(home, f"{ACME}[profile.acme-111]\nsite = 'acme'\nclient_id = 9\n[profile.acme-2]\n")
    assert settings_of(home, site="acme", client_id="111").profile == "acme-3"


def test_a_new_profile_has_the_scope_at_the_top(home: Path) -> None:
    write(home, f'scope = "write_access"\n{ACME}')
    assert settings_of(home, site="acme", client_id="110").profile == "acme"
    assert str(settings_of(home, site="beta", client_id="110").scope) == "write_access"


def test_given_values_override_those_of_a_named_profile(home: Path) -> None:
    write(home, CI)
    settings = settings_of(home, "ci", site="acme", client_id="111", scope="write_access")
    assert (settings.profile, str(settings.scope)) == ("ci", "write_access")


def test_of_several_matching_profiles_the_one_named_after_the_site_is_chosen(
    home: Path,
) -> None:
    write(home, ACME + CI.replace("no_expiry", "") + CI.replace("profile.ci", "profile.other"))
    assert settings_of(home, client_id="110", site="acme").profile == "acme"
    write(home, CI + CI.replace("profile.ci", "profile.other"))
    with pytest.raises(SettingsError, match="Cannot choose a profile of acme"):
        settings_of(home, site="acme", client_id="110", scope="no_expiry")
    write(home, f'default_profile = "other"\n{CI}{CI.replace("profile.ci", "profile.other")}')
    assert settings_of(home, site="acme", client_id="110", scope="no_expiry").profile == "other"


def test_a_profile_of_another_site_is_not_reused(home: Path) -> None:
    write(home, '[profile.beta]\nsite = "acme"\n')
    with pytest.raises(SettingsError, match="belongs to another site"):
        settings_of(home, site="beta")


NO_NAMES = [
    "../acme",
    "..",
    "a/b",
    "a\\b",
    "",
    ".hidden",
    "a b",
    "a\n",
    "a:b",
    "x" * 65,
    "ä",
    "\x1b",
]
DEVICES = ["con", "NUL", "aux.txt", "Com1", "lpt9.a.b"]


@pytest.mark.parametrize("name", [*NO_NAMES, *DEVICES])
def test_a_profile_name_cannot_leave_its_directory(home: Path, name: str) -> None:
    with pytest.raises(SettingsError) as by_option:
        settings_of(home, name)
    assert str(by_option.value).isprintable()
    assert not is_profile_name(name)
    if not name:  # an empty variable counts as unset
        return
    with pytest.raises(SettingsError) as by_variable:
        settings_of(home, SOE_AUTH_PROFILE=name)
    assert str(by_option.value) == str(by_variable.value).replace(" from SOE_AUTH_PROFILE", "")


@pytest.mark.parametrize("name", ["acme", "a", "1", "acme.example", "A_b-c.d", "console", "com10"])
def test_valid_profile_names_are_accepted(home: Path, name: str) -> None:
    assert settings_of(home, name).profile == name
    assert is_profile_name(name)


def test_a_site_named_like_a_windows_device_needs_a_profile_name(home: Path) -> None:
    with pytest.raises(SettingsError, match="Cannot use profile name 'con'"):
        settings_of(home, site="con")
    assert settings_of(home, "mine", site="con").profile == "mine"


def test_a_missing_site_or_client_id_is_a_settings_error(home: Path) -> None:
    with pytest.raises(SettingsError, match="There is no profile acme"):
        settings_of(home, "acme").require_site_and_client()
    with pytest.raises(SettingsError, match=r"No client ID is set for acme"):
        settings_of(home, site="acme").require_site_and_client()
    write(home, "[profile.acme]\nclient_id = 1\n")
    with pytest.raises(SettingsError, match="Profile acme has no site"):
        settings_of(home, "acme").require_site_and_client()


def test_the_error_for_a_missing_profile_names_its_source(home: Path) -> None:
    write(home, '\ndefault_profile = "zz"\n[profile.acme]\nsite = "acme"\n')
    by_file = f"There is no profile zz, which {home / 'config.toml'}, line 2 names."
    by_variable = "There is no profile zz, which SOE_AUTH_PROFILE names."
    for settings, message in (
        (settings_of(home), by_file),
        (settings_of(home, SOE_AUTH_PROFILE="zz"), by_variable),
        (settings_of(home, "zz"), "There is no profile zz."),
    ):
        with pytest.raises(SettingsError) as error:
            settings.require_site_and_client()
        assert str(error.value) == message
    with pytest.raises(SettingsError, match="Cannot use profile name 'a b' from SOE_AUTH_PROFILE"):
        settings_of(home, SOE_AUTH_PROFILE="a b")


def test_a_value_that_may_hold_a_password_is_not_shown(home: Path) -> None:
    for key, value in (("proxy", "ftp://me:secret@host"), ("site", "https://me:secret@acme")):
        with pytest.raises(SettingsError) as error:
            settings_of(home, "acme", **{f"SOE_AUTH_{key.upper()}": value})
        assert "secret" not in str(error.value)


def test_a_file_that_is_not_utf_8_is_refused(home: Path) -> None:
    (home / "config.toml").write_bytes(b'site = "\xff"\n')
    with pytest.raises(SettingsError, match=r"config\.toml: it is not UTF-8\.$"):
        settings_of(home)


def test_the_config_directory_is_the_platforms_unless_a_variable_sets_it(home: Path) -> None:
    assert find_paths({}).directory.name == "soe-auth"
    assert find_paths({"SOE_AUTH_CONFIG_DIR": str(home)}).config == home / "config.toml"


def test_a_tilde_in_the_variable_is_the_home_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_in(home, monkeypatch)
    for given in ("~/.soe", os.path.join("~", ".soe")):  # noqa: PTH118  # a backslash, on Windows
        assert find_paths({"SOE_AUTH_CONFIG_DIR": given}).directory == home / ".soe"


@pytest.mark.parametrize(
    "given",
    [
        *(".soe", "./soe", "soe/~"),
        # Windows takes any name for that of a user.
        *(["~there-is-no-such-user/soe"] if sys.platform != "win32" else []),
    ],
)
def test_a_relative_config_directory_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="depends on the current directory") as error:
        find_paths({"SOE_AUTH_CONFIG_DIR": given})
    assert str(error.value).startswith(f"Cannot use SOE_AUTH_CONFIG_DIR={given}: ")


@pytest.mark.parametrize("given", ["C:soe", "C:", "\\soe", "/soe", "soe"])
def test_on_windows_a_config_directory_relative_to_the_drive_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="depends on the current directory") as error:
        find_paths({"SOE_AUTH_CONFIG_DIR": given}, platform="win32")
    assert str(error.value).startswith(f"Cannot use SOE_AUTH_CONFIG_DIR={given}: ")


@pytest.mark.parametrize(
    "given", ["C:\\soe", "d:/soe auth", "\\\\server\\share\\soe", "C:\\Users\\Zoë\\soe"]
)
def test_on_windows_any_absolute_config_directory_is_accepted(given: str) -> None:
    found = find_paths({"SOE_AUTH_CONFIG_DIR": given}, platform="win32")
    assert found.directory == Path(given)


def test_each_setting_has_one_flag_and_one_variable() -> None:
    assert len({s.flag for s in TABLE}) == len({s.variable for s in TABLE}) == len(TABLE)


# --- saving ---


def test_the_first_saved_profile_becomes_the_default(home: Path) -> None:
    config = home / "new" / "config.toml"
    assert write_settings(config, "acme", {"site": "acme", "port": 8311})
    assert config.read_text() == (
        'default_profile = "acme"\n\n[profile.acme]\nsite = "acme"\nport = 8311\n'
    )


def test_saving_a_profile_keeps_comments_and_other_values(home: Path) -> None:
    write(home, f'# mine\ntimeout = "2s" # short\n\n{ACME}# the end\n')
    assert write_settings(home / "config.toml", "acme", {"scope": "no_expiry"})
    assert write_settings(home / "config.toml", "beta", {"site": "beta"})
    text = (home / "config.toml").read_text()
    assert "# mine" in text
    assert "# short" in text
    assert "# the end" in text
    assert settings_of(home, "acme").scope == Scope(("no_expiry",))
    assert read_config_files({"SOE_AUTH_CONFIG_DIR": str(home)}).profiles == ["acme", "beta"]


def test_an_unchanged_profile_is_not_written(home: Path) -> None:
    write_settings(home / "config.toml", "acme", {"site": "acme"})
    before = (home / "config.toml").stat()
    assert not write_settings(home / "config.toml", "acme", {"site": "acme"})
    assert (home / "config.toml").stat().st_ino == before.st_ino


@pytest.mark.posix("symbolic links, which need a privilege on Windows")
def test_a_linked_config_stays_a_link(home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "real.toml").write_text(ACME)
    (home / "config.toml").symlink_to(home / "dotfiles" / "real.toml")
    assert write_settings(home / "config.toml", "acme", {"scope": "no_expiry"})
    assert (home / "config.toml").is_symlink()
    assert "no_expiry" in (home / "dotfiles" / "real.toml").read_text()


def test_an_unwritable_config_is_a_settings_error(home: Path) -> None:
    (home / "file").touch()
    with pytest.raises(SettingsError, match="Cannot write"):
        write_settings(home / "file" / "config.toml", "acme", {"site": "acme"})


def test_a_profile_stores_only_values_that_are_not_defaults(home: Path) -> None:
    settings = settings_of(home, site="acme", client_id="110", scope="", SOE_AUTH_PORT="8311")
    assert settings.from_flags == ["site", "client_id", "scope"]
    assert settings.profile_values == {
        "site": "https://acme.stackenterprise.co",
        "client_id": "110",
        "scope": "",
        "port": 8311,
    }


def test_without_a_home_directory_the_config_directory_is_unknown() -> None:
    with pytest.raises(SettingsError, match="your home directory is unknown"):
        _ = Paths(None, Path("config.toml")).directory
