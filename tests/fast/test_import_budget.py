"""The import budget: what a command loads and asks of the system, even on a busy machine.

Everything is counted beyond a bare interpreter. An added import or file access fails here first.
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
from replay_oracle import CachedPlace, cached_profiles, record, settled

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


# Each start of a command loads `site`; the packages for the tests are not counted.
BARE = "import sys, site"
PATHS = [str(Path(soe_auth.__file__).parents[1]), sysconfig.get_path("purelib")]
COMMAND = f"{BARE}; sys.path += {PATHS}; sys.argv = ['soe-auth', "
ENTRY = "]; from soe_auth.__main__ import entry_point; entry_point()"

REPLAY = {
    "__init__",
    "__main__",
    "cli.__init__",
    "fast.__init__",
    "files.__init__",
    "files.private_read",
    "fast.command_cache",
    "cli.signals",
    "settings.__init__",
    "cli.streams",
    "version",
}
# Loaded by the module signal for its enums.
ENUMS = {"collections", "enum", "functools", "keyword", "operator", "reprlib", "types"}
HEAVY = {"aiohttp", "asyncio", "email", "httpx", "keyring", "ssl", "subprocess", "tomlkit"}
# Loaded after the browser is started, or never.
LATER = {"_hashlib", "hashlib", "textwrap"}


@dataclass(frozen=True)
class Trace:
    """The modules that a process loaded, and its system calls.

    `modules` are those of soe_auth, `others` all other Python modules, `files` the other files that
    were opened; `read` is in bytes.
    """

    modules: set[str]
    others: set[str]
    files: set[str]
    calls: int
    read: int


def traced(place: Place, script: str, until: str | None = None) -> Trace:
    """Run Python under strace; with `until`, count only what precedes that call."""
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
    return Trace(
        modules={name(path.relative_to(ours)) for path in modules if path.is_relative_to(ours)},
        others={name(path) for path in modules if not path.is_relative_to(ours)},
        files={path for path in opened if not path.endswith((".pyc", ".so", ".so.1", ".cache"))},
        calls=len(lines),
        read=sum(int(n) for line in lines for n in re.findall(r" read\(.*= (\d+)$", line)),
    )


def name(path: Path) -> str:
    """Return a module's name in our package, or without its package."""
    parts = [part for part in path.parent.parts if part != "__pycache__"]
    return ".".join([*([] if path.is_absolute() else parts), path.name.split(".")[0]])


def trace_beyond_bare(place: Place, *argv: str, until: str | None = None) -> Trace:
    bare = traced(place, BARE)
    trace = traced(place, COMMAND + ", ".join(map(repr, argv)) + ENTRY, until)
    return Trace(
        modules=trace.modules,
        others=trace.others - bare.others,
        files={file for file in trace.files - bare.files if Path(file).is_file()},
        calls=trace.calls - bare.calls,
        read=trace.read - bare.read,
    )


def is_within(trace: Trace, *, calls: int, read: int) -> bool:
    """Whether a trace is within the budget; it is now a fifth below."""
    return trace.calls <= calls and trace.read <= read * 1024


@pytest.mark.parametrize(
    "argv",
    [
        ["token"],
        ["token", "--format", "header", "-p", "work"],
        ["status", "--check", "1h"],
    ],
)
def test_replay_opens_the_cache_and_the_token(place: CachedPlace, argv: list[str]) -> None:
    record(place, *argv)
    trace = trace_beyond_bare(place, *argv)
    assert trace.modules == REPLAY
    assert trace.others <= {"__future__"}
    assert trace.files == {str(place.recall), str(place.config / "tokens" / "work.json")}
    assert is_within(trace, calls=330, read=62), trace


def test_replay_of_profile_names_opens_the_cache_only(place: CachedPlace) -> None:
    record(place, "completion", "--profiles")
    trace = trace_beyond_bare(place, "completion", "--profiles")
    assert trace.modules == REPLAY
    assert trace.others <= {"__future__"}
    assert trace.files == {str(place.recall)}
    assert is_within(trace, calls=320, read=60), trace


def test_replay_of_run_loads_little_before_exec(place: CachedPlace) -> None:
    record(place, "run", "--", "true")
    trace = trace_beyond_bare(place, "run", "--", "/bin/true", until='execve("/bin/true"')
    process_modules = {"desktop.__init__", "desktop.process", "model.__init__", "model.secret"}
    assert trace.modules == REPLAY | process_modules
    assert trace.others <= {"__future__", "signal", *ENUMS}
    assert trace.files == {str(place.recall), str(place.config / "tokens" / "work.json")}
    assert is_within(trace, calls=505, read=380), trace


def test_help_loads_no_command_and_token_loads_no_http_client(
    place: CachedPlace,
) -> None:
    trace = trace_beyond_bare(place, "--help")
    cli_modules = {"cli.main", "cli.console", "cli.exit_codes", "cli.help_format"}
    assert trace.modules == REPLAY | cli_modules | {
        "errors",
        "fast.recorder",
        "model.__init__",
        "model.text",
    }
    assert not trace.others & {*HEAVY, "dataclasses", "inspect", "json", "pathlib"}
    assert is_within(trace, calls=800, read=1250), trace
    trace = trace_beyond_bare(place, "token", "-v")
    assert not trace.others & (HEAVY | LATER)
    calls = 2000 if sys.version_info < (3, 13) else 2020  # its own library makes a few more
    assert is_within(trace, calls=calls, read=2450), trace


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
    trace = trace_beyond_bare(place, "login", until=f'execve("{browser}"')
    assert not trace.others & {*HEAVY, *LATER, "json"}
    assert is_within(trace, calls=calls, read=read), trace
