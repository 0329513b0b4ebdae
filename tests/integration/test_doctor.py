"""Each thing that a login needs, in order and out of it, is seen; and nothing is touched."""

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
from soe_auth.cli.commands.doctor import exit_code_of
from soe_auth.doctor import Finding, examine
from soe_auth.doctor.local import look_at_place, look_at_versions
from soe_auth.doctor.loopback import LoopbackProbe, check_probe, look_at_loopback, probe_port
from soe_auth.doctor.remote import check_proxy
from soe_auth.doctor.stored import look_at_store
from soe_auth.loopback.sockets import lookup_addresses
from soe_auth.model.network import ANY_PORT, Proxy
from soe_auth.sandbox import Sandbox, running
from soe_auth.settings.resolve import resolve
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.login_lock import LoginLock
from soe_auth.storage.token_format import token_to_json

IS_ROOT = sys.platform != "win32" and os.geteuid() == 0
CONFIG = 'default_profile = "acme"\n[profile.acme]\nsite = "{}"\nclient_id = "110"\n'


class Ground:
    """A home with a config directory, and what is found on it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "config"
        self.config.mkdir(mode=0o700)
        self.store = FileStore(self.config, report=print)
        self.login_lock = LoginLock(self.config, report=print)
        self.now: Callable[[], float] = time.time

    def write(self, text: str) -> None:
        (self.config / "config.toml").write_text(text, encoding="utf-8")

    def keep(self, profile: str = "acme") -> Path:
        self.store.save(profile, replace(TOKEN, expires_at=time.time() + 3600))
        return self.config / "tokens" / f"{profile}.json"

    def look(self, name: str = "", **given: str) -> list[Finding]:
        """Examine; upper-case names are variables, the others flags. Only findings of that name."""
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
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    live_in(tmp_path, monkeypatch)
    return Ground(tmp_path)


def one(found: list[Finding]) -> Finding:
    [finding] = found
    return finding


def wrong(found: list[Finding]) -> Finding:
    return one([finding for finding in found if finding.verdict == "error"])


def snapshot(directory: Path) -> dict[str, object]:
    """All that a directory's entries are: kind, mode, owner, times of change, contents."""
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
def test_after_a_login_nothing_is_wrong(signed_in: Command, site: Sandbox) -> None:
    done = signed_in.with_variables(BROWSER=BROWSER)("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-2:] == ["", "Nothing is wrong."]
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
    # A container says what it is.
    assert {verdict for verdict, name in kinds if name != "place:"} == {"ok"}
    for words in (
        f"site is {site.url} (from ",
        f"1 token in {signed_in.home}/config, yours alone",
        f"profile localhost-{site.port}'s lasts until ",
        "127.0.0.1 answered at port ",
        "[::1] answered at port ",
        "localhost (127.0.0.1",
        f"{site.url} answers as an SOE does",
    ):
        assert words in done.stdout


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_what_is_wrong_stands_at_the_end_with_what_to_do(soe_auth: Command) -> None:
    done = soe_auth("doctor", "--site", "https://nowhere.invalid")
    assert (done.returncode, done.stderr) == (6, "")
    _, end = done.stdout.split("\nWhat is wrong, and what to do:\n")
    told, todo = end.splitlines()
    assert told.startswith("  DNS: nowhere.invalid is not known: ")
    assert todo.startswith("    See that there is a network, and the name is right; some are known")
    assert "connection:" not in done.stdout


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.process
@pytest.mark.parametrize("columns", [40, 80])
def test_in_a_narrow_window_lines_are_broken_between_words(soe_auth: Command, columns: int) -> None:
    lines = end_of(soe_auth.on_a_terminal("doctor", columns=columns))[1].split("\r\n")
    assert all(len(line) <= columns for line in lines if "`" not in line and "/" not in line)
    verdicts = re.compile(r"(ok|warning|error) +[a-zA-Z]+: ")
    *found, _, end, _ = lines
    assert all(verdicts.match(line) or line.startswith(" " * 9) for line in found)
    assert end == "Nothing is wrong."


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_programs_read_the_same_as_json(signed_in: Command) -> None:
    done = signed_in("doctor", "--json", "--browser", "/does/not/exist")
    assert (done.returncode, done.stderr) == (2, "")
    report = json.loads(done.stdout)
    assert report["version"] == 1
    [browser] = [finding for finding in report["findings"] if finding["name"] == "browser"]
    assert browser == {
        "name": "browser",
        "verdict": "error",
        "says": "/does/not/exist (from --browser) is not there, or is a browser for the terminal",
        "todo": "Name a command that is there, or take the setting away for the desktop's own.",
    }
    assert report["findings"][0]["todo"] is None


@pytest.mark.skipif(UNDER_WINE, reason="the Python there reads no PYTHONPATH")
@pytest.mark.process
def test_a_client_library_that_lacks_what_is_called_is_wrong(soe_auth: Command) -> None:
    (soe_auth.home / "httpx.py").touch()
    done = soe_auth.with_variables(PYTHONPATH=str(soe_auth.home))("doctor")
    assert done.returncode == 1
    assert "versions: httpx is not one that soe-auth can use: module 'httpx'" in done.stdout


@pytest.mark.process
def test_a_key_log_that_cannot_be_written_holds_nothing_up(
    soe_auth: Command, site: Sandbox
) -> None:
    unusable = soe_auth.with_variables(SSLKEYLOGFILE=str(soe_auth.home / "none" / "keys"))
    assert unusable("doctor").stdout.endswith("Nothing is wrong.\n")
    flags = ("--site", site.url, "--client-id", "110", "--browser", BROWSER)
    done = unusable("login", *flags)
    assert done.returncode == 0, done.stderr


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_nothing_is_changed_whatever_is_found(signed_in: Command, site: Sandbox) -> None:
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
    told = done.stdout + done.stderr
    assert token not in told
    assert "canary" not in told


def test_the_first_thing_wrong_gives_the_exit_code() -> None:
    kinds = (SettingsError, LoginError, ServerError, NetworkError, StoreError)
    codes = [exit_code_of(Finding("x", "error", "", "", kind)) for kind in kinds]
    assert codes == [2, 4, 5, 6, 7]


def test_a_look_that_breaks_off_is_told_and_the_next_goes_on(ground: Ground) -> None:
    def broken() -> float:
        raise ZeroDivisionError

    ground.keep()
    ground.now = broken
    found = ground.look()
    bug = wrong(found)
    assert bug.name == "token"
    assert re.fullmatch(r"this look broke off: ZeroDivisionError in \w+\.py, line \d+", bug.says)
    assert exit_code_of(bug) == 1
    assert [finding.name for finding in found].index("loopback") > found.index(bug)


# --- versions, settings, place, browser ----------------------------------------------------------


def test_a_library_that_is_missing_is_named() -> None:
    *_, found, missing = look_at_versions(["aiohttp", "no-such-library"])
    assert found.says.startswith("aiohttp 3.")
    assert (missing.verdict, missing.says) == ("warning", "not installed: no-such-library")
    *_, without_metadata = look_at_versions(["json"])  # as all are in a zip
    assert (without_metadata.verdict, without_metadata.says) == ("ok", "json")
    assert [finding.verdict for finding in look_at_versions(["no-such-library"])] == [
        "ok",
        "warning",
    ]


def test_without_a_profile_all_that_is_of_this_machine_is_looked_at(ground: Ground) -> None:
    found = ground.look()
    settings = one([finding for finding in found if finding.name == "settings"])
    assert settings.verdict == "warning"
    assert "no site is known" in settings.says
    assert "loopback" in {finding.name for finding in found}
    assert not {finding.name for finding in found} & {"DNS", "connection", "clock", "site"}


def test_settings_that_are_not_the_default_are_told_with_their_place(ground: Ground) -> None:
    ground.write(CONFIG.format("http://localhost:1") + 'min_ttl = "10m"\n')
    told = [finding.says for finding in ground.look("settings", SOE_AUTH_TIMEOUT="90s")]
    assert told[0] == "profile acme, as remembered"
    assert any(re.fullmatch(r"min_ttl is 10m \(from .*config\.toml.*\)", says) for says in told)
    assert "timeout is 1m30s (from SOE_AUTH_TIMEOUT)" in told
    assert not any(says.startswith("scope") for says in told)


def test_a_broken_config_is_told_and_the_rest_goes_on(ground: Ground) -> None:
    ground.write("[broken\n")
    assert not ground.look("token")
    ground.keep()
    found = ground.look()
    assert one([f for f in found if f.name == "token"]).says.startswith("1 kept here")
    broken = wrong(found)
    assert "config.toml is not valid TOML" in broken.says
    assert exit_code_of(broken) == 2
    assert [finding.name for finding in found][-1] == "loopback"


def test_a_value_that_is_wrong_in_another_profile_is_told_with_its_token(ground: Ground) -> None:
    ground.write(CONFIG.format("http://localhost:1") + '[profile.beta]\nport = "x"\n')
    found = [finding for finding in ground.look("token") if finding.verdict == "error"]
    assert one(found).says.startswith("port (from ")


def test_what_a_login_would_miss_is_told(ground: Ground) -> None:
    no_client_id = ground.look("settings", site="http://localhost:1")[1]
    assert (no_client_id.verdict, exit_code_of(no_client_id)) == ("warning", 1)
    assert no_client_id.says == "No client ID is set for localhost:1."
    assert wrong(ground.look(profile="nobody")).says == "There is no profile nobody."


def test_a_config_that_others_can_change_is_wrong(ground: Ground) -> None:
    ground.write(CONFIG.format("http://localhost:1"))
    let_others_change(ground.config / "config.toml")
    assert "chooses your site" in wrong(ground.look("settings")).says


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
def test_a_user_and_a_password_are_left_out_of_an_address(text: str, shown: str) -> None:
    told = Finding("x", "warning", f"it is {text}", text).without_passwords
    assert (told.says, told.todo) == (f"it is {shown}", shown)


def test_the_place_is_told_with_what_helps_there(ground: Ground) -> None:
    def look(**environ: str) -> Finding:
        return one(list(look_at_place(environ, None, root=ground.home)))

    assert (look().verdict, look().says[:19]) == ("ok", "this machine itself")
    vs_code = look(REMOTE_CONTAINERS="true")
    assert (vs_code.verdict, vs_code.says[:23]) == ("ok", "a development container")
    job = look(GITHUB_ACTIONS="true", SSH_CONNECTION="192.0.2.1 50000 192.0.2.2 22")
    assert (job.verdict, "ssh" in job.todo) == ("warning", False)
    over_ssh = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22", "USER": "jane"}
    assert "`ssh -L 8765:localhost:8765 jane@192.0.2.2`" in look(**over_ssh).todo
    [fixed] = look_at_place(over_ssh, 7654, root=ground.home)
    assert fixed.todo.endswith("and log in with --port 7654.")


@pytest.mark.posix("the commands that open a browser on a Linux desktop")
def test_the_browser_is_told_with_who_chose_it(ground: Ground) -> None:
    programs = ground.home / "bin"
    programs.mkdir()
    for name in ("xdg-open", "firefox"):
        program(programs, name)
    path = str(programs)

    def look(display: str = ":0", **given: str) -> Finding:
        [finding] = [
            f for f in ground.look(PATH=path, DISPLAY=display, **given) if f.name == "browser"
        ]
        return finding

    assert look(display="").verdict == "warning"
    assert look().says == f"{path}/xdg-open (the desktop's own)"
    assert look(BROWSER="firefox").says == f"{path}/firefox (BROWSER)"
    chosen = look(browser="firefox --new-window")
    assert chosen.says == f"{path}/firefox --new-window (--browser)"
    missing = look(SOE_AUTH_BROWSER="netscape")
    assert missing.verdict == "error"
    assert missing.says.startswith("netscape (from SOE_AUTH_BROWSER) is not there, ")


# --- what is kept --------------------------------------------------------------------------------


def test_a_store_that_is_as_it_should_be_is_told_in_a_line(ground: Ground) -> None:
    assert one(ground.look("store")).says == f"nothing yet in {ground.config}, yours alone"
    ground.keep()
    with ground.login_lock.acquire("acme"):
        assert one(ground.look("store")).says == f"1 token in {ground.config}, yours alone"
    ground.keep("beta")
    assert one(ground.look("store")).says == f"2 tokens in {ground.config}, yours alone"


@pytest.mark.posix("file modes, which Windows does not have")
def test_a_token_that_others_can_read_is_wrong(ground: Ground) -> None:
    path = ground.keep()
    path.chmod(0o640)
    found = one(ground.look("store"))
    assert (found.verdict, exit_code_of(found)) == ("error", 7)
    assert found.says == f"Others can read {path}, and so may have the token."
    assert f"`chmod 600 {path}`" in found.todo


@pytest.mark.posix("file modes, which Windows does not have")
def test_directories_and_locks_that_others_can_look_into_are_odd(ground: Ground) -> None:
    ground.keep()
    with ground.login_lock.acquire("acme"):
        pass
    loose = [ground.config / name for name in ("tokens", "locks", "locks/acme.lock")]
    for path in loose:
        path.chmod(0o755)
    found = ground.look("store")
    assert [finding.verdict for finding in found] == ["warning"] * 3
    assert [finding.todo for finding in found] == [
        f"To do it now, type `chmod {mode} {path}`."
        for mode, path in zip(("700", "700", "600"), loose, strict=True)
    ]


def link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


# Windows has no pipes in directories, and links of this kind need a privilege.
OF_POSIX = [] if sys.platform == "win32" else [(link, "is a link"), (pipe, "is not a regular file")]


def second_name(path: Path) -> None:
    path.write_bytes(token_to_json(TOKEN))
    path.chmod(0o600)
    path.with_name("second").hardlink_to(path)


def nonsense(path: Path) -> None:
    path.write_text("{")
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (second_name, r"it has a second name \(a hard link\), by which it can be changed"),
        (lambda path: path.mkdir(), "Is a directory|it is not a regular file"),
        (nonsense, "Expecting property name"),
        *OF_POSIX,
    ],
)
def test_what_stands_in_place_of_a_token_is_wrong(
    ground: Ground, make: Callable[[Path], None], said: str
) -> None:
    path = ground.keep()
    path.unlink()
    make(path)
    found = one(ground.look("store"))
    assert (found.verdict, found.kind) == ("error", StoreError)
    assert found.says.startswith(f"{path} cannot be used: ")
    assert re.search(said, found.says)
    assert one(ground.look("store", profile="acme")) == found


