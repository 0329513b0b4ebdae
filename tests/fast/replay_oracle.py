"""A home with a cache: the answers of replay there, beside the outcomes of the command."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cli_oracle import Place, Told, standing_in, two_profiles

from soe_auth.cli.console import Observer
from soe_auth.fast.command_cache import replay
from soe_auth.fast.recorder import Recorder

if TYPE_CHECKING:
    from soe_auth.fast.command_cache import Answer


def settled() -> int:
    """Return a time long after every file was written."""
    return time.time_ns() + 10**10


class CachedPlace(Place):
    """A place in which commands are run with a recorder."""

    @property
    def recall(self) -> Path:
        return self.config / "recall"

    def replay(self, *argv: str, now: Callable[[], float] = time.time) -> "Answer | None":
        with standing_in(self):
            return replay(argv, self.environ, now)

    def run(
        self,
        *argv: str,
        observer: Observer | None = None,
        clock: Callable[[], int] = settled,
    ) -> Told:
        return self.long(*argv, observer=observer or Recorder(argv, self.environ, clock))


def outcome_of(answer: "Answer") -> Told:
    text, command, environ = answer
    return Told(0, text, became=(command, dict(environ)) if command else None)


def tick(directory: Path) -> None:
    """Wait until the time stamps of the file system advance, so that a change leaves a trace."""
    probe = directory / "tick"
    probe.touch()
    before = probe.stat().st_mtime_ns
    while probe.stat().st_mtime_ns == before:
        probe.touch()
    probe.unlink()


def record(place: CachedPlace, *argv: str) -> None:
    """Record a command line."""
    place.run(*(argv or ("token",)))
    tick(place.root)


def cached_profiles(home: Path) -> CachedPlace:
    """Make a home with two profiles, in which `token` is recorded."""
    plain = two_profiles(home)
    place = CachedPlace(plain.root, plain.variables, plain.cwd)
    record(place)
    return place
