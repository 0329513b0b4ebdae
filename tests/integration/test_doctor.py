"""`soe-auth doctor`: each check, with and without a problem, and that it changes nothing."""

import asyncio
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from threading import Event

import pytest
import trustme
from cli_oracle import live_in
from conftest import BROWSER, NOBODY, TOKEN, Command, as_nobody, end_of, let_others_change
from fake_programs import program
from tls_servers import always_answering, forwarding, http, tls
from wine import UNDER_WINE

from soe_auth import LoginError, NetworkError, ServerError, SettingsError, StoreError
from soe_auth.cli.exit_codes import exit_code
from soe_auth.doctor import Finding, examine
from soe_auth.doctor.local import check_environment, check_versions
from soe_auth.doctor.loopback import check_loopback, finding_for, probe_port
from soe_auth.doctor.remote import proxy_finding
from soe_auth.doctor.stored import check_store
from soe_auth.loopback.sockets import lookup_addresses
from soe_auth.model.network import ANY_PORT, Proxy
from soe_auth.sandbox import Sandbox, running
from soe_auth.settings.resolve import resolve
from soe_auth.storage.file_store import FileStore, token_to_json
from soe_auth.storage.login_lock import LoginLock

IS_ROOT = sys.platform != "win32" and os.geteuid() == 0
CONFIG = 'default_profile = "acme"\n[profile.acme]\nsite = "{}"\nclient_id = "110"\n'