@pytest.mark.posix("symbolic links, which need a privilege on Windows")
def test_what_stands_in_place_of_a_lock_or_a_directory_is_wrong(ground: Ground) -> None:
    locks = ground.config / "locks"
    locks.mkdir(mode=0o700)
    link(locks / "acme.lock")
    assert one(ground.look("store")).says == f"{locks / 'acme.lock'} cannot be used: it is a link."
    (ground.config / "tokens").symlink_to(ground.home)
    assert "is a link or a file, not a directory" in ground.look("store")[0].says


@pytest.mark.posix("gives a file to another user, as root")
@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
@pytest.mark.as_root
def test_a_token_file_of_somebody_else_is_wrong(ground: Ground) -> None:
    os.chown(ground.keep(), NOBODY, NOBODY)
    assert "it belongs to another user" in wrong(ground.look("store")).says


def test_what_was_left_behind_is_odd_and_what_is_not_ours_is_left_out(ground: Ground) -> None:
    tokens = ground.keep().parent
    for name in (".acme.json.0011.new", "acme.json.corrupt-20260101T000000Z", "notes.txt"):
        (tokens / name).write_text("x")
    found = ground.look("store")
    assert [finding.verdict for finding in found] == ["warning", "warning"]
    assert "half written" in found[0].says
    assert "was set aside" in found[1].says


