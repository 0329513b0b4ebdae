"""The short way answers as the long one would, or not at all; what it goes by is never stale."""

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
from typing import Any

import pytest
from cli_oracle import (
    CONFIG,
    PROJECTS,
    SHOW,
    SYSTEMS,
    USERS,
    Place,
    Told,
    living,
    settled,
    standing_in,
    tick,
    told_by,
)
from conftest import NOBODY, TOKEN, Command, as_nobody, unmeasured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import OPTIONS, change, command_lines, places

from soe_auth import Scope, Secret, Site, Token
from soe_auth.__main__ import NOT_WRITTEN, READER_GONE
from soe_auth.cli.console import Console
from soe_auth.cli.token_source import keep
from soe_auth.fast.cache import MAY_BE_SECRET, VARIABLES, CacheKey, asked
from soe_auth.fast.replay import Answer, _read_token, answer
from soe_auth.settings.resolve import resolve
from soe_auth.settings.spec import TABLE
from soe_auth.storage.token_format import token_from_json, token_to_json
from soe_auth.version import __version__

pytestmark = pytest.mark.posix("only Linux has the short way")


def remembered(there: Place, *argv: str) -> Answer:
    """Have the long way keep what the settings come to, and return what the short one answers."""
    told = there.long(*(argv or ("token",)))
    known = there.short(*(argv or ("token",)))
    assert known
    assert told == told_by(known)
    tick(there.root)
    return known


def both(there: Place, *argv: str) -> tuple[Told, bool]:
    """Return what the long way tells, and whether the short one does: the same, then."""
    known, told = there.short(*argv), there.long(*argv)
    if known is None:
        return told, False
    if known.command and which(known.command[0]) is None:
        assert told.code == 127  # what cannot be become is left to the long way
        return told, False
    assert told == told_by(known), argv
    return told, True


# --- both ways are the same ----------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_over_many_settings_the_short_way_answers_as_the_long_one_or_not_at_all(
    tmp_path: Path,
) -> None:
    seen = Counter[str]()

    @settings(
        max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.data())
    def compare(data: st.DataObject) -> None:
        there = data.draw(places(tmp_path))
        seen["settings"] += 1
        for _ in range(2):
            for argv in data.draw(st.lists(command_lines(), min_size=1, max_size=2)):
                _, at_once = both(there, *argv)  # by what is remembered from before
                told, answered = both(there, *argv)  # by what has just been kept
                seen["at once"] += at_once
                seen["fine"] += told.code == 0 and not told.err
                seen["answered"] += answered
                seen[next(filter(OPTIONS.__contains__, argv))] += answered
            if data.draw(st.booleans()):
                change(data.draw, there)

    compare()
    assert seen["settings"] >= 1000
    assert seen["fine"] > 500
    # What is drawn differs with each version of Python and of Hypothesis.
    assert seen["answered"] > seen["fine"] / 4
    assert seen["at once"] > seen["fine"] / 20
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
    ],
)
def test_the_usual_forms_are_answered(place: Place, argv: list[str]) -> None:
    remembered(place, *argv)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["-pwork", "token"],
        ["-p=work", "token"],
        ["token", "--profile="],
        ["token", "-p"],
        ["token", "-p", "-x"],
        ["-p", "work", "token", "-p", "work"],
        ["token", "--format", "json"],
        ["token", "--format", "foo"],
        ["token", "word"],
        ["token", "--"],
        ["token", "-v"],
        ["status"],
        ["status", "--check="],
        ["status", "--check", "-1"],
        ["run"],
        ["run", "--"],
        ["run", ""],
        ["run", "--env", "X", "true"],
        ["login"],
    ],
)
def test_other_forms_go_the_long_way(place: Place, argv: list[str]) -> None:
    remembered(place, "token", "-p", "work")
    assert place.short(*argv) is None


def test_a_token_of_the_environment_is_answered_with_and_only_if_it_can_be_one(
    place: Place,
) -> None:
    for value, answered in {"canary(1)*": True, "a b": False, "é": False, "a\x7f": False}.items():
        fed = replace(place, variables={"SOE_AUTH_TOKEN": value})
        assert both(fed, "token", "--format", "header", "--min-ttl", "never")[1] is answered
        for argv in (["status", "--check"], ["run", *SHOW]):  # which look at settings all the same
            assert fed.short(*argv) is None


