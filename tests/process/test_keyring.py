"""Tokens in the system's keyring: a real Secret Service, and backends that fail in every way.

The backends are classes of the keyring library, in a module on PYTHONPATH. `Box` stores its items
in a file; the variable BOX makes it fail, as `WHAT:AT`.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from conftest import BROWSER, TOKEN, Command

from soe_auth import Secret, StoreError, Token
from soe_auth.sandbox import Sandbox
from soe_auth.storage import open_store
from soe_auth.storage.file_store import FileStore, token_to_json
from soe_auth.storage.keyring_store import item_name

pytestmark = [
    pytest.mark.posix("is about the keyring of a Linux desktop; its stand-ins are not ported yet"),
    pytest.mark.process,
]

PASSWORD = "the keyring's own"
IN_FILE = replace(TOKEN, expires_at="never", obtained_at=2000.0)
IN_KEYRING = replace(IN_FILE, access_token=Secret("canary(2)*"), obtained_at=3000.0)
PROFILE = f"""
[profile.acme]
site = "{TOKEN.site}"
client_id = "{TOKEN.client_id}"
scope = "{TOKEN.scope}"
"""

BOX = """
import json, os, sys, time
from pathlib import Path
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

BOX = Path(os.environ.get("BOX_FILE", "/does/not/exist"))
WHAT, _, AT = os.environ.get("BOX", "").partition(":")


class Box(KeyringBackend):
    priority = 5
    calls = 0

    def does(self, when):
        Box.calls += when == "before"
        if AT not in ("", f"{when}{Box.calls}"):
            return
        if WHAT == "hang":
            time.sleep(1000)
        if WHAT == "die":
            os._exit(9)

    def items(self):
        return json.loads(BOX.read_text()) if BOX.exists() else {}

    def keep(self, items):
        BOX.write_text(json.dumps(items))

    def get_password(self, service, username):
        self.does("before")
        text = self.items().get(f"{service}/{username}")
        if WHAT == "leak" and text:
            raise ValueError(text)
        self.does("after")
        return text

    def set_password(self, service, username, password):
        self.does("before")
        if WHAT == "leak":
            raise SystemExit(password)
        if WHAT == "decline":
            raise NotImplementedError
        if WHAT == "cut":
            password = password[:100]
        if WHAT != "forget":
            self.keep({**self.items(), f"{service}/{username}": password})
        self.does("after")

    def delete_password(self, service, username):
        self.does("before")
        items = self.items()
        if WHAT != "cling":
            del items[f"{service}/{username}"]
        self.keep(items)
        self.does("after")


"""

WEAK = """
class Weak(Box):
    priority = 0.5

    def set_password(self, service, username, password):
        self.keep({**self.items(), f"{service}/{username}": password})

"""

OTHERS = """
class Bytes(Box):
    def get_password(self, service, username):
        return b"not a text"


class Odd(Box):
    @property
    def priority(self):
        raise RuntimeError("no \\x1b[31mway")
