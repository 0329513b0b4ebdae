"""What makes a command fast or slow, and stays the same on a busy machine: what it loads and asks.

All is counted beyond what a bare interpreter does. Who adds an import or a look at a file finds out
here, and decides whether it is worth it.
"""

import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest
from cli_oracle import CONFIG, PATH, PROJECTS, Place, standing_in
from fake_programs import program
from replay_oracle import CachedPlace, cached_profiles, remember, settled

import soe_auth
from soe_auth.fast.recorder import Recorder
from soe_auth.settings.resolve import resolve

STRACE = which("strace")
pytestmark = [
    pytest.mark.posix("strace counts what a start asks the system for"),
    pytest.mark.process,
    pytest.mark.skipif(
        not STRACE or subprocess.call([STRACE, "-o", os.devnull, "true"]) != 0,
        reason="strace is not installed, or may not trace here",
    ),
]


@pytest.fixture
def place(tmp_path: Path) -> CachedPlace:
    return cached_profiles(tmp_path)


# `site` is what each start of a command loads; what is installed for the tests is not added to it.
BARE = "import sys, site"
PATHS = [str(Path(soe_auth.__file__).parents[1]), sysconfig.get_path("purelib")]
COMMAND = f"{BARE}; sys.path += {PATHS}; sys.argv = ['soe-auth', "
ENTRY = "]; from soe_auth.__main__ import entry_point; entry_point()"

SHORT = {
    "__init__",
    "__main__",
    "cli.__init__",
    "fast.__init__",
    "files.__init__",
    "files.private_read",
    "fast.cache",
    "fast.replay",
    "settings.__init__",
    "cli.streams",
    "version",
}
# What the module signal makes its enums with.
ENUMS = {"collections", "enum", "functools", "keyword", "operator", "reprlib", "types"}
HEAVY = {"aiohttp", "asyncio", "email", "httpx", "keyring", "ssl", "subprocess", "tomlkit"}
# What only comes once the browser is on its way, or not at all.
LATER = {"_hashlib", "hashlib", "textwrap"}


@dataclass(frozen=True)
class Asked:
    """What a process loaded and asked of the system.

    `rooms` are the modules of ours, `others` all else that came from files of Python's, `files`
    the other files that were opened, and `read` is in bytes.
    """

    rooms: set[str]
    others: set[str]
    files: set[str]
    calls: int
    read: int


