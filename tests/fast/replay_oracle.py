"""A home whose outcomes are cached: what replay answers there, beside the command itself."""

import time
from collections.abc import Callable
from pathlib import Path

from cli_oracle import Place, Told, standing_in, two_profiles

from soe_auth.cli.console import Observer
from soe_auth.fast.recorder import Recorder
from soe_auth.fast.replay import Answer, replay


def settled() -> int:
    """Give a time by which what was just written is long settled."""
    return time.time_ns() + 10**10


class CachedPlace(Place):
    """A place in which commands are run with a recorder."""

    @property
    def recall(self) -> Path:
        return self.config / "recall"

    def short(self, *argv: str, now: Callable[[], float] = time.time) -> Answer | None:
        with standing_in(self):
            return replay(argv, self.environ, now)

    def long(
        self,
        *argv: str,
        observer: Observer | None = None,
        clock: Callable[[], int] = settled,
    ) -> Told:
        return super().long(*argv, observer=observer or Recorder(argv, self.environ, clock))


def told_by(known: Answer) -> Told:
    if known.command is not None:
        return Told(0, became=(known.command, dict(known.environ)))
    return Told(0, "" if known.text is None else f"{known.text}\n")


def tick(directory: Path) -> None:
    """Wait until the clock of the file system has gone on, so that a change leaves its trace."""
    probe = directory / "tick"
    probe.touch()
    before = probe.stat().st_mtime_ns
    while probe.stat().st_mtime_ns == before:
        probe.touch()
    probe.unlink()


def remember(there: CachedPlace, *argv: str) -> None:
    """Have a command line recorded."""
    there.long(*(argv or ("token",)))
    tick(there.root)


def cached_profiles(home: Path) -> CachedPlace:
    """Make a home with two profiles, in which `token` is recorded."""
    there = two_profiles(home)
    cached = CachedPlace(there.root, there.variables, there.cwd)
    remember(cached)
    return cached
