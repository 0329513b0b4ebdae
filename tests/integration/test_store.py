import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import chdir, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import NOBODY, TOKEN, as_nobody

from soe_auth import Secret, Store, StoreError, Token
from soe_auth.files.atomic_write import locked, make_private_directory, quarantine, write_private
from soe_auth.files.lock import lock_directory
from soe_auth.files.private_read import (
    OtherUsersError,
    read_private,
    read_trusted,
    retry_while_open,
    secure_directory,
)
from soe_auth.settings.config_writer import write_settings
from soe_auth.storage.file_store import FileStore, token_to_json
from soe_auth.storage.keyring_store import KeyringBackend, KeyringStore
from soe_auth.storage.login_lock import LoginLock

if sys.platform != "win32":
    import fcntl
    import grp
    import pwd

OLD = replace(TOKEN, access_token=Secret("old"))
USER = 1  # "daemon" on every system, alone in its group


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, reports: list[str]) -> FileStore:
    return FileStore(tmp_path / "config", report=reports.append, now=lambda: 0.0)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_saved_token_loads_again(store: FileStore, reports: list[str]) -> None:
    store.save("acme", TOKEN)
    assert store.load("acme") == TOKEN
    assert store.profiles() == ["acme"]
    assert reports == []


def test_an_empty_store_has_no_token(store: FileStore) -> None:
    assert store.load("acme") is None
    assert store.profiles() == []
    assert not store.remove("acme", None)


def test_a_removed_token_is_gone(store: FileStore) -> None:
    store.save("acme", TOKEN)
    assert store.remove("acme", TOKEN)
    assert store.load("acme") is None


@pytest.mark.rfc("6749-10.3")
@pytest.mark.posix("file modes, which Windows does not have")
@pytest.mark.as_root
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077, 0o777])
def test_files_and_directories_are_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
        for parent in [tmp_path, *tmp_path.parents]:  # pytest keeps others out
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)

    def use(directory: Path) -> None:
        store = FileStore(directory / "a" / "config", report=print)
        login_lock = LoginLock(directory / "a" / "config", report=print)
        with (
            login_lock.acquire("acme"),
            login_lock.publish_address("acme", "http://localhost:1/x"),
        ):
            store.save("acme", TOKEN)
            login_lock.record_failure("acme")
            assert store.load("acme") == TOKEN
            assert {mode(path) for path in directory.rglob("*") if path.is_file()} == {0o600}
        write_settings(directory / "b" / "config" / "config.toml", "acme", {"site": "acme"})
        assert {mode(path) for path in directory.rglob("*") if path.is_dir()} == {0o700}

    def use_home() -> None:
        os.umask(umask)
        use(home)

    use(tmp_path / "first")  # loads the modules, which the other user may not be able to read
    as_nobody(use_home)


OTHER_USER = "it belongs to another user"


@pytest.mark.posix("owners and groups, which Windows has in its ACLs")
@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.as_root
@pytest.mark.parametrize(
    ("owner", "group", "mode", "linked_by", "reason"),
    [
        (USER, NOBODY, 0o644, None, ""),
        (USER, USER, 0o664, USER, ""),  # the user is alone in the group
        (USER, NOBODY, 0o664, None, "its group can change it"),
        (USER, 0, 0o664, None, "its group can change it"),
        (USER, USER, 0o646, None, "every user of this machine can change it"),
        (0, 0, 0o644, 0, ""),
        (NOBODY, USER, 0o644, None, OTHER_USER),
        (USER, USER, 0o644, NOBODY, f"a link to {OTHER_USER}"),
    ],
)
def test_a_file_that_another_user_can_change_is_not_read(
    owner: int, group: int, mode: int, linked_by: int | None, reason: str
) -> None:
    def read() -> None:
        with pytest.raises(OtherUsersError) if reason else nullcontext() as problem:
            assert read_trusted(path) == b"x"
        assert reason in str(problem)

    # Load the modules now: that user may not be able to read them.
    assert grp.getgrgid(USER).gr_name == pwd.getpwuid(USER).pw_name
    with TemporaryDirectory(dir="/tmp") as directory:  # that user can enter it
        os.chown(directory, USER, -1)
        path = Path(directory, "config.toml")
        path.write_bytes(b"x")
        path.chmod(mode)
        os.chown(path, owner, group)
        if linked_by is not None:
            path.rename(path.with_name("real"))
            path.symlink_to("real")
            os.chown(path, linked_by, -1, follow_symlinks=False)
        as_nobody(read, USER)


