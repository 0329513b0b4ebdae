"""Runs commands through the spawner: what to run, and what it cost."""

from __future__ import annotations

import asyncio
import marshal
import os
import py_compile
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

_SPAWNER = Path(__file__).with_name("spawner.py")
_TIME_LIMIT = 60.0  # seconds; what takes longer has got stuck
_NANO, _MICRO, _KIB = 1e-9, 1e-6, 1024


class Failed(Exception):
    """A command that is measured did not do what it should; the message says which, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command to run: `argv` begins with a path, `environ` is all of its environment."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    directory: Path
    stdout: Path = Path(os.devnull)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: wall and CPU time in seconds, its peak of memory in bytes.

    `ended_at` is in seconds of the monotonic clock.
    """

    ended_at: float
    wall: float
    cpu: float
    rss: int


@dataclass(frozen=True, slots=True)
class Running:
    """Processes of one job: their numbers, when they were started, in seconds, and their ends.

    The end of each is its time, its wait status, its CPU time and its peak, as the spawner tells
    them; in the order in which they came.
    """

    job: Job
    pids: Sequence[int]
    started_at: Sequence[float]
    ends: asyncio.Task[list[list[int]]]
    errors: Path

    def kill(self) -> None:
        """End those that have not ended, with the processes that they started."""
        if not self.ends.done():
            for pid in self.pids:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def failure(self, what: str) -> Failed:
        """Return an error that says what happened to which command, and what that said."""
        said = self.errors.read_text(encoding="utf-8", errors="replace")
        return Failed(f"`{' '.join(self.job.argv)}` {what}. {said}")


class Spawner:
    """Starts what is measured, one job at a time; made by `spawner`."""

    def __init__(
        self, jobs: asyncio.StreamWriter, told: asyncio.StreamReader, errors: Path
    ) -> None:
        self._jobs = jobs
        self._told = told
        self._errors = errors
        self.running: Running | None = None

    async def run(self, job: Job, copies: int = 1) -> list[Cost]:
        """Run a job to its end, or many of it at once. Raises Failed unless each exits with 0."""
        return await self.costs(await self.start(job, copies))

    async def start(self, job: Job, copies: int = 1) -> Running:
        """Start a job, or many of it; `costs` has to be awaited before the next."""
        self._errors.write_bytes(b"")
        order = [*job.argv], {**job.environ}, str(job.directory), str(job.stdout)
        self._jobs.write(marshal.dumps((*order, str(self._errors), copies)))
        begun = [await self._numbers() for _ in range(copies)]
        self.running = Running(
            job,
            [pid for pid, _ in begun],
            [_NANO * at for _, at in begun],
            asyncio.create_task(self._ends(copies)),
            self._errors,
        )
        return self.running

    async def costs(self, running: Running, *, killed: bool = False) -> list[Cost]:
        """Wait until all have ended. Raises Failed unless each exits with 0 or may be killed."""
        costs = []
        for started, (ended, status, cpu, rss) in zip(
            running.started_at, await running.ends, strict=True
        ):
            if status and not killed:
                raise running.failure(f"ended with {os.waitstatus_to_exitcode(status)}")
            costs.append(Cost(_NANO * ended, _NANO * ended - started, _MICRO * cpu, _KIB * rss))
        return costs

    async def _ends(self, count: int) -> list[list[int]]:
        return [await self._numbers() for _ in range(count)]

    async def _numbers(self) -> list[int]:
        try:
            async with asyncio.timeout(_TIME_LIMIT):
                line = await self._told.readline()
        except TimeoutError:
            raise Failed(f"Something did not end within {_TIME_LIMIT:.0f} s.") from None
        if not line:
            raise Failed("The spawner has ended; it says above why.")
        return [*map(int, line.split())]


class Rounds:
    """The rounds of one part of the measuring, with x in each of them.

    What is measured takes turns, so that each has its share of any noise.
    """

    def __init__(self, spawner: Spawner, bare: Job, count: int) -> None:
        self.spawner = spawner
        self.count = count
        self.x: list[Cost] = []
        self._bare = bare

    async def each(self) -> AsyncIterator[bool]:
        """Begin one after the other; say whether it counts, as the first only fills the caches."""
        for number in range(self.count + 1):
            [cost] = await self.spawner.run(self._bare)
            if number:
                self.x.append(cost)
            yield number > 0


@asynccontextmanager
async def spawner(directory: Path) -> AsyncIterator[Spawner]:
    """Run a spawner, which keeps what it needs in a directory."""
    # To compile it would make it larger than what it measures.
    compiled = py_compile.compile(str(_SPAWNER), str(directory / "spawner.pyc"), doraise=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(compiled)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin  # noqa: S101  # asked for above
    assert process.stdout  # noqa: S101  # as well
    starter = Spawner(process.stdin, process.stdout, directory / "errors")
    try:
        yield starter
    finally:
        if starter.running:
            starter.running.kill()
        process.kill()
        await process.wait()
