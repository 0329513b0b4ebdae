"""`soe-auth config`: values and their origins, changes to config.toml, and the editor."""

import json
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

import pytest
from cli_oracle import directories_in, live_in
from conftest import BROWSER, Command, as_nobody, end_of, let_others_change
from fake_programs import command_line

from soe_auth import SettingsError, Site
from soe_auth.cli.main import main
from soe_auth.files.lock import try_lock
from soe_auth.sandbox import Sandbox
from soe_auth.settings.config_writer import (
    add_trusted_site,
    remove_profile,
    remove_setting,
    write_settings,
)
from soe_auth.settings.settings import find_paths
from soe_auth.settings.spec import BY_KEY

ACME = '[profile.acme]\nsite = "https://acme.stackenterprise.co"\nclient_id = "110"\n'
BETA = '[profile.beta]\nsite = "https://beta.stackenterprise.co"\nclient_id = "7"\n'


@dataclass
class User:
    """A user with a config directory, who types commands and reads their output."""

    home: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        return self.home / "config.toml"

    def write(self, text: str) -> None:
        self.config.write_text(text, encoding="utf-8")

    def types(self, line: str, **variables: str) -> tuple[int, str, str]:
        """Type a line; return the exit code, stdout and stderr."""
        environ = {
            **directories_in(self.home),
            "SOE_AUTH_CONFIG_DIR": str(self.home),
            **variables,
        }
        code = main(shlex.split(line), environ)
        result, stderr = self.capsys.readouterr()
        return code, result, stderr

    def reads(self, line: str, **variables: str) -> str:
        """Type a line that succeeds without a message; return stdout."""
        code, result, stderr = self.types(line, **variables)
        assert (code, stderr) == (0, "")
        return result


@pytest.fixture
def user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> User:
    live_in(tmp_path, monkeypatch)
    (tmp_path / "system" / "soe-auth").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return User(tmp_path, capsys)


@pytest.mark.parametrize("is_system", [False, True])
@pytest.mark.parametrize(
    "line",
    ["token", "status", "login", "logout", "run true", "config list", "config set port 0"],
)
def test_a_config_that_others_can_change_is_not_used(
    user: User, line: str, *, is_system: bool
) -> None:
    user.write(ACME)
    path = user.home / "system" / "soe-auth" / "config.toml" if is_system else user.config
    path.write_text('browser = "false"\n')
    let_others_change(path)
    code, _, stderr = user.types(line)
    assert code == 2
    assert f"Cannot use {path}, which sets your site and browser: " in stderr
    assert " can change it." in stderr
    assert path.read_text() == 'browser = "false"\n'


@pytest.mark.parametrize("action", ["get", "set", "unset"])
def test_help_names_every_key_and_what_it_is_for(user: User, action: str) -> None:
    with pytest.raises(SystemExit):
        user.types(f"config {action} --help")
    text = " ".join(user.capsys.readouterr().out.partition("\nkeys:\n")[2].split())
    for key, setting in BY_KEY.items():
        assert f"{key} {setting.help}" in text
    assert "default_profile the profile" in text


# --- list, get, path -----------------------------------------------------------------------------


def test_every_setting_is_listed_as_typed(user: User) -> None:
    user.write(f'timeout = "90m"\n{ACME}scope = ["write_access", "no_expiry"]\n')
    title, *lines = user.reads("config list").splitlines()
    assert title == "acme"
    assert [line.split()[0] for line in lines] == list(BY_KEY)
    values = dict(line.split(maxsplit=1) for line in lines)
    assert values["site"] == "https://acme.stackenterprise.co"
    assert values["scope"] == "no_expiry,write_access"
    assert values["timeout"] == "1h30m"
    assert values["min_ttl"] == "1m"
    assert values["browser"] == "not set"


