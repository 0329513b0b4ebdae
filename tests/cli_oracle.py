"""A user's home, and the outcome of a command there."""

import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from soe_auth import Scope, Secret, Site, Token
from soe_auth.cli.console import Observer
from soe_auth.cli.main import main
from soe_auth.storage.file_store import FileStore

CONFIG = """
default_profile = "work"
[profile.work]
site = "acme"
client_id = "110"
[profile.home]
site = "acme"
client_id = "110"
"""
PATH = os.environ["PATH"]
# Without these, Windows starts no program, and finds no directory for temporary files.
OF_WINDOWS = {
    name: os.environ[name]
    for name in ("SYSTEMROOT", "TEMP", "TMP", "COMSPEC", "PATHEXT")
    if sys.platform == "win32" and name in os.environ
}
USERS, SYSTEMS = "config/config.toml", "system/soe-auth/config.toml"
PROJECTS = "repository/.soe-auth.toml"


def directories_in(home: Path) -> dict[str, str]:
    """Return the variables by which a system finds the directories of a user, and of all users."""
    if sys.platform != "win32":
        return {"HOME": str(home), "XDG_CONFIG_DIRS": str(home / "system")}
    return {
        "USERPROFILE": str(home),
        # platformdirs asks Windows for these, unless a variable is set.
        "WIN_PD_OVERRIDE_LOCAL_APPDATA": str(home / "local"),
        "WIN_PD_OVERRIDE_COMMON_APPDATA": str(home / "system"),
    }


def live_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use that home in this process: platformdirs reads its environment, not a mapping."""
    for name, value in directories_in(home).items():
        monkeypatch.setenv(name, value)


@dataclass(frozen=True)
class Told:
    """A command's exit code and output; or the command that it executed, with its environment."""

    code: int
    out: str = ""
    err: str = ""
    became: tuple[list[str], dict[str, str]] | None = None


@dataclass(frozen=True)
class Place:
    """A user's home, the variables and the current directory."""

    root: Path
    variables: Mapping[str, str]
    cwd: Path

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PATH": PATH,
            **OF_WINDOWS,
            **directories_in(self.root),
            "SOE_AUTH_CONFIG_DIR": str(self.config),
            "LC_CTYPE": "C.UTF-8",
            **self.variables,
        }

    def long(self, *argv: str, observer: Observer | None = None) -> Told:
        with standing_in(self):
            return run_command(argv, self.environ, observer)

    def save(self, profile: str, token: Token) -> None:
        FileStore(self.config, report=lambda _: None).save(profile, token)


@contextmanager
def standing_in(place: Place) -> Iterator[None]:
    """Use the directory and the environment in this process, as platformdirs reads its own."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(place.environ)
    try:
        with chdir(place.cwd):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_command(argv: Sequence[str], environ: Mapping[str, str], observer: Observer | None) -> Told:
    if "run" in argv:
        return run_in_child(argv, environ, observer)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(argv, environ, observer=observer)
        except SystemExit as end:
            code = int(end.code or 0)
    return Told(code, out.getvalue(), err.getvalue())


# Prints its arguments and its environment; the last command keeps a shell from executing `cat`
# in place of itself.
SHOW = ("sh", "-c", "cat /proc/$$/cmdline; echo //; cat /proc/$$/environ; exit 0")


def run_in_child(
    argv: Sequence[str], environ: Mapping[str, str], observer: Observer | None
) -> Told:
    """Run it in a child process, which may execute another command."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:  # pragma: no cover - it exits without a report
            with suppress(BaseException):
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
                os._exit(main(argv, environ, observer=observer))
            os._exit(99)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        words, _, variables = os.fsdecode(out.read()).partition("//\n")
        became = None
        if variables:
            pairs = [each.partition("=") for each in variables.split("\0")[:-1]]
            became = words.split("\0")[:-1], {name: value for name, _, value in pairs}
        return Told(
            os.waitstatus_to_exitcode(status), "" if became else words, err.read().decode(), became
        )


def living(secret: Secret, **changes: Any) -> Token:
    now = float(int(time.time()))
    token = Token(
        access_token=secret,
        site=Site.parse("acme"),
        client_id="110",
        scope=Scope(),
        granted_scope=Scope(),
        obtained_at=now,
        expires_at=now + 86400,
        account="Jane Doe",
    )
    return replace(token, **changes)


def two_profiles(home: Path) -> Place:
    """Make a home with two profiles, each with a token, and a project that uses one of them."""
    project = home / "repository" / "inner"
    for directory in (home / "config", home / "system" / "soe-auth", project):
        directory.mkdir(parents=True)
    (home / "repository" / ".git").mkdir()
    there = Place(home, {}, project)
    (there.config / "config.toml").write_text(CONFIG)
    (home / "system" / "soe-auth" / "config.toml").write_text('min_ttl = "1m"\n')
    (home / "repository" / ".soe-auth.toml").write_text('profile = "work"\n')
    (home / "repository" / "pyproject.toml").write_text("[project]\n")
    for profile in ("work", "home"):
        there.save(profile, living(Secret(f"token-of-{profile}")))
    return there