@pytest.mark.posix("file modes, which Windows does not have")
@pytest.mark.as_root
@pytest.mark.parametrize("owner", [None, NOBODY] if IS_ROOT else [None])
def test_a_store_below_a_directory_that_others_can_change_is_wrong(
    ground: Ground, owner: int | None
) -> None:
    ground.keep()
    if owner is None:
        ground.home.chmod(0o777)
    else:
        os.chown(ground.home, owner, -1)
    found = wrong(ground.look("store"))
    assert found.says.endswith(f" in {ground.home}.")
    assert found.todo == (
        f"Type `chmod o-w {ground.home}`."
        if owner is None
        else "Name another directory in SOE_AUTH_CONFIG_DIR."
    )


@pytest.mark.posix("file modes, which Windows does not have")
@pytest.mark.as_root
def test_a_place_where_nothing_can_be_kept_is_wrong() -> None:
    def look() -> None:
        [finding] = look_at_store(Path("/no-such-directory"))
        assert (finding.says, finding.kind) == ("You cannot write to /.", StoreError)

    as_nobody(look)


@pytest.mark.posix("names that are too long for POSIX")
def test_a_place_that_there_cannot_be_is_wrong(ground: Ground) -> None:
    ground.config = ground.home / ("x" * 300)
    tokens, locks, directory = ground.look("store")
    assert tokens.says.endswith("tokens cannot be used: File name too long.")
    assert locks.says.endswith("locks cannot be used: File name too long.")
    assert directory.says.endswith("cannot be looked at: File name too long.")