def test_what_an_option_asks_for_is_no_answer_to_another(place: Place) -> None:
    wrong = replace(place, variables={"SOE_AUTH_MIN_TTL": "x"})
    remembered(wrong, "token", "--min-ttl", "1h")
    assert both(wrong, "status", "--check", "1h")[0].code == 2
    assert wrong.short("status", "--check", "1h") is None


# --- what has changed is noticed -----------------------------------------------------------------

OTHER_TEXT = {
    USERS: CONFIG.replace('_profile = "work"', '_profile = "home"'),
    SYSTEMS: 'min_ttl = "9d"\n',
    PROJECTS: 'profile = "home"\n',
}


def edited_in_place(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def renamed_over(path: Path, text: str) -> None:
    beside = path.with_name("beside")
    beside.write_text(text)
    before = path.stat()
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.replace(path)


def linked_to(path: Path, text: str) -> None:
    target = path.with_name("target")
    target.write_text(text)
    path.unlink()
    path.symlink_to(target)


def made_longer(path: Path, text: str) -> None:
    path.write_text(text + "# more\n")


@pytest.mark.parametrize("by", [edited_in_place, renamed_over, linked_to, made_longer])
@pytest.mark.parametrize("name", [USERS, SYSTEMS, PROJECTS])
def test_an_edit_is_noticed(place: Place, name: str, by: Callable[[Path, str], None]) -> None:
    if name == USERS:
        (place.root / PROJECTS).unlink()
    before = told_by(remembered(place))
    by(place.root / name, OTHER_TEXT[name])
    assert place.short("token") is None
    assert place.long("token") != before
    assert both(place, "token")[0] != before


@pytest.mark.parametrize("by", ["removed", "mode", "directory", "gone up"])
@pytest.mark.parametrize("name", [USERS, SYSTEMS, PROJECTS])
def test_a_file_that_is_not_what_it_was_is_noticed(place: Place, name: str, by: str) -> None:
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
    assert place.short("token") is None
    both(place, "token")


def test_a_link_that_leads_elsewhere_is_noticed(place: Place) -> None:
    path = place.root / PROJECTS
    one, other = path.with_name("one"), path.with_name("other")
    path.rename(one)
    other.write_text(OTHER_TEXT[PROJECTS])
    path.symlink_to(one)
    remembered(place)
    path.unlink()
    path.symlink_to(other)
    assert place.short("token") is None
    assert both(place, "token")[0].out == "token-of-home\n"
    path.unlink()
    path.symlink_to("nowhere")
    assert place.short("token") is None


@pytest.mark.parametrize(
    "name", ["repository/inner/.soe-auth.toml", "repository/inner/pyproject.toml"]
)
def test_a_project_file_that_appears_is_noticed(place: Place, name: str) -> None:
    table = "[tool.soe-auth]\n" if name.endswith("pyproject.toml") else ""
    (place.root / name).write_text(f'{table}profile = "home"\n')
    assert place.short("token") is None
    assert both(place, "token")[0].out == "token-of-home\n"


def test_a_system_file_that_appears_is_noticed(place: Place) -> None:
    (place.root / SYSTEMS).unlink()
    remembered(place)
    (place.root / SYSTEMS).write_text(OTHER_TEXT[SYSTEMS])
    assert place.short("token") is None
    assert both(place, "token")[0].code == 3


def test_a_repository_that_begins_or_ends_is_noticed(place: Place) -> None:
    (place.root / PROJECTS).write_text(OTHER_TEXT[PROJECTS])
    assert remembered(place).text == "token-of-home"
    mark = place.root / "repository" / ".git"
    mark.rmdir()
    assert place.short("token") is None
    assert remembered(place).text == "token-of-work"
    mark.write_text("gitdir: elsewhere\n")  # as in a work tree
    assert both(place, "token") == (Told(0, "token-of-home\n"), True)
    (place.cwd / ".git").mkdir()
    assert both(place, "token") == (Told(0, "token-of-work\n"), True)


def test_where_one_stands_is_noticed(place: Place) -> None:
    (place.root / PROJECTS).write_text(OTHER_TEXT[PROJECTS])
    remembered(place)
    elsewhere = place.root / "elsewhere"
    elsewhere.mkdir()
    outside = replace(place, cwd=elsewhere)
    assert outside.short("token") is None
    assert remembered(outside).text == "token-of-work"
    # Without a project file, all directories ask the same.
    assert both(replace(place, cwd=place.root), "token") == (Told(0, "token-of-work\n"), True)


def test_where_one_stands_may_be_gone(place: Place) -> None:
    with standing_in(place):
        gone = place.root / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        assert answer(["token"], place.environ) is None


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
def test_a_variable_is_noticed(place: Place, name: str, value: str) -> None:
    changed = replace(place, variables={name: value})
    assert changed.short("token") is None
    both(changed, "token")


def test_every_variable_that_settings_have_is_looked_at() -> None:
    assert {setting.variable for setting in TABLE} <= {*VARIABLES, MAY_BE_SECRET}


def test_the_usual_directories_are_found_as_well(place: Place) -> None:
    usual = {"SOE_AUTH_CONFIG_DIR": "", "XDG_CONFIG_DIRS": "", "HOME": str(place.root / "config")}
    there = replace(place, variables=usual)
    (place.config / ".config").mkdir()
    (place.config / ".config" / "soe-auth").symlink_to(place.config)
    assert both(there, "token")[0].code == 0
    assert both(there, "token")[1]
    moved = replace(there, variables={**usual, "XDG_CONFIG_HOME": str(place.config / ".config")})
    assert not both(moved, "token")[1]
    assert both(moved, "token")[1]
    empty = replace(place, variables={"XDG_CONFIG_DIRS": f":{place.root / 'system'}"})
    assert both(empty, "token") == (Told(0, "token-of-work\n"), False)
    assert both(empty, "token") == (Told(0, "token-of-work\n"), False)  # they skip what is empty


@pytest.mark.parametrize("name", [USERS, SYSTEMS, PROJECTS])
def test_what_changed_just_now_is_not_vouched_for(place: Place, name: str) -> None:
    place.recall.unlink()
    (place.root / name).touch()
    now = time.time_ns()
    place.long("token", clock=lambda: now)
    assert not place.recall.exists()
    place.long("token", clock=lambda: now + 4 * 10**9)
    assert place.short("token")


def test_what_changes_while_it_is_looked_at_is_not_kept(place: Place) -> None:
    place.recall.unlink()
    with standing_in(place):
        before = CacheKey(place.environ, asked("", ""), clock=settled)
        (place.root / PROJECTS).unlink()
        before.store(["work"], CacheKey(place.environ, asked("", "")))
    assert not place.recall.exists()


# --- the names of profiles -----------------------------------------------------------------------

NAMES = "completion", "--profiles"


def test_the_names_are_told_by_both_ways_each_on_a_line(place: Place) -> None:
    assert place.short(*NAMES) is None
    assert both(place, *NAMES) == (Told(0, "home\nwork\n"), False)
    assert both(place, *NAMES) == (Told(0, "home\nwork\n"), True)
    given = replace(place, variables={"SOE_AUTH_TOKEN": "canary(1)*"})
    assert both(given, *NAMES) == (Told(0, "home\nwork\n"), True)
    assert b"canary" not in place.recall.read_bytes()


def test_what_the_names_come_to_is_no_answer_to_another_question(place: Place) -> None:
    place.recall.unlink()
    remembered(place, *NAMES)
    assert place.short("token") is None
    remembered(place)
    assert both(place, "token") == (Told(0, "token-of-work\n"), True)
    assert both(place, *NAMES) == (Told(0, "home\nwork\n"), True)


@pytest.mark.parametrize("name", [USERS, SYSTEMS])
def test_a_profile_that_comes_or_goes_is_noticed(name: str, place: Place) -> None:
    remembered(place, *NAMES)
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
def test_where_no_name_can_be_told_nothing_is_said_or_kept(text: str, place: Place) -> None:
    place.recall.unlink()
    (place.root / SYSTEMS).unlink()
    (place.root / USERS).write_text(text)
    for _ in range(2):
        assert both(place, *NAMES) == (Told(0), False)
    assert not place.recall.exists()


def test_where_settings_are_not_simple_the_names_are_told_the_long_way(place: Place) -> None:
    place.recall.unlink()
    there = replace(place, variables={"SOE_AUTH_PROXY": "http://joe:canary@proxy.example"})
    for _ in range(2):
        assert both(there, *NAMES) == (Told(0, "home\nwork\n"), False)
    assert not place.recall.exists()


# --- the file of what is remembered --------------------------------------------------------------


def test_it_holds_no_secret_and_is_for_its_owner_alone(place: Place) -> None:
    for name in ("SOE_AUTH_TOKEN", "SOE_AUTH_PROXY", "SOE_AUTH_API_TOKEN", "API_TOKEN"):
        place.recall.unlink(missing_ok=True)
        secret = replace(place, variables={name: "http://joe:canary@proxy.example"})
        secret.long("token", "--min-ttl", "2m")
        data = place.recall.read_bytes() if place.recall.exists() else b""
        assert b"canary" not in data
        assert b"token-of" not in data
        assert bool(data) == (name not in {"SOE_AUTH_TOKEN", "SOE_AUTH_PROXY"})
    (place.config / "config.toml").write_text(f"proxy = 'http://joe:canary@p.example'\n{CONFIG}")
    assert place.long("token").code == 0
    assert b"canary" not in place.recall.read_bytes()
    assert stat.S_IMODE(place.recall.stat().st_mode) == 0o600


def test_a_looser_one_is_ignored_and_replaced_with_nothing_of_it(place: Place) -> None:
    place.recall.write_bytes(place.recall.read_bytes().replace(b"\0work\0", b"\0home\0"))
    place.recall.chmod(0o660)
    assert place.short("token") is None
    assert both(place, "token", "--min-ttl", "2m") == (Told(0, "token-of-work\n"), False)
    assert both(place, "token", "--min-ttl", "2m") == (Told(0, "token-of-work\n"), True)
    assert place.short("token") is None
    assert stat.S_IMODE(place.recall.stat().st_mode) == 0o600


@pytest.mark.as_root
@pytest.mark.parametrize("what", ["link", "hard link", "foreign", "directory", "pipe", "socket"])
def test_what_is_no_file_of_ours_alone_is_left_alone(place: Place, what: str) -> None:
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


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_one_that_was_cut_short_or_is_garbage_is_ignored(place: Place, data: st.DataObject) -> None:
    place.recall.unlink(missing_ok=True)
    place.long("token", "--min-ttl", "2m")
    place.long("token")
    whole = place.recall.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    hole = whole[:cut] + bytes(3) + whole[cut + 3 :]
    kept = data.draw(st.sampled_from([whole[:cut], whole[cut:], whole[:cut] + bytes(64), hole]))
    place.recall.write_bytes(kept if data.draw(st.booleans()) else data.draw(st.binary()))
    for argv in (["token"], ["token", "--min-ttl", "2m"]):
        assert both(place, *argv)[0] == Told(0, "token-of-work\n")
    assert both(place, "token")[1]


def test_an_answer_is_recalled_whole_or_not_at_all(place: Place) -> None:
    with standing_in(place):
        question = CacheKey(place.environ, asked("some", "10m"), clock=settled)
        question.store(["one", "60.0", "last"], question)
        whole = place.recall.read_bytes()
        start = whole.index(b"\2")
        assert question.lookup() == ["one", "60.0", "last"]
        for at in range(start, whole.index(b"\1", 1)):
            for damaged in (
                whole[:at],
                whole[:at] + bytes(9),
                whole[: at + 1].ljust(at + 5, b"\0"),
            ):
                place.recall.write_bytes(damaged)
                with pytest.raises(ValueError):  # noqa: PT011  # it has no words
                    question.lookup()
            place.recall.write_bytes(whole[:at] + b"\0" + whole[at + 1 :])
            with suppress(ValueError):
                assert question.lookup() == ["one", "60.0", "last"]


def test_one_of_another_version_is_ignored(place: Place) -> None:
    other = place.recall.read_bytes().replace(__version__.encode(), b"9.9.9")
    place.recall.write_bytes(other)
    assert place.short("token") is None


def test_it_stays_small_however_much_is_asked(place: Place) -> None:
    sizes = set()
    for number in range(100):
        place.long("token", "--min-ttl", f"{number}s")
        sizes.add(place.recall.stat().st_size)
    assert place.recall.read_bytes().count(b"\2") == 32
    assert max(sizes) < 32 * 1024
    assert place.short("token", "--min-ttl", "99s")
    assert place.short("token", "--min-ttl", "60s") is None
    long = replace(place, variables={"SOE_AUTH_BROWSER": "x" * 10000})
    before = place.recall.read_bytes()
    assert long.long("token").code == 0
    assert place.recall.read_bytes() == before
    place.recall.write_bytes(b"\1" + b"x" * 10**6)
    place.long("token")
    assert place.recall.stat().st_size < 1024
    assert place.short("token")


def test_one_that_knows_it_already_is_not_written_again(place: Place) -> None:
    before = place.recall.stat()
    for _ in range(3):
        place.long("token")
    assert place.recall.stat().st_mtime_ns == before.st_mtime_ns


def test_nothing_is_kept_where_it_cannot_be(place: Place) -> None:
    place.recall.unlink()
    (place.config / "config.toml").write_text(f'store = "keyring"\n{CONFIG}')
    with standing_in(place):
        question = CacheKey(place.environ, asked("", ""), clock=settled)
        keep(question, resolve({}, environ=place.environ), Console(place.environ))
    assert not place.recall.exists()
    (place.config / "config.toml").write_text(CONFIG.replace('"acme"', '"acme/x"'))
    assert "left out" in place.long("token").err
    assert not place.recall.exists()
    with standing_in(place):
        for mark in "\0\1\2":
            question = CacheKey(place.environ, asked("", ""), clock=settled)
            with pytest.raises(ValueError):  # noqa: PT011  # it has no words
                question.store([f"a{mark}b"], question)
            with pytest.raises(ValueError):  # noqa: PT011  # it has no words
                CacheKey(place.environ, asked(f"a{mark}b", ""))


@pytest.mark.as_root
def test_a_directory_that_cannot_be_written_does_no_harm(place: Place) -> None:
    place.recall.unlink()
    if os.geteuid() == 0:
        for path in [place.root, *place.root.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        for parent in place.root.parents[:-2]:
            parent.chmod(parent.stat().st_mode | 0o011)
    place.config.chmod(0o500)

    def work() -> None:
        assert place.long("token") == Told(0, "token-of-work\n")

    as_nobody(work)
    place.config.chmod(0o700)
    assert not place.recall.exists()


# --- the token file ------------------------------------------------------------------------------

BINDING = str(TOKEN.site), TOKEN.client_id, str(TOKEN.scope)
TIMES = st.floats(0, 2e11).filter(bool) | st.integers(1, 10**10).map(float)
WORDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), min_size=1)
TOKENS = st.builds(
    Token,
    access_token=WORDS.map(Secret),
    site=st.sampled_from(["acme", "https://[::1]:8443", "http://localhost:1", "bücher"]).map(
        Site.parse
    ),
    client_id=st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True),
    scope=st.sampled_from(["", "write_access", "a,b,c"]).map(Scope.parse),
    granted_scope=st.just(Scope()),
    obtained_at=TIMES,
    expires_at=TIMES | st.sampled_from(["never", "unknown"]),
    account=st.none() | st.text(st.characters()),
)


