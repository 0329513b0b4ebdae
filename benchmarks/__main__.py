"""Measure soe-auth and similar tools, and print the table.

The unit x is the cost of `python -I -S -c pass` in the same run. Only loopback is contacted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import ssl
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

from benchmarks import commands, crowd, hop, login
from benchmarks.browser import sign_in
from benchmarks.place import World, place
from benchmarks.runner import BenchmarkError, Rounds, spawner
from benchmarks.site import serving
from benchmarks.table import Part, Report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from benchmarks.runner import Spawner
    from benchmarks.table import Row

    Measure = Callable[[World, Rounds], Awaitable[list[Row]]]

# The parts of the benchmark, each with its share of the rounds: a slow part has fewer.
_PARTS: dict[str, tuple[Measure, float]] = {
    "commands": (commands.measure, 1),
    "profiles": (commands.measure_many_profiles, 0.5),
    "launch": (login.measure_launch, 1),
    "hop": (hop.measure, 1),
    "return": (login.measure_return, 0.5),
    "hostile": (login.measure_hostile_clients, 0.1),
    "at-once": (crowd.measure_at_once, 0.5),
    "in-a-row": (crowd.measure_in_a_row, 1),
}
_SETTLED = 3.1  # seconds after which soe-auth relies on a file that it has read
_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts that the command line names; return 0 if nothing failed."""
    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--python", type=Path, default=sys.executable, help="the Python of the installed soe-auth"
    )
    parser.add_argument(
        "--rounds", type=int, default=20, help="rounds of a quick part; default: 20"
    )
    parser.add_argument(
        "--only", choices=_PARTS, nargs="+", default=list(_PARTS), help="only these parts"
    )
    parser.add_argument(
        "--json", type=Path, default="build/bench.json", help="the file for all figures"
    )
    parser.add_argument("--page", type=Path, help="a page to write the table into")
    options = parser.parse_args(arguments)
    try:
        report = asyncio.run(_measure(options.python, options.only, options.rounds))
    except BenchmarkError as problem:
        sys.stderr.write(f"benchmarks: {problem}\n")
        return 1
    sys.stdout.write(f"{report.markdown()}\n{report.sentence()}\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report.json(), indent=1) + "\n", encoding="utf-8")
    if options.page:
        report.write_into(options.page)
    return 0


async def _measure(python: Path, parts: Sequence[str], rounds: int) -> Report:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bundle = _bundle(directory / "cas.pem", authority)
        trust_variables = {"SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle}
        places = []
        for name, context, variables in (("http", None, {}), ("https", tls, trust_variables)):
            site = await stack.enter_async_context(serving(context))
            where = place(directory / name, python, Path(sys.executable), site, **variables)
            places.append(stack.enter_context(where))
        starter = await stack.enter_async_context(spawner(directory))
        return await _parts(World(*places), starter, parts, rounds)


def _bundle(path: Path, authority: trustme.CA) -> str:
    """Write a bundle as in a company: the system's CAs, and the company's own."""
    system_cas = _SYSTEM_BUNDLE.read_bytes() if _SYSTEM_BUNDLE.exists() else b""
    path.write_bytes(system_cas + authority.cert_pem.bytes())
    return str(path)


async def _parts(world: World, starter: Spawner, parts: Sequence[str], rounds: int) -> Report:
    # The first login creates the profile; the second is recorded for the early browser launch.
    for more in ("--site {site} --client-id 110", ""):
        for where in (world.http, world.https):
            command = shlex.quote(where.soe_auth().argv[0])
            login = f"{command} login -p bench {more.format(site=where.site.url)}"
            both = where.program("/bin/sh", "-c", f"{login} && {command} token")
            await sign_in(both, where, starter, away=0)
        await asyncio.sleep(_SETTLED)
    bare = world.http.bare("-I", "-S", "-c", "pass")
    measured = []
    for part in parts:
        await asyncio.sleep(_SETTLED)
        await starter.run(world.http.soe_auth("token", "-p", "bench"))
        measure, share = _PARTS[part]
        its_rounds = Rounds(starter, bare, max(1, round(rounds * share)))
        rows = await measure(world, its_rounds)
        measured.append(Part(its_rounds.x, rows))
    return Report(measured)


if __name__ == "__main__":
    sys.exit(main())