def test_every_value_is_listed_with_its_origin(user: User) -> None:
    system = user.home / "system" / "soe-auth" / "config.toml"
    system.write_text('\nmin_ttl = "2m"\n')
    project = Path(".soe-auth.toml").absolute()
    project.write_text('# ours\nscope = "write_access"\n')
    user.write(f'timeout = "90m"\n{ACME}')
    listed = user.reads("config list --show-origin", SOE_AUTH_BROWSER="firefox")
    places = dict(re.findall(r"^  (\w+) .*\n    (.*)$", listed, re.MULTILINE))
    assert list(places) == list(BY_KEY)
    assert places["site"] == f"from {user.config} [profile.acme], line 3"
    assert places["timeout"] == f"from {user.config}, line 1"
    assert places["min_ttl"] == f"from {system}, line 2"
    assert places["scope"] == f"from {project}, line 2"
    assert places["browser"] == "from SOE_AUTH_BROWSER"
    assert places["redirect"] == "default"


def test_other_profiles_and_the_default_are_named(user: User) -> None:
    sites = 'trusted_sites = ["https://soe.example"]\n'
    user.write(f'default_profile = "acme"\n{sites}{ACME}{BETA}')
    assert user.reads("config list").startswith("acme (default)\n")
    listed = user.reads("config list -p beta")
    assert listed.startswith("beta\n")
    assert listed.endswith(
        "\n\nOther profiles: acme (default)\nTrusted sites: https://soe.example\n"
    )
    assert user.reads("-p beta config list") == listed


def test_a_profile_of_variables_is_marked(user: User) -> None:
    listed = user.reads("config list", SOE_AUTH_SITE="gamma")
    assert listed.startswith("gamma (not in config.toml)\n")


def test_without_a_profile_the_defaults_are_listed(user: User) -> None:
    assert user.reads("config list").startswith("no profile\n  site ")
    assert json.loads(user.reads("config list --json"))["profile"] is None
    assert user.reads("config get timeout") == "5m\n"


def test_the_list_as_json(user: User) -> None:
    user.write(f'default_profile = "acme"\n{ACME}{BETA}')
    report = json.loads(user.reads("config list --json"))
    assert report["version"] == 1
    assert report["profile"] == report["default_profile"] == "acme"
    assert report["profiles"] == ["acme", "beta"]
    assert report["trusted_sites"] == []
    assert list(report["settings"]) == list(BY_KEY)
    assert report["settings"]["client_id"] == {
        "value": "110",
        "origin": f"{user.config} [profile.acme], line 4",
    }
    assert report["settings"]["browser"] == {"value": None, "origin": "default"}


def test_get_prints_one_value(user: User) -> None:
    user.write(f'default_profile = "acme"\ntrusted_sites = ["a.example"]\n{ACME}{BETA}')
    assert user.reads("config get site") == "https://acme.stackenterprise.co\n"
    assert user.reads("config get site -p beta") == "https://beta.stackenterprise.co\n"
    assert user.reads("config get scope") == "\n"
    assert user.reads("config get default_profile") == "acme\n"
    assert user.reads("config get trusted_sites") == "https://a.example\n"


def test_a_missing_value_is_exit_2(user: User) -> None:
    assert user.types("config get browser") == (
        2,
        "",
        "soe-auth: browser is not set.\n  Set it with `soe-auth config set browser VALUE`.\n",
    )
    assert user.types("config get default_profile")[0] == 2


@pytest.mark.parametrize("line", ["get clientid", "set clientid 1", "unset clientid"])
def test_an_unknown_key_names_the_nearest(user: User, line: str) -> None:
    assert user.types(f"config {line}") == (
        2,
        "",
        "soe-auth: There is no setting 'clientid'.\n  Did you mean client_id?\n",
    )


@pytest.mark.parametrize("line", ["list", "get timeout", "set timeout 1m", "unset timeout"])
def test_an_unknown_profile_is_exit_2(user: User, line: str) -> None:
    user.write(ACME)
    code, _, stderr = user.types(f"config {line} -p acne")
    assert code == 2
    assert stderr.startswith("soe-auth: There is no profile acne.\n")
    assert user.config.read_text() == ACME


