"""The store under faults: killed at every system call, on a full disk, with many writers.

strace kills the writer, or injects an error, at a given system call.
"""

import hashlib
import os
import re
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import BROWSER, TOKEN, Command

import soe_auth
from soe_auth import Secret, Token
from soe_auth.sandbox import Sandbox
from soe_auth.storage.file_store import FileStore, token_to_json

pytestmark = [
    pytest.mark.posix("strace injects the faults"),
    pytest.mark.process,
    pytest.mark.timeout(180),
]

NOWHERE = Path(os.devnull)
# Without coverage, which adds system calls and files.
PLAIN = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
PACKAGE = Path(soe_auth.__file__).parent
OLD = TOKEN
NEW = replace(TOKEN, access_token=Secret("new" * 1000), account="Sam Roe")

# The marks show in the trace where the work begins and ends.
WORK = """
import sys
sys.path.append(sys.argv[2])
import fcntl, os, time
from pathlib import Path
from soe_auth import StoreError
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.file_store import token_from_json

def mark(place):
    try:
        os.stat("/soe-auth-" + place)
    except FileNotFoundError:
        pass

store = FileStore(Path(sys.argv[1]), report=print)
new = token_from_json(sys.stdin.buffer.read())
time.strftime("%Y", time.gmtime(0))
mark("begins")
try:
    {work}
except StoreError as problem:
    print(problem, file=sys.stderr)
    sys.exit(7)
mark("ends")
"""

# The number of memory calls differs from run to run.
OF_MEMORY = re.compile(r"brk|mmap|mremap|munmap|mprotect|madvise")


@dataclass(frozen=True)
class Writer:
    """A process that does something to the token of acme in a config directory."""

    work: str
    directory: Path

    @property
    def library(self) -> Path:
        """A directory with our package alone, which does not change during the test.

        Python lists a changed directory of its path again, with more system calls than counted.
        """
        library = self.directory.with_name("library")
        library.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            (library / PACKAGE.name).symlink_to(PACKAGE)
        return library

    def run(self, *strace: str, trace: Path = NOWHERE) -> subprocess.CompletedProcess[bytes]:
        script = WORK.format(work=self.work)
        return subprocess.run(
            [
                "strace",
                "-qq",
                "-o",
                trace,
                *strace,
                sys.executable,
                *("-I", "-S", "-B", "-c", script),
                self.directory,
                self.library,
            ],
            env=PLAIN,
            input=token_to_json(NEW),
            capture_output=True,
            check=False,
            timeout=60,
        )

    def run_with(self, effect: str, call: str, number: int) -> subprocess.CompletedProcess[bytes]:
        """Run it with a fault at one system call; only calls of that name are printed."""
        return self.run("-e", f"trace={call}", "-e", f"inject={call}:{effect}:when={number}")

    def system_calls(self, trace: Path) -> list[tuple[str, int]]:
        """Run it; return its system calls, each with its name and its number among those."""
        done = self.run(trace=trace)
        assert done.returncode == 0, done.stderr
        calls = [line.partition("(")[0] for line in trace.read_text().splitlines()]
        begins, ends = (
            next(n for n, line in enumerate(trace.read_text().splitlines()) if mark in line)
            for mark in ("/soe-auth-begins", "/soe-auth-ends")
        )
        counted: Counter[str] = Counter()
        numbered = []
        for call in calls:
            counted[call] += 1
            numbered.append((call, counted[call]))
        return [
            call
            for call in numbered[begins + 1 : ends]
            if re.fullmatch(r"\w+", call[0]) and not OF_MEMORY.fullmatch(call[0])
        ]


def nothing(_directory: Path) -> None:
    pass


def a_token(directory: Path) -> None:
    FileStore(directory, report=print).save("acme", OLD)


def a_token_and_a_leftover(directory: Path) -> None:
    a_token(directory)
    (directory / "tokens" / ".acme.json.0123456789abcdef.new").write_bytes(b"half")
    (directory / "tokens").chmod(0o755)


def a_corrupt_file(directory: Path) -> None:
    a_token(directory)
    (directory / "tokens" / "acme.json").write_bytes(b"{")


# Each: the work, the preparation, and the tokens allowed after a kill.
WORKS: dict[str, tuple[str, Callable[[Path], None], list[Token | None]]] = {
    "first save": ("store.save('acme', new)", nothing, [None, NEW]),
    "save over another": ("store.save('acme', new)", a_token, [OLD, NEW]),
    "save that cleans up": ("store.save('acme', new)", a_token_and_a_leftover, [OLD, NEW]),
    "removal": ("store.remove('acme', store.load('acme'))", a_token, [OLD, None]),
    "setting aside": ("store.load('acme')", a_corrupt_file, [None]),
}


@pytest.fixture
def numbered(tmp_path: Path) -> Callable[[], Path]:
    """Give a new config directory each time."""
    count = iter(range(10_000))
    return lambda: tmp_path / f"config-{next(count)}"