class Machine:
    """A home with a config directory, and the findings there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "config"
        self.config.mkdir(mode=0o700)
        self.store = FileStore(self.config, report=print)
        self.login_lock = LoginLock(self.config, report=print)
        self.now: Callable[[], float] = time.time

    def write(self, text: str) -> None:
        (self.config / "config.toml").write_text(text, encoding="utf-8")

    def save_token(self, profile: str = "acme") -> Path:
        self.store.save(profile, replace(TOKEN, expires_at=time.time() + 3600))
        return self.config / "tokens" / f"{profile}.json"

    def examine(self, name: str = "", **given: str) -> list[Finding]:
        """Return the findings of that name; upper-case names are variables, the others flags."""
        profile = given.pop("profile", None)
        flags = {key: value for key, value in given.items() if key.islower()}
        variables = {key: value for key, value in given.items() if key.isupper()}
        found = examine(
            flags,
            profile=profile,
            environ={"SOE_AUTH_CONFIG_DIR": str(self.config), **variables},
            cwd=lambda: self.home,
            now=self.now,
        )
        return [finding for finding in found if finding.name == name or not name]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    live_in(tmp_path, monkeypatch)
    return Machine(tmp_path)


def one(found: list[Finding]) -> Finding:
    [finding] = found
    return finding


def the_error(found: list[Finding]) -> Finding:
    return one([finding for finding in found if finding.verdict == "error"])


def snapshot(directory: Path) -> dict[str, object]:
    """Return kind, mode, owner, times and contents of a directory's entries."""
    seen: dict[str, object] = {}
    for path in [directory, *directory.rglob("*")]:
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        changed = (status.st_mtime_ns, status.st_ctime_ns, status.st_nlink)
        seen[str(path)] = (status.st_mode, status.st_uid, status.st_size, changed, content)
    return seen


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_after_a_login_there_is_no_error(signed_in: Command, site: Sandbox) -> None:
    done = signed_in.with_variables(BROWSER=BROWSER)("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-2:] == ["", "No errors."]
    kinds = [line.split()[:2] for line in lines if re.match(r"\w", line)][:-1]
    assert dict.fromkeys(name for _, name in kinds) == dict.fromkeys(
        [
            "versions:",
            "settings:",
            "store:",
            "token:",
            "place:",
            "browser:",
            "loopback:",
            "proxy:",
            "DNS:",
            "connection:",
            "clock:",
            "site:",
            "registration:",
        ]
    )
    # In a container, `place` is a warning.
    assert {verdict for verdict, name in kinds if name != "place:"} == {"ok"}
    for words in (
        f"site = {site.url} (from ",
        f"1 token in {signed_in.home}/config, private",
        f"profile localhost-{site.port}: token valid until ",
        "127.0.0.1 answered at port ",
        "[::1] answered at port ",
        "localhost (127.0.0.1",
        f"{site.url} answers like an SOE site",
    ):
        assert words in done.stdout


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_errors_are_summed_up_at_the_end_with_what_to_do(soe_auth: Command) -> None:
    done = soe_auth("doctor", "--site", "https://nowhere.invalid")
    assert (done.returncode, done.stderr) == (6, "")
    _, end = done.stdout.split("\nErrors, and what to do:\n")
    output, todo = end.splitlines()
    assert output.startswith("  DNS: cannot resolve nowhere.invalid: ")
    assert todo.startswith("    Check the network and the site's name.")
    assert "connection:" not in done.stdout


@pytest.mark.process
def test_an_error_without_a_remedy_has_no_empty_line_at_the_end(soe_auth: Command) -> None:
    done = soe_auth.with_variables(SOE_AUTH_TIMEOUT="0")("doctor")
    assert done.stdout.splitlines()[-1].startswith("  settings: Cannot read timeout '0' from SOE_")


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.process
@pytest.mark.parametrize("columns", [40, 80])
def test_in_a_narrow_window_lines_are_broken_between_words(soe_auth: Command, columns: int) -> None:
    lines = end_of(soe_auth.on_a_terminal("doctor", columns=columns))[1].split("\r\n")
    assert all(len(line) <= columns for line in lines if "`" not in line and "/" not in line)
    verdicts = re.compile(r"(ok|warning|error) +[a-zA-Z]+: ")
    *found, _, end, _ = lines
    assert all(verdicts.match(line) or line.startswith(" " * 9) for line in found)
    assert end == "No errors."


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_json_has_the_same_findings(signed_in: Command) -> None:
    done = signed_in("doctor", "--json", "--browser", "/does/not/exist")
    assert (done.returncode, done.stderr) == (2, "")
    report = json.loads(done.stdout)
    assert report["version"] == 1
    [browser] = [finding for finding in report["findings"] if finding["name"] == "browser"]
    assert browser == {
        "name": "browser",
        "verdict": "error",
        "says": "cannot use /does/not/exist (from --browser): not found, or a text browser",
        "todo": "Name another command, or remove the setting to use the desktop's default.",
    }
    assert report["findings"][0]["todo"] is None


@pytest.mark.skipif(UNDER_WINE, reason="the Python there reads no PYTHONPATH")
@pytest.mark.process
def test_a_useless_httpx_is_an_error(soe_auth: Command) -> None:
    (soe_auth.home / "httpx.py").touch()
    done = soe_auth.with_variables(PYTHONPATH=str(soe_auth.home))("doctor")
    assert done.returncode == 1
    assert "versions: cannot use this version of httpx: module 'httpx'" in done.stdout


@pytest.mark.process
def test_an_unwritable_sslkeylogfile_stops_nothing(soe_auth: Command, site: Sandbox) -> None:
    unusable = soe_auth.with_variables(SSLKEYLOGFILE=str(soe_auth.home / "none" / "keys"))
    assert unusable("doctor").stdout.endswith("No errors.\n")
    flags = ("--site", site.url, "--client-id", "110", "--browser", BROWSER)
    done = unusable("login", *flags)
    assert done.returncode == 0, done.stderr


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_no_file_is_changed_whatever_is_found(signed_in: Command, site: Sandbox) -> None:
    config = signed_in.home / "config"
    tokens = config / "tokens"
    (tokens / "loose.json").write_bytes(token_to_json(TOKEN))
    (tokens / "loose.json").chmod(0o644)
    (tokens / "broken.json").write_text("{")
    (tokens / "link.json").symlink_to(tokens / "loose.json")
    (tokens / "dangling.json").symlink_to(tokens / "nothing")
    (tokens / ".loose.json.00.new").write_text("half")
    (tokens / "loose.json.corrupt-20260101T000000Z").write_text("odd")
    os.mkfifo(tokens / "pipe.json", 0o600)
    tokens.chmod(0o755)
    before = snapshot(config)
    done = signed_in("doctor")
    assert done.returncode == 7
    assert snapshot(config) == before
    assert not (signed_in.home / "none").exists()
    fresh = signed_in.with_variables(SOE_AUTH_CONFIG_DIR=str(signed_in.home / "none"))
    assert fresh("doctor", "--site", site.url).returncode == 0
    assert not (signed_in.home / "none").exists()


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
@pytest.mark.parametrize("form", [[], ["--json"], ["-v"]])
def test_no_secret_is_shown(signed_in: Command, form: list[str]) -> None:
    token = signed_in("token").stdout.strip()
    tokens = signed_in.home / "config" / "tokens"
    (tokens / "spare.json").write_text(f'{{"access_token": "{token}"')
    (tokens / "spare.json.corrupt-20260101T000000Z").write_text(token)
    done = signed_in.with_variables(
        SOE_AUTH_TOKEN="canary-of-a-job",
        HTTPS_PROXY="http://canary-user:canary-password@127.0.0.1:9",
        SOE_AUTH_BROWSER="visit http://canary-user:canary-password@localhost/ %s",
    )("doctor", *form)
    assert done.returncode == 7
    assert "@localhost/ %s" in done.stdout
    output = done.stdout + done.stderr
    assert token not in output
    assert "canary" not in output


def test_the_first_error_gives_the_exit_code() -> None:
    kinds = (SettingsError, LoginError, ServerError, NetworkError, StoreError)
    codes = [exit_code(kind) for kind in kinds]
    assert codes == [2, 4, 5, 6, 7]


def test_a_check_with_a_bug_is_reported_and_the_next_one_runs(machine: Machine) -> None:
    def broken() -> float:
        raise ZeroDivisionError

    machine.save_token()
    machine.now = broken
    found = machine.examine()
    bug = the_error(found)
    assert bug.name == "token"
    assert re.fullmatch(r"this check failed: ZeroDivisionError in \w+\.py, line \d+", bug.says)
    assert exit_code(bug.kind) == 1
    assert [finding.name for finding in found].index("loopback") > found.index(bug)


# --- versions, settings, place, browser ----------------------------------------------------------


def test_a_missing_library_is_named() -> None:
    *_, found, missing = check_versions(["aiohttp", "no-such-library"])
    assert found.says.startswith("aiohttp 3.")
    assert (missing.verdict, missing.says) == ("warning", "not installed: no-such-library")
    *_, without_metadata = check_versions(["json"])  # as all are in a zip
    assert (without_metadata.verdict, without_metadata.says) == ("ok", "json")
    assert [finding.verdict for finding in check_versions(["no-such-library"])] == [
        "ok",
        "warning",
    ]


def test_without_a_profile_the_local_checks_run(machine: Machine) -> None:
    found = machine.examine()
    settings = one([finding for finding in found if finding.name == "settings"])
    assert settings.verdict == "warning"
    assert "no site are set" in settings.says
    assert "loopback" in {finding.name for finding in found}
    assert not {finding.name for finding in found} & {"DNS", "connection", "clock", "site"}


def test_settings_that_are_not_default_are_listed_with_their_origin(machine: Machine) -> None:
    machine.write(CONFIG.format("http://localhost:1") + 'min_ttl = "10m"\n')
    output = [finding.says for finding in machine.examine("settings", SOE_AUTH_TIMEOUT="90s")]
    assert output[0] == "profile acme, in config.toml"
    assert any(re.fullmatch(r"min_ttl = 10m \(from .*config\.toml.*\)", says) for says in output)
    assert "timeout = 1m30s (from SOE_AUTH_TIMEOUT)" in output
    assert not any(says.startswith("scope") for says in output)


def test_a_broken_config_is_an_error_and_other_checks_run(machine: Machine) -> None:
    machine.write("[broken\n")
    assert not machine.examine("token")
    machine.save_token()
    found = machine.examine()
    assert one([f for f in found if f.name == "token"]).says.startswith("1 stored")
    broken = the_error(found)
    assert "config.toml: it is not valid TOML" in broken.says
    assert exit_code(broken.kind) == 2
    assert [finding.name for finding in found][-1] == "loopback"


def test_a_wrong_value_in_another_profile_is_reported_with_its_token(machine: Machine) -> None:
    machine.write(CONFIG.format("http://localhost:1") + '[profile.beta]\nport = "x"\n')
    found = [finding for finding in machine.examine("token") if finding.verdict == "error"]
    assert one(found).says.startswith("Cannot read port 'x' from ")


def test_a_missing_client_id_or_profile_is_reported(machine: Machine) -> None:
    no_client_id = machine.examine("settings", site="http://localhost:1")[1]
    assert (no_client_id.verdict, exit_code(no_client_id.kind)) == ("warning", 1)
    assert no_client_id.says == "No client ID is set for localhost:1."
    assert the_error(machine.examine(profile="other")).says == "There is no profile other."


def test_a_config_that_other_users_can_change_is_an_error(machine: Machine) -> None:
    machine.write(CONFIG.format("http://localhost:1"))
    let_others_change(machine.config / "config.toml")
    assert "sets your site" in the_error(machine.examine("settings")).says


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:pass/w@rd@proxy:3128/", "http://…@proxy:3128/"),
        ("http://user@proxy", "http://…@proxy"),
        ("user:pa:ss@wo/rd@proxy:3128", "…@proxy:3128"),
        ("user:password@proxy:3128", "…@proxy:3128"),
        ("visit http://a:b@c http://d:e@f", "visit http://…@c http://…@f"),
        ("http://proxy:3128", "http://proxy:3128"),
        ("/home/you@work/browser %s", "/home/you@work/browser %s"),
    ],
)
def test_user_and_password_are_removed_from_urls(text: str, shown: str) -> None:
    output = Finding("x", "warning", f"it is {text}", text).redacted()
    assert (output.says, output.todo) == (f"it is {shown}", shown)


