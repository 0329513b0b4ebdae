"""`soe-auth profile`, a profile or a site as a word, and tokens from elsewhere."""

import json
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli_oracle import directories_in
from conftest import BROWSER, TOKEN, Command

from soe_auth.sandbox import Quirks, Sandbox
from soe_auth.settings.config_writer import rename_profile
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.login_lock import LoginLock

if TYPE_CHECKING:
    from subprocess import CompletedProcess

pytestmark = pytest.mark.process

ACME = '[profile.acme]\nsite = "https://acme.stackenterprise.co"\nclient_id = "110"\n'
BETA = '[profile.beta]\nsite = "https://beta.stackenterprise.co"\nclient_id = "7"\n'


def write_config(soe_auth: Command, text: str) -> Path:
    config = soe_auth.home / "config" / "config.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(text, encoding="utf-8")
    return config


@pytest.fixture
def name(site: Sandbox) -> str:
    """The profile of `signed_in`."""
    return f"localhost-{site.port}"


# --- list and use --------------------------------------------------------------------------------


def test_list_shows_each_profile_with_its_site_and_marks_the_default(soe_auth: Command) -> None:
    write_config(soe_auth, f'default_profile = "beta"\n{ACME}{BETA}[profile.c]\n')
    assert soe_auth("profile", "list").stdout.splitlines() == [
        "acme  https://acme.stackenterprise.co",
        "beta  https://beta.stackenterprise.co  (default)",
        "c     no site",
    ]


def test_without_a_profile_each_action_says_so(soe_auth: Command) -> None:
    listed = soe_auth("profile", "list")
    assert (listed.returncode, listed.stdout) == (3, "")
    assert "`soe-auth init`" in listed.stderr
    for words in (["use", "acme"], ["rename", "acme", "beta"], ["remove", "acme"]):
        refused = soe_auth("profile", *words)
        assert refused.returncode == 2
        assert "There is no profile acme." in refused.stderr


def test_use_sets_the_default_and_names_what_overrides_it(soe_auth: Command) -> None:
    config = write_config(soe_auth, f'# mine\ndefault_profile = "acme"\n{ACME}{BETA}')
    used = soe_auth("profile", "use", "beta")
    assert (used.returncode, used.stderr) == (0, "Profile beta is now the default.\n")
    assert config.read_text(encoding="utf-8").startswith('# mine\ndefault_profile = "beta"\n')
    used = soe_auth.with_variables(SOE_AUTH_PROFILE="beta")("profile", "use", "acme")
    assert used.stderr.splitlines()[1].endswith("overrides it with profile beta.")


def test_a_profile_is_named_behind_the_action_and_not_by_p(soe_auth: Command) -> None:
    refused = soe_auth("profile", "list", "-p", "acme")
    assert refused.returncode == 2
    assert "`soe-auth profile` uses no profile." in refused.stderr


# --- rename --------------------------------------------------------------------------------------


def test_a_renamed_profile_keeps_its_token_its_comments_and_its_place(
    signed_in: Command, name: str
) -> None:
    token = signed_in("token").stdout
    config = signed_in.home / "config" / "config.toml"
    text = config.read_text(encoding="utf-8")
    text = text.replace(f"[profile.{name}]", f"# mine\n[profile.{name}] # work\n# same") + BETA
    config.write_text(text, encoding="utf-8")
    renamed = signed_in("profile", "rename", name, "work.1")
    assert (renamed.returncode, renamed.stderr) == (0, f"Renamed profile {name} to work.1.\n")
    assert signed_in("token").stdout == token
    assert signed_in("token", "-p", "work.1").stdout == token
    assert signed_in("token", "-p", name).returncode == 2
    expected = text.replace(f"[profile.{name}]", '[profile."work.1"]')
    expected = expected.replace(f'default_profile = "{name}"', 'default_profile = "work.1"')
    assert config.read_text(encoding="utf-8") == expected
    tokens = signed_in.home / "config" / "tokens"
    assert [path.name for path in tokens.iterdir()] == ["work.1.json"]