def test_a_file_that_its_group_can_change_is_read_if_only_this_user_is_in_the_group(
    tmp_path: Path,
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"x")
    path.chmod(0o664)
    with nullcontext() if has_private_group() else pytest.raises(OtherUsersError, match="group"):
        assert read_trusted(path) == b"x"


def test_a_file_that_every_user_can_change_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"x")
    path.chmod(0o646)
    is_private = sys.platform == "win32"  # which has no such mode
    with nullcontext() if is_private else pytest.raises(OtherUsersError, match="every user"):
        assert read_trusted(path) == b"x"


def test_a_file_that_is_no_token_does_not_hold_one(tmp_path: Path) -> None:
    store = FileStore(tmp_path, report=print)
    store.save("acme", TOKEN)
    store.path("acme").write_bytes(b"x")
    assert not store.update("acme", TOKEN)
    assert not store.remove("acme", TOKEN)


def has_private_group() -> bool:
    """Whether a file mode for the group lets only this user in: as on Windows, which has none."""
    if sys.platform == "win32":
        return True
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid())
    except KeyError:  # a container's user may have no name
        return False
    return group.gr_gid != 0 and user.pw_name == group.gr_name and not group.gr_mem


@pytest.mark.posix("file modes, which Windows does not have")
@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_a_file_or_directory_is_private_from_the_start(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_private(tmp_path / "file", b"x" * 2**20)
        make_private_directory(tmp_path / "directory")
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == 0o600
    assert mode(tmp_path / "directory") == 0o700


@pytest.mark.posix("file modes, which Windows does not have")
@pytest.mark.as_root
def test_a_mode_that_cannot_be_repaired_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "file").chmod(0o644)
    script = (
        "from pathlib import Path; from soe_auth.files.private_read import read_private;"
        f"read_private(Path({str(tmp_path / 'file')!r}), 9)"
    )
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    mounting = f"mount --bind {tmp_path} {tmp_path}; mount -o remount,ro,bind {tmp_path};"
    done = subprocess.run(
        [
            *("unshare", "--mount", *as_root, "sh", "-c", f'{mounting} exec "$@"', "sh"),
            *(sys.executable, "-c", script),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "others may read it, and its mode cannot be changed (Read-only" in done.stderr


@pytest.mark.posix("file modes, which Windows does not have")
def test_too_permissive_modes_are_repaired_and_reported(
    store: FileStore, tmp_path: Path, reports: list[str]
) -> None:
    store.save("acme", TOKEN)
    tokens = tmp_path / "config" / "tokens"
    (tokens / "acme.json").chmod(0o644)
    tokens.chmod(0o755)
    assert store.load("acme") == TOKEN
    assert mode(tokens / "acme.json") == 0o600
    assert mode(tokens) == 0o700
    assert len(reports) == 2
    tokens.chmod(0o777)
    store.save("acme", TOKEN)
    assert mode(tokens) == 0o700
    assert len(reports) == 2  # each is reported once
    tokens.chmod(0o777)
    FileStore(tmp_path / "config", report=reports.append).save("acme", TOKEN)
    assert len(reports) == 3


@pytest.mark.posix("file modes, which Windows does not have")
@pytest.mark.parametrize(("mode", "warned"), [(0o777, True), (0o1777, False), (0o775, False)])
def test_a_world_writable_parent_is_reported(
    tmp_path: Path, reports: list[str], mode: int, *, warned: bool
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    store = FileStore(shared / "config", report=reports.append)
    store.save("acme", TOKEN)
    assert [f"chmod o-w {shared}" in report for report in reports] == [True] * warned


def link(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def hard_link(path: Path, elsewhere: Path) -> None:
    elsewhere.hardlink_to(path)


def pipe(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    os.mkfifo(path)


def directory(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    path.mkdir()


def listening(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    with socket.socket(socket.AF_UNIX) as bound, chdir(path.parent):  # its whole path is too long
        bound.bind(path.name)


# Windows has no pipes and sockets in directories, and links of this kind need a privilege.
SWAPS = [hard_link, directory]
if sys.platform != "win32":
    SWAPS += [link, pipe, listening]


@pytest.mark.parametrize("swap", SWAPS)
def test_a_link_pipe_or_directory_in_place_of_the_file_is_refused(
    store: FileStore, tmp_path: Path, swap: Callable[[Path, Path], None]
) -> None:
    store.save("acme", TOKEN)
    path = tmp_path / "config" / "tokens" / "acme.json"
    swap(path, tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"Cannot read .*: "):
        store.load("acme")
    with pytest.raises(StoreError, match=r"Cannot write .*: it "):
        store.save("acme", TOKEN)
    with pytest.raises(StoreError, match=r"Cannot write .*: it "):
        store.prepare("acme")
    assert (tmp_path / "elsewhere").read_bytes() == token_to_json(TOKEN)


@pytest.mark.posix("symbolic links, which need a privilege on Windows")
def test_a_link_in_place_of_the_directory_is_refused(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "config" / "tokens").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="not a directory"):
        store.save("acme", TOKEN)
    with pytest.raises(StoreError, match="not a directory"):
        store.load("acme")


def test_a_directory_is_not_listed_as_a_profile(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "config" / "tokens" / "acme.json").mkdir(parents=True)
    assert store.profiles() == []


def test_a_device_in_place_of_a_file_is_refused() -> None:
    with pytest.raises(PermissionError, match="not a regular file"):
        read_private(Path(os.devnull), 10)


@pytest.mark.posix("file owners, which Windows does not check")
@pytest.mark.as_root
def test_a_file_or_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    file, directory = Path("/etc/passwd"), Path("/etc")
    if os.geteuid() == 0:  # root owns those, and can give its own away instead
        file, directory = tmp_path / "file", tmp_path / "directory"
        file.touch()
        directory.mkdir()
        os.chown(file, 65534, 65534)
        os.chown(directory, 65534, 65534)
    with pytest.raises(PermissionError, match="another user"):
        read_private(file, 10)
    with pytest.raises(PermissionError, match="another user"):
        secure_directory(directory)
    with pytest.raises(PermissionError, match="another user"):
        write_private(file, b"x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        token_to_json(TOKEN)[:-20],
        token_to_json(TOKEN).replace(b'"version": 1', b'"version": 2'),
        b"x" * 70000,
    ],
)
def test_a_corrupt_file_is_set_aside_and_reported(
    store: FileStore, tmp_path: Path, reports: list[str], data: bytes
) -> None:
    store.save("acme", TOKEN)
    path = tmp_path / "config" / "tokens" / "acme.json"
    path.write_bytes(data)
    assert store.load("acme") is None
    aside = path.with_name("acme.json.corrupt-19700101T000000Z")
    assert aside.read_bytes() == data
    assert len(reports) == 1
    assert "canary" not in reports[0]
    path.write_bytes(data + b" ")
    assert store.load("acme") is None
    assert aside.read_bytes() == data
    assert aside.with_name(f"{aside.name}-1").read_bytes() == data + b" "
    store.save("acme", TOKEN)
    assert store.load("acme") == TOKEN


class DictKeyring(KeyringBackend):
    """A keyring in a dictionary."""

    def __init__(self) -> None:
        super().__init__(print)
        self.items: dict[str, Token] = {}

    def get(self, name: str) -> Token | None:
        return self.items.get(name)

    def set(self, name: str, token: Token) -> None:
        self.items[name] = token

    def delete(self, name: str) -> bool:
        return self.items.pop(name, None) is not None


@pytest.fixture
def in_keyring(tmp_path: Path, reports: list[str]) -> KeyringStore:
    return KeyringStore(tmp_path / "config", DictKeyring(), report=reports.append)


@pytest.fixture(params=["store", "in_keyring"])
def each_store(request: pytest.FixtureRequest) -> Store:
    store: Store = request.getfixturevalue(request.param)
    return store


def test_remove_and_update_leave_a_later_token_alone(each_store: Store) -> None:
    store = each_store
    assert not store.update("acme", TOKEN)
    later = replace(TOKEN, access_token=Secret("later"))
    with_account = replace(TOKEN, account="Sam Roe")
    store.save("acme", TOKEN)
    assert store.update("acme", with_account)
    assert store.load("acme") == with_account
    assert not store.remove("acme", None)
    store.save("acme", later)
    assert not store.update("acme", with_account)
    assert not store.remove("acme", TOKEN)
    assert store.load("acme") == later
    assert store.remove("acme", replace(later, account="Sam Roe"))
    assert not store.update("acme", later)
    assert store.load("acme") is None


def test_removing_from_the_keyring_leaves_another_token_in_the_file(
    store: FileStore, in_keyring: KeyringStore, reports: list[str]
) -> None:
    in_keyring.save("acme", OLD)
    store.write("acme", TOKEN, "in_both")  # a killed process may leave this
    assert in_keyring.remove("acme", OLD)
    assert reports == ["Another token of profile acme is in a file, and was not removed."]
    assert in_keyring.load("acme") is None
    assert store.remove("acme", TOKEN)


def test_a_change_in_the_keyring_waits_for_another_process(
    in_keyring: KeyringStore, tmp_path: Path
) -> None:
    done = threading.Event()

    def save() -> None:
        in_keyring.save("acme", TOKEN)
        done.set()

    with locked(tmp_path / "config" / "locks" / ".acme.keyring.lock"):
        saving = threading.Thread(target=save)
        saving.start()
        assert not done.wait(0.2)
    saving.join()
    assert in_keyring.remove("acme", TOKEN)


def load(store: FileStore) -> None:
    assert store.load("acme") == TOKEN


def remove(store: FileStore) -> None:
    assert not store.remove("acme", OLD)


def update(store: FileStore) -> None:
    assert not store.update("acme", OLD)


@pytest.mark.posix("Linux lists open files")
@pytest.mark.parametrize(
    ("act", "before"),
    [(load, b"{"), (remove, token_to_json(OLD)), (update, token_to_json(OLD))],
)
def test_a_token_saved_during_a_quarantine_removal_or_update_stays(
    store: FileStore,
    tmp_path: Path,
    reports: list[str],
    act: Callable[[FileStore], None],
    before: bytes,
) -> None:
    tokens = tmp_path / "config" / "tokens"
    store.save("acme", TOKEN)
    (tokens / "acme.json").write_bytes(before)
    writing = os.open(tokens, os.O_RDONLY)
    fcntl.flock(writing, fcntl.LOCK_SH)  # as a writer does, so that quarantine waits

    def write() -> None:
        while times_open(tokens) < 2:
            time.sleep(0.001)
        new = tokens / "new"
        new.touch(mode=0o600)
        new.write_bytes(token_to_json(TOKEN))
        new.rename(tokens / "acme.json")
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    act(store)
    writer.join()
    assert store.load("acme") == TOKEN
    assert reports == []
    assert [path.name for path in tokens.iterdir()] == ["acme.json"]


def times_open(path: Path) -> int:
    """Return how many descriptors of a directory this process has."""
    return sum(os.path.realpath(file) == str(path) for file in Path("/proc/self/fd").iterdir())


def test_only_one_of_two_processes_sets_a_corrupt_file_aside(tmp_path: Path) -> None:
    path = tmp_path / "acme.json"
    write_private(path, b"{")
    assert quarantine(path, b"{", 9, tmp_path / "aside") == tmp_path / "aside"
    assert quarantine(path, b"{", 9, tmp_path / "aside") is None


def test_a_failed_save_leaves_the_old_token_and_no_temporary_file(
    store: FileStore, tmp_path: Path
) -> None:
    store.save("acme", TOKEN)
    tokens = tmp_path / "config" / "tokens"
    with pytest.raises(TypeError):
        write_private(tokens / "acme.json", "no bytes")  # type: ignore[arg-type]  # on purpose
    assert [p.name for p in tokens.iterdir()] == ["acme.json"]
    assert store.load("acme") == TOKEN


def test_a_stale_temporary_file_is_removed_and_a_locked_one_is_not(
    store: FileStore, tmp_path: Path
) -> None:
    store.save("acme", TOKEN)
    tokens = tmp_path / "config" / "tokens"
    left = [tokens / f".acme.json.{number:016x}.new" for number in range(3)]
    other = tokens / ".other.json.0000000000000000.new"

    def leave() -> None:
        for path in (*left, other):
            path.write_bytes(token_to_json(TOKEN)[:100])

    for act in (lambda: store.save("acme", TOKEN), lambda: store.remove("acme", TOKEN)):
        leave()
        locked_file = os.open(left[1], os.O_RDONLY)
        if sys.platform != "win32":  # it removes no open file
            fcntl.flock(locked_file, fcntl.LOCK_EX)  # as its writer holds it
        act()
        assert [path.exists() for path in left] == [False, True, False]
        os.close(locked_file)
        act()
        assert not left[1].exists()
        assert other.exists()


def test_files_with_similar_names_are_not_removed(tmp_path: Path) -> None:
    others = [tmp_path / name for name in (".env.local.new", ".env.new", ".env.0123.new")]
    for other in others:
        other.write_text("mine")
    (tmp_path / ".env.0123456789abcdef.new").mkdir()
    write_private(tmp_path / "env", b"x")
    assert [other.read_text() for other in others] == ["mine"] * 3
    assert (tmp_path / ".env.0123456789abcdef.new").is_dir()


@pytest.mark.posix("a directory that is locked by flock")
def test_a_directory_lock_is_awaited_ten_seconds_and_not_at_all_if_others_can_hold_it(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "file"
    held = os.open(tmp_path, os.O_RDONLY)  # read permission is enough
    fcntl.flock(held, fcntl.LOCK_EX)
    write_private(path, b"x")
    assert quarantine(path, b"x", 9, tmp_path / "aside") == tmp_path / "aside"

    tmp_path.chmod(0o700)
    waiting = os.open(tmp_path, os.O_RDONLY)
    pauses: list[float] = []
    lock_directory(waiting, shared=True, wait=pauses.append)
    assert sum(pauses) == pytest.approx(10)
    os.close(held)
    lock_directory(waiting, shared=False)
    os.close(waiting)


def test_a_store_that_cannot_be_created_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = FileStore(tmp_path / "file", report=print)
    with pytest.raises(StoreError) as error:
        store.save("acme", TOKEN)
    assert error.value.hint


def test_load_and_save_do_not_wait_for_the_login_lock(store: FileStore, tmp_path: Path) -> None:
    with LoginLock(tmp_path / "config", report=print).acquire("acme"):
        store.save("acme", TOKEN)
        assert store.load("acme") == TOKEN


class Busy:
    """An action on a file that another program has open."""

    def __init__(self, tries: int) -> None:
        self.tries = tries
        self.waits: list[float] = []

    def __call__(self) -> str:
        if len(self.waits) < self.tries:
            raise PermissionError(13, "Access is denied")
        return "done"


@pytest.mark.parametrize("tries", [0, 1, 7])
def test_on_windows_an_open_file_is_tried_again(tries: int) -> None:
    act = Busy(tries)
    assert retry_while_open(act, wait=act.waits.append, platform="win32") == "done"
    assert len(act.waits) == tries
    assert act.waits == sorted(act.waits)


def test_on_windows_a_file_that_stays_open_is_an_error_after_a_second() -> None:
    act = Busy(99)
    with pytest.raises(PermissionError, match=r"another program .* \(Access is denied\)"):
        retry_while_open(act, wait=act.waits.append, platform="win32")
    assert 1 <= sum(act.waits) < 2


def test_posix_and_other_errors_are_not_tried_again() -> None:
    act = Busy(1)
    with pytest.raises(PermissionError):
        retry_while_open(act, wait=act.waits.append, platform="linux")

    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        retry_while_open(full, wait=act.waits.append, platform="win32")
    assert act.waits == []