def test_the_environment_is_named_with_advice(machine: Machine) -> None:
    def look(**environ: str) -> Finding:
        return one(list(check_environment(environ, None, root=machine.home)))

    assert (look().verdict, look().says[:6]) == ("ok", "local:")
    vs_code = look(REMOTE_CONTAINERS="true")
    assert (vs_code.verdict, vs_code.says[:23]) == ("ok", "a development container")
    job = look(GITHUB_ACTIONS="true", SSH_CONNECTION="192.0.2.1 50000 192.0.2.2 22")
    assert (job.verdict, "ssh" in job.todo) == ("warning", False)
    over_ssh = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22", "USER": "jane"}
    assert "`ssh -L 8765:localhost:8765 jane@192.0.2.2`" in look(**over_ssh).todo
    [fixed] = check_environment(over_ssh, 7654, root=machine.home)
    assert fixed.todo.endswith("and log in with --port 7654.")


@pytest.mark.posix("the commands that open a browser on a Linux desktop")
def test_the_browser_is_named_with_what_chose_it(machine: Machine) -> None:
    programs = machine.home / "bin"
    programs.mkdir()
    for name in ("xdg-open", "firefox"):
        program(programs, name)
    path = str(programs)

    def look(display: str = ":0", **given: str) -> Finding:
        [finding] = [
            f for f in machine.examine(PATH=path, DISPLAY=display, **given) if f.name == "browser"
        ]
        return finding

    assert look(display="").verdict == "warning"
    assert look().says == f"{path}/xdg-open (desktop default)"
    assert look(BROWSER="firefox").says == f"{path}/firefox (BROWSER)"
    chosen = look(browser="firefox --new-window")
    assert chosen.says == f"{path}/firefox --new-window (--browser)"
    missing = look(SOE_AUTH_BROWSER="netscape")
    assert missing.verdict == "error"
    assert missing.says.startswith("cannot use netscape (from SOE_AUTH_BROWSER): ")