def test_the_token_of_each_profile_is_told_and_none_is_no_fault(ground: Ground) -> None:
    ground.write(CONFIG.format("acme") + 'scope = "write_access"\n[profile.beta]\nsite = "beta"\n')
    ground.keep()
    ground.keep("odd-one")
    acme, beta, odd_one = ground.look("token", site="http://localhost:1")
    assert acme.says.startswith("profile acme's lasts until ")
    assert (beta.verdict, beta.says) == ("warning", "profile beta has none")
    assert beta.todo == "Type `soe-auth login -p beta`."
    assert odd_one.verdict == "ok"
    ground.now = lambda: time.time() + 7200
    late = one(ground.look("token", profile="acme"))
    assert (late.verdict, late.says) == ("warning", "profile acme's expired 1 h ago")


def test_a_token_of_the_environment_is_told_and_held_to_its_form(ground: Ground) -> None:
    given, _ = ground.look("token", site="http://localhost:1", SOE_AUTH_TOKEN="canary"), None
    assert one(given).verdict == "warning"
    bad = one(ground.look("token", SOE_AUTH_TOKEN="can ary"))
    assert (bad.verdict, bad.kind) == ("error", SettingsError)
    assert "can ary" not in bad.says


# --- the loopback --------------------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_fixed_port_that_is_taken_is_wrong(ground: Ground, taken: int) -> None:
    found = one(ground.look("loopback", port=str(taken)))
    assert (found.verdict, exit_code_of(found)) == ("error", 4)
    assert f"port {taken}" in found.says
    needless = ground.look("loopback", port=str(taken), redirect="login_success")
    assert one(needless).verdict == "warning"


