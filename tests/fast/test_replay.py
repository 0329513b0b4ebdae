"""Replay answers as the command itself would, or not at all, and never from outdated files."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import chdir, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import pytest
from cli_oracle import CONFIG, PROJECTS, SHOW, SYSTEMS, USERS, Told, living, standing_in
from conftest import NOBODY, Command, as_nobody, let_others_change, unmeasured
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from replay_oracle import CachedPlace, cached_profiles, outcome_of, record, settled, tick
from strategies import OPTIONS, change, command_lines, places

from soe_auth import Secret
from soe_auth.__main__ import NOT_WRITTEN, READER_GONE
from soe_auth.fast.command_cache import Cache
from soe_auth.fast.recorder import Recorder
from soe_auth.settings.resolve import resolve
from soe_auth.settings.spec import TABLE
from soe_auth.storage.file_store import token_from_json, token_to_json
from soe_auth.version import __version__

if TYPE_CHECKING:
    from soe_auth.fast.command_cache import Answer

pytestmark = pytest.mark.posix("only Linux has the cache")


@pytest.fixture(autouse=True)
def without_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of files are written here, and no test is about a crash: fsync takes most time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def place(tmp_path: Path) -> CachedPlace:
    return cached_profiles(tmp_path)


def recorded(place: CachedPlace, *argv: str) -> "Answer":
    """Record a command line, and return the answer of replay."""
    outcome = place.run(*(argv or ("token",)))
    answer = place.replay(*(argv or ("token",)))
    assert answer
    assert outcome == outcome_of(answer)
    tick(place.root)
    return answer


def is_replayed(answer: "Answer | None", outcome: Told) -> bool:
    """Whether replay has answered; then it must be the outcome of the command."""
    if answer is None:
        return False
    _, command, _ = answer
    if command and which(command[0]) is None:
        assert outcome.code == 127  # left to the command, as it cannot be executed
        return False
    assert outcome == outcome_of(answer)
    return True


def both(place: CachedPlace, *argv: str) -> tuple[Told, bool]:
    """Return the outcome of the command, and whether replay has answered it the same before."""
    answer, outcome = place.replay(*argv), place.run(*argv)
    return outcome, is_replayed(answer, outcome)


# --- replay and the command agree ---


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_replay_answers_as_the_command_does_or_not_at_all(
    tmp_path: Path,
) -> None:
    seen = Counter[str]()

    @settings(
        max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.data())
    def compare(data: st.DataObject) -> None:
        place = data.draw(places(tmp_path))
        seen["settings"] += 1
        for _ in range(2):
            for argv in data.draw(st.lists(command_lines(), min_size=1, max_size=2)):
                outcome, from_before = both(place, *argv)
                if outcome.err:  # which may tell of a repair: the next outcome is another
                    outcome, is_answered = both(place, *argv)
                else:
                    is_answered = is_replayed(place.replay(*argv), outcome)
                seen["from before"] += from_before
                seen["good"] += outcome.code == 0 and not outcome.err
                seen["answered"] += is_answered
                seen[next(filter(OPTIONS.__contains__, argv))] += is_answered
            if data.draw(st.booleans()):
                change(data.draw, place)

    compare()
    assert seen["settings"] >= 1000
    assert seen["good"] > 500
    # The examples differ with each version of Python and of Hypothesis.
    assert seen["answered"] > seen["good"] / 4
    assert seen["from before"] > seen["good"] / 20
    assert all(seen[command] > 5 for command in OPTIONS)


@pytest.mark.parametrize(
    "argv",
    [
        ["token"],
        ["-p", "work", "token", "--min-ttl", "10m"],
        ["token", "--profile=work", "--format=header"],
        ["token", "--format", "env"],
        ["token", "--format", "curl", "-p", "work"],
        ["status", "--check"],
        ["status", "--check="[:-1], "1h"],
        ["--profile", "work", "status", "--check=1h"],
        ["run", *SHOW],
        ["run", "-p", "work", "--min-ttl=0", "--", *SHOW, "--", "-p", "x"],
        ["run", "--env", "API_TOKEN", *SHOW],
        ["-pwork", "token", "-q"],
        ["token", "--format", "curl", "--api", "v2.3"],
        ["token", "--format", "curl", "--for", "users/me"],
        ["token", "--format", "env", "--shell", "powershell", "--login", "-o", "-"],
        ["completion", "--profiles"],
    ],
)
def test_the_usual_forms_are_answered(place: CachedPlace, argv: list[str]) -> None:
    recorded(place, *argv)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["token", "-v"],
        ["token", "-p"],
        ["token", "word"],
        ["token", "--format", "json"],
        ["token", "--format", "foo"],
        ["token", "-o", "file"],
        ["-p", "none", "token"],
        ["status"],
        ["status", "--check", "30d"],
        ["run"],
        ["run", "--"],
        ["run", ""],
        ["run", "--", "-x"],
        ["completion", "bash"],
        ["pkce"],
        ["--help"],
    ],
)
def test_failures_and_changing_outcomes_are_not_replayed(
    place: CachedPlace, argv: list[str]
) -> None:
    record(place, "run", "true")
    assert place.replay("run", "false") is not None
    record(place, *argv)
    assert place.replay(*argv) is None


def test_outcomes_with_messages_on_stderr_are_not_replayed(place: CachedPlace) -> None:
    (place.config / "config.toml").write_text(CONFIG.replace('"acme"', '"acme/x"'))
    for argv in (["token"], ["status", "--check"], ["run", *SHOW]):
        outcome = place.run(*argv)
        assert "is ignored" in outcome.err or argv[0] == "status"
        assert (place.replay(*argv) is None) == bool(outcome.err)


@pytest.mark.parametrize("name", ["SOE_AUTH_TOKEN", "SOE_AUTH_PROXY"])
def test_nothing_is_replayed_or_recorded_while_a_variable_may_hold_a_secret(
    place: CachedPlace, name: str
) -> None:
    before = place.recall.read_bytes()
    with_secret = replace(place, variables={name: "http://joe:canary@proxy.example"})
    for argv in (["token"], ["status", "--check"], ["run", *SHOW], [*NAMES]):
        assert not both(with_secret, *argv)[1]
        assert not both(with_secret, *argv)[1]
    assert place.recall.read_bytes() == before


def test_an_outcome_is_replayed_for_its_own_options_only(place: CachedPlace) -> None:
    wrong = replace(place, variables={"SOE_AUTH_MIN_TTL": "x"})
    recorded(wrong, "token", "--min-ttl", "1h")
    assert both(wrong, "status", "--check", "1h")[0].code == 2
    assert wrong.replay("status", "--check", "1h") is None


# --- every change is noticed ---

OTHER_TEXT = {
    USERS: CONFIG.replace('_profile = "work"', '_profile = "home"'),
    SYSTEMS: 'min_ttl = "9d"\n',
    PROJECTS: 'profile = "home"\n',
}


def edit_in_place(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def rename_over(path: Path, text: str) -> None:
    beside = path.with_name("beside")
    beside.write_text(text)
    before = path.stat()
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.replace(path)


def replace_by_link(path: Path, text: str) -> None:
    target = path.with_name("target")
    target.write_text(text)
    path.unlink()
    path.symlink_to(target)


def append(path: Path, text: str) -> None:
    path.write_text(text + "# more\n")


@pytest.mark.parametrize("by", [edit_in_place, rename_over, replace_by_link, append])
@pytest.mark.parametrize("name", [USERS, SYSTEMS, PROJECTS])
def test_an_edit_is_noticed(place: CachedPlace, name: str, by: Callable[[Path, str], None]) -> None:
    if name == USERS:
        (place.root / PROJECTS).unlink()
    before = outcome_of(recorded(place))
    by(place.root / name, OTHER_TEXT[name])
    assert place.replay("token") is None
    assert place.run("token") != before
    assert both(place, "token")[0] != before


@pytest.mark.parametrize("by", ["removed", "mode", "directory", "gone up"])
@pytest.mark.parametrize("name", [USERS, SYSTEMS, PROJECTS])
def test_a_file_that_is_not_what_it_was_is_noticed(place: CachedPlace, name: str, by: str) -> None:
    path = place.root / name
    match by:
        case "removed":
            path.unlink()
        case "mode":
            path.chmod(0o640)
        case "directory":
            path.unlink()
            path.mkdir()
        case _:
            path.parent.rename(path.parent.with_name("elsewhere"))
            path.parent.mkdir()
            if name == PROJECTS:
                place.cwd.mkdir()
    assert place.replay("token") is None
    both(place, "token")


def test_a_link_that_leads_elsewhere_is_noticed(place: CachedPlace) -> None:
    path = place.root / PROJECTS
    one, other = path.with_name("one"), path.with_name("other")
    path.rename(one)
    other.write_text(OTHER_TEXT[PROJECTS])
    path.symlink_to(one)
    recorded(place)
    path.unlink()
    path.symlink_to(other)
    assert place.replay("token") is None
    assert both(place, "token")[0].out == "token-of-home\n"
    path.unlink()
    path.symlink_to("nowhere")
    assert place.replay("token") is None


@pytest.mark.parametrize(
    "name", ["repository/inner/.soe-auth.toml", "repository/inner/pyproject.toml"]
)
def test_a_project_file_that_appears_is_noticed(place: CachedPlace, name: str) -> None:
    table = "[tool.soe-auth]\n" if name.endswith("pyproject.toml") else ""
    (place.root / name).write_text(f'{table}profile = "home"\n')
    assert place.replay("token") is None
    assert both(place, "token")[0].out == "token-of-home\n"


def test_a_system_file_that_appears_is_noticed(place: CachedPlace) -> None:
    (place.root / SYSTEMS).unlink()
    recorded(place)
    (place.root / SYSTEMS).write_text(OTHER_TEXT[SYSTEMS])
    assert place.replay("token") is None
    assert both(place, "token")[0].code == 3


def test_a_repository_that_begins_or_ends_is_noticed(place: CachedPlace) -> None:
    (place.root / PROJECTS).write_text(OTHER_TEXT[PROJECTS])
    assert outcome_of(recorded(place)).out == "token-of-home\n"
    mark = place.root / "repository" / ".git"
    mark.rmdir()
    assert place.replay("token") is None
    assert outcome_of(recorded(place)).out == "token-of-work\n"
    mark.write_text("gitdir: elsewhere\n")  # as in a work tree
    assert both(place, "token") == (Told(0, "token-of-home\n"), False)
    assert both(place, "token") == (Told(0, "token-of-home\n"), True)
    (place.cwd / ".git").mkdir()
    assert both(place, "token") == (Told(0, "token-of-work\n"), False)
    assert both(place, "token") == (Told(0, "token-of-work\n"), True)


def test_a_change_of_directory_is_noticed(place: CachedPlace) -> None:
    (place.root / PROJECTS).write_text(OTHER_TEXT[PROJECTS])
    recorded(place)
    elsewhere = place.root / "elsewhere"
    elsewhere.mkdir()
    outside = replace(place, cwd=elsewhere)
    assert outside.replay("token") is None
    assert outcome_of(recorded(outside)).out == "token-of-work\n"


def test_a_deleted_current_directory_does_no_harm(place: CachedPlace) -> None:
    with standing_in(place):
        gone = place.root / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        with pytest.raises(FileNotFoundError):
            Cache(place.environ)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOE_AUTH_PROFILE", "home"),
        ("SOE_AUTH_MIN_TTL", "30d"),
        ("SOE_AUTH_SITE", "other"),
        ("SOE_AUTH_CLIENT_ID", "111"),
        ("SOE_AUTH_SCOPE", "write_access"),
        ("SOE_AUTH_STORE", "nowhere"),
        ("SOE_AUTH_PORT", "x"),
        ("SOE_AUTH_PROXY", "http://joe:canary@proxy.example"),
        ("XDG_CONFIG_DIRS", "/nowhere"),
        ("SOE_AUTH_CONFIG_DIR", "relative"),
        ("HOME", "/"),
    ],
)
def test_a_variable_is_noticed(place: CachedPlace, name: str, value: str) -> None:
    changed = replace(place, variables={name: value})
    assert changed.replay("token") is None
    both(changed, "token")


def test_every_variable_of_a_setting_is_part_of_the_key(place: CachedPlace) -> None:
    for setting in TABLE:
        for value in ("", "x"):
            assert replace(place, variables={setting.variable: value}).replay("token") is None


def test_the_usual_directories_are_found_as_well(place: CachedPlace) -> None:
    usual = {"SOE_AUTH_CONFIG_DIR": "", "XDG_CONFIG_DIRS": "", "HOME": str(place.root / "config")}
    at_home = replace(place, variables=usual)
    (place.config / ".config").mkdir()
    (place.config / ".config" / "soe-auth").symlink_to(place.config)
    assert both(at_home, "token")[0].code == 0
    assert both(at_home, "token")[1]
    moved = replace(at_home, variables={**usual, "XDG_CONFIG_HOME": str(place.config / ".config")})
    assert not both(moved, "token")[1]
    assert both(moved, "token")[1]
    empty = replace(place, variables={"XDG_CONFIG_DIRS": f":{place.root / 'system'}"})
    assert both(empty, "token") == (Told(0, "token-of-work\n"), False)
    assert both(empty, "token") == (Told(0, "token-of-work\n"), True)


@pytest.mark.parametrize("name", [USERS, SYSTEMS])
def test_a_config_that_others_can_change_is_not_replayed(place: CachedPlace, name: str) -> None:
    assert both(place, "token")[1]
    let_others_change(place.root / name)
    outcome, was_replayed = both(place, "token")
    assert (outcome.code, was_replayed) == (2, False)
    assert "Cannot use" in outcome.err
    assert both(place, "token") == (outcome, False)


@pytest.mark.parametrize("name", [USERS, SYSTEMS, PROJECTS, "config/tokens/work.json"])
def test_a_file_that_changed_just_now_is_not_recorded(place: CachedPlace, name: str) -> None:
    place.recall.unlink()
    (place.root / name).touch()
    now = time.time_ns()
    place.run("token", clock=lambda: now)
    assert not place.recall.exists()
    place.run("token", clock=lambda: now + 4 * 10**9)
    assert place.replay("token")


@pytest.mark.parametrize("name", [USERS, SYSTEMS, PROJECTS])
def test_a_change_while_a_command_runs_prevents_recording(place: CachedPlace, name: str) -> None:
    place.recall.unlink()
    with standing_in(place):
        recorder = Recorder(NAMES, place.environ, settled)
        recorder.begins()
        (place.root / name).unlink()
        recorder.prints("work")
    assert not place.recall.exists()


# --- profile names ---

NAMES = "completion", "--profiles"


def test_profile_names_are_replayed_as_the_command_prints_them(place: CachedPlace) -> None:
    assert place.replay(*NAMES) is None
    assert both(place, *NAMES) == (Told(0, "home\nwork\n"), False)
    assert both(place, *NAMES) == (Told(0, "home\nwork\n"), True)


def test_profile_names_are_replayed_for_their_own_words_only(place: CachedPlace) -> None:
    place.recall.unlink()
    recorded(place, *NAMES)
    assert place.replay("token") is None
    recorded(place)
    assert both(place, "token") == (Told(0, "token-of-work\n"), True)
    assert both(place, *NAMES) == (Told(0, "home\nwork\n"), True)


@pytest.mark.parametrize("name", [USERS, SYSTEMS])
def test_an_added_or_removed_profile_is_noticed(name: str, place: CachedPlace) -> None:
    recorded(place, *NAMES)
    path = place.root / name
    before = path.read_text()
    path.write_text(f"{before}\n[profile.new]\n")
    assert both(place, *NAMES) == (Told(0, "home\nnew\nwork\n"), False)
    assert both(place, *NAMES) == (Told(0, "home\nnew\nwork\n"), True)
    path.write_text(before)
    assert both(place, *NAMES) == (Told(0, "home\nwork\n"), False)


@pytest.mark.parametrize(
    "text", ["", "[profile", "profile = 1", '[profile."a b"]', "[profile.work]\ncolour = 1\n"]
)
def test_without_profile_names_nothing_is_printed_or_recorded(
    text: str, place: CachedPlace
) -> None:
    place.recall.unlink()
    (place.root / SYSTEMS).unlink()
    (place.root / USERS).write_text(text)
    for _ in range(2):
        assert both(place, *NAMES) == (Told(0), False)
    assert not place.recall.exists()


# --- the cache ---


def test_the_cache_holds_no_secret_and_is_private(place: CachedPlace) -> None:
    for name in ("SOE_AUTH_TOKEN", "SOE_AUTH_PROXY", "SOE_AUTH_API_TOKEN", "API_TOKEN"):
        place.recall.unlink(missing_ok=True)
        secret = replace(place, variables={name: "http://joe:canary@proxy.example"})
        for form in ("plain", "header", "env", "curl"):
            secret.run("token", "--format", form)
        secret.run("run", "true", "canary")  # its words differ each time
        data = place.recall.read_bytes() if place.recall.exists() else b""
        assert b"canary" not in data
        assert b"token-of" not in data
        assert bool(data) == (name == "API_TOKEN")
    (place.config / "config.toml").write_text(f"proxy = 'http://joe:canary@p.example'\n{CONFIG}")
    assert place.run("token").code == 0
    assert b"canary" not in place.recall.read_bytes()
    assert stat.S_IMODE(place.recall.stat().st_mode) == 0o600


def test_a_cache_that_others_can_read_is_ignored_and_replaced(place: CachedPlace) -> None:
    place.recall.write_bytes(place.recall.read_bytes().replace(b"work.json", b"home.json"))
    place.recall.chmod(0o660)
    assert place.replay("token") is None
    assert both(place, "token", "--min-ttl", "2m") == (Told(0, "token-of-work\n"), False)
    assert both(place, "token", "--min-ttl", "2m") == (Told(0, "token-of-work\n"), True)
    assert place.replay("token") is None
    assert stat.S_IMODE(place.recall.stat().st_mode) == 0o600


@pytest.mark.as_root
@pytest.mark.parametrize("what", ["link", "hard link", "foreign", "directory", "pipe", "socket"])
def test_a_cache_that_is_not_a_private_file_is_left_alone(place: CachedPlace, what: str) -> None:
    path, beside = place.recall, place.root / "beside"
    match what:
        case "link":
            path.rename(beside)
            path.symlink_to(beside)
        case "hard link":
            os.link(path, beside)
        case "foreign" if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        case "pipe":
            path.unlink()
            os.mkfifo(path)
        case "socket":
            path.unlink()
            with socket.socket(socket.AF_UNIX) as listener, chdir(path.parent):
                listener.bind(path.name)
        case _:
            path.unlink()
            path.mkdir()
    before = os.lstat(path)
    for _ in range(2):
        assert both(place, "token") == (Told(0, "token-of-work\n"), False)
    assert os.lstat(path) == before


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_truncated_or_invalid_cache_is_ignored(place: CachedPlace, data: st.DataObject) -> None:
    place.recall.unlink(missing_ok=True)
    place.run("token", "--min-ttl", "2m")
    place.run("token")
    whole = place.recall.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    hole = whole[:cut] + bytes(3) + whole[cut + 3 :]
    damaged_data = data.draw(
        st.sampled_from([whole[:cut], whole[cut:], whole[:cut] + bytes(64), hole])
    )
    place.recall.write_bytes(damaged_data if data.draw(st.booleans()) else data.draw(st.binary()))
    for argv in (["token"], ["token", "--min-ttl", "2m"]):
        assert both(place, *argv)[0] == Told(0, "token-of-work\n")
    assert is_replayed(place.replay("token"), Told(0, "token-of-work\n"))


def test_an_entry_is_read_completely_or_not_at_all(place: CachedPlace) -> None:
    with standing_in(place):
        cache = Cache(place.environ)
        place.recall.unlink()
        cache.store(["words"], {str(place.recall.parent / "none"): ""}, ["one", "60.0", "last"])
        whole = cache.load()
        assert cache.lookup(whole, ["words"]) == ["one", "60.0", "last"]

        def found(data: bytes) -> list[str]:
            with suppress(ValueError):
                return cache.lookup(data, ["words"])
            return []

        for at in range(whole.index(b"\2"), whole.index(b"\1", 1)):
            for damaged in (
                whole[:at],
                whole[:at] + bytes(9),
                whole[: at + 1].ljust(at + 5, b"\0"),
            ):
                assert found(damaged) == []
            assert found(whole[:at] + b"\0" + whole[at + 1 :]) in ([], ["one", "60.0", "last"])


FORGERIES = {
    "another file": (b"work.json", b"home.json"),
    "another directory": (b"config/tokens/work", b"repository/secrets"),
    "no number": (b"\0print\0", b"\0print\0x"),
    "no end": (b"\0print\0", b"\0print\0nan\0"),
    "another kind": (b"\0print\0", b"\0write\0"),
    "more values": (b"\0print\0", b"\0print\0\0"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_entry_shows_no_other_file(place: CachedPlace, forgery: str) -> None:
    secrets = place.root / "repository" / "secrets.json"
    secrets.write_text("secret" * 100)
    secrets.chmod(0o600)
    whole = place.recall.read_bytes()
    forged = whole.replace(*FORGERIES[forgery])
    assert forged != whole
    place.recall.write_bytes(forged)
    assert place.replay("token") is None


def test_a_cache_of_another_version_or_user_is_ignored(place: CachedPlace) -> None:
    whole = place.recall.read_bytes()
    own, other = f"\0{os.geteuid()}\0".encode(), f"\0{os.geteuid() + 1}\0".encode()
    for changed in (whole.replace(__version__.encode(), b"9.9.9"), whole.replace(own, other)):
        assert changed != whole
        place.recall.write_bytes(changed)
        assert place.replay("token") is None


def test_the_cache_stays_small(place: CachedPlace) -> None:
    sizes = set()
    for number in range(100):
        place.run("token", "--min-ttl", f"{number}s")
        sizes.add(place.recall.stat().st_size)
    assert place.recall.read_bytes().count(b"\2") == 64
    assert max(sizes) < 128 * 1024
    assert place.replay("token", "--min-ttl", "99s")
    assert place.replay("token", "--min-ttl", "30s") is None
    with_long_entry = replace(place, variables={"SOE_AUTH_BROWSER": "x" * 10000})
    before = place.recall.read_bytes()
    assert with_long_entry.run("token").code == 0
    assert place.recall.read_bytes() == before
    place.recall.write_bytes(b"\1" + b"x" * 10**6)
    place.run("token")
    assert place.recall.stat().st_size < 4096
    assert place.replay("token")


def test_a_known_entry_is_not_written_again(place: CachedPlace) -> None:
    before = place.recall.stat()
    for _ in range(3):
        place.run("token")
    assert place.recall.stat().st_mtime_ns == before.st_mtime_ns


def test_without_a_usable_directory_nothing_is_recorded(place: CachedPlace) -> None:
    place.recall.unlink()
    with standing_in(place):
        for mark in "\0\1\2":
            cache = Cache(place.environ)
            with pytest.raises(ValueError):  # noqa: PT011  # it has no words
                cache.store([], {}, [f"a{mark}b"])
            with pytest.raises(ValueError):  # noqa: PT011  # it has no words
                cache.store([f"a{mark}b"], {}, [])
    (place.config / "config.toml").write_text(f'store = "keyring"\n{CONFIG}')
    found = place.config / "tokens" / "work.json"
    with standing_in(place):
        recorder = Recorder(["token"], place.environ, settled)
        recorder.begins()
        token = token_from_json(found.read_bytes())
        recorder.prints(token.access_token.reveal(), resolve({}, environ=place.environ), token)
    assert not place.recall.exists()


@pytest.mark.as_root
def test_a_directory_that_cannot_be_written_does_no_harm(place: CachedPlace) -> None:
    place.recall.unlink()
    if os.geteuid() == 0:
        for path in [place.root, *place.root.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        for parent in place.root.parents[:-2]:
            parent.chmod(parent.stat().st_mode | 0o011)
    place.config.chmod(0o500)

    def work() -> None:
        assert place.run("token") == Told(0, "token-of-work\n")

    as_nobody(work)
    place.config.chmod(0o700)
    assert not place.recall.exists()


# --- the token file ---

WORDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), min_size=1)


@pytest.mark.slow
@given(
    secret=WORDS.map("canary-{}".format),  # not in any path of the cache
    argv=st.sampled_from(
        [["token"], *(["token", "--format", form] for form in ("header", "env", "curl"))]
    ),
    account=st.none() | st.text(st.characters()),
)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_token_is_replayed_as_the_command_prints_it_or_not_at_all(
    place: CachedPlace, secret: str, argv: list[str], account: str | None
) -> None:
    place.save("work", living(Secret(secret), account=account))
    outcome, _ = both(place, *argv)
    assert (outcome.code, outcome.err) == (0, "")
    is_plain = set(secret).isdisjoint("\"'\\")
    assert is_replayed(place.replay(*argv), outcome) or not is_plain
    assert not place.recall.exists() or b"canary-" not in place.recall.read_bytes()


@pytest.mark.slow
@given(
    expires_at=st.floats(1e9, 2e9) | st.sampled_from(["never", "unknown"]),
    min_ttl=st.sampled_from([0.0, 60.0, 600.0, 86400.0]),
    left=st.floats(-1e5, 1e5) | st.sampled_from([-1.0, 0.0, 1.0, 59.0, 60.0, 61.0, 599.0]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_token_is_replayed_no_longer_than_it_is_valid(
    place: CachedPlace, expires_at: Any, min_ttl: float, left: float
) -> None:
    token = living(Secret("canary(1)*"), obtained_at=1.5e9, expires_at=expires_at)
    place.save("work", token)
    end = token.ends_at(token.obtained_at)
    assume(token.life > min_ttl)  # otherwise it would not have been printed
    moment = 1.5e9 if expires_at == "never" else end - min_ttl - left
    with standing_in(place):
        found = replace(resolve({}, environ=place.environ), min_ttl=min_ttl)
        recorder = Recorder(["token"], place.environ, settled)
        recorder.begins()
        recorder.prints(token.access_token.reveal(), found, token)
    own = token.site, token.client_id, token.scope
    is_valid = token.why_unusable(*own, min_ttl=min_ttl, now=moment) is None
    assume(abs(end - min_ttl - moment) > 1e-6)  # the exact moment is left to the command
    assert (place.replay("token", now=lambda: moment) is not None) == is_valid


@pytest.mark.parametrize("by", ["replaced", "in place", "removed", "mode", "touched", "link"])
def test_a_token_file_that_is_not_what_it_was_is_noticed(place: CachedPlace, by: str) -> None:
    path = place.config / "tokens" / "work.json"
    other = path.read_bytes().replace(b"token-of-work", b"token-of-home")
    match by:
        case "replaced":
            place.save("work", living(Secret("token-of-home")))
        case "in place":
            before = path.stat()
            path.write_bytes(other)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "removed":
            path.unlink()
        case "mode":
            path.chmod(0o400)
        case "touched":
            path.touch()
        case _:
            path.symlink_to(path.rename(path.with_name("elsewhere")))
    assert place.replay("token") is None
    both(place, "token")


def test_any_account_name_is_replayed_as_the_command_prints_it(place: CachedPlace) -> None:
    for account in ("Zoë", "\ud83d\ude00", "\ud800", "\u2028\x85\x7f", '"\\'):
        token = living(Secret("canary(1)*"), account=account)
        assert token_from_json(token_to_json(token)) == token
        place.save("work", token)
        assert both(place, "token")[0] == Told(0, "canary(1)*\n")


@pytest.mark.as_root
@pytest.mark.parametrize(
    "what", ["loose", "link", "hard link", "foreign", "directory", "loose directory", "in_keyring"]
)
def test_an_unusual_token_file_is_left_to_the_command(place: CachedPlace, what: str) -> None:
    path = place.config / "tokens" / "work.json"
    match what:
        case "loose":
            path.chmod(0o644)
        case "link":
            path.symlink_to(path.rename(path.with_name("elsewhere")))
        case "hard link":
            os.link(path, path.with_name("twice"))
        case "foreign" if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        case "loose directory":
            path.parent.chmod(0o755)
        case "in_keyring":
            path.write_bytes(token_to_json(living(Secret("token-of-work")), "in_keyring"))
        case _:
            path.unlink()
            path.mkdir()
    assert place.replay("token") is None
    outcome = place.run("token")
    assert outcome.err
    is_repaired = what.startswith("loose")
    assert outcome.code == (0 if is_repaired else 3 if what == "in_keyring" else 7)
    place.run("token")
    assert (place.replay("token") is not None) == is_repaired


# --- processes ---


@dataclass(frozen=True)
class Processes:
    """The command as a process, with a cache and without."""

    place: CachedPlace

    def command(self, *argv: str, module: bool = False) -> list[str]:
        own = [sys.executable, "-m", "soe_auth"] if module else [Command(self.place.root).path]
        return [*own, *argv]

    def environ(self, **variables: str) -> dict[str, str]:
        hook = {k: v for k, v in os.environ.items() if k.startswith("COVERAGE_")}
        return {**hook, **self.place.environ, **variables}

    def run(self, *argv: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
        module = options.pop("module", False)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        arguments = {"env": self.environ(), **pipes, **options}
        return subprocess.run(
            self.command(*argv, module=module),
            cwd=self.place.cwd,
            check=False,
            timeout=30,
            **arguments,
        )

    def redirected(
        self, how: str, *argv: str, **variables: str
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run a command with the redirections of a shell."""
        return subprocess.run(
            ["sh", "-c", f'exec "$@" {how}', "sh", *self.command(*argv)],
            env=self.environ(**variables),
            cwd=self.place.cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=30,
        )

    def both(self, *argv: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
        """Run a command with the cache and without; return the result, which is the same."""
        self.place.run(*argv)
        assert self.place.replay(*argv)
        cached = self.run(*argv, **options)
        self.place.recall.unlink()
        full = self.run(*argv, **options)
        assert (cached.returncode, cached.stdout, cached.stderr) == (
            full.returncode,
            full.stdout,
            full.stderr,
        )
        return cached


@pytest.fixture
def processes(place: CachedPlace) -> Processes:
    return Processes(place)


@pytest.mark.process
@pytest.mark.parametrize("module", [False, True])
@pytest.mark.parametrize(
    ("argv", "out"),
    [
        (["token"], "token-of-work\n"),
        (["token", "--format", "header"], "Authorization: Bearer token-of-work\n"),
        (["token", "--format", "env"], "export SOE_AUTH_TOKEN='token-of-work'\n"),
        (["token", "--format", "curl"], 'header = "Authorization: Bearer token-of-work"\n'),
        (["status", "--check", "1h"], ""),
        (["run", "--", "printenv", "SOE_AUTH_TOKEN", "SOE_AUTH_SITE"], "token-of-work\nhttps://"),
    ],
)
def test_a_process_answers_the_same_with_and_without_replay(
    processes: Processes, *, argv: list[str], out: str, module: bool
) -> None:
    done = processes.both(*argv, module=module)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith(out)


@pytest.mark.process
def test_run_sets_the_same_environment_with_and_without_replay(processes: Processes) -> None:
    assert b"SOE_AUTH_TOKEN=token-of-work\0" in processes.both("run", "--", "env", "-0").stdout


@pytest.mark.process
@pytest.mark.parametrize(("command", "code"), [("/none", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_be_run_is_reported_by_the_command_itself(
    processes: Processes, command: str, code: int
) -> None:
    done = processes.run("run", "--", command)
    assert done.returncode == code
    assert b"Cannot run " in done.stderr


@pytest.mark.process
@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["", "unbuffered"])
@pytest.mark.parametrize(
    "argv",
    [
        ["token"],
        ["token", "--format", "json"],
        ["status"],
        ["--help"],
        ["--version"],
        ["token", "--help"],
        ["help"],
    ],
    ids=" ".join,
)
def test_a_full_disk_is_reported_in_one_line(
    processes: Processes, argv: list[str], variables: dict[str, str]
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = processes.run(*argv, stdout=full, env=processes.environ(**variables))
    assert done.returncode == NOT_WRITTEN
    assert done.stderr == b"soe-auth: Cannot write to stdout: No space left on device.\n"


@pytest.mark.process
@pytest.mark.parametrize("argv", [["token"], ["token", "--format", "json"], ["--help"]])
def test_a_closed_pipe_is_an_exit_code_without_a_message(
    processes: Processes, argv: list[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = processes.run(*argv, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (READER_GONE, b"")


@pytest.mark.process
@pytest.mark.parametrize("closed", ["0", "1", "2", "12", "012"])
@pytest.mark.parametrize(
    "argv",
    [
        ["token"],
        ["status", "--check"],
        ["token", "-v"],
        ["--version"],
        [],
        ["nothing"],
        ["exchange", "--site", "acme", "--client-id", "110"],
        ["login", "--with-token"],
        ["init", "--from", "-", "--yes"],
        ["api", "--input", "-", "https://other.example/api"],
    ],
)
def test_closed_streams_do_no_harm(processes: Processes, argv: list[str], closed: str) -> None:
    # A closed stderr takes any message, also one with "…", which this locale cannot encode.
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = processes.redirected(" ".join(f"{n}>&-" for n in closed), *argv, **ascii_only)
    has_result = argv[:1] in (["token"], ["--version"])
    is_lost = has_result and "1" in closed
    succeeds = has_result or argv[:1] == ["status"]
    assert done.returncode == (NOT_WRITTEN if is_lost else 0 if succeeds else 2)
    assert bool(done.stdout) == (has_result and not is_lost)
    assert argv[:1] != ["token"] or done.stdout in {b"", b"token-of-work\n"}
    reason = b"soe-auth: Cannot write to stdout: Bad file descriptor.\n"
    assert done.stderr.endswith(reason) == (is_lost and "2" not in closed)
    assert b"Traceback" not in done.stderr


@pytest.mark.process
@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["", "unbuffered"])
@pytest.mark.parametrize("stdout", [">&-", ">/dev/full"])
@pytest.mark.parametrize(
    "argv",
    [
        ["run", "true"],
        ["status", "--check"],
        ["token", "-o", "token"],
        ["login", "--if-needed"],
        ["config", "set", "timeout", "1m"],
    ],
    ids=" ".join,
)
def test_a_command_without_a_result_needs_no_stdout(
    processes: Processes, argv: list[str], stdout: str, variables: dict[str, str]
) -> None:
    for _ in range(2):  # with the cache, if the command has an entry, and without
        done = processes.redirected(stdout, *argv, **variables)
        assert done.returncode == 0, done.stderr
        processes.place.recall.unlink(missing_ok=True)


# Writes `ready` when the command line is read.
READY_AT_FIRST_LINE = """
import os, sys
from soe_auth.__main__ import entry_point

class CommandLine(list):
    def __getitem__(self, which):
        os.write(2, b"ready")
        return super().__getitem__(which)

sys.argv = CommandLine(sys.argv)
entry_point()
"""


@pytest.mark.process
@pytest.mark.alone
@pytest.mark.timeout(120)
@pytest.mark.parametrize("argv", [["token"], ["status", "--check"], ["run", "true"]])
def test_ctrl_c_at_any_moment_is_one_line_or_too_late(
    processes: Processes, argv: list[str]
) -> None:
    ends = Counter[int]()
    environ = unmeasured(processes.environ())
    for moment in range(40):
        with subprocess.Popen(
            [sys.executable, "-I", "-c", READY_AT_FIRST_LINE, *argv],
            env=environ,
            cwd=processes.place.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout
            assert process.stderr
            assert process.stderr.read(5) == b"ready"
            time.sleep(0.008 * moment / 40)  # the command takes no longer
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
        ends[process.returncode] += 1
        if process.returncode == 130:
            assert err == b"\nsoe-auth: interrupted.\n"
        else:
            assert (process.returncode, err) in {(0, b""), (-signal.SIGINT, b"")}
            assert argv[0] == "run" or process.returncode == 0
        assert out in {b"", b"token-of-work\n"}
    assert ends[130]


@pytest.mark.process
def test_fifty_processes_that_record_at_once_leave_a_valid_cache(processes: Processes) -> None:
    processes.place.recall.unlink()
    script = """
import os, sys, time
from soe_auth.cli.main import main
from soe_auth.fast.recorder import Recorder
later = lambda: time.time_ns() + 10**10
sys.stdin.read()
lines = [["token", "--min-ttl", f"{n}s"] for n in range(5)]
sys.exit(any(main(line, observer=Recorder(line, os.environ, later)) for line in lines))
"""
    environ = unmeasured(processes.environ())
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=environ,
            cwd=processes.place.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(50)
    ]
    ends = [process.communicate(timeout=50)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 50
    assert set(ends) == {b""}
    assert {path.name for path in processes.place.config.iterdir()} == {
        "config.toml",
        "locks",
        "recall",
        "tokens",
    }
    data = processes.place.recall.read_bytes()
    assert (data[:1], data[-1:]) == (b"\1", b"\1")
    assert all(processes.place.replay("token", "--min-ttl", f"{n}s") for n in range(5))