def quickly(data: bytes, token: Token) -> tuple[Secret, float] | None:
    with suppress(ValueError):
        return _read_token(data, str(token.site), token.client_id, str(token.scope))
    return None


def slowly(data: bytes, token: Token) -> tuple[Secret, float] | None:
    with suppress(ValueError):
        read = token_from_json(data)
        if read.why_unusable(token.site, token.client_id, token.scope, min_ttl=0, now=0) is None:
            return read.access_token, read.remaining(0)
    return None


@given(TOKENS)
@settings(max_examples=1000, deadline=None)
def test_a_token_file_is_read_by_both_ways_as_the_same(token: Token) -> None:
    token = replace(token, granted_scope=token.scope)
    data = token_to_json(token)
    assert token_from_json(data) == token
    text = f"{token.account or ''}{token.access_token.reveal()}"
    odd = not text.isprintable() or set(text) & set('"\\') or token.expires_at == "unknown"
    late = any(isinstance(t, float) and t >= 1e11 for t in (token.obtained_at, token.expires_at))
    assert (quickly(data, token) is None) == bool(odd or late)
    assert quickly(data, token) in (None, slowly(data, token))


@given(TOKENS, st.data())
@settings(max_examples=3000, deadline=None)
def test_whatever_bytes_the_short_way_takes_the_long_one_takes_as_the_same(
    token: Token, data: st.DataObject
) -> None:
    token = replace(token, granted_scope=token.scope)
    good = token_to_json(token)
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 8)))
    pieces = st.sampled_from([b"", b"0", b"9", b"\n", b"\r", b'"', b"\\", b" ", b"-", b"e5", b"_"])
    inner = data.draw(pieces | st.binary(max_size=4) | st.just(good[end : end + 6]))
    bad = good[:start] + inner + good[end:]
    assert quickly(bad, token) in (None, slowly(bad, token))


