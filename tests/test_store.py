import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import TOKEN

from soe_auth.errors import LoginBusy, StoreError
from soe_auth.files import private_directory, read_private, write_private
from soe_auth.secret import Secret
from soe_auth.store import FileStore


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


def test_there_is_no_token_before_the_first_one(store: FileStore) -> None:
    assert store.load("acme") is None
    assert store.profiles() == []
    assert not store.remove("acme")


def test_a_removed_token_is_gone(store: FileStore) -> None:
    store.save("acme", TOKEN)
    assert store.remove("acme")
    assert store.load("acme") is None


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_file_and_directories_are_private_under_any_umask(
    store: FileStore, tmp_path: Path, umask: int
) -> None:
    (tmp_path / "config").mkdir(mode=0o700)
    before = os.umask(umask & 0o077 if umask == 0o777 else umask)
    try:
        store.save("acme", TOKEN)
    finally:
        os.umask(before)
    assert mode(tmp_path / "config") == 0o700
    assert mode(tmp_path / "config" / "tokens") == 0o700
    assert mode(tmp_path / "config" / "tokens" / "acme.json") == 0o600


def test_a_file_is_private_even_under_a_umask_that_leaves_nothing(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        write_private(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == 0o600


def test_loose_modes_are_repaired_and_reported(
    store: FileStore, tmp_path: Path, reports: list[str]
) -> None:
    store.save("acme", TOKEN)
    tokens = tmp_path / "config" / "tokens"
    (tokens / "acme.json").chmod(0o644)
    tokens.chmod(0o755)
    assert store.load("acme") == TOKEN
    store.save("acme", TOKEN)
    assert mode(tokens / "acme.json") == 0o600
    assert mode(tokens) == 0o700
    assert len(reports) == 2


def test_a_link_in_place_of_the_token_file_is_refused(store: FileStore, tmp_path: Path) -> None:
    store.save("acme", TOKEN)
    path = tmp_path / "config" / "tokens" / "acme.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(StoreError, match="could not be read"):
        store.load("acme")


def test_a_link_in_place_of_the_directory_is_refused(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "config" / "tokens").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="not a directory"):
        store.save("acme", TOKEN)


def test_a_directory_in_place_of_the_token_file_is_refused(
    store: FileStore, tmp_path: Path
) -> None:
    (tmp_path / "config" / "tokens" / "acme.json").mkdir(parents=True)
    with pytest.raises(StoreError, match="could not be read"):
        store.load("acme")
    with pytest.raises(StoreError, match="could not be written"):
        store.save("acme", TOKEN)
    assert store.profiles() == []


def test_a_device_in_place_of_a_file_is_refused() -> None:
    with pytest.raises(PermissionError, match="not a regular file"):
        read_private(Path(os.devnull), 10)


def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path) -> None:
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
        private_directory(directory)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", TOKEN.to_json()[:-20], b"x" * 70000])
def test_a_file_that_does_not_parse_is_set_aside_and_reported(
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
    store.save("acme", TOKEN)
    assert store.load("acme") == TOKEN


def test_a_failed_save_leaves_the_old_token_and_no_litter(store: FileStore, tmp_path: Path) -> None:
    store.save("acme", TOKEN)
    bad = replace(TOKEN, access_token=Secret("\ud800"))
    with pytest.raises(UnicodeEncodeError):
        write_private(
            tmp_path / "config" / "tokens" / "acme.json", bad.access_token.reveal().encode()
        )
    directory = tmp_path / "full"
    directory.mkdir()
    (directory / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_private(directory / "taken", b"x")
    assert [p.name for p in directory.iterdir()] == ["taken"]
    assert store.load("acme") == TOKEN


def test_a_store_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = FileStore(tmp_path / "file", report=print)
    with pytest.raises(StoreError) as error:
        store.save("acme", TOKEN)
    assert error.value.hint


def test_one_login_at_a_time_holds_a_profile(store: FileStore) -> None:
    with store.login_lock("acme", wait=0):
        with pytest.raises(LoginBusy), store.login_lock("acme", wait=0):
            raise AssertionError("two hold the lock")
        with store.login_lock("other", wait=0):
            pass
    with store.login_lock("acme", wait=0):
        pass


def test_each_unanswered_login_doubles_the_pause_until_somebody_answers(tmp_path: Path) -> None:
    clock = [1000.0]
    store = FileStore(tmp_path, report=print, now=lambda: clock[0])
    assert store.held_back("acme") <= 0
    pauses = []
    with store.login_lock("acme", wait=0):
        for _ in range(9):
            store.note_unanswered("acme")
            pauses.append(store.held_back("acme"))
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    clock[0] += 3599
    assert store.held_back("acme") == 1
    clock[0] -= 86400
    assert store.held_back("acme") == 3600
    clock[0] += 86400 + 2
    assert store.held_back("acme") <= 0
    store.forget_unanswered("acme")
    assert store.held_back("acme") <= 0


def test_a_count_that_does_not_parse_holds_nothing_back(tmp_path: Path) -> None:
    store = FileStore(tmp_path, report=print, now=lambda: 1000.0)
    with store.login_lock("acme", wait=0):
        (tmp_path / "locks" / "acme.unanswered").write_bytes(b"x")
        assert store.held_back("acme") <= 0
        store.note_unanswered("acme")
        assert store.held_back("acme") == 60


def test_reading_and_saving_take_no_lock(store: FileStore) -> None:
    with store.login_lock("acme", wait=0):
        store.save("acme", TOKEN)
        assert store.load("acme") == TOKEN