def test_a_byte_order_mark_is_ignored(user: User) -> None:
    user.config.write_text(ACME, encoding="utf-8-sig")
    Path(".soe-auth.toml").write_text('scope = "write_access"\n', encoding="utf-8-sig")
    assert user.reads("config get scope") == "write_access\n"
    assert user.types("config set client_id 7 -p acme")[0] == 0
    assert user.config.read_text(encoding="utf-8") == ACME.replace("110", "7")


def test_a_password_is_never_shown(user: User) -> None:
    user.write('proxy = "http://me:canary@proxy.example:8080"\n')
    shown = "http://…@proxy.example:8080"
    assert user.reads("config get proxy") == f"{shown}\n"
    listed = user.reads("config list --show-origin")
    assert f"  proxy          {shown}\n" in listed
    assert "canary" not in listed + user.reads("config list --json")


def test_control_characters_are_not_listed(user: User) -> None:
    user.write('browser = "\\u001b[2J\\n  port 1"\n')
    assert "  browser        \ufffd[2J port 1\n" in user.reads("config list")


def test_path_prints_one_path_per_line_the_users_first(user: User) -> None:
    system = user.home / "system" / "soe-auth" / "config.toml"
    assert user.reads("config path") == f"{user.config}\n{system}\n"
    project = Path(".soe-auth.toml").absolute()
    project.write_text('scope = "write_access"\n')
    assert user.reads("config path") == f"{user.config}\n{system}\n{project}\n"


def test_path_works_with_a_broken_file(user: User) -> None:
    user.write("a = \n")
    assert user.reads("config path").startswith(f"{user.config}\n")


@pytest.mark.posix("a user of no name, which Windows has none of")
@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="only root can become another user"
)
@pytest.mark.as_root
def test_without_a_home_directory_variables_do_and_all_else_is_exit_2() -> None:
    def look() -> None:
        del os.environ["HOME"]
        given = {"SOE_AUTH_TOKEN": "x", "SOE_AUTH_SITE": "acme"}
        assert main(["token"], given) == 0
        with pytest.raises(SettingsError, match="your home directory is unknown"):
            find_paths({}).config  # noqa: B018
        for line in ("status", "login", "config path", "config set timeout 1m", "doctor"):
            assert main(line.split(), given) == 2

    as_nobody(look, 54321)


# --- set, unset ----------------------------------------------------------------------------------


def test_a_setting_of_all_profiles_goes_to_the_top(user: User) -> None:
    user.write(f"# mine\n\n{ACME}# the end\n")
    code, result, stderr = user.types("config set timeout 90m")
    assert (code, result) == (0, "")
    assert stderr == f"Set timeout to 1h30m in {user.config}\n"
    text = user.config.read_text()
    assert tomllib.loads(text)["timeout"] == "1h30m"
    assert text.replace('timeout = "1h30m"\n', "") == f"# mine\n\n{ACME}# the end\n"


def test_a_setting_of_a_profile_goes_to_the_chosen_profile(user: User) -> None:
    user.write(f'default_profile = "acme"\n{ACME}{BETA}')
    place = f"{user.config} [profile.acme]"
    stderr = user.types("config set scope no_expiry,write_access")[2]
    assert stderr == f"Set scope to no_expiry,write_access in {place}\n"
    user.types("config set port 8765", SOE_AUTH_PROFILE="beta")
    user.types("config set timeout 3m -p beta")
    user.types("-p acme config set scope ''")
    profiles = tomllib.loads(user.config.read_text())["profile"]
    assert profiles["acme"]["scope"] == ""
    assert profiles["beta"]["port"] == 8765
    assert profiles["beta"]["timeout"] == "3m"