"""


@dataclass(frozen=True)
class Desk:
    """The command with a keyring and the profile acme, and what file and keyring hold."""

    command: Command
    box: Path

    def __call__(self, *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = self.command.with_variables(**variables)(*argv)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    @property
    def config(self) -> Path:
        return self.command.home / "config"

    @property
    def item(self) -> str:
        return f"soe-auth/{item_name(self.config, 'acme')}"

    @property
    def in_keyring(self) -> str | None:
        """The secret of acme in the keyring."""
        items = json.loads(self.box.read_text()) if self.box.exists() else {}
        return json.loads(items[self.item])["access_token"] if self.item in items else None

    @property
    def file(self) -> dict[str, Any]:
        """The file of acme; an empty one if there is none."""
        path = self.config / "tokens" / "acme.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    @property
    def places(self) -> set[str]:
        """Where a secret of acme is; "marked" if the file says that the keyring may have one."""
        found = {"keyring"} if self.in_keyring else set()
        if "access_token" in self.file:
            found.add("file")
        if "kept_in" in self.file:
            found.add("marked")
        return found

    def settle(self, place: str) -> None:
        """Set `store` in config.toml."""
        self.config.mkdir(exist_ok=True)
        (self.config / "config.toml").write_text(f'store = "{place}"\n{PROFILE}')

    def put_in_file(self, token: Token = IN_FILE) -> None:
        FileStore(self.config, report=print).write("acme", token, None)

    def put_in_keyring(self) -> None:
        FileStore(self.config, report=print).write("acme", IN_KEYRING, "in_keyring")
        self.box.write_text(json.dumps({self.item: token_to_json(IN_KEYRING).decode()}))


@pytest.fixture
def desk(soe_auth: Command) -> Desk:
    """A desk with the backend Box."""
    (soe_auth.home / "backends.py").write_text(BOX + WEAK + OTHERS)
    box = soe_auth.home / "box.json"
    command = soe_auth.with_variables(
        PYTHONPATH=str(soe_auth.home),
        PYTHON_KEYRING_BACKEND="backends.Box",
        BOX_FILE=str(box),
    )
    desk = Desk(command, box)
    desk.settle("keyring")
    return desk


@contextmanager
def session(home: Path) -> Iterator[dict[str, str]]:
    """Start a D-Bus session with gnome-keyring; yield the variables of the session."""
    daemon = "gnome-keyring-daemon --unlock --components=secrets --foreground"
    script = (
        f"printf %s {shlex.quote(PASSWORD)} | {daemon} >/dev/null 2>&1 &"
        ' echo "$DBUS_SESSION_BUS_ADDRESS"; cat; kill %1'
    )
    with TemporaryDirectory(prefix="run-", dir="/tmp") as run:  # its sockets need a short name
        variables = {"HOME": str(home), "XDG_RUNTIME_DIR": run}
        bus = subprocess.Popen(
            ["dbus-run-session", "--", "bash", "-mc", script],
            env={"PATH": os.environ["PATH"], **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert bus.stdin
        assert bus.stdout
        try:
            variables["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().strip()
            subprocess.run(
                ["gdbus", "wait", "--session", "--timeout", "20", "org.freedesktop.secrets"],
                env={"PATH": os.environ["PATH"], **variables},
                check=True,
            )
            yield variables
        finally:
            bus.stdin.close()
            bus.wait(20)
            bus.stdout.close()


@pytest.fixture
def at_home(soe_auth: Command) -> Iterator[Command]:
    """The command in a session with an unlocked keyring."""
    with session(soe_auth.home) as variables:
        yield soe_auth.with_variables(**variables)


def lock_keyring(command: Command) -> None:
    script = (
        "import secretstorage as s; c = s.get_default_collection(s.dbus_init()); c.lock();"
        "assert c.is_locked()"
    )
    subprocess.run([sys.executable, "-c", script], env=command.environ, check=True)


@pytest.mark.needs("dbus-run-session", "gnome-keyring-daemon", "gdbus")
def test_a_token_is_in_the_secret_service_and_in_no_file(at_home: Command, site: Sandbox) -> None:
    def does(*argv: str) -> str:
        done = at_home(*argv)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        return done.stdout.strip() or done.stderr

    def seen(secret: str) -> list[Path]:
        files = [path for path in at_home.home.rglob("*") if path.is_file()]
        return [path for path in files if secret.encode() in path.read_bytes()]

    does("config", "set", "store", "keyring")
    login = ("login", "--browser", BROWSER)
    does(*login, "--site", site.url, "--client-id", "110")
    first = does("token")
    assert "valid until" in does("status")
    assert does("status", "--check", "2h") == ""
    assert "valid, as Jane Doe" in does("status", "--verify")
    assert re.search(r"keyring: keyring.backends.SecretService.Keyring answers", does("doctor"))
    does(*login)
    second = does("token")
    assert second != first
    assert seen(first) == seen(second) == []
    assert (at_home.home / ".local" / "share" / "keyrings" / "login.keyring").exists()

    does("profile", "rename", f"localhost-{site.port}", "desk")
    assert does("token") == second
    assert seen(second) == []
    assert "has revoked it" in does("logout")
    assert at_home("token").returncode == 3
    assert not list((at_home.home / "config" / "tokens").iterdir())
    does("config", "unset", "store")
    does(*login)
    assert [path.suffix for path in seen(does("token"))] == [".json"]
    does("config", "set", "store", "keyring")
    assert "To replace it, type" in at_home("token").stderr
    does(*login)
    assert seen(does("token")) == []


@pytest.mark.needs("dbus-run-session", "gnome-keyring-daemon", "gdbus")
def test_two_config_directories_have_an_item_each(at_home: Command, site: Sandbox) -> None:
    desks = [
        at_home.with_variables(
            SOE_AUTH_CONFIG_DIR=str(at_home.home / name), SOE_AUTH_STORE="keyring"
        )
        for name in ("one", "two")
    ]
    for desk in desks:
        desk("login", "--browser", BROWSER, "--site", site.url, "--client-id", "110")
    first, second = (desk("token").stdout for desk in desks)
    assert first != second
    assert desks[0]("logout").returncode == 0
    assert desks[1]("token").stdout == second


@pytest.mark.needs("dbus-run-session", "gnome-keyring-daemon", "gdbus")
def test_a_locked_keyring_is_exit_7_before_a_browser_is_opened(
    at_home: Command, site: Sandbox
) -> None:
    at_home = at_home.with_variables(SOE_AUTH_STORE="keyring")
    flags = ("--site", site.url, "--client-id", "110", "--browser", BROWSER)
    assert at_home("login", *flags).returncode == 0
    lock_keyring(at_home)
    for command in (["token"], ["status"], ["status", "--check"], ["login", *flags], ["logout"]):
        done = at_home(*command)
        assert done.returncode == 7, (command, done.stderr)
        assert "soe-auth: Cannot use the keyring: it is locked." in done.stderr
        assert "Opening" not in done.stderr
    assert "the keyring: it is locked" in at_home("doctor").stdout


def test_without_a_keyring_nothing_is_stored_and_the_error_has_a_hint(
    soe_auth: Command, site: Sandbox
) -> None:
    soe_auth = soe_auth.with_variables(SOE_AUTH_STORE="keyring")
    done = soe_auth("login", "--site", site.url, "--client-id", "110", "--browser", BROWSER)
    assert done.returncode == 7
    assert "Cannot use the keyring: there is none here." in done.stderr
    assert "soe-auth config set store file" in done.stderr
    assert not list((soe_auth.home / "config" / "tokens").iterdir())


def test_without_the_library_the_error_says_how_to_install_it(desk: Desk) -> None:
    library = desk.command.home / "keyring"
    library.mkdir()
    (library / "__init__.py").write_text("raise ModuleNotFoundError")
    done = desk("token")
    assert done.returncode == 7
    assert "Install the library keyring beside soe-auth" in done.stderr
    assert "soe-auth[" not in done.stderr  # soe-auth is not on the index


# --- untrusted backends ---


def with_unconfigured_backends(desk: Desk, more: str) -> Desk:
    about = desk.command.home / "backends-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: backends\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[keyring.backends]\nbackends = backends\n")
    (desk.command.home / "backends.py").write_text(BOX + WEAK + more)
    variables = {**desk.command.variables}
    del variables["PYTHON_KEYRING_BACKEND"]
    return replace(desk, command=replace(desk.command, variables=variables))


@pytest.mark.parametrize(
    ("backend", "sentence"),
    [
        ("keyring.backends.null.Keyring", "the chosen backend (null) stores nothing"),
        ("keyring.backends.fail.Keyring", "there is none here"),
        ("keyring.backends.chainer.ChainerBackend", "there is none here"),
        ("no.such.Backend", "Cannot use the keyring: No module named 'no'."),
        ("backends.Odd", "Cannot use the keyring: no \N{REPLACEMENT CHARACTER}[31mway."),
        ("backends.Bytes", "Cannot use the keyring: it failed with AttributeError."),
    ],
)
def test_an_unusable_backend_is_refused(desk: Desk, backend: str, sentence: str) -> None:
    done = desk("token", PYTHON_KEYRING_BACKEND=backend)
    assert done.returncode == 7
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_weak_backend_is_used_only_if_it_is_configured(desk: Desk) -> None:
    desk.put_in_keyring()
    named = desk("token", PYTHON_KEYRING_BACKEND="backends.Weak")
    assert named.stdout == "canary(2)*\n"
    found = with_unconfigured_backends(desk, "Box.viable = False\nWeak.viable = True\n")("token")
    assert (found.returncode, found.stdout) == (7, "")
    assert "its developers do not recommend the only backend here (backends.Weak)" in found.stderr


def test_only_the_first_backend_of_a_chain_is_used(desk: Desk) -> None:
    desk.put_in_file()
    chain = with_unconfigured_backends(desk, "")
    for variables in ({}, {"PYTHON_KEYRING_BACKEND": "keyring.backends.chainer.ChainerBackend"}):
        done = chain("login", BOX="decline", **variables)
        assert done.returncode == 7
        assert "it failed with NotImplementedError." in done.stderr
        assert desk.in_keyring is None
    assert chain("login", "--no-browser", "--timeout", "1s").returncode == 4
    assert desk.in_keyring == "canary(1)*"


# --- failures ---


def test_the_message_of_a_failing_backend_is_not_shown(desk: Desk) -> None:
    desk.put_in_keyring()
    done = desk("token", "-v", BOX="leak")
    assert done.returncode == 7
    assert "it failed with ValueError." in done.stderr
    assert "canary" not in done.stderr + done.stdout
    desk.put_in_file()
    desk.box.unlink()
    done = desk("login", BOX="leak")
    assert (done.returncode, "it failed with SystemExit" in done.stderr) == (7, True)
    assert "canary" not in done.stderr + done.stdout


@pytest.mark.parametrize("what", ["cut", "forget"])
def test_a_backend_that_stores_another_text_loses_no_token(desk: Desk, what: str) -> None:
    desk.put_in_file()
    done = desk("login", BOX=what)
    assert done.returncode == 7
    assert "(backends.Box) did not return the token that was stored." in done.stderr
    assert desk.file["access_token"] == "canary(1)*"
    desk.settle("file")
    assert desk("token").stdout == "canary(1)*\n"


def test_a_login_whose_token_is_not_stored_fails(desk: Desk, site: Sandbox) -> None:
    flags = ("--site", site.url, "--client-id", "110", "--browser", BROWSER, "-p", "new")
    done = desk("login", *flags, BOX="forget")
    assert done.returncode == 7
    assert "did not return the token" in done.stderr
    stub = json.loads((desk.config / "tokens" / "new.json").read_text())
    assert stub["kept_in"] == "keyring"
    assert "access_token" not in stub
    assert desk("login", *flags).returncode == 0


def test_an_item_that_cannot_be_removed_is_an_error(desk: Desk) -> None:
    desk.put_in_keyring()
    done = desk("logout", "--local", BOX="cling")
    assert done.returncode == 7
    assert "did not remove the token" in done.stderr
    assert desk.places == {"keyring", "marked"}
    assert desk("logout", "--local").returncode == 0
    assert desk.places == set()


def test_an_item_that_is_no_token_is_reported_and_counts_as_none(desk: Desk) -> None:
    desk.put_in_keyring()
    desk.box.write_text(json.dumps({desk.item: "{"}))
    done = desk("token")
    assert done.returncode == 3
    assert "is not a token; the next login replaces it." in done.stderr


def test_a_call_to_a_hanging_keyring_times_out_and_the_process_ends(desk: Desk) -> None:
    started = time.monotonic()
    done = desk("token", BOX="hang")
    assert 9 < time.monotonic() - started < 25
    assert done.returncode == 7
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if "eyring" in line]
    assert lines[0] == "Waiting for the keyring, which may ask you to unlock it …"
    assert lines[1] == "soe-auth: Cannot use the keyring: it did not answer within 10 s."


@pytest.mark.parametrize("argv", [["token"], ["login", "--no-browser"]])
def test_ctrl_c_ends_the_wait_for_a_keyring(desk: Desk, argv: list[str]) -> None:
    process = desk.command.with_variables(BOX="hang").started(*argv)
    assert process.stderr
    assert "Waiting for the keyring" in process.stderr.readline()
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - started < 5
    assert "interrupted" in stderr


def test_a_second_call_to_a_hanging_keyring_fails_at_once(desk: Desk) -> None:
    script = """
