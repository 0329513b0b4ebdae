"""`soe-auth init`: the conversation on a real terminal, unattended runs, and what is handed on."""

import asyncio
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from conftest import BROWSER, Command, Start, Terminal, end_of
from docs_parser import DOCS
from fake_programs import program
from tls_servers import always_answering, http

from soe_auth.cli.main import main
from soe_auth.sandbox import Sandbox

pytestmark = pytest.mark.process

AGAIN = r"Choice \[\d\]: "
PAGE_OF_IT = DOCS / "how-to" / "set-up.md"
SITE = r"Which site\? \(acme or its URL\)(?: \[[^]]*\])?: "
DOMAIN = rf"(?s)Which Domain did the form take\?.*?{AGAIN}"
PAGE = r"Open that page in your browser\? \[[Yy]/[Nn]\]: "
CLIENT_ID = r"Client ID \[[^]]*\]: "
MAY = rf"(?s)What may the token do\?.*?{AGAIN}"
LASTS = rf"(?s)How long is a token good for\?.*?{AGAIN}"
FOR = rf"(?s)What is the token for\?.*?{AGAIN}"
NAME = r"A name for this profile \[[^]]*\]: "
SIGN_IN = r"Sign in now\? \[Y/n\]: "


@pytest.fixture
def start(start: Start, soe_auth: Command) -> Start:
    usual = {"cwd": soe_auth.home, "columns": 200, "BROWSER": BROWSER}
    return lambda *argv, **more: start("init", *argv, **{**usual, **more})


def answer(child: Terminal, *dialogue: tuple[str, str]) -> str:
    """Answer each question when it is put; return all that was shown meanwhile."""
    shown = ""
    for question, text in dialogue:
        child.expect(question)
        shown += child.before + child.after
        child.sendline(text)
    return shown


def config_of(soe_auth: Command) -> Path:
    return soe_auth.home / "config" / "config.toml"


def profile_of(soe_auth: Command, name: str) -> dict[str, object]:
    profiles: dict[str, dict[str, object]] = tomllib.loads(config_of(soe_auth).read_text())[
        "profile"
    ]
    return profiles[name]


def happy(site: Sandbox) -> list[tuple[str, str]]:
    """A conversation that takes every default but for what has none, and the redirect."""
    return [
        (SITE, site.url),
        (PAGE, "n"),
        (DOMAIN, "1"),
        (CLIENT_ID, "110"),
        (MAY, ""),
        (LASTS, ""),
        (FOR, ""),
        (NAME, ""),
        (SIGN_IN, ""),
    ]


# --- the conversation ---


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_conversation_ends_with_a_token(start: Start, site: Sandbox, soe_auth: Command) -> None:
    child = start()
    shown = answer(child, *happy(site))
    assert "It is there, and answers as an SOE site does." in shown
    assert f"On {site.url.partition('://')[2]}:" in shown
    assert "  Domain   the first of these that the form takes:\r\n" in shown
    code, text = end_of(child)
    assert code == 0
    assert "Signed in to" in text
    assert "soe-auth init --site" in text
    assert "refuses client ID" not in shown
    assert soe_auth("token").returncode == 0
    assert profile_of(soe_auth, f"localhost-{site.port}") == {"site": site.url, "client_id": "110"}
    written = config_of(soe_auth).read_text()
    assert written.startswith("# Settings of soe-auth.")
    assert "#   timeout " in written