def test_the_port_is_given_back(ground: Ground) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for _ in range(2):
        assert {f.verdict for f in ground.look("loopback", port=str(port))} == {"ok"}


def test_a_machine_that_does_not_know_its_own_name_is_odd() -> None:
    def unknown(name: str, _port: int) -> tuple[str, ...]:
        raise OSError(name)

    *both, name = look_at_loopback(ANY_PORT, "localhost", os.urandom, known=unknown)
    assert {finding.verdict for finding in both} == {"ok"}
    assert name.says == "this machine does not know the name localhost"


def test_a_name_below_localhost_is_known_to_some_browsers_only() -> None:
    def unknown(name: str, _port: int) -> tuple[str, ...]:
        raise OSError(name)

    *both, name = look_at_loopback(ANY_PORT, "soe-auth.localhost", os.urandom, known=unknown)
    assert {finding.verdict for finding in both} == {"ok"}
    assert name.verdict == "warning"
    assert name.todo.startswith("Chrome, Edge and Firefox know it by themselves; Safari")


def test_a_name_of_a_company_is_looked_at_and_what_browsers_need_is_told(ground: Ground) -> None:
    elsewhere = wrong(look_at_loopback(ANY_PORT, "192.0.2.7", os.urandom))
    assert elsewhere.says.startswith(
        "Cannot use 192.0.2.7 for the redirect: it resolves to 192.0.2.7"
    )
    company = check_probe(LoopbackProbe("login.corp.example", ("127.0.0.1",)), 51423)
    assert company.verdict == "warning"
    assert "a proxy, DNS over HTTPS or HTTPS only" in company.todo
    assert ground.look("loopback", redirect_host="localhost")[-1].verdict == "ok"


