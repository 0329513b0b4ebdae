"""`soe-auth init`: the questions on a real terminal, unattended runs, and what it shares."""

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
SETUP_PAGE = DOCS / "how-to" / "set-up.md"
SITE = r"Which site\? \(acme or its URL\)(?: \[[^]]*\])?: "
ELSEWHERE = rf"(?s)Is your browser on this computer\?.*?{AGAIN}"
DOMAIN = r"Domain of the application \[[^]]*\]: "
PAGE = r"Open that page in your browser\? \[[Yy]/[Nn]\]: "
CLIENT_ID = r"Client ID \[[^]]*\]: "
MAY = rf"(?s)What may the token do\?.*?{AGAIN}"
EXPIRY = rf"(?s)When does the token expire\?.*?{AGAIN}"
FOR = rf"(?s)What is the token for\?.*?{AGAIN}"
NAME = r"Name of this profile \[[^]]*\]: "
SIGN_IN = r"Sign in now\? \[[Yy]/[Nn]\]: "


@pytest.fixture
def start(start: Start, soe_auth: Command) -> Start:
    # Flatpak counts as the desktop, also where the tests run in a container.
    usual = {"cwd": soe_auth.home, "columns": 200, "BROWSER": BROWSER, "container": "flatpak"}
    return lambda *argv, **more: start("init", *argv, **{**usual, **more})


def answer(child: Terminal, *dialogue: tuple[str, str]) -> str:
    """Answer each question when it appears; return the output until then."""
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
    """Return a dialogue that takes every default there is."""
    return [
        (SITE, site.url),
        (PAGE, "n"),
        (DOMAIN, ""),
        (CLIENT_ID, "110"),
        (MAY, ""),
        (EXPIRY, ""),
        (FOR, ""),
        (NAME, ""),
        (SIGN_IN, ""),
    ]


# --- the questions ---