def test_a_wrong_value_changes_nothing(user: User) -> None:
    user.write(ACME)
    before = user.config.stat()
    for key, value in (
        ("timeout", "0"),
        ("port", "80"),
        ("site", "http://x"),
        ("scope", "ä"),
        ("browser", "\udcff"),
    ):
        code, _, stderr = user.types(f"config set {key} {value}")
        assert code == 2
        assert stderr.startswith(f"soe-auth: Cannot set {key}: ")
    assert user.config.stat() == before


def test_a_broken_file_is_not_changed(user: User) -> None:
    user.write("timeout = \n")
    for line in ("config set timeout 5m", "config unset timeout", "config unset nonsense"):
        code, _, stderr = user.types(line)
        assert code == 2
        assert f"Cannot read {user.config}: it is not valid TOML" in stderr
    assert user.config.read_text() == "timeout = \n"


def test_a_wrong_value_in_the_file_can_be_corrected(user: User) -> None:
    user.write(f"{ACME}port = 80\n")
    assert user.types("config list")[0] == 2
    assert user.types("config set port 8765")[0] == 0
    assert user.reads("config get port") == "8765\n"


WRONG = f"""
default_profile = 5
trusted_sites = ["http://x y"]
timeout = true
timeuot = "5m"
{ACME}port = true
prot = "8765"
"""


@pytest.mark.parametrize(
    ("line", "removed"),
    [
        ("config unset default_profile", "default_profile = 5"),
        ("config unset trusted_sites", 'trusted_sites = ["http://x y"]'),
        ("config unset timeout", "timeout = true"),
        ("config unset timeuot", 'timeuot = "5m"'),
        ("config unset port", "port = true"),
        ("config unset prot -p acme", 'prot = "8765"'),
        ("profile remove acme", f'{ACME}port = true\nprot = "8765"'),
    ],
)
def test_what_is_wrong_in_the_file_can_be_removed(user: User, line: str, removed: str) -> None:
    user.write(WRONG)
    code, _, stderr = user.types(line)
    assert code == 0, stderr
    assert user.config.read_text().strip() == WRONG.replace(f"{removed}\n", "").strip()


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("config set trusted_sites https://a.example", "trusted_sites", ["https://a.example"]),
        ("config set timeout 5m", "timeout", "5m"),
        ("profile use acme", "default_profile", "acme"),
    ],
)
def test_a_value_of_a_wrong_type_can_be_corrected(
    user: User, line: str, key: str, value: object
) -> None:
    user.write(WRONG)
    assert user.types(line)[0] == 0
    assert tomllib.loads(user.config.read_text())[key] == value


def test_a_named_profile_can_be_changed_whatever_the_project_file_and_variables_hold(
    user: User,
) -> None:
    user.write(f"{ACME}port = 80\n")
    Path(".soe-auth.toml").write_text("port = 5\n", encoding="utf-8")
    for line in ("config set port 8000 -p acme", "config unset port -p acme", "logout -p acme"):
        code, _, stderr = user.types(line, SOE_AUTH_SITE="http://x y")
        assert code == 0, stderr
    assert user.config.read_text() == ACME
    code, _, stderr = user.types("config set site acme -p ../acme")
    assert (code, "Cannot use profile name '../acme': write letters" in stderr) == (2, True)


def test_only_a_key_of_the_file_is_removed_and_no_table(user: User) -> None:
    user.write(f"{ACME}[other]\nsite = 1\n")
    for line in ("config unset profile", "config unset other", "config unset acme -p acme"):
        code, _, stderr = user.types(line)
        assert (code, "There is no setting" in stderr) == (2, True)
    assert user.config.read_text() == f"{ACME}[other]\nsite = 1\n"