@pytest.mark.posix("types at a pseudo-terminal")
def test_every_answer_is_heeded(start: Start, site: Sandbox, soe_auth: Command) -> None:
    child = start()
    answer(
        child,
        (SITE, f"{site.url}/questions"),
        (PAGE, "n"),
        (DOMAIN, "5"),
        (CLIENT_ID, "112"),
        (MAY, "2"),
        (LASTS, "2"),
        (FOR, "2"),
        (NAME, "mine"),
        (SIGN_IN, "n"),
    )
    code, text = end_of(child)
    assert code == 0
    assert "Sign in with `soe-auth login -p mine`." in text
    assert profile_of(soe_auth, "mine") == {
        "site": site.url,
        "client_id": "112",
        "scope": "access_team,no_expiry,write_access",
        "redirect": "login_success",
    }


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_wrong_answer_is_told_and_asked_again(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    start_of_another = soe_auth(
        "init", "--site", "acme", "--client-id", "1", "--no-check", "-p", "taken"
    )
    assert start_of_another.returncode == 0
    child = start()
    shown = answer(
        child,
        (SITE, ""),
        (SITE, "http://soe.example"),
        (SITE, site.url),
        (PAGE, "perhaps"),
        (PAGE, "n"),
        (DOMAIN, "6"),
        (AGAIN, "another"),
        ("That name: ", "192.0.2.7"),
        ("That name: ", "Login.corp.example"),
        (CLIENT_ID, "one hundred"),
        (CLIENT_ID, "110"),
        (MAY, "all"),
        (AGAIN, "read"),
        (LASTS, "0"),
        (AGAIN, "1"),
        (FOR, ""),
        (NAME, "../up"),
        (NAME, "taken"),
        (NAME, "free"),
        (SIGN_IN, "n"),
    )
    assert end_of(child)[0] == 0
    for told in (
        "An answer is needed here.",
        "plain http is for a loopback host only",
        "write a number from 1 to 5",
        "write y or n",
        "a client ID is the number",
        "write letters, digits",
        "that profile belongs to another site",
        "write localhost, 127.0.0.1, or a name that means the loopback",
        "refuses client ID 110 with the Domain login.corp.example",  # before anyone signs in
    ):
        assert told in shown
    assert profile_of(soe_auth, "free")["redirect_host"] == "login.corp.example"
    assert profile_of(soe_auth, "free")["client_id"] == "110"
    assert profile_of(soe_auth, "taken")["client_id"] == "1"


@pytest.mark.posix("types at a pseudo-terminal")
def test_after_some_wrong_answers_it_ends(start: Start, soe_auth: Command) -> None:
    child = start()
    answer(child, *[(SITE, "no site")] * 5)
    code, text = end_of(child)
    assert code == 2
    assert "give the answer as an option: --site" in text
    assert not config_of(soe_auth).exists()


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.parametrize("stop", range(9))
def test_ctrl_c_at_any_question_ends_it_and_has_written_nothing(
    start: Start, site: Sandbox, soe_auth: Command, stop: int
) -> None:
    child, dialogue = start(), happy(site)
    answer(child, *dialogue[:stop])
    child.expect(dialogue[stop][0])
    child.sendintr()
    code, text = end_of(child)
    assert code == 130
    assert "soe-auth: interrupted." in text
    assert "Traceback" not in text
    assert config_of(soe_auth).exists() == (dialogue[stop][0] is SIGN_IN)


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.parametrize("stop", range(8))
def test_ctrl_d_at_any_question_ends_it_with_a_sentence(
    start: Start, site: Sandbox, soe_auth: Command, stop: int
) -> None:
    child, dialogue = start(), happy(site)
    answer(child, *dialogue[:stop])
    child.expect(dialogue[stop][0])
    child.sendeof()
    code, text = end_of(child)
    assert code == 2
    assert text.startswith("\r\n")
    assert "You ended the conversation, and nothing was written." in text
    assert not config_of(soe_auth).exists()


@pytest.mark.posix("types at a pseudo-terminal")
def test_ctrl_d_at_the_last_question_is_a_no(start: Start, site: Sandbox) -> None:
    child, dialogue = start(), happy(site)
    answer(child, *dialogue[:-1])
    child.expect(SIGN_IN)
    child.sendeof()
    code, text = end_of(child)
    assert code == 0
    assert "Sign in with `soe-auth login -p" in text
    assert "soe-auth init --site" in text


@pytest.mark.posix("types at a pseudo-terminal")
def test_the_page_of_the_site_is_opened_if_asked(
    start: Start, site: Sandbox, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    script = f"printf '%s' \"$1\" >{seen}.part && mv {seen}.part {seen}"
    browser = program(tmp_path, "browser", script)
    child = start(BROWSER=str(browser))
    answer(child, *happy(site)[:1], (PAGE, "y"))
    child.expect("Opening http://")
    answer(child, *happy(site)[2:-1], (SIGN_IN, "n"))
    assert end_of(child)[0] == 0
    assert seen.read_text() == site.url


@pytest.mark.posix("types at a pseudo-terminal")
def test_where_no_browser_starts_that_is_said(start: Start, site: Sandbox) -> None:
    child = start(BROWSER="")
    answer(child, *happy(site)[:1], (PAGE, "y"))
    child.expect("No browser could be started here")


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_failed_login_still_hands_out(start: Start, site: Sandbox) -> None:
    child = start(SOE_AUTH_TIMEOUT="1s", BROWSER="")
    answer(child, *happy(site))
    code, text = end_of(child)
    assert code == 4
    assert "soe-auth init --site" in text
    assert "The login was not finished within 1 s" in text


@pytest.mark.posix("types at a pseudo-terminal")
def test_in_an_ssh_session_the_way_that_works_is_offered(start: Start, site: Sandbox) -> None:
    child = start(SSH_CONNECTION="192.0.2.1 1 192.0.2.2 22")
    shown = answer(child, (SITE, site.url), (PAGE, "n"), (DOMAIN, ""), (CLIENT_ID, "112"))
    assert "This is an SSH session" in shown
    assert "Choice [5]" in shown


@pytest.mark.posix("types at a pseudo-terminal")
def test_where_ports_are_forwarded_nothing_has_to_be_pasted(start: Start, site: Sandbox) -> None:
    child = start("--no-browser", REMOTE_CONTAINERS="1", CI="")
    shown = answer(child, (SITE, site.url), (DOMAIN, ""))
    assert "Choice [1]" in shown
    child.expect(CLIENT_ID)
    assert "Open that page" not in shown + child.before


@pytest.mark.posix("types at a pseudo-terminal")
def test_who_has_no_client_id_gets_the_text_for_an_administrator(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    child = start()
    answer(child, *happy(site)[:3], (CLIENT_ID, ""), (MAY, "2"), (LASTS, "1"), (FOR, ""))
    code, text = end_of(child)
    assert code == 2
    assert "#   Domain   localhost\r\n" in text
    assert "the scopes write_access" in text
    assert f"soe-auth init --site {site.url} --client-id NUMBER" in text
    assert not config_of(soe_auth).exists()


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_site_that_is_not_there_may_be_typed_again_or_taken_all_the_same(
    start: Start, soe_auth: Command
) -> None:
    child = start()
    shown = answer(
        child,
        (SITE, "http://localhost:1"),
        (r"Go on all the same\? \[y/N\]: ", ""),
        (SITE, "http://localhost:2"),
        (r"Go on all the same\? \[y/N\]: ", "y"),
        (PAGE, "n"),
        (DOMAIN, "1"),
        (CLIENT_ID, "7"),
        (MAY, ""),
        (LASTS, ""),
        (FOR, ""),
        (NAME, ""),
        (SIGN_IN, "n"),
    )
    assert end_of(child)[0] == 0
    assert "localhost:1 could not be reached: Connection refused." in shown
    assert profile_of(soe_auth, "localhost-2")["site"] == "http://localhost:2"


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_site_of_the_command_line_that_is_not_there_may_be_given_up(start: Start) -> None:
    child = start("--site", "http://localhost:1")
    answer(child, (r"Go on all the same\? \[y/N\]: ", "n"))
    code, text = end_of(child)
    assert code == 6
    assert "could not be reached" in text


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("headers", [(), (b"Content-Type: text/plain",)], ids=["bare", "plain"])
async def test_an_api_that_refuses_is_an_soe_whatever_type_its_refusal_has(
    soe_auth: Command, status: int, headers: tuple[bytes, ...]
) -> None:
    async with always_answering(http(status, b"Invalid access token", *headers)) as site:
        done = await asyncio.to_thread(
            soe_auth, "init", "--site", str(site), "--client-id", "110", "--yes"
        )
    assert done.returncode == 0
    assert "It is there, and answers as an SOE site does." in done.stderr


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
async def test_a_login_page_before_the_site_is_no_error(soe_auth: Command) -> None:
    page = http(302, b"", b"Location: https://login.example/")
    async with always_answering(page) as before:
        done = await asyncio.to_thread(
            soe_auth, "init", "--site", str(before), "--client-id", "110", "--yes"
        )
    assert done.returncode == 0
    assert "It answers (HTTP 302), but whether it is an SOE site cannot be told" in done.stderr


@pytest.mark.posix("types at a pseudo-terminal")
def test_what_options_say_is_not_asked(start: Start, site: Sandbox) -> None:
    child = start(
        *("--site", site.url, "--client-id", "110", "--scope", "no_expiry", "--port", "0"),
        *("-p", "mine", "--no-login", "--no-check"),
    )
    code, text = end_of(child)
    assert code == 0
    assert "?" not in text
    assert "A token without end is good for anyone who finds it" in text


@pytest.mark.posix("types at a pseudo-terminal")
def test_it_fits_a_narrow_window(start: Start, site: Sandbox) -> None:
    child = start(columns=40)
    shown = answer(child, *happy(site)[:-1], (SIGN_IN, "n"))
    shown += end_of(child)[1]
    for line in re.sub(r"[^\n]*\[[^\n]*\]: [^\n]*\n", "", shown).replace("\r", "").split("\n"):
        assert len(line) <= 40 or re.search(r"http\S+|^#   |config.toml", line), line


# --- what is known already ---


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_profile_that_is_there_offers_its_values_and_keeps_its_comments(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    config = config_of(soe_auth)
    config.parent.mkdir()
    config.write_text(
        f'# mine\n\n[profile.mine]  # the one\nclient_id = "110"  # old\nsite = "{site.url}"\n'
        'scope = ["private_info", "write_access"]\nport = 8765\n'
    )
    child = start("-p", "mine")
    shown = answer(
        child,
        (SITE, ""),
        (DOMAIN, "1"),
        (CLIENT_ID, "111"),
        (MAY, ""),
        (LASTS, ""),
        (FOR, ""),
        (SIGN_IN, "n"),
    )
    assert end_of(child)[0] == 0
    assert "It asks for private_info as before." in shown
    assert "Profile mine is changed: client_id from 110 to 111." in shown
    assert config.read_text() == (
        f'# mine\n\n[profile.mine]  # the one\nclient_id = "111"  # old\nsite = "{site.url}"\n'
        'scope = ["private_info", "write_access"]\nport = 8765\n'
    )


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_project_of_the_cloud_offers_its_values_and_it_is_told(
    start: Start, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    project = 'site = "acme"\nclient_id = 110\nscope = "write_access"\n'
    (checkout / ".soe-auth.toml").write_text(project)
    child = start("--no-check", cwd=checkout)
    child.expect(r"its URL\) \[acme.stackenterprise.co\]: ")
    child.sendline("")
    child.expect("asks for the client ID 110, the scope write_access. That is the default here,")
    answer(child, (DOMAIN, "1"))
    child.expect(r"Client ID \[110\]: ")


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_site_that_only_a_project_vouches_for_has_to_be_typed(
    start: Start, tmp_path: Path, soe_auth: Command
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    (checkout / ".soe-auth.toml").write_text('site = "https://soe.example"\nclient_id = 110\n')
    child = start("--no-check", cwd=checkout)
    child.expect("names the site https://soe.example, outside")
    child.expect(r"its URL\): ")
    done = soe_auth.within(checkout)("init", "--yes", "--no-check")
    assert done.returncode == 2
    assert "--site is missing" in done.stderr


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_name_that_another_site_has_is_not_offered(start: Start, soe_auth: Command) -> None:
    soe_auth("init", "--site", "other", "--client-id", "1", "--no-check", "-p", "acme")
    child = start(
        "--site", "acme", "--client-id", "110", "--scope", "", "--port", "0", "--no-check"
    )
    child.expect(r"A name for this profile \[acme-2\]: ")


@pytest.mark.posix("types at a pseudo-terminal")
def test_the_variable_of_a_setting_is_its_default_and_is_told_where_it_comes_first(
    start: Start, soe_auth: Command
) -> None:
    child = start("--no-check", SOE_AUTH_SITE="acme", SOE_AUTH_CLIENT_ID="7")
    shown = answer(
        child,
        (SITE, ""),
        (DOMAIN, "1"),
        (r"Client ID \[7\]: ", "8"),
        (MAY, ""),
        (LASTS, ""),
        (FOR, ""),
        (NAME, ""),
        (SIGN_IN, "n"),
    )
    assert end_of(child)[0] == 0
    assert "SOE_AUTH_CLIENT_ID has another client_id; it comes first." in shown
    assert profile_of(soe_auth, "acme")["client_id"] == "8"


# --- unattended ---


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_unattended_it_writes_the_profile_and_hands_out(soe_auth: Command, site: Sandbox) -> None:
    done = soe_auth("init", "--site", site.url, "--client-id", "110")
    assert done.returncode == 0
    assert tomllib.loads(done.stdout) == {"site": site.url, "client_id": "110"}
    assert f"Profile localhost-{site.port} is written" in done.stderr
    again = soe_auth("init", "--site", site.url, "--client-id", "110", "--yes")
    assert f"Profile localhost-{site.port} is as it was." in again.stderr
    assert again.stdout == done.stdout


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "--site is missing"),
        (["--yes"], "--site is missing"),
        (["--site", "acme"], "--client-id is missing"),
        (["--site", "http://acme", "--client-id", "1"], "site (from --site)"),
        (["--site", "acme", "--client-id", "a b"], "client_id (from --client-id)"),
        (["--site", "acme", "--client-id", "1", "-p", "../up"], "cannot be the name of a profile"),
    ],
)
def test_what_is_missing_or_wrong_is_named_by_its_option(
    soe_auth: Command, argv: list[str], told: str
) -> None:
    done = soe_auth("init", "--no-check", *argv)
    assert done.returncode == 2
    assert told in done.stderr
    assert not config_of(soe_auth).exists()


def test_unattended_a_site_that_is_not_there_ends_it(soe_auth: Command) -> None:
    done = soe_auth("init", "--site", "http://localhost:1", "--client-id", "110", "--yes")
    assert done.returncode == 6
    assert "Or add --no-check, and it is not asked." in done.stderr
    assert not config_of(soe_auth).exists()


def test_another_sites_profile_is_never_changed(soe_auth: Command) -> None:
    made = ("--client-id", "1", "--no-check", "-p", "mine")
    assert soe_auth("init", "--site", "acme", *made).returncode == 0
    before = config_of(soe_auth).read_text()
    done = soe_auth("init", "--site", "other", *made)
    assert done.returncode == 2
    assert "Profile mine belongs to another site." in done.stderr
    assert config_of(soe_auth).read_text() == before


@pytest.mark.parametrize(
    ("config", "variables", "argv", "told"),
    [
        ('[profile.bare]\nclient_id = "1"\n', {}, ["-p", "bare"], "--site is missing"),
        (
            "",
            {"SOE_AUTH_SITE": "a b"},
            [],
            "The default of --site will not do: a site has no blanks",
        ),
    ],
)
def test_unattended_a_default_that_will_not_do_is_told(
    soe_auth: Command,
    config: str,
    variables: dict[str, str],
    argv: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config_of(soe_auth).parent.mkdir()
    config_of(soe_auth).write_text(config)
    assert main(["init", "--yes", "--no-check", *argv], {**soe_auth.environ, **variables}) == 2
    assert told in capsys.readouterr().err


def test_unattended_a_login_that_cannot_be_keeps_the_profile_and_hands_out(
    soe_auth: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["init", "--site", "acme", "--client-id", "112", "--redirect", "login_success"]
    assert main([*argv, "--yes", "--no-check", "--login"], soe_auth.environ) == 2
    shown = capsys.readouterr()
    assert "needs a terminal" in shown.err
    assert tomllib.loads(shown.out)["client_id"] == "112"
    assert profile_of(soe_auth, "acme")["redirect"] == "login_success"


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_unattended_it_may_log_in(soe_auth: Command, site: Sandbox) -> None:
    done = soe_auth.with_variables(BROWSER=BROWSER)(
        "init", "--site", site.url, "--client-id", "110", "--yes", "--login"
    )
    assert done.returncode == 0, done.stderr
    assert "Signed in to" in done.stderr
    assert soe_auth("token").returncode == 0


# --- what is handed on ---


@pytest.fixture
def colleague(tmp_path: Path) -> Command:
    home = tmp_path / "colleague"
    home.mkdir()
    return Command(home, {"BROWSER": BROWSER})


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_the_line_for_a_colleague_works(
    soe_auth: Command, colleague: Command, site: Sandbox
) -> None:
    own = ("--site", site.url, "--client-id", "111", "--redirect-host", "127.0.0.1")
    text = soe_auth("init", *own, "--scope", "write_access").stdout
    (line,) = re.findall(r"^#   (soe-auth .*)$", text, re.MULTILINE)
    done = colleague(*shlex.split(line)[1:])
    assert done.returncode == 0, done.stderr
    assert colleague("token").returncode == 0
    assert profile_of(colleague, f"localhost-{site.port}") == profile_of(
        soe_auth, f"localhost-{site.port}"
    )


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_the_printed_text_works_as_a_handout_and_as_a_project_file(
    soe_auth: Command, colleague: Command, site: Sandbox
) -> None:
    text = soe_auth("init", "--site", site.url, "--client-id", "110").stdout
    (colleague.home / ".soe-auth.toml").write_text(text)
    done = colleague("init", "--from", str(colleague.home / ".soe-auth.toml"), "--yes", "--login")
    assert done.returncode == 0, done.stderr
    assert done.stdout == text
    assert colleague("init", "--from", "-", "--yes", stdin=text).returncode == 0
    status = colleague.within(colleague.home)("token")
    assert status.returncode == 0, status.stderr


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_handouts_site_is_agreed_to_first(
    start: Start, soe_auth: Command, site: Sandbox, tmp_path: Path
) -> None:
    shared = tmp_path / "shared.toml"
    shared.write_text(f'site = "{site.url}"\nclient_id = "110"\nprofile = "theirs"\n')
    child = start("--from", str(shared))
    shown = answer(child, (r"Is that your site\? \[y/N\]: ", ""))
    assert f"site  {site.url}\r\n  client_id  110\r\n  profile  theirs\r\n" in shown
    code, text = end_of(child)
    assert code == 2
    assert "was not agreed to, so nothing was written" in text
    assert not config_of(soe_auth).exists()
    child = start("--from", str(shared))
    answer(
        child,
        (r"Is that your site\? \[y/N\]: ", "y"),
        (DOMAIN, "1"),
        (MAY, ""),
        (LASTS, ""),
        (FOR, ""),
    )
    answer(child, (SIGN_IN, "n"))
    assert end_of(child)[0] == 0
    assert profile_of(soe_auth, "theirs")["client_id"] == "110"
    assert "--yes is missing" in soe_auth("init", "--from", str(shared)).stderr


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('client_id = "1"', "client_id needs the site beside it"),
        ('scope = "write_access"', "names no site"),
        ('site = "acme"\nproxy = "http://evil.example"', "a project file may not set proxy"),
        ('site = "acme"\nredirect = "loopback"', "a project file may not set redirect"),
        ('site = "acme"\nclient_id = "a b"', "client_id (from "),
        ('site = "acme"\nscope = "caf\u00e9"', "scope (from "),
        ("site = ", "not valid TOML"),
        ("#" * 300_000, "too large"),
    ],
)
def test_a_handout_is_judged_as_strictly_as_a_project_file(
    tmp_path: Path, soe_auth: Command, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = tmp_path / "shared.toml"
    shared.write_text(text)
    assert main(["init", "--from", str(shared), "--yes", "--no-check"], soe_auth.environ) == 2
    assert told in capsys.readouterr().err
    assert not config_of(soe_auth).exists()


def test_a_handout_that_is_not_there_is_told(
    tmp_path: Path, soe_auth: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--from", str(tmp_path / "none"), "--yes"], soe_auth.environ) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


# --- the page that shows it ---


@pytest.mark.posix("types at a pseudo-terminal")
def test_the_conversation_of_the_page_is_the_true_one(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    (told,) = re.findall(r"```dialogue\n(.*?)```", PAGE_OF_IT.read_text(), re.DOTALL)
    shown, child = "", start()
    for line in told.splitlines():
        if asked := re.fullmatch(r"(.*(?:\]|URL\)): )(\S+)", line):
            child.expect(re.sub(r"\\\[.*\\\]", r"\\[[^]]*\\]", re.escape(asked[1])))
            shown += child.before + child.after
            child.sendline(asked[2].replace("http://localhost:7700", site.url))
    code, text = end_of(child)
    assert code == 0
    shown = (shown + text.partition("# For a colleague")[0]).replace("\r", "")
    # A container says what it is, and recommends; the reader of the page sits at a desktop.
    shown = re.sub(r"\nThis is a.*\n(?=\n)", "", shown)
    shown = shown.replace("Choice [5]", "Choice [1]").replace("browser? [y/N]", "browser? [Y/n]")
    shown = shown.replace(f"localhost:{site.port}", "localhost:7700")
    shown = shown.replace(f"localhost-{site.port}", "localhost-7700")
    shown = shown.replace(str(config_of(soe_auth).parent), "/home/you/.config/soe-auth")
    assert shown == told