# --- the store --------------------------------------------------------------------------------


def test_a_good_store_is_one_line(machine: Machine) -> None:
    assert one(machine.examine("store")).says == f"no tokens in {machine.config}, private"
    machine.save_token()
    with machine.login_lock.acquire("acme"):
        assert one(machine.examine("store")).says == f"1 token in {machine.config}, private"
    machine.save_token("beta")
    assert one(machine.examine("store")).says == f"2 tokens in {machine.config}, private"


@pytest.mark.posix("file modes, which Windows does not have")
def test_a_token_that_others_can_read_is_an_error(machine: Machine) -> None:
    path = machine.save_token()
    path.chmod(0o640)
    found = one(machine.examine("store"))
    assert (found.verdict, exit_code(found.kind)) == ("error", 7)
    assert found.says == f"Other users can read {path}, and so its token."
    assert f"`chmod 600 {path}`" in found.todo


@pytest.mark.posix("file modes, which Windows does not have")
def test_directories_and_locks_that_others_can_read_are_warnings(machine: Machine) -> None:
    machine.save_token()
    with machine.login_lock.acquire("acme"):
        pass
    loose = [machine.config / name for name in ("tokens", "locks", "locks/acme.lock")]
    for path in loose:
        path.chmod(0o755)
    found = machine.examine("store")
    assert [finding.verdict for finding in found] == ["warning"] * 3
    assert [finding.todo for finding in found] == [
        f"To repair it now, type `chmod {mode} {path}`."
        for mode, path in zip(("700", "700", "600"), loose, strict=True)
    ]


def link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


# Windows has no named pipes in directories, and symbolic links need a privilege there.
OF_POSIX = [] if sys.platform == "win32" else [(link, "is a link"), (pipe, "is not a regular file")]


def second_name(path: Path) -> None:
    path.write_bytes(token_to_json(TOKEN))
    path.chmod(0o600)
    path.with_name("second").hardlink_to(path)


def nonsense(path: Path) -> None:
    path.write_text("{")
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (second_name, r"it has a second name \(a hard link\), by which it can be changed"),
        (lambda path: path.mkdir(), "Is a directory|it is not a regular file"),
        (nonsense, "it is not JSON"),
        *OF_POSIX,
    ],
)
def test_an_unusable_token_file_is_an_error(
    machine: Machine, make: Callable[[Path], None], words: str
) -> None:
    path = machine.save_token()
    path.unlink()
    make(path)
    found = one(machine.examine("store"))
    assert (found.verdict, found.kind) == ("error", StoreError)
    assert found.says.startswith(f"Cannot use {path}: ")
    assert re.search(words, found.says)
    assert one(machine.examine("store", profile="acme")) == found


@pytest.mark.posix("symbolic links, which need a privilege on Windows")
def test_an_unusable_lock_or_directory_is_an_error(machine: Machine) -> None:
    locks = machine.config / "locks"
    locks.mkdir(mode=0o700)
    link(locks / "acme.lock")
    assert one(machine.examine("store")).says == f"Cannot use {locks / 'acme.lock'}: it is a link."
    (locks / "acme.lock").unlink()
    tokens = machine.config / "tokens"
    for target in (machine.home, tokens):
        tokens.symlink_to(target)
        assert "is a link or a file, not a directory" in machine.examine("store")[0].says
        tokens.unlink()