def traced(place: Place, script: str, until: str | None = None) -> Asked:
    """Run Python under strace; with `until`, look at no more than comes before that call."""
    log = place.root / "calls"
    command = [sys.executable, "-I", "-S", "-c", script]
    environ = {"PATH": PATH, "TZ": "UTC", **place.environ}
    subprocess.run(command, env=environ, cwd=place.cwd, capture_output=True, check=False)
    assert STRACE
    done = subprocess.run(
        [STRACE, "-f", "-o", log, *command],
        env=environ,
        cwd=place.cwd,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"Traceback" not in done.stderr
    lines = log.read_text().splitlines()
    if until:
        lines = lines[: next(n for n, line in enumerate(lines) if until in line)]
    opened = [
        found[1]
        for line in lines
        if (found := re.search(r'open(?:at)?\([^"]*"([^"]+)".*= \d+$', line))
    ]
    modules = [Path(path) for path in opened if path.endswith((".pyc", ".so"))]
    ours = Path(soe_auth.__file__).parent
    return Asked(
        rooms={name(path.relative_to(ours)) for path in modules if path.is_relative_to(ours)},
        others={name(path) for path in modules if not path.is_relative_to(ours)},
        files={path for path in opened if not path.endswith((".pyc", ".so", ".so.1", ".cache"))},
        calls=len(lines),
        read=sum(int(n) for line in lines for n in re.findall(r" read\(.*= (\d+)$", line)),
    )


def name(path: Path) -> str:
    """Return a module's name in our package, or without its package."""
    parts = [part for part in path.parent.parts if part != "__pycache__"]
    return ".".join([*([] if path.is_absolute() else parts), path.name.split(".")[0]])


def beyond_bare(place: Place, *argv: str, until: str | None = None) -> Asked:
    bare = traced(place, BARE)
    asked = traced(place, COMMAND + ", ".join(map(repr, argv)) + ENTRY, until)
    return Asked(
        rooms=asked.rooms,
        others=asked.others - bare.others,
        files={file for file in asked.files - bare.files if Path(file).is_file()},
        calls=asked.calls - bare.calls,
        read=asked.read - bare.read,
    )


def within(asked: Asked, *, calls: int, read: int) -> bool:
    """Whether no more was asked than that; what there is now is a fifth below."""
    return asked.calls <= calls and asked.read <= read * 1024


@pytest.mark.parametrize(
    "argv",
    [
        ["token"],
        ["token", "--format", "header", "-p", "work"],
        ["status", "--check", "1h"],
    ],
)
def test_replay_opens_the_cache_and_the_token(place: CachedPlace, argv: list[str]) -> None:
    remember(place, *argv)
    asked = beyond_bare(place, *argv)
    assert asked.rooms == SHORT
    assert asked.others <= {"__future__"}
    assert asked.files == {str(place.recall), str(place.config / "tokens" / "work.json")}
    assert within(asked, calls=330, read=62), asked


def test_replay_of_profile_names_opens_the_cache_only(place: CachedPlace) -> None:
    remember(place, "completion", "--profiles")
    asked = beyond_bare(place, "completion", "--profiles")
    assert asked.rooms == SHORT
    assert asked.others <= {"__future__"}
    assert asked.files == {str(place.recall)}
    assert within(asked, calls=320, read=60), asked


def test_replay_of_run_loads_little_before_exec(place: CachedPlace) -> None:
    remember(place, "run", "--", "true")
    asked = beyond_bare(place, "run", "--", "/bin/true", until='execve("/bin/true"')
    of_process = {"desktop.__init__", "desktop.process", "model.__init__", "model.secret"}
    assert asked.rooms == SHORT | of_process
    assert asked.others <= {"__future__", "signal", *ENUMS}
    assert asked.files == {str(place.recall), str(place.config / "tokens" / "work.json")}
    assert within(asked, calls=505, read=380), asked


def test_help_loads_no_command_and_token_loads_no_http_client(
    place: CachedPlace,
) -> None:
    asked = beyond_bare(place, "--help")
    of_cli = {"cli.main", "cli.console", "cli.exit_codes"}
    assert asked.rooms == SHORT | of_cli | {
        "errors",
        "fast.recorder",
        "model.__init__",
        "model.text",
    }
    assert not asked.others & {*HEAVY, "dataclasses", "inspect", "json", "pathlib"}
    assert within(asked, calls=800, read=1250), asked
    asked = beyond_bare(place, "token", "-v")
    assert not asked.others & (HEAVY | LATER)
    calls = 2000 if sys.version_info < (3, 13) else 2020  # whose own library asks a little more
    assert within(asked, calls=calls, read=2450), asked


@pytest.mark.parametrize(("known", "calls", "read"), [(False, 2500, 2700), (True, 800, 540)])
def test_a_browser_is_launched_before_heavy_imports(
    place: CachedPlace, *, known: bool, calls: int, read: int
) -> None:
    browser = program(place.root, "browser")
    config = place.config / "config.toml"
    config.write_text(f'browser = "{browser}"\ntimeout = "1s"\n{CONFIG}')
    (place.root / PROJECTS).unlink()
    (place.config / "locks").mkdir(mode=0o700, exist_ok=True)
    if known:
        with standing_in(place):
            recorder = Recorder(["login"], place.environ, settled)
            recorder.begins()
            recorder.logged_in(resolve({}, environ=place.environ))
    else:
        place.recall.unlink()
    asked = beyond_bare(place, "login", until=f'execve("{browser}"')
    assert not asked.others & (HEAVY | LATER)
    assert within(asked, calls=calls, read=read), asked