def test_a_new_profile_begins_with_its_site(user: User) -> None:
    code, _, stderr = user.types("config set site acme/c/team -p mine")
    assert code == 0
    assert "“c/team” is ignored" in stderr
    assert user.types("config set client_id 110")[0] == 0
    assert tomllib.loads(user.config.read_text()) == {
        "default_profile": "mine",
        "profile": {"mine": {"site": "https://acme.stackenterprise.co", "client_id": "110"}},
    }


def test_a_profile_without_a_name_is_not_created(user: User) -> None:
    assert user.types("config set site acme")[0] == 3
    assert user.types("config set client_id 1", SOE_AUTH_SITE="gamma")[0] == 2
    assert not user.config.exists()


def test_the_default_is_one_of_the_profiles(user: User) -> None:
    user.write(ACME + BETA)
    code, _, stderr = user.types("config set default_profile gamma")
    assert code == 2
    assert stderr.startswith("soe-auth: There is no profile gamma.\n  There are: acme, beta. ")
    assert user.types("config set default_profile beta")[0] == 0
    assert user.reads("config list").startswith("beta (default)\n")
    code, _, stderr = user.types("config set default_profile beta -p acme")
    assert (code, stderr.splitlines()[1]) == (2, "  Leave -p out.")


def test_trusted_sites_can_be_set_and_unset(user: User) -> None:
    assert user.types("config set trusted_sites a.example,https://b.example")[0] == 0
    assert tomllib.loads(user.config.read_text()) == {
        "trusted_sites": ["https://a.example", "https://b.example"]
    }
    assert user.types("config unset trusted_sites")[0] == 0
    assert user.reads("config get trusted_sites") == "\n"


def test_set_names_what_overrides_the_value(user: User) -> None:
    user.write(f'{ACME}timeout = "1m"\n')
    stderr = user.types("config set timeout 5m")[2].splitlines()
    assert stderr[1:] == [f"For profile acme, {user.config} [profile.acme], line 6 overrides it."]
    stderr = user.types("config set scope x", SOE_AUTH_SCOPE="y")[2].splitlines()
    assert stderr[1:] == ["For profile acme, SOE_AUTH_SCOPE overrides it."]


def test_a_password_is_not_taken_from_the_command_line(user: User) -> None:
    code, _, stderr = user.types("config set proxy http://me:canary@proxy.example")
    assert code == 2
    assert "canary" not in stderr
    assert not user.config.exists()
    assert user.types("config set proxy http://proxy.example:8080")[0] == 0


def test_quiet_prints_nothing_on_success(user: User) -> None:
    assert user.types("config set timeout 5m -q") == (0, "", "")
    assert user.types("-q config unset timeout") == (0, "", "")


def test_a_value_can_be_removed(user: User) -> None:
    user.write(f'timeout = "1m" # short\n{ACME}timeout = "2m"\n')
    place = f"{user.config} [profile.acme]"
    assert user.types("config unset timeout -p acme")[2] == f"Removed timeout from {place}\n"
    assert user.reads("config get timeout") == "1m\n"
    user.types("config unset timeout")
    assert user.types("config unset timeout")[2] == f"timeout is not set in {user.config}\n"
    assert user.config.read_text() == ACME


# --- the file that is written --------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'profile = { acme = { site = "acme" } }\n',
        'profile.acme.site = "acme"\n\n[profile.beta]\nsite = "beta"\n',
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_not_changed(user: User, text: str) -> None:
    user.write(text)
    code, _, stderr = user.types("config set site new -p new")
    before = tomllib.loads(text)["profile"]
    after = tomllib.loads(user.config.read_text())["profile"]
    if code:
        assert "Cannot change " in stderr
        assert after == before
    else:
        assert after == {**before, "new": {"site": "https://new.stackenterprise.co"}}


@pytest.mark.slow
def test_concurrent_changes_are_all_saved(tmp_path: Path) -> None:
    config, names = tmp_path / "new" / "config.toml", [f"p{number}" for number in range(8)]
    together = Barrier(len(names))

    def change(name: str) -> None:
        for client_id in map(str, range(5)):
            together.wait(20)
            write_settings(config, name, {"site": "acme", "client_id": client_id})

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(change, names))
    kept = tomllib.loads(config.read_text())["profile"]
    assert kept == {name: {"site": "acme", "client_id": "4"} for name in names}