@pytest.mark.posix("gives a file to another user, as root")
@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
@pytest.mark.as_root
def test_a_token_file_of_another_user_is_an_error(machine: Machine) -> None:
    os.chown(machine.save_token(), NOBODY, NOBODY)
    assert "it belongs to another user" in the_error(machine.examine("store")).says


def test_leftover_files_are_warnings_and_foreign_files_are_ignored(machine: Machine) -> None:
    tokens = machine.save_token().parent
    for name in (".acme.json.0011.new", "acme.json.corrupt-20260101T000000Z", "notes.txt"):
        (tokens / name).write_text("x")
    found = machine.examine("store")
    assert [finding.verdict for finding in found] == ["warning", "warning"]
    assert "is incomplete" in found[0].says
    assert "was renamed as" in found[1].says


@pytest.mark.posix("file modes, which Windows does not have")
@pytest.mark.as_root
@pytest.mark.parametrize("owner", [None, NOBODY] if IS_ROOT else [None])
def test_a_parent_directory_that_others_can_change_is_an_error(
    machine: Machine, owner: int | None
) -> None:
    machine.save_token()
    if owner is None:
        machine.home.chmod(0o777)
    else:
        os.chown(machine.home, owner, -1)
    found = the_error(machine.examine("store"))
    assert found.says.endswith(f" in {machine.home}.")
    assert found.todo == (
        f"Type `chmod o-w {machine.home}`."
        if owner is None
        else "Set SOE_AUTH_CONFIG_DIR to another directory."
    )


@pytest.mark.posix("file modes, which Windows does not have")
@pytest.mark.as_root
def test_an_unwritable_directory_is_an_error() -> None:
    def look() -> None:
        [finding] = check_store(Path("/no-such-directory"))
        assert (finding.says, finding.kind) == ("Cannot write to /.", StoreError)

    as_nobody(look)


@pytest.mark.posix("names that are too long for POSIX")
def test_an_impossible_directory_is_an_error(machine: Machine) -> None:
    machine.config = machine.home / ("x" * 300)
    tokens, locks, directory = machine.examine("store")
    assert tokens.says.endswith("tokens: File name too long.")
    assert locks.says.endswith("locks: File name too long.")
    assert directory.says == f"Cannot read {machine.config}: File name too long."


def test_the_token_of_each_profile_is_listed_and_no_token_is_a_warning(machine: Machine) -> None:
    machine.write(CONFIG.format("acme") + 'scope = "write_access"\n[profile.beta]\nsite = "beta"\n')
    machine.save_token()
    machine.save_token("odd-one")
    acme, beta, odd_one = machine.examine("token", site="http://localhost:1")
    assert acme.says.startswith("profile acme: token valid until ")
    assert (beta.verdict, beta.says) == ("warning", "profile beta: no token")
    assert beta.todo == "Type `soe-auth login -p beta --client-id ID`."
    assert odd_one.verdict == "ok"
    machine.now = lambda: time.time() + 7200
    late = one(machine.examine("token", profile="acme"))
    assert (late.verdict, late.says) == ("warning", "profile acme: token expired 1 h ago")


def test_a_token_in_the_environment_is_reported_and_checked(machine: Machine) -> None:
    given, _ = machine.examine("token", site="http://localhost:1", SOE_AUTH_TOKEN="canary"), None
    assert one(given).verdict == "warning"
    bad = one(machine.examine("token", SOE_AUTH_TOKEN="can ary"))
    assert (bad.verdict, bad.kind) == ("error", SettingsError)
    assert "can ary" not in bad.says


# --- the loopback --------------------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_busy_fixed_port_is_an_error(machine: Machine, taken: int) -> None:
    found = one(machine.examine("loopback", port=str(taken)))
    assert (found.verdict, exit_code(found.kind)) == ("error", 4)
    assert f"port {taken}" in found.says
    needless = machine.examine("loopback", port=str(taken), redirect="login_success")
    assert one(needless).verdict == "warning"


def test_the_port_is_released(machine: Machine) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for _ in range(2):
        assert {f.verdict for f in machine.examine("loopback", port=str(port))} == {"ok"}


def test_localhost_that_does_not_resolve_is_a_warning() -> None:
    def unknown(name: str, _port: int) -> tuple[str, ...]:
        raise OSError(name)

    *both, name = check_loopback(ANY_PORT, "localhost", resolve_name=unknown)
    assert {finding.verdict for finding in both} == {"ok"}
    assert name.says == "localhost does not resolve on this machine"


def test_a_name_below_localhost_needs_a_browser_that_resolves_it() -> None:
    def unknown(name: str, _port: int) -> tuple[str, ...]:
        raise OSError(name)

    *both, name = check_loopback(ANY_PORT, "soe-auth.localhost", resolve_name=unknown)
    assert {finding.verdict for finding in both} == {"ok"}
    assert name.verdict == "warning"
    assert name.todo.startswith("Chrome, Edge and Firefox resolve it themselves; Safari")