@pytest.mark.posix("types at a pseudo-terminal")
def test_the_dialogue_ends_with_a_token_and_the_next_command(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    child = start()
    shown = answer(child, *happy(site))
    assert "It answers like an SOE site." in shown
    assert f"On {site.url.partition('://')[2]}:" in shown
    assert "  Domain   the first of these that the form accepts:\r\n" in shown
    code, text = end_of(child)
    assert code == 0
    assert "Signed in to" in text
    assert text.endswith(f"Next: `soe-auth token -p localhost-{site.port}`\r\n")
    assert "soe-auth init --site" not in text
    assert "refuses client ID" not in shown
    assert soe_auth("token").returncode == 0
    assert profile_of(soe_auth, f"localhost-{site.port}") == {"site": site.url, "client_id": "110"}
    written = config_of(soe_auth).read_text()
    assert written.startswith("# Settings of soe-auth.")
    assert "#   timeout " in written


@pytest.mark.posix("types at a pseudo-terminal")
def test_every_answer_is_used(start: Start, site: Sandbox, soe_auth: Command) -> None:
    child = start()
    answer(
        child,
        (SITE, f"{site.url}/questions"),
        (PAGE, "n"),
        (DOMAIN, f"localhost:{site.port}"),
        (CLIENT_ID, "112"),
        (MAY, "2"),
        (EXPIRY, "2"),
        (FOR, "2"),
        (NAME, "mine"),
        (SIGN_IN, "n"),
    )
    code, text = end_of(child)
    assert code == 0
    assert text.endswith("Next: `soe-auth login -p mine`\r\n")
    assert profile_of(soe_auth, "mine") == {
        "site": site.url,
        "client_id": "112",
        "scope": "access_team,no_expiry,write_access",
        "redirect": "login_success",
    }


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_wrong_answer_is_explained_and_asked_again(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    other = soe_auth("init", "--site", "acme", "--client-id", "1", "--no-check", "-p", "taken")
    assert other.returncode == 0
    child = start()
    shown = answer(
        child,
        (SITE, ""),
        (SITE, "http://soe.example"),
        (SITE, site.url),
        (PAGE, "perhaps"),
        (PAGE, "n"),
        (DOMAIN, "192.0.2.7"),
        (DOMAIN, "Login.corp.example"),
        (CLIENT_ID, "one hundred"),
        (CLIENT_ID, "110"),
        (DOMAIN, ""),  # the site refuses them; Enter keeps them
        (CLIENT_ID, ""),
        (MAY, "all"),
        (AGAIN, "read"),
        (EXPIRY, "0"),
        (AGAIN, "1"),
        (FOR, ""),
        (NAME, "../up"),
        (NAME, "taken"),
        (NAME, "free"),
        (SIGN_IN, "n"),
    )
    code, text = end_of(child)
    assert code == 0
    assert "Next: compare client ID and Domain with the site's page, then `soe-auth login" in text
    for words in (
        "An answer is required.",
        "http is for a loopback host only",
        "write a number from 1 to 2",
        "write y or n",
        "a client ID is the number",
        "write letters, digits",
        "that profile belongs to another site",
        "valid values are localhost, 127.0.0.1 and a host name",
        "refuses client ID 110 with the Domain login.corp.example",
    ):
        assert words in shown
    assert profile_of(soe_auth, "free")["redirect_host"] == "login.corp.example"
    assert profile_of(soe_auth, "free")["client_id"] == "110"
    assert profile_of(soe_auth, "taken")["client_id"] == "1"


def test_unattended_a_refusal_is_in_the_next_step(soe_auth: Command, site: Sandbox) -> None:
    words = ("--client-id", "110", "--redirect-host", "login.corp.example", "--yes", "-p", "mine")
    done = soe_auth("init", "--site", site.url, *words)
    assert done.returncode == 0
    assert done.stderr.endswith(
        "Next: compare client ID and Domain with the site's page, then `soe-auth login -p mine`\n"
    )


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
def test_ctrl_c_at_any_question_writes_nothing(
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
def test_ctrl_d_at_any_question_writes_nothing_and_says_so(
    start: Start, site: Sandbox, soe_auth: Command, stop: int
) -> None:
    child, dialogue = start(), happy(site)
    answer(child, *dialogue[:stop])
    child.expect(dialogue[stop][0])
    child.sendeof()
    code, text = end_of(child)
    assert code == 2
    assert text.startswith("\r\n")
    assert "The input ended, so nothing was written." in text
    assert not config_of(soe_auth).exists()


@pytest.mark.posix("types at a pseudo-terminal")
def test_ctrl_d_at_the_last_question_is_a_no(start: Start, site: Sandbox) -> None:
    child, dialogue = start(), happy(site)
    answer(child, *dialogue[:-1])
    child.expect(SIGN_IN)
    child.sendeof()
    code, text = end_of(child)
    assert code == 0
    assert "Next: `soe-auth login -p" in text


@pytest.mark.posix("types at a pseudo-terminal")
def test_the_site_is_opened_on_request(start: Start, site: Sandbox, tmp_path: Path) -> None:
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
def test_a_browser_that_cannot_start_is_not_offered(start: Start, site: Sandbox) -> None:
    child = start(BROWSER="")
    assert "Open that page" not in answer(child, (SITE, site.url), (DOMAIN, ""))


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_failed_login_comes_after_the_shared_text(start: Start, site: Sandbox) -> None:
    child = start("--share", SOE_AUTH_TIMEOUT="1s", BROWSER="")
    dialogue = [line for line in happy(site) if line[0] != PAGE]
    shown = answer(child, *dialogue)
    code, text = end_of(child)
    assert code == 4
    assert "soe-auth init --site" in shown + text
    assert "Next:" not in text
    assert "timed out after 1 s" in text


@pytest.mark.posix("types at a pseudo-terminal")
def test_in_an_ssh_session_the_site_s_own_page_is_the_default(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    child = start(SSH_CONNECTION="192.0.2.1 1 192.0.2.2 22")
    shown = answer(child, (SITE, site.url), (ELSEWHERE, ""), (PAGE, "n"), (CLIENT_ID, "112"))
    assert "This is an SSH session." in shown
    assert f"  Domain   localhost:{site.port}\r\n" in shown
    assert "Domain of the application" not in shown
    shown = answer(child, *happy(site)[4:-1], (SIGN_IN, "n"))
    assert end_of(child)[0] == 0
    assert profile_of(soe_auth, f"localhost-{site.port}")["redirect"] == "login_success"


@pytest.mark.posix("types at a pseudo-terminal")
def test_in_an_ssh_session_the_browser_may_be_on_this_computer(start: Start, site: Sandbox) -> None:
    child = start(SSH_CONNECTION="192.0.2.1 1 192.0.2.2 22")
    shown = answer(child, (SITE, site.url), (ELSEWHERE, "Y"), (PAGE, "n"), (DOMAIN, ""))
    assert "Domain of the application [localhost]: " in shown


@pytest.mark.posix("types at a pseudo-terminal")
def test_with_forwarded_ports_the_browser_is_not_asked_about(start: Start, site: Sandbox) -> None:
    child = start("--no-browser", REMOTE_CONTAINERS="1", CI="")
    shown = answer(child, (SITE, site.url), (DOMAIN, ""))
    assert "Is your browser" not in shown
    child.expect(CLIENT_ID)
    assert "Open that page" not in shown + child.before


@pytest.mark.posix("types at a pseudo-terminal")
def test_without_a_client_id_the_text_for_an_administrator_is_printed(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    child = start()
    answer(child, *happy(site)[:3], (CLIENT_ID, ""), (MAY, "2"))
    code, text = end_of(child)
    assert code == 2
    assert "#   Domain   localhost\r\n" in text
    assert "#   Status   Read-write" in text
    assert "Scope of the tokens: write_access." in text
    assert f"soe-auth init --site {site.url} --client-id ID" in text
    assert not config_of(soe_auth).exists()


@pytest.mark.posix("types at a pseudo-terminal")
def test_an_unreachable_site_may_be_retyped_or_used_anyway(start: Start, soe_auth: Command) -> None:
    child = start()
    shown = answer(
        child,
        (SITE, "http://localhost:1"),
        (r"Use it anyway\? \[y/N\]: ", ""),
        (SITE, "http://localhost:2"),
        (r"Use it anyway\? \[y/N\]: ", "y"),
        (PAGE, "n"),
        (DOMAIN, ""),
        (CLIENT_ID, "7"),
        (MAY, ""),
        (EXPIRY, ""),
        (FOR, ""),
        (NAME, ""),
        (SIGN_IN, "n"),
    )
    assert end_of(child)[0] == 0
    assert "Cannot reach localhost:1: Connection refused." in shown
    assert profile_of(soe_auth, "localhost-2")["site"] == "http://localhost:2"


@pytest.mark.posix("types at a pseudo-terminal")
def test_an_unreachable_site_of_the_command_line_may_be_given_up(start: Start) -> None:
    child = start("--site", "http://localhost:1")
    answer(child, (r"Use it anyway\? \[y/N\]: ", "n"))
    code, text = end_of(child)
    assert code == 6
    assert "Cannot reach" in text


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("headers", [(), (b"Content-Type: text/plain",)], ids=["bare", "plain"])
async def test_an_api_that_refuses_is_an_soe_whatever_its_content_type(
    soe_auth: Command, status: int, headers: tuple[bytes, ...]
) -> None:
    async with always_answering(http(status, b"Invalid access token", *headers)) as site:
        done = await asyncio.to_thread(
            soe_auth, "init", "--site", str(site), "--client-id", "110", "--yes"
        )
    assert done.returncode == 0
    assert "It answers like an SOE site." in done.stderr


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
async def test_a_login_page_before_the_site_is_no_error(soe_auth: Command) -> None:
    page = http(302, b"", b"Location: https://login.example/")
    async with always_answering(page) as before:
        done = await asyncio.to_thread(
            soe_auth, "init", "--site", str(before), "--client-id", "110", "--yes"
        )
    assert done.returncode == 0
    assert "It answers (HTTP 302), but not like an SOE site." in done.stderr


@pytest.mark.posix("types at a pseudo-terminal")
def test_given_options_are_not_asked_about(start: Start, site: Sandbox) -> None:
    child = start(
        *("--site", site.url, "--client-id", "110", "--scope", "no_expiry", "--port", "0"),
        *("-p", "mine", "--no-login", "--no-check"),
    )
    code, text = end_of(child)
    assert code == 0
    assert "?" not in text
    assert "Anyone who finds such a token can use it" in text


@pytest.mark.posix("types at a pseudo-terminal")
def test_it_fits_a_narrow_window(start: Start, site: Sandbox) -> None:
    child = start(columns=40)
    shown = answer(child, *happy(site)[:-1], (SIGN_IN, "n"))
    shown += end_of(child)[1]
    for line in re.sub(r"[^\n]*\[[^\n]*\]: [^\n]*\n", "", shown).replace("\r", "").split("\n"):
        assert len(line) <= 40 or re.search(r"http\S+|config.toml|^Next: ", line), line


# --- defaults ---


@pytest.mark.posix("types at a pseudo-terminal")
def test_an_existing_profile_supplies_the_defaults_and_keeps_its_comments(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    config = config_of(soe_auth)
    config.parent.mkdir()
    config.write_text(
        f'# mine\n\n[profile.mine]  # the one\nclient_id = "111"  # old\nsite = "{site.url}"\n'
        'scope = ["private_info", "write_access"]\nport = 8765\n'
    )
    child = start("-p", "mine")
    shown = answer(
        child,
        (SITE, ""),
        (DOMAIN, ""),
        (CLIENT_ID, ""),
        (DOMAIN, ""),  # the site refuses client ID 111 with this one
        (CLIENT_ID, "110"),
        (MAY, ""),
        (EXPIRY, ""),
        (FOR, ""),
        (SIGN_IN, "n"),
    )
    assert end_of(child)[0] == 0
    assert shown.count("refuses client ID") == 1
    assert "Other scopes are kept: private_info." in shown
    assert "Changed profile mine: client_id from 111 to 110." in shown
    assert config.read_text() == (
        f'# mine\n\n[profile.mine]  # the one\nclient_id = "110"  # old\nsite = "{site.url}"\n'
        'scope = ["private_info", "write_access"]\nport = 8765\n'
    )


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_project_file_in_the_cloud_supplies_the_defaults(start: Start, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    project = 'site = "acme"\nclient_id = 110\nscope = "write_access"\n'
    (checkout / ".soe-auth.toml").write_text(project)
    child = start("--no-check", cwd=checkout)
    child.expect(r"its URL\) \[acme.stackenterprise.co\]: ")
    child.sendline("")
    child.expect("requests the client ID 110, the scope write_access. That is the default here,")
    answer(child, (DOMAIN, ""))
    child.expect(r"Client ID \[110\]: ")


@pytest.mark.posix("types at a pseudo-terminal")
def test_an_untrusted_site_of_a_project_file_must_be_typed(
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
    assert "Cannot ask for --site: " in done.stderr


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_name_of_another_site_is_not_the_default(start: Start, soe_auth: Command) -> None:
    soe_auth("init", "--site", "other", "--client-id", "1", "--no-check", "-p", "acme")
    child = start(
        "--site", "acme", "--client-id", "110", "--scope", "", "--port", "0", "--no-check"
    )
    child.expect(r"Name of this profile \[acme-2\]: ")


@pytest.mark.posix("types at a pseudo-terminal")
def test_a_variable_is_the_default_and_is_named_where_it_overrides(
    start: Start, soe_auth: Command
) -> None:
    child = start("--no-check", SOE_AUTH_SITE="acme", SOE_AUTH_CLIENT_ID="7")
    shown = answer(
        child,
        (SITE, ""),
        (DOMAIN, ""),
        (r"Client ID \[7\]: ", "8"),
        (MAY, ""),
        (EXPIRY, ""),
        (FOR, ""),
        (NAME, ""),
        (SIGN_IN, "n"),
    )
    assert end_of(child)[0] == 0
    assert "SOE_AUTH_CLIENT_ID overrides client_id." in shown
    assert profile_of(soe_auth, "acme")["client_id"] == "8"


# --- unattended ---


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_unattended_it_writes_the_profile_and_shares_on_request(
    soe_auth: Command, site: Sandbox
) -> None:
    done = soe_auth("init", "--site", site.url, "--client-id", "110")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"Saved profile localhost-{site.port}: " in done.stderr
    again = soe_auth("init", "--site", site.url, "--client-id", "110", "--yes", "--share")
    assert f"Profile localhost-{site.port} is unchanged." in again.stderr
    assert tomllib.loads(again.stdout) == {"site": site.url, "client_id": "110"}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "Cannot ask for --site: "),
        (["--yes"], "Cannot ask for --site: "),
        (["--site", "acme"], "Cannot ask for --client-id: "),
        (["--site", "http://acme", "--client-id", "1"], "Cannot read site from --site"),
        (["--site", "acme", "--client-id", "a b"], "Cannot read client_id from --client-id"),
        (["--site", "acme", "--client-id", "1", "-p", "../up"], "Cannot use profile name"),
    ],
)
def test_a_missing_or_wrong_value_is_named_by_its_option(
    soe_auth: Command, argv: list[str], words: str
) -> None:
    done = soe_auth("init", "--no-check", *argv)
    assert done.returncode == 2
    assert words in done.stderr
    assert not config_of(soe_auth).exists()


def test_unattended_an_unreachable_site_is_an_error(soe_auth: Command) -> None:
    done = soe_auth("init", "--site", "http://localhost:1", "--client-id", "110", "--yes")
    assert done.returncode == 6
    assert "Or add --no-check to skip this." in done.stderr
    assert not config_of(soe_auth).exists()


def test_a_profile_of_another_site_is_never_changed(soe_auth: Command) -> None:
    made = ("--client-id", "1", "--no-check", "-p", "mine")
    assert soe_auth("init", "--site", "acme", *made).returncode == 0
    before = config_of(soe_auth).read_text()
    done = soe_auth("init", "--site", "other", *made)
    assert done.returncode == 2
    assert "Profile mine belongs to another site." in done.stderr
    assert config_of(soe_auth).read_text() == before


@pytest.mark.parametrize(
    ("config", "variables", "argv", "words"),
    [
        ('[profile.bare]\nclient_id = "1"\n', {}, ["-p", "bare"], "Cannot ask for --site: "),
        (
            "",
            {"SOE_AUTH_SITE": "a b"},
            [],
            "Cannot use the default of --site: a site has no spaces",
        ),
    ],
)
def test_unattended_a_wrong_default_is_explained(
    soe_auth: Command,
    config: str,
    variables: dict[str, str],
    argv: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config_of(soe_auth).parent.mkdir()
    config_of(soe_auth).write_text(config)
    assert main(["init", "--yes", "--no-check", *argv], {**soe_auth.environ, **variables}) == 2
    assert words in capsys.readouterr().err


def test_unattended_a_failed_login_keeps_the_profile_and_shares(
    soe_auth: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["init", "--site", "acme", "--client-id", "112", "--redirect", "login_success"]
    assert main([*argv, "--yes", "--no-check", "--login", "--share"], soe_auth.environ) == 2
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


# --- sharing ---


@pytest.fixture
def colleague(tmp_path: Path) -> Command:
    home = tmp_path / "colleague"
    home.mkdir()
    return Command(home, {"BROWSER": BROWSER})


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_the_command_for_a_colleague_works(
    soe_auth: Command, colleague: Command, site: Sandbox
) -> None:
    own = ("--site", site.url, "--client-id", "111", "--redirect-host", "127.0.0.1")
    text = soe_auth("init", *own, "--scope", "write_access", "--share").stdout
    (line,) = re.findall(r"^#   (soe-auth .*)$", text, re.MULTILINE)
    done = colleague(*shlex.split(line)[1:])
    assert done.returncode == 0, done.stderr
    assert colleague("token").returncode == 0
    assert profile_of(colleague, f"localhost-{site.port}") == profile_of(
        soe_auth, f"localhost-{site.port}"
    )


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_the_shared_text_works_with_from_and_as_a_project_file(
    soe_auth: Command, colleague: Command, site: Sandbox
) -> None:
    text = soe_auth("init", "--share", "--site", site.url, "--client-id", "110").stdout
    (colleague.home / ".soe-auth.toml").write_text(text)
    shared = str(colleague.home / ".soe-auth.toml")
    done = colleague("init", "--from", shared, "--yes", "--login", "--share")
    assert done.returncode == 0, done.stderr
    assert done.stdout == text
    assert colleague("init", "--from", "-", "--yes", stdin=text).returncode == 0
    status = colleague.within(colleague.home)("token")
    assert status.returncode == 0, status.stderr


@pytest.mark.posix("types at a pseudo-terminal")
def test_the_site_of_a_shared_file_needs_consent(
    start: Start, soe_auth: Command, site: Sandbox, tmp_path: Path
) -> None:
    shared = tmp_path / "shared.toml"
    shared.write_text(f'site = "{site.url}"\nclient_id = "110"\nprofile = "theirs"\n')
    child = start("--from", str(shared))
    shown = answer(child, (r"Is that your site\? \[y/N\]: ", ""))
    assert f"site  {site.url}\r\n  client_id  110\r\n  profile  theirs\r\n" in shown
    code, text = end_of(child)
    assert code == 2
    assert f"You did not agree to {site.url}, so nothing was written." in text
    assert not config_of(soe_auth).exists()
    child = start("--from", str(shared))
    answer(
        child,
        (r"Is that your site\? \[y/N\]: ", "y"),
        (DOMAIN, ""),
        (MAY, ""),
        (EXPIRY, ""),
        (FOR, ""),
    )
    answer(child, (SIGN_IN, "n"))
    assert end_of(child)[0] == 0
    assert profile_of(soe_auth, "theirs")["client_id"] == "110"
    assert "Cannot ask whether that is your site" in soe_auth("init", "--from", str(shared)).stderr


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('client_id = "1"', "client_id needs a site in the same file"),
        ('scope = "write_access"', "names no site"),
        ('site = "acme"\nproxy = "http://evil.example"', "a project file may not set proxy"),
        ('site = "acme"\nredirect = "loopback"', "a project file may not set redirect"),
        ('site = "acme"\nclient_id = "a b"', "Cannot read client_id from "),
        ('site = "acme"\nscope = "caf\u00e9"', "Cannot read scope from "),
        ("site = ", "not valid TOML"),
        ("#" * 300_000, "too large"),
    ],
)
def test_a_shared_file_is_checked_like_a_project_file(
    tmp_path: Path, soe_auth: Command, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = tmp_path / "shared.toml"
    shared.write_text(text)
    assert main(["init", "--from", str(shared), "--yes", "--no-check"], soe_auth.environ) == 2
    assert words in capsys.readouterr().err
    assert not config_of(soe_auth).exists()


def test_a_missing_shared_file_is_an_error(
    tmp_path: Path, soe_auth: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--from", str(tmp_path / "none"), "--yes"], soe_auth.environ) == 2
    assert "none: No such file" in capsys.readouterr().err


# --- the documentation ---


@pytest.mark.posix("types at a pseudo-terminal")
def test_the_dialogue_in_the_documentation_is_real(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    (documented,) = re.findall(r"```dialogue\n(.*?)```", SETUP_PAGE.read_text(), re.DOTALL)
    shown, child = "", start()
    for line in documented.splitlines():
        if asked := re.fullmatch(r"(.*(?:\]|URL\)): )(\S+)", line):
            child.expect(re.sub(r"\\\[.*\\\]", r"\\[[^]]*\\]", re.escape(asked[1])))
            shown += child.before + child.after
            child.sendline(asked[2].replace("http://localhost:7700", site.url))
    code, text = end_of(child)
    assert code == 0
    shown = (shown + text).replace("\r", "")
    shown = shown.replace(f"localhost:{site.port}", "localhost:7700")
    shown = shown.replace(f"localhost-{site.port}", "localhost-7700")
    shown = shown.replace(str(config_of(soe_auth).parent), "/home/you/.config/soe-auth")
    assert shown == documented