def test_the_check_of_a_change_runs_under_the_lock(tmp_path: Path) -> None:
    config, found = tmp_path / "config.toml", []

    def check() -> None:
        found.append(try_lock(tmp_path / "locks" / ".config.lock"))
        raise SettingsError("There is no profile beta.")

    for profile, values in ((None, {"default_profile": "beta"}), ("beta", {"port": "80"})):
        with pytest.raises(SettingsError, match="no profile beta"):
            write_settings(config, profile, values, check=check)
    assert found == [None, None]
    assert not config.exists()


@pytest.mark.parametrize(
    "line",
    [
        "login --site acme --client-id abc",
        "init --site acme --client-id abc --yes --no-check",
        "config set client_id abc -p acme",
        f"url --site acme --client-id abc --code-challenge {'x' * 43}",
    ],
)
def test_a_client_id_is_a_number_everywhere(user: User, line: str) -> None:
    user.write(ACME)
    code, _, stderr = user.types(line)
    assert code == 2
    assert "a client ID is the number that the site shows for the application" in stderr
    assert user.config.read_text() == ACME
    code, _, stderr = user.types("login", SOE_AUTH_CLIENT_ID="n")
    assert (code, "a client ID is the number" in stderr) == (2, True)


def test_an_unusable_ca_bundle_is_not_set(user: User) -> None:
    (user.home / "empty.pem").touch()
    for name, why in (("none.pem", "No such file"), ("empty.pem", "it has no valid")):
        path = (user.home / name).as_posix()
        code, _, stderr = user.types(f"config set ca_bundle {path}")
        assert code == 2
        assert f"{name}: {why}" in stderr
    assert not user.config.exists()


def test_init_asks_about_a_site_that_looks_like_the_vendor_s(user: User) -> None:
    line = "init --site acme.stackenterprise.com --client-id 110 --yes --no-check"
    code, _, stderr = user.types(line)
    assert code == 2
    assert "acme.stackenterprise.com is not a site of stackenterprise.co, though it" in stderr
    assert not user.config.exists()
    assert user.types("config set trusted_sites acme.stackenterprise.com")[0] == 0
    assert user.types(line)[0] == 0


