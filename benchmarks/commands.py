"""The cost of the commands that need no user, with one profile and with many."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.site import TOKEN
from benchmarks.table import row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.place import Place, World
    from benchmarks.runner import Cost, Job, Rounds
    from benchmarks.table import Row

_OTHER_TOOLS = '[project]\nname = "work"\nversion = "1"\n\n[tool.ruff]\nline-length = 100\n'


@dataclass(frozen=True, slots=True)
class Case:
    """A command, its name in the table, and its limits; the job is None if it is not installed.

    `prepare` is called before each run, and is not timed.
    """

    what: str
    job: Job | None
    must: str = ""
    aim: str = ""
    prepare: Callable[[], None] = lambda: None


async def measure(world: World, rounds: Rounds) -> list[Row]:
    """Measure each command, and the commands for comparison."""
    return await _measure([*_cases(world.http)], rounds)


async def measure_many_profiles(world: World, rounds: Rounds) -> list[Row]:
    """Measure each command that reads the settings, with 100 profiles and with 1000."""
    return await _measure(
        [case for count in (100, 1000) for case in _many_profiles(world.http, count)], rounds
    )


async def _measure(cases: Sequence[Case], rounds: Rounds) -> list[Row]:
    costs: list[list[Cost]] = [[] for _ in cases]
    async for counts in rounds.each():
        for case, its_costs in zip(cases, costs, strict=True):
            if case.job:
                case.prepare()
                [cost] = await rounds.spawner.run(case.job)
                if counts:
                    its_costs.append(cost)
    return [
        row(case.what, its_costs, case.must, case.aim)
        for case, its_costs in zip(cases, costs, strict=True)
    ]


def _cases(place: Place) -> Iterator[Case]:
    from_variable = place.with_variables(SOE_AUTH_TOKEN=TOKEN)
    token = ("2.7x; RSS 1.25x", "1.6x; RSS 1.1x")
    light = ("3.5x", "2x")
    yield Case("token", place.soe_auth("token"), *token)
    yield Case("token -p NAME", place.soe_auth("token", "-p", "bench"), *token)
    yield Case("token --min-ttl 10m", place.soe_auth("token", "--min-ttl", "10m"), *token)
    yield Case("token, in a repository", _in_repository(place), *token)
    yield Case("token, from SOE_AUTH_TOKEN", from_variable.soe_auth("token"), *token)
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


def _many_profiles(place: Place, count: int) -> Iterator[Case]:
    """Copy the profile and its token, and yield the commands.

    `config set` changes a file in each round, so no other command is answered from the cache.
    """
    config = place.home / f"config-{count}"
    names = [f"profile{number}" for number in range(count)]
    (config / "tokens").mkdir(parents=True)
    for directory in (config, config / "tokens"):
        directory.chmod(0o700)
    table = f'site = "{place.site.url}"\nclient_id = "110"\n'
    config.joinpath("config.toml").write_text(
        f'default_profile = "{names[0]}"\n'
        + "".join(f"\n[profile.{name}]\n{table}" for name in names),
        encoding="utf-8",
    )

    def log_in() -> None:
        for name in names:
            shutil.copy(place.home / "config/tokens/bench.json", config / f"tokens/{name}.json")

    many = place.with_variables(SOE_AUTH_CONFIG_DIR=str(config))
    last = ("-p", names[-1])
    must = {100: "20x", 1000: "90x"}[count]
    yield Case(f"status; {count} profiles", many.soe_auth("status"), must, prepare=log_in)
    for argv in (
        ("status", "--json"),
        ("status", "--check", *last),
        ("token", *last),
        ("run", *last, "--", "true"),
        ("login", "--if-needed", *last),
        ("config", "list", *last),
        ("config", "set", *last, "timeout", "5m"),
        ("config", "unset", *last, "timeout"),
        ("completion", "--profiles"),
        ("logout", "--local", *last),
        ("logout", "--local", "--all"),
    ):
        yield Case(f"{' '.join(argv)}; {count} profiles", many.soe_auth(*argv))


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
    return place.with_variables(GH_CONFIG_DIR=str(directory)).program(path, "auth", "token")