def test_a_redirect_to_the_address_needs_no_name(ground: Ground) -> None:
    found = ground.look("loopback", redirect_host="127.0.0.1")
    assert [finding.says.split()[0] for finding in found] == ["127.0.0.1", "[::1]"]


ALONE = """
import fcntl, os, socket, struct
from soe_auth.doctor.loopback import look_at_loopback
from soe_auth.model.network import ANY_PORT
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 0x49))  # SIOCSIFFLAGS: up, running
open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "w").write("1")
for finding in look_at_loopback(ANY_PORT, "localhost", os.urandom):
    print(finding.verdict, finding.says)
"""


@pytest.mark.posix("makes a network of its own by unshare")
@pytest.mark.as_root
@pytest.mark.process
def test_a_machine_without_ipv6_is_told_and_does_without() -> None:
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
    assert v6 == "warning this machine has no IPv6; a login does without it"


def test_a_name_that_leads_elsewhere_is_wrong_and_one_that_is_unknown_odd() -> None:
    elsewhere = check_probe(LoopbackProbe("localhost", ("127.0.0.1", "192.0.2.7")), 51423)
    assert (elsewhere.verdict, elsewhere.kind) == ("error", LoginError)
    assert elsewhere.says.startswith("localhost is 192.0.2.7 here")
    assert check_probe(LoopbackProbe("localhost", ()), 51423).verdict == "warning"
    silent = check_probe(LoopbackProbe("::1", ("::1",), "did not answer in time"), 51423)
    assert silent.says == "[::1] was asked at port 51423, which is ours, and did not answer in time"


async def test_whoever_answers_in_our_place_is_told() -> None:
    async with always_answering(http(200, b"\x1b[31m")) as other:
        assert other.port
        assert await probe_port(("192.0.2.7", "127.0.0.1"), other.port) == "answered HTTP/1.1 200 X"
    refused = await probe_port(("127.0.0.1",), other.port)
    assert refused == "did not answer: Connection refused"


@pytest.mark.slow
async def test_whoever_hangs_up_or_never_answers_is_told(taken: int) -> None:
    async with always_answering(b"") as other:
        assert other.port
        assert await probe_port(("127.0.0.1",), other.port) == "answered nothing"
    assert await probe_port(("127.0.0.1",), taken) == "did not answer: nothing came in time"


