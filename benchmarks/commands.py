"""What the commands cost that need nobody: to run each of them is all there is to it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.site import TOKEN
from benchmarks.table import row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.place import Place, World
    from benchmarks.runner import Cost, Job, Rounds
    from benchmarks.table import Row

_OTHER_TOOLS = '[project]\nname = "work"\nversion = "1"\n\n[tool.ruff]\nline-length = 100\n'


@dataclass(frozen=True, slots=True)
class Case:
    """A command, its name in the table, and how much it may cost; None where it is not here."""

    what: str
    job: Job | None
    must: str = ""
    aim: str = ""


async def measure(world: World, rounds: Rounds) -> list[Row]:
    """Run each command, and what it is compared with."""
    cases = [*_cases(world.http)]
    costs: list[list[Cost]] = [[] for _ in cases]
    async for counts in rounds.each():
        for case, its_costs in zip(cases, costs, strict=True):
            if case.job:
                [cost] = await rounds.spawner.run(case.job)
                if counts:
                    its_costs.append(cost)
    return [
        row(case.what, its_costs, case.must, case.aim)
        for case, its_costs in zip(cases, costs, strict=True)
    ]


def _cases(place: Place) -> Iterator[Case]:
    given = place.knowing(SOE_AUTH_TOKEN=TOKEN)
    token = ("2.7x; RSS 1.25x", "1.6x; RSS 1.1x")
    light = ("3.5x", "2x")
    yield Case("token", place.soe_auth("token"), *token)
    yield Case("token -p NAME", place.soe_auth("token", "-p", "bench"), *token)
    yield Case("token --min-ttl 10m", place.soe_auth("token", "--min-ttl", "10m"), *token)
    yield Case("token, in a repository", _in_repository(place), *token)
    yield Case("token, from SOE_AUTH_TOKEN", given.soe_auth("token"), *token)
    yield Case("token --format json", place.soe_auth("token", "--format", "json"))
    yield Case("status --check", place.soe_auth("status", "--check"), *light)
    yield Case("run -- true", place.soe_auth("run", "--", "true"), *light)
    names = place.soe_auth("completion", "--profiles")
    yield Case("completion --profiles", names, *light)
    yield Case("--help", place.soe_auth("--help"))
    yield Case("true", place.program(shutil.which("true") or "/bin/true"))
    yield Case("python -c pass", place.bare("-c", "pass"))
    yield Case("an empty console script", _empty_script(place))
    for module in ("json", "argparse", "tomllib", "platformdirs"):
        yield Case(f"import {module}", place.bare("-c", f"import {module}"))
    for library in ("click", "typer"):
        script = f"with_{library}.py"
        yield Case(f"hello world with {library}", place.peer(library, script))
    yield Case("gh auth token", _gh(place))


def _in_repository(place: Place) -> Job:
    checkout = place.directory.with_name("checkout")
    (checkout / ".git").mkdir(parents=True)
    (checkout / "pyproject.toml").write_text(_OTHER_TOOLS, encoding="utf-8")
    return replace(place.soe_auth("token"), directory=checkout)


def _empty_script(place: Place) -> Job:
    script: Path = place.home / "empty"
    script.write_text(f"#!{place.python}\nimport sys\nsys.exit()\n", encoding="utf-8")
    script.chmod(0o700)
    return place.program(str(script))


def _gh(place: Place) -> Job | None:
    path = shutil.which("gh")
    if path is None:
        return None
    directory = place.home / "gh"
    directory.mkdir()
    (directory / "hosts.yml").write_text(
        "github.com:\n    oauth_token: gho_made-up\n    user: jane\n    git_protocol: https\n",
        encoding="utf-8",
    )
    return place.knowing(GH_CONFIG_DIR=str(directory)).program(path, "auth", "token")