def test_an_account_is_written_as_it_is_whatever_it_holds(place: Place) -> None:
    for account in ("Zoë", "\ud83d\ude00", "\ud800", "\u2028\x85\x7f", '"\\'):
        token = living(Secret("canary(1)*"), account=account)
        assert token_from_json(token_to_json(token)) == token
        place.save("work", token)
        assert both(place, "token")[0] == Told(0, "canary(1)*\n")
    assert "Zoë".encode() in token_to_json(replace(TOKEN, account="Zoë"))


@pytest.mark.as_root
@pytest.mark.parametrize(
    "what", ["loose", "link", "hard link", "foreign", "directory", "loose directory", "stub"]
)
def test_what_is_odd_about_a_token_goes_the_long_way_which_mends_or_tells(
    place: Place, what: str
) -> None:
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
        case "stub":
            path.write_bytes(token_to_json(living(Secret("token-of-work")), "stub"))
        case _:
            path.unlink()
            path.mkdir()
    assert place.short("token") is None
    told = place.long("token")
    assert told.err
    mended = what.startswith("loose")
    assert told.code == (0 if mended else 3 if what == "stub" else 7)
    assert (place.short("token") is not None) == mended


@pytest.mark.parametrize("min_ttl", [0, 60])
@pytest.mark.parametrize("left", [-1.0, 0.0, 1.0, 59.0, 60.0, 61.0, 3599.0])
def test_a_token_serves_as_long_as_the_long_way_has_it(
    place: Place, left: float, min_ttl: int
) -> None:
    remembered(place, "token", "--min-ttl", f"{min_ttl}s")
    token = living(Secret("canary(1)*"))
    place.save("work", token)
    assert isinstance(token.expires_at, float)
    moment = token.expires_at - left
    with standing_in(place):
        known = answer(["token", "--min-ttl", f"{min_ttl}s"], place.environ, now=lambda: moment)
    assert (known is not None) == (left >= max(min_ttl, 1))
    own = token.site, token.client_id, token.scope
    assert (known is None) == bool(token.why_unusable(*own, min_ttl=min_ttl, now=moment))


