"""Run commands with the spawner, and return their costs."""

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
_TIME_LIMIT = 60.0  # seconds; a process that takes longer hangs
_NANO, _MICRO, _KIB = 1e-9, 1e-6, 1024


class BenchmarkError(Exception):
    """A measured command failed; the message names it and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command to run: `argv` begins with a path, `environ` is all of its environment."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    directory: Path
    stdout: Path = Path(os.devnull)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a process: wall and CPU time in seconds, peak of memory in bytes.

    `ended_at` is in seconds of the monotonic clock.
    """

    ended_at: float
    wall: float
    cpu: float
    rss: int


@dataclass(frozen=True, slots=True)
class Running:
    """The processes of one job: their PIDs, start times in seconds, and ends.

    An end is the spawner's line: time, wait status, CPU time and peak of memory, in the order in
    which the processes ended.
    """

    job: Job
    pids: Sequence[int]
    started_at: Sequence[float]
    ends: asyncio.Task[list[list[int]]]
    errors: Path

    def kill(self) -> None:
        """Kill the running processes and their children."""
        if not self.ends.done():
            for pid in self.pids:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def failure(self, what: str) -> BenchmarkError:
        """Return an error with the command, what happened, and its stderr."""
        output = self.errors.read_text(encoding="utf-8", errors="replace")
        return BenchmarkError(f"`{' '.join(self.job.argv)}` {what}. {output}")


class Spawner:
    """Starts the measured commands, one job at a time; `spawner` creates it."""

    def __init__(
        self, jobs: asyncio.StreamWriter, reports: asyncio.StreamReader, errors: Path
    ) -> None:
        self._jobs = jobs
        self._reports = reports
        self._errors = errors
        self.running: Running | None = None

    async def run(self, job: Job, copies: int = 1) -> list[Cost]:
        """Run a job, or copies of it at once. Raises BenchmarkError unless each exits with 0."""
        return await self.costs(await self.start(job, copies))

    async def start(self, job: Job, copies: int = 1) -> Running:
        """Start a job, or copies of it; await `costs` before the next."""
        self._errors.write_bytes(b"")
        order = [*job.argv], {**job.environ}, str(job.directory), str(job.stdout)
        self._jobs.write(marshal.dumps((*order, str(self._errors), copies)))
        started = [await self._numbers() for _ in range(copies)]
        self.running = Running(
            job,
            [pid for pid, _ in started],
            [_NANO * at for _, at in started],
            asyncio.create_task(self._ends(copies)),
            self._errors,
        )
        return self.running

    async def costs(self, running: Running, *, killed: bool = False) -> list[Cost]:
        """Wait for the ends. Raises BenchmarkError unless each exits with 0 or was killed."""
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
                line = await self._reports.readline()
        except TimeoutError:
            raise BenchmarkError(f"A process did not end within {_TIME_LIMIT:.0f} s.") from None
        if not line:
            raise BenchmarkError("The spawner has ended; see its error above.")
        return [*map(int, line.split())]


class Rounds:
    """The rounds of one part, each with a measurement of x.

    The commands take turns, so that noise affects all of them.
    """

    def __init__(self, spawner: Spawner, bare: Job, count: int) -> None:
        self.spawner = spawner
        self.count = count
        self.x: list[Cost] = []
        self._bare = bare

    async def each(self) -> AsyncIterator[bool]:
        """Start each round; yield whether it counts, because the first only fills the caches."""
        for number in range(self.count + 1):
            [cost] = await self.spawner.run(self._bare)
            if number:
                self.x.append(cost)
            yield number > 0


@asynccontextmanager
async def spawner(directory: Path) -> AsyncIterator[Spawner]:
    """Run a spawner, with its files in a directory."""
    # Compiled before, because compiling would raise its peak of memory.
    compiled = py_compile.compile(str(_SPAWNER), str(directory / "spawner.pyc"), doraise=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(compiled)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin  # noqa: S101  # a pipe, see above
    assert process.stdout  # noqa: S101  # as well
    starter = Spawner(process.stdin, process.stdout, directory / "errors")
    try:
        yield starter
    finally:
        if starter.running:
            starter.running.kill()
        process.kill()
        await process.wait()
