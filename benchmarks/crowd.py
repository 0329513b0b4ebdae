"""The cost of many tokens: fifty at once, and a thousand in a row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.runner import BenchmarkError
from benchmarks.site import TOKEN
from benchmarks.table import Figure, Row, row

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.place import Place, World
    from benchmarks.runner import Cost, Job, Rounds, Spawner

_MANY = 50
_PRINTS_A_FILE = "import sys; sys.stdout.write(open(sys.argv[1]).read())"


async def measure_at_once(world: World, rounds: Rounds) -> list[Row]:
    """Measure fifty commands that start at once, and fifty bare interpreters for comparison."""
    place = world.http
    file = place.home / "file"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    jobs = {
        f"{_MANY} x token at once": place.soe_auth("token", "-p", "bench"),
        f"{_MANY} x python -I -S printing a file": place.bare(
            "-I", "-S", "-c", _PRINTS_A_FILE, str(file)
        ),
    }
    seconds: dict[str, list[float]] = {what: [] for what in jobs}
    async for counts in rounds.each():
        for what, job in jobs.items():
            taken = await _printing(job, place, rounds.spawner, copies=_MANY)
            if counts:
                seconds[what].append(taken)
    musts = ("within 10 % of:", "")
    return [
        Row(what=what, wall=Figure(taken), must=must)
        for (what, taken), must in zip(seconds.items(), musts, strict=True)
    ]


async def measure_in_a_row(world: World, rounds: Rounds) -> list[Row]:
    """Measure fifty commands in each round, in a row, and compare the first with the last.

    Raises BenchmarkError if any file has grown.
    """
    place = world.http
    before = _files(place.home)
    job = place.soe_auth("token", "-p", "bench")
    costs: list[Cost] = []
    async for counts in rounds.each():
        if counts:
            costs += [cost for _ in range(_MANY) for cost in await rounds.spawner.run(job)]
    if _files(place.home) != before:
        raise BenchmarkError(f"{len(costs)} tokens have changed the files of the user.")
    return [
        row(f"token, first {_MANY} of {len(costs)} in a row", costs[:_MANY], "no growth to:"),
        row(f"token, last {_MANY} of {len(costs)} in a row", costs[-_MANY:]),
    ]


async def _printing(job: Job, place: Place, spawner: Spawner, copies: int) -> float:
    """Run copies of a job that prints the token; return the seconds from first start to end."""
    output = place.directory / "outputs"
    output.unlink(missing_ok=True)
    running = await spawner.start(replace(job, stdout=output), copies)
    costs = await spawner.costs(running)
    if output.read_text(encoding="utf-8") != f"{TOKEN}\n" * copies:
        raise running.failure(f"did not print {copies} tokens in {copies} runs at once")
    return costs[-1].ended_at - running.started_at[0]


def _files(home: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in home.rglob("*")}