import time
from soe_auth import StoreError
from soe_auth.storage.keyring_store import KeyringBackend
reports = []
keyring = KeyringBackend(reports.append, timeout=0.3)
for _ in range(2):
    started = time.monotonic()
    try:
        keyring.get("x")
    except StoreError as problem:
        print(problem, problem.hint, time.monotonic() - started < 0.2, reports)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=desk.command.with_variables(BOX="hang").environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    first, second = done.stdout.splitlines()
    assert "did not answer within" in first
    assert "False ['Waiting for the keyring" in first
    assert "True" in second


# --- two stores ---


def test_a_token_in_a_file_is_not_used_with_store_keyring(desk: Desk) -> None:
    desk.put_in_file()
    done = desk("token")
    assert (done.returncode, done.stdout) == (3, "")
    assert "is in a file, but the setting is store = keyring." in done.stderr
    assert "is in a file" in desk("status").stderr
    assert "is in a file" in desk("doctor").stdout
    assert "Type `soe-auth logout -p acme`, then `soe-auth login" in desk("doctor").stdout
    assert desk.places == {"file"}


def test_a_token_in_the_keyring_is_not_used_with_store_file(desk: Desk) -> None:
    desk.put_in_keyring()
    desk.settle("file")
    done = desk("token", BOX="hang")  # which is not called
    assert (done.returncode, done.stdout) == (3, "")
    assert "is in the keyring, but the setting is store = file." in done.stderr
    assert "is in the keyring" in desk("doctor").stdout
    assert desk.places == {"keyring", "marked"}


