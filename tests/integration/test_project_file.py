"""Project files are untrusted: what they may set, for which profile, and when consent is needed."""

import os
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_oracle import directories_in, live_in
from conftest import TOKEN, Command
from fake_programs import noting_browser
from fake_user import FakeUser

from soe_auth import LoginRequired, Scope, SettingsError, Site
from soe_auth.actions import project_consent as consent
from soe_auth.actions.get_token import from_store
from soe_auth.actions.login import login
from soe_auth.actions.login_if_needed import login_if_needed
from soe_auth.sandbox import Sandbox
from soe_auth.settings.project_file import PROJECT_KEYS
from soe_auth.settings.resolve import resolve
from soe_auth.settings.settings import Settings
from soe_auth.settings.spec import TABLE
from soe_auth.storage.file_store import FileStore

ODD = "https://soe.example"


class Repository:
    """A checkout with a `.git`, and a user's config directory beside it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "checkout"
        (self.root / ".git").mkdir(parents=True)
        (home / "config").mkdir()

    def write(self, text: str, path: str = ".soe-auth.toml") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def config(self, text: str) -> None:
        (self.home / "config" / "config.toml").write_text(text, encoding="utf-8")

    def resolve(self, profile: str | None = None, **given: str) -> Settings:
        return self.resolve_in(self.root, profile, **given)

    def resolve_in(self, directory: Path, profile: str | None = None, **given: str) -> Settings:
        flags = {key: value for key, value in given.items() if key.islower()}
        variables = {key: value for key, value in given.items() if key.isupper()}
        environ = {
            **directories_in(self.home),
            "SOE_AUTH_CONFIG_DIR": str(self.home / "config"),
            **variables,
        }
        return resolve(flags, profile=profile, environ=environ, cwd=lambda: directory)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    live_in(tmp_path, monkeypatch)
    return Repository(tmp_path)


# --- search ---------------------------------------------------------------------------------------


def test_it_is_found_from_a_subdirectory_up_to_the_root_and_not_above(
    repository: Repository,
) -> None:
    below = repository.root / "a" / "b"
    below.mkdir(parents=True)
    (repository.home / ".soe-auth.toml").write_text('site = "beyond"\n')
    with pytest.raises(LoginRequired):
        repository.resolve_in(below)
    repository.write('site = "root"\n')
    assert repository.resolve_in(below).profile == "root"
    repository.write('site = "near"\n', "a/.soe-auth.toml")
    assert repository.resolve_in(below).profile == "near"
    assert repository.resolve().profile == "root"


def test_a_work_tree_has_its_root_where_git_is_a_file(repository: Repository) -> None:
    repository.write('site = "outer"\n')
    inner = repository.root / "inner"
    inner.mkdir()
    assert repository.resolve_in(inner).profile == "outer"
    (inner / ".git").write_text("gitdir: elsewhere\n")
    with pytest.raises(LoginRequired):
        repository.resolve_in(inner)


def test_without_a_repository_only_the_directory_itself_counts(tmp_path: Path) -> None:
    below = tmp_path / "a"
    below.mkdir()
    (tmp_path / ".soe-auth.toml").write_text('site = "acme"\n')

    def profile(cwd: Path) -> str:
        return resolve(
            {}, environ={"SOE_AUTH_CONFIG_DIR": str(Path("/none").absolute())}, cwd=lambda: cwd
        ).profile

    assert profile(tmp_path) == "acme"
    with pytest.raises(LoginRequired):
        profile(below)


def test_a_pyproject_with_a_soe_auth_table_is_used_after_soe_auth_toml(
    repository: Repository,
) -> None:
    table = '[tool.soe-auth]\nsite = "acme"\n'
    path = repository.write(table, "pyproject.toml")
    assert repository.resolve().origins["site"] == str(path)
    repository.write('[tool.other]\nx = "soe-auth"\n', "a/pyproject.toml")
    assert repository.resolve_in(repository.root / "a").origins["site"] == str(path)
    repository.write('tool = "soe-auth"\n', "a/pyproject.toml")
    assert repository.resolve_in(repository.root / "a").origins["site"] == str(path)
    path = repository.write('site = "beta"\n')
    assert repository.resolve().origins["site"] == str(path)


def test_an_empty_file_ends_the_search(repository: Repository) -> None:
    repository.write('site = "acme"\n')
    repository.write("", "a/.soe-auth.toml")
    with pytest.raises(LoginRequired):
        repository.resolve_in(repository.root / "a")


def test_a_broken_pyproject_without_soe_auth_is_ignored(repository: Repository) -> None:
    repository.write("[broken\n", "pyproject.toml")
    assert repository.resolve(site="acme").profile == "acme"
    repository.write("[broken\n# soe-auth\n", "pyproject.toml")
    with pytest.raises(SettingsError, match=r"pyproject.toml: it is not valid TOML"):
        repository.resolve(site="acme")


def test_a_removed_directory_has_no_project_file(repository: Repository) -> None:
    def gone() -> Path:
        raise FileNotFoundError

    environ = {"SOE_AUTH_CONFIG_DIR": str(repository.home)}
    assert resolve({"site": "acme"}, environ=environ, cwd=gone).project is None


@pytest.mark.posix("file modes, which Windows does not have")
@pytest.mark.as_root
@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give files away")
def test_a_file_or_link_of_another_user_is_not_read(repository: Repository) -> None:
    path = repository.write('site = "acme"\n')
    os.chown(path, 12345, -1)
    with pytest.raises(LoginRequired):
        repository.resolve()
    os.chown(path, 0, -1)
    path.rename(repository.home / "mine.toml")
    path.symlink_to(repository.home / "mine.toml")
    assert repository.resolve().profile == "acme"
    os.chown(path, 12345, -1, follow_symlinks=False)
    with pytest.raises(LoginRequired):
        repository.resolve()


@pytest.mark.posix("a named pipe in the file system")
def test_a_pipe_or_directory_is_ignored(repository: Repository) -> None:
    os.mkfifo(repository.root / ".soe-auth.toml")  # to read it would never end
    (repository.root / "pyproject.toml").mkdir()
    with pytest.raises(LoginRequired):
        repository.resolve()


@pytest.mark.parametrize(
    "text",
    [
        "# " + "x" * 300_000,
        "a." * 30_000 + "a = 1",  # tomllib would take a gigabyte and half a minute
        f"[{'a.' * 499}a]\n" + "".join(f"k{n}{'.a' * 499} = 1\n" for n in range(230)),
        f"[{'a.' * 499}a]\n" + "".join(f"k{n} = 1\n" for n in range(10_000)),
    ],
)
def test_a_file_that_would_take_too_much_time_or_memory_is_refused(
    repository: Repository, text: str
) -> None:
    repository.write(text)
    with pytest.raises(SettingsError, match="it is too large, or its keys are too long"):
        repository.resolve()


# --- allowed keys and errors ----------------------------------------------------------------------


def test_a_project_file_may_set_site_client_id_scope_and_profile(repository: Repository) -> None:
    path = repository.write(
        'site = "acme"\nclient_id = 110\nscope = ["write_access"]\nprofile = "team"\n'
    )
    settings = repository.resolve()
    assert settings.profile == "team"
    assert str(settings.require_site_and_client()[0]) == "https://acme.stackenterprise.co"
    assert settings.client_id == "110"
    assert settings.scope.names == ("write_access",)
    assert settings.project == str(path)
    assert settings.from_project == ["site", "client_id", "scope"]
    assert {settings.origins[key] for key in settings.from_project} == {str(path)}
    assert settings.login_command == "soe-auth login -p team"
    assert settings.profile_values == {}


OTHER_KEYS = sorted(
    {setting.key for setting in TABLE} - set(PROJECT_KEYS) | {"default_profile", "trusted_sites"}
)


@pytest.mark.parametrize("key", OTHER_KEYS)
@pytest.mark.parametrize("profile", [None, "other"])
def test_a_project_file_may_set_nothing_else(
    repository: Repository, key: str, profile: str | None
) -> None:
    path = repository.write(f'site = "acme"\n{key} = "evil"\n')
    with pytest.raises(SettingsError) as error:
        repository.resolve(profile)
    assert str(error.value) == f"Cannot read {path}, line 2: a project file may not set {key}."
    assert error.value.hint.startswith("It may set site, client_id, scope, profile;")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('keyring = "evil"', "there is no setting 'keyring'", "There are site,"),
        ('sites = "acme"', "there is no setting 'sites'", "Did you mean site?"),
        ('"\\u001b[2J" = 1', "there is no setting '\ufffd[2J'", "There are site,"),
        ("[profile.acme]", "Cannot read profile from", ""),
        ('profile = "../../evil"', "Cannot use profile name '../../evil' from", ""),
        ('profile = "nul"', "Cannot use profile name 'nul' from", ""),
        ('site = "https://a:b@soe.example"', "a site has no user name", ""),
        ('site = "https://soe.example\\u001b[2J"', "no spaces, backslashes or invisible", ""),
        ("site = true", "write it as text in quotes", ""),
        ("client_id = 110", "client_id needs a site in the same file", "Add the site"),
        ("x = [" + "[" * 5000, "nested too deeply", ""),
        ("\udcff", "it is not UTF-8", ""),
    ],
)
def test_an_error_names_the_project_file(
    repository: Repository, text: str, message: str, hint: str
) -> None:
    path = repository.root / ".soe-auth.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError) as error:
        repository.resolve()
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert str(error.value).isprintable()
    assert error.value.hint.startswith(hint)


def test_an_error_in_a_pyproject_names_the_line(repository: Repository) -> None:
    path = repository.write(
        '[tool.other]\nscope = 1\n\n[tool.soe-auth]\nsite = "acme"\nscope = true\n',
        "pyproject.toml",
    )
    with pytest.raises(SettingsError) as error:
        repository.resolve()
    assert str(error.value).startswith(
        f"Cannot read scope from {path}, line 6: write it as text in quotes"
    )
    repository.write('[tool]\nsoe-auth.site = "a b"\n', "pyproject.toml")
    with pytest.raises(SettingsError) as error:
        repository.resolve()
    assert str(error.value).startswith(
        f"Cannot read site from {path}, line 2: a site has no spaces"
    )


def test_a_soe_auth_value_that_is_not_a_table_is_an_error(repository: Repository) -> None:
    repository.write("[tool]\nsoe-auth = 1\n", "pyproject.toml")
    with pytest.raises(SettingsError, match=r"write it as a table, \[tool.soe-auth\]"):
        repository.resolve()


def test_a_directory_with_a_hostile_name_does_not_reach_the_terminal(
    repository: Repository,
) -> None:
    # Windows itself refuses the first half.
    name = "a\u202eb" if sys.platform == "win32" else "a\x1b[2J\u202eb"
    repository.write("x = 1\n", f"{name}/.soe-auth.toml")
    with pytest.raises(SettingsError) as error:
        repository.resolve_in(repository.root / name)
    assert str(error.value).isprintable()


# --- profiles that it applies to ------------------------------------------------------------------

ACME = '[profile.acme]\nsite = "acme"\nclient_id = "1"\n'
WRITE = '[profile.write]\nsite = "acme"\nclient_id = "2"\n'
BETA = '[profile.beta]\nsite = "beta"\nclient_id = "3"\n'


def test_precedence_is_between_variables_and_config_files(
    repository: Repository,
) -> None:
    repository.config(f'scope = "a"\n{ACME}scope = "b"\n')
    repository.write('site = "acme"\nscope = "c"\n')
    assert str(repository.resolve().scope) == "c"
    assert str(repository.resolve(SOE_AUTH_SCOPE="d").scope) == "d"
    assert str(repository.resolve(SOE_AUTH_SCOPE="d", scope="e").scope) == "e"
    assert repository.resolve().client_id == "1"


def test_the_profile_of_its_site_precedes_the_default(repository: Repository) -> None:
    repository.config(f'default_profile = "acme"\n{ACME}{BETA}')
    repository.write('site = "beta"\n')
    settings = repository.resolve()
    assert (settings.profile, settings.client_id) == ("beta", "3")


@pytest.mark.parametrize(
    "given",
    [
        {"profile": "acme"},
        {"SOE_AUTH_PROFILE": "acme"},
        {"site": "acme"},
        {"SOE_AUTH_SITE": "acme"},
        {"profile": "beta", "site": "acme"},
    ],
)
@pytest.mark.parametrize("text", ['profile = "beta"\n', ""])
def test_naming_another_profile_or_site_ignores_the_whole_file(
    repository: Repository, text: str, given: dict[str, str]
) -> None:
    repository.config(ACME + BETA)
    repository.write(f'{text}site = "beta"\nclient_id = "666"\nscope = "write_access"\n')
    settings = repository.resolve(**given)
    assert (settings.project, settings.from_project) == (None, [])
    assert settings.client_id != "666"
    assert not settings.scope.names
    assert str(settings.site) == "https://" + (
        "beta" if given == {"profile": "beta"} else "acme"
    ) + (".stackenterprise.co")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"profile": "beta"},
        {"site": "beta"},
        {"SOE_AUTH_SITE": "https://beta.stackenterprise.co"},
        {"profile": "beta", "site": "beta"},
    ],
)
def test_naming_its_own_profile_or_site_uses_the_file(
    repository: Repository, given: dict[str, str]
) -> None:
    repository.config(ACME + BETA)
    repository.write('site = "beta"\nclient_id = "666"\n')
    settings = repository.resolve(**given)
    assert (settings.profile, settings.client_id) == ("beta", "666")


def test_a_file_without_a_site_applies_to_the_profile_it_names(repository: Repository) -> None:
    repository.config(f'default_profile = "beta"\n{ACME}{BETA}')
    repository.write('profile = "acme"\nscope = "write_access"\n')
    assert repository.resolve().profile == "acme"
    assert repository.resolve("acme").from_project == ["scope"]
    assert repository.resolve(site="acme").from_project == ["scope"]
    assert repository.resolve("beta").from_project == []
    assert repository.resolve(site="beta").from_project == []


def test_a_file_with_a_scope_alone_applies_to_any_profile(repository: Repository) -> None:
    repository.config(f'default_profile = "beta"\n{ACME}{BETA}')
    repository.write('scope = "write_access"\n')
    for given in ({}, {"profile": "acme"}, {"site": "acme"}, {"site": "new"}):
        assert repository.resolve(**given).from_project == ["scope"]
    assert repository.resolve().profile == "beta"


def test_if_its_site_has_several_profiles_one_must_be_named(repository: Repository) -> None:
    repository.config(WRITE + WRITE.replace("write", "more"))
    repository.write('site = "acme"\nclient_id = "666"\n')
    with pytest.raises(
        SettingsError, match=r"profile of acme.*, which .* names: there are more, write"
    ):
        repository.resolve()
    assert repository.resolve("write").client_id == "2"


@pytest.mark.parametrize("text", [ACME, 'site = "acme"\n[profile.acme]\n', ACME.replace("me", "x")])
def test_it_cannot_use_a_profile_of_another_site(repository: Repository, text: str) -> None:
    repository.config(text.replace("acx", "acme", 1))
    path = repository.write(f'profile = "acme"\nsite = "{ODD}"\n')
    with pytest.raises(
        SettingsError, match=r"Cannot use profile acme for .*: it belongs to another site"
    ) as error:
        repository.resolve()
    assert error.value.hint == f"{path} names it for {ODD}; with -p acme, that file is ignored."
    assert repository.resolve("acme").project is None
    assert str(repository.resolve(site=ODD).profile) == "soe.example"


def test_a_profile_without_a_site_gets_the_projects_site(repository: Repository) -> None:
    repository.config("[profile.acme]\nport = 8311\n")
    repository.write('site = "acme"\n')
    assert str(repository.resolve().port) == "8311"


# --- consent --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("site", "needed"),
    [
        ("acme", False),
        ("https://acme.stackenterprise.co", False),
        ("https://acme.stackenterprise.co:8443", True),
        ("https://stackenterprise.co", True),
        ("https://acme.stackenterprise.co.evil.example", True),
        ("https://acme.st\u0430ckenterprise.co", True),
        ("http://localhost:8300", True),
        (ODD, True),
    ],
)
def test_a_site_outside_the_cloud_that_only_a_project_names_needs_consent(
    repository: Repository, site: str, *, needed: bool
) -> None:
    repository.write(f'site = "{site}"\nclient_id = "110"\n')
    assert bool(repository.resolve().doubt) is needed
    imitates = Site.parse(site).imitates_vendor  # needs consent from any source
    assert bool(repository.resolve(site=site).doubt) is imitates
    assert bool(repository.resolve(SOE_AUTH_SITE=site).doubt) is imitates
    assert not repository.resolve(SOE_AUTH_SITE="acme").doubt


@pytest.mark.parametrize(
    "text",
    [
        f'site = "{ODD}"\n',
        f'[profile.mine]\nsite = "{ODD}"\n',
        f'trusted_sites = ["acme", "{ODD}"]\n',
    ],
)
@pytest.mark.parametrize("where", ["config", "system/soe-auth"])
def test_a_site_that_the_user_or_administrator_names_needs_no_consent(
    repository: Repository, text: str, where: str
) -> None:
    repository.write(f'site = "{ODD}"\nclient_id = "110"\n')
    directory = repository.home / where
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.toml").write_text(text)
    assert not repository.resolve().doubt
    (directory / "config.toml").write_text(text.replace("example", "example.org"))
    assert repository.resolve().doubt


@pytest.mark.parametrize(
    "before", ["", f"# mine\n{ACME}# end\n", f'trusted_sites = [\n  "a", # one\n]\n{ACME}']
)
def test_consent_is_requested_once_and_stored_beside_existing_settings(
    repository: Repository, before: str
) -> None:
    path = repository.write(f'site = "{ODD}"\nclient_id = "110"\n')
    repository.config(before)
    questions: list[str] = []

    def agree(text: str) -> bool:
        questions.append(text)
        return True

    consent.require_consent(repository.resolve(), agree, print)
    [question] = questions
    assert question.splitlines() == [
        f"{path} names the site {ODD}, outside https://*.stackenterprise.co.",
        "Sign in there? [y/N] ",
    ]
    assert not repository.resolve().doubt
    consent.require_consent(repository.resolve(), None, print)
    after = (repository.home / "config" / "config.toml").read_text()
    assert all(line in after for line in before.splitlines())
    assert repository.resolve("acme").client_id == ("1" if ACME in before else None)


def test_a_site_that_looks_like_the_vendors_needs_consent_from_any_source(
    repository: Repository, user: FakeUser
) -> None:
    near = "https://acme.stackenterprise.com"
    with pytest.raises(SettingsError, match=r"is not a site of stackenterprise\.co, though it"):
        login(user.settings(site=near), user.effects())
    assert user.opened == []
    repository.config(f'[profile.acme]\nsite = "{near}"\nclient_id = "110"\n')
    questions: list[str] = []

    def agree(text: str) -> bool:
        questions.append(text)
        return True

    consent.require_consent(repository.resolve(), agree, print)
    [question] = questions
    assert question.splitlines() == [
        f"{near} is not a site of stackenterprise.co, though it looks like one.",
        "Sign in there? [y/N] ",
    ]
    consent.require_consent(repository.resolve(), None, print)


def test_an_error_caused_by_a_project_file_names_it(repository: Repository) -> None:
    repository.config(f"{ACME}[profile.more]\nsite = 'acme.example'\n")
    path = repository.write('profile = "acne"\n')
    with pytest.raises(SettingsError) as error:
        repository.resolve().require_site_and_client()
    assert str(error.value) == f"There is no profile acne, which {path} names."
    assert "Did you mean acme?" in error.value.hint
    path = repository.write('site = "beta"\n')
    with pytest.raises(SettingsError) as error:
        repository.resolve().require_site_and_client()
    assert str(error.value) == (
        f"No client ID is set for beta.stackenterprise.co, which {path} names."
    )
    repository.write('site = "acme"\nclient_id = "1"\nscope = "write_access"\n')
    settings = repository.resolve()
    store = FileStore(repository.home / "config", report=print)
    store.save(settings.profile, replace(TOKEN, scope=Scope()))
    with pytest.raises(LoginRequired, match=rf"scope than {re.escape(str(path))} requests; type"):
        from_store(settings, store, now=TOKEN.obtained_at)


def test_refused_or_impossible_consent_is_an_error_with_the_command(repository: Repository) -> None:
    path = repository.write(f'site = "{ODD}"\n')
    for ask in (None, lambda _: False):
        with pytest.raises(SettingsError) as error:
            consent.require_consent(repository.resolve(), ask, print)
        assert str(error.value) == f"{path} names the site {ODD}, and you have not agreed to it."
        assert error.value.hint.endswith(f"name it yourself: `soe-auth login --site {ODD}`.")
    repository.write(f'site = "{ODD}"\nclient_id = "110"\n')
    with pytest.raises(SettingsError) as error:
        consent.require_consent(repository.resolve(), None, print)
    assert error.value.hint.endswith(f"`soe-auth login --site {ODD} --client-id 110`.")


def test_consent_that_cannot_be_stored_is_reported_and_login_continues(
    repository: Repository,
) -> None:
    repository.write(f'site = "{ODD}"\n')
    settings = repository.resolve()
    (repository.home / "config").rmdir()
    (repository.home / "config").touch()
    messages: list[str] = []
    consent.require_consent(settings, lambda _: True, messages.append)
    [line] = messages
    assert line.startswith("Cannot store your consent: ")


# --- the login -----------------------------------------------------------------------------------


@pytest.fixture
def user(repository: Repository) -> FakeUser:
    return FakeUser(repository.home / "config")


def test_a_login_shows_what_a_project_file_requests_and_stores_none_of_it(
    repository: Repository, user: FakeUser, site: Sandbox
) -> None:
    path = repository.write(f'site = "{site.url}"\nclient_id = 110\nscope = "write_access"\n')
    settings = repository.resolve()
    token = login(settings, user.effects(ask_consent=lambda _: True))
    assert user.told[0] == (
        f"{path} requests the site {site.url}, the client ID 110, the scope write_access."
    )
    assert f"{user.told[0]}</p>" in user.last_page  # a hook's stderr may be hidden
    assert str(token.scope) == "write_access"
    config = (user.home / "config.toml").read_text()
    assert config == f'trusted_sites = ["{site.url}"]\n'
    login(repository.resolve(timeout="9s", port="0"), user.effects())
    assert (user.home / "config.toml").read_text() == config


def test_a_site_that_the_user_names_is_stored_without_the_projects_values(
    repository: Repository, user: FakeUser, site: Sandbox
) -> None:
    repository.write(f'site = "{site.url}"\nclient_id = 110\nscope = "write_access"\n')
    login(repository.resolve(site=site.url), user.effects())
    config = (user.home / "config.toml").read_text()
    assert f'site = "{site.url}"' in config
    assert "client_id" not in config
    assert "write_access" not in config
    assert not repository.resolve().doubt
    assert repository.resolve().from_project == ["site", "client_id", "scope"]


def test_without_consent_no_port_is_bound_and_no_browser_opened(
    repository: Repository, user: FakeUser, site: Sandbox
) -> None:
    repository.write(f'site = "{site.url}"\nclient_id = 110\n')
    for log_in in (login, login_if_needed):
        with pytest.raises(SettingsError, match="you have not agreed to it"):
            log_in(repository.resolve(), user.effects())
    assert user.opened == []
    token = login(repository.resolve(), user.effects(ask_consent=lambda _: True))
    (user.home / "config.toml").unlink()
    # A stored token of that site needs no question, because nothing is sent.
    assert login_if_needed(repository.resolve(), user.effects()) == token


def test_a_token_of_another_site_is_not_replaced(
    repository: Repository, user: FakeUser, site: Sandbox
) -> None:
    repository.write(f'site = "{site.url}"\nclient_id = 110\nprofile = "acme"\n')
    effects = user.effects(ask_consent=lambda _: True)
    effects.store.save("acme", TOKEN)
    with pytest.raises(SettingsError, match=r"for https://acme\.stackenterprise\.co by") as error:
        login(repository.resolve(), effects)
    assert "`soe-auth logout -p acme`" in error.value.hint
    assert user.opened == []
    assert effects.store.load("acme") == TOKEN


def test_token_files_with_invalid_profile_names_are_not_listed(user: FakeUser) -> None:
    store = user.effects().store
    store.save("acme", TOKEN)
    names = {"a b.json", "..json", "con.json", "\x1b[2J.json"}
    if sys.platform == "win32":  # which has no files of such names
        names -= {"con.json", "\x1b[2J.json"}
    for name in names:
        (user.home / "tokens" / name).touch()
    assert store.profiles() == ["acme"]


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A socket in place of a site; it sees every connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


@pytest.fixture
def inside(soe_auth: Command, repository: Repository) -> Command:
    """The command in the repository, with a browser that notes its URLs."""
    browser = noting_browser(repository.home / "tabs")
    return soe_auth.within(repository.root).with_variables(BROWSER=browser)


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
@pytest.mark.parametrize(
    "argv",
    [
        ("login",),
        ("login", "-q"),
        ("login", "--if-needed"),
        ("token", "--login"),
        ("url", "-p", "own", "--code-challenge", "x" * 43),
        ("exchange", "-p", "own"),
    ],
    ids=" ".join,
)
def test_without_a_terminal_a_site_that_only_a_repository_names_is_refused(
    inside: Command, repository: Repository, listening: socket.socket, argv: tuple[str, ...]
) -> None:
    site = f"http://localhost:{listening.getsockname()[1]}"
    path = repository.write(f'site = "{site}"\nclient_id = "110"\nprofile = "own"\n')
    done = inside(*argv, stdin="y\ny\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-2:] == [
        f"soe-auth: {path} names the site {site}, and you have not agreed to it.",
        f"  If you trust it, name it yourself: `soe-auth login --site {site} --client-id 110`.",
    ]
    assert not (repository.home / "tabs").exists()
    assert not (repository.home / "config" / "config.toml").exists()
    with pytest.raises(TimeoutError):
        listening.accept()


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_command_in_the_refusal_works_and_counts_as_consent(
    inside: Command, repository: Repository, site: Sandbox
) -> None:
    repository.write(f'[tool.soe-auth]\nsite = "{site.url}"\nclient_id = 110\n', "pyproject.toml")
    missing = inside("token")
    assert missing.returncode == 3
    assert f"`soe-auth login -p localhost-{site.port}`" in missing.stderr
    assert inside("login", "-p", f"localhost-{site.port}").returncode == 2
    assert inside("login", "--site", site.url, "--client-id", "110").returncode == 0
    assert inside("logout").returncode == 0
    assert inside("login").returncode == 0
    assert inside("token").returncode == 0
    assert "valid until" in inside("status").stdout
    assert len((repository.home / "tabs").read_text().splitlines()) == 2


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_option_p_ignores_the_project_file(signed_in: Command, site: Sandbox) -> None:
    repository = Repository(signed_in.home / "elsewhere")
    repository.write(f'site = "{ODD}"\nclient_id = "666"\nscope = "no_expiry"\n')
    inside = signed_in.within(repository.root)
    assert inside("token").returncode == 3
    mine = inside("token", "-p", f"localhost-{site.port}")
    assert (mine.returncode, mine.stdout) == (0, signed_in("token").stdout)


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
@pytest.mark.parametrize(
    "key", ["browser", "ca_bundle", "trusted_sites", "port", "timeout", "store"]
)
def test_a_forbidden_key_in_a_project_file_stops_the_command(
    inside: Command, repository: Repository, key: str
) -> None:
    repository.write(f'[tool.soe-auth]\nsite = "acme"\n{key} = "evil"\n', "pyproject.toml")
    for argv in (("token", "--login"), ("login", "--client-id", "110"), ("logout",)):
        done = inside(*argv)
        assert (done.returncode, done.stdout) == (2, "")
        [message, _] = done.stderr.splitlines()
        assert message.startswith(
            f"soe-auth: Cannot read {repository.root}/pyproject.toml, line 3: "
        )
        assert key in message
    assert not (repository.home / "tabs").exists()


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_status_reports_invalid_profiles_and_ignores_other_files(signed_in: Command) -> None:
    (signed_in.home / "config" / "tokens" / "a b.json").touch()
    assert signed_in("status").returncode == 0
    config = signed_in.home / "config" / "config.toml"
    config.write_text(config.read_text() + '[profile."a b"]\nsite = "acme"\n')
    odd = signed_in("status")
    assert odd.returncode == 2
    assert f"Cannot use profile name 'a b' from {config}, line 6: " in odd.stderr