@pytest.mark.parametrize("new", ["beta", "BETA", "acme", "Acme", "only-a-token"])
def test_an_existing_name_is_refused_whatever_its_case(soe_auth: Command, new: str) -> None:
    config = write_config(soe_auth, ACME + BETA)
    files = FileStore(config.parent, report=print)
    files.save("acme", TOKEN)
    files.save("only-a-token", TOKEN)
    refused = soe_auth("profile", "rename", "acme", new)
    assert refused.returncode == 2
    assert f"Profile {new.lower()} exists already." in refused.stderr
    assert config.read_text(encoding="utf-8") == ACME + BETA
    assert files.load("acme") == TOKEN


def test_an_invalid_name_is_refused(soe_auth: Command) -> None:
    write_config(soe_auth, ACME)
    refused = soe_auth("profile", "rename", "acme", "../beta")
    assert refused.returncode == 2
    assert "Cannot use profile name" in refused.stderr


def test_the_token_keeps_its_name_if_the_file_cannot_be_changed(soe_auth: Command) -> None:
    config = write_config(soe_auth, ACME)
    (config.parent / "second-name").hardlink_to(config)
    files = FileStore(config.parent, report=print)
    files.save("acme", TOKEN)
    refused = soe_auth("profile", "rename", "acme", "work")
    assert refused.returncode == 2
    assert "Cannot write " in refused.stderr
    assert config.read_text(encoding="utf-8") == ACME
    assert files.profiles() == ["acme"]
    assert files.load("acme") == TOKEN