# --- the site ------------------------------------------------------------------------------------


def test_a_look_up_that_hangs_is_waited_for_no_longer_than_is_said() -> None:
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
def test_what_the_site_refuses_before_a_sign_in_is_told(
    ground: Ground, site: Sandbox, client_id: str, host: str, verdict: str
) -> None:
    ground.write(f'[profile.acme]\nsite = "{site.url}"\nclient_id = "{client_id}"\n')
    found = one(ground.look("registration", redirect_host=host))
    assert found.verdict == verdict
    assert f"client ID {client_id} with http://{host}:" in found.says
    if verdict == "ok":
        assert found.says.endswith("more is known after a sign-in only")
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
async def test_only_the_vendors_refusal_counts_as_one(
    ground: Ground, answer: bytes, *, is_refused: bool
) -> None:
    async with always_answering(answer) as site:
        ground.write(f'[profile.acme]\nsite = "{site}"\nclient_id = "110"\n')
        found = await asyncio.to_thread(ground.look, "registration")
    assert one(found).verdict == ("error" if is_refused else "ok")


@pytest.mark.process
def test_a_probe_reports_what_a_site_answers_and_names_neither_it_nor_a_secret(
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
async def test_what_a_site_answers_a_probe_moves_no_cursor(soe_auth: Command) -> None:
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
def test_a_probe_asks_no_site_that_only_a_repository_names(
    soe_auth: Command, site: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / ".soe-auth.toml").write_text(f'site = "{site.url}"\nclient_id = 110\n')
    done = soe_auth.within(tmp_path)("doctor", "--probe")
    assert done.returncode == 2
    assert "names the site" in done.stderr
    assert site.exchanges == []


async def at(site: object, ground: Ground, name: str = "") -> list[Finding]:
    """Look at a site that runs in this test's own loop."""
    return await asyncio.to_thread(ground.look, name, site=str(site))


@pytest.mark.parametrize(
    ("ahead", "verdict", "said"),
    [
        (0, "ok", r"agrees with the site's to within a minute"),
        (90, "warning", r"9\d s ahead of the site's"),
        (-3630, "error", r"1 h behind the site's"),
    ],
)
async def test_a_clock_that_is_off_is_told(
    ground: Ground, ahead: float, verdict: str, said: str
) -> None:
    date = formatdate(time.time() - ahead, usegmt=True).encode()
    async with always_answering(http(401, b"", b"Date: " + date)) as site:
        found = one(await at(site, ground, "clock"))
    assert found.verdict == verdict
    assert re.fullmatch(said, found.says)
    assert found.kind == (SettingsError if verdict == "error" else None)


@pytest.mark.parametrize("header", [(), (b"Date: soon",)])
async def test_a_site_that_tells_no_time_is_odd(ground: Ground, header: tuple[bytes]) -> None:
    async with always_answering(http(401, b"", *header)) as site:
        assert one(await at(site, ground, "clock")).verdict == "warning"


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        (http(200, b"<html>Welcome"), "error", "does not answer as an SOE does: HTTP 200"),
        (http(404, b"<html>Nothing"), "error", "HTTP 404 from its API, 404 from /oauth"),
        (http(503, b"later"), "warning", "is in trouble: HTTP 503"),
        (http(403, b"<html>No", b"Content-Type: text/html"), "warning", "refuses to be asked"),
        (http(403, b"{}", b"Content-Type: application/json"), "ok", "answers as an SOE does"),
        (
            http(302, b"", b"Location: https://idp.example/login?secret"),
            "warning",
            "sends who asks its API to idp.example",
        ),
        (http(302, b"", b"Location: /login"), "warning", "to a page of its own"),
        (http(302, b"", b"Location: https://[/"), "warning", "to a page of its own"),
    ],
)
async def test_a_web_site_of_another_kind_is_told_from_an_soe(
    ground: Ground, answer: bytes, verdict: str, said: str
) -> None:
    async with always_answering(answer) as site:
        found = one(await at(site, ground, "site"))
    assert found.verdict == verdict
    assert said in found.says
    assert found.kind == (ServerError if verdict == "error" else None)