def test_a_site_is_trusted_once(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    for _ in range(2):
        add_trusted_site(config, Site.parse("soe.example"))
    assert tomllib.loads(config.read_text()) == {"trusted_sites": ["https://soe.example"]}


def test_removing_a_profile_removes_only_its_own_lines(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f"# top\n\n{ACME}# inside\nscope = [\n  'a', # one\n]\n# behind\n\n# about beta\n{BETA}"
    )
    assert remove_profile(config, "acme")
    assert config.read_text() == f"# top\n\n# behind\n\n# about beta\n{BETA}"
    assert remove_profile(config, "beta")
    assert config.read_text() == "# top\n\n# behind\n\n# about beta\n"


@pytest.mark.parametrize("text", ['profile.acme.site = "acme"\n', "[profile]\nacme = {}\n"])
def test_a_profile_without_a_header_can_be_removed(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"timeout = '1m'\n{text}")
    assert remove_profile(config, "acme")
    assert tomllib.loads(config.read_text()) == {"timeout": "1m"}


@pytest.mark.parametrize(
    "text",
    [
        "# nothing but this\n",
        f'x = 1\n# about the time\ntimeout = "1m" # short\n\n# about acme\n{ACME}\n# end\n',
    ],
)
def test_comments_are_never_removed(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    write_settings(config, None, {"min_ttl": "2m"})
    write_settings(config, None, {"trusted_sites": ["https://a.example"]})
    write_settings(config, "new", {"site": "new"})
    assert remove_setting(config, "new", "site")
    assert not remove_setting(config, "new", "site")
    assert not remove_setting(config, "none", "site")
    assert remove_profile(config, "new")
    assert not remove_profile(config, "new")
    after = config.read_text()
    for line in text.splitlines():
        assert line in after.splitlines()
    assert tomllib.loads(after)["min_ttl"] == "2m"


# --- edit ----------------------------------------------------------------------------------------


def editor(user: User, code: str) -> str:
    """Return the command of an editor that runs Python code, with `path` as the file."""
    script = user.home / "an editor.py"
    script.write_text(f"import sys, pathlib\npath = pathlib.Path(sys.argv[-1])\n{code}\n")
    return command_line([sys.executable, str(script), "--wait"])


def test_a_new_file_describes_every_key(user: User) -> None:
    look = editor(user, "assert sys.platform == 'win32' or path.stat().st_mode % 512 == 0o600")
    code, _, stderr = user.types("config edit", EDITOR=look)
    assert (code, stderr) == (0, f"No errors in {user.config}\n")
    text = user.config.read_text()
    assert all(line.startswith("#") for line in text.splitlines())
    assert all(re.search(rf"^# .*\b{key}\b", text, re.MULTILINE) for key in BY_KEY)
    assert user.types("config set site acme -p acme")[0] == 0
    assert user.config.read_text().startswith(text)


def test_the_file_is_checked_after_it_was_edited(user: User) -> None:
    user.write(ACME)
    write = editor(user, "path.write_text(path.read_text() + 'port = 80\\n')")
    code, _, stderr = user.types("config edit", VISUAL=write, EDITOR="/not/this/one")
    assert code == 2
    assert stderr.startswith(
        f"soe-auth: Cannot read port '80' from {user.config} [profile.acme], line 4: valid"
    )
    hint = "  Your changes are saved. Correct them: `soe-auth config edit`."
    assert stderr.splitlines()[-1] == hint
    assert user.config.read_text() == f"{ACME}port = 80\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "it is not valid TOML"),
        ("clientid = 1", "Did you mean client_id?"),
        ("default_profile = 'gone'", "line 1: there is no profile gone."),
        ("[profile.other]\nmin_ttl = 'x'", "line 2: write a duration"),
    ],
)
def test_the_whole_file_is_checked(user: User, text: str, message: str) -> None:
    code, _, stderr = user.types("config edit", EDITOR=editor(user, f"path.write_text({text!r})"))
    assert code == 2
    assert message in stderr


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ('"', "Cannot find an editor."),
        ("/does/not/exist", "Cannot start /does/not/exist: "),
        (command_line([sys.executable, "-c", "exit(1)"]), ": the editor ended with exit code "),
    ],
)
def test_an_editor_that_fails_is_an_error(user: User, command: str, message: str) -> None:
    code, _, stderr = user.types("config edit", EDITOR=command, PATH=os.environ["PATH"])
    assert code == 2
    assert message in stderr


def test_without_a_terminal_an_editor_must_be_named(user: User) -> None:
    code, _, stderr = user.types("config edit")
    assert code == 2
    assert f"Cannot edit {user.config}: there is no terminal.\n  Set VISUAL or EDITOR, or" in stderr


def is_directory(home: Path) -> Path:
    (home / "config.toml").mkdir()
    return home


def links_to_itself(home: Path) -> Path:
    (home / "config.toml").symlink_to(home / "config.toml")
    return home


def is_too_long(home: Path) -> Path:
    return home / ("x" * 5000)