def test_a_profile_within_a_line_can_be_renamed(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('profile = { acme = { site = "acme" } }\n', encoding="utf-8")
    rename_profile(config, "acme", "work", check=lambda: None)
    renamed = tomllib.loads(config.read_text(encoding="utf-8"))
    assert renamed == {"profile": {"work": {"site": "acme"}}}


@pytest.mark.skipif(sys.platform == "win32", reason="there its file is below C:\\ProgramData")
def test_a_profile_of_the_system_is_neither_renamed_nor_removed(soe_auth: Command) -> None:
    system = Path(directories_in(soe_auth.home)["XDG_CONFIG_DIRS"]) / "soe-auth" / "config.toml"
    system.parent.mkdir(parents=True)
    system.write_text(ACME, encoding="utf-8")
    for words in (["rename", "acme", "work"], ["remove", "acme"]):
        refused = soe_auth("profile", *words)
        assert refused.returncode == 2
        assert "Cannot change profile acme: it is in the system's config.toml." in refused.stderr
    assert soe_auth("profile", "use", "acme").returncode == 0


# --- remove --------------------------------------------------------------------------------------


def test_remove_logs_out_first(signed_in: Command, site: Sandbox, name: str) -> None:
    removed = signed_in("profile", "remove", name)
    assert removed.returncode == 0
    assert removed.stderr.splitlines() == [
        f"The token of profile {name} is deleted from this machine.",
        f"localhost:{site.port} has revoked it.",
        f"Removed profile {name} from {signed_in.home / 'config' / 'config.toml'}",
    ]
    assert signed_in("profile", "list").returncode == 3
    assert signed_in("profile", "remove", name).returncode == 2


def test_a_profile_with_a_wrong_value_can_be_removed(signed_in: Command, name: str) -> None:
    config = signed_in.home / "config" / "config.toml"
    config.write_text(f'{config.read_text(encoding="utf-8")}port = "x"\n', encoding="utf-8")
    removed = signed_in("profile", "remove", name)
    assert removed.returncode == 0, removed.stderr
    assert removed.stderr.splitlines()[1].endswith(" has revoked it.")
    assert "port" not in config.read_text(encoding="utf-8")


def test_a_profile_whose_token_was_not_revoked_is_not_removed(
    signed_in: Command, site: Sandbox, name: str
) -> None:
    site.quirks = Quirks(invalidate="server-error")
    failed = signed_in("profile", "remove", name)
    assert failed.returncode == 5
    assert failed.stderr.splitlines()[-1] == f"  Profile {name} was not removed."
    assert name in signed_in("profile", "list").stdout
    assert signed_in("logout", "--local", name).returncode == 0
    assert signed_in("profile", "remove", name).returncode == 0


def test_during_a_login_a_profile_is_neither_renamed_nor_removed(
    soe_auth: Command,
) -> None:
    config = write_config(soe_auth, ACME)
    for held, words in (
        ("acme", ["remove", "acme"]),
        ("acme", ["rename", "acme", "work"]),
        ("work", ["rename", "acme", "work"]),
    ):
        with LoginLock(config.parent, report=print).acquire(held):
            refused = soe_auth("profile", *words)
        assert refused.returncode == 4
        assert f"Another login to profile {held} is in progress." in refused.stderr
    assert config.read_text(encoding="utf-8") == ACME


# --- a profile or a site as a word ---------------------------------------------------------------


def test_a_word_names_a_profile_or_else_a_site(
    signed_in: Command, site: Sandbox, name: str
) -> None:
    signed_in("config", "set", "site", "acme", "-p", "acme")
    by_profile, by_site = signed_in("status", name), signed_in("status", site.url)
    assert by_profile.returncode == 0
    assert by_profile.stdout == by_site.stdout
    assert by_profile.stdout.startswith(f"{name}\n")
    assert signed_in("status", "acme").stdout.startswith("acme\n")
    assert signed_in("status", "--check=1h", name).returncode == 0
    assert signed_in("status", site.url, "--check=2d").returncode == 3
    for word in (name, site.url):
        again = signed_in("login", word, "--if-needed")
        assert again.returncode == 0, again.stderr
    assert signed_in("logout", site.url).returncode == 0
    assert signed_in("status", name, "--check").returncode == 3


def test_a_first_login_takes_the_site_as_a_word(soe_auth: Command, site: Sandbox) -> None:
    login = soe_auth("login", site.url, "--client-id", "110", "--browser", BROWSER)
    assert login.returncode == 0, login.stderr
    assert soe_auth("profile", "list").stdout.split() == [
        f"localhost-{site.port}",
        site.url,
        "(default)",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("login amce", "There is no profile amce.\n  Did you mean acme?"),
        ("status amce", "There is no profile amce.\n  Did you mean acme?"),
        ("status gamma", "There is no profile gamma, and none of that site."),
        ("logout gamma", "There is no profile or token gamma."),
        ("login acme -p acme", "The profile is named twice."),
        ("login beta.example --site acme", "The site is named twice."),
        ("login a(b", "There is no such profile or site: not a host name"),
        ("logout --all acme", "--all names every profile."),
    ],
)
def test_a_wrong_word_is_explained(soe_auth: Command, words: str, message: str) -> None:
    write_config(soe_auth, ACME + BETA)
    refused = soe_auth(*words.split())
    assert refused.returncode == 2
    assert message in refused.stderr


# --- a token from elsewhere ----------------------------------------------------------------------


@dataclass(frozen=True)
class TokenOwner:
    """A user with a token of the site that is not stored yet."""

    soe_auth: Command
    url: str
    token: str

    def logs_in_with(self, token: str, *more: str) -> "CompletedProcess[str]":
        words = ["--site", self.url, "--client-id", "110", *more]
        return self.soe_auth("login", "--with-token", *words, stdin=token)


@pytest.fixture
def owner(signed_in: Command, site: Sandbox, tmp_path: Path) -> TokenOwner:
    token = signed_in("token").stdout
    own = signed_in.with_variables(SOE_AUTH_CONFIG_DIR=str(tmp_path / "own"))
    return TokenOwner(own, site.url, token)