def first_login(desk: Desk, site: Sandbox, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Log in without a config.toml."""
    (desk.config / "config.toml").unlink(missing_ok=True)
    flags = ("-p", "acme", "--site", site.url, "--client-id", "110", "--browser", BROWSER)
    return desk("login", *flags, **variables)


def test_a_login_moves_a_token_from_the_file_and_revokes_it(desk: Desk, site: Sandbox) -> None:
    assert first_login(desk, site).returncode == 0
    assert desk.places == {"file"}
    old = desk.file["access_token"]
    again = desk("login", "-v", "--browser", BROWSER, SOE_AUTH_STORE="keyring")
    assert again.returncode == 0, again.stderr
    assert "The replaced token: ended" in again.stderr
    assert desk.places == {"keyring", "marked"}
    assert desk.in_keyring != old


@pytest.mark.parametrize("settled", ["file", "keyring"])
@pytest.mark.parametrize("put", [Desk.put_in_file, Desk.put_in_keyring])
def test_a_logout_removes_a_token_from_either_store(
    desk: Desk, put: Callable[[Desk], None], settled: str
) -> None:
    desk.settle(settled)
    put(desk)
    done = desk("logout", "--all", "--local")
    assert done.returncode == 0, done.stderr
    assert "is deleted from this machine" in done.stderr
    assert desk.places == set()


def test_a_marked_file_is_not_removed_without_its_item(desk: Desk) -> None:
    desk.put_in_keyring()
    with pytest.raises(StoreError, match="the keyring may hold its token"):
        FileStore(desk.config, report=print).remove("acme", IN_KEYRING)
    assert desk.places == {"keyring", "marked"}


def test_profiles_are_listed_without_a_call_to_the_keyring(desk: Desk) -> None:
    desk.put_in_keyring()
    assert open_store(desk.config, "keyring", report=print).profiles() == ["acme"]


def test_the_python_api_uses_the_keyring(desk: Desk) -> None:
    desk.put_in_keyring()
    script = """
import soe_auth
print(soe_auth.get_token("acme").reveal())
[status] = soe_auth.status()
print(status.problem)
print(soe_auth.logout("acme", local=True).on_site)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=desk.command.environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.splitlines() == ["canary(2)*", "None", "None"]
    assert desk.places == set()


# --- another store ---


def test_changing_the_store_names_each_token_that_stays_behind(desk: Desk) -> None:
    own = '[profile.acme]\nstore = "file"\n'
    (desk.config / "config.toml").write_text(
        PROFILE.replace("[profile.acme]\n", own) + PROFILE.replace("acme]", "other]")
    )
    store = FileStore(desk.config, report=print)
    for profile in ("acme", "other", "gone"):
        store.save(profile, IN_FILE)
    named = r"profile (\w+) stays in the (\w+) and is no longer used"
    output = desk("config", "set", "store", "keyring").stderr
    assert re.findall(named, output) == [("gone", "file"), ("other", "file")]
    assert "Type `soe-auth logout -p other`, then `soe-auth login -p other`." in output
    output = desk("config", "unset", "store", "-p", "acme").stderr
    assert re.findall(named, output) == [(name, "file") for name in ("acme", "gone", "other")]
    assert "stays in" not in desk("config", "set", "store", "file").stderr


def test_a_login_with_store_file_wants_a_logout_from_the_keyring_first(
    desk: Desk, site: Sandbox
) -> None:
    desk.put_in_keyring()
    refused = first_login(desk, site)
    assert refused.returncode == 7
    assert "the keyring may hold its token" in refused.stderr
    assert "Type `soe-auth logout -p acme` first" in refused.stderr
    assert "Opening" not in refused.stderr
    assert desk.places == {"keyring", "marked"}
    assert desk("logout", "-p", "acme", "--local").returncode == 0
    assert first_login(desk, site).returncode == 0
    assert desk.places == {"file"}


def test_removing_the_file_gives_up_a_lost_keyring(desk: Desk, site: Sandbox) -> None:
    desk.put_in_keyring()
    nowhere = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    assert (
        "Cannot use the keyring: there is none here."
        in desk("logout", "-p", "acme", "--local", **nowhere).stderr
    )
    path = desk.config / "tokens" / "acme.json"
    assert f"if that keyring no longer exists, remove {path}" in first_login(desk, site).stderr
    path.unlink()
    assert first_login(desk, site, **nowhere).returncode == 0
    assert desk("token", **nowhere).returncode == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", [True, False])
def test_a_process_killed_at_any_call_to_the_keyring_leaves_the_old_token_or_the_new_one(
    desk: Desk, *, first: bool
) -> None:
    script = """
import sys
from pathlib import Path
from soe_auth.storage import open_store
from soe_auth.storage.file_store import token_from_json
store = open_store(Path(sys.argv[1]), "keyring", report=print)
if sys.argv[2] == "save":
    store.save("acme", token_from_json(sys.stdin.buffer.read()))
else:
    store.remove("acme", store.load("acme"))
"""
    old = "" if first else "canary(2)*"
    for work in ("save", "remove"):
        for call in range(1, 30):
            (desk.config / "tokens" / "acme.json").unlink(missing_ok=True)
            desk.box.unlink(missing_ok=True)
            if not first:
                desk.put_in_keyring()
            done = subprocess.run(
                [sys.executable, "-c", script, desk.config, work],
                env=desk.command.with_variables(BOX=f"die:after{call}").environ,
                input=token_to_json(IN_FILE),
                capture_output=True,
                check=False,
                timeout=30,
            )
            assert "file" not in desk.places
            assert "keyring" not in desk.places or "marked" in desk.places
            if done.returncode == 0:
                break
            assert done.returncode == 9, done.stderr
            assert desk("token").stdout.strip() in {old, "canary(1)*" if work == "save" else ""}
            assert desk("logout", "--local").returncode == 0
            assert desk.places == set()
        else:
            pytest.fail("it never finished")
