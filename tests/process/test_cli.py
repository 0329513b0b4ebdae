"""The installed command as a process, used as users and scripts use it."""

import asyncio
import gzip
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import zipapp
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
from conftest import BROWSER, TOKEN, Command, unmeasured
from wine import UNDER_WINE

from soe_auth import Secret, Site, __main__
from soe_auth.cli.commands.pkce import draw_pair
from soe_auth.cli.main import COMMANDS, WITHOUT_PROFILE, main
from soe_auth.cli.terminal_paste import pasted_lines
from soe_auth.oauth.authorization_request import challenge_of, draw_secret
from soe_auth.sandbox import Quirks, Sandbox, running
from soe_auth.sandbox.scripted_browser import visit
from soe_auth.storage.file_store import FileStore
from soe_auth.version import __version__

pytestmark = pytest.mark.process


def stderr_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return stderr, which must have no traceback."""
    assert "Traceback" not in done.stderr
    return done.stderr


# --- login, token, status, logout ---


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_after_a_login_token_prints_the_stored_token(signed_in: Command, site: Sandbox) -> None:
    token = signed_in("token")
    assert token.returncode == 0
    assert token.stderr == ""
    assert token.stdout.endswith("\n")
    [line] = token.stdout.splitlines()
    stored = signed_in.home / "config" / "tokens" / f"localhost-{site.port}.json"
    assert json.loads(stored.read_text())["access_token"] == line
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600


def test_the_token_is_valid_on_both_apis(signed_in: Command, site: Sandbox) -> None:
    token = signed_in("token").stdout.strip()
    v3 = answer_of(f"{site.url}/api/v3/users/me", {"Authorization": f"Bearer {token}"})
    assert v3["name"] == "Jane Doe"
    v2 = answer_of(f"{site.url}/api/2.3/me", {"X-API-Access-Token": token})
    assert v2["items"][0]["display_name"] == "Jane Doe"


def answer_of(url: str, headers: dict[str, str]) -> Any:
    with urlopen(Request(url, headers=headers)) as response:  # noqa: S310  # our own loopback
        body = response.read()
        compressed = response.headers["Content-Encoding"] == "gzip"  # as API v2.3 always does
        return json.loads(gzip.decompress(body) if compressed else body)


def test_the_second_login_needs_no_flags(signed_in: Command) -> None:
    again = signed_in("login", "--browser", BROWSER)
    assert again.returncode == 0
    assert again.stdout == ""
    assert "Signed in to localhost" in stderr_of(again)
    assert "Saved" not in stderr_of(again)


def test_login_json_names_the_account_and_no_secret(signed_in: Command) -> None:
    done = signed_in("login", "--browser", BROWSER, "--json", "-q")
    report = json.loads(done.stdout)
    assert report["version"] == 1
    assert report["account"] == "Jane Doe"
    assert 86000 < report["seconds_left"] <= 86400
    assert signed_in("token").stdout.strip() not in done.stdout + done.stderr
    assert done.stderr == ""


def test_login_if_needed_opens_no_browser_while_the_token_is_valid(signed_in: Command) -> None:
    idle = signed_in("login", "--if-needed", "--browser", "/does/not/exist")
    assert (idle.returncode, idle.stdout) == (0, "")
    assert stderr_of(idle).startswith("Already signed in to localhost")


def test_login_if_needed_does_nothing_if_the_variable_has_a_token(soe_auth: Command) -> None:
    job = soe_auth.with_variables(SOE_AUTH_TOKEN="canary(1)*")
    idle = job("login", "--if-needed", "--browser", "/does/not/exist")
    assert (idle.returncode, idle.stdout) == (0, "")
    assert stderr_of(idle) == (
        "SOE_AUTH_TOKEN is set: `soe-auth token` prints that token; no login needed.\n"
    )
    report = json.loads(job("login", "--if-needed", "--json").stdout)
    assert report["profile"] is None
    assert "access_token" not in report
    wrong = soe_auth.with_variables(SOE_AUTH_TOKEN="two words")("login", "--if-needed")
    assert wrong.returncode == 2
    assert "SOE_AUTH_TOKEN" in stderr_of(wrong)


def test_the_path_of_a_site_is_ignored_with_a_message(soe_auth: Command, site: Sandbox) -> None:
    url = f"{site.url}/c/team"
    done = soe_auth("login", "--site", url, "--client-id", "110", "--browser", BROWSER)
    assert done.returncode == 0
    assert "“c/team” is ignored" in stderr_of(done)


def test_login_without_a_client_id_explains_the_registration(soe_auth: Command) -> None:
    done = soe_auth("login", "--site", "acme")
    assert done.returncode == 2
    for words in (
        "https://acme.stackenterprise.co",
        "Settings, API applications",
        "Domain   the first of these that the form accepts:\n                  localhost\n",
        "soe-auth login --site acme.stackenterprise.co --client-id 110",
        "No client ID is set",
    ):
        assert words in stderr_of(done)
    own = soe_auth("login", "--site", "http://localhost:1", "--redirect", "login_success")
    for words in (
        "Open http://localhost:1",
        "Domain   localhost:1",
        "--site http://localhost:1 --client-id 110 --redirect login_success",
    ):
        assert words in stderr_of(own)


def test_login_without_settings_says_what_to_type(soe_auth: Command) -> None:
    done = soe_auth("login")
    assert done.returncode == 2
    assert stderr_of(done).splitlines() == [
        "soe-auth: No site is set, and there is no profile yet.",
        (
            "  Type `soe-auth login --site NAME.stackenterprise.co --client-id ID`, or"
            " `soe-auth init`, which asks for both."
        ),
    ]


def test_a_denied_login_is_exit_4(signed_in: Command) -> None:
    done = signed_in("login", "--scope", "write_access", "--browser", f"{BROWSER} --refuse")
    assert done.returncode == 4
    assert "You chose Cancel on the site" in stderr_of(done)


def test_a_time_out_is_exit_4(signed_in: Command) -> None:
    done = signed_in("login", "--no-browser", "--timeout", "1s")
    assert done.returncode == 4
    assert "timed out after 1 s" in stderr_of(done)
    assert "/oauth?client_id=110" in stderr_of(done)


def test_a_quiet_login_still_prints_the_address_to_open(signed_in: Command) -> None:
    done = signed_in("login", "-q", "--no-browser", "--timeout", "1s")
    assert "/oauth?client_id=110" in stderr_of(done)


def test_an_invalid_token_response_is_exit_5(signed_in: Command, site: Sandbox) -> None:
    site.quirks = Quirks(token="html-error")
    done = signed_in("login", "--browser", BROWSER)
    assert done.returncode == 5
    assert "HTTP 400 with a web page" in stderr_of(done)


def test_a_closed_connection_is_exit_6(signed_in: Command, site: Sandbox) -> None:
    site.quirks = Quirks(token="drop")
    done = signed_in("login", "--browser", BROWSER)
    assert done.returncode == 6
    assert "closed the connection" in stderr_of(done)


def test_an_unreadable_store_is_exit_7(signed_in: Command, site: Sandbox) -> None:
    stored = signed_in.home / "config" / "tokens" / f"localhost-{site.port}.json"
    stored.unlink()
    stored.mkdir()
    done = signed_in("token")
    assert done.returncode == 7
    assert "Cannot read" in stderr_of(done)


def test_a_failed_login_keeps_the_stored_token(signed_in: Command, site: Sandbox) -> None:
    before = signed_in("token").stdout
    site.quirks = Quirks(token="vendor-refusal")
    assert signed_in("login", "--browser", BROWSER).returncode == 5
    assert signed_in("token").stdout == before


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_without_a_valid_token_it_is_exit_3_and_one_line_with_the_command(
    soe_auth: Command, signed_in: Command, site: Sandbox
) -> None:
    for done, typed in (
        (
            soe_auth.with_variables(SOE_AUTH_CONFIG_DIR=str(soe_auth.home / "none"))("token"),
            "soe-auth init",
        ),
        (
            signed_in.with_variables(SOE_AUTH_SCOPE="no_expiry")("token"),
            f"soe-auth login --site {site.url} --client-id 110",
        ),
    ):
        assert (done.returncode, done.stdout) == (3, "")
        [line] = stderr_of(done).splitlines()
        assert typed in line
    too_short = signed_in("token", "--min-ttl", "25h")
    assert (too_short.returncode, too_short.stdout) == (3, "")
    [line] = stderr_of(too_short).splitlines()  # a login would not help
    assert "expire after 24 h, but min_ttl is 25 h: use `--min-ttl 16h`" in line


def test_an_expired_token_is_exit_3(soe_auth: Command) -> None:
    with running(strict=True, lifetime=30) as site:
        soe_auth("login", "--site", site.url, "--client-id", "110", "--browser", BROWSER)
        done = soe_auth("token")
        assert done.returncode == 3
        assert "less than min_ttl (60 s)" in stderr_of(done)
        assert soe_auth("token", "--min-ttl", "0").returncode == 0


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_token_login_signs_in_if_needed_and_prints_the_token_only(
    signed_in: Command, site: Sandbox
) -> None:
    assert signed_in("logout").returncode == 0
    with_browser = signed_in.with_variables(BROWSER=BROWSER)
    first = with_browser("token", "--login")
    assert first.returncode == 0
    assert len(first.stdout.splitlines()) == 1
    assert with_browser("token", "--login").stdout == first.stdout
    assert len(site.exchanges) == 2


def test_the_variable_takes_precedence_over_the_store(soe_auth: Command) -> None:
    done = soe_auth.with_variables(SOE_AUTH_TOKEN="from(ci)*")("token", "--min-ttl", "10m")
    assert (done.returncode, done.stdout, done.stderr) == (0, "from(ci)*\n", "")
    bad = soe_auth.with_variables(SOE_AUTH_TOKEN="canary canary")("token")
    assert bad.returncode == 2
    assert "SOE_AUTH_TOKEN" in stderr_of(bad)
    assert "canary" not in stderr_of(bad)


@pytest.fixture(params=["full", "gone"])
def broken_stderr(request: pytest.FixtureRequest) -> Iterator[int]:
    """A stderr that cannot be written: a full disk, or a closed pipe."""
    if request.param == "full":
        end = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, end = os.pipe()
        os.close(reader)
    yield end
    os.close(end)


def run_with_stderr(soe_auth: Command, stderr: int, *argv: str) -> tuple[int, bytes]:
    done = subprocess.run(
        [soe_auth.path, *argv],
        env=soe_auth.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=40,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_a_login_succeeds_if_stderr_cannot_be_written(
    soe_auth: Command, site: Sandbox, broken_stderr: int
) -> None:
    login = ("login", "-v", "--site", site.url, "--client-id", "110", "--browser", BROWSER)
    assert run_with_stderr(soe_auth, broken_stderr, *login) == (0, b"")
    code, token = run_with_stderr(soe_auth, broken_stderr, "token", "-v")
    assert (code, soe_auth("token").stdout) == (0, token.decode())


@pytest.mark.parametrize(("argv", "code"), [([], 2), (["tokn"], 2), (["token"], 3)])
def test_the_exit_code_is_the_same_if_stderr_cannot_be_written(
    soe_auth: Command, broken_stderr: int, argv: list[str], code: int
) -> None:
    assert run_with_stderr(soe_auth, broken_stderr, *argv) == (code, b"")


def test_status_shows_every_profile(signed_in: Command, site: Sandbox) -> None:
    config = signed_in.home / "config" / "config.toml"
    config.write_text(config.read_text() + '\n[profile.acme]\nsite = "acme"\nclient_id = "9"\n')
    done = signed_in.with_variables(SOE_AUTH_TOKEN="x")("status")
    assert done.returncode == 0
    acme, sandbox = done.stdout.split("\n\n")
    assert acme.splitlines() == [
        "acme",
        "  site     https://acme.stackenterprise.co",
        "  token    none; type `soe-auth login -p acme`",
    ]
    lines = sandbox.splitlines()
    assert lines[:4] == [
        f"localhost-{site.port} (default here)",
        f"  site     {site.url}",
        "  account  Jane Doe",
        "  scope    read only",
    ]
    assert lines[4].startswith("  token    valid until ")
    assert "SOE_AUTH_TOKEN is set" in stderr_of(done)


def test_status_json_has_no_secret(signed_in: Command, site: Sandbox) -> None:
    config = signed_in.home / "config" / "config.toml"
    config.write_text(config.read_text() + '\n[profile.acme]\nsite = "acme"\n[profile.x]\n')
    done = signed_in("status", "--json")
    report = json.loads(done.stdout)
    acme, sandbox, nothing = report["profiles"]
    assert acme == {
        "profile": "acme",
        "site": "https://acme.stackenterprise.co",
        "token": None,
    }
    assert nothing["site"] is None
    assert sandbox["site"] == site.url
    assert sandbox["problem"] is None
    assert signed_in("token").stdout.strip() not in done.stdout


def test_status_says_why_a_token_is_invalid_for_its_profile(
    signed_in: Command, site: Sandbox
) -> None:
    config = signed_in.home / "config" / "config.toml"
    config.write_text(config.read_text() + 'scope = "no_expiry"\n')
    done = signed_in("status", "-p", f"localhost-{site.port}")
    assert "is for another site, client ID or scope; type" in done.stdout


def test_status_shows_a_token_without_a_profile(soe_auth: Command, site: Sandbox) -> None:
    by_variables = soe_auth.with_variables(SOE_AUTH_SITE=site.url, SOE_AUTH_CLIENT_ID="110")
    assert by_variables("login", "--browser", BROWSER).returncode == 0
    assert "valid until" in soe_auth("status").stdout


def test_status_without_a_profile_is_exit_3(soe_auth: Command) -> None:
    done = soe_auth("status")
    assert done.returncode == 3
    assert "No profile yet" in stderr_of(done)


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({}, 3),
        ({"SOE_AUTH_SITE": "acme"}, 2),
        ({"SOE_AUTH_SITE": "a", "SOE_AUTH_CLIENT_ID": "1"}, 3),
    ],
)
def test_in_a_ci_job_the_error_names_the_token_variable(
    variables: dict[str, str], code: int, soe_auth: Command
) -> None:
    job = soe_auth.with_variables(**variables, GITHUB_ACTIONS="true")
    for words in (["token"], ["run", "--", "true"]):
        done = job(*words)
        assert done.returncode == code
        line = stderr_of(done).splitlines()[-1]
        assert line.endswith(
            " This is a CI job (GitHub Actions): give it a token in SOE_AUTH_TOKEN."
        )


def test_logout_revokes_the_token_and_deletes_it(signed_in: Command) -> None:
    done = signed_in("logout")
    assert done.returncode == 0
    assert "deleted from this machine" in stderr_of(done)
    assert "has revoked it" in stderr_of(done)
    assert signed_in("token").returncode == 3
    again = signed_in("logout")
    assert again.returncode == 0
    assert "nothing to delete" in stderr_of(again)


@pytest.mark.parametrize(
    ("quirk", "code", "words"),
    [("not-offered", 5, "does not offer"), ("server-error", 5, "Cannot read the response")],
)
def test_a_token_that_is_not_revoked_stays_until_a_local_logout(
    signed_in: Command, site: Sandbox, quirk: str, code: int, words: str
) -> None:
    site.quirks = Quirks(invalidate=quirk)
    done = signed_in("logout")
    assert done.returncode == code
    assert words in stderr_of(done)
    assert "The token stays here" in stderr_of(done)
    assert signed_in("token").returncode == 0
    site.quirks = Quirks()
    assert signed_in("logout").returncode == 0
    assert signed_in("token").returncode == 3


def test_logout_of_an_unreachable_site_keeps_the_token_unless_it_is_local(
    soe_auth: Command,
) -> None:
    with running(strict=True) as site:
        soe_auth("login", "--site", site.url, "--client-id", "110", "--browser", BROWSER)
    done = soe_auth("logout")
    assert done.returncode == 6
    assert "the token may still be valid there" in stderr_of(done)
    assert soe_auth("token").returncode == 0
    assert soe_auth("logout", "--local").returncode == 0
    assert soe_auth("token").returncode == 3


@pytest.mark.parametrize(
    "words",
    ["logout -p", "token -p", "run --profile= -- true", "config set port 0 -p", "config list -p"],
)
def test_an_empty_profile_name_is_an_error_and_not_the_default_profile(
    signed_in: Command, words: str
) -> None:
    argv = words.split()
    done = signed_in(*argv, *([""] if argv[-1] == "-p" else []))
    assert (done.returncode, done.stdout) == (2, "")
    assert "Cannot use profile name ''" in stderr_of(done)
    assert signed_in("token").returncode == 0


def test_logout_of_an_unknown_profile_is_an_error(signed_in: Command) -> None:
    name = next((signed_in.home / "config" / "tokens").glob("*.json")).stem
    done = signed_in("logout", "-p", name[:-1])
    assert done.returncode == 2
    assert f"Did you mean {name}? `soe-auth status` lists them." in stderr_of(done)
    done = signed_in("logout", "unknown.example")
    assert done.returncode == 2
    assert stderr_of(done).startswith("soe-auth: There is no profile or token unknown")
    assert signed_in.with_variables(SOE_AUTH_PROFILE="nope")("logout").returncode == 2
    assert signed_in("token").returncode == 0


@pytest.mark.parametrize("spoil", [None, 'port = "x"', 'prot = "0"', "port = true", "port = "])
def test_whatever_config_toml_holds_a_named_profile_can_log_out(
    signed_in: Command, site: Sandbox, spoil: str | None
) -> None:
    name, config = f"localhost-{site.port}", signed_in.home / "config" / "config.toml"
    if spoil is None:
        config.unlink()
        config.mkdir()
    else:
        config.write_text(f"{config.read_text(encoding='utf-8')}{spoil}\n", encoding="utf-8")
    done = signed_in("logout", "-p", name)
    assert (done.returncode, "has revoked it" in stderr_of(done)) == (0, True), done.stderr


def test_the_steps_by_hand_use_a_profile_only_if_it_is_named(
    soe_auth: Command,
) -> None:
    config = soe_auth.home / "config" / "config.toml"
    config.parent.mkdir(exist_ok=True)
    one = '[profile.{}]\nsite = "acme"\nclient_id = "110"\nscope = "no_expiry"\n'
    config.write_text(one.format("a") + one.format("b"))
    challenge = ("--code-challenge", "x" * 43)
    by_flags = soe_auth("url", "--site", "acme", "--client-id", "110", *challenge)
    assert (by_flags.returncode, "no_expiry" in by_flags.stdout) == (0, False), by_flags.stderr
    assert "no_expiry" in soe_auth("url", "-p", "a", *challenge).stdout
    assert soe_auth("url", *challenge).returncode == 2


def test_logout_all_local_deletes_every_token(signed_in: Command, site: Sandbox) -> None:
    other = ("login", "-p", "other", "--site", site.url, "--client-id", "110")
    assert signed_in(*other, "--browser", BROWSER).returncode == 0
    done = signed_in("logout", "--all", "--local")
    assert done.returncode == 0
    assert stderr_of(done).count("It is not revoked on ") == 2
    assert "There is no token" in stderr_of(signed_in("logout", "--all"))


def test_logout_all_takes_no_profile(signed_in: Command) -> None:
    done = signed_in("logout", "--all", "-p", "x")
    assert done.returncode == 2
    assert signed_in("token").returncode == 0


def test_logout_without_a_profile_takes_the_only_token(soe_auth: Command, site: Sandbox) -> None:
    by_variables = soe_auth.with_variables(SOE_AUTH_SITE=site.url, SOE_AUTH_CLIENT_ID="110")
    assert by_variables("login", "--browser", BROWSER).returncode == 0
    assert soe_auth("logout").returncode == 0
    assert soe_auth("logout").returncode == 3


def test_an_unknown_profile_is_named(signed_in: Command) -> None:
    for command in ("token", "status", "login"):
        done = signed_in(command, "-p", "nope")
        assert done.returncode == 2
        assert "There is no profile nope." in stderr_of(done)


def test_logout_of_a_revoked_token_succeeds(signed_in: Command, site: Sandbox) -> None:
    stored = signed_in.home / "config" / "tokens" / f"localhost-{site.port}.json"
    copy = stored.read_bytes()
    assert signed_in("logout").returncode == 0
    stored.write_bytes(copy)
    done = signed_in("logout")
    assert done.returncode == 0
    assert "was no longer valid" in stderr_of(done)


# --- the guide's steps, by hand ---


@pytest.fixture
def pair(soe_auth: Command) -> dict[str, str]:
    pair: dict[str, str] = json.loads(soe_auth("pkce", "--json").stdout)
    return pair


def test_pkce_prints_a_new_pair_each_time(soe_auth: Command, pair: dict[str, str]) -> None:
    assert pair["code_challenge"] == challenge_of(Secret(pair["code_verifier"]))
    assert pair["code_challenge_method"] == "S256"
    plain = dict(line.split("=", 1) for line in soe_auth("pkce").stdout.splitlines())
    assert plain.keys() == pair.keys()
    assert plain["code_verifier"] != pair["code_verifier"]


def test_a_challenge_never_looks_like_an_option() -> None:
    dashed = next(n for n in range(9999) if challenge_of(numbered(n)).startswith("-"))
    drawn = iter((dashed, 0))
    _, challenge = draw_pair(lambda size: next(drawn).to_bytes(size, "big"))
    assert challenge == challenge_of(numbered(0))


def numbered(number: int) -> Secret:
    return draw_secret(lambda size: number.to_bytes(size, "big"))


def test_the_steps_of_the_vendors_guide_work(
    soe_auth: Command, site: Sandbox, pair: dict[str, str]
) -> None:
    own = ("--site", site.url, "--client-id", "112", "--scope", "no_expiry write_access")
    url = soe_auth("url", *own, "--code-challenge", pair["code_challenge"])
    assert url.returncode == 0
    query = parse_qs(urlsplit(url.stdout.strip()).query)
    assert query["scope"] == ["no_expiry,write_access"]
    assert len(query["state"][0]) == 43

    code = code_of(url.stdout.strip(), query["state"][0])
    done = soe_auth("exchange", *own, stdin=f"{code}\n{pair['code_verifier']}\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert not (soe_auth.home / "config").exists()

    again = soe_auth.with_variables(
        SOE_AUTH_CODE=code, SOE_AUTH_CODE_VERIFIER=pair["code_verifier"]
    )("exchange", *own)
    assert again.returncode == 5
    assert "Cannot exchange the code: " in stderr_of(again)
    assert "Start again: `soe-auth url`." in stderr_of(again)


def test_exchange_reads_code_and_verifier_from_variables(
    site: Sandbox, pair: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"SOE_AUTH_CONFIG_DIR": str(tmp_path)}
    own = ("--site", site.url, "--client-id", "112")
    assert main(["url", *own, "--code-challenge", pair["code_challenge"]], environ) == 0
    url = capsys.readouterr().out.strip()
    environ["SOE_AUTH_CODE"] = code_of(url, parse_qs(urlsplit(url).query)["state"][0])
    environ["SOE_AUTH_CODE_VERIFIER"] = pair["code_verifier"]
    assert main(["exchange", *own], environ) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["exchange", *own], environ) == 5  # a code works once
    assert "Cannot exchange the code: " in capsys.readouterr().err


def test_exchange_reports_the_sites_error(soe_auth: Command) -> None:
    address = "https://acme.stackenterprise.co/oauth/login_success?error=access_denied&state=q"
    denied = soe_auth("exchange", "--site", "acme", "--client-id", "110", stdin=address)
    assert denied.returncode == 4
    assert stderr_of(denied).splitlines() == [
        "soe-auth: Cannot exchange a code: the site answered access_denied.",
        "  Start again: `soe-auth url`, and choose Approve.",
    ]


def test_exchange_json_has_the_token_and_its_lifetime(
    soe_auth: Command, site: Sandbox, pair: dict[str, str]
) -> None:
    own = ("--site", site.url, "--client-id", "112")
    stateful = soe_auth.with_variables(SOE_AUTH_STATE="mine")
    url = stateful("url", *own, "--code-challenge", pair["code_challenge"]).stdout.strip()
    address = asyncio.run(visit(url)).url
    verifier = stateful.with_variables(SOE_AUTH_CODE_VERIFIER=pair["code_verifier"])
    other = verifier("exchange", *own, stdin=address.replace("mine", "other"))
    assert other.returncode == 2
    assert "the state is not this login's" in stderr_of(other)
    code = parse_qs(urlsplit(address).query)["code"][0]
    alone = verifier("exchange", *own, stdin=code)
    assert alone.returncode == 2
    assert "a code alone cannot be checked against SOE_AUTH_STATE" in stderr_of(alone)
    site.quirks = Quirks(token="scope-other")
    done = verifier("exchange", *own, "--json", stdin=address)
    assert "The site granted the scope read_inbox; read only was requested." in stderr_of(done)
    report = json.loads(done.stdout)
    assert report["access_token"]
    assert report["seconds_left"] > 86000


def code_of(url: str, state: str) -> str:
    """Sign in and approve, and copy the code out of the address, as the guide has it."""
    query = parse_qs(urlsplit(asyncio.run(visit(url)).url).query)
    assert query["state"] == [state]
    return query["code"][0]


def test_a_secret_that_is_not_utf_8_is_refused(soe_auth: Command) -> None:
    strict = soe_auth.with_variables(PYTHONIOENCODING="utf-8:strict")
    done = subprocess.run(
        [strict.path, "login", "--with-token", "--site", "acme", "--client-id", "110"],
        env=strict.environ,
        input=b"\xff\n",
        capture_output=True,
        check=False,
        timeout=40,
    )
    assert done.returncode == 2
    assert b"Cannot read the token: a token is visible ASCII" in done.stderr


def test_standard_input_that_cannot_be_read_is_an_error(soe_auth: Command, tmp_path: Path) -> None:
    with (tmp_path / "unreadable").open("wb") as stream:
        exchange = soe_auth.started(
            *("exchange", "--site", "acme", "--client-id", "110"), stdin=stream.fileno()
        )
    _, err = exchange.communicate(timeout=40)
    assert exchange.returncode == 2
    assert "Cannot read the code: " in err
    assert "Traceback" not in err


def test_the_steps_by_hand_refuse_invalid_values(soe_auth: Command) -> None:
    own = ("--site", "acme", "--client-id", "110")
    challenge = soe_auth("url", *own, "--code-challenge", "short")
    assert challenge.returncode == 2
    assert "--code-challenge: write 43 characters" in stderr_of(challenge)
    right = ("--code-challenge", challenge_of(numbered(0)))
    for uri in ("http://evil.example/x", "https://acme.stackenterprise.co/#x", "/x"):
        redirect = soe_auth("url", *own, *right, "--redirect-uri", uri)
        assert (redirect.returncode, redirect.stdout) == (2, "")
        assert "Cannot read redirect_uri from --redirect-uri: " in stderr_of(redirect)
    imitation = ("--site", "https://stackenterprise.co.evil.example", "--client-id", "110")
    for step in (("url", *imitation, *right), ("exchange", *imitation)):
        assert "you have not agreed to it" in stderr_of(soe_auth(*step))
    state = soe_auth.with_variables(SOE_AUTH_STATE="é")("url", *own, *right)
    assert (state.returncode, state.stdout) == (2, "")
    assert "Cannot use SOE_AUTH_STATE: a state is printable ASCII." in stderr_of(state)
    empty = soe_auth("exchange", *own)
    assert empty.returncode == 2
    assert "Cannot read the code: it is empty." in stderr_of(empty)
    verifier = soe_auth("exchange", *own, stdin="code\nshort canary\n")
    assert verifier.returncode == 2
    assert "43 to 128" in stderr_of(verifier)
    assert "canary" not in stderr_of(verifier)
    missing = soe_auth("exchange", "--site", "acme", stdin="c\n" + "v" * 43)
    assert missing.returncode == 2
    assert "need a site and a client ID" in stderr_of(missing)


# --- the command line itself ---


def test_python_m_soe_auth_is_the_same_command(soe_auth: Command) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "soe_auth", "--version"],
        env=soe_auth.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"soe-auth {__version__}\n"


def hostile_modules(directory: Path, *names: str) -> Path:
    """Put modules of these names into a directory, which note that they were run."""
    for name in names:
        (directory / f"{name}.py").write_text("open(__file__ + '.run', 'w').close()\n")
    return directory


@pytest.mark.parametrize(
    ("options", "names"),
    [([], ["argparse", "json", "platformdirs", "tomllib"]), (["-P"], ["json", "soe_auth"])],
)
def test_python_m_soe_auth_runs_no_module_of_the_current_directory(
    soe_auth: Command, options: list[str], names: list[str]
) -> None:
    here = hostile_modules(soe_auth.home, *names)
    done = subprocess.run(
        [sys.executable, *options, "-m", "soe_auth", "config", "list"],
        env=soe_auth.environ,
        cwd=here,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert not list(here.glob("*.run"))


def test_without_a_command_the_help_is_printed(soe_auth: Command) -> None:
    done = soe_auth()
    assert done.returncode == 2
    assert done.stdout == ""
    for command in COMMANDS:
        assert f"  {command} " in stderr_of(done)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(soe_auth: Command, command: str) -> None:
    done = soe_auth(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: soe-auth {command}")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert ("-p, --profile" in done.stdout) == (command not in WITHOUT_PROFILE)
    assert soe_auth("help", command).stdout == done.stdout


def test_help_without_a_command_is_the_overview(soe_auth: Command) -> None:
    overview = soe_auth("--help").stdout
    assert [soe_auth("help").stdout, soe_auth("help", "--help").stdout] == [overview, overview]
    assert soe_auth("help", "config", "set").stdout.startswith("usage: soe-auth config set")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_40_columns_except_for_commands_to_copy(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with pytest.raises(SystemExit):
        main([command, "--help"], {})
    for line in capsys.readouterr().out.splitlines():
        assert len(line) <= 40 or re.match("  [^ -]", line)


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_printed_with_and_without_a_command(soe_auth: Command, option: str) -> None:
    for words in ([option], ["token", option]):
        assert soe_auth(*words).stdout == f"soe-auth {__version__}\n"


def test_on_a_narrow_terminal_help_wraps_prose_but_no_command(soe_auth: Command) -> None:
    narrow = replace(soe_auth, variables={"COLUMNS": "40"})
    assert "  login       sign in with your\n              browser" in narrow("--help").stdout
    help_of_completion = narrow("completion", "--help").stdout
    assert "Print a script that makes your shell\ncomplete commands" in help_of_completion
    whole = "  soe-auth completion bash > ~/.local/share/bash-completion/completions/soe-auth\n"
    assert whole in help_of_completion


@pytest.mark.parametrize(
    ("typed", "what", "to_do"),
    [
        ("lgoin", "Unknown command 'lgoin'.", "Did you mean login? `soe-auth help` lists"),
        ("nonsense", "Unknown command 'nonsense'.", "Choose init, login, "),
        ("help nonsense", "Unknown command 'nonsense'.", "Choose init, login, "),
        ("whoami", "Unknown command 'whoami'.", "Type `soe-auth status`."),
        ("list", "Unknown command 'list'.", "Type `soe-auth status` or `soe-auth profile list`."),
        ("--nope", "Unknown option '--nope'.", "`soe-auth --help` lists the options."),
        ("login --sight=x", "Unknown option '--sight'.", "Did you mean --site?"),
        ("login --site", "--site needs a value.", "`soe-auth login --help` lists"),
        ("token acme", "Unexpected argument 'acme'.", "Name a profile with -p."),
        ("doctor acme", "Unexpected argument 'acme'.", "Name a site with --site, a profile with"),
        ("pkce acme", "Unexpected argument 'acme'.", "`soe-auth pkce --help` lists"),
        ("token --format env,json", "Unknown --format 'env,json'.", "Did you mean json? Choose"),
        ("token --format xml", "Unknown --format 'xml'.", "Choose plain, header, env, json or"),
        ("login -p", "--profile needs a value.", "`soe-auth login --help` lists"),
        ("login --json=x", "--json takes no value.", "`soe-auth login --help` lists"),
        ("token -v -q", "Cannot use --quiet with --verbose.", "`soe-auth token"),
        ("config", "ACTION is missing.", "Choose list, get, set,"),
        ("profile rename", "OLD and NEW are missing.", "`soe-auth profile rename --help`"),
        ("url", "--code-challenge is missing.", "Add --code-challenge CHALLENGE, from `soe-auth p"),
        ("api x --jq", "Unknown option '--jq'.", "`soe-auth api --help` lists"),
        ("logout --json", "Unknown option '--json'.", "`soe-auth logout --help` lists"),
        ("exchange --code", "Unknown option '--code'.", "`soe-auth exchange --help` lists"),
        ("completion bash --shell", "Unknown option '--shell'.", "`soe-auth completion --help`"),
        ("completion BASH", "Unknown shell 'BASH'.", "Did you mean bash? Choose bash, zsh,"),
        ("api --api v9 users/me", "Unknown --api 'v9'.", "Choose v3 or v2.3."),
        ("api users/me name", "Unexpected argument 'name'.", "`soe-auth api --help` lists"),
        ("help login status", "The last word after `soe-auth help` is one too many.", "Type `"),
        ("config sett x", "Unknown action 'sett'.", "Did you mean set? Choose list,"),
        ("-p acme pkce", "`soe-auth pkce` uses no profile.", "Leave -p out."),
        ("pkce -p acme", "`soe-auth pkce` uses no profile.", "Leave -p out."),
        ("profile use -p acme", "`soe-auth profile` uses no profile.", "Leave -p out."),
        ("profile -p acme list", "`soe-auth profile` uses no profile.", "Leave -p out."),
    ],
)
def test_a_usage_error_names_the_word_and_lists_the_choices(
    typed: str, what: str, to_do: str, soe_auth: Command
) -> None:
    done = soe_auth(*typed.split())
    assert (done.returncode, done.stdout) == (2, "")
    first, second = stderr_of(done).splitlines()
    assert first == f"soe-auth: {what}"
    assert second.startswith(f"  {to_do}")


def test_help_of_help_and_of_a_topic_is_shown(soe_auth: Command) -> None:
    assert soe_auth("help", "help").stdout == soe_auth("--help").stdout
    assert soe_auth("help", "sandbox").stdout == soe_auth("sandbox", "--help").stdout
    quirks = soe_auth("sandbox", "--help", "quirks").stdout
    assert soe_auth("help", "sandbox", "quirks").stdout == quirks
    assert "usage: soe-auth profile use" in soe_auth("help", "profile", "use").stdout


def test_a_profile_behind_check_gets_a_hint(soe_auth: Command) -> None:
    done = soe_auth("status", "--check", "acme")
    assert done.returncode == 2
    assert stderr_of(done).splitlines() == [
        "soe-auth: Cannot read check from --check: write a duration such as 90s, 10m, 8h or 1d.",
        "  To name a profile, put it first: `soe-auth status NAME --check`.",
    ]


@pytest.mark.parametrize(
    "typed",
    [
        "exchange http://localhost:1/callback/acme?code=Canary&state=Canary",
        "token Canary(1)",
        "token --format Canary(1)",
        "token --Canary(1)",
        "login --json=Canary(1)",
        "login --json=Canary'1",
        "status --Canary=Canary",
        "config set extra proxy http://user:Canary@proxy:1",
        "Canary(1)",
    ],
)
def test_a_usage_error_does_not_repeat_a_secret(typed: str, soe_auth: Command) -> None:
    done = soe_auth(*typed.split())
    assert done.returncode == 2
    assert "Canary" not in stderr_of(done)


def test_a_word_that_may_be_secret_is_named_by_its_position(soe_auth: Command) -> None:
    done = soe_auth("config", "set", "extra", "proxy", "Canary(1)")
    assert "Unexpected argument: word 4 after `soe-auth config`." in stderr_of(done)


def test_a_usage_error_prints_no_control_characters(soe_auth: Command) -> None:
    for words in (["\x1b[2Jlogin"], ["login", "--\x1b[2J"], ["token", "\x1b[2J"], ["-p\x1b", "-p"]):
        assert "\x1b" not in stderr_of(soe_auth(*words))


def test_common_options_work_before_and_after_the_command(
    signed_in: Command, site: Sandbox
) -> None:
    name = f"localhost-{site.port}"
    token = signed_in("token").stdout
    assert signed_in("-p", name, "token").stdout == token
    assert signed_in("token", "--profile", name).stdout == token
    assert signed_in("-v", f"--profile={name}", "token").stdout == token


def test_a_settings_error_names_the_setting_and_its_origin(soe_auth: Command) -> None:
    done = soe_auth.with_variables(SOE_AUTH_TIMEOUT="soon")("login", "--site", "acme")
    assert done.returncode == 2
    assert stderr_of(done).startswith(
        "soe-auth: Cannot read timeout 'soon' from SOE_AUTH_TIMEOUT: write a duration"
    )


def test_a_closed_pipe_is_exit_141_without_a_traceback(signed_in: Command) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [signed_in.path, "status"],
        env=signed_in.environ,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_character_that_the_encoding_lacks_is_replaced(signed_in: Command) -> None:
    latin = signed_in.with_variables(PYTHONIOENCODING="ascii", BROWSER=BROWSER)
    done = latin("login")
    assert done.returncode == 0
    assert "in your browser ?" in stderr_of(done)


@pytest.mark.posix("reads /proc")
@pytest.mark.parametrize(
    "words", ["login --no-browser", "logout", "status --verify", "api users/me", "exchange"]
)
def test_a_command_with_a_secret_disables_core_dumps(soe_auth: Command, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        site = Site.parse(f"http://127.0.0.1:{silent.getsockname()[1]}")
        command = soe_auth.with_variables(
            SOE_AUTH_SITE=str(site),
            SOE_AUTH_CLIENT_ID=TOKEN.client_id,
            SOE_AUTH_SCOPE="write_access",
            SOE_AUTH_CODE="code",
            SOE_AUTH_CODE_VERIFIER="v" * 43,
        )
        token = replace(TOKEN, site=site, expires_at=time.time() + 3600)
        FileStore(soe_auth.home / "config", report=print).save("acme", token)
        with command.started(*words.split(), "-p", "acme") as process:
            deadline = time.monotonic() + 8
            limits = Path(f"/proc/{process.pid}/limits")
            pattern = r"Max core file size +[01] "
            while not (is_hard := re.search(pattern, limits.read_text())):
                if time.monotonic() > deadline:
                    break
            process.kill()
    assert is_hard


# --- the sandbox and the demo ---


@pytest.mark.posix("sends a POSIX signal")
@pytest.mark.parametrize("options", [(), ("--tls",)], ids=["http", "https"])
def test_the_sandbox_prints_a_login_command_that_works(
    soe_auth: Command, options: tuple[str, ...]
) -> None:
    with soe_auth.started("sandbox", "--lifetime", "2h", *options) as sandbox:
        assert sandbox.stdout
        lines = [sandbox.stdout.readline().strip()]
        while "Ctrl-C" not in lines[-1]:
            lines.append(sandbox.stdout.readline().strip())
        [line] = [line for line in lines if "soe-auth login" in line]
        ca = next((line for line in lines if line.endswith(".pem")), "")
        user = soe_auth.with_variables(SOE_AUTH_CA_BUNDLE=ca, SSL_CERT_FILE=ca) if ca else soe_auth
        login = user(*line.split()[1:], "--browser", BROWSER)
        assert login.returncode == 0, login.stderr
        assert "(2 h)" in stderr_of(login)
        sandbox.send_signal(signal.SIGINT)
        _, stderr = sandbox.communicate(timeout=10)
        assert sandbox.returncode == 0
        assert "Jane Doe signed in." in stderr
        assert "closed" in stderr
        assert "Traceback" not in stderr
    assert bool(ca) == bool(options)
    assert not Path(ca or "nowhere").exists()


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_the_sandbox_refuses_invalid_options(soe_auth: Command, site: Sandbox) -> None:
    busy = soe_auth("sandbox", "--port", str(site.port))
    assert busy.returncode == 2
    assert f"Cannot bind port {site.port} from --port: " in stderr_of(busy)
    for wrong in (("--lifetime", "long"), ("--lifetime", "0"), ("--port", "99999")):
        done = soe_auth("sandbox", *wrong)
        assert done.returncode == 2
        assert f"Cannot read {wrong[0][2:]} from {wrong[0]}" in stderr_of(done)
    for switch in ("--token", "--api", "--domain-rule"):
        assert soe_auth("sandbox", switch, "nonsense").returncode == 2
    (soe_auth.home / "trustme.py").write_text("raise ImportError")
    without = soe_auth.with_variables(PYTHONPATH=str(soe_auth.home))("sandbox", "--tls")
    assert without.returncode == 2
    assert "Install trustme in the environment of soe-auth, or leave --tls out." in stderr_of(
        without
    )


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_the_demo_logs_in_leaves_no_file_and_runs_no_local_module(
    soe_auth: Command,
) -> None:
    tmp = soe_auth.home / "tmp"
    tmp.mkdir()
    here = hostile_modules(soe_auth.home, "argparse", "asyncio", "httpx", "json", "soe_auth")
    done = soe_auth.within(here).with_variables(TMPDIR=str(tmp))("demo")
    assert not list(here.glob("*.run"))
    assert done.returncode == 0
    text = stderr_of(done)
    assert "no browser to show here" in text
    assert "Opening " not in text
    assert "Signed in to localhost" in text
    assert "The API answers: you are Jane Doe." in text
    assert "has revoked it" in text
    assert list(tmp.iterdir()) == []
    assert not (soe_auth.home / "config").exists()


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_the_demo_uses_the_users_browser(soe_auth: Command) -> None:
    done = soe_auth.with_variables(BROWSER=BROWSER)("demo")
    assert done.returncode == 0
    assert "no browser to show here" not in stderr_of(done)
    chosen = soe_auth("demo", "--browser", BROWSER)
    assert chosen.returncode == 0


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
def test_the_demo_has_the_exit_code_of_the_failed_step(soe_auth: Command) -> None:
    done = soe_auth("demo", "--browser", f"{BROWSER} --refuse")
    assert done.returncode == 4


ENTRY_POINT = """
import soe_auth
from soe_auth.__main__ import entry_point
assert ".pyz" in soe_auth.__file__
entry_point()
"""


@pytest.mark.skipif(UNDER_WINE, reason="not run there yet: a first try did not end")
def test_a_plain_zip_logs_in(soe_auth: Command, site: Sandbox, tmp_path: Path) -> None:
    app, packed = tmp_path / "app", tmp_path / "soe-auth.pyz"
    package = Path(__main__.__file__).parent
    shutil.copytree(package, app / "soe_auth", ignore=shutil.ignore_patterns("__pycache__"))
    (app / "__main__.py").write_text(ENTRY_POINT)
    zipapp.create_archive(app, packed)
    shutil.rmtree(app)
    named = ("--site", site.url, "--client-id", "110", "--browser", BROWSER)
    done = [
        subprocess.run(
            [sys.executable, packed, *argv],
            env=unmeasured(soe_auth.environ),  # coverage finds no source in a zip
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        for argv in (("login", *named), ("token",))
    ]
    assert [each.returncode for each in done] == [0, 0], done
    assert done[1].stdout == soe_auth("token").stdout


# --- in process: what a child process cannot show ---


@pytest.mark.posix("types at a pseudo-terminal")
async def test_the_paste_line_ends_when_the_terminal_closes() -> None:
    user, terminal = os.openpty()
    os.write(user, b"one\ntwo\nthr")
    lines = pasted_lines(terminal)
    assert await anext(lines) == "one"
    assert await anext(lines) == "two"
    os.close(user)
    assert [line async for line in lines] == []
    os.close(terminal)


async def test_an_empty_line_before_pasted_text_is_ignored() -> None:
    read, write = os.pipe()
    os.write(write, b"\n\none\n\n")
    lines = pasted_lines(read)
    assert [await anext(lines), await anext(lines)] == ["one", ""]
    os.close(write)
    assert [line async for line in lines] == []
    os.close(read)


@pytest.mark.posix("types at a pseudo-terminal")
async def test_the_paste_line_ends_if_the_terminal_cannot_be_read() -> None:
    user, terminal = os.openpty()
    os.close(terminal)  # from here on, this end gives EIO
    assert [line async for line in pasted_lines(user)] == []
    os.close(user)


def test_main_returns_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token"], {"SOE_AUTH_TOKEN": "x"}) == 0
    assert capsys.readouterr().out == "x\n"
    assert main(["token"], {"SOE_AUTH_CONFIG_DIR": str(tmp_path)}) == 3


def test_the_steps_by_hand_ignore_a_project_file(soe_auth: Command, tmp_path: Path) -> None:
    (tmp_path / ".soe-auth.toml").write_text('site = "acme"\nclient_id = "110"\n')
    done = soe_auth.within(tmp_path)("url", "--code-challenge", "x" * 43)
    assert done.returncode == 2
    assert "The steps by hand need a site and a client ID." in done.stderr