def test_a_company_host_name_is_checked_with_what_browsers_need(machine: Machine) -> None:
    elsewhere = the_error(check_loopback(ANY_PORT, "192.0.2.7"))
    assert elsewhere.says.startswith(
        "Cannot use 192.0.2.7 for the redirect: it resolves to 192.0.2.7"
    )
    company = finding_for("login.corp.example", ("127.0.0.1",), 51423)
    assert company.verdict == "warning"
    assert "a proxy, DNS over HTTPS or HTTPS-only mode" in company.todo
    assert machine.examine("loopback", redirect_host="localhost")[-1].verdict == "ok"


def test_a_redirect_to_an_address_needs_no_name(machine: Machine) -> None:
    found = machine.examine("loopback", redirect_host="127.0.0.1")
    assert [finding.says.split()[0] for finding in found] == ["127.0.0.1", "[::1]"]


ALONE = """
import fcntl, os, socket, struct
from soe_auth.doctor.loopback import check_loopback
from soe_auth.model.network import ANY_PORT
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 0x49))  # SIOCSIFFLAGS: up, running
open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "w").write("1")
for finding in check_loopback(ANY_PORT, "localhost"):
    print(finding.verdict, finding.says)
"""


@pytest.mark.posix("makes a network of its own by unshare")
@pytest.mark.as_root
@pytest.mark.process
def test_a_machine_without_ipv6_is_a_warning() -> None:
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", "--net", *as_root, sys.executable, "-c", ALONE],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    v4, name, v6 = done.stdout.splitlines()
    assert v4.startswith("ok 127.0.0.1 answered")
    assert name.startswith("ok localhost")
    assert v6 == "warning no IPv6 on this machine; a login works without it"


def test_a_name_that_resolves_to_another_machine_is_an_error() -> None:
    elsewhere = finding_for("localhost", ("127.0.0.1", "192.0.2.7"), 51423)
    assert (elsewhere.verdict, elsewhere.kind) == ("error", LoginError)
    assert elsewhere.says.startswith("localhost resolves to 192.0.2.7")
    assert finding_for("localhost", (), 51423).verdict == "warning"
    silent = finding_for("::1", ("::1",), 51423, "no answer in 3 s")
    assert silent.says == "[::1] does not reach soe-auth's own port 51423: no answer in 3 s"


async def test_another_program_on_the_port_is_reported() -> None:
    async with always_answering(http(200, b"\x1b[31m")) as other:
        assert other.port
        problem = await probe_port(("192.0.2.7", "127.0.0.1"), other.port)
    assert problem == "another program answered HTTP/1.1 200 X"
    refused = await probe_port(("127.0.0.1",), other.port)
    assert refused == "Connection refused"


@pytest.mark.slow
async def test_no_answer_on_the_port_is_reported(taken: int) -> None:
    async with always_answering(b"") as other:
        assert other.port
        assert await probe_port(("127.0.0.1",), other.port) == "connection closed without an answer"
    assert await probe_port(("127.0.0.1",), taken) == "no answer in 3 s"


# --- the site ------------------------------------------------------------------------------------


def test_a_hanging_name_lookup_times_out() -> None:
    never = Event()

    def hang(*_: object, **__: object) -> list[object]:
        never.wait()
        return []

    with pytest.raises(TimeoutError, match="no name server"):
        lookup_addresses("soe.example", 443, timeout=0.05, getaddrinfo=hang)
    never.set()


@pytest.mark.parametrize(
    ("client_id", "host", "verdict"),
    [("110", "localhost", "ok"), ("110", "127.0.0.1", "error"), ("999", "localhost", "error")],
)
def test_a_refused_client_id_or_domain_is_an_error(
    machine: Machine, site: Sandbox, client_id: str, host: str, verdict: str
) -> None:
    machine.write(f'[profile.acme]\nsite = "{site.url}"\nclient_id = "{client_id}"\n')
    found = one(machine.examine("registration", redirect_host=host))
    assert found.verdict == verdict
    assert f"client ID {client_id} with http://{host}:" in found.says
    if verdict == "ok":
        assert found.says.endswith("only a login is proof")
    assert site.exchanges == []


@pytest.mark.parametrize(
    ("answer", "is_refused"),
    [
        (http(400, b'{"error_message": "redirect_uri is not configured"}'), True),
        (http(400, b'{"error": {"type": "invalid_request", "message": "client_id"}}'), True),
        (http(200, b"<html>redirect_uri is not configured"), True),
        (http(302, b"", b"Location: /users/login?returnurl=redirect_uri"), False),
        (http(200, b"<html>Log in to redirect_uri"), False),
        (http(403, b"redirect_uri"), False),
        (http(503, b""), False),
    ],
)
async def test_only_the_vendor_s_refusal_counts_as_a_refusal(
    machine: Machine, answer: bytes, *, is_refused: bool
) -> None:
    async with always_answering(answer) as site:
        machine.write(f'[profile.acme]\nsite = "{site}"\nclient_id = "110"\n')
        found = await asyncio.to_thread(machine.examine, "registration")
    assert one(found).verdict == ("error" if is_refused else "ok")