async def test_a_site_that_is_not_there_is_a_matter_of_the_network(ground: Ground) -> None:
    async with always_answering(b"") as site:
        hung_up = wrong(await at(site, ground))
    assert (hung_up.name, hung_up.kind) == ("connection", NetworkError)
    refused = wrong(await at(site, ground))
    assert "refused" in refused.says


def test_a_site_that_nobody_agreed_to_is_not_asked(ground: Ground, taken: int) -> None:
    (ground.home / ".soe-auth.toml").write_text(f'site = "https://127.0.0.1:{taken}"\n')
    found = one(ground.look("site"))
    assert found.verdict == "warning"
    assert "you have not agreed to it" in found.says
    assert not {f.name for f in ground.look()} & {"DNS", "proxy", "connection", "clock"}


# --- the way to it -------------------------------------------------------------------------------


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA(organization_name="Private Authority of a Test")


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_a_certificate_is_told_with_who_issued_it(soe_auth: Command, ca: trustme.CA) -> None:
    ca.cert_pem.write_to_path(str(soe_auth.home / "ca.pem"))
    with running(strict=True, ssl_context=tls(ca.issue_cert("localhost"))) as site:
        believing = soe_auth.with_variables(SSL_CERT_FILE=str(soe_auth.home / "ca.pem"))
        trusted = believing("doctor", "--site", site.url)
        unknown = soe_auth("doctor", "--site", site.url)
    assert trusted.returncode == 0
    assert "its certificate is trusted, issued by " in trusted.stdout
    assert "Private Authority of a Test" in trusted.stdout
    assert unknown.returncode == 6
    assert "its certificate is not trusted" in unknown.stdout
    assert "Private Authority of a Test" in unknown.stdout


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
async def test_a_proxy_of_the_environment_is_told_without_its_password(
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
        " none for the loopback\n"
    ) in done.stdout
    assert "ok       DNS: soe.test is not known: " in done.stdout
    assert "canary" not in done.stdout
    assert "jane" not in done.stdout


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_a_proxy_that_cannot_be_used_is_wrong_and_the_site_not_asked(soe_auth: Command) -> None:
    broken = soe_auth.with_variables(ALL_PROXY="socks5://jane:canary@127.0.0.1:9")
    done = broken("doctor", "--site", "https://soe.test")
    assert done.returncode == 6
    assert "error    proxy: The proxy that the environment names is no http" in done.stdout
    assert "DNS" not in done.stdout
    assert "canary" not in done.stdout


def test_a_proxy_of_the_settings_is_told_with_its_place(ground: Ground) -> None:
    given = {"site": "https://soe.test", "SOE_AUTH_PROXY": "http://jane:canary@127.0.0.1:9"}
    found = ground.look(**given)
    told = one([finding for finding in found if finding.name == "proxy"]).says
    assert told == "http://127.0.0.1:9, with a login (from SOE_AUTH_PROXY); none for the loopback"
    assert wrong(found).name == "connection"
    assert "canary" not in str(found)
    environ = {"SOE_AUTH_CONFIG_DIR": str(ground.config)}
    settings = resolve({"site": "https://soe.test"}, environ=environ)
    of_the_desktop = check_proxy(settings, Proxy.parse("proxy.test:3128"), {})
    assert of_the_desktop.says.startswith("http://proxy.test:3128 (from the system's settings)")


def test_a_file_of_cas_that_cannot_be_read_is_wrong(ground: Ground) -> None:
    bundle = str(ground.home / "none.pem")
    found = wrong(ground.look(site="https://localhost:1", SOE_AUTH_CA_BUNDLE=bundle))
    assert (found.name, found.kind) == ("connection", SettingsError)
    assert bundle in found.says
