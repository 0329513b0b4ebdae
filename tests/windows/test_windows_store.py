"""The store on Windows: ACLs, files that are open elsewhere, killed writers, odd directories.

Wine runs most of it. It makes ACLs out of the modes of Unix, and hands none down to new files.
"""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from wine import UNDER_WINE

from soe_auth import Scope, Secret, SettingsError, Site, StoreError, Token
from soe_auth.doctor import examine
from soe_auth.files.lock import try_lock, wait_for_lock
from soe_auth.settings.config_files import read_configs
from soe_auth.settings.settings import find_paths
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.login_lock import LoginLock

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="what Windows alone does")

if sys.platform == "win32":
    import _winapi

    from soe_auth.files.windows_acl import other_users, read_sddl, write_dacl

    READ_WRITE = 1 | 2  # what Python itself lets others do with a file that it has open
    SHARE = Path("//localhost/C$")

    def token(secret: str = "canary(1)*") -> Token:  # noqa: S107  # it is made up
        return Token(
            access_token=Secret(secret),
            site=Site.parse("acme"),
            client_id="110",
            scope=Scope.parse("write_access"),
            granted_scope=Scope.parse("write_access"),
            obtained_at=1000.0,
            expires_at=87400.0,
            account="Jane Doe",
        )

    class Place:
        """A config directory with a token of the profile acme."""

        def __init__(self, directory: Path) -> None:
            self.directory = directory
            self.reports: list[str] = []
            self.store = self.new_store()
            self.store.save("acme", token())
            self.tokens = directory / "tokens"
            self.path = self.tokens / "acme.json"

        def new_store(self) -> FileStore:
            return FileStore(self.directory, report=self.reports.append, now=lambda: 0.0)

        @property
        def names(self) -> list[str]:
            return sorted(path.name for path in self.tokens.iterdir())

        def doctor_findings(self) -> list[str]:
            environ = {"SOE_AUTH_CONFIG_DIR": str(self.directory)}
            return [f.says for f in examine({}, environ=environ) if f.name == "store"]

    @pytest.fixture
    def place(tmp_path: Path) -> Place:
        return Place(tmp_path / "Zoë Müller 名" / "soe auth")

    @contextmanager
    def open_for(path: Path, share: int = 0) -> Iterator[Callable[[], None]]:
        """Have the file open as another program may; yields what closes it."""
        handle = _winapi.CreateFile(
            *(str(path), _winapi.GENERIC_READ, share, _winapi.NULL),
            *(_winapi.OPEN_EXISTING, 0, _winapi.NULL),
        )
        is_open = [True]

        def close() -> None:
            if is_open.pop():
                _winapi.CloseHandle(handle)

        try:
            yield close
        finally:
            if is_open:
                close()

    def child(script: str, *argv: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", script, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    # --- who has access ---

    def test_written_files_are_private(place: Place) -> None:
        with LoginLock(place.directory, report=print).acquire("acme"):
            place.store.save("acme", token())
            for path in (place.directory, *place.directory.rglob("*")):
                assert other_users(path) == ""
        assert {"acme.json", "acme.lock"} <= {path.name for path in place.directory.rglob("*")}
        assert place.reports == []
        assert place.doctor_findings() == [f"1 token in {place.directory}, private"]

    @pytest.mark.parametrize("name", ["tokens", "tokens/acme.json"])
    def test_an_acl_that_admits_others_is_reported_and_repaired(place: Place, name: str) -> None:
        path = place.directory / name
        write_dacl(path, "D:(A;;FA;;;WD)(A;;FR;;;BU)")
        assert "Everyone" in other_users(path)
        [reported] = place.doctor_findings()
        assert reported.startswith("Other users (Everyone")
        assert str(path) in reported
        assert place.store.load("acme") == token()
        assert other_users(path) == ""
        [report] = place.reports
        assert report.startswith("Other users (Everyone")
        assert report.endswith(f" had access to {path}; it is private now.")
        assert place.new_store().load("acme") == token()
        assert len(place.reports) == 1

    def test_a_parent_that_every_user_can_replace_is_reported(tmp_path: Path) -> None:
        shared = tmp_path / "shared"
        shared.mkdir()
        write_dacl(shared, "D:(A;OICI;FA;;;WD)")
        place = Place(shared / "config")
        [report] = place.reports
        assert str(shared) in report
        assert report.endswith("; set SOE_AUTH_CONFIG_DIR to another directory.")
        assert other_users(place.path) == ""
        assert any(str(shared) in reported for reported in place.doctor_findings())

    def test_an_acl_that_cannot_be_read_is_not_private(tmp_path: Path) -> None:
        assert other_users(tmp_path / "none").startswith("Other users, perhaps (its ACL cannot")

    @pytest.mark.skipif(UNDER_WINE, reason="Wine hands no ACL down to a new file")
    def test_a_file_that_another_program_creates_in_the_directory_is_private(place: Place) -> None:
        (place.tokens / "new").touch()
        assert other_users(place.tokens / "new") == ""

    @pytest.mark.skipif(UNDER_WINE, reason="Wine does not keep whether a list is protected")
    def test_nothing_is_inherited_from_above(place: Place) -> None:
        for path in (place.tokens, place.path):
            assert "D:P" in read_sddl(path)

    @pytest.mark.parametrize("exposed", ["own.toml", "system.toml"])
    def test_a_config_that_others_can_change_is_refused(tmp_path: Path, exposed: str) -> None:
        own, system = tmp_path / "own.toml", tmp_path / "system.toml"
        assert read_configs([own, system]).profiles == []
        for path in (own, system):
            path.write_text("[profile.acme]\n")
            write_dacl(path, "D:(A;;FA;;;BA)(A;;FR;;;WD)")
        assert read_configs([own, system]).profiles == ["acme"]
        write_dacl(tmp_path / exposed, "D:(A;;FA;;;WD)")
        with pytest.raises(SettingsError, match=r"other users \(Everyone") as error:
            read_configs([own, system])
        assert str(tmp_path / exposed) in str(error.value)

    # --- open elsewhere ---

    def save(place: Place) -> None:
        place.store.save("acme", token("new"))

    def remove(place: Place) -> None:
        place.store.remove("acme", token())

    def quarantine(place: Place) -> None:
        place.store.load("acme")

    CORRUPT = "acme.json.corrupt-19700101T000000Z"

    @pytest.mark.parametrize(
        ("act", "left"), [(save, ["acme.json"]), (remove, []), (quarantine, [CORRUPT])]
    )
    def test_a_change_waits_for_a_file_that_is_open_for_a_moment(
        place: Place, act: Callable[[Place], None], left: list[str]
    ) -> None:
        if act is quarantine:
            place.path.write_bytes(b"{")
        with open_for(place.path, share=READ_WRITE) as close:
            threading.Timer(0.3, close).start()
            act(place)
        assert place.names == left
        assert place.store.load("acme") == (token("new") if act is save else None)

    @pytest.mark.parametrize("act", [save, remove, quarantine])
    def test_a_file_that_stays_open_is_an_error_and_stays_unchanged(
        place: Place, act: Callable[[Place], None]
    ) -> None:
        if act is quarantine:
            place.path.write_bytes(b"{")
        before = place.path.read_bytes()
        with (
            open_for(place.path, share=READ_WRITE),
            pytest.raises(StoreError, match="another program has it open"),
        ):
            act(place)
        assert place.path.read_bytes() == before
        assert place.names == ["acme.json"]

    def test_a_read_waits_for_a_file_that_is_open_exclusively(place: Place) -> None:
        with open_for(place.path) as close:
            threading.Timer(0.3, close).start()
            assert place.store.load("acme") == token()
        with open_for(place.path), pytest.raises(StoreError, match="another program has it open"):
            place.store.load("acme")

    # --- writers ---

    SAVE = """
import sys
from pathlib import Path
from dataclasses import replace
from soe_auth.storage.file_store import FileStore
store = FileStore(Path(sys.argv[1]), report=print)
old = store.load("acme")
"""
    DIE = (
        SAVE
        + """
import os
sys.addaudithook(lambda event, args: event == "os.rename" and os._exit(9))
store.save("acme", replace(old, account="Ann"))
"""
    )
    OFTEN = (
        SAVE
        + """
for number in range(30):
    store.save("acme", replace(old, account=f"{sys.argv[2]} {number}" * 50))
    assert store.load("acme") is not None
"""
    )

    def test_the_next_writer_removes_stale_temporary_files(place: Place) -> None:
        with child(DIE, str(place.directory)) as writer:
            reported = writer.communicate()[1]
        assert writer.returncode == 9, reported
        assert any(name.endswith(".new") for name in place.names)
        assert place.store.load("acme") == token()
        place.store.save("acme", token("new"))
        assert place.names == ["acme.json"]
        assert place.store.load("acme") == token("new")

    def test_processes_that_save_at_once_lose_nothing(place: Place) -> None:
        writers = [child(OFTEN, str(place.directory), name) for name in ("a", "b", "c")]
        reported = [writer.communicate() for writer in writers]
        assert [writer.returncode for writer in writers] == [0, 0, 0], reported
        assert [findings for findings, _ in reported] == [""] * 3
        last = place.store.load("acme")
        assert last is not None
        assert last.account in {f"{name} 29" * 50 for name in ("a", "b", "c")}
        assert place.names == ["acme.json"]

    def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
        script = (
            "import sys; from soe_auth.files.lock import try_lock; try_lock(sys.argv[1]);"
            " print('held'); input()"
        )
        path = tmp_path / "lock"
        with subprocess.Popen(
            [sys.executable, "-u", "-c", script, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder:
            assert holder.stdout
            assert holder.stdout.readline() == "held\n"
            assert try_lock(path) is None
            assert path.read_bytes() == b""  # which can be read meanwhile
            holder.kill()
            holder.wait()
            release = wait_for_lock(path)
        release()

    def test_a_read_only_file_is_refused_before_a_login_and_stays(place: Place) -> None:
        place.path.chmod(stat.S_IREAD)
        for act in (place.store.prepare, lambda profile: place.store.save(profile, token())):
            with pytest.raises(StoreError, match=r"it is read-only; type `attrib -r "):
                act("acme")
        assert place.store.load("acme") == token()
        assert place.names == ["acme.json"]

    @pytest.mark.skipif(UNDER_WINE, reason="Wine has an ordinary user's read-only file stay so")
    def test_a_file_that_is_no_longer_read_only_is_replaced(place: Place) -> None:
        place.path.chmod(stat.S_IREAD)
        place.path.chmod(stat.S_IREAD | stat.S_IWRITE)
        place.store.save("acme", token("new"))
        assert place.store.load("acme") == token("new")

    # --- directories ---

    @pytest.mark.skipif(not SHARE.exists(), reason=f"there is no share {SHARE} here")
    def test_a_network_share_can_hold_the_directory(tmp_path: Path) -> None:
        place = Place(SHARE / tmp_path.relative_to(tmp_path.anchor) / "config")
        assert place.store.load("acme") == token()
        assert other_users(place.path) == ""
        with open_for(place.path, share=READ_WRITE) as close:
            threading.Timer(0.3, close).start()
            place.store.save("acme", token("new"))
        assert place.names == ["acme.json"]

    @pytest.mark.parametrize("given", ["C:soe", "\\soe"])
    def test_a_drive_relative_directory_is_refused_and_doctor_reports_it(given: str) -> None:
        environ = {"SOE_AUTH_CONFIG_DIR": given}
        with pytest.raises(SettingsError, match="depends on the current directory"):
            find_paths(environ)
        findings = [finding.says for finding in examine({}, environ=environ)]
        assert any("SOE_AUTH_CONFIG_DIR" in each for each in findings)
        assert not any("broke off" in each for each in findings)

    def test_the_default_directory_is_in_the_users_profile() -> None:
        assert find_paths({}).directory.name == "soe-auth"
        assert find_paths({}).directory.is_absolute()
        assert os.environ["USERPROFILE"].lower() in str(find_paths({}).directory).lower()