async def test_a_refusal_in_a_page_of_a_megabyte_is_an_error(machine: Machine) -> None:
    page = http(400, b"<!-- styles -->" * 2**16 + b"redirect_uri is not configured")
    async with always_answering(page) as site:
        machine.write(f'[profile.acme]\nsite = "{site}"\nclient_id = "110"\n')
        found = await asyncio.to_thread(machine.examine, "registration")
    assert one(found).verdict == "error"


@pytest.mark.process
def test_a_probe_reports_responses_without_site_name_or_secret(
    soe_auth: Command, site: Sandbox
) -> None:
    done = soe_auth("doctor", "--probe", "--site", site.url, "--client-id", "110")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert {int(line.split()[0]) for line in lines} == {1, 2, 3, 4, 6, 7, 11, 13}
    for words in (
        "API v3 with a made-up token: HTTP 401, text/plain, not compressed, “Invalid access token”",
        "redirect to 127.0.0.1, port 8765: HTTP 400",
        "an unknown scope: HTTP 303, no Content-Type, not compressed, back with invalid_scope",
        "API 2.3 without a token: HTTP 400, application/json; charset=utf-8, gzip",
    ):
        assert words in done.stdout
    assert "localhost:" not in done.stdout
    assert str(site.port) not in done.stdout
    assert "110" not in done.stdout
    assert [dict(each.fields).get("code") for each in site.exchanges] == ["made-up", None]
    assert not (soe_auth.home / "config").exists()


@pytest.mark.process
async def test_a_probe_prints_no_control_characters(soe_auth: Command) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"\\u001b[2Jcleared": 1}'
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        words = ("doctor", "--probe", "--site", address, "--client-id", "110")
        done = await asyncio.to_thread(soe_auth, *words)
    assert done.returncode == 0, done.stderr
    assert "[2Jcleared" in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())


@pytest.mark.process
def test_a_probe_without_a_client_id_names_the_option(soe_auth: Command) -> None:
    done = soe_auth("doctor", "--probe", "--site", "http://localhost:1")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "  Add `--client-id ID`."


@pytest.mark.process
def test_a_probe_contacts_no_site_that_only_a_project_file_names(
    soe_auth: Command, site: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / ".soe-auth.toml").write_text(f'site = "{site.url}"\nclient_id = 110\n')
    done = soe_auth.within(tmp_path)("doctor", "--probe")
    assert done.returncode == 2
    assert "names the site" in done.stderr
    assert site.exchanges == []


async def at(site: object, machine: Machine, name: str = "") -> list[Finding]:
    """Check a site that runs in this test's own loop."""
    return await asyncio.to_thread(machine.examine, name, site=str(site))


@pytest.mark.parametrize(
    ("ahead", "verdict", "words"),
    [
        (0, "ok", r"within a minute of the site's"),
        (90, "warning", r"9\d s ahead of the site's"),
        (-3630, "error", r"1 h behind the site's"),
    ],
)
async def test_a_wrong_clock_is_reported(
    machine: Machine, ahead: float, verdict: str, words: str
) -> None:
    date = formatdate(time.time() - ahead, usegmt=True).encode()
    async with always_answering(http(401, b"", b"Date: " + date)) as site:
        found = one(await at(site, machine, "clock"))
    assert found.verdict == verdict
    assert re.fullmatch(words, found.says)
    assert found.kind == (SettingsError if verdict == "error" else None)


@pytest.mark.parametrize("header", [(), (b"Date: soon",)])
async def test_a_site_without_a_date_header_is_a_warning(
    machine: Machine, header: tuple[bytes]
) -> None:
    async with always_answering(http(401, b"", *header)) as site:
        assert one(await at(site, machine, "clock")).verdict == "warning"


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (http(200, b"<html>Welcome"), "error", "does not answer like an SOE site: HTTP 200"),
        (http(404, b"<html>Nothing"), "error", "HTTP 404 from its API, 404 from /oauth"),
        (http(503, b"later"), "warning", "fails: HTTP 503"),
        (
            http(403, b"<html>No", b"Content-Type: text/html"),
            "warning",
            "refuses requests from",
        ),
        (http(403, b"{}", b"Content-Type: application/json"), "ok", "answers like an SOE site"),
        (
            http(302, b"", b"Location: https://idp.example/login?secret"),
            "warning",
            "redirects API requests to idp.example",
        ),
        (http(302, b"", b"Location: /login"), "warning", "to its own page"),
        (http(302, b"", b"Location: https://[/"), "warning", "to its own page"),
    ],
)
async def test_a_site_that_is_not_soe_is_recognised(
    machine: Machine, answer: bytes, verdict: str, words: str
) -> None:
    async with always_answering(answer) as site:
        found = one(await at(site, machine, "site"))
    assert found.verdict == verdict
    assert words in found.says
    assert found.kind == (ServerError if verdict == "error" else None)