@pytest.mark.needs("strace")
@pytest.mark.parametrize("name", WORKS)
def test_a_writer_killed_at_any_system_call_leaves_the_old_token_or_the_new_one(
    name: str, tmp_path: Path, numbered: Callable[[], Path]
) -> None:
    work, prepare, allowed = WORKS[name]
    prepare(whole := numbered())
    calls = Writer(work, whole).system_calls(tmp_path / "trace")
    assert {"flock", "fsync"} < {call for call, _ in calls}

    def kill_at(step: tuple[str, int]) -> None:
        call, number = step
        prepare(directory := numbered())
        done = Writer(work, directory).run_with("signal=KILL", call, number)
        assert done.returncode == -9, (step, done.stdout, done.stderr)
        reports: list[str] = []
        store = FileStore(directory, report=reports.append)
        assert store.load("acme") in allowed, step
        assert all("it is private now" in report or name == "setting aside" for report in reports)
        store.save("acme", OLD)
        assert store.load("acme") == OLD
        left = {path.name for path in (directory / "tokens").iterdir()} - {"acme.json"}
        assert all(".corrupt-" in entry for entry in left)
        assert bool(left) == (name == "setting aside")

    # Linux skips a call before which SIGKILL arrives: the next one shows a kill after it.
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(kill_at, calls))


# Calls that reach a disk.
OF_THE_DISK = re.compile(r"open|close|stat|mkdir|chmod|write|f(data)?sync|rename|unlink|getdents")


@pytest.mark.needs("strace")
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "EDQUOT", "EROFS"])
def test_a_disk_fault_at_any_system_call_is_reported_and_loses_nothing(
    fault: str, tmp_path: Path, numbered: Callable[[], Path]
) -> None:
    a_token(whole := numbered())
    writer = Writer("store.save('acme', new)", whole)
    calls = [c for c in writer.system_calls(tmp_path / "trace") if OF_THE_DISK.search(c[0])]
    renamed = next(n for n, (call, _) in enumerate(calls) if call.startswith("rename"))
    assert len(calls) > 8

    def fail_at(position: int) -> int:
        call, number = calls[position]
        a_token(directory := numbered())
        done = Writer("store.save('acme', new)", directory).run_with(f"error={fault}", call, number)
        token = FileStore(directory, report=print).load("acme")
        if done.returncode == 0:  # the call was optional, as in the search for stale files
            assert token == NEW
            return 0
        assert done.returncode == 7, (call, done.stderr)
        assert token == (NEW if position > renamed else OLD)
        [sentence] = done.stderr.decode().splitlines()
        assert "Cannot write " in sentence
        assert "new" * 1000 not in sentence
        return 1

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(fail_at, range(len(calls)))) > 5


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("flock:error=ENOLCK", 0, "has no locks: logins that run at the same time do not wait"),
        ("flock:error=ENOSYS", 0, "has no locks: logins that run at the same time do not wait"),
        ("flock:error=EOPNOTSUPP", 0, "has no locks: logins that run at the same time do not"),
        # The second fsync of each file is that of its directory.
        ("fsync:error=EINVAL:when=2+2", 0, "Saved profile"),
        ("fsync:error=EOPNOTSUPP:when=2+2", 0, "Saved profile"),
        ("fchmod,chmod,fchmodat:error=EPERM", 0, "Saved profile"),
        ("fchmod,chmod,fchmodat:retval=0", 7, "cannot be changed (its file system keeps it)"),
    ],
)
def test_a_limited_file_system_ends_a_login_only_if_others_could_read_the_token(
    soe_auth: Command, site: Sandbox, fault: str, code: int, message: str
) -> None:
    if code:
        (soe_auth.home / "config" / "tokens").mkdir(parents=True)
        (soe_auth.home / "config" / "tokens").chmod(0o755)
    login = (
        soe_auth.path,
        "login",
        "--site",
        site.url,
        "--client-id",
        "110",
        "--browser",
        BROWSER,
    )
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject={fault}", *login],
        env=soe_auth.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.count(message) == 1
    assert ("Opening" in done.stderr) == (code == 0)
    assert "is private now" not in done.stderr
    assert (soe_auth("token").returncode == 0) == (code == 0)