def test_a_given_token_is_stored_with_its_account_and_the_profile_is_saved(
    owner: TokenOwner, name: str
) -> None:
    given = owner.logs_in_with(owner.token, "--expires", "8h", "--scope", "write_access", "--json")
    assert given.returncode == 0, given.stderr
    report = json.loads(given.stdout)
    assert report["account"] == "Jane Doe"
    assert report["scope"] == report["granted_scope"] == ["write_access"]
    assert 8 * 3600 - 60 < report["seconds_left"] <= 8 * 3600
    assert "as Jane Doe" in given.stderr
    assert owner.token.strip() not in given.stdout + given.stderr
    assert owner.soe_auth("token").stdout == owner.token
    assert owner.soe_auth("profile", "list").stdout.split()[0] == name


def test_a_given_token_of_unknown_expiry_counts_as_a_day_or_never_expires(
    owner: TokenOwner,
) -> None:
    for more, ends in (([], "unknown"), (["--scope", "no_expiry"], "never")):
        given = owner.logs_in_with(owner.token, "--json", *more)
        assert json.loads(given.stdout)["expires_at"] == ends
    assert owner.soe_auth("status", "--check=20h").returncode == 0


def test_a_given_token_revokes_the_one_that_it_replaces_but_not_itself(
    owner: TokenOwner, signed_in: Command
) -> None:
    owner.logs_in_with(owner.token)
    owner.logs_in_with(owner.token)
    assert signed_in("status", "--verify").returncode == 0
    other = signed_in.with_variables(SOE_AUTH_CONFIG_DIR=str(signed_in.home / "other"))
    words = ["--site", owner.url, "--client-id", "110", "--browser", BROWSER]
    assert other("login", *words).returncode == 0
    owner.logs_in_with(other("token").stdout)
    assert signed_in("status", "--verify").returncode == 3


def test_an_invalid_or_refused_token_is_not_stored(owner: TokenOwner) -> None:
    for token, code, message in (
        ("", 2, "Cannot read the token: it is empty."),
        ("one two", 2, "Cannot read the token: a token is visible ASCII"),
        ("canary-1", 5, "refused the token.\n  Nothing is stored."),
    ):
        refused = owner.logs_in_with(token)
        assert refused.returncode == code
        assert message in refused.stderr
        assert "canary" not in refused.stderr
    assert owner.soe_auth("token").returncode == 3
    unreachable = replace(owner, url="http://localhost:1").logs_in_with(owner.token)
    assert (unreachable.returncode, "Nothing is stored." in unreachable.stderr) == (6, True)


def test_a_given_token_without_an_account_is_reported(owner: TokenOwner, site: Sandbox) -> None:
    site.quirks = Quirks(account="html")
    given = owner.logs_in_with(owner.token)
    assert given.returncode == 0
    assert given.stderr.startswith("The site did not name the account of the token: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--with-token --expires soon", "Cannot read expires from --expires: write a duration"),
        ("--with-token --if-needed", "--with-token opens no browser."),
        ("--with-token --no-browser", "--with-token opens no browser."),
        ("--expires 8h", "--expires needs --with-token"),
    ],
)
def test_an_option_that_does_not_fit_a_given_token_is_refused(
    soe_auth: Command, words: str, message: str
) -> None:
    refused = soe_auth("login", "acme", "--client-id", "110", *words.split(), stdin="canary\n")
    assert refused.returncode == 2
    assert message in refused.stderr


def test_a_given_token_goes_to_no_site_that_only_a_project_file_names(
    owner: TokenOwner, site: Sandbox, tmp_path: Path
) -> None:
    project = f'site = "{site.url}"\nclient_id = "110"\n'
    (tmp_path / ".soe-auth.toml").write_text(project, encoding="utf-8")
    refused = owner.soe_auth.within(tmp_path)("login", "--with-token", stdin=owner.token)
    assert refused.returncode == 2
    assert "Cannot send the token to" in refused.stderr
    assert owner.soe_auth.within(tmp_path)("token").returncode == 3