def is_unreadable(home: Path) -> Path:
    (home / "closed").mkdir(mode=0)
    return home / "closed"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (is_directory, "Cannot edit {}: it is a directory."),
        *(
            []
            if sys.platform == "win32"
            else [
                (links_to_itself, "Cannot write {}: Too many levels of symbolic links."),
                (is_too_long, "Cannot write {}: File name too long."),
                (is_unreadable, "Cannot write {}: Permission denied."),
            ]
        ),
    ],
)
def test_a_config_file_that_cannot_be_read_is_not_edited(
    user: User, kind: Callable[[Path], Path], message: str
) -> None:
    directory = kind(user.home)
    line = f"soe-auth: {message.format(directory / 'config.toml')}\n"

    def edit() -> None:
        variables = {"EDITOR": "/does/not/exist", "SOE_AUTH_CONFIG_DIR": str(directory)}
        code, _, stderr = user.types("config edit", **variables)
        assert code == 2
        assert stderr.startswith(line)

    if kind is is_unreadable:
        as_nobody(edit)
    else:
        edit()


def test_no_shell_reads_the_editors_command(user: User) -> None:
    touch = "import pathlib, sys\nfor name in sys.argv[1:3]:\n pathlib.Path(name).touch()"
    command = f"{command_line([sys.executable, '-c', touch])} 'a b;c' $HOME"
    if sys.platform == "win32":
        command = command.replace("'", '"')
    user.types("config edit", EDITOR=command, PATH=os.environ["PATH"])
    assert {path.name for path in Path().iterdir()} == {"a b;c", "$HOME"}


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.process
def test_ctrl_c_goes_to_the_editor(soe_auth: Command) -> None:
    program = (
        "import signal, sys\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "try:\n    print('ready', flush=True)\n    signal.pause()\n"
        "except KeyboardInterrupt:\n    print('mine', flush=True)\n"
    )
    command = soe_auth.with_variables(EDITOR=shlex.join([sys.executable, "-c", program]))
    child = command.on_a_terminal("config", "edit")
    child.expect("ready")
    child.sendintr()
    child.expect("mine")
    child.expect("No errors in")
    assert end_of(child)[0] == 0


# --- several accounts ----------------------------------------------------------------------------


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_two_accounts_on_one_site(soe_auth: Command, site: Sandbox) -> None:
    for profile, account in (("jane", "Jane Doe"), ("john", "John Doe")):
        done = soe_auth(
            *("login", "-p", profile, "--site", site.url, "--client-id", "110"),
            *("--browser", f"{BROWSER} --account '{account}'"),
        )
        assert done.returncode == 0, done.stderr
        assert f"as {account}, profile {profile}." in done.stderr

    tokens = {name: soe_auth("token", "-p", name).stdout for name in ("jane", "john")}
    assert len(set(tokens.values())) == 2
    assert soe_auth("token").stdout == tokens["jane"]
    assert soe_auth.with_variables(SOE_AUTH_PROFILE="john")("token").stdout == tokens["john"]
    assert soe_auth("config", "set", "default_profile", "john").returncode == 0
    assert soe_auth("token").stdout == tokens["john"]

    status = soe_auth("status").stdout
    assert re.findall(r"^(\S.*)\n.*\n *account +(.*)$", status, re.MULTILINE) == [
        ("jane", "Jane Doe"),
        ("john (default here)", "John Doe"),
    ]
    assert soe_auth("status", "-p", "john").stdout.startswith("john\n")
    undecided = soe_auth("config", "unset", "default_profile")
    assert undecided.returncode == 0
    assert "default" not in soe_auth("status").stdout
    mistyped = soe_auth("token", "-p", "jhon")
    assert mistyped.returncode == 2
    assert "There is no profile jhon.\n  Did you mean john? If not, make it" in mistyped.stderr
    ambiguous = soe_auth.with_variables(SOE_AUTH_SITE=site.url)("token")
    assert ambiguous.returncode == 2
    assert "Cannot choose a profile of" in ambiguous.stderr

    assert soe_auth("profile", "remove", "jane").returncode == 0
    assert soe_auth("token", "-p", "john").stdout == tokens["john"]
    assert "jane" not in soe_auth("config", "list").stdout