# --- as processes --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ways:
    """The command as a process, with what is remembered, and without."""

    place: Place

    def command(self, *argv: str, module: bool = False) -> list[str]:
        own = [sys.executable, "-m", "soe_auth"] if module else [Command(self.place.root).path]
        return [*own, *argv]

    def environ(self, **variables: str) -> dict[str, str]:
        hook = {k: v for k, v in os.environ.items() if k.startswith("COVERAGE_")}
        return {**hook, **self.place.environ, **variables}

    def run(self, *argv: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
        module = options.pop("module", False)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        given = {"env": self.environ(), **pipes, **options}
        return subprocess.run(
            self.command(*argv, module=module),
            cwd=self.place.cwd,
            check=False,
            timeout=30,
            **given,
        )

    def both(self, *argv: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
        """Run it the short way and the long one, and return what is the same."""
        self.place.long(*argv)
        assert self.place.short(*argv)
        short = self.run(*argv, **options)
        self.place.recall.unlink()
        long = self.run(*argv, **options)
        assert (short.returncode, short.stdout, short.stderr) == (
            long.returncode,
            long.stdout,
            long.stderr,
        )
        return short


@pytest.fixture
def ways(place: Place) -> Ways:
    return Ways(place)


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
def test_a_process_answers_the_same_by_both_ways(
    ways: Ways, *, argv: list[str], out: str, module: bool
) -> None:
    done = ways.both(*argv, module=module)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith(out)


@pytest.mark.process
def test_a_command_that_is_run_has_the_same_environment_by_both_ways(ways: Ways) -> None:
    assert b"SOE_AUTH_TOKEN=token-of-work\0" in ways.both("run", "--", "env", "-0").stdout


@pytest.mark.process
@pytest.mark.parametrize(("command", "code"), [("/none", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_be_run_is_told_of_by_the_long_way(
    ways: Ways, command: str, code: int
) -> None:
    done = ways.run("run", "--", command)
    assert done.returncode == code
    assert b"could not be run" in done.stderr


@pytest.mark.process
@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["", "unbuffered"])
@pytest.mark.parametrize("argv", [["token"], ["token", "--format", "json"], ["status"]])
def test_a_full_disk_is_told_in_a_line(
    ways: Ways, argv: list[str], variables: dict[str, str]
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = ways.run(*argv, stdout=full, env=ways.environ(**variables))
    assert done.returncode == NOT_WRITTEN
    assert done.stderr == b"soe-auth: stdout could not be written: No space left on device.\n"


@pytest.mark.process
def test_help_for_a_full_disk_is_told_of_as_well(ways: Ways) -> None:
    with Path("/dev/full").open("wb") as full:
        assert ways.run("--help", stdout=full).returncode == NOT_WRITTEN


@pytest.mark.process
@pytest.mark.parametrize("argv", [["token"], ["token", "--format", "json"], ["--help"]])
def test_a_reader_that_has_gone_is_an_exit_code_and_no_words(ways: Ways, argv: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = ways.run(*argv, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (READER_GONE, b"")


@pytest.mark.process
@pytest.mark.parametrize("closed", ["1", "2", "12", "012"])
@pytest.mark.parametrize("argv", [["token"], ["status", "--check"], ["token", "-v"], ["nothing"]])
def test_streams_that_are_closed_are_written_to_in_vain(
    ways: Ways, argv: list[str], closed: str
) -> None:
    script = 'exec "$@" ' + " ".join(f"{number}>&-" for number in closed)
    done = subprocess.run(
        ["sh", "-c", script, "sh", *ways.command(*argv)],
        env=ways.environ(),
        cwd=ways.place.cwd,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == (2 if argv == ["nothing"] else 0)
    assert done.stdout == (b"token-of-work\n" if "token" in argv and "1" not in closed else b"")
    assert b"Traceback" not in done.stderr


# From where we read the command line on, it says so.
FROM_OUR_FIRST_LINE = """
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
def test_ctrl_c_at_any_moment_is_one_line_or_comes_too_late(ways: Ways, argv: list[str]) -> None:
    ends = Counter[int]()
    environ = unmeasured(ways.environ())
    for moment in range(40):
        with subprocess.Popen(
            [sys.executable, "-I", "-c", FROM_OUR_FIRST_LINE, *argv],
            env=environ,
            cwd=ways.place.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout
            assert process.stderr
            assert process.stderr.read(5) == b"ready"
            time.sleep(0.008 * moment / 40)  # all of it takes no longer
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
def test_fifty_processes_that_remember_at_once_leave_it_whole(ways: Ways) -> None:
    ways.place.recall.unlink()
    script = """
import sys, time
from soe_auth.cli.main import main
later = lambda: time.time_ns() + 10**10
sys.stdin.read()
sys.exit(any(main(["token", "--min-ttl", f"{n}s"], clock=later) for n in range(5)))
"""
    environ = unmeasured(ways.environ())
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=environ,
            cwd=ways.place.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(50)
    ]
    ends = [process.communicate(timeout=50)[1] for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 50
    assert set(ends) == {b""}
    assert {path.name for path in ways.place.config.iterdir()} == {
        "config.toml",
        "recall",
        "tokens",
    }
    data = ways.place.recall.read_bytes()
    assert (data[:1], data[-1:]) == (b"\1", b"\1")
    assert ways.place.short("token", "--min-ttl", "4s")