def under_a_mount(command: Command, mounting: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run soe-auth in its own mount namespace, after the given mounts."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return subprocess.run(
        ["unshare", "--mount", *as_root, "sh", "-ec", f'{mounting}\nexec "$@"', "sh", *argv],
        env=command.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def login_again(command: Command) -> tuple[str, ...]:
    return (
        command.path,
        "login",
        "--browser",
        f"{sys.executable} -m soe_auth.sandbox.scripted_browser",
    )


@pytest.mark.as_root
def test_a_full_disk_is_exit_7_and_keeps_the_old_token(signed_in: Command) -> None:
    config = signed_in.home / "config"
    before = signed_in("token").stdout
    look = f"{signed_in.path} doctor >&2; test $? -eq 7 && echo found it >&2"
    done = under_a_mount(
        signed_in,
        f"""
        cp -a {config} {signed_in.home}/copy
        mount -t tmpfs -o size=64k,mode=0700 none {config}
        cp -a {signed_in.home}/copy/. {config}
        dd if=/dev/zero of={config}/ballast bs=1k 2>/dev/null || true
        """,
        *("sh", "-c", f'"$@"; code=$?; {look}; {signed_in.path} token; exit $code', "sh"),
        *login_again(signed_in),
    )
    assert done.returncode == 7, done.stderr
    login, _, doctor = done.stderr.partition("versions:")
    assert "No space left on device" in login
    assert f"Cannot write a token to {config}: No space left on device" in doctor
    assert "found it" in doctor
    assert "Traceback" not in done.stderr
    assert done.stdout == before


@pytest.mark.as_root
def test_a_read_only_disk_is_exit_7_before_a_browser_is_opened(signed_in: Command) -> None:
    config = signed_in.home / "config"
    mounting = f"mount --bind {config} {config}\nmount -o remount,ro,bind {config}"
    done = under_a_mount(signed_in, mounting, *login_again(signed_in))
    assert done.returncode == 7, done.stderr
    assert "Read-only file system" in done.stderr
    assert "Opening" not in done.stderr
    token = under_a_mount(signed_in, mounting, signed_in.path, "token")
    assert (token.returncode, token.stdout) == (0, signed_in("token").stdout)


def test_a_limit_on_file_sizes_is_reported_like_a_full_disk(tmp_path: Path) -> None:
    a_token(tmp_path)
    done = subprocess.run(
        [
            *(sys.executable, "-I", "-c", WORK.format(work="store.save('acme', new)")),
            *(tmp_path, PACKAGE.parent),
        ],
        env=PLAIN,
        input=token_to_json(NEW),
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
    )
    assert done.returncode == 7, done.stderr
    assert b"File too large" in done.stderr
    assert FileStore(tmp_path, report=print).load("acme") == OLD
    assert [path.name for path in (tmp_path / "tokens").iterdir()] == ["acme.json"]


def test_a_path_that_is_too_long_is_exit_7(soe_auth: Command) -> None:
    # The first directory can be created, but no file in it.
    length = os.pathconf("/", "PC_PATH_MAX") - len(f"{soe_auth.home}//locks//")
    just_too_long = "/".join(["d" * 200] * (length // 201) + ["d" * (length % 201)])
    for directory in (just_too_long, "x" * 300, "/".join(["y" * 200] * 30)):
        done = soe_auth.with_variables(
            SOE_AUTH_CONFIG_DIR=str(soe_auth.home / directory),
            SOE_AUTH_SITE="http://localhost:1",
            SOE_AUTH_CLIENT_ID="110",
        )("login", "--no-browser", "--timeout", "1s")
        assert done.returncode == 7, done.stderr
        assert "File name too long" in done.stderr
        assert "Traceback" not in done.stderr


PROCESSES = 50
WORKER = """
import hashlib, random, sys
from dataclasses import replace
from pathlib import Path
from soe_auth import Secret
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.file_store import token_from_json

reports = []
store = FileStore(Path(sys.argv[1]), report=reports.append)
chance = random.Random(int(sys.argv[2]))
plain = token_from_json(sys.stdin.buffer.read())
for _ in range(40):
    profile = chance.choice(["acme", "other"])
    match chance.randrange(4):
        case 0:
            account = str(chance.random()) * chance.randrange(1, 900)
            proof = hashlib.sha256(account.encode()).hexdigest()
            store.save(profile, replace(plain, account=account, access_token=Secret(proof)))
        case 1:
            store.remove(profile, store.load(profile))
        case _:
            if token := store.load(profile):
                proof = hashlib.sha256(token.account.encode()).hexdigest()
                assert token.access_token.reveal() == proof
assert reports == [], reports
"""


def test_fifty_processes_that_save_read_and_remove_never_see_a_torn_file(
    soe_auth: Command,
) -> None:
    config = soe_auth.home / "config"
    first = replace(
        TOKEN,
        account="first",
        access_token=Secret(hashlib.sha256(b"first").hexdigest()),
        expires_at="never",
    )
    FileStore(config, report=print).save("acme", first)
    workers = [
        subprocess.Popen(
            [sys.executable, "-I", "-c", WORKER, config, str(number)],
            env=PLAIN,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    ended = []
    reader = soe_auth.with_variables(
        SOE_AUTH_PROFILE="acme",
        SOE_AUTH_SITE=str(TOKEN.site),
        SOE_AUTH_CLIENT_ID=TOKEN.client_id,
        SOE_AUTH_SCOPE=str(TOKEN.scope),
    )
    with ThreadPoolExecutor(PROCESSES) as pool:
        waiting = [pool.submit(worker.communicate, token_to_json(first)) for worker in workers]
        while not all(done.done() for done in waiting):
            ended.append(reader("token"))
        errors = [done.result()[1] for done in waiting]
    assert [worker.returncode for worker in workers] == [0] * PROCESSES, errors
    assert {token.returncode for token in ended} <= {0, 3}
    for token in ended:
        assert re.fullmatch(r"([0-9a-f]{64}\n)?", token.stdout)
        assert (token.stdout == "") == (token.returncode == 3)
    left = {path.name for path in (config / "tokens").iterdir()}
    assert left <= {"acme.json", "other.json"}