async def test_an_unreachable_site_is_a_network_error(machine: Machine) -> None:
    async with always_answering(b"") as site:
        hung_up = the_error(await at(site, machine))
    assert (hung_up.name, hung_up.kind) == ("connection", NetworkError)
    refused = the_error(await at(site, machine))
    assert "refused" in refused.says


def test_a_site_without_consent_is_not_contacted(machine: Machine, taken: int) -> None:
    (machine.home / ".soe-auth.toml").write_text(f'site = "https://127.0.0.1:{taken}"\n')
    found = one(machine.examine("site"))
    assert found.verdict == "warning"
    assert "you have not agreed to it" in found.says
    assert not {f.name for f in machine.examine()} & {"DNS", "proxy", "connection", "clock"}


# --- proxy and TLS -------------------------------------------------------------------------------


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA(organization_name="Private Authority of a Test")


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_a_certificate_is_reported_with_its_issuer(soe_auth: Command, ca: trustme.CA) -> None:
    ca.cert_pem.write_to_path(str(soe_auth.home / "ca.pem"))
    with running(strict=True, ssl_context=tls(ca.issue_cert("localhost"))) as site:
        trusting = soe_auth.with_variables(SSL_CERT_FILE=str(soe_auth.home / "ca.pem"))
        trusted = trusting("doctor", "--site", site.url)
        unknown = soe_auth("doctor", "--site", site.url)
    assert trusted.returncode == 0
    assert "with a trusted certificate, issued by " in trusted.stdout
    assert "Private Authority of a Test" in trusted.stdout
    assert unknown.returncode == 6
    assert "its certificate is not trusted" in unknown.stdout
    assert "Private Authority of a Test" in unknown.stdout


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
async def test_a_proxy_of_the_environment_is_shown_without_its_password(
    soe_auth: Command, ca: trustme.CA
) -> None:
    ca.cert_pem.write_to_path(str(soe_auth.home / "ca.pem"))
    with running(strict=True, host="soe.test", ssl_context=tls(ca.issue_cert("soe.test"))) as site:
        async with forwarding() as proxy:
            command = soe_auth.with_variables(
                HTTPS_PROXY=f"http://jane:canary@127.0.0.1:{proxy.port}",
                SSL_CERT_FILE=str(soe_auth.home / "ca.pem"),
            )
            done = await asyncio.to_thread(command, "doctor", "--site", site.url)
    assert done.returncode == 0, done.stdout
    assert (
        f"proxy: http://127.0.0.1:{proxy.port}, with a login (from HTTPS_PROXY);"
        " not used for loopback\n"
    ) in done.stdout
    assert "ok       DNS: cannot resolve soe.test: " in done.stdout
    assert "canary" not in done.stdout
    assert "jane" not in done.stdout


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_an_unusable_proxy_is_an_error_and_the_site_is_not_contacted(soe_auth: Command) -> None:
    broken = soe_auth.with_variables(ALL_PROXY="socks5://jane:canary@127.0.0.1:9")
    done = broken("doctor", "--site", "https://soe.test")
    assert done.returncode == 6
    assert "error    proxy: Cannot use the proxy of the environment: it is not" in done.stdout
    assert "DNS" not in done.stdout
    assert "canary" not in done.stdout


def test_a_proxy_of_the_settings_is_shown_with_its_origin(machine: Machine) -> None:
    given = {"site": "https://soe.test", "SOE_AUTH_PROXY": "http://jane:canary@127.0.0.1:9"}
    found = machine.examine(**given)
    output = one([finding for finding in found if finding.name == "proxy"]).says
    assert output == "http://127.0.0.1:9, with a login (from SOE_AUTH_PROXY); not used for loopback"
    assert the_error(found).name == "connection"
    assert "canary" not in str(found)
    environ = {"SOE_AUTH_CONFIG_DIR": str(machine.config)}
    settings = resolve({"site": "https://soe.test"}, environ=environ)
    of_the_desktop = proxy_finding(settings, Proxy.parse("proxy.test:3128"), {})
    assert of_the_desktop.says.startswith("http://proxy.test:3128 (from the system's settings)")


def test_an_unreadable_ca_bundle_is_an_error(machine: Machine) -> None:
    bundle = str(machine.home / "none.pem")
    found = the_error(machine.examine(site="https://localhost:1", SOE_AUTH_CA_BUNDLE=bundle))
    assert (found.name, found.kind) == ("connection", SettingsError)
    assert bundle in found.says
